"""Our profile: asked for what is said below its posts and about it, and answered from.

An answer is made in two steps: a container, and its publication. https://developers.facebook.com/docs/threads/posts
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import ClassVar

from pydantic import BaseModel

from connectors import graph
from connectors.api import MissingError, posted
from connectors.core import reading
from connectors.core.errors import RejectedError, RemoteError, UnavailableError, UnknownOutcomeError
from connectors.core.feeds import Listing, walk
from connectors.core.health import TokenHealth
from connectors.core.models import AnyEvent, Mention
from connectors.core.ports import Page, Rechecked, Reference, Tier
from connectors.core.reading import dig
from connectors.http import HttpClient
from connectors.threads.connector import CONNECTOR, Threads, ThreadsSource

_AGAIN, _LONGEST, _LOOKS = 600.0, 500, 5
_POST = "id,text,username,permalink,timestamp,media_type,has_replies,is_quote_post,quoted_post,reposted_post"
_REPLY = f"{_POST},root_post,replied_to,is_reply"
_BELOW = f"{_REPLY},is_reply_owned_by_me,hide_status"


class ThreadsAccount:
    """Satisfies `SourcePoller`, `SourceReplier`, `Rechecker`, `Checker` and `Refresher`."""

    settings_model: ClassVar[type[BaseModel]] = ThreadsSource
    credentials_model: ClassVar[type[BaseModel]] = graph.Token
    replier_credentials_model: ClassVar[type[BaseModel]] = graph.Token
    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 60.0
    recheck_within: ClassVar[int] = 86_400
    recheck_batch: ClassVar[int] = 20

    def __init__(self, settings: ThreadsSource, credentials: graph.Token, http: HttpClient) -> None:
        self._http, self._settings, self._token = http, settings, credentials
        self._api = graph.Graph(http, settings.api_url, credentials)

    def _reads(self) -> Threads:
        return Threads.for_parse((*self._settings.account, *self._api.ourselves("me")))

    def poll(self, cursor: str | None) -> Page:
        """Our posts and our answers with what is said below, who mentions us, and what is looked for."""
        reads = self._reads() if cursor else Threads(self._settings)
        mentions = self._api.listing("me/mentions", {"fields": _REPLY}, reads.read)
        lists = {"mentions": mentions, "replies": self._own("replies", _REPLY, "replies", reads)}
        lists["threads"] = self._own("threads", _POST, "conversation", reads)
        terms = [("KEYWORD", one) for one in self._settings.search] + [("TAG", one) for one in self._settings.tags]
        for mode, term in terms:
            asked = {"q": term.removeprefix("#"), "search_mode": mode, "search_type": "RECENT", "fields": _REPLY}
            lists[f"{mode.lower()} {term}"] = self._api.listing("keyword_search", asked, reads.read)
        return walk(cursor, lists, int(time.time() * 1000), again=_AGAIN, rest=lambda: self._api.rest)

    def _own(self, what: str, fields: str, below: str, reads: Threads) -> Listing:
        def listing(after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
            found, following = self._api.page(f"me/{what}", {"fields": fields, "limit": 20, "after": after})
            for name in [reading.ident(dig(one, "id")) for one in found if dig(one, "has_replies") is True]:
                with suppress(MissingError):
                    found += self._api.page(f"{name}/{below}", {"fields": _BELOW, "limit": 100})[0]
            return reads.read(found), following

        return listing

    def reply(self, mention: Mention, text: str, key: str) -> Reference:  # noqa: ARG002
        """Answer a post. A container becomes one post at most, and says whether it has: it can be published again."""
        if mention.reply_capability != "allowed":
            raise RejectedError("this post takes no answer")
        words = reading.clean(text)
        # Emojis count as their bytes. https://developers.facebook.com/documentation/threads/posts
        if sum(4 if character > "\uffff" else 1 for character in words) > _LONGEST:
            raise RejectedError("Threads takes at most 500 characters, an emoji counts as four; shorten the answer")
        made = {"media_type": "TEXT", "text": words, "reply_to_id": mention.native_id}
        container = posted(self._api.post("me/threads", form=made), "id")
        self._ready(container)
        native_id, url = self._publish(container, mention, words), mention.url or "https://www.threads.com/"
        with suppress(RemoteError):
            url = reading.web(dig(self._api.get(native_id, {"fields": "permalink"}), "permalink")) or url
        return Reference(native_id, url)

    def _ready(self, container: str) -> None:
        for _ in range(_LOOKS):
            status = dig(self._api.get(container, {"fields": "status,error_message"}), "status")
            if status == "FINISHED":
                return
            if status in {"ERROR", "EXPIRED"}:
                raise RejectedError("Threads does not take this answer")
            time.sleep(1.0)
        raise UnavailableError("Threads has not got the answer ready; nothing was published", 60.0)

    def _publish(self, container: str, mention: Mention, words: str) -> str:
        lost, status = False, None
        for _ in range(2):
            try:
                return posted(self._api.post("me/threads_publish", form={"creation_id": container}), "id")
            except RemoteError as error:
                if not lost and not isinstance(error, UnknownOutcomeError):
                    raise
            lost = True
            with suppress(RemoteError):
                status = dig(self._api.get(container, {"fields": "status"}), "status")
            if status != "FINISHED":
                break
        if status == "PUBLISHED":
            with suppress(RemoteError):
                for one in self._answers(mention) or ():
                    if one.text == words:
                        return one.native_id
        raise UnknownOutcomeError("Threads did not say whether, or as what, the answer was published")

    def _answers(self, mention: Mention) -> list[Mention] | None:
        """What we answered to it; None where that cannot be told."""
        since = None if mention.created_at is None else int(mention.created_at.timestamp())
        found, reads = self._api.whole("me/replies", {"fields": _REPLY, "since": since}), self._reads()
        events = [one for one in reads.read(found or []) if isinstance(one, Mention)]
        return None if found is None else [one for one in events if one.parent_id == mention.native_id]

    def find_reply(self, mention: Mention, key: str) -> Reference | None:  # noqa: ARG002
        """A post holds no mark. None where we did not answer it; else a person has to look."""
        if self._answers(mention) != []:
            raise UnknownOutcomeError("we may have answered there; look whether with this answer")
        return None

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        """Which are gone. Without Advanced Access the API hides what others said as if it were gone: so none is, unless
        another of them is to be seen."""
        reads, found = self._reads(), self._api.several(native_ids, _BELOW, at_once=False)
        there = [event for one in found.values() if one for event in reads.read(one)]
        if all(getattr(event, "own", True) for event in there):
            found = {name: one or {} for name, one in found.items()}
        return graph.rechecked(CONNECTOR, found, reads.read)

    def check(self) -> TokenHealth:
        """Whether the token is for the profile that `Account` names."""
        return self._api.health("me", {"fields": "id,username"}, graph.judge(self._settings.account))

    def refresh_due(self, now: int) -> bool:
        """See `Refresher`."""
        return self._token.ageing(now)

    def refresh(self, now: int) -> Mapping[str, object]:
        """See `Refresher`. https://developers.facebook.com/docs/threads/get-started/long-lived-tokens"""
        return graph.renewed(self._http, self._settings.api_url, "th_refresh_token", self._token, now)
