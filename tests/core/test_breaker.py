"""A system that does not answer is asked by one at a time; when it is back, everybody gets through, in good order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from connectors.core.breaker import Breaker, Gate, State, Watch, asked, broke, not_before, succeeded
from connectors.core.case import SHARDS, Effect, EffectKind, EffectState, record_id, shard
from connectors.core.errors import (
    ConflictError,
    RejectedError,
    SpentPermitError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.failover import planned_record
from connectors.core.ledger import Pace
from connectors.core.ports import CaseDraft, Reference
from connectors.core.sync import OutOfTimeError, RecordSync
from tests.core.failover_bench import Rows
from tests.core.sync_bench import CASE
from tests.doubles import Clock, MemoryLedger, Tracker, Words

PACE = Pace(lease=65, backoff=15, trip=3, open=30, open_longest=150)
SYSTEM = "stack/Tracker"
DOWN = UnavailableError("refused")


def opened(*, until: int = 30_000, times: int = 1) -> Breaker:
    return Breaker(system=SYSTEM, state=State.OPEN, until=until, opened=times, failures=3, since=0, rev=9)


def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    breaker = Breaker(system=SYSTEM)
    for _ in range(2):
        breaker = broke(breaker, DOWN, 0, PACE)
        assert breaker.state is State.CLOSED
    breaker = succeeded(breaker)
    for _ in range(2):
        breaker = broke(breaker, DOWN, 0, PACE)
    assert breaker.state is State.CLOSED
    breaker = broke(breaker, UnknownOutcomeError("timed out"), 1_000, PACE)
    assert (breaker.state, breaker.until, breaker.since) == (State.OPEN, 31_000, 1_000)


def test_while_it_is_open_nobody_asks_and_then_one_does() -> None:
    assert asked(opened(), 29_999, PACE)[1] == 30_000
    probing, until = asked(opened(), 30_000, PACE)
    assert (until, probing.state, probing.until) == (None, State.PROBING, 95_000)
    assert asked(probing, 60_000, PACE) == (probing, 95_000), "everybody else waits for the probe"


def test_a_probe_whose_worker_died_is_taken_over() -> None:
    probing, _ = asked(opened(), 30_000, PACE)
    again, until = asked(probing, 95_000, PACE)
    assert (until, again.until) == (None, 160_000)


def test_each_probe_that_fails_doubles_the_wait_up_to_a_limit() -> None:
    waits = []
    breaker = opened()
    for _ in range(5):
        breaker, _ = asked(breaker, breaker.until, PACE)
        now = breaker.until
        breaker = broke(breaker, DOWN, now, PACE)
        waits.append((breaker.until - now) / 1000)
    assert waits == [60, 120, 150, 150, 150]
    assert breaker.since == 0


def test_what_a_vendor_asks_for_is_kept() -> None:
    probing, _ = asked(opened(), 30_000, PACE)
    assert broke(probing, UnavailableError("429", retry_after=600), 0, PACE).until == 600_000
    assert broke(probing, UnavailableError("429", retry_after=10**9), 0, PACE).until == 3_600_000


def test_a_late_failure_does_not_keep_it_open_and_any_answer_closes_it() -> None:
    assert broke(opened(), DOWN, 20_000, PACE) == opened()
    closed = succeeded(opened())
    assert (closed.state, closed.failures, closed.opened, closed.rev) == (State.CLOSED, 0, 0, 10)


def test_of_many_workers_one_probes() -> None:
    rows = Rows()
    rows.kept[SYSTEM] = opened()
    gates = [Gate(rows, SYSTEM, PACE, lambda: 30_000) for _ in range(20)]
    assert [gate.ask() for gate in gates].count(None) == 1


def test_of_workers_that_read_at_the_same_time_one_probes() -> None:
    rows = Rows()
    rows.kept[SYSTEM] = opened()
    answers: list[int | None] = []

    class Racing(Rows):
        """While this one has read and not yet written, another probes."""

        def breaker(self, system: str) -> Breaker:
            found = rows.breaker(system)
            if not answers:
                answers.append(0)
                answers.append(Gate(rows, SYSTEM, PACE, lambda: 30_000).ask())
            return found

        def save(self, before: Breaker, after: Breaker) -> None:
            rows.save(before, after)

    answers.append(Gate(Racing(), SYSTEM, PACE, lambda: 30_000).ask())
    assert answers[1:] == [None, 95_000]


def test_a_probe_that_was_not_made_is_given_back() -> None:
    rows = Rows()
    rows.kept[SYSTEM] = opened()
    gate = Gate(rows, SYSTEM, PACE, lambda: 30_000)
    assert gate.ask() is None
    gate.give_back()
    assert Gate(rows, SYSTEM, PACE, lambda: 30_000).ask() is None


def test_a_refused_content_is_an_answer() -> None:
    rows = Rows()
    rows.kept[SYSTEM] = opened()
    gate = Gate(rows, SYSTEM, PACE, lambda: 30_000)
    gate.ask()
    assert gate.answered(RejectedError("too long")) is None
    assert rows.breaker(SYSTEM).state is State.CLOSED


def test_when_all_is_well_nothing_is_written() -> None:
    rows = Rows()
    gate = Gate(rows, SYSTEM, PACE, lambda: 0)
    assert gate.ask() is None
    assert gate.answered(None) is None
    assert rows.kept == {}


@pytest.mark.parametrize("lost", [0, 1, 4, 99])
def test_a_row_that_others_write_all_the_time_keeps_nobody_for_ever(lost: int) -> None:
    class Busy(Rows):
        left = lost

        def save(self, before: Breaker, after: Breaker) -> None:
            if self.left:
                self.left -= 1
                raise ConflictError
            super().save(before, after)

    rows = Busy()
    rows.kept[SYSTEM] = opened()
    assert Gate(rows, SYSTEM, PACE, lambda: 40_000).ask() == (None if lost < 5 else 55_000)


def test_the_sweep_wakes_one_for_a_probe_and_none_while_it_is_open() -> None:
    line = planned_record(CASE, SYSTEM, 0, 0).model_copy(update={"held": True})
    assert not_before(line, opened(), 10_000, PACE, 0) == 30_000
    assert not_before(line, opened(), 30_000, PACE, 0) is None
    assert not_before(line, opened(), 30_000, PACE, 1) == 45_000
    free = line.model_copy(update={"held": False})
    assert not_before(free, opened(), 10_000, PACE, 0) is None, "it may have to be handed to the next system"
    told = line.model_copy(update={"kind": EffectKind.NOTIFY})
    assert not_before(told, opened(), 10_000, PACE, 0) is None


# ---- an hour's outage with thousands of cases


@dataclass
class Quick(Tracker):
    """Knows its records by key, at once; counts what it is asked."""

    up: bool = True
    kept: Counter[str] = field(default_factory=Counter)
    asked_while_down: list[float] = field(default_factory=list)

    def upsert(self, case: CaseDraft, key: str, permit: str | None) -> Reference:
        if not self.up:
            self.asked_while_down.append(self.clock.seconds)
            raise UnavailableError("refused")
        self.kept[key] += 1
        return Reference(key, "https://tracker.example/1")

    def reserve(self, kind: str) -> str | None:
        return None


class Hall:
    """Many cases of one system: their ledgers, the queue, the sweep of eight shards, workers that take their time."""

    turn = 0.5
    workers = 4

    def __init__(self) -> None:
        self.clock, self.rows = Clock(), Rows()
        self.pace = Pace(trip=5, open=30, open_longest=150, turn=self.turn)
        self.system = Quick(self.clock)
        self.ledgers: dict[str, MemoryLedger] = {}
        self.queue: list[str] = []
        self.messages = 0

    def open_case(self) -> None:
        name = f"case-{len(self.ledgers)}"
        case = CASE.model_copy(update={"id": name, "systems": (SYSTEM,), "engaged": (SYSTEM,)})
        ledger = self.ledgers[name] = MemoryLedger()
        ledger.meta = case
        ledger.plan(planned_record(case, SYSTEM, self.clock.now(), self.clock.now() + 60_000))
        self.wake(name)

    def wake(self, name: str) -> None:
        self.queue.append(name)
        self.messages += 1

    def work(self, name: str) -> None:
        ledger, now = self.ledgers[name], self.clock.now
        gate = Gate(self.rows, SYSTEM, self.pace, now)
        run = RecordSync(ledger, Words(), self.system, self.pace, now=now, remaining=lambda: 60.0, need=5.0, gate=gate)
        assert ledger.meta is not None
        run.run(ledger.meta, SYSTEM)

    def minute(self) -> None:
        watches = [Watch(self.rows, self.pace, self.workers) for _ in range(SHARDS)]
        now = self.clock.now()
        for name, ledger in self.ledgers.items():
            line = ledger.effects[record_id(SYSTEM)]
            if line.due_at is not None and line.due_at <= now:
                wake, again = watches[shard(name)].judge(line, now)
                ledger.effects[line.id] = line.model_copy(update={"due_at": again})
                if wake:
                    self.wake(name)
        ends = self.clock.seconds + 60
        while self.queue and self.clock.seconds < ends:
            self.work(self.queue.pop(0))
            self.clock.advance(self.turn / self.workers)
        self.clock.seconds = ends

    def left(self) -> int:
        return sum(ledger.effects[record_id(SYSTEM)].state is not EffectState.DONE for ledger in self.ledgers.values())


def test_an_hours_outage_is_not_hammered_and_drains_as_fast_as_the_workers_can() -> None:
    hall, cases = Hall(), 5_000
    hall.system.up = False
    for _ in range(60):
        for _ in range(-(-cases // 60)):
            hall.open_case()
        hall.minute()
    cases = len(hall.ledgers)
    assert hall.left() == cases
    asked = hall.system.asked_while_down
    assert len(asked) <= hall.pace.trip + 3600 / hall.pace.open_longest + 6, "one probe at a time"
    before = hall.messages
    hall.system.up = True
    minutes = 0
    while hall.left() and minutes < 60:
        hall.minute()
        minutes += 1
    assert hall.left() == 0
    assert set(hall.system.kept.values()) == {1}
    assert len(hall.system.kept) == cases
    least = cases * hall.turn / hall.workers / 60
    assert minutes <= least + 5, "the last probe's wait, a sweep, and then without a break"
    assert hall.messages - before <= 1.5 * cases, "the queue is not filled with what waits in it already"


def test_a_case_that_comes_when_the_system_is_back_need_not_wait_for_the_others() -> None:
    hall = Hall()
    hall.system.up = False
    for _ in range(30):
        hall.open_case()
    for _ in range(10):
        hall.minute()
    hall.system.up = True
    for _ in range(4):
        hall.minute()
    assert hall.left() == 0
    hall.open_case()
    hall.minute()
    assert hall.left() == 0


def test_any_one_effect_is_held_without_an_attempt() -> None:
    hall = Hall()
    hall.rows.kept[SYSTEM] = opened(until=hall.clock.now() + 50_000)
    hall.open_case()
    hall.minute()
    line: Any = hall.ledgers["case-0"].effects[record_id(SYSTEM)]
    assert isinstance(line, Effect)
    assert (line.attempt, line.state, line.held) == (0, EffectState.PLANNED, True)


def test_a_worker_that_has_no_time_left_for_its_probe_leaves_it_to_the_next() -> None:
    hall = Hall()
    hall.rows.kept[SYSTEM] = opened(until=hall.clock.now())
    hall.open_case()
    hall.open_case()
    ledger, left = hall.ledgers["case-0"], iter([60.0, 1.0])
    gate = Gate(hall.rows, SYSTEM, hall.pace, hall.clock.now)
    run = RecordSync(
        ledger,
        Words(),
        hall.system,
        hall.pace,
        now=hall.clock.now,
        remaining=lambda: next(left),
        need=5.0,
        gate=gate,
    )
    assert ledger.meta is not None
    with pytest.raises(OutOfTimeError):
        run.run(ledger.meta, SYSTEM)
    hall.work("case-1")
    assert hall.left() == 1


def test_a_spent_permit_is_an_answer_and_no_outage() -> None:
    rows, clock = Rows(), Clock()
    for _ in range(10):
        gate = Gate(rows, SYSTEM, PACE, clock.now)
        assert gate.ask() is None
        assert gate.answered(SpentPermitError("the key may be forgotten")) is None
