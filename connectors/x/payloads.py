"""X's deliveries and answers as events: pure mapping, no input or output.

    {"data": {"event_type": "post.mention.create", "payload": {…}, "includes": {…}}}   X Activity API, also in a list
    {"for_user_id": "42", "tweet_create_events": [{…}]}                                Account Activity API, until 2027
    {"data": [{…}] or {…}, "includes": {…}, "meta": {…}, "errors": [{…}]}               an answer of the API v2

https://docs.x.com/x-api/activity/event-payloads, https://docs.x.com/x-api/account-activity/introduction
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from connectors.core.errors import PayloadError
from connectors.core.models import Deletion, Mention, Unsupported
from connectors.x.posts import CONNECTOR, Around, Ours, around, native_of, v1_post, v2_post
from connectors.x.values import clean, first_id, ident, mapping, mappings, stamp

Event = Mention | Deletion | Unsupported
_Read = Callable[[], Event]
_SUMMONS = frozenset({"post.mention.create", "post.reply.create", "post.quote.create"})
_POSTS = _SUMMONS | {"post.create", "post.repost.create"}
_PERSONAL = frozenset({"profile", "follow", "mute", "block", "like", "oauth", "spaces"})
_PRIVATE = ("dm", "chat", "message", "encrypted", "indicate_typing")
_GONE = ("/problems/resource-not-found", "/problems/not-authorized-for-resource")
_NOTHING_KNOWN = "the body is none of the shapes in which X sends posts"
_A_USER = frozenset({"username", "screen_name", "public_metrics"})
_DIRECT = frozenset({"dm_conversation_id", "sender_id", "participant_ids", "dm_event_id", "message_create"})


def read(body: object, ours: Ours, received_at: int = 0) -> list[Event]:
    """The events in a body, oldest first. `received_at`: milliseconds.

    Raises PayloadError for a body that is nothing X documents, or whose only post has no id."""
    parts = body if isinstance(body, list) else [body]
    reads: list[_Read] = []
    for part in parts:
        if not isinstance(part, dict):
            raise PayloadError(_NOTHING_KNOWN)
        reads += _parts(part, ours, received_at)
    return _settle(reads)


def gone(answer: Mapping[str, Any], at: int) -> list[Deletion]:
    """The posts that X says are not there any more, or not public, in the answer to a look-up by id."""
    found = []
    for error in mappings(answer.get("errors")):
        kind = error.get("type")
        about_a_post = error.get("resource_type") in ("tweet", "post", None) and error.get("parameter") in ("ids", "id")
        asked = first_id(error, "resource_id", "value")
        if isinstance(kind, str) and kind.endswith(_GONE) and about_a_post and asked:
            found.append(Deletion(connector=CONNECTOR, native_id=asked, order=at))
    return found


def _parts(body: Mapping[str, Any], ours: Ours, at: int) -> list[_Read]:
    data: Any = body.get("data")
    if _is_activity(data):
        return [lambda: _activity(data, ours)]
    if isinstance(data, list) and any(_is_activity(one) for one in data):
        return [lambda one=one: _activity(one, ours) for one in mappings(data)]  # type: ignore[misc]
    if _is_activity(body):
        return [lambda: _activity(body, ours)]
    if "for_user_id" in body or any(name in _ACCOUNT or name.endswith("_events") for name in body):
        return _account(body, ours)
    if isinstance(data, dict | list) or "meta" in body or isinstance(body.get("errors"), list):
        return _answer(body, ours, at)
    return _old_answer(body, ours)


def _old_answer(body: Mapping[str, Any], ours: Ours) -> list[_Read]:
    """What the API v1.1 answers, one post by itself, or an error. Raises PayloadError for anything else."""
    if isinstance(body.get("statuses"), list):
        return [lambda one=one: v1_post(one, around(ours, "status", None)) for one in mappings(body["statuses"])]  # type: ignore[misc]
    if isinstance(body.get("delete"), dict):
        return [lambda: _deletion(body["delete"], "delete")]
    if _DIRECT & set(body) or any(_DIRECT & set(one) for one in _listed(body, "event", "events")):
        return [lambda: _ignored("dm_event", "a private message is not ours to read", keep_raw=False)]
    if "text" in body or "full_text" in body:
        return [lambda: _bare(body, ours)]
    if _A_USER & set(body):
        return [lambda: _ignored("user", "an account is not a post", keep_raw=False)]
    if isinstance(body.get("title"), str) and ("detail" in body or "status" in body):
        return [lambda: _ignored("error", "X's answer is an error", keep_raw=True)]
    raise PayloadError(_NOTHING_KNOWN)


def _listed(body: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    return [one for name in names for one in (mapping(body.get(name)), *mappings(body.get(name)))]


def _settle(reads: Sequence[_Read]) -> list[Event]:
    """One unreadable post among others must not lose them; one alone is a delivery that cannot be read."""
    events: list[Event] = []
    faults: list[PayloadError] = []
    for one in reads:
        try:
            events.append(one())
        except PayloadError as error:
            faults.append(error)
            events.append(_ignored("unreadable", f"{error}", keep_raw=True))
    if faults and len(faults) == len(reads):
        raise faults[0]
    return events


def _is_activity(data: object) -> bool:
    return isinstance(data, dict) and "event_type" in data and bool({"payload", "event_uuid", "filter"} & set(data))


def _activity(data: Mapping[str, Any], ours: Ours) -> Event:
    """One event of the X Activity API. `event_uuid` may be negative and says nothing about time: it is not used."""
    event = _event_name(data.get("event_type"))
    payload = data.get("payload")
    family = event.partition(".")[0]
    if event not in _POSTS and event != "post.delete":
        if _is_private(event):
            return _ignored(event, "a private message is not ours to read", keep_raw=False)
        if family in _PERSONAL or event.lower().startswith(("profile", "follow")):
            return _ignored(event, "it is about an account, or a like: nothing is said in public", keep_raw=False)
        return _ignored(event, "Hailback does not handle this event", keep_raw=True)
    if not isinstance(payload, dict):
        raise PayloadError(f"the {event} has no `payload` object")
    if event == "post.delete":
        return _deletion(payload, event)
    about = ident(mapping(data.get("filter")).get("user_id"))
    summoned = event in _SUMMONS and (ours.has(about) or not ours.ids)
    beside = around(ours, event, data.get("includes"), summoned=summoned)
    if event == "post.repost.create" and not any(mappings(payload.get("referenced_tweets"))):
        return _ignored(event, "a repost without words of its own says nothing", keep_raw=False)
    return v2_post(payload, beside)


def _account(body: Mapping[str, Any], ours: Ours) -> list[_Read]:
    """A delivery of the Account Activity API: lists by kind, most often one. Its account is ours by definition."""
    subscribed = ident(body.get("for_user_id"))
    if subscribed and not ours.ids:
        ours = replace(ours, ids=frozenset({subscribed}))
    reads: list[_Read] = []
    for name, value in body.items():
        if not isinstance(value, list | dict):
            continue
        items: list[Any] = value if isinstance(value, list) else [value]
        handler = _ACCOUNT.get(name)
        if handler is None and not name.endswith(("_event", "_events")):
            continue  # `users` and `apps` beside a private message
        reads += [_one_of(name, item, handler, ours) for item in items]
    if not reads and not any(isinstance(value, list) for value in body.values()):
        raise PayloadError("the delivery names an account and brings no events")
    return reads


def _one_of(name: str, item: object, handler: _Handler | None, ours: Ours) -> _Read:
    event = _event_name(name)
    if handler is None:
        private = _is_private(event)
        return lambda: _ignored(event, "Hailback does not handle this event", keep_raw=not private)
    if not isinstance(item, dict):
        return lambda: _unreadable(event)
    return lambda: handler(event, item, ours)


def _answer(body: Mapping[str, Any], ours: Ours, at: int) -> list[_Read]:
    """An answer of the API v2: a page (newest first), one post, or only what could not be found."""
    data = body.get("data")
    beside = around(ours, "post", body.get("includes"))
    posts = list(mappings(data)) if isinstance(data, list) else [data] if isinstance(data, dict) else []
    posts.sort(key=lambda post: int(ident(post.get("id")) or 0))
    reads: list[_Read] = [lambda one=one: _answered(one, beside) for one in posts]  # type: ignore[misc]
    reads += [lambda one=one: one for one in gone(body, at)]  # type: ignore[misc]
    if not reads and any(mappings(body.get("errors"))):
        return [lambda: _ignored("error", "X's answer is an error", keep_raw=True)]
    return reads


def _answered(thing: Mapping[str, Any], beside: Around) -> Event:
    if _DIRECT & set(thing) or thing.get("event_type") in ("MessageCreate", "ParticipantsJoin", "ParticipantsLeave"):
        return _ignored("dm_event", "a private message is not ours to read", keep_raw=False)
    if "text" in thing or "author_id" in thing:
        return v2_post(thing, beside)
    if _A_USER & set(thing):
        return _ignored("user", "an account is not a post", keep_raw=False)
    return _ignored("answer", "this answer of X holds no post", keep_raw=True)


def _bare(post: Mapping[str, Any], ours: Ours) -> Event:
    v1 = isinstance(post.get("user"), dict) or "id_str" in post
    return (v1_post if v1 else v2_post)(post, around(ours, "post", None))


def _deletion(payload: Mapping[str, Any], event: str) -> Deletion:
    """`{id, author_id}`, or v1's `{status: {id, user_id}, timestamp_ms}`."""
    status = mapping(payload.get("status")) or mapping(payload.get("tweet")) or payload
    native = first_id(status, "id_str", "id")
    if native is None:
        raise PayloadError(f"the {event} does not say which post")
    history = status.get("edit_history_tweet_ids")
    known = [found for one in history if (found := ident(one))] if isinstance(history, list) else []
    when = stamp(payload.get("timestamp_ms"))
    return Deletion(
        connector=CONNECTOR,
        native_id=native_of(native, known),
        deleted_at=None if when is None else datetime.fromtimestamp(when / 1000, UTC),
        order=0,  # X brings nothing back, so that none has to be told from a later one
    )


def _unreadable(event: str) -> Event:
    raise PayloadError(f"an entry of {event} is not an object")


def _is_private(event: str) -> bool:
    lowered = event.lower()
    return lowered.partition(".")[0] in _PRIVATE or any(word in lowered for word in _PRIVATE[2:])


def _event_name(value: object) -> str:
    return (clean(value)[:100] or "unnamed") if isinstance(value, str) else "unnamed"


def _ignored(event: str, reason: str, *, keep_raw: bool) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event, reason=reason, keep_raw=keep_raw)


_Handler = Callable[[str, Mapping[str, Any], Ours], Event]


def _created(event: str, post: Mapping[str, Any], ours: Ours) -> Event:
    return v1_post(post, around(ours, event, None))


def _deleted(event: str, item: Mapping[str, Any], _: Ours) -> Event:
    return _deletion(item, event)


def _ignore(reason: str) -> _Handler:
    def ignore(event: str, _: Mapping[str, Any], __: Ours) -> Event:
        return _ignored(event, reason, keep_raw=False)

    return ignore


_message = _ignore("a private message is not ours to read")
_personal = _ignore("it is about an account, not something said in public")

_ACCOUNT: dict[str, _Handler] = {
    "tweet_create_events": _created,
    "tweet_edit_events": _created,
    "tweet_delete_events": _deleted,
    "favorite_events": _ignore("a like says nothing, and repeats a post that may be removed"),
    "follow_events": _personal,
    "unfollow_events": _personal,
    "block_events": _personal,
    "unblock_events": _personal,
    "mute_events": _personal,
    "unmute_events": _personal,
    "user_event": _personal,
    "direct_message_events": _message,
    "direct_message_indicate_typing_events": _message,
    "direct_message_mark_read_events": _message,
}
"""What is done with each kind of the Account Activity API; the X Activity API's are told apart in `_activity`."""
