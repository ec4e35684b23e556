"""The first system is away for an hour while thousands of cases come in: the stand-by takes them, people work there.
When the first is back each case has one live record, with everything that was said and done.

The hour is one of the fleet's clock. `HAILBACK_TIERS=10000` makes it half as many cases; the default is what fits into
`make test`.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

import pytest

from connectors.core.case import CaseEvent, EffectState, Happening, close_id, retire_id
from tests.tiers.desks import Desk, KeyDesk, NoneDesk, Row, UpsertDesk
from tests.tiers.fleet import Cell, Fleet, SharedClock
from tests.tiers.merging import Merging
from tests.tiers.site import Site, chance
from tests.tiers.systems import KeySystem, NoneSystem, UpsertSystem

CASES = max(60, int(os.environ.get("HAILBACK_TIERS", "200")) // 2)
SEED = int(os.environ.get("HAILBACK_SEED", "7"))
FIRST, STANDBY = "stack/Primary", "stack/Standby"
WELL, CUT, HOUR = 3, 2, 60
"""Minutes in which all is well, then those in which the first system does as it is told and no answer arrives, and then
the hour."""
ALL = WELL + CUT + HOUR
pytestmark = pytest.mark.timeout(120 + CASES)
System = UpsertSystem | KeySystem | NoneSystem


@dataclass
class Hour:
    """What happens outside, minute by minute, and what was seen of it."""

    fleet: Fleet
    first: Site
    standby: Site
    primary: System
    minute: int = 0
    talking: list[tuple[Cell, int]] = field(default_factory=list)
    held: int = 0
    """Cases that had a record in the stand-by when the hour was over."""
    calls_while_away: int = 0
    calls_then: int = 0
    woken_then: int = 0
    back: list[int] = field(default_factory=list)

    def run(self) -> int:
        """Minutes that it took after the hour until nothing was left to do."""
        for _ in range(WELL):
            self.one_minute(CASES // ALL)
        earlier = set(self.fleet.cells)
        self.first.cut_all = True
        for _ in range(CUT):
            self.one_minute(CASES // ALL)
        before = self.primary.calls["all"]
        self.first.down()
        for _ in range(HOUR):
            self.one_minute(-(-CASES // ALL))
        self.calls_while_away = self.primary.calls["all"] - before
        self.held = sum(self.has_the_standby(cell) for cell in self.fleet.cells.values())
        for cell in self.fleet.cells.values():
            live = cell.meta.record
            assert cell.name in earlier or live is None or live.system == STANDBY
        self.first.cut_all = False
        self.first.up()
        self.calls_then, self.woken_then = self.primary.calls["all"], self.fleet.counts["wake-ups"]
        return self.fleet.settle(600, self.look)

    def look(self) -> None:
        """How many cases have their live record in the first system, a minute later."""
        lives = [cell.meta.record for cell in self.fleet.cells.values()]
        self.back.append(sum(live is not None and live.system == FIRST for live in lives))

    def minutes_until(self, share: float) -> int:
        return next(minute for minute, back in enumerate(self.back, 1) if back >= CASES * share)

    def one_minute(self, new: int) -> None:
        for _ in range(min(new, CASES - len(self.fleet.cells))):
            cell = self.fleet.arrive()
            self.talking.append((cell, 2 + int(chance(SEED, cell.name) * 3)))
        for cell, posts in self.talking:
            if chance(SEED, "says", cell.name, self.minute) < 0.3 or self.minute == ALL - 1:
                for _ in range(1 if self.minute < ALL - 1 else posts - cell.said):
                    self.fleet.say(cell)
        self.talking = [(cell, posts) for cell, posts in self.talking if cell.said < posts]
        for cell in self.fleet.cells.values():
            if chance(SEED, "writes", cell.name, self.minute) < 0.02 and self.has_the_standby(cell):
                self.people_work(cell)
        self.minute += 1
        self.fleet.minute()

    def has_the_standby(self, cell: Cell) -> bool:
        line = cell.line(STANDBY)
        return line is not None and line.state is EffectState.DONE

    def people_work(self, cell: Cell) -> None:
        roll = chance(SEED, "what", cell.name, self.minute)
        if roll < 0.7:
            self.fleet.write(cell, STANDBY, Happening.REMARKED)
            return
        status = ("pending", "solved", "open")[int(roll * 100) % 3]
        line = cell.line(STANDBY)
        assert line is not None
        self.standby.desk.rows[int(line.reference or "0")].status = status
        self.fleet.write(cell, STANDBY, Happening.MOVED, status)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("desks", "systems"),
    [((KeyDesk, UpsertDesk), (KeySystem, UpsertSystem)), ((NoneDesk, KeyDesk), (NoneSystem, KeySystem))],
    ids=["key, upsert", "neither, key"],
)
def test_an_hour_without_the_first_system(
    desks: tuple[type[Desk], type[Desk]], systems: tuple[type[System], type[System]]
) -> None:
    began, clock = time.monotonic(), SharedClock()
    with Site(desks[0](clock), SEED, 0.05, 0.02) as first, Site(desks[1](clock), SEED + 1, 0.05, 0.02) as standby:
        there = {FIRST: systems[0](first.url, clock), STANDBY: systems[1](standby.url, clock)}
        with Fleet(there, clock, SEED) as fleet:
            hour = Hour(fleet, first, standby, there[FIRST])
            minutes = hour.run()
            events = [event for cell in fleet.cells.values() for event in cell.ledger.events]
            print(
                f"\n{len(fleet.cells)} cases, {sum(cell.said for cell in fleet.cells.values())} posts, "
                f"{sum(len(cell.written) for cell in fleet.cells.values())} acts of people in the stand-by, which held "
                f"{hour.held} cases when the hour was over; {hour.calls_while_away} calls to the system that was away; "
                f"90 % back {hour.minutes_until(0.9)} minutes after it, 99 % {hour.minutes_until(0.99)}, all settled "
                f"{minutes} ({there[FIRST].calls['all'] - hour.calls_then} calls of it, "
                f"{fleet.counts['wake-ups'] - hour.woken_then} wake-ups); breaker opened {fleet.rows.opened[FIRST]} "
                f"times; {_provisional(events)} provisional; {dict(fleet.counts)}; {time.monotonic() - began:.0f} s"
            )
            assert first.faults == standby.faults == []
            assert len(fleet.cells) == CASES
            it_was_an_outage(hour, events)
            if systems[0] is NoneSystem:
                fleet.deaths = 0.0
                print(f"  reconciled: {dict(merged(fleet, there[FIRST]))}")
            for cell in fleet.cells.values():
                all_is_in_one_place(cell, first.desk, standby.desk)


def it_was_an_outage(hour: Hour, events: list[CaseEvent]) -> None:
    assert hour.held > CASES * 0.8, "the stand-by took them"
    assert _provisional(events) > 0, "some while it was unknown whether the first has them"
    # Probes 30 to 150 seconds apart; one call of each worker may be on its way when the breaker opens.
    assert hour.calls_while_away <= 40, "a system that is away is left alone"


def merged(fleet: Fleet, there: System) -> dict[str, int]:
    """Where the first system has no keys, it may have two of one: reconciling is part of the way back."""
    merging = Merging(fleet, FIRST, there)
    merging.until_nothing_is_found()
    return merging.found


def all_is_in_one_place(cell: Cell, first: Desk, standby: Desk) -> None:
    """One live record, in the first system, with each post and what people wrote in the stand-by; the stand-by's is
    closed and says where the live one is, and that says where it was."""
    live, line, other = cell.meta.record, cell.line(FIRST), cell.line(STANDBY)
    assert live is not None
    assert line is not None
    assert (live.system, live.id, cell.meta.engaged) == (FIRST, line.reference, (FIRST,))
    assert cell.unfinished == []
    row, *twins = sorted(first.by_key[line.key], key=lambda one: str(one.id) != line.reference)
    assert all(twin.status == "solved" for twin in twins)
    assert sorted(row.lines("Post")) == cell.posts()
    remarks = sorted(name for name, (_, kind, _) in cell.written.items() if kind is Happening.REMARKED)
    assert sorted(row.lines("Update")) == remarks
    moves = [status for _, kind, status in cell.written.values() if kind is Happening.MOVED]
    assert row.status == (moves[-1] if moves else "open")
    if other is None or other.reference is None:
        assert not cell.written
        return
    (spare,) = standby.by_key[other.key]
    assert cell.meta.retired == (STANDBY,)
    assert spare.status == "solved"
    assert _saying(spare, f"is handled in {line.url} ") == 1
    assert _saying(row, f"kept while this system did not answer: {other.url}") == 1
    ends = (cell.ledger.effects[retire_id(STANDBY)], cell.ledger.effects[close_id(STANDBY)])
    assert all(end.state is EffectState.DONE for end in ends)


def _saying(row: Row, words: str) -> int:
    return sum(words in note.text for note in row.notes)


def _provisional(events: list[CaseEvent]) -> int:
    return sum(event.kind is Happening.FAILED_OVER and event.detail["provisional"] == "true" for event in events)
