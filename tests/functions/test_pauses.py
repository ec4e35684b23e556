"""Shadow runs and holds through the handlers over moto: what goes out, what waits, and what never goes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import poll_source
import pytest

from connectors.aws.cursors import TableCursors
from connectors.aws.pollers import Pollers
from connectors.aws.repliers import Repliers
from connectors.core.case import Effect, EffectKind, EffectState, Happening
from connectors.core.ports import Page
from connectors.tool import release as release_command
from tests.core.plan_world import FORUM, ROUTE, TRACKER
from tests.functions.pauses_bench import (
    MINUTE,
    OFF,
    ROUTES,
    SYSTEM,
    TOPIC,
    World,
    deploy,
    worlds,
)
from tests.functions.test_workers import Context, sqs_event
from tests.posts import said
from tests.store.shop import CASE


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, aws_environment: None) -> Iterator[World]:
    yield from worlds(monkeypatch)


def test_a_shadow_run_plans_everything_and_does_nothing(world: World) -> None:
    deploy(world, OFF)
    world.hear(1)
    world.hear(2)
    assert (world.tracker.calls, world.told) == ([], [])
    assert set(world.states()) == {"record", "note", "notify"}
    assert {state for states in world.states().values() for state in states} == {("superseded", "shadow run")}
    case = world.shop.case()
    assert case is not None
    assert (case.route, case.systems) == ("everything-else", (SYSTEM,)), "it shows what would have happened"


def test_switching_on_later_does_not_do_the_old_effects(world: World) -> None:
    deploy(world, OFF)
    world.hear(1)
    world.deploy("Plan", "Plan", ROUTES, old=OFF)
    world.work()
    assert (world.tracker.calls, world.told) == ([], [])


def test_what_was_planned_in_the_shadow_and_comes_to_its_worker_late_is_not_done_either(world: World) -> None:
    deploy(world, OFF)
    world.shop.take_in(said())
    waiting = [event for event in world.shop.timeline() if event.due_at]
    world.shop.dispatcher(plans=world.config).dispatch(waiting, world.now())
    world.deploy("Plan", "Plan", ROUTES, old=OFF)
    world.work()
    assert (world.tracker.calls, world.told) == ([], [])


def test_a_conversation_that_goes_on_after_the_shadow_run_is_heard(world: World) -> None:
    """Its record and its notification are made then: silence towards a customer is worse than a late case."""
    deploy(world, OFF)
    world.hear(1)
    world.deploy("Plan", "Plan", ROUTES, old=OFF)
    world.hear(2)
    world.work()
    assert len(world.tracker.records) == 1
    assert len(world.tracker.notes) == 1
    assert world.told == [TOPIC]
    world.hear(3)
    assert (len(world.tracker.records), len(world.tracker.notes), len(world.told)) == (1, 2, 1)


def release(world: World, *, answers: bool = False) -> dict[str, Any]:
    """As `hailback release` does it."""
    case = world.shop.case()
    assert case is not None
    there = SimpleNamespace(cases=world.shop.cases, table=world.shop.table)
    return release_command._one(there, case, answers=answers, dry_run=False)  # type: ignore[arg-type]


def test_what_was_not_sent_goes_out_once_when_an_administrator_releases_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_command, "_now", world.now)
    deploy(world, OFF)
    world.hear(1)
    world.hear(2)
    world.deploy("Plan", "Plan", ROUTES, old=OFF)
    said = release(world)
    assert (said["done"], said["what"]) == (
        "goes out",
        [f"record for {SYSTEM}", f"note for {SYSTEM}", f"notify for {TOPIC}"],
    )
    world.work()
    assert (len(world.tracker.records), world.told) == (1, [TOPIC])
    told = " ".join(text for _, text in world.tracker.notes)
    assert told.count("The heating is cold.") == 2, "both posts, as if it had been on"
    assert release(world)["done"] == "nothing to do"
    world.work()
    assert (len(world.tracker.records), world.told) == (1, [TOPIC])
    assert [event.kind for event in world.shop.timeline()].count(Happening.RELEASED) == 1


def test_what_was_said_in_the_shadow_joins_the_record_that_a_later_post_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_command, "_now", world.now)
    deploy(world, OFF)
    world.hear(1)
    world.deploy("Plan", "Plan", ROUTES, old=OFF)
    world.hear(2)
    world.work()
    assert (len(world.tracker.notes), world.told) == (1, [TOPIC])
    assert release(world)["what"] == [f"note for {SYSTEM}"]
    world.work()
    assert (len(world.tracker.records), len(world.tracker.notes), world.told) == (1, 2, [TOPIC])


def test_an_answer_is_released_only_where_that_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_command, "_now", world.now)
    deploy(world)
    world.hear(1)
    world.deploy("Plan", "Plan", OFF, old=ROUTES)
    at = world.now()
    answer = Effect(case=CASE, id="reply#stack/Forum#1", kind=EffectKind.REPLY, target="stack/Forum", planned_at=at)
    world.shop.ledger.plan(answer.model_copy(update={"due_at": at}))
    world.work()
    world.deploy("Plan", "Plan", ROUTES, old=OFF)
    assert release(world)["done"] == "nothing to do"
    assert release(world, answers=True)["what"] == ["reply for stack/Forum"]
    assert {state for state, _ in world.states()["reply"]} == {"planned"}


def test_what_was_open_before_the_shadow_run_waits_for_its_end(world: World) -> None:
    deploy(world)
    world.shop.take_in(said())
    waiting = [event for event in world.shop.timeline() if event.due_at]
    world.shop.dispatcher(plans=world.config).dispatch(waiting, world.now())
    world.deploy("Plan", "Plan", OFF, old=ROUTES)
    world.work()
    assert (world.tracker.calls, world.told) == ([], [])
    assert world.states()["record"] == {("parked", "Held: effects are off (Effects: off in the plan)")}
    world.deploy("Plan", "Plan", ROUTES, old=OFF)
    world.work()
    assert len(world.tracker.records) == 1
    assert world.told == [TOPIC]


def test_an_answer_that_somebody_writes_in_the_shadow_does_not_go_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Repliers, "replier", lambda *_: pytest.fail("nobody is to be answered"))
    deploy(world)
    world.hear(1)
    world.deploy("Plan", "Plan", OFF, old=ROUTES)
    at = world.now()
    answer = Effect(case=CASE, id="reply#stack/Forum#1", kind=EffectKind.REPLY, target="stack/Forum", planned_at=at)
    world.shop.ledger.plan(answer.model_copy(update={"due_at": at}))
    world.work()
    assert world.states()["reply"] == {("superseded", "shadow run")}


def test_a_held_system_receives_nothing_until_the_hold_ends(world: World) -> None:
    deploy(world)
    world.hear(1)
    held = {**TRACKER, "Hold": "true"}
    outcome = world.deploy("System", "Tracker", held, old=TRACKER)
    assert "Hold: is on: nothing is sent there" in outcome.data["Warnings"]
    world.hear(2)
    world.hear(3)
    world.work(later=60 * MINUTE)
    assert (len(world.tracker.records), len(world.tracker.notes)) == (1, 1), "as before the hold"
    why = f"Held: administrators hold {SYSTEM} (Hold: true)"
    assert ("parked", why) in world.states()["note"]
    case = world.shop.case()
    assert case is not None
    assert case.engaged == (SYSTEM,)
    world.deploy("System", "Tracker", TRACKER, old=held)
    world.work()
    assert len(world.tracker.records) == 1
    assert [text.count("The heating is cold.") for _, text in world.tracker.notes] == [1, 2]


def test_a_hold_does_not_fail_over(world: World) -> None:
    world.deploy("Source", "Forum", FORUM)
    held = {**TRACKER, "Hold": "true"}
    world.deploy("System", "Tracker", held)
    world.deploy("System", "Second", TRACKER)
    world.deploy("Plan", "Plan", {"Routes": [{**ROUTE, "Case": [SYSTEM, "stack/Second"]}]})
    world.hear(1)
    world.work(later=60 * MINUTE)
    assert world.tracker.records == []
    assert world.told == [TOPIC], "people are told all the same"
    world.deploy("System", "Tracker", TRACKER, old=held)
    world.work()
    assert len(world.tracker.records) == 1
    assert {effect.target for effect in world.effects() if effect.kind is EffectKind.RECORD} == {SYSTEM}


def test_of_a_held_source_nothing_goes_out_until_the_hold_ends(world: World) -> None:
    deploy(world)
    held = {**FORUM, "Hold": "true"}
    world.deploy("Source", "Forum", held, old=FORUM)
    world.hear(1)
    assert (world.tracker.calls, world.told) == ([], [])
    assert world.shop.happened() == ["opened", "routed"], "it is taken in all the same"
    assert {state for state, _ in world.states()["record"] | world.states()["notify"]} == {"parked"}
    world.deploy("Source", "Forum", FORUM, old=held)
    world.work()
    assert len(world.tracker.records) == 1
    assert world.told == [TOPIC]


def test_a_claimed_effect_is_left_to_the_worker_that_has_it(world: World) -> None:
    deploy(world)
    world.shop.take_in(said())
    waiting = [event for event in world.shop.timeline() if event.due_at]
    world.shop.dispatcher(plans=world.config).dispatch(waiting, world.now())
    (record,) = [effect for effect in world.effects() if effect.kind is EffectKind.RECORD]
    busy = {"state": EffectState.CLAIMED, "attempt": 1, "lease_until": world.now() + 10 * MINUTE}
    world.shop.ledger.settle([(record, record.model_copy(update=busy))])
    world.deploy("Plan", "Plan", OFF, old=ROUTES)
    world.work(later=1)
    (after,) = [effect for effect in world.effects() if effect.kind is EffectKind.RECORD]
    assert after.state is EffectState.CLAIMED


def test_a_held_source_is_not_asked_and_afterwards_goes_on_from_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    class Poller:
        def poll(self, cursor: str | None) -> Page:
            asked.append(cursor)
            return Page((), f"page-{len(asked)}", 60.0)

    monkeypatch.setattr(Pollers, "poller", lambda *_: Poller())
    polled = {**FORUM, "Poll": "1m"}
    held = {**polled, "Hold": "true"}
    cursors = TableCursors(world.shop.table, 60)

    def wake() -> str | None:
        world.time += 20 * MINUTE
        poll_source.handler(sqs_event(json.dumps({"poll": "stack/Forum"})), Context())
        cursor = cursors.cursor("stack/Forum")
        assert cursor is not None
        return cursor.error

    world.deploy("Source", "Forum", polled)
    assert wake() is None
    world.deploy("Source", "Forum", held, old=polled)
    assert [wake(), wake()] == ["Held: administrators hold it (Hold: true)"] * 2
    assert asked == [None]
    world.deploy("Source", "Forum", polled, old=held)
    assert wake() is None
    assert asked == [None, "page-1"]


def test_a_stack_that_is_deleted_with_open_cases_leaves_nobody_unheard(world: World) -> None:
    """The case keeps what it had as long as that is there; then it goes on where the plans that are left say."""
    world.deploy("System", "Tracker", {**TRACKER, "BaseUrl": "https://care.example"}, stack="care")
    base = {"Routes": [{**ROUTE, "Case": ["care/Tracker"]}]}
    world.deploy("Plan", "Plan", base, stack="care")
    mine = {"Priority": "1", "Routes": [{"Name": "mine", "Case": [SYSTEM], "Notify": [TOPIC + "-ideas"]}]}
    gone = [("Plan", "Plan", mine), ("System", "Tracker", TRACKER), ("Source", "Forum", FORUM)]
    for kind, name, properties in reversed(gone):
        world.deploy(kind, name, properties)
    world.hear(1)
    case = world.shop.case()
    assert case is not None
    assert (case.route, case.record and case.record.system) == ("stack/Plan/mine", SYSTEM)
    assert world.told == [TOPIC + "-ideas"]
    for kind, name, properties in gone:
        world.deploy(kind, name, properties, action="Delete")
    plan = world.config.active_plan()
    assert plan is not None
    assert [route.name for route in plan.routes] == ["everything-else"]
    world.hear(2)
    case = world.shop.case()
    assert case is not None
    assert case.systems[-1] == "care/Tracker"
    wishes = [effect for effect in world.effects() if effect.kind is EffectKind.NOTE]
    assert {(wish.target, wish.state.value) for wish in wishes} >= {("care/Tracker", "done")}
    assert not [effect for effect in world.effects() if not effect.state.final]
