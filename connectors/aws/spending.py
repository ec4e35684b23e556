"""What each source cost, in units: `SPEND#<source>` / `2026-11` in the table, one attribute `unit_<name>` for each."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.aws.cases import keep_until
from connectors.aws.table import Table
from connectors.core.budget import begins

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


def _key(source: str, month: str) -> tuple[str, str]:
    return f"SPEND#{source}", month
