"""Our professional account: asked for comments, tags and what a mention says, and answered from.

https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from pydantic import BaseModel

from connectors import graph
from connectors.api import MissingError, posted
from connectors.core import reading
from connectors.core.errors import RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.feeds import walk
from connectors.core.health import TokenHealth
from connectors.core.models import AnyEvent, Hint, Mention
from connectors.core.ports import Page, Rechecked, Reference, Tier
from connectors.core.reading import dig
from connectors.http import HttpClient
from connectors.instagram.connector import CONNECTOR, Instagram, InstagramSource

_AGAIN, _LONGEST = 300.0, 2200
_OURS = "id,text,timestamp,username,from,like_count,parent_id,media{id,permalink}"
_THEIRS = "id,text,timestamp,username,like_count,media{id,permalink}"  # of a comment elsewhere that mentions us
_POST = "id,caption,timestamp,username,permalink,media_type,like_count,comments_count"
_BELOW = f"comments.limit(50){{{_OURS},hidden,replies.limit(20){{{_OURS},hidden}}}}"


class InstagramAccount:
    """Satisfies `SourcePoller`, `SourceReplier`, `Resolver`, `Rechecker`, `Checker` and `Refresher`."""

    settings_model: ClassVar[type[BaseModel]] = InstagramSource
    credentials_model: ClassVar[type[BaseModel]] = graph.Token
    replier_credentials_model: ClassVar[type[BaseModel]] = graph.Token
    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 60.0
    recheck_within: ClassVar[int] = 86_400
    recheck_batch: ClassVar[int] = 20

    def __init__(self, settings: InstagramSource, credentials: graph.Token, http: HttpClient) -> None:
        self._http, self._settings, self._token = http, settings, credentials
        self._api, self._me = graph.Graph(http, settings.base, credentials), settings.account[0]

    def _reads(self) -> Instagram:
        """Which knows us by our name too, whatever the settings say."""
        return Instagram.for_parse((*self._settings.account, *self._api.ourselves(self._me)))

    def poll(self, cursor: str | None) -> Page:
        """Our latest posts with their newest comments, and the posts that we were tagged in."""
        read = (self._reads() if cursor else Instagram(self._settings)).read
        lists = {
            "media": self._api.listing(f"{self._me}/media", {"fields": f"{_POST},{_BELOW}", "limit": 25}, read),
            "tags": self._api.listing(f"{self._me}/tags", {"fields": _POST, "limit": 25}, read),
        }
        return walk(cursor, lists, int(time.time() * 1000), again=_AGAIN, rest=lambda: self._api.rest)

    def resolve(self, hint: Hint) -> Sequence[AnyEvent]:
        """The comment or the post that mentions us, if it is still for us to see."""
        comment = hint.event == "mentions.comment"
        return self._reads().read(self._mentioned(comment, hint.native_id, _THEIRS if comment else _POST), hint.about)

    def _mentioned(self, comment: bool, native_id: str, fields: str) -> Any:
        name = "comment" if comment else "media"
        said = self._api.get(self._me, {"fields": f"mentioned_{name}.{name}_id({native_id}){{{fields}}}"})
        if dig(said, f"mentioned_{name}", "id") != native_id:
            raise UnavailableError("Instagram did not say what mentions us; it is asked again")
        return said

    def reply(self, mention: Mention, text: str, key: str) -> Reference:  # noqa: ARG002
        """Answer below a comment. One elsewhere, or a post, that mentions us is answered by way of the mention."""
        if mention.reply_capability != "allowed":
            raise RejectedError("Instagram lets nobody answer this in public")
        words, native_id = reading.clean(text), mention.native_id
        if len(words) > _LONGEST:
            raise RejectedError("Instagram takes at most 2,200 characters; shorten the answer")
        said, post = None, mention.conversation_id
        if mention.kind != "post":
            with suppress(MissingError):  # nothing was done: it is gone, or under a post of somebody else
                said = self._api.post(f"{native_id}/replies", form={"message": words})
        if said is None:
            about = {"media_id": post, "comment_id": None if post == native_id else native_id}
            said = self._api.post(f"{self._me}/mentions", form={**about, "message": words})
        return Reference(posted(said, "id"), mention.url or "https://www.instagram.com/")

    def find_reply(self, mention: Mention, key: str) -> Reference | None:  # noqa: ARG002
        """A comment holds no mark. None where we said nothing below since; else, and where that cannot be read, a
        person has to look. What answers a reply stands below the comment that this answers."""
        with suppress(RejectedError):
            top = dig(self._api.get(mention.native_id, {"fields": "id,parent_id"}), "parent_id") or mention.native_id
            below = self._api.whole(f"{top}/replies", {"fields": _OURS})
            found = self._reads().read(below or [])
            if below is not None and not graph.ours_since(found, reading.millis(mention.created_at)):
                return None
        raise UnknownOutcomeError("we may have answered there; look whether with this answer")

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        """Which are gone: not to be seen by any way that we have. To an app that lost its access the API hides what
        others said as if it were gone: so none is, unless something of somebody else is to be seen."""
        reads, found = self._reads(), self._api.several(native_ids, _OURS, at_once=True)
        if missing := [name for name, one in found.items() if one is None]:
            tagged = self._tagged()
            found |= {one: {} if tagged is None or one in tagged else self._elsewhere(one) for one in missing}
        if None in found.values() and not self._sees_others(reads, found.values()):
            found = {name: one or {} for name, one in found.items()}
        return graph.rechecked(CONNECTOR, found, reads.read)

    def _sees_others(self, reads: Instagram, shown: Iterable[Any]) -> bool:
        """Whether we are shown at this moment what somebody else said: there, or else below our latest posts."""
        if any(_theirs(reads.read(one)) for one in shown if one):
            return True
        with suppress(RejectedError, graph.ParameterError):
            posts, _ = self._api.page(f"{self._me}/media", {"fields": f"id,comments.limit(20){{{_OURS}}}", "limit": 25})
            below = _theirs(reads.read(posts))
            return any(self._api.several([event.native_id], _OURS, at_once=False).values() for event in below[-1:])
        return False

    def _elsewhere(self, name: str) -> Any | None:
        for comment, fields in ((True, "id,text,timestamp"), (False, "id,caption,timestamp")):
            with suppress(MissingError, graph.ParameterError):
                return self._mentioned(comment, name, fields)
        return None

    def _tagged(self) -> list[str] | None:
        """The posts that we are tagged in, which cannot be looked at one by one; None where they are too many."""
        with suppress(RejectedError, graph.ParameterError):
            found = self._api.whole(f"{self._me}/tags", {"fields": "id"})
            return None if found is None else [f"{dig(one, 'id')}" for one in found]
        return []  # not for us to list, so that none came from there

    def check(self) -> TokenHealth:
        """See `Checker`."""
        return self._api.health(self._me, {"fields": "id,username"})

    def refresh_due(self, now: int) -> bool:
        """See `Refresher`: a Page's token, which Facebook Login gives, does not end."""
        return self._settings.login == "instagram" and self._token.ageing(now)

    def refresh(self, now: int) -> Mapping[str, object]:
        """See `Refresher`."""
        return graph.renewed(self._http, self._settings.base, "ig_refresh_token", self._token, now)


def _theirs(events: Iterable[AnyEvent]) -> list[Mention]:
    """What somebody else said."""
    return [event for event in events if isinstance(event, Mention) and not event.own]
