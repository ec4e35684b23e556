"""Takes one effect through one attempt: asks the breaker, claims the line, looks up or sends, settles the line.

Knows the ledger and the breaker, not what is sent: that are the three functions it is given. A vendor's failure never
leaves it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from connectors.core.breaker import Gate
from connectors.core.case import Effect, EffectKind, EffectState
from connectors.core.errors import ConflictError, RecordGoneError, RemoteError, UnavailableError
from connectors.core.ledger import (
    Ledger,
    Next,
    Pace,
    claimed,
    done,
    doubtful,
    ended,
    failed,
    held_back,
    next_step,
)
from connectors.core.ports import RecordSystem

_ATTACHED = frozenset({EffectKind.BATCH, EffectKind.RETIRE, EffectKind.STATUS})
"""Effects upon a record: that it was taken away ends them, whatever was in doubt."""

Write = Callable[[Effect], tuple[str, str]]
LookUp = Callable[[Effect], tuple[str, str] | None]
Finish = Callable[[Effect, Effect], Effect | None]
"""Settles an effect; how it was settled, where that is not as it was given."""


class OutOfTimeError(Exception):
    """Too little of the worker's time is left to send anything; the wake-up should be delivered again."""


class Carrier:
    """Carries out the effects of one system. `now` gives milliseconds, `remaining` the seconds that this worker has
    left, `need` how many of them one call may take."""

    def __init__(
        self,
        ledger: Ledger,
        system: RecordSystem,
        pace: Pace,
        gate: Gate,
        *,
        now: Callable[[], int],
        remaining: Callable[[], float],
        need: float,
    ) -> None:
        self._ledger, self._system, self._pace, self._gate = ledger, system, pace, gate
        self._now, self._remaining, self._need = now, remaining, need

    def carry_out(
        self,
        effect: Effect,
        write: Write,
        look_up: LookUp,
        finish: Finish,
        *,
        deadline: int | None = None,
        withdraw: bool = False,
    ) -> Effect:
        """The effect afterwards. Raises ConflictError when another worker has it, OutOfTimeError.

        `deadline`: when the next system has to be asked. `withdraw`: it is not wanted any more, so that one which was
        never sent, or was and cannot be found, is given up."""
        step = next_step(effect, self._now(), self._system.settle)
        if step is Next.WAIT and not (withdraw and effect.state is EffectState.PARKED):
            return effect
        if withdraw and effect.state in {EffectState.PLANNED, EffectState.PARKED}:
            after = ended(effect, EffectState.SUPERSEDED, self._now(), "no longer needed; never sent")
            return finish(effect, after) or after
        self._check_time()
        until = self._gate.ask()
        if until is not None:
            return self._hold(effect, until, deadline)
        try:
            held = claimed(effect, self._now(), self._pace.lease)
            self._ledger.claim(effect, held)
            held, after = self._attempt(held, step, write, look_up, withdraw=withdraw)
        except (ConflictError, OutOfTimeError):
            self._gate.give_back()
            raise
        return finish(held, after) or after

    def _attempt(
        self, held: Effect, step: Next, write: Write, look_up: LookUp, *, withdraw: bool
    ) -> tuple[Effect, Effect]:
        """The effect as it was kept last, and as it is to be settled."""
        sent = False
        try:
            found = look_up(held) if step is Next.LOOK_UP else None
            if found is None and not withdraw:
                self._check_time()
                held = self._prepared(held, doubt=step is Next.LOOK_UP)
                self._check_time()
                sent = True
                found = write(held)
        except OutOfTimeError:
            self._let_go(held, step)
            raise
        except RemoteError as error:
            return held, self._failed(held, error, certain=sent or step is Next.SEND)
        self._gate.answered(None)
        if found is None:
            after = ended(held, EffectState.SUPERSEDED, self._now(), "no longer needed; sent, but not found")
            return held, after.model_copy(update={"doubt": True})
        return held, done(held, self._now(), found[0], found[1] or None)

    def _failed(self, held: Effect, error: RemoteError, *, certain: bool) -> Effect:
        """`certain`: the error speaks of a write of this attempt, or nothing was ever written. Otherwise whether an
        earlier one wrote is as unknown as it was."""
        until = self._gate.answered(error)
        gone = held.kind in _ATTACHED and isinstance(error, RecordGoneError)
        if not (certain or gone):
            after = doubtful(held, error, self._now(), self._pace)
        else:
            after = failed(held, error, self._now(), self._pace, self._system.settle)
            if not certain:  # it ends without anybody having seen whether an earlier try wrote
                after = after.model_copy(update={"doubt": True})
        if after.retry_at is None:
            return after
        if until is None:
            if not isinstance(error, UnavailableError) or error.retry_after is None:
                return after
            # Where many are refused, the breaker keeps the vendor's wait for all and sees when it is over. Nobody tells
            # one line that others get through again: it asks.
            until = self._now() + int(self._pace.longest * 1000)
        # The breaker sets the pace now, by the vendor's wait too; ours would outlast it.
        settled = self._now() + int(self._system.settle * 1000) if after.state is EffectState.UNKNOWN else 0
        retry = min(after.retry_at, max(until, settled))
        return after.model_copy(update={"retry_at": retry, "due_at": retry})

    def _hold(self, effect: Effect, until: int, deadline: int | None) -> Effect:
        after = held_back(effect, self._now(), until, deadline)
        with suppress(ConflictError):
            self._ledger.claim(effect, after)
        return after

    def _let_go(self, held: Effect, step: Next) -> None:
        """Give back what was claimed and not sent: nobody has to wait for the lease."""
        state = EffectState.PLANNED if step is Next.SEND else EffectState.UNKNOWN
        free = held.model_copy(update={"state": state, "lease_until": None, "due_at": self._now()})
        with suppress(ConflictError):
            self._ledger.claim(held, free)

    def _prepared(self, held: Effect, *, doubt: bool) -> Effect:
        """With what has to be in the ledger *before* a write: that a look-up found nothing, and a single-use permit
        where the system gives such a thing."""
        if held.kind is EffectKind.STATUS:
            return held
        kept = held.model_copy(update={"doubt": True}) if doubt else held
        if held.permit is None:
            permit = self._system.reserve("record" if held.kind is EffectKind.RECORD else "note")
            kept = kept.model_copy(update={"permit": permit})
        if kept != held:
            self._ledger.claim(held, kept)
        return kept

    def _check_time(self) -> None:
        if self._remaining() < self._need:
            raise OutOfTimeError
