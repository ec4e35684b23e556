"""Our channel: asked for the comments on its videos, and answered from.

What a call costs is counted by Google in units, 10,000 a day unless more was granted: a list costs 1, an answer 50.
https://developers.google.com/youtube/v3/determine_quota_cost
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, SecretStr

from connectors import google, oauth
from connectors.api import Api, LimitedError, posted
from connectors.core import reading
from connectors.core.errors import RejectedError, RemoteError, UnavailableError, UndecidableError
from connectors.core.feeds import by_order, walk
from connectors.core.health import TokenHealth
from connectors.core.models import AnyEvent, Deletion, Mention
from connectors.core.ports import Page, Rechecked, Reference, Tier
from connectors.core.reading import dig
from connectors.http import HttpClient, Response
from connectors.youtube.connector import CONNECTOR, YouTube, YouTubeSource

_AGAIN = 300.0
_SHOWN = 5
"""Replies that a thread is shown with."""
_PAGES = 10
_COUNTED = 300
"""Threads with more replies than are shown, whose number of replies is kept."""
_CONTENT = {"commentsDisabled", "videoNotFound", "parentCommentNotFound", "parentCommentIsPrivate"}


class YouTubeCredentials(oauth.Renewable):
    """The secret `<Secret>/credentials`: a user's grant with the scope `youtube.force-ssl`, for the channel that is
    `Account`."""

    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    refresh_token: SecretStr = Field(min_length=1)


class YouTubeAccount:
    """Satisfies `SourcePoller`, `SourceReplier`, `Rechecker`, `Checker` and `Refresher`."""

    settings_model: ClassVar[type[BaseModel]] = YouTubeSource
    credentials_model: ClassVar[type[BaseModel]] = YouTubeCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = YouTubeCredentials
    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 60.0
    recheck_within: ClassVar[int] = 86_400
    recheck_batch: ClassVar[int] = 50

    def __init__(self, settings: YouTubeSource, credentials: YouTubeCredentials, http: HttpClient) -> None:
        self._http, self._settings, self._credentials = http, settings, credentials
        self._api = Api(http, settings.api_url, credentials.bearer, _meant, renewable=True)
        self._reads, self._counts = YouTube(settings), dict[str, int]()

    def poll(self, cursor: str | None) -> Page:
        """The newest threads on all videos of our channel. A thread is listed by when it began: what is said in an
        older one is seen while that is among the latest hundred. The cursor also says how many replies threads had."""
        before, self._counts = json.loads(cursor) if cursor else (None, {})
        page = walk(before, {"comments": self._threads}, int(time.time() * 1000), again=_AGAIN, at=by_order)
        return replace(page, cursor=json.dumps([page.cursor, dict(list(self._counts.items())[-_COUNTED:])]))

    def _threads(self, after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
        asked = {"allThreadsRelatedToChannelId": self._settings.account[0], "order": "time", "pageToken": after}
        said = self._list("commentThreads", "snippet,replies", asked)
        events, counts = list(self._reads.read(said)), dict[str, int]()
        for thread in reading.listed(dig(said, "items")):
            name, count = reading.ident(dig(thread, "id")), reading.whole(dig(thread, "snippet", "totalReplyCount"))
            if name and count and count > _SHOWN:
                events += [] if self._counts.get(name) == count else self._replies(name, _PAGES)[0]
                counts[name] = count
        self._counts = {name: count for name, count in self._counts.items() if name not in counts} | counts
        return events, reading.text(dig(said, "nextPageToken"))

    def _list(self, what: str, part: str, asked: Mapping[str, Any]) -> Any:
        said = self._api.get(what, {"part": part, "maxResults": 100, "textFormat": "plainText", **asked})
        if not isinstance(dig(said, "items"), list):
            raise UnavailableError("YouTube did not answer with a list; it is asked again")
        return said

    def reply(self, mention: Mention, text: str, key: str) -> Reference:  # noqa: ARG002
        """Reply in the comment's thread; YouTube knows one level of replies only."""
        if mention.reply_capability != "allowed":
            raise RejectedError("this comment takes no reply")
        words = reading.clean(text)
        if len(words) > 10_000:
            raise RejectedError("YouTube takes at most 10,000 characters; shorten the answer")
        if mention.parent_id and mention.author and mention.author.handle:
            words = f"@{mention.author.handle} {words}"
        said = {"snippet": {"parentId": mention.conversation_id, "textOriginal": words}}
        native = posted(self._api.post("comments", said, query={"part": "snippet"}), "id")
        return Reference(native, _address(mention, native))

    def find_reply(self, mention: Mention, key: str) -> Reference | None:  # noqa: ARG002
        """A comment holds no mark. None where we said nothing in the thread since; else a person has to look."""
        found, whole = self._replies(mention.conversation_id, _PAGES)
        since = reading.millis(mention.created_at)
        if not whole or any(one.own and reading.millis(one.created_at) >= since for one in found):
            raise UndecidableError("our channel may have replied in this thread; look whether with this answer")
        return None

    def _replies(self, thread: str, pages: int) -> tuple[list[Mention], bool]:
        """The replies in a thread, and whether these are all."""
        found, after = list[Mention](), None
        for _ in range(pages):
            said = self._list("comments", "snippet", {"parentId": thread, "pageToken": after})
            found += [one for one in self._reads.read(said) if isinstance(one, Mention)]
            after = reading.text(dig(said, "nextPageToken"))
            if after is None:
                return found, True
        return found, False

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        """Which comments are gone: they are left out of the answer. Others come as they stand, edited or not."""
        said = self._list("comments", "snippet", {"id": ",".join(native_ids), "maxResults": None})
        if dig(said, "kind") != "youtube#commentListResponse":
            raise UnavailableError("YouTube did not answer with comments; it is asked again")
        known, now = {reading.ident(dig(one, "id")) for one in dig(said, "items")}, int(time.time() * 1000)
        gone = [Deletion(connector=CONNECTOR, native_id=name, order=now) for name in native_ids if name not in known]
        return Rechecked(gone, edited=[one for one in self._reads.read(said) if isinstance(one, Mention)])

    def check(self) -> TokenHealth:
        """Whether the grant is for the channel that is `Account`; costs a unit."""
        ours = self._settings.account[0]

        def judge(said: object) -> str | None:
            fits = ours in [dig(one, "id") for one in reading.listed(dig(said, "items"))]
            return None if fits else "the grant is not for the channel that Account names"

        return self._api.health("channels", {"part": "id", "mine": True}, judge)

    def refresh_due(self, now: int) -> bool:
        """See `Refresher`."""
        return self._credentials.due(now)

    def refresh(self, now: int) -> Mapping[str, object]:
        """An hour's token for the grant. https://developers.google.com/identity/protocols/oauth2/web-server#offline"""
        own = self._credentials
        form = {
            "grant_type": "refresh_token",
            "client_id": own.client_id,
            "client_secret": own.client_secret.get_secret_value(),
            "refresh_token": own.refresh_token.get_secret_value(),
        }
        return own.document(oauth.grant(self._http, self._settings.login_url, form, now))


def _meant(answer: Response) -> RemoteError | None:
    """https://developers.google.com/youtube/v3/docs/errors: a 403 may be the quota, and a 400 or 403 this comment."""
    reason = google.reason(answer)
    if reason in google.DAILY:
        return LimitedError("YouTube's quota for today is used up", _until_midnight())
    if reason in google.SLOWER or reason == "processingFailure":
        return LimitedError("YouTube asks to come back later", 60.0)
    if reason in _CONTENT:
        return RejectedError("the comment cannot be answered: comments there are off, or it is not there any more")
    return None


def _until_midnight() -> float:
    """The quota begins anew at midnight, Pacific Time."""
    now = datetime.now(ZoneInfo("America/Los_Angeles"))
    return ((now + timedelta(days=1)).replace(hour=0, minute=1, second=0) - now).total_seconds()


def _address(mention: Mention, native_id: str) -> str:
    return re.sub(r"&lc=.*", f"&lc={native_id}", mention.url or f"https://www.youtube.com/?lc={native_id}")
