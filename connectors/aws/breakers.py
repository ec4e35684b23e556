"""The breakers of systems of record in the table: one row a system, read consistently, written as it was read."""

from __future__ import annotations

from connectors.aws.table import Table
from connectors.core.breaker import Breaker


def breaker_key(system: str) -> tuple[str, str]:
    """Where a system's breaker lies."""
    return f"BREAKER#{system}", "META"


class TableBreakers:
    """See `connectors.core.breaker.Breakers`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def breaker(self, system: str) -> Breaker:
        """A system's breaker as it is now; a closed one where there is no row."""
        item = self._table.get(*breaker_key(system))
        return Breaker.model_validate(item) if item else Breaker(system=system)

    def save(self, before: Breaker, after: Breaker) -> None:
        """Replace `before`. Raises ConflictError when somebody wrote it since it was read."""
        pk, sk = breaker_key(after.system)
        item = {"pk": pk, "sk": sk, "type": "breaker", **after.model_dump(mode="json", exclude_none=True)}
        if before.rev == 0:
            self._table.put(item, "attribute_not_exists(pk)")
        else:
            self._table.put(item, "rev = :rev", {":rev": before.rev})
