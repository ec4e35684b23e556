"""What asking and answering costs: counted before it is spent, said in words when it is used up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.core import budget
from connectors.core.budget import (
    Prices,
    Standing,
    Till,
    begins,
    budget_of,
    dearer,
    money,
    month_of,
    next_month,
    standing,
    without_links,
)
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.ledger import Pace
from connectors.core.models import Mention
from connectors.core.polling import Cursor, poll
from connectors.core.ports import Page
from tests.core.test_polling import Memory, Place
from tests.core.test_reply import Bench, Forum, Words, once
from tests.doubles import Clock

PRICES = Prices(
    "2026-10-01",
    "USD",
    "https://vendor.example/pricing",
    {"read": Decimal("0.005"), "create": Decimal("0.015"), "create_url": Decimal("0.20")},
)
NOVEMBER = 1_795_000_000_000


class Counted:
    """`connectors.core.budget.Spending` in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Counter[str]] = {}

    def add(self, source: str, month: str, units: Mapping[str, int]) -> None:
        self.kept.setdefault((source, month), Counter()).update(units)

    def spent(self, source: str, month: str) -> Mapping[str, int]:
        return self.kept.get((source, month), Counter())

    def units(self, month: str = "2026-11") -> dict[str, int]:
        return {name: count for name, count in self.spent("stack/X", month).items() if count}


class Purse:
    """As `poll_source` has it."""

    def __init__(self, counted: Counted, most: str) -> None:
        self.counted, self.most = counted, Decimal(most)

    def closed(self, now: int) -> tuple[int, str] | None:
        found = self._standing(now)
        return (next_month(now), f"Budget: {found.sentence()}") if found.over else None

    def spend(self, units: Mapping[str, int], now: int) -> None:
        self.counted.add("stack/X", month_of(now), units)

    def _standing(self, now: int) -> Standing:
        month = month_of(now)
        return standing(PRICES, self.most, self.counted.spent("stack/X", month), month)


def test_months_are_those_of_utc() -> None:
    assert month_of(begins("2026-12") - 1) == "2026-11"
    assert month_of(begins("2026-12")) == "2026-12"
    assert next_month(NOVEMBER) == begins("2026-12")
    assert next_month(begins("2026-12")) == begins("2027-01")


def test_at_the_limit_a_sentence_names_the_month_the_sum_and_the_remedy() -> None:
    over = standing(PRICES, Decimal(50), {"read": 10_002}, "2026-12")
    assert over.over
    assert over.sentence() == (
        "the budget of December 2026 is used up (50.01 of 50.00 USD), so it is not asked until January 2027 begins; "
        "raise Budget and deploy to go on at once. Answers still go out, pushed mentions still come in."
    )
    low = standing(PRICES, Decimal(50), {"read": 8_000}, "2026-12")
    assert (low.low, low.over) == (True, False)
    assert low.sentence() == "40.00 of 50.00 USD in December 2026"
    assert not standing(PRICES, Decimal(50), {"read": 7_999}, "2026-12").low
    assert not standing(PRICES, None, {"read": 10**9}, "2026-12").over


def test_a_unit_without_a_price_is_named() -> None:
    assert PRICES.unpriced({"read": 1, "stream": 2}) == ["stream"]
    assert PRICES.cost({"read": 2, "stream": 2}) == Decimal("0.010")


@pytest.mark.parametrize(
    ("given", "amount"),
    [("50", "50"), (50, "50"), ("49.90", "49.90"), ("0", "0"), (None, None), ("", None), ("much", None), ("nan", None)],
)
def test_a_budget_is_read(given: object, amount: str | None) -> None:
    assert budget_of({"Budget": given}) == (None if amount is None else Decimal(amount))


def test_sums_are_written_as_people_read_them() -> None:
    assert [money(Decimal(one), "USD") for one in ("50", "0.2", "0.005", "12.5")] == [
        "50.00 USD",
        "0.20 USD",
        "0.005 USD",
        "12.50 USD",
    ]


def test_how_much_dearer_a_link_is_comes_from_the_price_list() -> None:
    assert dearer(Decimal("0.20"), Decimal("0.015"), "USD") == (
        "a link in it makes it 13 times dearer: 0.20 USD instead of 0.015 USD"
    )
    assert "2.5 times" in (dearer(Decimal("0.05"), Decimal("0.02"), "USD") or "")
    assert dearer(Decimal("0.015"), Decimal("0.015"), "USD") is None


@pytest.mark.parametrize("link", ["https://acme.com/a?b=c", "www.acme.com", "acme.com/help", "http://x.example"])
def test_links_are_taken_out_for_the_comparison(link: str) -> None:
    assert without_links(f"See {link} please").split() == ["See", "please"]


def test_a_price_list_is_read_and_a_broken_one_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "_FOLDER", tmp_path)
    assert budget.prices("acme") is None
    assert budget.prices("../acme") is None
    (tmp_path / "acme").mkdir()
    said = {"as_of": "2026-10-01", "currency": "USD", "source": "https://x", "units": {"read": 0.005}}
    (tmp_path / "acme" / "prices.json").write_text(json.dumps(said))
    found = budget.prices("acme")
    assert found is not None
    assert found.cost({"read": 3}) == Decimal("0.015")
    broken: dict[str, object]
    units = [{"units": None}, {"units": {"read": "dear"}}, {"units": {"read": -1}}]
    for broken in (*units, {"pushed": "post"}, {"as_of": "lately"}):
        (tmp_path / "acme" / "prices.json").write_text(json.dumps({**said, **broken}))
        with pytest.raises(ValueError, match=r"acme/prices\.json"):
            budget.prices("acme")


def test_a_source_is_asked_until_its_budget_is_used_up_and_again_next_month() -> None:
    clock, counted, memory = Clock(), Counted(), Memory(Cursor("stack/X", every=60.0, cursor="7"))
    place = Place([Page([], "8", 60.0, {"read": 600}), Page([], "9", 60.0, {"read": 600})])

    def ask() -> None:
        poll("stack/X", place, memory, memory, Pace(), clock.now, Purse(counted, "5"))
        clock.advance(61)

    for _ in range(4):
        ask()
    assert place.asked == ["7", "8"], "3.00, then 6.00 of 5.00 USD"
    assert counted.units() == {"read": 1200}
    assert memory.known is not None
    assert memory.known.cursor == "9", "it goes on from there"
    assert memory.known.next_at == begins("2026-12")
    assert "budget of November 2026 is used up (6.00 of 5.00 USD)" in (memory.known.error or "")
    clock.seconds = begins("2026-12") / 1000
    ask()
    assert place.asked == ["7", "8", "9"]
    assert memory.known.error is None


def test_what_was_read_is_counted_before_it_is_passed_on_and_a_failed_poll_costs_nothing() -> None:
    clock, counted = Clock(), Counted()
    memory = Memory(Cursor("stack/X", every=60.0, cursor="7"))
    place = Place([UnavailableError("down"), Page([], "8", 60.0, {"read": 2})])
    for _ in range(2):
        poll("stack/X", place, memory, memory, Pace(), clock.now, Purse(counted, "5"))
        clock.advance(600)
    assert counted.units() == {"read": 2}


class Priced(Forum):
    """Charges for answers, and more for those with a link."""

    def units(self, mention: Mention, text: str) -> dict[str, int]:
        return {"create_url" if "https://" in text else "create": 1}


def answered(text: str, fault: object = None, **more: object) -> tuple[Bench, Counted]:
    counted = Counted()
    forum = Priced(**({"fault": once(fault)} if fault else {}), **more)  # type: ignore[arg-type]
    bench = Bench(forum=forum, words=Words(text=text), till=Till(PRICES, counted, "stack/X"))
    bench.run()
    return bench, counted


def test_an_answer_says_what_it_cost_and_what_its_link_did() -> None:
    bench, counted = answered("See https://acme.com/valves, please.")
    assert counted.units() == {"create_url": 1}
    detail = bench.ledger.events[-1].detail
    assert detail["cost"] == "0.20 USD"
    assert detail["warning"].startswith("a link in it makes it 13 times dearer")
    bench, counted = answered("Turn the valve.")
    assert counted.units() == {"create": 1}
    detail = bench.ledger.events[-1].detail
    assert detail["cost"] == "0.015 USD"
    assert "warning" not in detail


@pytest.mark.parametrize("error", [UnavailableError("down"), RejectedError("no"), MisconfiguredError("key")])
def test_what_is_known_not_to_have_been_sent_costs_nothing(error: Exception) -> None:
    bench, counted = answered("Turn the valve.", error)
    assert counted.units() == {}
    assert "cost" not in bench.ledger.events[-1].detail


@pytest.mark.parametrize("findable", [True, False])
def test_what_may_have_been_sent_stays_counted(findable: bool) -> None:
    _, counted = answered("Turn the valve.", UnknownOutcomeError("lost"), findable=findable)
    assert counted.units() == {"create": 1}


def test_the_price_list_of_x_says_what_a_link_costs() -> None:
    priced = budget.prices("x")
    assert priced is not None
    said = dearer(priced.cost({"create_with_url": 1}), priced.cost({"create": 1}), priced.currency)
    assert said == "a link in it makes it 13 times dearer: 0.20 USD instead of 0.015 USD"
