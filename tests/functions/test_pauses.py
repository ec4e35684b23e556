"""Shadow runs and holds through the handlers over moto: what goes out, what waits, and what never goes out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import notify_people
import poll_source
import pytest
import send_reply
import sync_record
from moto import mock_aws

from connectors.aws.blobs import Blobs
from connectors.aws.config import ConfigStore
from connectors.aws.cursors import TableCursors
from connectors.aws.pollers import Pollers
from connectors.aws.repliers import Repliers
from connectors.aws.systems import Systems
from connectors.aws.topics import SnsTopics
from connectors.core.case import Effect, EffectKind, EffectState, Happening
from connectors.core.identity import case_id, qualify
from connectors.core.plan_configure import configure
from connectors.core.plan_grammar import Catalogue
from connectors.core.plan_ports import Outcome
from connectors.core.ports import Page
from tests.core import plan_world
from tests.core.plan_world import FORUM, ROUTE, TRACKER, ForumSettings, ask, machine
from tests.doubles import Clock, Tracker
from tests.functions.test_workers import Context, sqs_event
from tests.posts import FORUM as PLACE
from tests.posts import said
from tests.store.shop import CASE, Shop
from tests.template import table_request

STACK = "stack"
SYSTEM, TOPIC = "stack/Tracker", plan_world.TOPIC
ROUTES = {"Routes": [{**ROUTE, "Case": [SYSTEM]}]}
OFF = {**ROUTES, "Effects": "off"}
HANDLERS = (sync_record, notify_people, send_reply, poll_source)
MINUTE = 61_000
OTHER = case_id(qualify("discourse", PLACE, "8"))


class World:
    """A machine with a plan that was really deployed, a tracker, and people who listen. Time goes on when told to."""

    def __init__(self, client: Any) -> None:
        self.time = int(time.time() * 1000)
        self.shop = Shop(client, "table", blobs=Blobs(lambda: boto3.client("s3"), "bucket"), clock=self._ticks())
        self.config = ConfigStore(client, "table", ttl=0)
        self.tracker, self.told = Tracker(Clock()), list[str]()

    def _ticks(self) -> Iterator[int]:
        while True:
            yield self.now()

    def now(self) -> int:
        self.time += 1
        return self.time

    def deploy(
        self, kind: str, name: str, properties: dict[str, Any], old: dict[str, Any] | None = None, **more: Any
    ) -> Outcome:
        plan_world.clock[0] = self.now()
        action = more.pop("action", "Create" if old is None else "Update")
        request = ask(action, kind, name, properties, stack=more.pop("stack", STACK), old=old or {})
        made = replace(machine(self.config), sources=Catalogue(("forum",), lambda _: ForumSettings, lambda _: True))
        outcome = configure(request, made)
        assert outcome.ok, outcome.findings
        for module in HANDLERS:
            module._adapters.cache_clear()  # a worker sees it after 15 seconds
        return outcome

    def hear(self, post: int = 1) -> None:
        """Somebody says something, and all that follows is done that may be."""
        self.shop.take_in(said(post, order=post))
        self.route()

    def route(self, case: str = CASE) -> None:
        """What waits on a case is dispatched and carried out."""
        for _ in range(2):  # a system that joins is told of what was before by an event of its own
            waiting = [event for event in self.shop.timeline(case) if event.due_at]
            self.shop.dispatcher(plans=self.config).dispatch(waiting, self.now())
            self.work(case=case)

    def work(self, later: int = MINUTE, case: str = CASE) -> None:
        """The workers are woken for what is open, twice."""
        for _ in range(2):
            self.time += later
            for effect in self.effects(case):
                if effect.state.final:
                    continue
                body = json.dumps({"case": effect.case, "effect": effect.id, "system": effect.target})
                handler = {EffectKind.NOTIFY: notify_people, EffectKind.REPLY: send_reply}.get(effect.kind, sync_record)
                answer = handler.handler(sqs_event(body), Context())  # type: ignore[arg-type]
                assert answer == {"batchItemFailures": []}

    def say(self, topic: str) -> str:
        self.told.append(topic)
        return "sent"

    def effects(self, case: str = CASE) -> list[Effect]:
        return self.shop.cases.effects(case)

    def states(self) -> dict[str, set[tuple[str, str | None]]]:
        found: dict[str, set[tuple[str, str | None]]] = {}
        for effect in self.effects():
            found.setdefault(effect.kind.value, set()).add((effect.state.value, effect.error))
        return found


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, aws_environment: None) -> Iterator[World]:
    with mock_aws():
        client, sqs = boto3.client("dynamodb"), boto3.client("sqs")
        client.create_table(**table_request("table"))
        boto3.client("s3").create_bucket(
            Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        monkeypatch.setenv("TABLE_NAME", "table")
        monkeypatch.setenv("BUCKET_NAME", "bucket")
        for name in ("inbox", "notify", "reply", "poll", "undelivered"):
            monkeypatch.setenv(f"{name.upper()}_QUEUE_URL", sqs.create_queue(QueueName=name)["QueueUrl"])
        sync = sqs.create_queue(QueueName="sync.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        monkeypatch.setenv("SYNC_QUEUE_URL", sync)
        world = World(client)
        monkeypatch.setattr(Systems, "system", lambda self, name, ends: world.tracker)
        monkeypatch.setattr(SnsTopics, "publish", lambda self, topic, *_: world.say(topic))
        monkeypatch.setattr(SnsTopics, "heard", lambda self, topic: True)
        for module in HANDLERS:
            monkeypatch.setattr(module, "_now", world.now)
            module._adapters.cache_clear()
        yield world
        for module in HANDLERS:
            module._adapters.cache_clear()


def deploy(world: World, plan: dict[str, Any] = ROUTES) -> None:
    world.deploy("Source", "Forum", FORUM)
    world.deploy("System", "Tracker", TRACKER)
    world.deploy("Plan", "Plan", plan)


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


IDEAS = {"Priority": "1", "Effects": "off", "Sources": "all"}


def beside(system: str, topic: str) -> dict[str, Any]:
    """A shadow plan of the same stack that takes whatever is said of a leak."""
    route = {"Name": "leaks", "Case": [system], "Notify": [topic], "When": {"text": [{"wildcard": "*leak*"}]}}
    return {**IDEAS, "Routes": [route]}


def shadow_lines(world: World, case: str = CASE) -> list[tuple[str | None, dict[str, str]]]:
    return [(one.mention, one.detail) for one in world.shop.timeline(case) if one.kind is Happening.SHADOWED]


def test_a_shadow_plan_beside_the_base_takes_nothing_and_says_what_it_would_have(world: World) -> None:
    deploy(world)
    world.deploy("System", "Second", TRACKER)
    outcome = world.deploy("Plan", "Ideas", beside("stack/Second", TOPIC + "-ideas"))
    assert "Its routes take nothing" in outcome.data["Warnings"]
    world.shop.take_in(said(1, text="a leak"))
    world.route()
    case = world.shop.case()
    assert case is not None
    assert (case.route, case.engaged, case.shadowed) == ("everything-else", (SYSTEM,), ("stack/Ideas/leaks",))
    assert (len(world.tracker.records), world.told) == (1, [TOPIC]), "the base serves it, with all effects"
    assert {effect.state for effect in world.effects()} == {EffectState.DONE}
    ((mention, detail),) = shadow_lines(world)
    assert mention == case.first_mention
    assert detail == {
        "shadow": "stack/Ideas",
        "route": "stack/Ideas/leaks",
        "instead_of": "everything-else",
        "systems": "stack/Second",
        "topics": TOPIC + "-ideas",
    }
    world.shop.take_in(said(9, topic=8, text="cold"))
    world.route(OTHER)
    assert shadow_lines(world, OTHER) == []
    assert world.told == [TOPIC, TOPIC]


def test_a_mention_that_comes_twice_is_shadowed_once(world: World) -> None:
    deploy(world)
    world.deploy("Plan", "Ideas", beside(SYSTEM, TOPIC + "-ideas"))
    for _ in range(2):
        world.shop.take_in(said(1, text="a leak"))
        world.route()
    opened = [event for event in world.shop.timeline() if event.kind is Happening.OPENED]
    world.shop.dispatcher(plans=world.config).dispatch(opened, world.now())  # the stream repeats itself
    assert len(shadow_lines(world)) == 1
    world.shop.take_in(said(2, text="still a leak", order=2))
    world.route()
    assert len(shadow_lines(world)) == 1, "it would have the case already"


def test_a_later_post_says_that_a_shadow_plan_would_have_raised_the_case(world: World) -> None:
    deploy(world)
    world.deploy("System", "Second", TRACKER)
    world.deploy("Plan", "Ideas", beside("stack/Second", TOPIC + "-ideas"))
    world.hear(1)
    assert shadow_lines(world) == []
    world.shop.take_in(said(2, text="a leak", order=2))
    world.route()
    case = world.shop.case()
    assert case is not None
    assert (case.route, case.shadowed) == ("everything-else", ("stack/Ideas/leaks",))
    ((mention, _),) = shadow_lines(world)
    assert mention == said(2).id
    assert (len(world.tracker.records), world.told) == (1, [TOPIC])
    assert {effect.target for effect in world.effects() if effect.kind is EffectKind.RECORD} == {SYSTEM}


def test_a_plan_that_becomes_a_shadow_keeps_the_cases_that_it_took(world: World) -> None:
    """And takes no others; when it is on again it does, and says nothing more of what it would."""
    deploy(world)
    off = beside(SYSTEM, TOPIC + "-ideas")
    live = {**off, "Effects": "on"}
    world.deploy("Plan", "Ideas", live)
    world.shop.take_in(said(1, text="a leak"))
    world.route()
    world.deploy("Plan", "Ideas", off, old=live)
    world.shop.take_in(said(2, text="is anybody there?", order=2))
    world.route()
    case = world.shop.case()
    assert case is not None
    assert case.route == "stack/Ideas/leaks"
    assert len(world.tracker.notes) == 2
    world.shop.take_in(said(9, topic=8, text="cold"))
    world.route(OTHER)
    world.deploy("Plan", "Ideas", live, old=off)
    world.shop.take_in(said(10, topic=8, text="now a leak", order=2))
    world.route(OTHER)
    assert shadow_lines(world, OTHER) == []


def test_with_effects_off_in_the_base_a_shadow_beside_it_is_still_told_of(world: World) -> None:
    deploy(world, OFF)
    world.deploy("Plan", "Ideas", beside(SYSTEM, TOPIC + "-ideas"))
    world.shop.take_in(said(1, text="a leak"))
    world.route()
    assert (world.tracker.calls, world.told) == ([], [])
    assert len(shadow_lines(world)) == 1


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
