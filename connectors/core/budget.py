"""What asking and answering costs, and what a month may cost.

A connector whose vendor charges by the call has a `prices.json` in its folder, dated, with its origin:

    {"as_of": "2026-10-01", "currency": "USD", "source": "https://…", "units": {"post_read": 0.005}}

`"pushed": "post_read"` beside them names the unit that each mention costs that the vendor pushes.

Counted are units, not money: a corrected price corrects the month. Months are those of UTC. Pure, but for reading that
file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Protocol

_FOLDER = Path(__file__).resolve().parents[1]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LINK = re.compile(r"(?:https?://|www\.)\S+|\b[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,24}\b(?:/\S*)?", re.IGNORECASE)
LOW = Decimal("0.8")
"""The share of a budget from which on it is said to run low."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What one unit of each kind costs. `as_of` is the day on which it was looked up, `source` where."""

    as_of: str
    currency: str
    source: str
    units: Mapping[str, Decimal]
    pushed: str | None = None
    """The unit that a pushed mention costs; None where the vendor pushes for nothing."""

    def cost(self, spent: Mapping[str, int]) -> Decimal:
        """What these units cost; a unit without a price counts nothing, see `unpriced`."""
        return sum((self.units.get(unit, Decimal(0)) * count for unit, count in spent.items()), Decimal(0))

    def unpriced(self, spent: Mapping[str, int]) -> list[str]:
        """The units that have no price."""
        return sorted(unit for unit in spent if unit not in self.units)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the spending of one source stands in one month (`2026-11`). `budget` is None where there is none."""

    month: str
    spent: Decimal
    budget: Decimal | None = None
    currency: str = ""
    units: Mapping[str, int] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether nothing may be spent any more, by whoever may be kept from it."""
        return self.budget is not None and self.spent >= self.budget

    @property
    def low(self) -> bool:
        """Whether the budget is nearly used up, or is."""
        return self.budget is not None and self.spent >= self.budget * LOW

    def sentence(self) -> str:
        """What an administrator reads: the month, the sum, and what can be done."""
        if self.budget is None:
            return f"{money(self.spent, self.currency)} in {_name(self.month)}; there is no Budget"
        sums = f"{money(self.spent)} of {money(self.budget, self.currency)}"
        if not self.over:
            return f"{sums} in {_name(self.month)}"
        begins = _name(_following(self.month))
        return (
            f"the budget of {_name(self.month)} is used up ({sums}), so it is not asked until {begins} begins; "
            f"raise Budget and deploy to go on at once. Answers still go out, pushed mentions still come in."
        )


class Spending(Protocol):
    """Where units are counted, by source and month."""

    def add(self, source: str, month: str, units: Mapping[str, int]) -> None:
        """Count these. A call whose answer is lost may be counted twice, never not at all."""
        ...

    def spent(self, source: str, month: str) -> Mapping[str, int]:
        """What was counted so far."""
        ...


@dataclass(frozen=True, slots=True)
class Till:
    """Counts what the answers of one source cost. Over the budget they are counted as well, and not held back."""

    prices: Prices
    spending: Spending
    source: str

    def charge(self, units: Mapping[str, int], now: int) -> str:
        """Count them, before they are spent; the month that they went to."""
        month = month_of(now)
        self.spending.add(self.source, month, units)
        return month

    def give_back(self, units: Mapping[str, int], month: str) -> None:
        """What was charged is known not to have been spent."""
        self.spending.add(self.source, month, {name: -count for name, count in units.items()})

    def words(self, units: Mapping[str, int], otherwise: Mapping[str, int]) -> dict[str, str]:
        """What a line of the timeline says of the price; `otherwise` are the units of the same answer without links."""
        cost = self.prices.cost(units)
        said = {"cost": money(cost, self.prices.currency)}
        warning = dearer(cost, self.prices.cost(otherwise), self.prices.currency)
        return said | ({"warning": warning} if warning else {})


def prices(connector: str) -> Prices | None:
    """The price list of a connector, None where nothing is charged. Raises ValueError for a file of the wrong shape."""
    path = _FOLDER / connector / "prices.json"
    if not _NAME.fullmatch(connector) or not path.is_file():
        return None
    document = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    try:
        units = {str(name): Decimal(price) for name, price in document["units"].items()}
        as_of, currency, source = (str(document[name]) for name in ("as_of", "currency", "source"))
        found = Prices(as_of, currency, source, units, document.get("pushed"))
        datetime.fromisoformat(found.as_of)
    except (KeyError, TypeError, AttributeError, InvalidOperation, ValueError) as error:
        raise ValueError(f"connectors/{connector}/prices.json is not a price list: {error}") from error
    if found.pushed is not None and found.pushed not in units:
        raise ValueError(f"connectors/{connector}/prices.json: `pushed` names none of its units")
    if any(price < 0 for price in units.values()):
        raise ValueError(f"connectors/{connector}/prices.json has a price below nothing")
    return found


def budget_of(settings: Mapping[str, object]) -> Decimal | None:
    """The monthly `Budget` in a source's settings, in the currency of its price list; None where there is none."""
    given = settings.get("Budget", settings.get("budget"))
    if given is None or given == "":
        return None
    try:
        amount = Decimal(str(given))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def standing(prices: Prices, budget: Decimal | None, units: Mapping[str, int], month: str) -> Standing:
    """Where a month's spending stands."""
    return Standing(month, prices.cost(units), budget, prices.currency, dict(units))


def month_of(now: int) -> str:
    """The month of a time in milliseconds: `2026-11`."""
    return datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m")


def begins(month: str) -> int:
    """When a month begins, in milliseconds."""
    return int(datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).timestamp() * 1000)


def next_month(now: int) -> int:
    """When the month after that of `now` begins; both in milliseconds."""
    return begins(_following(month_of(now)))


def money(amount: Decimal, currency: str = "") -> str:
    """`12.50 USD`; more digits only where they say something."""
    exact = amount.quantize(Decimal("0.01")) if amount == amount.quantize(Decimal("0.01")) else amount.normalize()
    return f"{exact:f} {currency}".rstrip()


def without_links(text: str) -> str:
    """A text without what a reader's screen would turn into links; for asking what it would cost without them."""
    return _LINK.sub("", text)


def dearer(cost: Decimal, otherwise: Decimal, currency: str) -> str | None:
    """What the links in an answer did to its price; None where they did nothing."""
    if otherwise <= 0 or cost <= otherwise:
        return None
    times = cost / otherwise
    said = f"{times:.0f}" if times >= 10 else f"{times.quantize(Decimal('0.1')).normalize():f}"
    return f"a link in it makes it {said} times dearer: {money(cost, currency)} instead of {money(otherwise, currency)}"


def _following(month: str) -> str:
    year, number = (int(part) for part in month.split("-"))
    return f"{year + number // 12}-{number % 12 + 1:02}"


def _name(month: str) -> str:
    return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).strftime("%B %Y")
