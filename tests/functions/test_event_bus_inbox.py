"""Events of EventBridge in the inbox: whose they are is for the receivers to say; with nobody there, that is said."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, ClassVar

import ingest_event
import pytest
from pydantic import BaseModel, ConfigDict

import connectors
from connectors.aws.config import ConfigStore
from connectors.aws.health import register_action
from connectors.aws.heard import TableHeard, hour_of
from connectors.core.delivery import Delivery
from connectors.core.models import AnyEvent, Mention
from connectors.core.plan import Plan, Route, SourceConfig, SystemConfig
from tests.functions.test_polled_sources import DONE
from tests.functions.test_workers import Context, Machine, machine, sqs_event

__all__ = ["machine"]
SENT = 1_795_000_000_000
NORTH, SOUTH = "stack/North", "stack/South"


class Settings(BaseModel):
    model_config = ConfigDict(extra="ignore")
    Instance: str


class Horn:
    """A source that is told of by a bus."""

    settings_model: ClassVar[type[BaseModel]] = Settings
    read: ClassVar[list[Delivery]] = []

    def __init__(self, settings: Settings) -> None:
        self._instance = settings.Instance

    def concerns(self, delivery: Delivery) -> bool:
        return bool(json.loads(delivery.body)["detail"]["instance"] == self._instance)

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        self.read.append(delivery)
        call = json.loads(delivery.body)["detail"]["call"]
        return [Mention(connector="horn", native_id=call, conversation_id=call, order=delivery.received_at)]


def event(instance: str = "north", source: str = "acme.horn", **more: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "detail-type": "Call",
        "source": source,
        "account": "123456789012",
        "resources": [f"arn:horn/{instance}", "arn:call/1"],
        "detail": {"instance": instance, "call": "c1"},
        **more,
    }


class World:
    def __init__(self, machine: Machine) -> None:
        self.machine, self.table = machine, machine.shop.table
        self.sources: dict[str, SourceConfig] = {}

    def deploy(self, name: str, instance: str, connector: str = "horn") -> None:
        self.sources[name] = SourceConfig.of(name, connector, "hailback/horn", {"Instance": instance})
        self.table.transact([register_action(self.table, name, connector)])

    def arrive(self, *events: dict[str, Any]) -> Any:
        given = sqs_event(*map(json.dumps, events))
        for record in given["Records"]:
            record["attributes"]["SentTimestamp"] = str(SENT)
        return ingest_event.handler(given, Context())

    def seen_by(self, mention: str = "horn:c1") -> set[str]:
        meta, _ = self.machine.shop.cases.mention(mention)
        return set((meta or {}).get("sources", ()))

    def said(self, phrase: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.machine.lines.getvalue().splitlines() if line.startswith("{")]
        return [line for line in lines if line["message"] == phrase]


@pytest.fixture
def world(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> World:
    module: Any = ModuleType("horn_of_the_tests")
    module.Horn = Horn
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(connectors.SOURCES, "horn", f"{module.__name__}:Horn")
    monkeypatch.setitem(connectors.EVENT_BUSES, "acme.horn", "horn")
    monkeypatch.setattr(Horn, "read", [])
    monkeypatch.setattr(ingest_event, "_SAID", set())
    found = World(machine)
    monkeypatch.setattr(ConfigStore, "source", lambda self, name, with_deleted=False: found.sources.get(name))
    ingest_event._adapters.cache_clear()
    return found


def test_an_event_goes_to_the_source_that_it_concerns(world: World) -> None:
    world.deploy(NORTH, "north")
    world.deploy(SOUTH, "south")
    for _ in range(2):
        assert world.arrive(event()) == DONE
    assert world.seen_by() == {NORTH}
    (first, again) = Horn.read
    assert json.loads(first.body) == event()
    assert first.received_at == SENT, "by the queue's clock, which stays the same when it is delivered again"
    assert first == again
    (case,) = world.machine.shop.cases.newest(5)
    assert [one.kind.value for one in world.machine.shop.cases.timeline(case.id)] == ["opened"]
    assert TableHeard(world.table).hours(NORTH) == {hour_of(SENT): 1}


def test_where_it_concerns_several_each_takes_it_in(world: World) -> None:
    world.deploy(NORTH, "north")
    world.deploy("stack/NorthToo", "north")
    assert world.arrive(event()) == DONE
    assert world.seen_by() == {NORTH, "stack/NorthToo"}


def test_a_source_of_another_connector_is_not_asked(world: World) -> None:
    world.deploy("stack/Forum", "north", connector="discourse")
    world.deploy(NORTH, "north")
    assert world.arrive(event()) == DONE
    assert world.seen_by() == {NORTH}


def test_a_deleted_source_hears_nothing_more(world: World) -> None:
    world.deploy(NORTH, "north")
    del world.sources[NORTH]
    assert world.arrive(event()) == DONE
    assert Horn.read == []


def test_where_nobody_listens_it_is_said_once_counted_and_acknowledged(world: World) -> None:
    world.deploy(SOUTH, "south")
    assert world.arrive(event(), event(), event("east")) == DONE
    lines = world.said("nobody listens to an event bus")
    assert [(line["level"], line["place"]) for line in lines] == [("INFO", "arn:horn/north"), ("INFO", "arn:horn/east")]
    assert TableHeard(world.table).hours(f"{ingest_event.NOBODY}horn") == {hour_of(SENT): 3}


def test_a_source_that_is_deployed_meanwhile_is_heard(world: World) -> None:
    assert world.arrive(event()) == DONE
    world.deploy(NORTH, "north")
    assert world.arrive(event()) == DONE
    assert world.seen_by() == {NORTH}


def test_an_event_of_a_bus_that_nobody_reads_is_not_lost(world: World) -> None:
    """It comes again, and in the end waits in the dead-letter queue."""
    answer = world.arrive(event(source="acme.unknown"))
    assert len(answer["batchItemFailures"]) == 1


def test_an_instance_is_named_and_not_each_of_its_calls(world: World) -> None:
    """Amazon Connect names the contact first, then the instance."""
    for call in range(3):
        assert world.arrive(event(resources=[f"arn:horn/east/contact/{call}", "arn:horn/east"])) == DONE
    assert [line["place"] for line in world.said("nobody listens to an event bus")] == ["arn:horn/east"]


def test_one_source_that_cannot_be_read_keeps_no_other_from_hearing(world: World) -> None:
    """Its settings are those of an older version. The event is not lost: it may have been for that one."""
    world.deploy("stack/Broken", "north")
    settings = {"Inst": "north"}
    world.sources["stack/Broken"] = SourceConfig.of("stack/Broken", "horn", "hailback/horn", settings)
    world.deploy(NORTH, "north")
    answer = world.arrive(event())
    assert len(answer["batchItemFailures"]) == 1
    assert world.seen_by() == {NORTH}
    assert "stack/Broken" in world.machine.lines.getvalue()


def test_a_system_of_record_is_told_as_well(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connectors.SYSTEMS, "horn", connectors.SOURCES["horn"])
    desk = SystemConfig.of("stack/Desk", "horn", "hailback/horn", {"Instance": "north"})
    plan = Plan.of((Route(name="all", systems=(desk.id,)),), {desk.id: desk})
    monkeypatch.setattr(ConfigStore, "active_plan", lambda self: plan)
    monkeypatch.setattr(ConfigStore, "system", lambda self, name, with_deleted=False: desk if name == desk.id else None)
    assert world.arrive(event()) == DONE
    assert world.seen_by() == {desk.id}


@pytest.mark.parametrize(
    ("name", "connector"),
    [
        ("acme.horn", "horn"),
        ("acme.horn.more", None),
        ("aws.partner/brass.example/o1/r1", "brass"),
        ("aws.partner/brass.example/special/r1", "special"),
        ("aws.partner/brass.example", None),
        ("band.one", "band"),
        ("", None),
    ],
)
def test_which_connector_reads_a_bus(monkeypatch: pytest.MonkeyPatch, name: str, connector: str | None) -> None:
    given = {"acme.horn": "horn", "aws.partner/brass.example/": "brass", "band.*": "band"}
    for key, value in {**given, "aws.partner/brass.example/special/": "special"}.items():
        monkeypatch.setitem(connectors.EVENT_BUSES, key, value)
    assert connectors.of_bus(name) == connector
