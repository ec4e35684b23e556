"""The Bluesky source: what an AppView answers, what a repository holds, what Jetstream tells.

All of it is records, as their authors wrote them, with more or less around each.
https://docs.bsky.app/docs/advanced-guides/posts https://github.com/bluesky-social/jetstream#example-events
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Author, Deletion, Hint, Mention, Unsupported
from connectors.core.reading import dig

CONNECTOR = "bluesky"
POST = "app.bsky.feed.post"
REPOSTED = "app.bsky.feed.defs#reasonRepost"
_ADDRESSED = {"mention", "reply", "quote"}
"""Notifications about what somebody said."""
_ANSWERS = ("notifications", "posts", "feed", "records", "thread", "replies")
_REFERENCE = {"uri", "cid", "commit", "validationStatus"}
"""What names a post and says nothing of it: the answer to a write."""
_SHORT = {"c": "create", "u": "update", "d": "delete"}
"""As Jetstream's first version said it."""


class BlueskySource(reading.Settings):
    """`Account`: ours, DIDs or handles. `Search`: what is looked for besides. `ApiUrl`: the server with our account."""

    account: reading.Accounts = ()
    search: reading.Words = ()
    api_url: reading.Address = "https://bsky.social"


class _Told(NamedTuple):
    """A record in an answer or event: what is told of it, what stands around it, and when it was told (`at` and
    `version` in milliseconds)."""

    event: str
    uri: str | None = None
    record: object = None
    around: Any = None
    at: int = 0
    version: int = 0


class Bluesky:
    """One account's view of the network; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = BlueskySource

    def __init__(self, settings: BlueskySource) -> None:
        self._accounts = settings.account

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:  # noqa: ARG003
        """The whole network: ids are unique in it."""
        return cls(BlueskySource(account=tuple(accounts)))

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The events in an answer or a streamed event, oldest first. Raises `PayloadError`."""
        said = reading.json_of(delivery)
        if not isinstance(said, dict | list) or said == {}:
            raise PayloadError("the body is no answer or event of the AT Protocol")
        return self.read(said)

    def read(self, said: object) -> list[AnyEvent]:
        """The same for what is read already."""
        return sorted(map(self._event, _unpacked(said)), key=lambda event: getattr(event, "order", 0))

    def _event(self, told: _Told) -> AnyEvent:
        if told.uri and told.event == "delete":
            at = reading.moment(told.at, "ms")
            return Deletion(connector=CONNECTOR, native_id=told.uri, deleted_at=at, order=told.at)
        if told.uri and told.event == POST and isinstance(told.record, dict):
            return self._mention(told.uri, told.record, told)
        if told.uri and told.event == "strongRef" and f"/{POST}/" in told.uri:  # a post was written; not which
            return Hint(connector=CONNECTOR, event=told.event, native_id=told.uri)
        name = told.event or "unnamed"
        return Unsupported(connector=CONNECTOR, event=name, reason="not acted on", keep_raw=False)

    def _mention(self, uri: str, record: Any, told: _Told) -> Mention:
        did, key = uri.removeprefix("at://").split("/")[0], uri.rsplit("/", 1)[-1]
        author = reading.person(dig(told.around, "author"), "did", "handle", "displayName", "followersCount")
        author = author or Author(native_id=did)
        if author.handle == "handle.invalid":  # what the AppView says of one that it could not verify
            author = author.model_copy(update={"handle": None})
        own, parent = reading.is_own(self._accounts, author), reading.uri(dig(record, "reply", "parent", "uri"))
        embedded = dig(record, "embed", "record")
        quoted = reading.uri(dig(embedded, "uri") or dig(embedded, "record", "uri"))
        quoted = quoted if quoted and f"/{POST}/" in quoted else None  # a feed or a list may be embedded as well
        closed = own or dig(told.around, "viewer", "replyDisabled") is True
        return Mention(
            connector=CONNECTOR,
            native_id=uri,
            conversation_id=reading.uri(dig(record, "reply", "root", "uri")) or parent or uri,
            parent_id=parent,
            kind="reply" if parent else "quote" if quoted else "post",
            quoted_id=quoted,
            version=told.version,
            author=author,
            text=reading.text(dig(record, "text")) or "",
            language=reading.text(dig(record, "langs", 0), 20),
            url=reading.web(f"https://bsky.app/profile/{author.handle or did}/post/{key}"),
            created_at=reading.moment(dig(record, "createdAt")),
            metrics=reading.numbers(told.around, "replyCount", "repostCount", "likeCount", "quoteCount"),
            reply_capability="none" if closed else "allowed",
            own=own,
            order=told.at or reading.millis(reading.moment(dig(record, "createdAt"))),
            keep_raw=quoted is None,
        )


def _unpacked(said: Any) -> Iterator[_Told]:
    """Each record in it. What is not known has no name."""
    inner = [dig(said, name) for name in ("post", "parent", *_ANSWERS) if isinstance(dig(said, name), dict | list)]
    reason = dig(said, "reason")
    if isinstance(said, list):
        for one in said:
            yield from _unpacked(one)
    elif dig(said, "$type") == "message" and isinstance(dig(said, "payload"), dict):  # a frame of Jetstream's version 2
        yield from _unpacked(dig(said, "payload"))
    elif dig(said, "did") and isinstance(commit := dig(said, "commit") or _flat(said), dict):
        yield _committed(said, commit)
    elif isinstance(dig(said, "value", "post"), dict):  # an item of getPostThreadV2
        yield from _unpacked(dig(said, "value", "post"))
    elif inner and (dig(reason, "by") or dig(reason, "$type") == REPOSTED):  # in a feed, because of somebody else
        yield _Told("repost")
    elif inner:
        for one in inner:
            yield from _unpacked(one)
    else:
        record, uri = dig(said, "record") or dig(said, "value"), reading.uri(dig(said, "uri"))
        kind = dig(record, "$type") or (POST if f"/{POST}/" in (uri or "") and record else dig(said, "$type"))
        kind = reason if isinstance(reason, str) and reason not in _ADDRESSED else kind
        bare = isinstance(said, dict) and uri and said.keys() <= _REFERENCE
        empty = "strongRef" if bare else dig(said, "kind") or dig(said, "type")  # which Jetstream says
        name = reading.text(kind, 100) or reading.text(empty, 100) or ""
        yield _Told(name, uri, record, said, reading.millis(reading.moment(dig(said, "indexedAt"))))


def _committed(said: Any, commit: Any) -> _Told:
    """A change in a repository, as Jetstream tells it: the author is whose repository it is."""
    operation = reading.text(dig(commit, "operation")) or _SHORT.get(f"{dig(commit, 'type')}", "")
    collection = reading.text(dig(commit, "collection"), 100) or "commit"
    at = (reading.whole(dig(said, "time_us")) or 0) // 1000 or reading.millis(reading.moment(dig(said, "time")))
    uri = reading.uri(f"at://{dig(said, 'did')}/{collection}/{dig(commit, 'rkey')}")
    event = "delete" if (operation, collection) == ("delete", POST) else collection
    version = at if operation == "update" else 0
    return _Told(event, uri, dig(commit, "record"), None, max(0, at), max(0, version))


def _flat(said: Any) -> Any:
    """Version 2 of Jetstream has no `commit`: what was in it stands beside the `did`.
    https://github.com/bluesky-social/jetstream/blob/main/lexicons/network/bsky/jetstream/subscribeEvents.json"""
    return said if dig(said, "operation") and dig(said, "collection") else None
