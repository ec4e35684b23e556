"""One X account: asked for mentions and a search, asked again whether posts are still there, and answered from.

Nothing here imports tweepy before X is called. X's API: https://docs.x.com/x-api/introduction
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel

from connectors.core.errors import (
    MisconfiguredError,
    PayloadError,
    RejectedError,
    RemoteError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.health import TokenHealth, TokenState
from connectors.core.identity import digest
from connectors.core.models import Mention
from connectors.core.ports import Page, Rechecked, Reference, Tier
from connectors.http import HttpClient
from connectors.x import tokens
from connectors.x.payloads import Event, gone, read
from connectors.x.problems import LimitedError, StaleError
from connectors.x.settings import XCredentials, XSource
from connectors.x.streams import Position, Stream
from connectors.x.values import clean, first_id, id_at, ident, mapping, mappings
from connectors.x.wording import LONGEST, links, weight

if TYPE_CHECKING:
    from connectors.core.ports import Checker, Rechecker, Refresher, Replier, SourcePoller
    from connectors.x.client import Client

log = logging.getLogger(__name__)

AGAIN = 60.0
"""Seconds between two polls; the administrator's `Poll` counts where it is longer."""
MORE = 5.0
"""Seconds between two pages of one long walk: X allows a question of a kind 300 times in 15 minutes."""
_PAGE = 100
_SEARCH_REACH = 7 * 86_400_000 - 120_000
"""Milliseconds that recent search looks back: seven days, less for clocks that differ."""
_PAUSE = 900.0
_LONGEST_FAULT = 200
_NO_POST = "1"
"""X began to number at 20: a look-up of this post is answered, and costs nothing, because nothing comes back."""
_ASKED = {
    "tweet_fields": [
        "author_id",
        "conversation_id",
        "created_at",
        "edit_history_tweet_ids",
        "entities",
        "in_reply_to_user_id",
        "lang",
        "note_tweet",
        "public_metrics",
        "referenced_tweets",
    ],
    "expansions": ["author_id"],
    "user_fields": ["id", "name", "protected", "public_metrics", "username"],
}


class XAccount:
    """Satisfies `SourcePoller`, `Rechecker`, `Checker`, `Refresher` and `Replier`. Safe to share between threads."""

    settings_model: ClassVar[type[BaseModel]] = XSource
    credentials_model: ClassVar[type[BaseModel]] = XCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = XCredentials
    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = False
    """X has no idempotency key, and a post carries no mark that readers do not see."""
    settle: ClassVar[float] = 30.0
    recheck_within: ClassVar[int] = 20 * 3600
    """Seconds. X wants a deleted post gone within 24 hours; this leaves four for the sweep itself."""
    recheck_batch: ClassVar[int] = 100

    def __init__(self, settings: XSource, credentials: XCredentials, http: HttpClient) -> None:
        self._settings, self._credentials, self._http = settings, credentials, http

    def poll(self, cursor: str | None) -> Page:
        """One page of each question. The first poll asks nothing and costs nothing: it starts from now.

        Where one question is refused and another answered, the answered one goes on and the other pauses."""
        now = _now()
        position = Position.read(cursor, self._questions, now)
        if cursor is None:
            return Page((), position.write(), AGAIN, health=None)
        events: list[Event] = []
        spent = {"post_read": 0, "user_read": 0}
        answered, refusal = 0, None
        for name, ask in self._questions.items():
            stream = position.streams[name]
            if now < stream.not_before:
                continue
            try:
                earliest = id_at(now - _SEARCH_REACH) if name.startswith("search:") else 0
                body = self._walk(stream, ask, earliest)
            except RemoteError as error:
                stream.not_before = now + int(_pause(error) * 1000)
                if not isinstance(error, UnavailableError):
                    stream.fault, stream.token = f"{error}"[:_LONGEST_FAULT], getattr(error, "token", None) or ""
                refusal = refusal or error
                log.warning("x: one of this source's questions was refused: %s", error)
                continue
            answered += 1
            stream.fault = stream.token = ""
            self._take(body, stream, position, now, events, spent)
        if refusal and not answered:
            raise refusal
        open_walk = any(stream.page and now >= stream.not_before for stream in position.streams.values())
        cost = {unit: count for unit, count in spent.items() if count}
        again, told = MORE if open_walk else AGAIN, _told(position, asked=answered > 0)
        return Page(tuple(events), position.write(), again, cost, *told)

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        """Which of at most 100 posts are deleted, or not public any more. Each that is still there costs a read."""
        wanted = [one for one in native_ids if ident(one) == one][: self.recheck_batch]
        if not wanted:
            return Rechecked(())
        client, as_user = self._reader
        body = _object(client.get_tweets(wanted, user_auth=as_user))
        there = {found for post in mappings(body.get("data")) if (found := ident(post.get("id")))}
        missing = [one for one in gone(body, _now()) if one.native_id in wanted and one.native_id not in there]
        return Rechecked(tuple(missing), {"post_read": len(there)} if there else {})

    def check(self) -> TokenHealth:
        """Tries the reading and the answering credentials out, at no cost. Never raises a RemoteError."""
        given = self._credentials
        if given.oauth2 and not given.renewable and given.expires_at is not None:
            if given.expires_at <= _now():
                return TokenHealth(TokenState.EXPIRED, "X's access token has run out, and there is no refresh_token")
            return TokenHealth(TokenState.EXPIRING, "X's access token has no refresh_token", given.expires_at)
        try:
            self._try(*self._reader)
            if given.access_token is not None:
                level = self._try(*self._writer)
                if level and "write" not in level:
                    return TokenHealth(TokenState.SCOPE_MISSING, "the token may read at X and not write; grant it more")
        except LimitedError as error:
            wait = AGAIN if error.retry_after is None else error.retry_after
            return TokenHealth(TokenState.LIMITED, f"{error}", _now() + int(wait * 1000))
        except MisconfiguredError as error:
            return TokenHealth(error.token or TokenState.TRANSIENT, f"{error}")
        except RemoteError as error:
            return TokenHealth(TokenState.TRANSIENT, f"{error}")
        return TokenHealth(TokenState.OK)

    def refresh_due(self, now: int) -> bool:
        """See `Refresher`."""
        return tokens.due(self._credentials, now)

    def refresh(self, now: int) -> Mapping[str, object]:
        """See `Refresher`. The old refresh token is spent with it."""
        return tokens.renew(self._settings.api_url, self._credentials, self._http, now)

    def units(self, mention: Mention, text: str) -> Mapping[str, int]:
        """What this answer costs. https://docs.x.com/x-api/getting-started/pricing"""
        if links(text):
            return {"create_with_url": 1}
        return {"summoned_reply": 1} if mention.reply_capability in {"allowed", "needs_approval"} else {"create": 1}

    def reply(self, mention: Mention, text: str, key: str) -> Reference:  # noqa: ARG002 - X has nowhere to keep a key
        """Post an answer under the mention. What X would refuse is refused before it is asked."""
        said = clean(text)
        self._permitted(mention, said)
        if self._credentials.access_token is None:
            raise MisconfiguredError(
                "the secret holds no token of the account that answers; see the connector's README",
                TokenState.SCOPE_MISSING,
            )
        client, as_user = self._writer
        answer = client.create_tweet(in_reply_to_tweet_id=_latest(mention), text=said, user_auth=as_user)
        made = first_id(mapping(mapping(answer).get("data")), "id")
        if made is None:
            raise UnknownOutcomeError("X took an answer without saying which post it became")
        handle = self._settings.handle[0] if self._settings.handle else "i"
        return Reference(made, f"https://x.com/{handle}/status/{made}")

    def find_reply(self, mention: Mention, key: str) -> Reference | None:  # noqa: ARG002
        """Never found (`findable`): an answer of unknown outcome waits for a person."""
        return None

    def _permitted(self, mention: Mention, text: str) -> None:
        """Raises RejectedError with a sentence for the agent."""
        where = f"answer it by hand: {mention.url}" if mention.url else "answer it by hand"
        asking = (
            self._settings.replies == "approval" and mention.reply_capability == "allowed"
        )  # kept before it was set
        if asking or mention.reply_capability == "needs_approval":
            raise RejectedError(f"X has to approve answers written by an AI first, and has not yet; {where}")
        if mention.reply_capability != "allowed":
            raise RejectedError(f"X lets an app answer only where the author mentioned or quoted us; {where}")
        found = links(text)
        if found and self._settings.links == "refuse":
            raise RejectedError(
                "this source takes no links in answers (Links: refuse), because X charges 13 times as much for them; "
                f"take {len(found)} out"
            )
        if (long := weight(text)) > LONGEST:
            raise RejectedError(f"X counts {long} characters, of {LONGEST} that an answer may have; shorten it")

    def _walk(self, stream: Stream, ask: Callable[[int, str | None], Any], earliest: int) -> Mapping[str, Any]:
        """The next page of a stream; a walk whose token X has forgotten begins anew."""
        try:
            return _object(ask(stream.begin(earliest), stream.page))
        except StaleError:
            if stream.page is None:
                raise MisconfiguredError("X answered 400: it does not take this question; check Search") from None
            stream.restart()
            return _object(ask(stream.begin(earliest), None))

    def _take(
        self,
        body: Mapping[str, Any],
        stream: Stream,
        position: Position,
        now: int,
        events: list[Event],
        spent: dict[str, int],
    ) -> None:
        """Keep what a page brings: what is new of it as events, oldest first, and what it costs."""
        data, meta = body.get("data"), mapping(body.get("meta"))
        posts = {found: post for post in mappings(data) if (found := ident(post.get("id")))}
        following = meta.get("next_token")
        page = following if isinstance(following, str) and following else None
        fresh, charged = stream.took(posts, page, now, position.seen_beside(stream))
        includes = mapping(body.get("includes"))
        users = [found for user in mappings(includes.get("users")) if (found := ident(user.get("id")))]
        spent["post_read"] += charged
        spent["user_read"] += position.charge_users(users, now)
        if fresh:
            try:
                events += read({"data": [posts[one] for one in fresh], "includes": includes}, self._settings.ours, now)
            except PayloadError as error:
                raise UnavailableError(f"X answered with something that it does not document: {error}") from None

    @cached_property
    def _questions(self) -> dict[str, Callable[[int, str | None], Any]]:
        """Each stream by a name that stays the same while its question does."""
        asked = {f"mentions:{account}": self._mentions_of(account) for account in self._settings.account}
        if self._settings.search:
            asked[f"search:{digest(self._settings.search)}"] = self._search_for(self._settings.search)
        return asked

    def _mentions_of(self, account: str) -> Callable[[int, str | None], Any]:
        def ask(above: int, page: str | None) -> Any:
            client, as_user = self._reader
            more = {"pagination_token": page} if page else {}
            return client.get_users_mentions(
                account, since_id=str(above), max_results=_PAGE, user_auth=as_user, **more, **_ASKED
            )

        return ask

    def _search_for(self, query: str) -> Callable[[int, str | None], Any]:
        def ask(above: int, page: str | None) -> Any:
            client, as_user = self._reader
            more = {"next_token": page} if page else {}
            return client.search_recent_tweets(
                query, since_id=str(above), max_results=_PAGE, user_auth=as_user, **more, **_ASKED
            )

        return ask

    def _try(self, client: Client, as_user: bool) -> str:
        """The access level that X shows in its answer, if it does."""
        answer = client.request("GET", "/2/tweets", params={"ids": _NO_POST}, user_auth=as_user)
        return answer.headers.get("x-access-level", "")

    @cached_property
    def _reader(self) -> tuple[Client, bool]:
        from connectors.x.client import reader

        return reader(self._settings.api_url, self._credentials, self._http)

    @cached_property
    def _writer(self) -> tuple[Client, bool]:
        from connectors.x.client import writer

        return writer(self._settings.api_url, self._credentials, self._http)


def _latest(mention: Mention) -> str:
    """The id of the newest edit, which stands in the address: X takes no answers to an older one."""
    found = re.search(r"/status/([0-9]{1,20})$", mention.url or "", re.ASCII)
    return found[1] if found and mention.version else mention.native_id


def _told(position: Position, *, asked: bool) -> tuple[str | None, TokenHealth | None]:
    """The fault of the questions that X refuses, and what all of it says of the credentials."""
    refused = {name: stream for name, stream in position.streams.items() if stream.fault}
    fault = "; ".join(f"{name.partition(':')[0]}: {stream.fault}" for name, stream in refused.items()) or None
    for stream in refused.values():
        if stream.token in set(TokenState):
            return fault, TokenHealth(TokenState(stream.token), stream.fault)
    return fault, TokenHealth(TokenState.OK) if asked else None


def _pause(error: RemoteError) -> float:
    if isinstance(error, UnavailableError):
        return AGAIN if error.retry_after is None else error.retry_after
    return _PAUSE


def _object(body: Any) -> Mapping[str, Any]:
    if isinstance(body, dict):
        return body
    raise UnavailableError("X answered with JSON that is not its API's; check ApiUrl")


def _now() -> int:
    return int(time.time() * 1000)


if TYPE_CHECKING:
    _POLLS: type[SourcePoller] = XAccount
    _RECHECKS: type[Rechecker] = XAccount
    _CHECKS: type[Checker] = XAccount
    _REFRESHES: type[Refresher] = XAccount
    _REPLIES: type[Replier] = XAccount
