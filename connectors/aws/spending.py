"""What each source cost, in units: `SPEND#<source>` / `2026-11` in the table, one attribute `unit_<name>` for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from connectors.aws.cases import keep_until
from connectors.aws.config import ConfigStore
from connectors.aws.table import Table
from connectors.core.budget import Prices, Standing, begins, budget_of, standing

_UNIT = "unit_"
_KEPT = 800
"""Days for which a month's sums are kept: long enough for a bill to be checked against the year before."""


class TableSpending:
    """See `connectors.core.budget.Spending`. Adding is atomic: workers count side by side."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, source: str, month: str, units: Mapping[str, int]) -> None:
        """Count units; a negative number takes back what turned out not to have been spent."""
        counted = {name: count for name, count in sorted(units.items()) if count}
        if not counted:
            return
        names = {f"#u{number}": f"{_UNIT}{name}" for number, name in enumerate(counted)}
        values: dict[str, object] = {f":u{number}": count for number, count in enumerate(counted.values())}
        adds = ", ".join(f"#u{number} :u{number}" for number in range(len(counted)))
        self._table.update(
            *_key(source, month),
            f"ADD {adds} SET #type = :type, #schema = :schema, expires_at = :expires",
            {**values, ":type": "spend", ":schema": 1, ":expires": keep_until(begins(month), _KEPT)},
            names={**names, "#type": "type", "#schema": "schema"},  # some of these are words of DynamoDB's own
        )

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
