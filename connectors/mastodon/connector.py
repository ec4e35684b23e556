"""The Mastodon source: what a server that speaks Mastodon's API answers, streams, or sends its administrator.

A post is named by its `uri`, which is the same on every server; what it answers by the id that our server has for that.
https://docs.joinmastodon.org/entities/Status/ https://docs.joinmastodon.org/methods/streaming/#events
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import BaseModel

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.door import read_json
from connectors.core.errors import PayloadError
from connectors.core.html import plain_text
from connectors.core.models import AnyEvent, Author, Deletion, Mention, Unsupported
from connectors.core.reading import dig, listed

CONNECTOR = "mastodon"
_ADDRESSED = {"mention", "quote", "update"}
"""Notifications about what somebody said; `update`: about its edit."""
_POSTS = {"update", "status.update", "status.created", "status.updated"}
"""Streamed events, and an administrator's webhooks, that bring a post."""
_READABLE = {None, "public", "unlisted", "private", "local"}
"""`private` is for followers and for those whom it mentions, so for us; `local` (Pleroma) is for one server."""
_LISTS = ("ancestors", "statuses", "descendants")
_OF_A_POST = {"content", "visibility", "in_reply_to_id"}
_COUNTS = ("replies_count", "reblogs_count", "favourites_count", "quotes_count")


class MastodonSource(reading.Settings):
    """`ApiUrl`: our server. `Account`: ours there, ids or names. `Tags` and `Search`: what is looked for besides."""

    api_url: reading.Address
    account: reading.Accounts = ()
    tags: reading.Words = ()
    search: reading.Words = ()


class _Told(NamedTuple):
    """One thing in an answer: its event, what it is about, when it was told, and whether that is a post to be read."""

    event: str
    about: Any = None
    at: object = None
    post: bool = False


class Mastodon:
    """One account's view of the fediverse; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = MastodonSource

    def __init__(self, settings: MastodonSource) -> None:
        self._accounts = settings.account

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:  # noqa: ARG003
        """Any server: ids of posts need none."""
        return cls(MastodonSource(api_url="https://localhost", account=tuple(accounts)))

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The events in an answer or a streamed event, oldest first. Raises `PayloadError`."""
        said = reading.json_of(delivery)
        if not isinstance(said, dict | list) or said == {}:
            raise PayloadError("the body is no answer or event of Mastodon's API")
        return self.read(said, delivery.received_at)

    def read(self, said: object, now: int = 0) -> list[AnyEvent]:
        """The same for what is read already; `now` in milliseconds, for what does not say when it happened."""
        told = list(_unpacked(said))
        known = {reading.ident(dig(one.about, "id")): one.about for one in told if one.post}
        return sorted((self._event(one, known, now) for one in told), key=lambda event: getattr(event, "order", 0))

    def _event(self, told: _Told, known: Mapping[str | None, Any], now: int) -> AnyEvent:
        native_id, visible = _name(told.about), dig(told.about, "visibility")
        if told.event == "delete" and (removed := reading.ident(told.about)):
            return Deletion(connector=CONNECTOR, native_id=removed, order=now)
        if not told.post or native_id is None:
            reason = "a post without an id" if told.post else "not acted on"
        elif not isinstance(visible, str | None) or visible not in _READABLE:
            reason = "a private post"
        elif dig(told.about, "reblog"):
            reason = "a bare repost"
        else:
            return self._mention(native_id, told, known)
        return Unsupported(connector=CONNECTOR, event=told.event or "unnamed", reason=reason, keep_raw=False)

    def _mention(self, native_id: str, told: _Told, known: Mapping[str | None, Any]) -> Mention:
        post, quote = told.about, dig(told.about, "quote")
        author = reading.person(dig(post, "account"), "id", "acct", "display_name", "followers_count")
        own, parent = self._is_own(author, dig(post, "account", "url")), reading.ident(dig(post, "in_reply_to_id"))
        quoted = _name(dig(quote, "quoted_status")) or reading.ident(dig(quote, "quoted_status_id")) or _name(quote)
        created, edited = reading.moment(dig(post, "created_at")), reading.moment(dig(post, "edited_at"))
        markup = reading.text(dig(post, "content"))
        return Mention(
            connector=CONNECTOR,
            native_id=native_id,
            conversation_id=_root(post, known) or native_id,
            parent_id=parent,
            kind="reply" if parent else "quote" if quoted else "post",
            quoted_id=quoted,
            version=reading.millis(edited),
            author=author,
            title=reading.text(dig(post, "spoiler_text"), 500),
            text=reading.clean(plain_text(markup)) if markup else reading.text(dig(post, "text")) or "",
            language=reading.text(dig(post, "language"), 20),
            url=reading.web(dig(post, "url")),
            created_at=created,
            metrics=reading.numbers(post, *_COUNTS),
            reply_capability="none" if own else "allowed",
            own=own,
            order=reading.millis(reading.moment(told.at) or edited or created),
            keep_raw=quoted is None,
        )

    def _is_own(self, author: Author | None, url: object) -> bool:
        """A server leaves its own name out of its accounts'; the settings may have it."""
        if author is None or author.handle is None or "@" in author.handle:
            return reading.is_own(self._accounts, author)
        full = f"{author.handle}@{urlsplit(reading.web(url) or '').hostname}"
        return any(
            reading.is_own(self._accounts, Author(native_id=author.native_id, handle=one))
            for one in (author.handle, full)
        )


def _unpacked(said: Any) -> Iterator[_Told]:
    """Each thing in it. What is not known has no name."""
    name = reading.text(dig(said, "event") or dig(said, "type"), 100)
    if isinstance(said, list):
        for one in said:
            yield from _unpacked(one)
    elif groups := listed(said, "notification_groups"):  # GET /api/v2/notifications
        posts = {reading.ident(dig(post, "id")): post for post in listed(said, "statuses")}
        for group in groups:
            kind, at = dig(group, "type"), dig(group, "latest_page_notification_at")
            yield from _unpacked({"type": kind, "created_at": at, "status": posts.get(f"{dig(group, 'status_id')}")})
    elif any(isinstance(dig(said, one), list) for one in _LISTS) and not _OF_A_POST & said.keys():
        yield from map(_status, [post for one in _LISTS for post in listed(said, one)])
    elif name and dig(said, "event"):
        inner = _inner(dig(said, "object") or dig(said, "payload"))
        yield from _unpacked(inner) if name == "notification" else [_Told(name, inner, post=name in _POSTS)]
    elif name:
        yield _Told(name, dig(said, "status"), dig(said, "created_at"), name in _ADDRESSED)
    else:
        yield _status(said)


def _status(said: Any) -> _Told:
    """A post by itself, which somebody said: an announcement, a translation and a filter have no `account`."""
    return _Told("status", said, post=True) if dig(said, "account") and _OF_A_POST & said.keys() else _Told("")


def _inner(payload: Any) -> Any:
    """What an event is about: the stream packs it into a string once more."""
    try:
        return read_json(payload.encode()) if isinstance(payload, str) and payload.startswith("{") else payload
    except ValueError:
        return None


def _name(post: Any) -> str | None:
    """What a post is called everywhere; servers that are not Mastodon's may leave the `uri` out."""
    return reading.uri(dig(post, "uri")) or reading.uri(dig(post, "url")) or reading.ident(dig(post, "id"))


def _root(post: Any, known: Mapping[str | None, Any]) -> str | None:
    """Where its conversation began, as far up as is known here; beyond that, our server's id of what it answers."""
    for _ in known:
        parent = reading.ident(dig(post, "in_reply_to_id"))
        if parent is None or parent not in known:
            return parent or _name(post)
        post = known[parent]
    return None
