"""Asking a vendor that does not tell: one poll, what it brings, and when to come back.

Pure rules and ports. Windows overlap and a poll may be repeated: whoever takes the events in knows them again. The
cursor moves only after its events are on their way.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from connectors.core.errors import ConflictError, MisconfiguredError, RemoteError, UnavailableError
from connectors.core.ledger import Pace
from connectors.core.models import AnyEvent
from connectors.core.ports import Page, Poller

SOON = 10.0
"""Seconds. A place that wants to be asked again before that has more to tell; otherwise the administrator's wait
counts."""
_LONGEST_REST = 86_400.0


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the polling of one place stands. Times in milliseconds, `every` in seconds.

    `next_at`: before this nobody asks. `lease_until`: until then one worker does. `attempt` counts every claim, and
    every write is conditional on it. `failures` in a row; `error` is what the last one was, or the fault of a poll that
    worked in part."""

    id: str
    every: float
    cursor: str | None = None
    next_at: int = 0
    attempt: int = 0
    lease_until: int = 0
    failures: int = 0
    polled_at: int | None = None
    error: str | None = None


class Cursors(Protocol):
    """Where cursors are kept. Writes raise ConflictError where somebody else wrote first."""

    def cursor(self, name: str) -> Cursor | None: ...

    def claim(self, cursor: Cursor, now: int, lease: float) -> Cursor:
        """Take it for `lease` seconds, before which nobody else polls this place."""
        ...

    def settle(self, held: Cursor, after: Cursor) -> None:
        """Write what became of a poll, with the time of the next one."""
        ...


class Purse(Protocol):
    """What a place that costs money may still spend."""

    def closed(self, now: int) -> tuple[int, str] | None:
        """When it may be asked again (milliseconds), and why not before; None while it may be. Asked once the place is
        claimed, so that a deployment that changes the answer either comes before or takes the claim away."""
        ...

    def spend(self, units: Mapping[str, int], now: int) -> None:
        """Count what a poll has cost."""
        ...


class Outbox(Protocol):
    """Where what a poll brings goes. Raises BusyError."""

    def put(self, name: str, events: Sequence[AnyEvent], now: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Polled:
    """What a poll came to. `begun`: it was the first, which only marks where to go on from. `stopped`: nobody was
    asked, because there is no money left."""

    cursor: Cursor
    events: int = 0
    begun: bool = False
    stopped: bool = False


def poll(
    name: str,
    poller: Poller,
    cursors: Cursors,
    outbox: Outbox,
    pace: Pace,
    now: Callable[[], int],
    purse: Purse | None = None,
) -> Polled | None:
    """Ask once, if it is time and nobody else is at it; None where it is not. Never raises a vendor's error.

    What the calls cost is counted before anything else is done with what they brought: whoever dies then has paid."""
    known = cursors.cursor(name)
    if known is None or now() < known.next_at or now() < known.lease_until:
        return None
    try:
        held = cursors.claim(known, now(), pace.lease)
    except ConflictError:
        return None
    brought = 0
    closed = purse.closed(now()) if purse else None
    if closed is not None:
        after = replace(held, next_at=closed[0], lease_until=0, error=closed[1])
    else:
        try:
            page = poller.poll(held.cursor)
        except RemoteError as error:
            after = _refused(held, error, now(), pace)
        else:
            if purse and page.spent:
                purse.spend(page.spent, now())
            if page.events:
                outbox.put(name, page.events, now())
            wait = max(1.0, page.again) if page.again < min(SOON, held.every) else held.every
            after = _moved(held, page, now(), max(wait, min(page.rest, _LONGEST_REST)))
            brought = len(page.events)
    try:
        cursors.settle(held, after)
    except ConflictError:  # it took longer than its lease, or was deployed anew: its events are known again
        return None
    begun = held.cursor is None and after.cursor is not None
    return Polled(after, brought, begun, stopped=closed is not None)


def _moved(held: Cursor, page: Page, now: int, wait: float) -> Cursor:
    return Cursor(
        id=held.id,
        every=held.every,
        cursor=page.cursor,
        next_at=now + int(wait * 1000),
        attempt=held.attempt,
        polled_at=now,
        error=None if page.fault is None else page.fault[:500],
    )


def _refused(held: Cursor, error: RemoteError, now: int, pace: Pace) -> Cursor:
    """As the vendor asked, else a wait that grows; where an administrator has to act, the longest."""
    wait = min(pace.longest, max(held.every, pace.backoff * 2 ** min(held.failures, 16)))
    if isinstance(error, UnavailableError) and error.retry_after is not None:
        wait = min(max(error.retry_after, 1.0), 86_400.0)
    elif isinstance(error, MisconfiguredError):
        wait = pace.longest
    else:
        wait *= random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries; not a secret
    return Cursor(
        id=held.id,
        every=held.every,
        cursor=held.cursor,
        next_at=now + int(wait * 1000),
        attempt=held.attempt,
        failures=held.failures + 1,
        polled_at=held.polled_at,
        error=f"{type(error).__name__.removesuffix('Error')}: {error}"[:500],
    )
