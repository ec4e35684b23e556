"""Discourse's webhook bodies as events: pure mapping, no input or output.

The body is `{<type>: {...}}`. A post is written by Discourse's WebHookPostSerializer:
https://github.com/discourse/discourse/blob/main/app/serializers/web_hook_post_serializer.rb
Fields came and went over the years (`raw`, `post_url`, `topic_archetype`, `locale`), so all but the ids may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from connectors.core.errors import PayloadError
from connectors.core.html import plain_text
from connectors.core.models import Author, Deletion, Mention, Unsupported
from connectors.discourse.site import Site

CONNECTOR = "discourse"
_WHISPER = 4
_NOT_A_POST = {3: "a small action (closed, pinned, moved) is a notice by Discourse", _WHISPER: "a whisper is for staff"}
_SPOKEN = frozenset({1, 2})  # regular, and moderator_action: a staff member's answer shown in staff colour
_METRICS = (
    "reply_count",
    "quote_count",
    "incoming_link_count",
    "reads",
    "readers_count",
    "score",
    "like_count",
    "reaction_users_count",
    "avg_time",
    "posts_count",
    "topic_posts_count",
    "topic_filtered_posts_count",
)
_A_POST = frozenset({"id", "topic_id", "cooked"})
_BIGGEST = 2**63
_MARK = re.compile(r"\s*<!-- hailback:([A-Za-z0-9-]{1,100}) -->")
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A delivery that has been read. `site` is None where neither header nor settings name the forum."""

    event: str
    body: Mapping[str, Any]
    order: int
    site: Site | None = None
    accounts: frozenset[str] = field(default_factory=frozenset)


Event = Mention | Deletion | Unsupported
Handler = Callable[[Envelope], Event]


def read(envelope: Envelope) -> Event:
    """The one event in a body. Raises `PayloadError` for one that Discourse does not document."""
    handler = HANDLERS.get(envelope.event)
    if handler is None:
        family = envelope.event.partition("_")[0]
        handler = _FAMILIES.get(family) or _ignore("Hailback does not handle this event")
    return handler(envelope)


def read_posts(posts: Sequence[object], site: Site | None, accounts: frozenset[str]) -> list[Event]:
    """Posts as the API lists them, each an event. One that is not a post is set aside; the others do not suffer.

    The list does not number what happened: `order` is 0, below every delivery of the forum's webhook."""
    found: list[Event] = []
    for post in posts:
        try:
            found.append(_said(Envelope("post_created", {"post": post}, 0, site, accounts)))
        except PayloadError as error:
            found.append(Unsupported(connector=CONNECTOR, event="malformed", reason=str(error)))
    return _linked(posts, found)


def _linked(posts: Sequence[Any], found: Sequence[Event]) -> list[Event]:
    """What a post answers is known by its number in the topic; by its id where that post stands in the list too."""
    said = [(post, one) for post, one in zip(posts, found, strict=True) if isinstance(one, Mention)]
    ids = {f"{one.conversation_id}#{post.get('post_number')}": one.native_id for post, one in said}
    links = {one.native_id: {"parent_id": ids[one.parent_id]} for _, one in said if one.parent_id in ids}
    return [one.model_copy(update=links.get(one.native_id)) if isinstance(one, Mention) else one for one in found]


def posts_in(body: Mapping[str, Any] | list[Any]) -> list[Any] | None:
    """The posts in an answer of the API: the latest ones, those of a topic, the replies to one (a bare list), or a
    single one; None where it is none."""
    if isinstance(body, list):
        return body if all(isinstance(one, dict) and one.keys() >= _A_POST for one in body) else None
    stream = body.get("post_stream")
    for many in (body.get("latest_posts"), stream.get("posts") if isinstance(stream, dict) else None):
        if isinstance(many, list):
            return many
    return [body] if body.keys() >= _A_POST else None


def infer_event(body: Mapping[str, Any]) -> str:
    """The event of a body that came without an X-Discourse-Event header, for `read`."""
    if "post" in body:
        return "post_created"
    if not body:
        raise PayloadError("the body is empty and there is no X-Discourse-Event header to say what happened")
    return clean(next(iter(body)))[:100]


def clean(text: str) -> str:
    """Text without what no store or ticket takes: half surrogate pairs and NUL become the replacement character."""
    return _UNUSABLE.sub("\ufffd", text)


def marked(text: str, key: str) -> str:
    """An answer of ours with its key, where no reader sees it. A key in the words themselves is taken out."""
    return f"{_MARK.sub('', text)}\n\n<!-- hailback:{key} -->"


def _said(envelope: Envelope) -> Event:
    """A post was written or changed. One that carries `deleted_at` is gone already: the event overtook its deletion."""
    post = _post_of(envelope)
    if dropped := _dropped(envelope, post):
        return dropped
    if post.get("deleted_at"):
        return _deletion(envelope, post)
    return _mention(envelope, post)


def _recovered(envelope: Envelope) -> Event:
    post = _post_of(envelope)
    return _dropped(envelope, post) or _mention(envelope, post, restored=True)


def _destroyed(envelope: Envelope) -> Event:
    """The body was written before the deletion, so `deleted_at` may be null."""
    post = _post_of(envelope)
    return _dropped(envelope, post) or _deletion(envelope, post)


def _mention(envelope: Envelope, post: Mapping[str, Any], *, restored: bool = False) -> Mention:
    site = _site_of(envelope)
    topic = _id(post, "topic_id")
    answered = _whole(post, "reply_to_post_number")
    user = _whole(post, "user_id")
    handle = _string(post, "username")
    author = None
    if user is not None or handle:
        name = _string(post, "name") or _string(post, "display_username")
        author = Author(native_id=handle or "" if user is None else str(user), handle=handle, name=name)
    text, own = _text(post), _is_own(envelope.accounts, user, handle)
    mark = _MARK.search(text) if own else None
    return Mention(
        connector=CONNECTOR,
        authority=site.authority,
        native_id=_id(post, "id"),
        conversation_id=topic,
        parent_id=f"{topic}#{answered}" if answered else None,
        kind=_kind(post, answered),
        version=1 if (version := _whole(post, "version")) is None else version,
        author=author,
        place=_place(post),
        title=_string(post, "topic_title"),
        text=_MARK.sub("", text) if mark else text,
        language=_string(post, "locale"),
        url=_url(site, post, topic),
        created_at=_time(post.get("created_at")),
        metrics=_metrics(post),
        reply_capability="allowed",
        own=own,
        answer_key=mark[1] if mark else None,
        restored=restored,
        order=envelope.order,
    )


def _kind(post: Mapping[str, Any], answered: int | None) -> Literal["post", "reply"] | None:
    """A topic's first post opens the conversation, every other one replies to it, whether or not it names a post that
    it answers: `reply_to_post_number` is null where somebody answers the topic. None where the body says neither."""
    number = _whole(post, "post_number")
    if answered or (number or 0) > 1:
        return "reply"
    return "post" if number == 1 else None


def _place(post: Mapping[str, Any]) -> str | None:
    """The category's number: its slug may change, and is not in what the API lists."""
    number = _whole(post, "category_id")
    return None if number is None else str(number)


def _deletion(envelope: Envelope, post: Mapping[str, Any]) -> Deletion:
    return Deletion(
        connector=CONNECTOR,
        authority=_site_of(envelope).authority,
        native_id=_id(post, "id"),
        conversation_id=None if post.get("topic_id") is None else _id(post, "topic_id"),
        deleted_at=_time(post.get("deleted_at")),
        order=envelope.order,
    )


def _dropped(envelope: Envelope, post: Mapping[str, Any]) -> Unsupported | None:
    """Why a post is none of ours: what is not public is not even kept raw."""
    if is_private(envelope.body):
        return _unsupported(envelope, "a private message is not ours to read", keep_raw=False)
    kind = _whole(post, "post_type")
    if kind is None or kind in _SPOKEN:
        return None
    # An unknown type may be one that the public cannot see, as whispers once were.
    return _unsupported(envelope, _NOT_A_POST.get(kind, f"post type {kind} is not known"), keep_raw=kind == 3)


def _ignore(reason: str, *, keep_raw: bool = True) -> Handler:
    def ignore(envelope: Envelope) -> Unsupported:
        return _unsupported(envelope, reason, keep_raw=keep_raw and not is_private(envelope.body))

    return ignore


def _unsupported(envelope: Envelope, reason: str, *, keep_raw: bool) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=envelope.event, reason=reason, keep_raw=keep_raw)


def is_private(body: Mapping[str, Any]) -> bool:
    """Whether anything in the body belongs to a private message: posts, topics, and posts inside a like; or all of it,
    where it is a topic as the API answers it."""
    things = [thing for thing in body.values() if isinstance(thing, dict)]
    things += [inner for thing in things for inner in thing.values() if isinstance(inner, dict)]
    things.append(dict(body))
    return any("private_message" in (thing.get("topic_archetype"), thing.get("archetype")) for thing in things)


def _post_of(envelope: Envelope) -> Mapping[str, Any]:
    post = envelope.body.get("post")
    if not isinstance(post, dict):
        raise PayloadError(f"the body of {envelope.event} has no `post` object")
    return post


def _site_of(envelope: Envelope) -> Site:
    if envelope.site is None:
        raise PayloadError(
            "nothing says which forum this is: there is no X-Discourse-Instance header; pass --authority HOST "
            "or --header 'X-Discourse-Instance: https://HOST'"
        )
    return envelope.site


def _id(post: Mapping[str, Any], name: str) -> str:
    number = _whole(post, name)
    if number is None:
        raise PayloadError(f"the post has no `{name}`")
    if number < 1:
        raise PayloadError(f"the post's `{name}` is not a positive number")
    return str(number)


def _whole(post: Mapping[str, Any], name: str) -> int | None:
    """A whole number, also where it comes as a string; None where it is missing or null."""
    value = post.get(name)
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= _BIGGEST:
        raise PayloadError(f"the post's `{name}` is not a whole number")
    return value


def _string(post: Mapping[str, Any], name: str) -> str | None:
    value = post.get(name)
    return (clean(value) or None) if isinstance(value, str) else None


def _text(post: Mapping[str, Any]) -> str:
    """What the author typed; older versions of Discourse send only the HTML made from it."""
    for name in ("raw", "cooked"):
        value = post.get(name)
        if value is not None and not isinstance(value, str):
            raise PayloadError(f"the post's `{name}` is not text")
        if value and value.strip():
            return clean(value) if name == "raw" else clean(plain_text(value))
    return ""


def _url(site: Site, post: Mapping[str, Any], topic: str) -> str | None:
    """`post_url` starts at the host's root, sub-folder included; a link to another host is not believed."""
    if (given := _string(post, "post_url")) and (url := site.link(given)):
        return url
    path = re.sub(r"[^\w%-]", "", _string(post, "topic_slug") or "") or "-"
    number = _whole(post, "post_number")
    return f"{site.base}/t/{path}/{topic}" + (f"/{number}" if number else "")


def _time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return None if moment is None else moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _metrics(post: Mapping[str, Any]) -> dict[str, int | float]:
    found: dict[str, int | float] = {}
    for name in _METRICS:
        value = post.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if abs(value) < _BIGGEST:  # which no infinity and no NaN is
            found[name] = value
    return found


def _is_own(accounts: frozenset[str], user: int | None, handle: str | None) -> bool:
    """Digits mean a user id and nothing else: anyone may call themselves "42"."""
    for account in accounts:
        if account.isascii() and account.isdecimal():
            if user is not None and account == str(user):
                return True
        elif handle and account.removeprefix("@").casefold() == handle.casefold():
            return True
    return False


_topic = _ignore("a topic's first post comes by itself", keep_raw=False)
_solved = _ignore("solutions accepted in the forum are not acted on", keep_raw=False)
_personal = _ignore("it is about an account, not something said in public", keep_raw=False)

HANDLERS: dict[str, Handler] = {
    "post_created": _said,
    "post_edited": _said,
    "post_destroyed": _destroyed,
    "post_recovered": _recovered,
    "ping": _ignore("Discourse tests the address"),
    "topic": _topic,
    "topic_created": _topic,
    "topic_edited": _topic,
    "topic_destroyed": _topic,
    "topic_recovered": _topic,
    "post_liked": _ignore("a like says nothing", keep_raw=False),
    "like": _ignore("a like says nothing", keep_raw=False),
    "accepted_solution": _solved,
    "unaccepted_solution": _solved,
    "solved": _solved,
}
"""What is done with each event; `_FAMILIES` answers for the rest by the word that the event's name begins with."""

_FAMILIES: dict[str, Handler] = {
    "topic": _topic,
    "user": _personal,
    "notification": _personal,
    "reviewable": _personal,
    "flag": _personal,
    "chat": _personal,
    "group": _personal,
    "queued": _personal,
}
