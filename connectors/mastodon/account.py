"""Our account on a Mastodon server: what mentions us, and what we answer.

Posts are named by their `uri`, but the API takes a server's own id. For a post of our server that is the end of its
`uri`; for any other our server is asked, by a search that resolves the address. https://docs.joinmastodon.org/methods/
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import BaseModel, Field, SecretStr

from connectors.api import Api, MissingError, Reset, posted
from connectors.core import reading
from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError, UndecidableError
from connectors.core.feeds import Listing, by_order, walk
from connectors.core.health import TokenHealth
from connectors.core.models import AnyEvent, Deletion, Mention
from connectors.core.ports import Page, Rechecked, Reference, Tier
from connectors.core.reading import dig
from connectors.http import HttpClient
from connectors.mastodon.connector import CONNECTOR, Mastodon, MastodonSource

_AGAIN = 60.0
_REMEMBERED = 3_000_000
"""Milliseconds for which we count on an idempotency key; Mastodon forgets it after an hour."""


class MastodonCredentials(reading.Credentials):
    """The secret `<Secret>/credentials`: `{"access_token": …}`, with the scopes `read` and `write:statuses`."""

    access_token: SecretStr = Field(min_length=1)


class MastodonAccount:
    """Satisfies `SourcePoller`, `SourceReplier`, `Rechecker` and `Checker`."""

    settings_model: ClassVar[type[BaseModel]] = MastodonSource
    credentials_model: ClassVar[type[BaseModel]] = MastodonCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = MastodonCredentials
    tier: ClassVar[Tier] = Tier.KEY
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 30.0
    recheck_within: ClassVar[int] = 86_400
    recheck_batch: ClassVar[int] = 20

    def __init__(self, settings: MastodonSource, credentials: MastodonCredentials, http: HttpClient) -> None:
        headers = {"Authorization": f"Bearer {credentials.access_token.get_secret_value()}"}
        limit = Reset("x-ratelimit-reset", "iso", "x-ratelimit-remaining")
        self._api, self._http = Api(http, settings.api_url, headers, reset=limit), http
        self._settings, self._reads, self._ids = settings, Mastodon(settings), dict[str, str]()

    def poll(self, cursor: str | None) -> Page:
        """Who mentions or quotes us, our own posts (a person may have answered there), and what is looked for."""
        lists = {"notifications": self._list("v1/notifications", **{"types[]": ["mention", "quote"]}), "own": self._own}
        for tag in self._settings.tags:
            lists[f"#{tag}"] = self._list(f"v1/timelines/tag/{quote(tag.removeprefix('#'), safe='')}")
        for term in self._settings.search:
            lists[f"search {term}"] = self._list("v2/search", "statuses", q=term, type="statuses")
        now = int(time.time() * 1000)
        page = walk(cursor, lists, now, again=_AGAIN, at=by_order, rest=lambda: self._api.rest)
        return replace(page, events=[self._rooted(one) if isinstance(one, Mention) else one for one in page.events])

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        """Answer a post where it can be read, and name its author, who would not be told otherwise."""
        if mention.reply_capability != "allowed":
            raise RejectedError("this post takes no answer")
        post = self._post(mention.native_id)
        if post is None:
            raise RejectedError("the post is not there any more; it takes no answer")
        at = f"@{dig(post, 'account', 'acct')}"
        said = {
            "status": reading.clean(text if text.casefold().startswith(at.casefold()) else f"{at} {text}"),
            "in_reply_to_id": dig(post, "id"),
            "visibility": dig(post, "visibility"),
        }
        answer = self._api.post("/api/v1/statuses", said, headers={"Idempotency-Key": key})
        return Reference(posted(answer, "uri"), reading.web(dig(answer, "url")) or self._settings.api_url)

    def find_reply(self, mention: Mention, key: str) -> Reference | None:  # noqa: ARG002
        """None while the key still tells: then the server returns the first answer. A post carries no mark, so an older
        answer of ours may be this one or another: for a person to look at."""
        post = self._post(mention.native_id)
        if post is None:
            return None
        below, me = self._api.get(f"/api/v1/statuses/{dig(post, 'id')}/context"), self._me()
        if not isinstance(dig(below, "descendants"), list):
            raise UnavailableError("the server did not say what was answered")
        for one in dig(below, "descendants"):
            ours = dig(one, "account", "id") == me and dig(one, "in_reply_to_id") == dig(post, "id")
            if ours and reading.millis(reading.moment(dig(one, "created_at"))) < time.time() * 1000 - _REMEMBERED:
                where = reading.web(dig(one, "url")) or "under the post"
                raise UndecidableError(f"there is an older answer of ours: look whether it is this one, {where}")
        return None

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        """Which posts are gone: their own server says so, not only ours, which may just not reach it."""
        found = {name: self._post(name) for name in native_ids}
        gone, now = (
            [name for name, post in found.items() if post is None and self._vanished(name)],
            int(time.time() * 1000),
        )
        self._ids |= {name: f"{dig(post, 'id')}" for name, post in found.items()}
        there = [event for post in found.values() if post for event in self._reads.read(post)]
        edited = [self._rooted(event) for event in there if isinstance(event, Mention) and event.version]
        return Rechecked([Deletion(connector=CONNECTOR, native_id=name, order=now) for name in gone], edited=edited)

    def check(self) -> TokenHealth:
        """See `Checker`."""
        return self._api.health("/api/v1/accounts/verify_credentials")

    def _list(self, path: str, *within: str, **query: str | list[str]) -> Listing:
        def listing(after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
            said = dig(self._api.get(f"/api/{path}", {**query, "limit": 40, "max_id": after}), *within)
            if not isinstance(said, list):
                raise MisconfiguredError("the server does not answer as Mastodon does; check ApiUrl")
            for post in [dig(one, "status") or one for one in said]:
                self._ids[f"{dig(post, 'uri')}"] = f"{dig(post, 'id')}"
            return self._reads.read(said), reading.ident(dig(said, -1, "id"))

        return listing

    def _own(self, after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
        return self._list(f"v1/accounts/{self._me()}/statuses", exclude_reblogs="true")(after)

    def _me(self) -> str:
        found = reading.ident(dig(self._api.get("/api/v1/accounts/verify_credentials"), "id"))
        if found is None:
            raise MisconfiguredError("the server does not answer as Mastodon does; check ApiUrl")
        return found

    def _rooted(self, mention: Mention) -> Mention:
        """An answer with the name of the post that its conversation began with, where the server tells it now."""
        here = self._ids.get(mention.native_id)
        if mention.parent_id is None or here is None or self._api.rest:
            return mention
        try:
            above = dig(self._api.get(f"/api/v1/statuses/{here}/context"), "ancestors", 0, "uri")
        except RemoteError:
            return mention
        return mention.model_copy(update={"conversation_id": reading.uri(above) or mention.conversation_id})

    def _post(self, name: str) -> Any | None:
        """The post of this name as our server has it; None where it does not."""
        here = name.rsplit("/", 1)[-1]
        if here.isdecimal() and here.isascii() and name.startswith(f"{self._settings.api_url}/"):
            with suppress(MissingError):
                post = self._api.get(f"/api/v1/statuses/{here}")
                if dig(post, "uri") == name:
                    return post
        asked = {"q": name, "type": "statuses", "resolve": "true"}
        found = dig(self._api.get("/api/v2/search", asked), "statuses")
        if not isinstance(found, list):
            raise UnavailableError("the server did not say which post it found")
        return next((post for post in found if dig(post, "uri") == name), None)

    def _vanished(self, name: str) -> bool:
        if not name.startswith(("https://", f"{self._settings.api_url}/")):
            return False
        try:
            asked = self._http.request("GET", name, headers={"Accept": "application/activity+json"}, handled={404, 410})
        except RemoteError:
            return False
        return asked.status in {404, 410}
