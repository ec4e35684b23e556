"""What `hailback doctor` says about money, and about webhooks that a poll has found wanting."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.aws.spending import TableSpending
from connectors.core.budget import budget_of, money, month_of, prices, standing
from connectors.tool.deployment import Deployment
from connectors.tool.plain import row_name

Document = dict[str, Any]
RECENT = timedelta(days=1)
"""For so long a gap is something to look after; afterwards it is only shown."""


def spending(deployment: Deployment, now: int) -> list[Document]:
    """What each source whose vendor charges has cost this month; `now` in milliseconds."""
    counted, month, found = TableSpending(deployment.table), month_of(now), []
    for source in sorted(deployment.sources().values(), key=lambda one: one.id):
        priced = prices(source.connector)
        if priced is None:
            continue
        stands = standing(priced, budget_of(source.settings), counted.spent(source.id, month), month)
        row: Document = {"source": source.id, "month": month, "spent": money(stands.spent), "units": dict(stands.units)}
        row |= {"budget": None if stands.budget is None else money(stands.budget), "currency": stands.currency}
        row |= {"low": stands.low, "over": stands.over, "said": stands.sentence(), "prices_of": priced.as_of}
        found.append(row | {"unpriced": priced.unpriced(stands.units)})
    return found


def money_matters(rows: Iterable[Document]) -> list[str]:
    """What is wrong with the spending, one sentence each."""
    said = []
    for one in rows:
        if one["over"]:
            said.append(f"{one['source']}: {one['said']}")
        elif one["low"]:
            said.append(f"the budget of {one['source']} runs low: {one['said']}")
        if one["unpriced"]:
            said.append(f"{one['source']} uses what has no price: {', '.join(one['unpriced'])}")
    return said


def gaps(cursors: Iterable[Document], now: int) -> list[str]:
    """Which webhooks missed something lately, one sentence each. `cursors` as `hailback doctor` shows them."""
    said, since = [], datetime.fromtimestamp(now / 1000, UTC) - RECENT
    for one in cursors:
        last = one.get("last_missed_at")
        if last and datetime.fromisoformat(str(last)) >= since:
            said.append(
                f"the poll of {row_name(one)} has found {one.get('missed')} that its webhook missed, the last at "
                f"{last}: see whether the webhook still delivers"
            )
    return said


def line(one: Document) -> str:
    """One source's spending on the screen."""
    units = ", ".join(f"{count} {name}" for name, count in one["units"].items()) or "nothing used"
    limit = "" if one["budget"] is None else f" of {one['budget']}"
    head = f"{one['source']}: {one['spent']}{limit} {one['currency']} in {one['month']}"
    return f"{head}{', no Budget' * (one['budget'] is None)} ({units}; prices of {one['prices_of']})"
