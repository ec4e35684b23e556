"""Where a sweep over a Page stands, between two polls, and what a page of an answer says about the next. Pure.

The cursor never holds an address: Facebook puts the access token into the addresses of its next pages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from connectors.facebook import values

_STEERING = frozenset({"after", "offset", "until", "since", "__paging_token"})
_LONGEST = 1000
_LONGEST_FAULT = 300
_TASKS = 150
TRIES = 3
"""How often one list is asked for in vain, in polls in which Facebook answered otherwise, before it is left out."""
LIMITS: Mapping[str, int] = {"feed": 25, "tagged": 25, "comments": 100}
"""Entries in one page of a list."""
PAGES = 4
"""Pages of posts in a sweep: comments under the latest hundred posts are seen."""
DEEPEST = 50
"""Pages of any other list in a sweep."""


@dataclass(frozen=True, slots=True)
class Task:
    """One list to ask for: `feed`, `tagged`, or the `comments` of `post`; `after` are the parameters that lead to its
    next page, `number` counts its pages. `limit` is how many entries are asked for, 0 for as many as usual; `failed`
    counts vain tries in a row, `begun` how often the list was begun anew."""

    what: str
    post: str = ""
    after: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    limit: int = 0
    failed: int = 0
    begun: int = 0

    @property
    def size(self) -> int:
        """Entries in a page."""
        return self.limit or LIMITS[self.what]

    @property
    def vital(self) -> bool:
        """Whether a sweep without it would see nothing."""
        return self.what == "feed" and not self.after

    @property
    def name(self) -> str:
        """The list in words."""
        return f"the comments under {self.post}" if self.what == "comments" else f"the Page's {self.what}"

    def goes_on(self) -> bool:
        """Whether there may be a page after this one. Smaller pages may be more."""
        pages = PAGES if self.what == "feed" else DEEPEST
        return (self.number + 1) * self.size < pages * LIMITS[self.what]

    def following(self, after: Mapping[str, str]) -> Task:
        return replace(self, after=after, number=self.number + 1, failed=0)

    def smaller(self) -> Task:
        return replace(self, limit=max(1, self.size // 2))

    def anew(self) -> Task:
        return replace(self, after={}, number=0, begun=self.begun + 1)


@dataclass(frozen=True, slots=True)
class Place:
    """Times in milliseconds. `start`: what was said before the first poll is left alone; `since`: what was said before
    that is known; `begun`: when this sweep began, 0 between two; `rest`: until then nothing is asked. `fault`: what was
    left out of a sweep, and why, until one leaves nothing out; `token` what that says of the credentials (a
    `TokenState`, or empty); `left_out` counts in the sweep that is under way."""

    start: int
    since: int
    begun: int = 0
    rest: int = 0
    todo: tuple[Task, ...] = ()
    fault: str = ""
    token: str = ""
    left_out: int = 0

    def first(self, *tasks: Task) -> Place:
        """With these in the place of the first task."""
        return replace(self, todo=(*tasks, *self.todo[1:]))

    def put_off(self) -> Place:
        """With the first task last, as one that failed."""
        task, *others = self.todo
        return replace(self, todo=(*others, replace(task, failed=task.failed + 1)))

    def without(self, task: Task, why: str, token: str) -> Place:
        """With a task left out."""
        left = tuple(one for one in self.todo if one is not task)
        fault = f"{task.name} cannot be read and are left out: {why}"[:_LONGEST_FAULT]
        return replace(self, todo=left, fault=fault, token=token, left_out=self.left_out + 1)

    def swept(self) -> Place:
        """The sweep is through."""
        fault, token = (self.fault, self.token) if self.left_out else ("", "")
        return replace(self, since=self.begun, begun=0, fault=fault, token=token, left_out=0)

    def written(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def read(cls, cursor: str | None) -> Place | None:
        """None where there is no cursor, or one that nobody here wrote: then we start from now."""
        try:
            said: Any = json.loads(cursor or "")
            tasks = tuple(Task(**one) for one in said["todo"])
            if any(task.what not in LIMITS for task in tasks):
                return None
            start, since, begun, rest = (int(said[name]) for name in ("start", "since", "begun", "rest"))
            fault, token = (str(said.get(name, "")) for name in ("fault", "token"))
            return cls(start, since, begun, rest, tasks[:_TASKS], fault, token, int(said.get("left_out", 0)))
        except (ValueError, TypeError, KeyError, OverflowError):
            return None


def following(listing: Mapping[str, Any]) -> dict[str, str]:
    """The parameters that lead to the next page of a list; none where there is no next page."""
    paging = listing.get("paging")
    following = paging.get("next") if isinstance(paging, dict) else None
    if not isinstance(paging, dict) or not isinstance(following, str):
        return {}
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, dict) else None
    if isinstance(after, str) and after:
        return {"after": after} if len(after) <= _LONGEST else {}
    try:
        given = parse_qsl(urlsplit(following).query)
    except ValueError:
        return {}
    return {name: value for name, value in given if name in _STEERING and len(value) <= _LONGEST}


def reaches_back(listing: Mapping[str, Any], since: int) -> bool:
    """Whether the next page of a list may hold something said after `since`.

    Not where the list runs from new to old and its last is older. A list in any other order, or in none that shows,
    has to be read to its end.
    """
    if not following(listing):
        return False
    data = listing.get("data")
    times = [said(one) for one in data] if isinstance(data, list) else []
    known = [at for at in times if at is not None]
    if not known:
        return False
    falling = known[-1] < known[0] and all(later <= earlier for earlier, later in pairwise(known))
    return not (falling and known[-1] < since)


def said(one: object) -> int | None:
    """When a thing was said, or the Page tagged in it, in milliseconds; None where it does not tell."""
    if not isinstance(one, dict):
        return None
    tagged = values.milliseconds(one.get("tagged_time"))
    return values.milliseconds(one.get("created_time")) if tagged is None else tagged
