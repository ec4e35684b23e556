"""Hints through the handlers over moto, with a vendor of our own: fetched, fetched again later, or given up aloud."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import ModuleType
from typing import Any, ClassVar

import boto3
import check_sources
import ingest_event
import poll_source
import pytest
from pydantic import BaseModel, ConfigDict

import connectors
from connectors.aws.config import ConfigStore
from connectors.aws.cursors import TableCursors, begin_action
from connectors.aws.gaps import Gaps
from connectors.aws.health import TableHealth, register_action
from connectors.aws.heard import TableHeard, hour_of
from connectors.aws.inbox import of_events
from connectors.aws.spending import TableSpending
from connectors.core.budget import Prices, month_of
from connectors.core.delivery import Delivery
from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError
from connectors.core.health import TokenState, Use
from connectors.core.hints import LATE, LONGEST
from connectors.core.models import AnyEvent, Hint, Mention
from connectors.core.plan import SourceConfig, SystemConfig
from connectors.core.ports import Page
from connectors.core.reception import message
from tests.functions.test_answers import parts
from tests.functions.test_polled_sources import DONE, Deployed, deployed
from tests.functions.test_workers import Context, machine, sqs_event

__all__ = ["deployed", "machine", "parts"]
LYRE = "stack/Lyre"
WORDS = "Schellackplatte"
NOW = 1_795_000_000_000
PRICES = Prices("2026-10-01", "USD", "https://vendor.example", {"look": Decimal("0.5")})


class Settings(BaseModel):
    """None needed."""

    model_config = ConfigDict(extra="ignore")


class Given(BaseModel):
    access: str


class Lyre:
    """A source whose deliveries are ids; `shelf` is what may be fetched."""

    settings_model: ClassVar[type[BaseModel]] = Settings
    credentials_model: ClassVar[type[BaseModel]] = Given
    shelf: ClassVar[dict[str, AnyEvent]] = {}
    refuses: ClassVar[list[RemoteError]] = []
    asked: ClassVar[list[str]] = []

    def __init__(self, settings: Settings, credentials: object = None, http: object = None) -> None:
        self._settings = settings

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        return [hint(number) for number in json.loads(delivery.body)]

    def resolve(self, found: Hint) -> Sequence[AnyEvent]:
        self.asked.append(found.native_id)
        if self.refuses:
            raise self.refuses.pop(0)
        return [self.shelf[found.native_id]]

    def hint_units(self, found: Hint) -> Mapping[str, int]:
        return {"look": 1}

    def poll(self, cursor: str | None) -> Page:
        return Page([], "1", 60.0)


def hint(number: str = "7") -> Hint:
    return Hint(connector="lyre", event="mentions", native_id=number, about="post-1")


def plucked(number: str = "7", **more: Any) -> Mention:
    return Mention(connector="lyre", native_id=number, conversation_id="c", text=WORDS, **more)


class World:
    """The machine with one such source, whose clock is moved by hand."""

    def __init__(self, deployed: Deployed) -> None:
        self.deployed, self.machine, self.at = deployed, deployed.machine, NOW
        self.deploy()

    def deploy(self, **more: Any) -> None:
        self.deployed.sources[LYRE] = SourceConfig.of(LYRE, "lyre", "hailback/lyre", more.pop("settings", {}), **more)

    def deliver(self, *numbers: str) -> None:
        body = json.dumps(numbers).encode()
        self.take_in(message(LYRE, "lyre", {}, body, self.at))

    def take_in(self, *messages: dict[str, Any]) -> None:
        assert ingest_event.handler(sqs_event(*map(json.dumps, messages)), Context()) == DONE

    def follow(self, *errands: dict[str, Any]) -> Any:
        return poll_source.handler(sqs_event(*map(json.dumps, errands)), Context())

    def errands(self) -> list[dict[str, Any]]:
        """What waits to be fetched. `later` has the queue's delays over."""
        return self.machine.messages("poll")

    def inbox(self) -> list[dict[str, Any]]:
        return self.machine.messages("inbox")

    def said(self, phrase: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.machine.lines.getvalue().splitlines() if line.startswith("{")]
        return [line for line in lines if line["message"] == phrase]


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The delays that the Poll queue was asked for; nobody waits for them."""
    asked: list[int] = []
    make = boto3.client("sqs")._make_api_call

    def call(self: Any, operation: str, given: dict[str, Any]) -> Any:
        if operation == "SendMessage" and "DelaySeconds" in given:
            asked.append(given["DelaySeconds"])
            given = {**given, "DelaySeconds": 0}
        return type(self)._undelayed(self, operation, given)

    kind = type(poll_source._adapters().sqs)
    monkeypatch.setattr(kind, "_undelayed", kind._make_api_call, raising=False)
    monkeypatch.setattr(kind, "_make_api_call", call)
    assert make is not None
    return asked


@pytest.fixture
def world(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    module: Any = ModuleType("lyre_of_the_tests")
    module.Lyre = Lyre
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for registry in (connectors.POLLERS, connectors.SOURCES):
        monkeypatch.setitem(registry, "lyre", f"{module.__name__}:Lyre")
    fresh: dict[str, Any] = {"shelf": {"7": plucked(), "8": plucked("8")}, "refuses": [], "asked": []}
    for name, value in fresh.items():
        monkeypatch.setattr(Lyre, name, value)
    boto3.client("secretsmanager").create_secret(Name="hailback/lyre/credentials", SecretString='{"access": "a"}')
    found = World(deployed)
    for function in (ingest_event, poll_source):
        function._adapters.cache_clear()
        monkeypatch.setattr(function, "_now", lambda: found.at)
    yield found
    for function in (ingest_event, poll_source):
        function._adapters.cache_clear()


def test_what_a_delivery_hints_at_is_fetched_and_becomes_a_case(world: World) -> None:
    world.deliver("7", "8")
    waiting = world.errands()
    assert waiting[0] == {
        "resolve": LYRE,
        "hint": {"type": "hint", "connector": "lyre", "authority": None, "event": "mentions", "native_id": "7"}
        | {"about": "post-1"},
        "tries": 0,
        "first": NOW,
    }
    for errand in waiting * 2:  # SQS may bring a message twice, a vendor a hint
        assert world.follow(errand) == DONE
    assert Lyre.asked == ["7", "8", "7", "8"]
    deliveries = world.inbox()
    assert len(deliveries) == 4
    world.take_in(*deliveries)
    shop = world.machine.shop
    (case,) = shop.cases.newest(5)
    assert sorted(event.kind.value for event in shop.cases.timeline(case.id)) == ["opened", "said"]
    assert shop.words("lyre:7") == WORDS
    assert WORDS not in world.machine.lines.getvalue()


def test_a_hint_is_a_sign_of_life_and_what_it_led_to_is_none_again(world: World) -> None:
    world.deliver("7")
    heard = TableHeard(world.deployed.table)
    assert heard.hours(LYRE) == {hour_of(NOW): 1}
    (errand,) = world.errands()
    world.follow(errand)
    world.take_in(*world.inbox())
    assert heard.hours(LYRE) == {hour_of(NOW): 1}


def test_what_was_hinted_at_is_not_what_the_webhook_missed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is polled as well; its webhook told of the post, if only by a hint."""
    table = world.deployed.table
    world.deploy(poll=60)
    table.transact([begin_action(table, LYRE, 60, 1_000)])
    TableCursors(table, 60.0).heard(LYRE, NOW - 10_000_000)
    judged: list[object] = []
    monkeypatch.setattr(Gaps, "polled", lambda self, parcel, done: judged.append(parcel) or 0)
    world.deliver("7")
    world.follow(*world.errands())
    world.take_in(*world.inbox())
    assert judged == []
    meta, _ = world.machine.shop.cases.mention("lyre:7")
    assert meta is not None
    assert "polled_first" not in meta
    polled = f"[{plucked('9').model_dump_json()}]"
    world.take_in(of_events(LYRE, "lyre", polled, NOW))
    assert len(judged) == 1, "what a poll brings is judged as ever"


def test_a_vendor_that_does_not_answer_is_asked_again_later_and_obeyed(world: World, delays: list[int]) -> None:
    Lyre.refuses += [UnavailableError("down"), UnavailableError("busy", 2_000.0)]
    world.deliver("7")
    (first,) = world.errands()
    assert world.follow(first) == DONE
    assert world.inbox() == []
    (again,) = world.errands()
    assert again["tries"] == 1
    assert 10 <= delays[-1] <= 20
    world.at = again["not_before"]
    world.follow(again)
    (later,) = world.errands()
    assert delays[-1] == 900, "SQS delays no longer"
    world.at += 900_000
    world.follow(later)
    assert Lyre.asked == ["7", "7"], "the vendor said 2000 seconds"
    (last,) = world.errands()
    assert (last["tries"], delays[-1]) == (2, 900)
    world.at += 1_100_000
    world.follow(last)
    assert len(world.inbox()) == 1
    assert world.errands() == []
    assert [line["level"] for line in world.said("a hint is followed later")] == ["WARNING", "INFO"]


def test_what_can_never_be_had_is_said_counted_and_kept(world: World) -> None:
    Lyre.refuses.append(RejectedError("404: no such comment"))
    world.deliver("7")
    (errand,) = world.errands()
    world.at += LATE
    world.follow(errand)
    world.take_in(*world.inbox())
    assert world.errands() == []
    (line,) = world.said("a hint could not be followed")
    assert (line["level"], line["source"], line["hint"]) == ("WARNING", LYRE, "lyre:7")
    (kept,) = [row for row in world.machine.shop.rows() if row["pk"] == f"UNSUPPORTED#{LYRE}"]
    assert kept["event"] == "mentions"
    assert kept["reason"] == "lyre:7 could not be fetched: Rejected: 404: no such comment"


def test_a_hint_is_followed_for_a_day_and_then_given_up_aloud(world: World, delays: list[int]) -> None:
    world.deliver("7")
    (errand,) = world.errands()
    tries = 0
    while not (given_up := world.inbox()):
        tries += 1
        Lyre.refuses[:] = [UnavailableError("down")]
        world.follow(errand)
        found = world.errands()
        if found:
            (errand,) = found
            world.at = max(world.at, errand["not_before"])
    assert 90 < tries < 150
    assert NOW + LONGEST - 1_200_000 < world.at <= NOW + LONGEST
    world.take_in(*given_up)
    assert len(world.said("a hint could not be followed")) == 1


def test_a_source_that_is_held_keeps_its_hints_however_long(world: World, delays: list[int]) -> None:
    world.deploy(hold=True)
    world.deliver("7")
    (errand,) = world.errands()
    for _ in range(3):
        world.follow(errand)
        world.at += 2 * LONGEST
        (errand,) = world.errands()
    assert (Lyre.asked, delays) == ([], [900, 900, 900])
    world.deploy()
    Lyre.refuses.append(UnavailableError("down"))
    world.follow(errand)
    (errand,) = world.errands()
    assert world.inbox() == [], "it is not given up: its day begins when the hold ends"
    world.at = errand["not_before"]
    world.follow(errand)
    assert len(world.inbox()) == 1


def test_a_deleted_source_drops_its_hints(world: World) -> None:
    world.deliver("7")
    (errand,) = world.errands()
    del world.deployed.sources[LYRE]
    assert world.follow(errand) == DONE
    assert (Lyre.asked, world.errands(), world.inbox()) == ([], [], [])
    assert world.said("a hint is dropped: its source was deleted")


def test_a_connector_that_cannot_fetch_says_so_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(connectors.POLLERS, "lyre")
    world.deliver("7")
    world.follow(*world.errands())
    (line,) = world.said("a hint could not be followed")
    assert "the connector lyre has nothing that fetches it" in line["error"]
    assert len(world.inbox()) == 1


def test_a_source_without_credentials_is_for_an_administrator_to_mend(world: World, delays: list[int]) -> None:
    boto3.client("secretsmanager").delete_secret(SecretId="hailback/lyre/credentials", ForceDeleteWithoutRecovery=True)
    world.deliver("7")
    (errand,) = world.errands()
    for _ in range(3):
        world.follow(errand)
        (errand,) = world.errands()
        world.at = errand["not_before"]
    levels = [line["level"] for line in world.said("a hint is followed later")]
    assert levels == ["WARNING", "INFO", "INFO"], "said once"
    assert "hailback/lyre/credentials" in world.said("a hint is followed later")[0]["error"]
    check_sources._adapters.cache_clear()
    world.deployed.table.transact([register_action(world.deployed.table, LYRE)])
    check_sources.handler({}, Context())
    assert "hailback/lyre" in (TableHealth(world.deployed.table, lambda: NOW).known(LYRE).unusable or "")
    check_sources._adapters.cache_clear()
    boto3.client("secretsmanager").create_secret(Name="hailback/lyre/credentials", SecretString='{"access": "a"}')
    poll_source._adapters.cache_clear()
    world.follow(errand)
    assert len(world.inbox()) == 1


def test_how_it_went_is_seen_where_the_doctor_looks(world: World, delays: list[int]) -> None:
    Lyre.refuses.append(MisconfiguredError("access is gone", TokenState.REVOKED))
    world.deliver("7")
    world.follow(*world.errands())
    health = TableHealth(world.deployed.table, lambda: NOW)
    assert health.known(LYRE).uses[Use.RESOLVE].health.state is TokenState.REVOKED
    assert delays == [900], "where an administrator has to act, the longest wait"
    (errand,) = world.errands()
    world.at = errand["not_before"]
    world.follow(errand)
    assert health.known(LYRE).uses[Use.RESOLVE].health.state is TokenState.OK


def test_what_looking_costs_is_counted_and_no_budget_stops_it(
    world: World, delays: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll_source, "prices", lambda connector: PRICES)
    world.deploy(settings={"Budget": "1"})
    Lyre.refuses.append(UnavailableError("down"))
    for _ in range(3):
        world.deliver("7")
        (errand,) = world.errands()
        world.follow(errand)
        world.errands()
    assert TableSpending(world.deployed.table).spent(LYRE, month_of(NOW)) == {"look": 3}
    assert len(world.inbox()) == 2
    assert world.said("a budget runs low")


def test_a_crash_after_the_inbox_got_it_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQS brings the hint again, where deleting it did not come about."""
    world.deliver("7")
    (errand,) = world.errands()
    spent: Callable[..., None] = poll_source.logger.info
    monkeypatch.setattr(poll_source.logger, "info", _broken)
    failed = world.follow(errand)
    assert [one["itemIdentifier"] for one in failed["batchItemFailures"]] == ["m0"]
    monkeypatch.setattr(poll_source.logger, "info", spent)
    assert world.follow(errand) == DONE
    world.take_in(*world.inbox())
    (case,) = world.machine.shop.cases.newest(5)
    assert [event.kind.value for event in world.machine.shop.cases.timeline(case.id)] == ["opened"]


def _broken(*given: Any, **more: Any) -> None:
    raise RuntimeError("the worker died")


def test_a_system_of_record_may_hint_as_well(world: World, delays: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connectors.SYSTEMS, "lyre", connectors.POLLERS["lyre"])
    desk = SystemConfig.of("stack/Desk", "lyre", "hailback/desk", {})
    monkeypatch.setattr(ConfigStore, "system", lambda self, name, with_deleted=False: desk if name == desk.id else None)
    world.take_in(message(desk.id, "lyre", {}, b'["7"]', NOW))
    (errand,) = world.errands()
    assert errand["resolve"] == desk.id
    world.follow(errand)
    assert "hailback/desk/credentials" in world.said("a hint is followed later")[0]["error"]
    boto3.client("secretsmanager").create_secret(Name="hailback/desk/credentials", SecretString='{"access": "a"}')
    poll_source._adapters.cache_clear()
    (errand,) = world.errands()
    world.at = errand["not_before"]
    world.follow(errand)
    assert Lyre.asked == ["7"]
    assert [one["source"] for one in world.inbox()] == [desk.id]
