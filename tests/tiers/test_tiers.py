"""Each idempotency tier over real HTTP, with a system that commits and then falls silent, or answers 409, 412, 429, 500
at random: the keyed tiers end with one record a case and each post once; what becomes two without any key is marked in
the ledger, found by reconciling, and merged.

`HAILBACK_TIERS=10000` sets the number of cases; the default is what fits into `make test`.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from connectors.core.case import EffectKind, EffectState
from tests.tiers.desks import Desk, KeyDesk, NoneDesk, UpsertDesk
from tests.tiers.fleet import Cell, Fleet, SharedClock
from tests.tiers.merging import Merging
from tests.tiers.site import Fate, Site, chance
from tests.tiers.systems import KeySystem, NoneSystem, UpsertSystem

CASES = int(os.environ.get("HAILBACK_TIERS", "200"))
SEED = int(os.environ.get("HAILBACK_SEED", "7"))
TRACKER = "stack/Tracker"
ARRIVE = max(20, CASES // 80)
"""Cases a minute."""
pytestmark = pytest.mark.timeout(60 + CASES)
Tracker = UpsertSystem | KeySystem | NoneSystem


@contextmanager
def tracker(desk: type[Desk], system: type[Tracker]) -> Iterator[tuple[Fleet, Site, Tracker]]:
    clock = SharedClock()
    with Site(desk(clock), SEED) as site:
        there = system(site.url, clock)
        with Fleet({TRACKER: there}, clock, SEED) as fleet:
            yield fleet, site, there
        assert site.faults == []


def bring(fleet: Fleet, at_half: Callable[[], object] = lambda: None) -> int:
    """Cases come in, with two to four posts each over some minutes; minutes until all are settled. All the time it
    fails. `at_half`: done once half of them are there."""
    talking: list[tuple[Cell, int]] = []
    minutes = 0
    while len(fleet.cells) < CASES or talking:
        for _ in range(min(ARRIVE, CASES - len(fleet.cells))):
            cell = fleet.arrive()
            talking.append((cell, 2 + int(chance(SEED, cell.name) * 3)))
            if len(fleet.cells) == CASES // 2:
                at_half()
        for cell, posts in talking:
            if cell.said < posts and chance(SEED, "says", cell.name, minutes) < 0.6:
                fleet.say(cell)
        talking = [(cell, posts) for cell, posts in talking if cell.said < posts]
        fleet.minute()
        minutes += 1
    return minutes + fleet.settle(2_000)


def report(fleet: Fleet, site: Site, there: Tracker, minutes: int, seconds: float) -> None:
    lines = [line for cell in fleet.cells.values() for line in cell.ledger.effects.values()]
    doubts = Counter(str(line.kind) for line in lines if line.doubt)
    fates = {str(fate): count for fate, count in site.fates.most_common()}
    print(
        f"\n{type(there).__name__}: {len(fleet.cells)} cases, {sum(cell.said for cell in fleet.cells.values())} posts, "
        f"{there.calls['all']} requests, {dict(fleet.counts)}, breaker opened {fleet.rows.opened[TRACKER]}, "
        f"doubts {dict(doubts)}, {minutes} minutes on the clock, {seconds:.0f} s\n  {fates}"
    )


def nothing_is_lost(fleet: Fleet) -> None:
    """Each line of the ledger is done, each case names its record."""
    for cell in fleet.cells.values():
        assert cell.unfinished == []
        line = cell.line(TRACKER)
        assert line is not None
        assert cell.meta.record is not None
        assert cell.meta.record.id == line.reference


def it_was_bad_enough(fleet: Fleet, site: Site) -> None:
    """Were nothing lost, refused or repeated, the rest would prove nothing."""
    assert fleet.counts["deaths"] >= CASES // 20
    committed = (Fate.COMMITTED_BROKEN, Fate.COMMITTED_CUT, Fate.COMMITTED_RESET, Fate.COMMITTED_HANG, Fate.LATE)
    refused = (Fate.TOO_MANY, Fate.CONFLICT, Fate.PRECONDITION, Fate.BROKEN, Fate.AWAY, Fate.RESET)
    for kind in (committed, refused):
        assert sum(site.fates[fate] for fate in kind) >= CASES // 10
        assert all(site.fates[fate] >= CASES // 200 for fate in kind)


@pytest.mark.parametrize(("desk", "system"), [(UpsertDesk, UpsertSystem), (KeyDesk, KeySystem)])
def test_a_keyed_tier_never_has_two(desk: type[Desk], system: type[Tracker]) -> None:
    began = time.monotonic()
    with tracker(desk, system) as (fleet, site, there):
        minutes = bring(fleet)
        report(fleet, site, there, minutes, time.monotonic() - began)
        it_was_bad_enough(fleet, site)
        nothing_is_lost(fleet)
        assert set(fleet.states()) == {EffectState.DONE}
        assert len(site.desk.rows) == len(fleet.cells) == CASES
        for cell in fleet.cells.values():
            line = cell.line(TRACKER)
            assert line is not None
            (row,) = site.desk.by_key[line.key]
            assert str(row.id) == line.reference
            assert sorted(row.lines("Post")) == cell.posts()
        if isinstance(site.desk, KeyDesk):
            desk_saw = site.desk.replayed, site.desk.differed, there.calls["permit spent"]
            print("  keys: {} replayed, {} with other bytes, {} permits spent".format(*desk_saw))
            assert min(desk_saw) >= CASES // 1000, "each way in which a key is used"
            assert site.desk.forgot == 0


def test_what_is_doubled_without_a_key_is_marked_found_and_merged() -> None:
    began = time.monotonic()
    with tracker(NoneDesk, NoneSystem) as (fleet, site, there):
        merging = Merging(fleet, TRACKER, there)
        minutes = bring(fleet, lambda: merging.once(list(fleet.cells.values())))
        report(fleet, site, there, minutes, time.monotonic() - began)
        early = dict(merging.found)
        it_was_bad_enough(fleet, site)
        nothing_is_lost(fleet)
        rows = {cell.name: site.desk.by_key[line.key] for cell in fleet.cells.values() if (line := cell.line(TRACKER))}
        doubled = {name for name, those in rows.items() if len(those) > 1}
        marked = {cell.name for cell in fleet.cells.values() if (line := cell.line(TRACKER)) and line.doubt}
        assert doubled, "were there none, nothing would be merged"
        assert doubled <= marked, "a second record that the ledger does not expect"
        extra = sum(len(those) - 1 for those in rows.values())

        rounds = merging.until_nothing_is_found()
        print(
            f"  {len(marked)} marked, {len(doubled)} doubled, {extra} records too many; found {early} at half time, "
            f"{dict(merging.found)} after {rounds} more runs; {merging.broken_off} times a case could not be compared; "
            f"{time.monotonic() - began:.0f} s"
        )
        nothing_is_lost_and_one_stands(fleet, site.desk)
        retired = [
            line
            for cell in fleet.cells.values()
            for line in cell.ledger.effects.values()
            if line.kind is EffectKind.RETIRE
        ]
        assert set(fleet.states()) == {EffectState.DONE}
        assert len(retired) == extra
        assert all(line.state is EffectState.DONE for line in retired)


def nothing_is_lost_and_one_stands(fleet: Fleet, desk: Desk) -> None:
    """One open record a case, the one that the case names, with each post once; each other is closed and says where
    the first is."""
    nothing_is_lost(fleet)
    for cell in fleet.cells.values():
        line = cell.line(TRACKER)
        assert line is not None
        (stands,) = [row for row in desk.by_key[line.key] if row.status == "open"]
        assert str(stands.id) == line.reference
        assert sorted(stands.lines("Post")) == cell.posts()
        for row in desk.by_key[line.key]:
            if row is not stands:
                assert row.status == "solved"
                assert sum((line.url or "-") in note.text for note in row.notes) == 1
