"""Where the asking of X stands, kept between two polls as one JSON text: pure rules, no input or output.

A stream is one question that X answers newest first, a page at a time: the mentions of an account, or a search. It is
walked from the newest post down to `low`; only when the last page has come does `since` move up to the newest post
seen, so that nothing is lost when a walk breaks off. What appears while it is walked is above its first page, and in
the next walk. Walks reach back `OVERLAP` behind `since`, for posts that X shows late.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from connectors.x.values import EPOCH, id_at, ident

OVERLAP = 300_000
"""Milliseconds."""
_KEPT = 400
"""Posts of a stream, and accounts, that are remembered: those of the overlap, at X's largest page."""
_SETTLES = 45_000
"""Milliseconds in which a new stream is not asked: X's search ends half a minute ago, and takes no later `since_id`."""
_DAY = 86_400_000
_VERSION = 1
_NUMBERS = ("floor", "since", "low", "newest", "not_before")


@dataclass
class Stream:
    """`floor`: no post below it is asked for, which is where we began. `page`: X's token for the rest of a walk, whose
    bounds are `low` and `newest`. `seen`: posts that were handed on, with the day on which they were paid for.
    `not_before`: milliseconds, after a refusal. `fault`: why X refused it for good, `token` what that says of the
    credentials (a `TokenState`, or empty), both until it is answered."""

    floor: int
    since: int
    low: int = 0
    newest: int = 0
    page: str | None = None
    not_before: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    fault: str = ""
    token: str = ""

    def begin(self, earliest: int = 0) -> int:
        """The id above which this walk looks: that of the walk under way, or of a new one. `earliest` is X's limit."""
        if self.page is None:
            behind = id_at((self.since >> 22) + EPOCH - OVERLAP)
            self.low, self.newest = max(self.floor, behind, earliest), self.since
        return self.low

    def took(
        self, ids: Iterable[str], following: str | None, now: int, elsewhere: Mapping[str, int] | None = None
    ) -> tuple[list[str], int]:
        """A page has come: the posts that are new to us, and how many X charges for. `elsewhere`: what other streams
        have `seen`, for a post that names two of our accounts or is found by the search as well."""
        listed = list(dict.fromkeys(ids))
        others = elsewhere or {}
        fresh = [one for one in listed if one not in self.seen and one not in others]
        today = now // _DAY
        charged = sum(1 for one in listed if today not in (self.seen.get(one), others.get(one)))
        self.seen |= dict.fromkeys(listed, today)
        self.newest = max([self.newest, *map(int, listed)])
        self.page = following
        if following is None:
            self.since = max(self.since, self.newest)
            behind = id_at((self.since >> 22) + EPOCH - OVERLAP)
            self.seen = {one: day for one, day in self.seen.items() if int(one) > behind}
        latest = sorted(self.seen, key=int)[-_KEPT:]
        self.seen = {one: self.seen[one] for one in latest}
        return fresh, charged

    def restart(self) -> None:
        """X has forgotten the walk's token: begin it anew. `since` has not moved."""
        self.page = None


@dataclass
class Position:
    """All streams of a source. `users`: accounts paid for on `day`; X charges one once in a day of UTC."""

    streams: dict[str, Stream] = field(default_factory=dict)
    day: int = 0
    users: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, cursor: str | None, names: Iterable[str], now: int) -> Position:
        """The position of a cursor. A stream that is not in it (or any, where it cannot be read) starts from now."""
        kept = _read(cursor)
        known = kept.get("streams")
        known = known if isinstance(known, dict) else {}
        start = max(0, id_at(now) - 1)  # X asks for what is above it
        day, users = kept.get("day"), kept.get("users")
        return cls(
            {name: _stream(known.get(name)) or Stream(start, start, not_before=now + _SETTLES) for name in names},
            day if isinstance(day, int) else 0,
            [one for one in users if isinstance(one, str)] if isinstance(users, list) else [],
        )

    def seen_beside(self, stream: Stream) -> dict[str, int]:
        """What the other streams have seen."""
        found: dict[str, int] = {}
        for other in self.streams.values():
            if other is not stream:
                found |= {one: max(day, found.get(one, 0)) for one, day in other.seen.items()}
        return found

    def charge_users(self, ids: Iterable[str], now: int) -> int:
        """How many of these accounts X charges for today."""
        today = now // _DAY
        if self.day != today:
            self.day, self.users = today, []
        fresh = [one for one in dict.fromkeys(ids) if one not in self.users]
        self.users = [*self.users, *fresh][-_KEPT:]
        return len(fresh)

    def write(self) -> str:
        streams = {name: asdict(stream) for name, stream in self.streams.items()}
        document = {"v": _VERSION, "day": self.day, "users": self.users, "streams": streams}
        return json.dumps(document, separators=(",", ":"))


def _read(cursor: str | None) -> Mapping[str, Any]:
    try:
        document = json.loads(cursor or "null")
    except ValueError:
        return {}
    return document if isinstance(document, dict) and document.get("v") == _VERSION else {}


def _stream(value: object) -> Stream | None:
    if not isinstance(value, dict):
        return None
    numbers = {name: one for name in _NUMBERS if isinstance(one := value.get(name), int)}
    seen, page = value.get("seen"), value.get("page")
    if len(numbers) < len(_NUMBERS) or not isinstance(seen, dict):
        return None
    posts = {one: day for one, day in seen.items() if ident(one) == one and isinstance(day, int)}
    floor, since, low, newest, not_before = (numbers[name] for name in _NUMBERS)
    found = Stream(floor, since, low, newest, page if isinstance(page, str) else None, not_before, posts)
    fault, token = value.get("fault"), value.get("token")
    if isinstance(fault, str) and isinstance(token, str):
        found.fault, found.token = fault, token
    return found
