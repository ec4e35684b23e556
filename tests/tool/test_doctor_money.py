"""What an on-call engineer is told about money, and about webhooks that a poll has found wanting."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest

from connectors.aws.cursors import begin_action, cursor_key
from connectors.aws.spending import TableSpending
from connectors.core.budget import Prices
from connectors.tool import spending as money
from connectors.tool.checkup import Checkup
from connectors.tool.deployment import Source
from connectors.tool.doctor import show
from tests.tool.conftest import FORUM, Small

NOW = 1_795_000_600_000
PRICES = Prices("2026-10-01", "USD", "https://vendor.example", {"read": Decimal("0.005")})
USED_UP = (
    "the budget of November 2026 is used up (50.00 of 50.00 USD), so it is not asked until December 2026 begins; "
    "raise Budget and deploy to go on at once. Answers still go out, pushed mentions still come in."
)


def look(small: Small) -> dict[str, Any]:
    return Checkup(small.deployment, 50, NOW).document()


@pytest.fixture
def priced(small: Small, monkeypatch: pytest.MonkeyPatch) -> Small:
    small.plan()
    source = Source("Forum", FORUM, "discourse", "hailback/forum", {"Budget": "50"}, "https://front/discourse/x")
    monkeypatch.setattr(type(small.deployment), "sources", lambda self: {"Forum": source})
    monkeypatch.setattr(money, "prices", lambda connector: PRICES)
    return small


def test_a_source_that_costs_nothing_is_not_mentioned(small: Small) -> None:
    small.plan()
    assert look(small)["spending"] == []


@pytest.mark.parametrize(
    ("reads", "said"),
    [
        (7_000, []),
        (8_200, [f"the budget of {FORUM} runs low: 41.00 of 50.00 USD in November 2026"]),
        (
            10_000,
            [f"{FORUM}: {USED_UP}"],
        ),
    ],
)
def test_what_was_spent_is_shown_beside_the_budget(
    priced: Small, reads: int, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    TableSpending(priced.deployment.table).add(FORUM, "2026-11", {"read": reads})
    found = look(priced)
    assert found["wrong"] == said
    show(found)
    assert f"{FORUM}: {reads * 0.005:.2f} of 50.00 USD in 2026-11" in capsys.readouterr().out


def test_spending_without_a_budget_is_said_so(priced: Small, capsys: pytest.CaptureFixture[str]) -> None:
    source = Source("Forum", FORUM, "discourse", "hailback/forum", {}, "https://front/discourse/x")
    with patch.object(type(priced.deployment), "sources", lambda self: {"Forum": source}):
        show(look(priced))
    assert f"{FORUM}: 0.00 USD in 2026-11, no Budget (nothing used; prices of " in capsys.readouterr().out


def test_a_stop_for_lack_of_money_is_told_once(priced: Small) -> None:
    table = priced.deployment.table
    TableSpending(table).add(FORUM, "2026-11", {"read": 10_000})
    table.transact([begin_action(table, FORUM, 300, 1_000)])
    values = {":error": "Budget: the budget of November 2026 is used up"}
    table.update(*cursor_key(FORUM), "SET #error = :error", values, names={"#error": "error"})
    assert len(look(priced)["wrong"]) == 1


@pytest.mark.parametrize(("ago", "told"), [(3_600, True), (200_000, False)])
def test_a_webhook_that_missed_something_lately_is_named(small: Small, ago: int, told: bool) -> None:
    small.plan()
    table = small.deployment.table
    table.transact([begin_action(table, FORUM, 300, 1_000)])
    values = {":missed": 3, ":last": NOW - ago * 1000}
    table.update(*cursor_key(FORUM), "SET missed = :missed, last_missed_at = :last", values)
    found = look(small)
    assert [line.startswith(f"the poll of {FORUM} has found 3 that its webhook missed") for line in found["wrong"]] == (
        [True] if told else []
    )
    assert found["cursors"][0]["missed"] == 3
