"""Keeps a system that does not answer from being asked by everybody: closed, open, and one probe at a time.

Pure rules, and a gate that applies them to one row that all workers share. The row is changed only as it was read, so
that of many workers who find the time of a probe come, one makes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from connectors.core.case import Effect, EffectKind
from connectors.core.errors import ConflictError, RejectedError, RemoteError, SpentPermitError
from connectors.core.ledger import Pace, look_again

_TRIES = 5
_LONGEST_ASKED = 3600.0
"""Seconds of a vendor's Retry-After that a breaker obeys."""
_SENT = frozenset({EffectKind.RECORD, EffectKind.NOTE, EffectKind.BATCH, EffectKind.STATUS, EffectKind.RETIRE})


class State(StrEnum):
    """`probing` is what others call half-open: one worker tries, everybody else waits for it."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class Breaker(BaseModel):
    """One system's. `until`: the next probe, or the end of the present one's time; milliseconds, as `since`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    system: str
    state: State = State.CLOSED
    failures: int = 0
    """Failed calls in a row."""
    opened: int = 0
    """Openings in a row."""
    until: int = 0
    since: int | None = None
    """When it left the closed state."""
    error: str | None = None
    rev: int = 0


def asked(breaker: Breaker, now: int, pace: Pace) -> tuple[Breaker, int | None]:
    """Whether a call may be made: None, or the time until which it may not; and the breaker then. One that has changed
    has to be written first: that is the probe's permission."""
    if breaker.state is State.CLOSED:
        return breaker, None
    if now < breaker.until:
        return breaker, breaker.until
    probe = {"state": State.PROBING, "until": now + int(pace.lease * 1000), "rev": breaker.rev + 1}
    return breaker.model_copy(update=probe), None


def succeeded(breaker: Breaker) -> Breaker:
    """After an answer, whatever it said: the system is there."""
    if breaker.state is State.CLOSED and not breaker.failures:
        return breaker
    return Breaker(system=breaker.system, rev=breaker.rev + 1)


def broke(breaker: Breaker, error: RemoteError, now: int, pace: Pace) -> Breaker:
    """After a call that came to nothing. What a call begun before says of an open one changes nothing."""
    if breaker.state is State.OPEN:
        return breaker
    failures = breaker.failures + 1
    change: dict[str, object] = {"failures": failures, "error": str(error)[:300], "rev": breaker.rev + 1}
    if breaker.state is State.PROBING or failures >= pace.trip:
        wait = min(pace.open_longest, pace.open * 2 ** min(breaker.opened, 16))
        wait = max(wait, min(getattr(error, "retry_after", None) or 0.0, _LONGEST_ASKED))
        change |= {
            "state": State.OPEN,
            "opened": breaker.opened + 1,
            "until": now + int(wait * 1000),
            "since": now if breaker.since is None else breaker.since,
        }
    return breaker.model_copy(update=change)


def returned(breaker: Breaker, now: int) -> Breaker:
    """A probe that was not made: the next may make it at once."""
    if breaker.state is not State.PROBING:
        return breaker
    return breaker.model_copy(update={"state": State.OPEN, "until": now, "rev": breaker.rev + 1})


def not_before(effect: Effect, breaker: Breaker, now: int, pace: Pace, probes: int) -> int | None:
    """When a due effect's worker is worth waking, or None for now. `probes`: how many were woken for a probe already.

    A record that may still have to be handed to the next system is never kept waiting."""
    if breaker.state is State.CLOSED or effect.kind not in _SENT:
        return None
    if effect.kind is EffectKind.RECORD and not effect.held:
        return None
    soon = now + int(pace.backoff * 1000)
    if now < breaker.until:
        return breaker.until if breaker.state is State.OPEN else min(breaker.until, soon)
    return soon if probes else None


class Breakers(Protocol):
    """Where the rows are. All reads are of what was written last."""

    def breaker(self, system: str) -> Breaker: ...

    def save(self, before: Breaker, after: Breaker) -> None:
        """Replace `before`. Raises ConflictError when somebody else did."""
        ...


class Gate:
    """What one worker asks before it calls one system, and tells afterwards."""

    def __init__(self, breakers: Breakers, system: str, pace: Pace, now: Callable[[], int]) -> None:
        self._breakers, self._system, self._pace, self._now = breakers, system, pace, now
        self._known = Breaker(system=system)

    @property
    def closed(self) -> bool:
        """As far as is known from the last question or answer."""
        return self._known.state is State.CLOSED

    def ask(self) -> int | None:
        """None: go on. Else the time (milliseconds) until which nobody is to call."""
        for _ in range(_TRIES):
            known = self._breakers.breaker(self._system)
            after, until = asked(known, self._now(), self._pace)
            if self._save(known, after):
                return until
        return self._now() + int(self._pace.backoff * 1000)

    def answered(self, error: RemoteError | None) -> int | None:
        """Tell how a call ended; until when nobody is to call now, None where the breaker is closed.

        A refusal is an answer as well, and so is that a permit is spent: the system is there."""
        good = error is None or isinstance(error, RejectedError | SpentPermitError)
        if good and self.closed and not self._known.failures:
            return None
        for _ in range(_TRIES):
            known = self._breakers.breaker(self._system)
            after = succeeded(known) if error is None or good else broke(known, error, self._now(), self._pace)
            if self._save(known, after):
                break
        return None if self.closed else self._known.until

    def give_back(self) -> None:
        """Nothing was sent after all. Only for whoever was let through: a probe, if it was one, is free again."""
        if self._known.state is State.PROBING:
            self._save(self._known, returned(self._known, self._now()))

    def _save(self, before: Breaker, after: Breaker) -> bool:
        try:
            if after is not before:
                self._breakers.save(before, after)
        except ConflictError:
            return False
        self._known = after
        return True


class Watch:
    """Who of those that are due is woken: nobody in vain, and nobody twice before the queue has come to them.

    For one sweep of one shard; each system's breaker is read once. `workers` serve one system at a time."""

    def __init__(self, breakers: Breakers, pace: Pace, workers: int) -> None:
        self._breakers, self._pace, self._workers = breakers, pace, workers
        self._known: dict[str, Breaker] = {}
        self._cases: dict[str, dict[str, int]] = {}
        self._probes: Counter[str] = Counter()
        self.held = 0

    def judge(self, effect: Effect, now: int) -> tuple[bool, int]:
        """Whether to wake its worker now, and when (milliseconds) it is due again."""
        if effect.kind not in _SENT:
            return True, look_again(effect, now, self._pace)
        breaker = self._known.get(effect.target)
        if breaker is None:
            breaker = self._known[effect.target] = self._breakers.breaker(effect.target)
        later = not_before(effect, breaker, now, self._pace, self._probes[effect.target])
        if later is not None:
            self.held += 1
            return False, later
        if breaker.state is not State.CLOSED:
            self._probes[effect.target] += 1
        cases = self._cases.setdefault(effect.target, {})
        ahead = cases.setdefault(effect.case, len(cases))
        return True, look_again(effect, now, self._pace, ahead, self._workers)


class NoBreakers:
    """Breakers that never open."""

    def breaker(self, system: str) -> Breaker:
        """A closed one."""
        return Breaker(system=system)

    def save(self, before: Breaker, after: Breaker) -> None:
        """Forgets."""
