"""The rules of the ledger: who may take an effect, and what becomes of it.

Pure. `planned → claimed → done | unknown | parked | rejected | superseded`; every write is conditional on `attempt`,
so that a worker that was thought dead cannot overwrite its successor.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from connectors.core.case import SHARDS, Case, CaseEvent, Effect, EffectKind, EffectState, Record
from connectors.core.errors import (
    MisconfiguredError,
    RejectedError,
    RemoteError,
    SpentPermitError,
    UnavailableError,
    UnknownOutcomeError,
)


@dataclass(frozen=True, slots=True)
class Pace:
    """Every wait of the machine, in seconds."""

    doorbell: float = 60.0
    """How long an event or effect waits for its wake-up before `wake_due` sees to it."""
    lease: float = 65.0
    """How long a worker may hold an effect: longer than its time limit."""
    backoff: float = 15.0
    """The wait after a first refusal; doubles up to `longest`."""
    longest: float = 900.0
    """The longest wait between two tries, and the wait where an administrator has to act."""
    trip: int = 5
    """Calls to one system that fail in a row until its breaker opens."""
    open: float = 30.0
    """How long a breaker is open at first; doubles with each probe that fails, up to `open_longest`."""
    open_longest: float = 150.0
    turn: float = 1.0
    """About how long one case keeps a worker busy: how soon a woken one can be expected to have had its turn."""


class Next(Enum):
    """What a worker does with an effect that it finds."""

    SEND = "send"
    LOOK_UP = "look up, and send only if it is not there"
    WAIT = "leave it: it is final, held by another, or not due"


def next_step(effect: Effect, now: int, settle: float) -> Next:
    """What may be done with an effect now. `now` in milliseconds; `settle` in seconds (see `RecordSystem.settle`)."""
    if effect.state.final:
        return Next.WAIT
    if effect.state is EffectState.PLANNED:
        return Next.SEND
    if effect.state is EffectState.CLAIMED:
        return Next.LOOK_UP if now >= (effect.lease_until or 0) + int(settle * 1000) else Next.WAIT
    if now < (effect.retry_at or 0):
        return Next.WAIT
    return Next.SEND if effect.state is EffectState.PARKED else Next.LOOK_UP


def claimed(effect: Effect, now: int, lease: float, permit: str | None = None) -> Effect:
    """The effect, held by this worker until its lease runs out."""
    until = now + int(lease * 1000)
    return effect.model_copy(
        update={
            "state": EffectState.CLAIMED,
            "attempt": effect.attempt + 1,
            "lease_until": until,
            "due_at": until,
            "retry_at": None,
            "held": False,
            "permit": permit or effect.permit,
        },
    )


def done(effect: Effect, now: int, reference: str, url: str | None = None) -> Effect:
    """The effect, carried out."""
    return effect.model_copy(
        update={
            "state": EffectState.DONE,
            "reference": reference,
            "url": url,
            "done_at": now,
            "due_at": None,
            "retry_at": None,
            "lease_until": None,
            "error": None,
        },
    )


def failed(effect: Effect, error: RemoteError, now: int, pace: Pace, settle: float = 0.0) -> Effect:
    """The effect after a remote call that did not succeed: parked, unknown or rejected, with the time to look again.

    A permit outlives every failure but that of being spent: it keeps a repetition from becoming a second write."""
    wait = min(pace.longest, pace.backoff * 2 ** min(max(effect.attempt - 1, 0), 16))
    wait *= random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries; not a secret
    state = EffectState.PARKED
    match error:
        case RejectedError():
            state = EffectState.REJECTED
        case UnknownOutcomeError():
            state, wait = EffectState.UNKNOWN, max(settle, wait)
        case UnavailableError() if error.retry_after is not None:
            wait = min(max(error.retry_after, 1.0), 86400.0)
        case MisconfiguredError():
            wait = pace.longest
        case _:
            pass
    return effect.model_copy(
        update={
            "state": state,
            "error": f"{type(error).__name__.removesuffix('Error')}: {error}"[:500],
            "due_at": None if state.final else now + int(wait * 1000),
            "retry_at": None if state.final else now + int(wait * 1000),
            "permit": None if isinstance(error, SpentPermitError) else effect.permit,
            "lease_until": None,
            "done_at": now if state.final else None,
            "first_refused_at": effect.first_refused_at or now,
        },
    )


def held_back(effect: Effect, now: int, until: int, deadline: int | None) -> Effect:
    """The effect that a breaker keeps from being sent: no attempt is counted. `deadline`: when to fail over."""
    return effect.model_copy(
        update={
            "due_at": until if deadline is None else max(now, min(until, deadline)),
            "held": deadline is None,
            "first_refused_at": effect.first_refused_at or now,
        },
    )


def ended(effect: Effect, state: EffectState, now: int, why: str) -> Effect:
    """The effect, given up without another call."""
    return effect.model_copy(
        update={"state": state, "error": why, "done_at": now, "due_at": None, "retry_at": None, "lease_until": None},
    )


def misconfigured(effect: Effect) -> bool:
    """Whether its last failure is one that only an administrator can mend."""
    return (effect.error or "").startswith("Misconfigured:")


def doubtful(effect: Effect, error: RemoteError, now: int, pace: Pace) -> Effect:
    """The effect when the *look-up* failed: still unknown, whatever kept us from looking."""
    after = failed(effect, error, now, pace)
    due = after.due_at or now + int(pace.longest * 1000)
    return after.model_copy(update={"state": EffectState.UNKNOWN, "due_at": due, "retry_at": due, "done_at": None})


def to_mend(effect: Effect) -> str | None:
    """What an administrator has to mend before the effect can be carried out; None where nothing is known of that."""
    return effect.error if misconfigured(effect) and not effect.state.final else None


def look_again(effect: Effect, now: int, pace: Pace, ahead: int = 0, workers: int = 1) -> int:
    """When an effect whose worker has just been woken is due once more, should that come to nothing.

    A note's wish waits longer: the record's or the batch's own line brings its worker back first. `ahead` others of
    this shard were woken for the same system before it, and `workers` share the work of all shards: waking it again
    before its turn would only make the queue longer."""
    patience = 5 if effect.kind is EffectKind.NOTE else 1
    queue = ahead * SHARDS * pace.turn / workers
    return now + int((patience * pace.doorbell + queue) * 1000)


@dataclass(frozen=True, slots=True)
class Shift:
    """A change of which systems hold a case. It is written only while `engaged`, `retired` and `record` are as they
    were in `before`; with it go lines of the timeline and effects, each absent before."""

    before: Case
    after: Case
    events: tuple[CaseEvent, ...] = ()
    planned: tuple[Effect, ...] = ()


class Ledger(Protocol):
    """The ledger of one table. Writes raise ConflictError when somebody else wrote first."""

    def case(self, case: str) -> Case | None: ...

    def effect(self, case: str, effect_id: str) -> Effect | None: ...

    def lines(self, case: str, prefix: str) -> list[Effect]:
        """Effects whose id begins with `prefix`, final or not, oldest plan first."""
        ...

    def plan(self, effect: Effect) -> bool:
        """Write one line, unless there is one of that id already; whether it was written."""
        ...

    def pending(self, case: str, prefix: str, limit: int) -> list[Effect]:
        """Effects whose id begins with `prefix` and that are not final, oldest plan first."""
        ...

    def claim(self, before: Effect, after: Effect) -> None:
        """Replace `before` by `after`, if nobody else did."""
        ...

    def settle(
        self,
        changes: Sequence[tuple[Effect, Effect]],
        event: CaseEvent | None = None,
        record: Record | None = None,
        shift: Shift | None = None,
    ) -> None:
        """Replace effects in one transaction, with a line on the timeline, and with what leads from a record back to
        its case. Without a `shift` the record becomes the live one."""
        ...

    def batch(self, batch: Effect, members: Sequence[tuple[Effect, Effect]]) -> None:
        """Plan one note for several wishes, in one transaction."""
        ...
