"""Who holds a case, and the breakers, in the table: changed by one, as it was read, with all that hangs on it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from connectors.aws.breakers import TableBreakers
from connectors.core import failover
from connectors.core.breaker import Breaker, Gate, State, Watch, succeeded
from connectors.core.case import (
    Case,
    Effect,
    EffectKind,
    EffectState,
    Happening,
    Record,
    close_id,
    record_id,
    retire_id,
)
from connectors.core.errors import ConflictError, UnavailableError
from connectors.core.ledger import Pace, Shift, claimed, done, held_back
from connectors.core.plan import Plan, Route, SystemConfig
from connectors.core.sync import RecordSync
from tests.core.failover_bench import Desk
from tests.doubles import Clock
from tests.posts import said
from tests.store.conftest import Backend
from tests.store.shop import CASE, SYSTEM, TOPIC, Plans, Rung, Shop

STANDBY = "stack/Standby"
HOUR = 3_600_000


class Two(Plans):
    """A route with a stand-by."""

    def __init__(self) -> None:
        configs = {name: SystemConfig.of(name, "roundup", "hailback/x", {}) for name in (SYSTEM, STANDBY)}
        route = Route(name="all", systems=(SYSTEM, STANDBY), topics=(TOPIC,), fail_over_after=90.5)
        self.active = Plan.of((route,), configs)


def case_of(shop: Shop) -> Case:
    case = shop.case()
    assert case is not None
    return case


def line(shop: Shop, name: str) -> Effect:
    effect = shop.ledger.effect(CASE, name)
    assert effect is not None
    return effect


def begun(shop: Shop, posts: int = 1) -> None:
    for post in range(1, posts + 1):
        shop.take_in(said(post))
    dispatch(shop)


def dispatch(shop: Shop) -> int:
    events = [event for event in shop.timeline() if event.due_at]
    return shop.dispatcher(plans=Two()).dispatch(events, shop.now())


def failed_over(shop: Shop) -> None:
    shift = failover.moved_on(case_of(shop), line(shop, record_id(SYSTEM)), shop.now(), Pace())
    assert shift is not None
    before = line(shop, record_id(SYSTEM))
    shop.ledger.settle([(before, before)], shift=shift)


def test_a_case_is_engaged_in_the_first_system_of_its_route(shop: Shop) -> None:
    begun(shop)
    case = case_of(shop)
    assert (case.systems, case.engaged, case.retired) == ((SYSTEM, STANDBY), (SYSTEM,), ())
    assert case.fail_over_after == 90.5


def test_the_stand_by_joins_and_is_planned_all_that_was_said(shop: Shop) -> None:
    begun(shop, 45)
    failed_over(shop)
    assert case_of(shop).engaged == (SYSTEM, STANDBY)
    assert shop.happened()[-1] == "failed over"
    assert dispatch(shop) == 45
    assert dispatch(shop) == 0
    assert len(shop.ledger.pending(CASE, f"note#{STANDBY}#", 100)) == 45
    shop.take_in(said(46))
    assert dispatch(shop) == 2, "from now on both are told"


def test_a_case_fails_over_once(shop: Shop) -> None:
    begun(shop)
    before, case = line(shop, record_id(SYSTEM)), case_of(shop)
    shift = failover.moved_on(case, before, shop.now(), Pace())
    shop.ledger.settle([(before, before)], shift=shift)
    with pytest.raises(ConflictError):
        shop.ledger.settle([(before, before)], shift=shift)
    assert shop.happened().count("failed over") == 1


def test_whoever_has_the_record_done_keeps_the_stand_by_from_joining(shop: Shop) -> None:
    begun(shop)
    stale, case = line(shop, record_id(SYSTEM)), case_of(shop)
    shop.ledger.claim(stale, claimed(stale, shop.now(), 65))
    shift = failover.moved_on(case, stale, shop.now(), Pace())
    with pytest.raises(ConflictError):
        shop.ledger.settle([(stale, stale)], shift=shift)
    assert (case_of(shop).engaged, shop.ledger.effect(CASE, record_id(STANDBY))) == ((SYSTEM,), None)


def take(shop: Shop, system: str, reference: str) -> Shift:
    before = line(shop, record_id(system))
    held = claimed(before, shop.now(), 65)
    shop.ledger.claim(before, held)
    record = Record(system=system, id=reference, url=f"https://{reference}.example")
    shift = failover.taken(case_of(shop), record, shop.now(), Pace())
    event = shop.timeline()[0].model_copy(update={"id": f"r{reference}", "kind": Happening.RECORDED, "due_at": None})
    shop.ledger.settle([(held, done(held, shop.now(), reference, record.url))], event, record, shift)
    return shift


def test_the_first_that_returns_takes_over_and_the_stand_by_is_retired_in_the_same_write(shop: Shop) -> None:
    begun(shop)
    failed_over(shop)
    take(shop, STANDBY, "zd7")
    case = case_of(shop)
    assert (case.record and case.record.system, case.engaged) == (STANDBY, (SYSTEM, STANDBY))
    take(shop, SYSTEM, "issue3")
    case = case_of(shop)
    assert (case.record and case.record.id, case.engaged, case.retired) == ("issue3", (SYSTEM,), (STANDBY,))
    assert "handed back" in shop.happened()
    assert {line(shop, name).state for name in (retire_id(STANDBY), close_id(STANDBY))} == {EffectState.PLANNED}
    for system, reference in ((STANDBY, "zd7"), (SYSTEM, "issue3")):
        row = shop.table.get(f"RECORD#{system}#{reference}", "META")
        assert row is not None
        assert row["case"] == CASE


def test_of_two_that_change_who_holds_a_case_one_reads_again(shop: Shop) -> None:
    begun(shop)
    failed_over(shop)
    stale = case_of(shop)
    take(shop, STANDBY, "zd7")
    record = Record(system=SYSTEM, id="issue3", url="u")
    shift = failover.taken(stale, record, shop.now(), Pace())
    with pytest.raises(ConflictError):
        shop.ledger.settle([], shift=shift)
    assert (case_of(shop).record or record).system == STANDBY


def test_a_case_of_an_earlier_release_has_no_such_fields_and_moves_all_the_same(shop: Shop) -> None:
    begun(shop)
    shop.table.update(f"CASE#{CASE}", "META", "REMOVE engaged, fail_over_after")
    assert failover.engaged(case_of(shop)) == (SYSTEM,)
    failed_over(shop)
    assert case_of(shop).engaged == (SYSTEM, STANDBY)


def test_an_outage_from_end_to_end(shop: Shop) -> None:
    begun(shop, 3)
    clock = Clock(seconds=shop.now() / 1000 + 10)
    desks = {name: Desk(clock, name=name, keyed=True) for name in (SYSTEM, STANDBY)}
    breakers, bells = TableBreakers(shop.table), Rung()
    pace = Pace(trip=1)

    def work(system: str) -> None:
        sync = RecordSync(
            shop.ledger,
            shop.cases,
            desks[system],
            pace,
            now=clock.now,
            remaining=lambda: 50.0,
            need=5.0,
            gate=Gate(breakers, system, pace, clock.now),
            bells=bells,
        )
        sync.run(case_of(shop), system)

    desks[SYSTEM].down = True
    work(SYSTEM)
    assert breakers.breaker(SYSTEM).state is State.OPEN
    assert [effect.target for effect in bells.effects] == [STANDBY]
    dispatch(shop)
    work(STANDBY)
    assert len(desks[STANDBY].told("Post")) == 3
    desks[SYSTEM].down = False
    clock.advance(120)
    for system in (SYSTEM, STANDBY, SYSTEM):
        work(system)
    assert len(desks[SYSTEM].told("Post")) == 3
    assert (len(desks[SYSTEM].records), len(desks[STANDBY].records)) == (1, 1)
    assert desks[STANDBY].status == "solved"
    assert desks[SYSTEM].saying("stand-by record") == 1
    assert breakers.breaker(SYSTEM).state is State.CLOSED
    assert {effect.kind for effect in shop.cases.effects(CASE) if not effect.state.final} == {EffectKind.NOTIFY}


def test_the_sweep_leaves_alone_what_waits_for_the_breaker_and_wakes_it_afterwards(shop: Shop) -> None:
    begun(shop)
    now = shop.now()
    line_held = held_back(line(shop, record_id(SYSTEM)), now, now, None)
    shop.ledger.claim(line(shop, record_id(SYSTEM)), line_held)
    breakers = TableBreakers(shop.table)
    down = Breaker(system=SYSTEM, state=State.OPEN, until=now + HOUR, failures=5, opened=1, rev=1)
    breakers.save(Breaker(system=SYSTEM), down)

    def sweep(at: int) -> list[str]:
        watch, woken = Watch(breakers, Pace(), 4), []
        for item in shop.waiting(at):
            effect = Effect.model_validate(item)
            wake, again = watch.judge(effect, at)
            woken += [effect.kind.value] if wake else []
            shop.due.later(item, again)
        return sorted(woken)

    assert sweep(now + 61_000) == ["notify"], "neither the record nor its notes"
    assert sweep(now + HOUR - 1) == ["notify"]
    breakers.save(down, succeeded(down))
    assert sweep(now + HOUR + 61_000) == ["note", "notify", "record"]


def test_of_many_workers_at_once_one_probes(open_shop: Callable[..., Shop], backend: Backend) -> None:
    if not backend.simultaneous:
        pytest.skip("moto says nothing about writers at the same time")
    shop = open_shop()
    breakers = TableBreakers(shop.table)
    breakers.save(Breaker(system=SYSTEM), Breaker(system=SYSTEM, state=State.OPEN, until=1, rev=1))
    gates = [Gate(breakers, SYSTEM, Pace(), lambda: 1_000) for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda gate: gate.ask(), gates))
    assert answers.count(None) == 1


def test_a_breaker_is_written_as_it_was_read(shop: Shop) -> None:
    breakers: Any = TableBreakers(shop.table)
    one, two = (Gate(breakers, SYSTEM, Pace(trip=2), lambda: 1_000) for _ in range(2))
    assert (one.ask(), two.ask()) == (None, None)
    assert one.answered(UnavailableError("refused")) is None
    assert two.answered(UnavailableError("refused")) == 31_000
    stale = breakers.breaker(SYSTEM)
    breakers.save(stale, stale.model_copy(update={"rev": stale.rev + 1}))
    with pytest.raises(ConflictError):
        breakers.save(stale, stale.model_copy(update={"rev": stale.rev + 1}))
    with pytest.raises(ConflictError):
        breakers.save(Breaker(system=SYSTEM), Breaker(system=SYSTEM, rev=1))
