"""What each source cost, in units: `SPEND#<source>` / `2026-11` in the table, one attribute `unit_<name>` for each.

`SPENT#<source>#<hash>` / `META` stands for a delivery that was counted, for as long as a queue may bring it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from connectors.aws.cases import keep_until
from connectors.aws.config import ConfigStore
from connectors.aws.table import Item, Table
from connectors.core.budget import Prices, Standing, begins, budget_of, standing
from connectors.core.errors import ConflictError

_UNIT = "unit_"
_KEPT = 800
"""Days for which a month's sums are kept: long enough for a bill to be checked against the year before."""
_AGAIN = 40
"""Days for which a delivery is known to be counted: longer than the inbox and its dead letters together, 14 each."""


class TableSpending:
    """See `connectors.core.budget.Spending`. Adding is atomic: workers count side by side."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, source: str, month: str, units: Mapping[str, int]) -> None:
        """Count units; a negative number takes back what turned out not to have been spent."""
        if any(units.values()):
            expression, values, names = _change(month, units)
            self._table.update(*_key(source, month), expression, values, names=names)

    def add_once(self, source: str, month: str, units: Mapping[str, int], delivery: str, now: int) -> bool:
        """Count what this delivery cost, unless that was done; whether it was counted now. `now` in milliseconds."""
        expression, values, names = _change(month, units)
        change = self._table.update_action(*_key(source, month), expression, values)
        change["Update"]["ExpressionAttributeNames"] = names
        mark: Item = {"pk": f"SPENT#{source}#{delivery}", "sk": "META", "type": "spent"}
        mark["expires_at"] = keep_until(now, _AGAIN)
        try:
            self._table.transact([self._table.put_action(mark, "attribute_not_exists(pk)"), change])
        except ConflictError:
            return False
        return True

    def spent(self, source: str, month: str) -> dict[str, int]:
        """What was counted so far in a month (`2026-11`); names as in the connector's `prices.json`."""
        item = self._table.get(*_key(source, month)) or {}
        return {name.removeprefix(_UNIT): int(item[name]) for name in sorted(item) if name.startswith(_UNIT)}


class WatchedSpending:
    """Counts in `spending`, and tells `low` when a source's `Budget`, as deployed at this moment, is nearly used up by
    that, or is. Whoever spends outside a poll is not stopped by it, but people must know.

    Satisfies `connectors.core.budget.Spending`."""

    def __init__(
        self, spending: TableSpending, config: ConfigStore, prices: Prices, low: Callable[[Standing], None]
    ) -> None:
        self._spending, self._config, self._prices, self._low = spending, config, prices, low

    def add(self, source: str, month: str, units: Mapping[str, int]) -> None:
        """Count, and tell where anything was spent."""
        self._spending.add(source, month, units)
        if any(count > 0 for count in units.values()):
            self._look(source, month)

    def add_once(self, source: str, month: str, units: Mapping[str, int], delivery: str, now: int) -> None:
        """Count what a delivery cost, unless that was done, and tell."""
        if self._spending.add_once(source, month, units, delivery, now):
            self._look(source, month)

    def _look(self, source: str, month: str) -> None:
        deployed = self._config.source(source)
        budget = budget_of(deployed.settings) if deployed else None
        found = standing(self._prices, budget, self.spent(source, month), month)
        if found.low:
            self._low(found)

    def spent(self, source: str, month: str) -> dict[str, int]:
        """See `TableSpending`."""
        return self._spending.spent(source, month)


def _key(source: str, month: str) -> tuple[str, str]:
    return f"SPEND#{source}", month


def _change(month: str, units: Mapping[str, int]) -> tuple[str, Item, dict[str, str]]:
    """The expression that adds these, its values and names."""
    counted = {name: count for name, count in sorted(units.items()) if count}
    names = {f"#u{number}": f"{_UNIT}{name}" for number, name in enumerate(counted)}
    values: Item = {f":u{number}": count for number, count in enumerate(counted.values())}
    adds = ", ".join(f"#u{number} :u{number}" for number in range(len(counted)))
    values |= {":type": "spend", ":schema": 1, ":expires": keep_until(begins(month), _KEPT)}
    names |= {"#type": "type", "#schema": "schema"}  # some of these are words of DynamoDB's own
    return f"ADD {adds} SET #type = :type, #schema = :schema, expires_at = :expires", values, names
