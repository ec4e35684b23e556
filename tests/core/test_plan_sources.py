"""Sources that tell by themselves, sources that are asked, and those that do both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from connectors import catalogues
from connectors.aws.config import ConfigStore
from connectors.aws.cursors import TableCursors
from connectors.aws.table import Table
from connectors.core.plan_configure import configure
from connectors.core.plan_grammar import Catalogue
from connectors.core.plan_ports import Outcome, Sight
from tests.core.plan_table import open_store, table
from tests.core.plan_world import FORUM, SOURCES, Seen, ask, machine

BOTH = replace(SOURCES, polls=lambda name: True)
ASKED = replace(BOTH, pushes=lambda name: False)
HINTED = replace(BOTH, verifies=lambda name: False)
PUBLIC = replace(BOTH, asks_as_somebody=lambda name: False)


@pytest.fixture
def client() -> Iterator[Any]:
    with table() as client:
        yield client


@pytest.fixture
def store(client: Any) -> ConfigStore:
    return open_store(client, ttl=0)


def deploy(store: ConfigStore, sources: Catalogue, lookups: Seen | None = None, **fields: Any) -> Outcome:
    request = ask("Create", "Source", "Forum", {**FORUM, **fields})
    return configure(request, replace(machine(store, lookups), sources=sources))


def every(client: Any) -> float | None:
    cursor = TableCursors(Table(client, "hailback"), 60.0).cursor("routes/Forum")
    return cursor.every if cursor else None


def test_a_source_that_tells_is_asked_only_where_that_is_written(store: ConfigStore, client: Any) -> None:
    assert deploy(store, BOTH).ok
    assert every(client) is None
    assert deploy(store, BOTH, Poll="10m").ok
    assert every(client) == 600
    source = store.source("routes/Forum")
    assert source is not None
    assert source.poll == 600


def test_a_source_that_does_not_tell_is_asked_every_five_minutes_and_has_no_address(
    store: ConfigStore, client: Any
) -> None:
    seen = Seen()
    outcome = deploy(store, ASKED, seen)
    assert outcome.ok
    assert every(client) == 300
    assert "WebhookUrl" not in outcome.data
    assert seen.asked == ["hailback/forum/credentials"]


def test_a_source_that_cannot_be_asked_is_refused_in_a_sentence(store: ConfigStore, client: Any) -> None:
    (finding,) = deploy(store, SOURCES, Poll="5m").findings
    assert finding == "Poll: cannot be had: this connector is not asked, it tells by itself. Remove it."
    assert every(client) is None


@pytest.mark.parametrize("given", ["300", "soon", "1s", "2d", ["5m"], 5])
def test_a_wait_that_is_none_is_a_finding(store: ConfigStore, client: Any, given: Any) -> None:
    (finding,) = deploy(store, BOTH, Poll=given).findings
    assert finding.startswith("Poll: is not a wait")
    assert every(client) is None


def test_a_source_that_is_asked_needs_what_lets_us_in(store: ConfigStore, client: Any) -> None:
    class OnlyVerification(Seen):
        def secret(self, name: str) -> Sight:
            return Sight.FOUND if name.endswith("/verification") else Sight.MISSING

    assert deploy(store, BOTH, OnlyVerification()).ok, "it is not asked"
    (finding,) = deploy(store, BOTH, OnlyVerification(), Poll="5m").findings
    assert "'hailback/forum/credentials' does not exist" in finding
    assert deploy(store, PUBLIC, OnlyVerification(), Poll="5m").ok, "a public place needs none"


def test_a_source_that_only_hints_needs_what_lets_us_in_and_nothing_that_verifies(store: ConfigStore) -> None:
    seen = Seen()
    outcome = deploy(store, HINTED, seen)
    assert outcome.ok
    assert "WebhookUrl" in outcome.data
    assert seen.asked == ["hailback/forum/credentials"]
    (finding,) = deploy(store, HINTED, Seen(Sight.MISSING)).findings
    assert "'hailback/forum/credentials' does not exist" in finding
    assert deploy(store, replace(HINTED, asks_as_somebody=lambda name: False), Seen(Sight.MISSING)).ok


def test_a_source_that_takes_answers_is_told_where_nothing_lets_us_give_them(store: ConfigStore) -> None:
    class OnlyVerification(Seen):
        def secret(self, name: str) -> Sight:
            return super().secret(name) if name.endswith("/verification") else Sight.MISSING

    answering = replace(BOTH, answers_as_somebody=lambda name, settings: True)
    early = deploy(store, answering, OnlyVerification())
    assert early.ok, "people may be heard before they are answered"
    assert "no credentials: answers wait" in early.data["Warnings"]
    assert "'hailback/forum/credentials'" in early.data["Warnings"]
    assert deploy(store, answering, Seen(), Revision="2").data["Warnings"] == "none"
    assert deploy(store, BOTH, OnlyVerification(), Revision="3").data["Warnings"] == "none", "it takes no answers"
    (finding,) = deploy(store, answering, OnlyVerification(), Poll="5m", Revision="4").findings
    assert "does not exist" in finding, "said once, as what it is"


@pytest.mark.parametrize(
    ("connector", "settings", "needed"),
    [
        ("discourse", {"base_url": "https://forum.example"}, True),
        ("webhook", {"authority": "shop.example"}, False),
        ("webhook", {"authority": "shop.example", "reply_url": "https://shop.example/answers"}, True),
        ("amazon_connect", {}, False),
    ],
)
def test_who_cannot_answer_without_credentials(connector: str, settings: dict[str, Any], needed: bool) -> None:
    assert catalogues.sources().answers_as_somebody(connector, settings) is needed


def test_whoever_asks_while_a_source_is_deployed_anew_has_lost_it(store: ConfigStore, client: Any) -> None:
    """So that what the old deployment decided does not outlast it: a budget that was used up, for one."""
    deploy(store, BOTH, Poll="5m")
    cursors = TableCursors(Table(client, "hailback"), 60.0)
    known = cursors.cursor("routes/Forum")
    assert known is not None
    held = cursors.claim(known, 1_000, 65)
    deploy(store, BOTH, Poll="10m")
    after = cursors.cursor("routes/Forum")
    assert after is not None
    assert after.attempt > held.attempt
    assert after.every == 600
