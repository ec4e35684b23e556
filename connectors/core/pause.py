"""What keeps an effect from going out though nothing is wrong: effects are off, or administrators hold a place.

With `Effects: off` in the base plan everything is planned and nothing is carried out: what is planned meanwhile ends as
`SHADOW`, and goes out only if an administrator releases it. What had been planned before waits, as everything does for
a place with `Hold: true`: it is parked, visibly, looked at again each minute, and goes out when the hold ends. Nothing
fails over because of a hold.
Pure, but for the ledger's port.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from connectors.core import failover
from connectors.core.case import Case, Effect, EffectKind, EffectState, Happening, record_id
from connectors.core.errors import ConflictError
from connectors.core.ledger import Ledger, Pace, ended
from connectors.core.plan_ports import Interval

SHADOW = "shadow run"
"""The error of an effect that was planned in a shadow run, and ended with it."""
RECHECK = 60_000
"""Milliseconds between two looks at what waits."""
MOST = 1_000
_OFF = "Held: effects are off (Effects: off in the plan)"


class Sender(Protocol):
    """Wakes workers; see `connectors.core.dispatch.Bells`."""

    def ring(self, effects: Iterable[Effect]) -> None: ...


@dataclass(frozen=True, slots=True)
class Brake:
    """What keeps the effects of one case back. `shadows`: when effects were off for it, or since when they are; `held`:
    why it has to wait now, where somebody holds its source or its system."""

    shadows: tuple[Interval, ...] = ()
    held: str | None = None

    @property
    def off(self) -> bool:
        """Whether effects are off at this moment."""
        return any(until is None for _, until in self.shadows)

    @property
    def waits(self) -> str | None:
        """Why nothing goes out now; None where it may."""
        return _OFF if self.off else self.held

    def ends(self, effect: Effect) -> bool:
        """Whether it was planned in a shadow run and never sent. A note that is begun is older than the run."""
        if effect.kind is EffectKind.BATCH or effect.state not in {EffectState.PLANNED, EffectState.PARKED}:
            return False
        return any(
            since <= effect.planned_at and (until is None or effect.planned_at < until) for since, until in self.shadows
        )


def brake(ledger: Ledger, lines: Iterable[Effect], brake: Brake, now: int) -> bool:
    """End or park these lines as far as they have to be; whether nothing may go out now. Never raises ConflictError: a
    line that another worker has is that worker's."""
    for line in lines:
        after = _braked(line, brake, now)
        if after is not None and after != line:
            with suppress(ConflictError):
                ledger.settle([(line, after)])
    return brake.waits is not None


def lines_of(ledger: Ledger, case: Case, system: str) -> list[Effect]:
    """What may still go out to a system for a case."""
    record = ledger.effect(case.id, record_id(system))
    found = [record] if record is not None else []
    for prefix in (f"batch#{system}#", f"note#{system}#", f"status#{system}#", f"retire#{system}"):
        found += ledger.pending(case.id, prefix, MOST)
    return [line for line in found if line.target == system and not line.state.final]


def revive(ledger: Ledger, case: Case, system: str, brake: Brake, now: int, pace: Pace, bells: Sender) -> bool:
    """Of a case that began in a shadow run and in which something was said since: its record and its notification are
    planned again, or what was said would never be heard. Whether they were."""
    record = ledger.effect(case.id, record_id(system))
    if record is None or not _of_shadow(record) or brake.waits is not None:
        return False
    if not any(not brake.ends(wish) for wish in ledger.pending(case.id, f"note#{system}#", MOST)):
        return False
    told = next((line for line in ledger.lines(case.id, f"notify#{Happening.OPENED}#") if _of_shadow(line)), None)
    lines = [record] if told is None else [record, told]
    due = now + int(pace.doorbell * 1000)
    changes = [(line, _again(line, now, due)) for line in lines]
    try:
        ledger.settle(changes)
    except ConflictError:
        return False
    bells.ring(after for before, after in changes if before is told)
    return True


def unsent(case: Case, lines: Iterable[Effect]) -> list[Effect]:
    """What was planned while effects were off, never went out, and can be released.

    Not what hangs on a system that does not hold the case any more; nor a topic of which another one was told the same
    meanwhile; nor changes of status, for what the records say now counts."""
    known, held = list(lines), failover.engaged(case)
    told = {_same(line) for line in known if line.kind is EffectKind.NOTIFY and line.state is EffectState.DONE}
    return [
        line
        for line in known
        if _of_shadow(line)
        and (
            (line.kind in {EffectKind.RECORD, EffectKind.NOTE} and line.target in held)
            or (line.kind is EffectKind.NOTIFY and _same(line) not in told)
            or line.kind is EffectKind.REPLY
        )
    ]


def released(case: Case, lines: Iterable[Effect], now: int, *, answers: bool) -> list[tuple[Effect, Effect]]:
    """What was not sent, planned anew in the order of then, the record first; `answers` to the customer only where they
    are asked for."""
    fit = [line for line in unsent(case, lines) if answers or line.kind is not EffectKind.REPLY]
    fit.sort(key=lambda line: (line.kind is not EffectKind.RECORD, line.planned_at, line.id))
    return [(line, _again(line, now + at, now)) for at, line in enumerate(fit)]


def _same(line: Effect) -> str:
    """What all topics of one notification have in common."""
    return line.id.rpartition("#")[0]


def _of_shadow(line: Effect) -> bool:
    return line.state is EffectState.SUPERSEDED and line.error == SHADOW


def _again(line: Effect, planned_at: int, due_at: int) -> Effect:
    fresh = {"state": EffectState.PLANNED, "planned_at": planned_at, "due_at": due_at, "done_at": None, "error": None}
    return line.model_copy(update=fresh)


def _braked(line: Effect, brake: Brake, now: int) -> Effect | None:
    """The line as it has to be; None where it may go out, or is in somebody's hands."""
    if line.state.final or (line.state is EffectState.CLAIMED and now < (line.lease_until or 0)):
        return None
    if brake.ends(line):
        return ended(line, EffectState.SUPERSEDED, now, SHADOW)
    why = brake.waits
    if why is None or line.due_at is None:  # without a time: it is not its turn
        return None
    if line.error == why and now < (line.retry_at or 0):
        return line
    until = max(now + RECHECK, line.retry_at or 0)
    if line.state in {EffectState.PLANNED, EffectState.PARKED}:
        waiting = {"state": EffectState.PARKED, "error": why, "retry_at": until, "due_at": until}
        return line.model_copy(update=waiting)
    return line.model_copy(update={"due_at": until})  # whether it was sent is looked up when the hold ends
