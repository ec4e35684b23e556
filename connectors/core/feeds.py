"""Reading lists that a vendor gives newest first, from the top down to what is known already. Pure.

A poll reads a few pages of each list. Where they do not reach back far enough, the next poll goes on below; what a
list gained meanwhile is found by the walk after that. Each walk reaches a while behind the one before it: vendors list
late, and clocks differ. What was brought is remembered for that while, so that it is not brought again. `Unsupported`
has nothing to be remembered by, and is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError
from connectors.core.identity import digest
from connectors.core.models import AnyEvent, Deletion, Mention, Unsupported
from connectors.core.ports import Page
from connectors.core.reading import millis

Listing = Callable[[str | None], tuple[Sequence[AnyEvent], str | None]]
"""One page: `listing(None)` is the newest; the events on it, in any order, and what to ask for the page below, None at
the end."""
OVERLAP = 900
"""Seconds that a walk reaches back behind the start of the one before it."""
PAGES = 5
"""Pages of one list in one poll."""
REMEMBERED = 500
"""Events of one list whose identity is kept; older ones may come again, and are known then."""
_ALTOGETHER = 5000
"""The same of all lists: they lie in one item, which holds 400 KB."""
_NEXT = ""
"""In a cursor, where lists have their names: the list with which the next poll begins."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the walk of one list stands. Times in milliseconds. What happened before `since` was brought; the present
    walk began at `begun` (0: none is under way) and goes on at page `after`. `seen` is what was brought lately. What
    happened more than `OVERLAP` before `start`, when the list was first asked for, is never brought."""

    start: int
    since: int
    begun: int = 0
    after: str | None = None
    seen: Mapping[str, int] = field(default_factory=dict)


def walk(
    cursor: str | None,
    lists: Mapping[str, Listing],
    now: int,
    *,
    again: float,
    at: Callable[[AnyEvent], int] | None = None,
    overlap: float = OVERLAP,
    pages: int = PAGES,
    rest: Callable[[], float] = lambda: 0.0,
    below: Callable[[str], int] = lambda _: 0,
) -> Page:
    """One poll of all lists: a `Page` as a `Poller` returns it. `now` in milliseconds; `again`: seconds until the next
    walk. `at` gives the time by which the lists are ordered, in milliseconds, 0 where an event has none; by default,
    when a mention was made. Give `by_order` where edits show in the list, at the top of it: made long ago, they would
    count as brought already and end the walk. `rest` gives the seconds for which the vendor wants no call, after one.
    `below` reads from the name of a page the time below which it goes on, 0 where it does not tell: for lists whose
    pages may hold nothing for us.

    One list that is refused does not stop the others: the page says so (`fault`). Where not all had their turn, because
    the vendor wants rest or the time is up, the next poll begins with the others. Raises the RemoteError where none
    answers."""
    marks = {name: _mark(_read(cursor).get(name), now) for name in lists}
    if cursor is None:
        return Page([], _written(marks), again, health=None)
    when = at or _said
    events: list[AnyEvent] = []
    errors: dict[str, RemoteError] = {}
    order, last = _turns(list(lists), _read(cursor).get(_NEXT)), None
    reach = _Reach(when, overlap, pages, rest, below, min(REMEMBERED, max(1, _ALTOGETHER // max(1, len(order)))))
    for name in order:
        try:
            found, marks[name] = _go(lists[name], marks[name], now, reach)
        except RemoteError as error:
            errors[name] = error
            last = name if rest() and last is not None else last
        else:
            events, last = events + found, name
        if rest():
            break
    if errors and last is None:
        raise next(iter(errors.values()))
    fault = "; ".join(f"{name}: {error}" for name, error in errors.items()) or None
    wait = rest() or (1.0 if any(mark.after for mark in marks.values()) else again)
    following = None if last is None or last == order[-1] else order[order.index(last) + 1]
    return Page(sorted(events, key=when), _written(marks, following), wait, fault=fault, rest=rest())


def _turns(names: list[str], first: object) -> list[str]:
    """All lists in their order, from the one on whose turn it is."""
    start = names.index(first) if isinstance(first, str) and first in names else 0
    return names[start:] + names[:start]


def brought(cursor: str | None, name: str, now: int) -> int:
    """The time (milliseconds) up to which a list was brought by the walks so far; `now` for one that is new."""
    return _mark(_read(cursor).get(name), now).since


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far a walk goes; see `walk`."""

    at: Callable[[AnyEvent], int]
    overlap: float
    pages: int
    rest: Callable[[], float]
    below: Callable[[str], int]
    remembered: int


def _go(listing: Listing, mark: Mark, now: int, reach: _Reach) -> tuple[list[AnyEvent], Mark]:
    """Up to `pages` pages of one list."""
    begun, after, at = mark.begun or now, mark.after, reach.at
    behind, seen, events = int(reach.overlap * 1000), dict(mark.seen), list[AnyEvent]()
    floor = max(mark.start - int(OVERLAP * 1000), mark.since - behind)
    whole = Mark(mark.start, begun)
    for page in range(reach.pages):
        try:
            found, following = listing(after)
        except RemoteError as error:
            if page and isinstance(error, RejectedError):  # a name just given is not too old: no list is endless
                return events, replace(whole, seen=_lately(seen, begun - behind, reach.remembered))
            if page:
                break
            if after is not None and isinstance(error, RejectedError | MisconfiguredError):
                return events, replace(mark, begun=0, after=None)  # the page's name is too old: from the top again
            raise
        times = [time for time in map(at, found) if time]
        for one in found:
            happened = at(one) or _said(one) or now  # what ends no walk may be old all the same
            if happened >= floor and _new(one, seen, happened):
                events.append(one)
        if following is None or following == after or min([*times, reach.below(following) or now]) < floor:
            return events, replace(whole, seen=_lately(seen, begun - behind, reach.remembered))
        after = following
        if reach.rest():
            break
    return events, replace(mark, begun=begun, after=after, seen=_lately(seen, 0, reach.remembered))


def _new(event: AnyEvent, seen: dict[str, int], time: int) -> bool:
    """Whether this was not brought yet; it is from now on. An edit is new."""
    if isinstance(event, Unsupported):
        return False
    key = digest(event.type, event.id, f"{getattr(event, 'version', '')}{getattr(event, 'restored', '')}", length=12)
    if key in seen:
        return False
    seen[key] = time
    return True


def _lately(seen: Mapping[str, int], floor: int, most: int) -> dict[str, int]:
    kept = sorted(((time, key) for key, time in seen.items() if time >= floor), reverse=True)[:most]
    return {key: time for time, key in kept}


def by_order(event: AnyEvent) -> int:
    """When a list says that it happened, where its connector has put that into `order`: for `walk`'s `at`."""
    return event.order if isinstance(event, Mention | Deletion) else 0


def _said(event: AnyEvent) -> int:
    if isinstance(event, Mention):
        return millis(event.created_at)
    return event.order if isinstance(event, Deletion) else 0


def _written(marks: Mapping[str, Mark], following: str | None = None) -> str:
    plain: dict[str, Any] = {} if following is None else {_NEXT: following}
    for name, mark in marks.items():
        plain[name] = [mark.start, mark.since, mark.begun, mark.after, dict(mark.seen)]
    return json.dumps(plain, separators=(",", ":"))


def _read(cursor: str | None) -> dict[str, Any]:
    try:
        plain = json.loads(cursor or "{}")
    except ValueError:
        plain = {}
    return plain if isinstance(plain, dict) else {}


def _mark(plain: Any, now: int) -> Mark:
    """As it was written; one that cannot be read, or a list that is new, starts from now."""
    match plain:
        case [int(start), int(since), int(begun), str() | None as after, dict(seen)]:
            return Mark(start, since, begun, after, seen)
    return Mark(now, now)
