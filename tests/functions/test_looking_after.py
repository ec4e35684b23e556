"""sweep_privacy and check_sources over moto, with a vendor of our own in the registry: what the alarms would hear."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from io import StringIO
from types import ModuleType
from typing import Any, ClassVar

import boto3
import check_sources
import ingest_event
import pytest
import sweep_privacy
from pydantic import BaseModel, ConfigDict

import connectors
from connectors.aws.config import ConfigStore
from connectors.aws.health import TableHealth, register_action
from connectors.aws.heard import TableHeard, hour_of
from connectors.aws.spending import TableSpending
from connectors.core.budget import Prices, month_of
from connectors.core.errors import MisconfiguredError
from connectors.core.health import TokenHealth, TokenState, Use
from connectors.core.ingest import Origin
from connectors.core.models import Deletion, Mention
from connectors.core.plan import SourceConfig
from connectors.core.ports import Rechecked
from tests.functions.test_workers import Context, Machine, machine, sqs_event

__all__ = ["machine"]
ACME, SHY = "routes/Acme", "routes/Shy"
NOW = 1_795_000_000_000
HOUR = 3_600_000


class Settings(BaseModel):
    """None needed."""


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")
    access: str
    refresh: str


class Parrot:
    """A source that does not tell of removals, with an access token that runs out."""

    settings_model: ClassVar[type[BaseModel]] = Settings
    credentials_model: ClassVar[type[BaseModel]] = Given
    recheck_within: ClassVar[int] = 20 * 3600
    recheck_batch: ClassVar[int] = 3
    gone: ClassVar[set[str]] = set()
    health: ClassVar[TokenHealth] = TokenHealth(TokenState.OK)
    refuses: ClassVar[MisconfiguredError | None] = None
    used: ClassVar[list[str]] = []
    renewed: ClassVar[list[str]] = []

    def __init__(self, settings: Settings, credentials: Given, http: object) -> None:
        self._credentials = credentials

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        self.used.append(self._credentials.access)
        if self.refuses is not None:
            raise self.refuses
        gone = [Deletion(connector="parrot", native_id=one, order=2 * NOW) for one in native_ids if one in self.gone]
        return Rechecked(gone, {"post_read": len(native_ids)})

    def check(self) -> TokenHealth:
        self.used.append(self._credentials.access)
        return self.health

    def refresh_due(self, now: int) -> bool:
        return self._credentials.access == "old" or now > 2 * NOW

    def refresh(self, now: int) -> Mapping[str, object]:
        self.renewed.append(self._credentials.refresh)
        return {"access": "new", "refresh": "r2"}


class World:
    """The machine with one such source, whose clock is moved by hand."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.table, self.at = machine, machine.shop.table, NOW
        self.sources: dict[str, SourceConfig] = {}
        self.secrets = boto3.client("secretsmanager")
        machine.shop.intake._now = lambda: self.at
        self.deploy(ACME)

    def deploy(self, name: str, **more: Any) -> None:
        self.sources[name] = SourceConfig.of(name, "parrot", f"hailback/{name[7:].lower()}", {}, **more)
        self.table.transact([register_action(self.table, name)])

    def secret(self, text: str, name: str = "acme") -> None:
        self.secrets.create_secret(Name=f"hailback/{name}/credentials", SecretString=text)

    def hear(self, *numbers: int) -> None:
        for number in numbers:
            said = Mention(
                connector="parrot", native_id=str(number), conversation_id=str(number), text=f"words {number}"
            )
            self.machine.shop.take_in(said, Origin(ACME, "parrot"))

    def sweep(self, seconds: float = 300.0) -> dict[str, Any]:
        return sweep_privacy.handler({}, Context(seconds))

    def check(self, **event: str) -> dict[str, Any]:
        return check_sources.handler(event, Context(300.0))

    def said(self, phrase: str) -> list[dict[str, Any]]:
        """What the metric filter of an alarm counts."""
        lines = [json.loads(line) for line in self.machine.lines.getvalue().splitlines() if line.startswith("{")]
        return [line for line in lines if line["message"] == phrase and line["level"] == "ERROR"]


@pytest.fixture
def world(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    module: Any = ModuleType("parrot_of_the_tests")
    module.Parrot = Parrot
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for registry in (connectors.POLLERS, connectors.SOURCES):
        monkeypatch.setitem(registry, "parrot", f"{module.__name__}:Parrot")
    fresh: dict[str, Any] = {"gone": set(), "used": [], "renewed": [], "refuses": None}
    for name, value in fresh.items():
        monkeypatch.setattr(Parrot, name, value)
    monkeypatch.setattr(Parrot, "health", TokenHealth(TokenState.OK))
    monkeypatch.setenv("TEXT_DAYS", "3")
    monkeypatch.setenv("LEASE_SECONDS", "310")
    own = (sweep_privacy, check_sources)
    found = World(machine)
    monkeypatch.setattr(ConfigStore, "source", lambda self, name, with_deleted=False: found.sources.get(name))
    for function in own:
        function._adapters.cache_clear()
        monkeypatch.setattr(function, "_now", lambda: found.at)
    handlers = [(one.logger.registered_handler, one.logger.registered_handler.setStream(machine.lines)) for one in own]
    yield found
    for handler, stream in handlers:
        handler.setStream(stream or StringIO())
    for function in own:
        function._adapters.cache_clear()


def test_what_is_gone_at_its_source_goes_here_by_way_of_the_inbox(world: World) -> None:
    world.secret('{"access": "a", "refresh": "r"}')
    world.hear(1, 2, 3, 4)
    Parrot.gone = {"2"}
    world.at += 21 * HOUR
    found = world.sweep()
    assert found["swept"][ACME] == {"source": ACME, "posts": 4, "gone": 1, "days_left": 0, "error": None}
    (delivery,) = world.machine.messages("inbox")
    assert delivery["fetched"], "what we looked up ourselves is not what a webhook missed, nor a sign of life"
    assert ingest_event.handler(sqs_event(json.dumps(delivery)), Context()) == {"batchItemFailures": []}
    assert [world.machine.shop.words(f"parrot:{number}") for number in (1, 2, 3)] == ["words 1", None, "words 3"]
    assert TableSpending(world.table).spent(ACME, month_of(world.at)) == {"post_read": 4}
    assert "words" not in world.machine.lines.getvalue()
    assert world.sweep()["swept"][ACME]["posts"] == 0, "not before it is time"


def test_posts_that_nobody_can_look_at_raise_the_alarm_after_a_day(world: World) -> None:
    world.secret('{"access": "a", "refresh": "r"}')
    Parrot.refuses = MisconfiguredError("access is gone", TokenState.REVOKED)
    world.hear(1, 2)
    world.at += 23 * HOUR
    found = world.sweep()
    assert found["swept"][ACME]["error"] == "Misconfigured: access is gone"
    assert world.said("posts wait too long to be looked at again") == []
    world.at += 2 * HOUR
    assert world.sweep()["late"] == {ACME: 2}
    (line,) = world.said("posts wait too long to be looked at again")
    assert (line["source"], line["posts"]) == (ACME, 2)
    world.check()
    (line,) = world.said("an administrator has to act")
    assert (line["use"], line["state"]) == ("recheck", "revoked")
    Parrot.refuses = None
    assert world.sweep()["late"] == {}


def test_a_run_keeps_time_to_say_how_things_stand(world: World) -> None:
    world.secret('{"access": "a", "refresh": "r"}')
    world.hear(1, 2, 3)
    world.at += 30 * HOUR
    found = world.sweep(seconds=sweep_privacy.RESERVE)
    assert found["swept"][ACME]["posts"] == 0
    assert found["late"] == {ACME: 3}


def test_a_sweep_tells_that_a_budget_runs_low_and_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a source that is not polled, nobody else would."""
    listed = Prices("2026-10-01", "USD", "https://vendor.example", {"post_read": Decimal(1)})
    monkeypatch.setattr(sweep_privacy, "prices", lambda connector: listed)
    world.secret('{"access": "a", "refresh": "r"}')
    world.hear(*range(10))
    world.at += 21 * HOUR
    for budget, told in (("14", False), ("30", False), ("36", True), ("2", True)):
        world.sources[ACME] = SourceConfig.of(ACME, "parrot", "hailback/acme", {"Budget": budget})
        sweep_privacy._adapters.cache_clear()
        before = world.machine.lines.getvalue().count("a budget runs low")
        assert world.sweep()["swept"][ACME]["posts"] == 10
        assert (world.machine.lines.getvalue().count("a budget runs low") > before) is told, budget
        world.at += 21 * HOUR


def test_one_source_that_breaks_ends_no_other_sources_turn_and_is_heard(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deploy(SHY)
    for name in ("acme", "shy"):
        world.secret('{"access": "a", "refresh": "r"}', name)
    world.hear(1, 2)
    world.machine.shop.take_in(Mention(connector="parrot", native_id="9", conversation_id="9"), Origin(SHY, "parrot"))
    world.at += 21 * HOUR
    swept: list[str] = []
    sweep = sweep_privacy._sweep

    def breaks(on: Any, source: SourceConfig, shelf: Any, ends: float) -> dict[str, Any]:
        swept.append(source.id)
        if len(swept) == 1:
            raise KeyError("not what it should be")
        return sweep(on, source, shelf, ends)

    monkeypatch.setattr(sweep_privacy, "_sweep", breaks)
    with pytest.raises(KeyError):  # the alarm for a failing function
        world.sweep()
    assert sorted(swept) == [ACME, SHY]
    assert Parrot.used != [], "the other was swept"
    (line,) = world.said("a source could not be swept")
    assert line["source"] == swept[0]


def test_a_token_is_renewed_and_kept_before_it_is_used(world: World) -> None:
    world.secret('{"access": "old", "refresh": "r1"}')
    found = world.check()
    assert found[ACME]["state"] == "ok"
    assert (Parrot.renewed, Parrot.used) == (["r1"], ["new"])
    kept = world.secrets.get_secret_value(SecretId="hailback/acme/credentials")["SecretString"]
    assert json.loads(kept) == {"access": "new", "refresh": "r2"}
    assert "r2" not in world.machine.lines.getvalue()


def test_credentials_are_tried_out_once_an_hour_and_what_is_wrong_stays_said(world: World) -> None:
    world.secret('{"access": "a", "refresh": "r"}')
    Parrot.health = TokenHealth(TokenState.SCOPE_MISSING, "may not write")
    for _ in range(4):
        world.check()
        world.at += HOUR // 4
    assert Parrot.used == ["a"]
    assert len(world.said("an administrator has to act")) == 4
    Parrot.health = TokenHealth(TokenState.TRANSIENT, "503")
    assert world.check()[ACME]["state"] == "scope missing"
    Parrot.health = TokenHealth(TokenState.OK)
    assert world.check(source=ACME)[ACME]["state"] == "ok"
    assert len(world.said("an administrator has to act")) == 5


def test_credentials_of_the_wrong_shape_are_said_and_missing_ones_of_a_source_that_pushes_are_not(world: World) -> None:
    world.deploy(SHY)
    world.secret('{"access": "a"}')
    world.check()
    (line,) = world.said("an administrator has to act")
    assert line["source"] == ACME
    assert "refresh missing or wrong" in line["error"]
    world.secrets.put_secret_value(SecretId="hailback/acme/credentials", SecretString='{"access": "a", "refresh": "r"}')
    world.check(source=ACME)
    assert TableHealth(world.table, lambda: world.at).known(ACME).unusable is None


def test_a_source_that_is_silent_against_its_past_raises_the_alarm(world: World) -> None:
    world.secret('{"access": "a", "refresh": "r"}')
    heard = TableHeard(world.table)
    for hours in range(21 * 24):
        heard.add(ACME, 2, NOW - hours * HOUR)
    assert sum(heard.hours(ACME).values()) == 2 * 21 * 24
    assert hour_of(NOW) in heard.hours(ACME)
    assert world.check()[ACME]["hearing"] == "as usual"
    world.at += 12 * HOUR
    assert world.check()[ACME]["hearing"] == "silent"
    (line,) = world.said("a source has gone silent")
    assert (line["source"], line["hours"]) == (ACME, 11)


def test_what_is_taken_in_is_counted_once(machine: Machine) -> None:
    from tests.functions.test_workers import delivery

    ingest_event._counts.cache_clear()
    for _ in range(2):
        ingest_event.handler(sqs_event(delivery(1), delivery(2), delivery(1)), Context())
    assert TableHeard(machine.shop.table).hours("stack/Forum") == {hour_of(1_795_000_000_000): 2}


def test_health_is_written_only_when_it_changes(world: World) -> None:
    health = TableHealth(world.table, lambda: world.at)
    for _ in range(3):
        health.note(ACME, Use.POLL, TokenHealth(TokenState.OK))
    assert (world.table.get(f"HEALTH#{ACME}", "META") or {})["rev"] == 1


def test_a_source_that_is_not_asked_because_it_is_held_raises_no_alarm(world: World) -> None:
    world.secret('{"access": "a", "refresh": "r"}')
    heard = TableHeard(world.table)
    for hours in range(21 * 24):
        heard.add(ACME, 2, NOW - hours * HOUR)
    known = world.sources[ACME]
    world.sources[ACME] = known.model_copy(update={"hold": True, "poll": 300})
    world.at += 12 * HOUR
    assert world.check()[ACME]["hearing"] == "silent"
    assert world.said("a source has gone silent") == []


def test_x_without_credentials_only_tells_and_nothing_is_wrong_with_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its credentials may be one of two kinds, so no field of theirs is required by itself."""
    found = SourceConfig.of("routes/X", "x", "hailback/x", {"Account": ["1530000000000000042"]})
    monkeypatch.setattr(ConfigStore, "source", lambda self, name, with_deleted=False: found)
    check_sources._adapters.cache_clear()
    table, secrets = machine.shop.table, boto3.client("secretsmanager")
    check_sources.handler({"source": found.id}, Context())
    assert TableHealth(table, lambda: NOW).known(found.id).unusable is None
    secrets.create_secret(Name="hailback/x/credentials", SecretString="{}")
    check_sources._adapters.cache_clear()
    check_sources.handler({"source": found.id}, Context())
    said = TableHealth(table, lambda: NOW).known(found.id).unusable or ""
    assert said.startswith("hailback/x/credentials: ")
    assert "credentials:  missing" not in said
    check_sources._adapters.cache_clear()
