"""What a webhook may have missed: a forum's latest posts, asked for and read again.

`GET /posts.json` lists what the public, or the key's user, may see: at most fifty posts, the newest first, without
private messages (`Post.public_posts`). `before` goes on from an id; the description says below it, Discourse's own
`PostsController#latest` says it is included, so both are understood.
https://docs.discourse.org/#tag/Posts/operation/listPosts

A removed post is not listed any more, which is no proof that it was removed: only the webhook tells of that. Nor does
the list number its events, so an edit within minutes of the post, which counts no version, is seen by the webhook only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from connectors.core.errors import MisconfiguredError
from connectors.core.models import AnyEvent, Unsupported
from connectors.core.ports import Page
from connectors.discourse.payloads import read_posts
from connectors.discourse.settings import DiscourseSource
from connectors.discourse.site import Site, read_site
from connectors.http import HttpClient

if TYPE_CHECKING:
    from connectors.core.ports import SourcePoller

PAGES = 4
"""Pages of one poll; what is further back comes with the next, at once."""
OVERLAP = 3600.0
"""Seconds for which a post is read again after its last change: it may have been edited, or been written by a request
that ended after a later one did."""
_SOON = 1.0
_WAIT = 300.0


class DiscourseAccess(BaseModel):
    """The secret `<Secret>/credentials`, as for answers; a public forum can be read without one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: SecretStr | None = Field(default=None, min_length=1)
    api_username: str | None = Field(default=None, min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")

    @model_validator(mode="after")
    def _both_or_none(self) -> DiscourseAccess:
        if (self.api_key is None) != (self.api_username is None):
            raise ValueError("api_key and api_username belong together")
        return self


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far the forum was read, by ids of posts. `start`: what is not above it was there before us. `seen`: all up to
    it was read. On the way down a long list, `top` is where it began and `down` where it goes on."""

    start: int
    seen: int
    top: int | None = None
    down: int | None = None

    def __str__(self) -> str:
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})

    @classmethod
    def read(cls, cursor: str) -> _Mark:
        said = json.loads(cursor)
        return cls(**{name: int(said[name]) for name in ("start", "seen", "top", "down") if name in said})


class DiscoursePoller:
    """One forum; satisfies `SourcePoller`. `clock` is in seconds since the epoch."""

    settings_model: ClassVar[type[BaseModel]] = DiscourseSource
    credentials_model: ClassVar[type[BaseModel]] = DiscourseAccess

    def __init__(
        self,
        settings: DiscourseSource,
        credentials: DiscourseAccess,
        http: HttpClient,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._site: Site = read_site(settings.base_url, "BaseUrl")
        self._accounts, self._http, self._clock = frozenset(settings.account), http, clock
        self._headers = {}
        if credentials.api_key is not None and credentials.api_username is not None:
            self._headers = {
                "Api-Key": credentials.api_key.get_secret_value(),
                "Api-Username": credentials.api_username,
            }

    def poll(self, cursor: str | None) -> Page:
        """See `Poller`. A forum that has more than a few pages of news is read downwards in several polls."""
        if cursor is None:
            newest = max((_id(post) for post in self._page(None)), default=0)
            return Page([], str(_Mark(newest, newest)), _WAIT)
        mark = _Mark.read(cursor)
        found: dict[int, dict[str, Any]] = {}
        top, down = mark.top, mark.down
        for _ in range(PAGES):
            posts = self._page(down)
            fresh = [post for post in posts if down is None or _id(post) < down]
            found |= {_id(post): post for post in fresh if self._wanted(post, mark)}
            ids = [_id(post) for post in fresh]
            top = max([top or mark.seen, *ids])
            if not ids or min(ids) <= mark.seen:
                after = _Mark(mark.start, top)
                break
            down = min(ids)
        else:
            after = _Mark(mark.start, mark.seen, top, down)
        return Page(self._events(found, mark.seen), str(after), _WAIT if after.down is None else _SOON)

    def _wanted(self, post: dict[str, Any], mark: _Mark) -> bool:
        if _id(post) <= mark.start:
            return False
        return _id(post) > mark.seen or self._clock() - _changed(post) < OVERLAP

    def _events(self, found: dict[int, dict[str, Any]], seen: int) -> Sequence[AnyEvent]:
        """Oldest first. What is none of ours is told once."""
        events: list[AnyEvent] = []
        for number in sorted(found):
            (event,) = read_posts([found[number]], self._site, self._accounts)
            if number > seen or not isinstance(event, Unsupported):
                events.append(event)
        return events

    def _page(self, before: int | None) -> list[dict[str, Any]]:
        """One page. Raises a RemoteError."""
        url = f"{self._site.base}/posts.json" + (f"?before={before}" if before else "")
        body = self._http.request("GET", url, headers=self._headers, misconfigured={404}).json()
        posts = body.get("latest_posts") if isinstance(body, dict) else None
        if not isinstance(posts, list):
            raise MisconfiguredError(f"{self._site.authority} does not answer as a Discourse forum does; check BaseUrl")
        return [post for post in posts if isinstance(post, dict) and _id(post) > 0]


def _id(post: dict[str, Any]) -> int:
    number = post.get("id")
    return number if isinstance(number, int) and not isinstance(number, bool) else 0


def _changed(post: dict[str, Any]) -> float:
    """When a post was written or last changed, in seconds since the epoch; never long ago, where it says neither."""
    for name in ("updated_at", "created_at"):
        try:
            return datetime.fromisoformat(str(post.get(name))).timestamp()
        except ValueError:
            continue
    return float("inf")


if TYPE_CHECKING:
    _SATISFIES: type[SourcePoller] = DiscoursePoller
