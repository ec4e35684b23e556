"""Our account at Bluesky: who mentions, answers or quotes us, and what we answer.

An answer is a record in our own repository, under a key that is made of the answer's: a server takes each once.
https://docs.bsky.app/docs/category/http-reference https://atproto.com/specs/tid
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, ClassVar

from pydantic import BaseModel, Field, SecretStr

from connectors.api import Api, MissingError, Reset, posted
from connectors.bluesky.connector import CONNECTOR, POST, Bluesky, BlueskySource
from connectors.core import reading
from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError
from connectors.core.feeds import Listing, by_order, walk
from connectors.core.health import TokenHealth, TokenState
from connectors.core.models import AnyEvent, Author, Deletion, Hint, Mention
from connectors.core.ports import Page, Rechecked, Reference, Tier
from connectors.core.reading import dig
from connectors.http import HttpClient, Response
from connectors.oauth import Renewable

_AGAIN, _OVERLAP = 60.0, 3600.0
"""Seconds. Lists are ordered by the time that an author's app claims, at the latest by that of indexing."""
_LIFE = 5_400_000
"""Milliseconds for which a session is used; it lives for two hours."""
_MANY = 25
"""Posts, or profiles, that one call takes."""
_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
_FACET = "app.bsky.richtext.facet"
_LINK = re.compile(r"https?://[^\s<>\"]*[^\s<>\".,;:!?)\]]")


class BlueskyCredentials(Renewable):
    """The secret `<Secret>/credentials`: `{"identifier": …, "app_password": …}`. Hailback adds the rest."""

    identifier: str = Field(min_length=1, max_length=253)
    app_password: SecretStr = Field(min_length=1)
    did: str | None = None


class BlueskyAccount:
    """Satisfies `SourcePoller`, `SourceReplier`, `Rechecker`, `Resolver`, `Refresher` and `Checker`."""

    settings_model: ClassVar[type[BaseModel]] = BlueskySource
    credentials_model: ClassVar[type[BaseModel]] = BlueskyCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = BlueskyCredentials
    tier: ClassVar[Tier] = Tier.KEY
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 30.0
    recheck_within: ClassVar[int] = 86_400
    recheck_batch: ClassVar[int] = _MANY

    def __init__(self, settings: BlueskySource, credentials: BlueskyCredentials, http: HttpClient) -> None:
        token = credentials.bearer() if credentials.access_token else {}
        limit = Reset("ratelimit-reset", "unix", "ratelimit-remaining")
        self._api = Api(http, f"{settings.api_url}/xrpc", token, _dialect, limit, renewable=True)
        self._reads, self._settings, self._credentials = Bluesky(settings), settings, credentials
        self._us = credentials.did or credentials.identifier

    def poll(self, cursor: str | None) -> Page:
        """Who addresses us, our own posts (a person may have answered there), and what is looked for."""
        reasons = ["mention", "reply", "quote"]
        lists = {
            "notifications": self._list("notification.listNotifications", "notifications", reasons=reasons),
            "own": self._list("feed.getAuthorFeed", "feed", actor=self._us, filter="posts_with_replies"),
        }
        for term in self._settings.search:
            lists[f"search {term}"] = self._list("feed.searchPosts", "posts", q=term, sort="latest")
        now, rest = int(time.time() * 1000), lambda: self._api.rest
        page = walk(cursor, lists, now, again=_AGAIN, at=by_order, overlap=_OVERLAP, rest=rest, below=_below)
        return replace(page, events=self._known(page.events))

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        """Answer a post, under both its parent and the post that the thread began with."""
        if mention.reply_capability != "allowed":
            raise RejectedError("this post takes no answer")
        post = next(iter(self._posts([mention.native_id])), None)
        if post is None:
            raise RejectedError("the post is not there any more; it takes no answer")
        parent = {"uri": dig(post, "uri"), "cid": dig(post, "cid")}
        said = reading.clean(text)
        record = {
            "$type": POST,
            "text": said,
            "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "reply": {"root": dig(post, "record", "reply", "root") or parent, "parent": parent},
            "facets": list(_clickable(said, mention.author)),
        }
        written = {"repo": self._us, "collection": POST, "rkey": record_key(key), "record": record}
        return self._reference(posted(self._api.post("com.atproto.repo.createRecord", written), "uri"))

    def find_reply(self, mention: Mention, key: str) -> Reference | None:  # noqa: ARG002
        """The record under the answer's key. The server never makes a second one there."""
        query = {"repo": self._us, "collection": POST, "rkey": record_key(key)}
        try:
            return self._reference(posted(self._api.get("com.atproto.repo.getRecord", query), "uri"))
        except MissingError:
            return None

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        """Which posts nobody is shown any more: removed by their authors, or taken down."""
        there, now = [dig(post, "uri") for post in self._posts(native_ids)], int(time.time() * 1000)
        gone = [name for name in native_ids if name not in there]
        return Rechecked([Deletion(connector=CONNECTOR, native_id=name, order=now) for name in gone])

    def resolve(self, hint: Hint) -> Sequence[AnyEvent]:
        """The post that was only named."""
        gone = Deletion(connector=CONNECTOR, native_id=hint.native_id, order=int(time.time() * 1000))
        return self._reads.read(self._posts([hint.native_id])) or [gone]

    def check(self) -> TokenHealth:
        """See `Checker`."""
        return self._api.health("com.atproto.server.getSession")

    def refresh_due(self, now: int) -> bool:
        """See `Refresher`."""
        return self._credentials.due(now)

    def refresh(self, now: int) -> Mapping[str, object]:
        """A new session by the app password, which works as often as it likes to."""
        secret = self._credentials.app_password.get_secret_value()
        asked = {"identifier": self._credentials.identifier, "password": secret}
        try:
            session = replace(self._api, headers={}).post("com.atproto.server.createSession", asked, safe=True)
        except (MisconfiguredError, RejectedError) as error:
            raise MisconfiguredError(f"{error}: make a new app password", TokenState.REVOKED) from None
        token, did = reading.text(dig(session, "accessJwt")), reading.ident(dig(session, "did"))
        if token is None or did is None:
            raise UnavailableError("the server began a session without saying which")
        return self._credentials.document({"access_token": token, "did": did, "expires_at": now + _LIFE})

    def _list(self, path: str, name: str, **query: str | list[str]) -> Listing:
        def listing(after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
            said = self._api.get(f"app.bsky.{path}", {**query, "limit": 100, "cursor": after})
            if not isinstance(dig(said, name), list):
                raise MisconfiguredError("the server does not answer as Bluesky does; check ApiUrl")
            return self._reads.read(said), reading.text(dig(said, "cursor"), 500)

        return listing

    def _posts(self, uris: Sequence[str]) -> list[Any]:
        found = dig(self._api.get("app.bsky.feed.getPosts", {"uris": list(uris)}), "posts")
        if not isinstance(found, list):
            raise UnavailableError("the server did not say which posts there are")
        return found

    def _known(self, events: Sequence[AnyEvent]) -> list[AnyEvent]:
        """The same, with how many follow each author, where the server tells it now."""
        said = [event.author for event in events if isinstance(event, Mention) and event.author]
        dids, profiles = sorted({author.native_id for author in said}), list[Any]()
        with suppress(RemoteError):  # nothing else waits for this
            for start in range(0, len(dids), _MANY):
                asked = {"actors": dids[start : start + _MANY]}
                profiles += reading.listed(self._api.get("app.bsky.actor.getProfiles", asked), "profiles")
        followers = {f"{dig(one, 'did')}": reading.whole(dig(one, "followersCount")) for one in profiles}
        return [_followed(event, followers) for event in events]

    def _reference(self, uri: str) -> Reference:
        return Reference(uri, f"https://bsky.app/profile/{self._us}/post/{uri.rsplit('/', 1)[-1]}")


def _followed(event: AnyEvent, followers: Mapping[str, int | None]) -> AnyEvent:
    if not isinstance(event, Mention) or event.author is None:
        return event
    author = event.author.model_copy(update={"followers": followers.get(event.author.native_id)})
    return event.model_copy(update={"author": author})


def _below(cursor: str) -> int:
    """A list of notifications names its pages by a time; a search counts."""
    return reading.millis(reading.moment(cursor)) if "T" in cursor else 0


def record_key(key: str) -> str:
    """A record key as the protocol wants it, a time in microseconds and ten bits: always the same for a key, and of a
    year past, so that no answer is of the future."""
    number = int.from_bytes(sha256(key.encode()).digest()[:8], "big")
    number = ((1_672_531_200_000_000 + (number >> 10) % 31_536_000_000_000) << 10) | (number & 1023)
    return "".join(_DIGITS[number >> shift & 31] for shift in range(60, -1, -5))


def _clickable(text: str, author: Author | None) -> Iterator[dict[str, object]]:
    """The links in an answer, and whom it is for. Places are counted in bytes.
    https://docs.bsky.app/docs/advanced-guides/post-richtext"""
    found = [(link.span(), {"$type": f"{_FACET}#link", "uri": link[0]}) for link in _LINK.finditer(text)]
    if author and author.handle:
        name = re.compile(rf"@{re.escape(author.handle)}(?![\w-])", re.IGNORECASE)
        found += [(at.span(), {"$type": f"{_FACET}#mention", "did": author.native_id}) for at in name.finditer(text)]
    for (start, end), feature in found:
        place = {"byteStart": len(text[:start].encode()), "byteEnd": len(text[:end].encode())}
        yield {"index": place, "features": [feature]}


def _dialect(answer: Response) -> RemoteError | None:
    """What the AT Protocol says by name, under a status that says something else."""
    try:
        said = answer.json() if answer.status in {400, 401} else None
    except RemoteError:
        return None
    name = dig(said, "error")
    if name in {"ExpiredToken", "InvalidToken"}:
        return MisconfiguredError(f"{answer.host} does not take the session any more", TokenState.EXPIRED)
    if name == "RecordNotFound":
        return MissingError(f"{answer.host} has no such record")
    if "grapheme" in f"{dig(said, 'message')}":
        return RejectedError("Bluesky takes 300 characters at most; shorten the answer")
    return None
