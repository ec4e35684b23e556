"""Where a sweep over a Page stands, between two polls, and what a page of an answer says about the next. Pure.

The cursor never holds an address: Facebook puts the access token into the addresses of its next pages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from connectors.facebook import values

_STEERING = frozenset({"after", "offset", "until", "since", "__paging_token"})
_LONGEST = 1000
_TASKS = 150


@dataclass(frozen=True, slots=True)
class Task:
    """One list to ask for: `feed`, `tagged`, or the `comments` of `post`; `after` are the parameters that lead to its
    next page, `number` counts its pages."""

    what: str
    post: str = ""
    after: Mapping[str, str] = field(default_factory=dict)
    number: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Times in milliseconds. `start`: what was said before the first poll is left alone; `since`: what was said before
    that is known; `begun`: when this sweep began, 0 between two; `rest`: until then nothing is asked."""

    start: int
    since: int
    begun: int = 0
    rest: int = 0
    todo: tuple[Task, ...] = ()

    def written(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def read(cls, cursor: str | None) -> Place | None:
        """None where there is no cursor, or one that nobody here wrote: then we start from now."""
        try:
            said: Any = json.loads(cursor or "")
            tasks = tuple(Task(**one) for one in said["todo"])
            times = {name: int(said[name]) for name in ("start", "since", "begun", "rest")}
            return cls(**times, todo=tasks[:_TASKS])
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
