"""Reconciles a fleet with its system, as `hailback reconcile` does over the table: the core's `compare`, `mending` and
`close`, case by case, while the system goes on failing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from connectors.core.case import EffectState
from connectors.core.errors import ConflictError, RemoteError
from connectors.core.ports import Reference
from connectors.core.reconcile import (
    Difference,
    Fault,
    ask,
    close,
    compare,
    expected_notes,
    mending,
    record_key,
    twin_id,
)
from tests.tiers.desks import LAG
from tests.tiers.fleet import PACE, Cell, Died, Fleet
from tests.tiers.systems import KeySystem, NoneSystem, UpsertSystem

_RUNS = 60


class Merging:
    """Runs over one system. `found` counts each difference once, however often a run that was broken off repeats."""

    def __init__(self, fleet: Fleet, system: str, there: UpsertSystem | KeySystem | NoneSystem) -> None:
        self._fleet, self._system, self._there = fleet, system, there
        self._seen: set[tuple[str, str, str]] = set()
        self.broken_off = 0

    @property
    def found(self) -> Counter[str]:
        return Counter(fault for fault, _, _ in self._seen)

    def until_nothing_is_found(self) -> int:
        """Once what was written last is shown, run, let the machine do what was mended, and run again over the cases
        that differed or could not be compared, until there are none; how many runs that took."""
        self._fleet.clock.advance(LAG)
        waiting = list(self._fleet.cells.values())
        for runs in range(1, _RUNS):
            waiting = self.once(waiting)
            self._fleet.minute()
            self._fleet.settle(500)
            if not waiting:
                return runs
        raise AssertionError(f"{len(waiting)} cases still differ: {[cell.name for cell in waiting[:5]]}")

    def once(self, cells: Iterable[Cell]) -> list[Cell]:
        """One run; the cases that differed or could not be compared."""
        waiting = [cell for cell in cells if not self._agrees(cell)]
        self._fleet.open |= {cell.name for cell in waiting}
        return waiting

    def _agrees(self, cell: Cell) -> bool:
        """Whether nothing differs; what does is mended."""
        try:
            differences = self._differences(cell)
            for one in differences:
                self._seen.add((str(one.fault), cell.name, one.reference.id if one.reference else ""))
                self._mend(cell, one)
        except RemoteError:
            self.broken_off += 1
            return False
        except (ConflictError, Died):
            return False
        return not differences

    def _differences(self, cell: Cell) -> list[Difference]:
        effects = list(cell.ledger.effects.values())
        key = record_key(cell.name, self._system)
        found = list(ask(lambda: self._there.find_all(key), self._fleet.clock.advance))
        line = cell.line(self._system)
        kept = next((one for one in found if line is not None and one.id == line.reference), None)
        noted = {one.id for one in expected_notes(cell.meta, effects, self._system) if self._has(kept, one.key)}
        return compare(self._system, cell.meta, effects, found, noted, self._fleet.clock.now(), self._there.settle)

    def _has(self, kept: Reference | None, key: str) -> bool:
        find = self._there.find_note
        return kept is None or ask(lambda: find(kept, key), self._fleet.clock.advance) is not None

    def _mend(self, cell: Cell, one: Difference) -> None:
        change = mending(one, list(cell.ledger.effects.values()), self._fleet.clock.now())
        if change is None:
            return
        for effect in change.added:
            assert self._fleet.book.plan(effect)
        if change.changes or change.event:
            self._fleet.book.settle(change.changes, change.event, change.record)
        if one.fault is Fault.DUPLICATE and one.reference and one.live:
            twin = self._fleet.book.effect(cell.name, twin_id(self._system, one.reference.id))
            assert twin is not None
            if twin.state is not EffectState.DONE:
                close(self._fleet.book, self._there, twin, one.live, PACE, self._fleet.clock.now)
