"""Our account on Reddit: asked for what concerns it, and answered from.

Since November 2025 Reddit gives API access to new apps on approval only. https://www.reddit.com/dev/api/
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field, SecretStr, model_validator

from connectors import oauth
from connectors.api import Api, LimitedError, Reset, posted
from connectors.core import reading
from connectors.core.door import read_json
from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError, UndecidableError
from connectors.core.feeds import Listing, walk
from connectors.core.health import TokenHealth, TokenState
from connectors.core.models import AnyEvent, Deletion, Mention
from connectors.core.ports import Page, Rechecked, Reference, Tier
from connectors.core.reading import dig
from connectors.http import HttpClient, Response
from connectors.reddit.connector import Reddit, RedditSource

_AGAIN = 120.0
_ENTRY = {"USER_REQUIRED", "INVALID_GRANT", "BAD_CREDENTIALS"}


class RedditCredentials(oauth.Renewable):
    """The secret `<Secret>/credentials` of an approved app: with `refresh_token`, or of a *script* app with `username`
    and `password`."""

    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    refresh_token: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None

    @model_validator(mode="after")
    def _one_way_in(self) -> RedditCredentials:
        if self.refresh_token is None and (self.username is None or self.password is None):
            raise ValueError("refresh_token, or username and password, have to be there")
        return self


class RedditAccount:
    """Satisfies `SourcePoller`, `SourceReplier`, `Rechecker`, `Checker` and `Refresher`."""

    settings_model: ClassVar[type[BaseModel]] = RedditSource
    credentials_model: ClassVar[type[BaseModel]] = RedditCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = RedditCredentials
    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 60.0
    recheck_within: ClassVar[int] = 86_400
    recheck_batch: ClassVar[int] = 100

    def __init__(self, settings: RedditSource, credentials: RedditCredentials, http: HttpClient) -> None:
        self._http, self._settings, self._credentials = http, settings, credentials
        self._reads, self._name = Reddit(settings), settings.account[0].removeprefix("u/").removeprefix("@")
        # Reddit's rules ask for a name of this form: https://github.com/reddit-archive/reddit/wiki/API
        self._agent = {"User-Agent": f"aws-lambda:hailback:1 (by /u/{self._name})"}
        limit = Reset("x-ratelimit-reset", "seconds", "x-ratelimit-remaining")
        self._api = Api(http, settings.api_url, self._headers, _meant, reset=limit, renewable=True)

    def _headers(self) -> Mapping[str, str]:
        return self._agent | self._credentials.bearer()

    def poll(self, cursor: str | None) -> Page:
        """What came to our inbox, what we said ourselves (a person may have answered), and what we look for."""
        lists = {"inbox": self._list("message/inbox"), "own": self._list(f"user/{self._name}/comments")}
        lists["mentions"] = self._list("message/mentions")
        for place in self._settings.subreddits:
            lists[f"r/{place}"] = self._list(f"r/{place.removeprefix('r/')}/new")
        for term in self._settings.search:
            lists[f"search {term}"] = self._list("search", q=term, sort="new", type="link")
        now = int(time.time() * 1000)
        return walk(cursor, lists, now, again=_AGAIN, rest=lambda: self._api.rest)

    def _list(self, path: str, **query: str) -> Listing:
        def listing(after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
            said = self._api.get(path, {"limit": 100, "after": after, "raw_json": 1, **query})
            if not isinstance(dig(said, "data", "children"), list):
                raise UnavailableError("Reddit did not answer with a list; it is asked again")
            return self._reads.read(said, int(time.time() * 1000)), reading.text(dig(said, "data", "after"))

        return listing

    def reply(self, mention: Mention, text: str, key: str) -> Reference:  # noqa: ARG002
        """Comment below the post or the comment."""
        words = reading.clean(text)
        if mention.reply_capability != "allowed":
            raise RejectedError("this thread takes no answers: it is locked or archived")
        if len(words) > 10_000:
            raise RejectedError("Reddit takes at most 10,000 characters; shorten the answer")
        form = {"api_type": "json", "thing_id": mention.native_id, "text": words}
        made = dig(self._api.post("api/comment", form=form, query={"raw_json": 1}), "json", "data", "things", 0, "data")
        url = reading.text(dig(made, "permalink")) or ""
        native = posted(made, "name")
        return Reference(
            native, f"https://www.reddit.com{url}" if url.startswith("/r/") else f"{mention.url or native}"
        )

    def find_reply(self, mention: Mention, key: str) -> Reference | None:  # noqa: ARG002
        """A comment holds no mark. None where our account has answered this one nowhere since; else a person looks."""
        after, since = None, reading.millis(mention.created_at)
        for _ in range(10):
            events, after = self._list(f"user/{self._name}/comments")(after)
            ours = [one for one in events if isinstance(one, Mention)]
            if any(one.parent_id == mention.native_id for one in ours):
                raise UndecidableError("our account answered this; look whether with this answer")
            if after is None or min((reading.millis(one.created_at) for one in ours), default=since) < since:
                return None
        raise UndecidableError("our account said too much since to be looked through; look whether the answer is there")

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        """Which posts and comments say `[deleted]` or `[removed]` by now. One that is left out is not judged."""
        events, _ = self._list("api/info", id=",".join(native_ids))(None)
        gone = [one for one in events if isinstance(one, Deletion)]
        return Rechecked(gone, edited=[one for one in events if isinstance(one, Mention)])

    def check(self) -> TokenHealth:
        """Whether the access is our account's."""

        def judge(said: object) -> str | None:
            fits = f"{dig(said, 'name')}".casefold() == self._name.casefold()
            return None if fits else "the access is not for the user that Account names"

        return self._api.health("api/v1/me", judge=judge)

    def refresh_due(self, now: int) -> bool:
        """See `Refresher`."""
        return self._credentials.due(now)

    def refresh(self, now: int) -> Mapping[str, object]:
        """A day's token. https://github.com/reddit-archive/reddit/wiki/OAuth2"""
        own = self._credentials
        form = {"grant_type": "password", "username": own.username or ""}
        if own.refresh_token is not None:
            form = {"grant_type": "refresh_token", "refresh_token": own.refresh_token.get_secret_value()}
        elif own.password is not None:
            form["password"] = own.password.get_secret_value()
        basic = (own.client_id, own.client_secret.get_secret_value())
        try:
            return own.document(
                oauth.grant(self._http, self._settings.login_url, form, now, basic=basic, headers=self._agent)
            )
        except MisconfiguredError as error:
            said = f"{error}; Reddit lets new apps in on approval only"
            raise MisconfiguredError(said, error.token or TokenState.REVOKED) from None


def _meant(answer: Response) -> RemoteError | None:
    """Reddit refuses a comment in an answer of 200: `{"json": {"errors": [[code, words, field]]}}`."""
    try:
        said = read_json(answer.body) if answer.status < 500 else None
    except ValueError:
        return None
    code = reading.text(dig(said, "json", "errors", 0, 0), 40)
    if code == "RATELIMIT":
        seconds = dig(said, "json", "ratelimit")
        wait = float(seconds) if isinstance(seconds, int | float) and 0 < seconds < 86_400 else _said(said)
        return LimitedError("Reddit lets this account write less often", wait)
    if code in _ENTRY or dig(said, "error") == 401:
        return MisconfiguredError("Reddit asks for another login; renew the credentials", TokenState.EXPIRED)
    if code is not None:
        return RejectedError(f"Reddit does not take this answer ({re.sub('[^A-Z_]', '', code) or 'no reason'})")
    return None


def _said(said: Any) -> float:
    """`you are doing that too much. try again in 9 minutes.`"""
    found = re.search(r"(\d{1,3}) (second|minute)", reading.text(dig(said, "json", "errors", 0, 1)) or "", re.ASCII)
    return 600.0 if found is None else float(found[1]) * (60 if found[2] == "minute" else 1) + 1
