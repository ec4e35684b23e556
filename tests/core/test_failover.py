"""When the next system is asked, what it is told, and what becomes of it when an earlier one returns."""

from __future__ import annotations

import pytest

from connectors.core.breaker import State
from connectors.core.case import Effect, EffectKind, EffectState, Happening, close_id, record_id, reply_id, status_id
from connectors.core.errors import (
    MisconfiguredError,
    RejectedError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.ledger import look_again
from tests.core.failover_bench import A, B, Died, World
from tests.core.sync_bench import CASE


def begin(world: World, posts: int = 1) -> None:
    """Posts are taken in, dispatched, and the workers come."""
    for _ in range(posts):
        world.say()
    go(world)


def go(world: World) -> None:
    world.dispatch(world.undone())
    while world.queue:
        world.deliver()
        world.dispatch(world.undone())


def record(world: World, system: str) -> Effect | None:
    return world.ledger.effects.get(record_id(system))


def until_failed_over(world: World) -> float:
    """Seconds until the second system is asked."""
    start = world.clock.seconds
    while record(world, B) is None and world.clock.seconds < start + 3600:
        world.clock.advance(10)
        world.sweep()
        while world.queue:
            world.deliver()
    return world.clock.seconds - start


def test_while_the_first_system_answers_nobody_else_is_asked() -> None:
    world = World(A, B)
    begin(world, 3)
    world.settle()
    world.settled()
    assert world.desks[B].calls == []
    assert world.meta.engaged == (A,)


@pytest.mark.parametrize("after", [60.0, 120.0, 600.0])
def test_a_system_that_refuses_is_given_its_time(after: float) -> None:
    world = World(A, B, after=after)
    world.pace = world.pace.__class__(trip=100)
    world.desks[A].down = True
    begin(world)
    assert after <= until_failed_over(world) <= after + 20
    assert world.meta.engaged == (A, B)
    go(world)
    assert world.meta.record is not None
    assert world.meta.record.system == B


@pytest.mark.parametrize("error", [MisconfiguredError("401"), RejectedError("title too long")])
def test_one_that_lets_nobody_in_or_refuses_the_content_is_left_at_once(error: RejectedError) -> None:
    world = World(A, B)
    world.fault(A, error)
    begin(world, 2)
    assert world.meta.record is not None
    assert world.meta.record.system == B
    assert world.desks[B].told("Post") == ["post:1", "post:2"]


def test_a_system_that_refused_the_content_is_told_nothing_and_nothing_waits_for_it() -> None:
    world = World(A, B)
    world.fault(A, RejectedError("title too long"))
    begin(world, 2)
    world.say()
    go(world)
    assert world.settle() < 3
    assert world.desks[B].told("Post") == ["post:1", "post:2", "post:3"]
    assert {line.state for line in world.ledger.lines("", f"note#{A}#")} == {EffectState.REJECTED}


def test_an_open_breaker_sends_the_next_case_on_at_once_and_unasked() -> None:
    world = World(A, B)
    world.rows.kept[A] = world.rows.breaker(A).model_copy(update={"state": State.OPEN, "until": 10**15, "rev": 1})
    begin(world, 2)
    assert world.desks[A].calls == []
    assert world.desks[B].told("Post") == ["post:1", "post:2"]
    line = record(world, A)
    assert line is not None
    assert (line.state, line.attempt, line.held) == (EffectState.PLANNED, 0, True)


def test_an_open_breaker_is_no_reason_while_a_look_up_may_still_tell() -> None:
    world = World(A, B)
    world.pace = world.pace.__class__(trip=1)
    world.fault(A, ("after", UnknownOutcomeError("timed out")))
    begin(world)
    assert world.rows.breaker(A).state is State.OPEN
    assert record(world, B) is None
    world.fault(A, None)
    world.settle()
    assert record(world, B) is None
    world.settled()


def test_a_stand_by_that_joins_in_doubt_is_provisional() -> None:
    world = World(A, B)
    world.fault(A, ("after", UnknownOutcomeError("timed out")), "upsert")
    begin(world)
    world.desks[A].down = True
    until_failed_over(world)
    line = record(world, B)
    assert line is not None
    assert line.provisional
    event = next(event for event in world.ledger.events if event.kind is Happening.FAILED_OVER)
    assert (event.detail["from"], event.detail["system"], event.detail["provisional"]) == (A, B, "true")


def test_a_stand_by_is_told_all_that_happened_before_however_much() -> None:
    world = World(A, B)
    world.desks[A].down = True
    begin(world, 150)
    until_failed_over(world)
    for _ in range(6):
        world.minute()
    assert world.desks[B].told("Post") == [f"post:{number}" for number in range(1, 151)]
    world.say()
    go(world)
    assert world.desks[B].told("Post")[-1] == "post:151"


def test_a_worker_that_dies_when_the_stand_by_joins_loses_nothing() -> None:
    world = World(A, B)
    world.desks[A].down = True
    begin(world, 3)

    def die() -> None:
        if B in world.meta.engaged:
            world.ledger.after_write = lambda: None
            raise Died

    world.ledger.after_write = die
    until_failed_over(world)
    for _ in range(4):
        world.minute()
    assert world.desks[B].told("Post") == ["post:1", "post:2", "post:3"]


def outage(world: World) -> None:
    """The first system is away and the stand-by has the case."""
    world.desks[A].down = True
    begin(world, 2)
    until_failed_over(world)
    for _ in range(3):
        world.minute()
    assert world.desks[B].told("Post") == ["post:1", "post:2"]


def test_what_people_did_in_the_stand_by_is_brought_to_the_first_when_it_returns() -> None:
    world = World(A, B)
    outage(world)
    remark, answer = world.write(B, Happening.REMARKED), world.write(B, Happening.ANSWERED)
    world.write(B, Happening.MOVED, "solved")
    world.write(B, Happening.MOVED, "pending")
    go(world)
    assert world.desks[B].told("Update") == [], "never back to where it came from"
    world.desks[A].down = False
    world.settle()
    world.settled()
    assert world.desks[A].told("Update") == [remark, answer]
    assert world.desks[A].status == "pending"
    assert world.desks[A].calls.count("set_status") == 1, "the last change only"
    assert [event.kind for event in world.ledger.events].count(Happening.HANDED_BACK) == 1


def test_a_change_made_in_the_first_itself_is_not_undone_by_an_older_one() -> None:
    world = World(A, B)
    outage(world)
    world.write(B, Happening.MOVED, "pending")
    world.desks[A].down = False
    world.fault(A, UnavailableError("not this"), "set_status")
    for _ in range(6):
        world.minute()
    assert world.meta.record is not None
    assert world.meta.record.system == A
    world.write(A, Happening.MOVED, "solved")
    go(world)
    world.fault(A, None)
    world.settle()
    assert world.desks[A].status == "solved"


def test_changes_of_status_count_in_the_order_in_which_people_made_them() -> None:
    world = World(A, B)
    outage(world)
    early = str(world.clock.now())
    world.clock.advance(60)
    world.write(B, Happening.MOVED, "solved")
    world._event(Happening.MOVED, detail={"system": B, "update": f"{B}:slow", "status": "pending", "at": early})
    go(world)
    world.desks[A].down = False
    world.settle()
    assert world.desks[A].status == "solved"


def test_an_answer_in_the_live_stand_by_goes_out_once_and_one_after_the_hand_back_does_not() -> None:
    world = World(A, B)
    outage(world)
    sent = world.write(B, Happening.ANSWERED)
    assert sent is not None
    go(world)
    world.desks[A].down = False
    world.settle()
    world.clock.advance(60)
    late = f"{B}:late"
    world.written[late] = (B, Happening.ANSWERED)
    world._event(Happening.ANSWERED, detail={"system": B, "update": late})
    go(world)
    replies = [line for line in world.ledger.effects.values() if line.kind is EffectKind.REPLY]
    assert [(line.id, line.target, line.update) for line in replies] == [
        (reply_id(CASE.source, sent), CASE.source, sent)
    ]
    assert world.desks[A].told("Update") == [sent, late]
    assert world.desks[A].saying("Not sent") == 1


def test_an_answer_that_was_heard_of_after_the_hand_back_but_written_before_goes_out() -> None:
    world = World(A, B)
    outage(world)
    before = world.clock.now()
    world.desks[A].down = False
    world.settle()
    name = f"{B}:slow"
    world.written[name] = (B, Happening.ANSWERED)
    world._event(Happening.ANSWERED, detail={"system": B, "update": name, "at": str(before)})
    go(world)
    assert reply_id(CASE.source, name) in world.ledger.effects


def test_a_stand_by_that_was_never_asked_is_let_go_without_a_call() -> None:
    world = World(A, B)
    world.desks[A].down = world.desks[B].down = True
    begin(world)
    until_failed_over(world)
    world.desks[A].down = False
    while world.meta.record is None:
        world.minute()
    calls = len(world.desks[B].calls)
    world.settle()
    line = record(world, B)
    assert line is not None
    assert line.state is EffectState.SUPERSEDED
    assert (world.desks[B].records, len(world.desks[B].calls)) == ([], calls)
    assert world.desks[A].saying("stand-by record") == 0


def test_a_stand_by_in_doubt_is_looked_up_before_it_is_let_go() -> None:
    world = World(A, B)
    world.desks[A].down = True
    world.fault(B, ("after", UnknownOutcomeError("timed out")), "upsert")
    begin(world)
    until_failed_over(world)
    world.desks[B].down = True
    world.desks[A].down = False
    for _ in range(10):
        world.minute()
    assert world.meta.record is not None
    assert (world.meta.record.system, len(world.desks[B].records)) == (A, 1)
    world.desks[B].down = False
    world.fault(B, None)
    world.settle()
    world.settled()
    closing = world.ledger.effects[close_id(B)]
    assert closing.state is EffectState.DONE


def test_a_case_whose_first_system_has_it_stays_there() -> None:
    world = World(A, B)
    begin(world)
    world.desks[A].down = True
    world.say()
    go(world)
    for _ in range(30):
        world.minute()
    assert world.meta.engaged == (A,)
    world.desks[A].down = False
    world.settle()
    world.settled()


def test_without_a_stand_by_a_case_waits() -> None:
    world = World(A)
    world.desks[A].down = True
    begin(world)
    for _ in range(30):
        world.minute()
    line = record(world, A)
    assert line is not None
    assert line.state is EffectState.PARKED
    assert world.meta.engaged in {(), (A,)}
    world.desks[A].down = False
    world.settle()
    world.settled()
    assert len(world.desks[A].records) == 1


def test_a_duplicate_that_could_not_be_seen_stays_findable() -> None:
    """Neither key nor a look-up that can be trusted in time: the ledger says which records to look for, and how."""
    world = World(A, tiers=("neither",))
    world.desks[A].lag, world.desks[A].settle = 400.0, 5.0
    faults = [("after", UnknownOutcomeError("timed out"))]
    world.desks[A].fault = lambda operation: faults.pop() if faults and operation == "upsert" else None
    begin(world)
    world.settle()
    line = record(world, A)
    assert line is not None
    assert (line.state, line.doubt) == (EffectState.DONE, True)
    assert [key for key, _ in world.desks[A].records] == [line.key, line.key]


def test_a_status_line_of_its_own_is_nobodys_work() -> None:
    world = World(A, B)
    begin(world)
    name = world.write(A, Happening.MOVED, "pending")
    assert name is not None
    go(world)
    line = world.ledger.effects[status_id(A, name)]
    assert line.state is EffectState.DONE
    assert world.desks[A].calls.count("set_status") == 0


def test_whoever_is_far_back_in_the_queue_is_not_woken_twice_before_its_turn() -> None:
    line = Effect(case="c", id=record_id(A), kind=EffectKind.RECORD, target=A, planned_at=0)
    pace = World(A).pace
    assert look_again(line, 0, pace, 0, 4) == 60_000
    assert look_again(line, 0, pace, 600, 4) == 60_000 + 600 * 8 // 4 * 1000


def test_a_wait_that_a_vendor_asked_for_ends_when_its_system_is_well_again() -> None:
    """A day, said to one record: others get through again long before that, and so does this one."""
    world = World(A, after=120.0)
    world.fault(A, UnavailableError("503", retry_after=86_400.0))
    begin(world)
    world.fault(A, None)
    minutes = world.settle()
    assert world.desks[A].told("Post") == ["post:1"]
    assert minutes <= 17


def test_a_wait_that_a_vendor_asked_for_is_kept_by_the_breaker_for_all() -> None:
    world = World(A, after=120.0)
    world.fault(A, UnavailableError("503", retry_after=3_000.0))
    begin(world)
    for _ in range(40):
        world.minute()
    before = len(world.desks[A].calls)
    opened = world.rows.breaker(A)
    assert opened.state != "closed"
    while world.clock.now() < opened.until - 60_000:
        world.minute()
    assert len(world.desks[A].calls) == before
    world.fault(A, None)
    world.settle()
    assert world.desks[A].told("Post") == ["post:1"]
