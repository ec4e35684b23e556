"""Systems that are asked what people did there, and systems that tell by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from connectors.aws.config import ConfigStore
from connectors.aws.cursors import TableCursors
from connectors.aws.table import Table
from connectors.core import token
from connectors.core.durations import seconds
from connectors.core.plan_configure import configure
from connectors.core.plan_ports import Outcome, Sight
from tests.core.plan_table import open_store, table
from tests.core.plan_world import SYSTEMS, TRACKER, Seen, ask, machine

ABLE = replace(SYSTEMS, polls=lambda name: name == "tracker", pushes=lambda name: name == "tracker")


@pytest.fixture
def client() -> Iterator[Any]:
    with table() as client:
        yield client


@pytest.fixture
def store(client: Any) -> ConfigStore:
    return open_store(client, ttl=0)


def create(store: ConfigStore, lookups: Any = None, systems: Any = ABLE, **fields: Any) -> Outcome:
    request = ask("Create", "System", "Tracker", {**TRACKER, **fields})
    return configure(request, replace(machine(store, lookups), systems=systems))


def every(client: Any) -> float | None:
    cursor = TableCursors(Table(client, "hailback"), 60.0).cursor("routes/Tracker")
    return cursor.every if cursor else None


def test_a_system_that_can_be_asked_is_asked_each_minute_unless_told_otherwise(store: ConfigStore, client: Any) -> None:
    assert create(store).ok
    assert every(client) == 60
    assert create(store, Poll="5m").ok
    assert every(client) == 300
    system = store.system("routes/Tracker")
    assert system is not None
    assert system.poll == 300


def test_a_system_that_cannot_be_asked_is_not(store: ConfigStore, client: Any) -> None:
    assert create(store, systems=SYSTEMS).ok
    assert every(client) is None
    (finding,) = create(store, systems=SYSTEMS, Poll="1m").findings
    assert finding.startswith("Poll: cannot be had")


@pytest.mark.parametrize("given", ["60", "soon", "", "1s", "2d", "-1m", ["1m"], {"a": "1m"}])
def test_a_wait_that_is_none_is_a_finding(store: ConfigStore, client: Any, given: Any) -> None:
    (finding,) = create(store, Poll=given).findings
    assert finding.startswith("Poll: ")
    assert every(client) is None


def test_a_refused_deployment_starts_no_polling(store: ConfigStore, client: Any) -> None:
    assert not create(store, Seen(secret=Sight.MISSING)).ok
    assert every(client) is None


def test_a_system_that_tells_gets_an_address_of_its_own(store: ConfigStore) -> None:
    outcome = create(store)
    base, connector, code = outcome.data["WebhookUrl"].rsplit("/", 2)
    assert (base, connector) == ("https://api.example", "tracker")
    assert token.read("salt", "tracker", code) == ("routes/Tracker", "hailback/tracker")
    assert "WebhookUrl" not in create(store, systems=SYSTEMS).data


def test_a_webhook_secret_may_come_later_with_a_warning(store: ConfigStore) -> None:
    class OnlyCredentials(Seen):
        def secret(self, name: str) -> Sight:
            return Sight.FOUND if name.endswith("/credentials") else Sight.MISSING

    outcome = create(store, OnlyCredentials())
    assert outcome.ok
    (warning,) = outcome.warnings
    assert "hailback/tracker/verification" in warning
    assert "WebhookUrl" in warning


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("5m", 300), ("1h30m", 5_400), ("1d", 86_400), (" 2M ", 120), ("", None), ("5", None), ("m", None)],
)
def test_waits_are_read(text: str, expected: int | None) -> None:
    assert seconds(text) == expected
