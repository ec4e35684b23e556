"""What was refused, and what was said while a record was gone, is found and told in the end."""

from __future__ import annotations

import pytest

from connectors.core.case import EffectKind, EffectState, Happening, record_id
from connectors.core.errors import RecordGoneError, RejectedError
from connectors.core.reconcile import MOST, Difference, Fault, compare, expected_notes, mending, record_keys
from tests.core.failover_bench import A, B, World
from tests.core.test_failover import begin, go


def differences(world: World) -> list[Difference]:
    """As `hailback reconcile` looks at the first system."""
    effects, desk = list(world.ledger.effects.values()), world.desks[A]
    reference = desk.find(world.ledger.effects[record_id(A)].key)
    there = [reference] if reference else []
    wanted = expected_notes(world.meta, effects, A)
    noted = {one.id for one in wanted if reference is None or desk.find_note(reference, one.key)}
    return compare(A, world.meta, effects, there, noted, world.clock.now())


def mend(world: World) -> list[str]:
    """What was found; the machine does the rest."""
    found = differences(world)
    for one in found:
        change = mending(one, list(world.ledger.effects.values()), world.clock.now())
        assert change is not None
        assert len(change.changes) <= MOST
        world.ledger.settle(change.changes, change.event, change.record)
    world.settle()
    return [one.fault.value for one in found]


def vanish(world: World) -> None:
    """The record is deleted, or an older backup is restored; a post comes before anybody notices."""
    desk = world.desks[A]
    desk.records.clear()
    desk.notes.clear()
    desk.status = "open"
    world.fault(A, RecordGoneError("the tracker has no issue1 any more"), "add_note")
    world.say()
    go(world)
    world.fault(A, None)


@pytest.mark.parametrize("status", ["solved", "pending", None])
def test_a_vanished_record_comes_back_with_what_was_said_meanwhile_and_its_status(status: str | None) -> None:
    world = World(A)
    begin(world, 2)
    if status is not None:
        world.write(A, Happening.MOVED, status)  # type: ignore[arg-type]
        go(world)
    vanish(world)
    assert mend(world) == ["missing there"]
    assert world.desks[A].told("Post") == ["post:1", "post:2", "post:3"]
    assert world.desks[A].status == (status or "open")
    assert len(world.desks[A].records) == 1
    assert differences(world) == []


def test_more_notes_than_one_mending_takes_come_back_in_the_end() -> None:
    world = World(A)
    begin(world, 1)
    for _ in range(MOST + 20):  # a note each
        world.say()
        go(world)
    vanish(world)
    assert mend(world) == ["missing there"]
    for _ in range(3):
        mend(world)
    assert sorted(world.desks[A].told("Post")) == sorted(f"post:{number}" for number in range(1, world.said + 1))
    assert differences(world) == []


def test_a_refused_note_is_a_difference_until_it_is_told() -> None:
    world = World(A)
    begin(world, 1)
    world.fault(A, RejectedError("422: a field is missing"), "add_note")
    world.say()
    go(world)
    assert mend(world) == ["a note was refused"]
    assert mend(world) == ["a note was refused"], "refused once more"
    world.fault(A, None)
    assert mend(world) == ["a note was refused"]
    assert world.desks[A].told("Post") == ["post:1", "post:2"]
    assert differences(world) == []


def test_a_refused_record_that_nobody_holds_is_a_difference_and_is_made_with_all_posts() -> None:
    world = World(A)
    world.fault(A, RejectedError("422: a field is missing"))
    for _ in range(50):
        world.say()
    go(world)
    assert world.desks[A].records == []
    world.fault(A, None)
    assert mend(world) == ["the record was refused"]
    mend(world)
    assert world.desks[A].told("Post") == [f"post:{number}" for number in range(1, 51)]
    assert differences(world) == []


def test_a_refused_record_that_the_stand_by_holds_is_none() -> None:
    world = World(A, B)
    world.fault(A, RejectedError("422: a field is missing"), "upsert")
    begin(world, 1)
    world.settle()
    assert world.desks[B].told("Post") == ["post:1"]
    assert differences(world) == []


def test_notes_on_a_record_that_was_closed_for_good_are_not_missed_on_the_one_that_follows() -> None:
    world = World(A)
    begin(world, 2)
    line = world.ledger.effects[record_id(A)]
    again = line.model_copy(update={"generation": 1, "follows": line.reference, "reference": "issue2"})
    assert len(set(record_keys(again.case, A, [again]))) == 2
    rest = [one for one in world.ledger.effects.values() if one.id != line.id]
    assert expected_notes(world.meta, [again, *rest], A) == []
    (note,) = [one for one in rest if one.kind is EffectKind.BATCH and one.state is EffectState.DONE]
    newer = note.model_copy(update={"id": "batch#newer", "generation": 1})
    assert expected_notes(world.meta, [again, *rest, newer], A) == [newer]


def test_the_faults_that_a_person_mends_have_names_of_their_own() -> None:
    assert len({fault.value for fault in Fault}) == len(Fault)
