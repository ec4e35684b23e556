"""The Slack source: what Slack's Events API delivers, and what its Web API answers about messages.

A message is known by its channel and its `ts`, which is also the time when it was said.
https://docs.slack.dev/apis/events-api/ https://docs.slack.dev/reference/events/message/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, Field

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Author, Deletion, Mention, Unsupported
from connectors.core.reading import dig, listed
from connectors.core.signature import form_fields
from connectors.slack.words import words

CONNECTOR, ANSWER = "slack", "hailback_answer"
_SAID = {None, "bot_message", "file_share", "file_comment", "me_message", "thread_broadcast", "reply_broadcast"}
"""Subtypes of a message that somebody wrote; the others tell what happened in the channel."""
_FORMS = {
    "payload": "interaction",
    "command": "slash_command",
    "ssl_check": "ssl_check",
    "trigger_word": "outgoing_webhook",
}
"""What comes as a form, by a field that it has."""
_TS = re.compile(r"[0-9]{1,11}\.[0-9]{1,9}", re.ASCII)
_NAMES = (("user_profile", "display_name"), ("user_profile", "real_name"), ("username",), ("bot_profile", "name"))


class AnyWorkspace(reading.Settings):
    """What `hailback parse` knows of a workspace: perhaps nothing."""

    team: Annotated[str, Field(pattern=r"^[TE][A-Z0-9]{1,40}$")] | None = None
    workspace: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,80}(\.enterprise)?$")] | None = None
    account: reading.Accounts = ()
    channels: reading.Words = ()
    api_url: reading.Address = "https://slack.com/api"


class SlackSource(AnyWorkspace):
    """`Team`: the workspace's id. `Workspace`: acme of acme.slack.com, for addresses of messages. `Account`: our user,
    bot or app ids. `Channels`: ids of those that are asked what the webhook missed."""

    team: Annotated[str, Field(pattern=r"^[TE][A-Z0-9]{1,40}$")]


class _Told(NamedTuple):
    """One message, or what happened to one; `around` is the delivery or the page that it came in."""

    event: Mapping[str, Any]
    around: Mapping[str, Any]


class Slack:
    """One workspace; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = SlackSource

    def __init__(self, settings: AnyWorkspace) -> None:
        self._settings = settings

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:
        """`--authority` is the team's id, where a delivery does not say it."""
        return cls(AnyWorkspace(team=authority, account=tuple(accounts)))

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The events in a delivery, or in an answer of the Web API, oldest first. Raises `PayloadError`."""
        if delivery.body.lstrip()[:1] in (b"{", b"["):
            return self.read(reading.json_of(delivery), delivery.received_at)
        try:
            form = dict(form_fields(delivery.body))
        except ValueError as error:
            raise PayloadError(f"{error}") from None
        name = next((_FORMS[one] for one in _FORMS if one in form), None)
        if name is None:
            raise PayloadError("the body is neither an event nor a command of Slack's")
        return [_unsupported(name, "said to the app, not in the channel, or not signed")]

    def read(self, said: object, now: int = 0) -> list[AnyEvent]:
        """The same for what is read already; `now` in milliseconds, for what has no time. Raises `PayloadError`."""
        if dig(said, "ok") is False:
            return [_unsupported("error", "the API refused something")]
        told = list(_unpacked(said))
        if not told and not isinstance(dig(said, "messages"), list | dict) and said != []:
            raise PayloadError("the body is no event or answer of Slack's")
        return sorted((self._event(one, now) for one in told), key=lambda event: getattr(event, "order", 0))

    def _event(self, told: _Told, now: int) -> AnyEvent:
        event, around = told
        kind, subtype = _text(event, "type") or "message", _text(event, "subtype")
        channel = _channel(event) or _channel(around)
        where = _text(event, "channel_type") or _text(around, "channel_type")
        if where in {"im", "mpim", "app_home"} or (channel or "").startswith("D"):
            return _unsupported(f"message.{where or 'im'}", "a direct message")
        if kind not in {"message", "app_mention"}:
            return _unsupported(kind, "not acted on")
        at = time_in(event, "event_ts") or time_in(event, "ts")
        inner, before = dig(event, "message"), dig(event, "previous_message")
        changed = subtype == "message_changed" and isinstance(inner, dict)
        if changed and _text(inner, "subtype") == "tombstone":  # the first message of a thread, whose replies stay
            return self._deletion(told, channel, inner, at, now)
        if subtype in {"message_deleted", "tombstone"}:
            gone = {"ts": dig(event, "deleted_ts") or dig(before, "ts") or dig(event, "ts")}
            gone["thread_ts"] = dig(before, "thread_ts") or dig(event, "thread_ts")
            at = time_in(event, "event_ts") if subtype == "tombstone" else at
            return self._deletion(told, channel, gone, at, now)
        if subtype is None and isinstance(inner, dict) and "text" not in event:
            subtype = "message_replied"  # Slack leaves it out, as its documentation of this event says
        said = {**inner, "ts": dig(inner, "ts") or dig(before, "ts")} if changed else event
        spoken = kind == "app_mention" or (_text(said, "subtype") if changed else subtype) in _SAID
        if spoken and channel and _ts(dig(said, "ts")):
            return self._mention(told, said, channel, at)
        reason = "nobody said anything new" if channel else "it is not said in which channel"
        return _unsupported(f"{kind}.{subtype}" if subtype else kind, reason)

    def _deletion(self, told: _Told, channel: str | None, gone: object, at: float | None, now: int) -> AnyEvent:
        ts, when = _ts(dig(gone, "ts")), reading.moment(at)
        if channel is None or ts is None:
            return _unsupported("message.message_deleted", "it is not said which message")
        return Deletion(
            connector=CONNECTOR,
            authority=self._team(told),
            native_id=f"{channel}:{ts}",
            conversation_id=f"{channel}:{_ts(dig(gone, 'thread_ts')) or ts}",
            deleted_at=when,
            order=reading.millis(when) or now,
        )

    def _mention(self, told: _Told, said: Mapping[str, Any], channel: str, at: float | None) -> Mention:
        ts, root = _ts(dig(said, "ts")), _ts(dig(said, "thread_ts"))
        parent = root if root != ts else None
        author, made, edited = _author(said), time_in(said, "ts"), time_in(dig(said, "edited"), "ts")
        ids = [dig(said, one) for one in ("user", "bot_id", "app_id")]  # others may bear the same names
        own = any(one in self._settings.account for one in (*ids, dig(said, "bot_profile", "app_id")))
        shared = next((one for one in listed(said, "attachments") if dig(one, "channel_id") and dig(one, "ts")), None)
        quoted = reading.ident(f"{dig(shared, 'channel_id')}:{dig(shared, 'ts')}") if shared else None
        if edited is None and said is not told.event and _rewritten(told.event):
            edited = at
        answers = own and dig(said, "metadata", "event_type") == ANSWER
        return Mention(
            connector=CONNECTOR,
            authority=self._team(told),
            native_id=f"{channel}:{ts}",
            conversation_id=f"{channel}:{root or ts}",
            parent_id=parent,
            kind="reply" if parent else "quote" if quoted else "post",
            quoted_id=quoted,
            version=reading.millis(reading.moment(edited)),
            author=author,
            place=channel,
            text=words(said),
            url=self._address(said, channel, f"{ts}", parent),
            created_at=reading.moment(made),
            metrics=reading.numbers(said, "reply_count", "reply_users_count"),
            reply_capability="none" if own else "allowed",
            own=own,
            answer_key=reading.ident(dig(said, "metadata", "event_payload", "key")) if answers else None,
            order=reading.millis(reading.moment(at or edited or made)),
            keep_raw=quoted is None and "root" not in said,
        )

    def _address(self, said: object, channel: str, ts: str, root: str | None) -> str | None:
        if self._settings.workspace is None:
            return reading.web(dig(said, "permalink"))
        return permalink(self._settings.workspace, channel, ts, root)

    def _team(self, told: _Told) -> str | None:
        """The workspace. A channel that companies share is the same in both; what is said there bears our team's id."""
        if self._settings.team is not None:
            return self._settings.team
        event, around = told
        inside = (dig(event, "message"), dig(event, "previous_message"))
        where = (around, dig(around, "authorizations", 0), event, *inside)
        found = (dig(one, name) for one in where for name in ("team_id", "context_team_id", "team"))
        return next((team for one in found if (team := reading.ident(one))), None)


def permalink(workspace: str, channel: str, ts: str, root: str | None = None) -> str:
    """Where a person reads a message. https://docs.slack.dev/reference/methods/chat.getPermalink/"""
    thread = f"?thread_ts={root}&cid={channel}" if root else ""
    return f"https://{workspace}.slack.com/archives/{channel}/p{ts.replace('.', '')}{thread}"


def _unpacked(said: Any, around: Mapping[str, Any] | None = None) -> Iterator[_Told]:
    """Each event, or each message on a page, however it is wrapped."""
    holder: Mapping[str, Any] = around or (said if isinstance(said, dict) else {})
    if isinstance(said, list):
        for one in said:
            yield from _unpacked(one, around)
    elif isinstance(event := dig(said, "event"), dict):
        yield _Told(event, said)
    elif isinstance(dig(said, "payload"), dict) and dig(said, "type") == "events_api":  # as Socket Mode wraps it
        yield from _unpacked(dig(said, "payload"))
    elif found := listed(said, "messages") or listed(said, "messages", "matches"):
        yield from (_Told(one, holder) for one in found if isinstance(one, dict))
    elif dig(said, "ok") is True and isinstance(dig(said, "message"), dict):  # chat.postMessage, chat.update
        yield _Told({**said["message"], "ts": dig(said, "ts") or said["message"].get("ts")}, said)
    elif isinstance(said, dict) and (_text(said, "type") or (_ts(said.get("ts")) and "text" in said)):
        yield _Told(said, holder)


def _rewritten(change: Mapping[str, Any]) -> bool:
    """Whether a change that bears no time of an edit is one: a preview of a link changes a message, but no words."""
    before = dig(change, "previous_message")
    return isinstance(before, dict) and words(dig(change, "message")) != words(before)


def _author(said: object) -> Author | None:
    """A user, or a bot that is none."""
    native_id = reading.ident(dig(said, "user")) or reading.ident(dig(said, "bot_id"))
    name = next((found for way in _NAMES if (found := reading.text(dig(said, *way)))), None)
    handle = reading.text(dig(said, "user_profile", "name"))
    return Author(native_id=native_id, handle=handle, name=name or handle) if native_id else None


def _channel(holder: object) -> str | None:
    found = dig(holder, "channel") or dig(holder, "item", "channel")
    return reading.ident(dig(found, "id") or found)


def _ts(value: object) -> str | None:
    """A message's `ts`: seconds since 1970 with six decimals, as text."""
    return reading.ident(f"{value:.6f}" if isinstance(value, float) else value)


def time_in(holder: object, name: str) -> float | None:
    """A `ts` as seconds since 1970."""
    found = _ts(dig(holder, name))
    return float(found) if found and _TS.fullmatch(found) else None


def _text(holder: object, name: str) -> str | None:
    return reading.text(dig(holder, name), 100)


def _unsupported(event: str, reason: str) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event, reason=reason, keep_raw=False)
