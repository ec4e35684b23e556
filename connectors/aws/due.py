"""What must be looked at again, and when: the safety net under the stream and the queues."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.aws.table import Item, Table
from connectors.core.errors import ConflictError


class Due:
    """Reads the *due* index. What it yields was re-read from the table, for an index lags behind."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def waiting(self, shard: int, now: int, limit: int) -> Iterator[Item]:
        """Items of one shard that are due now (milliseconds), the longest overdue first."""
        for entry in self._table.query_index(
            "due",
            "due_shard = :s AND due_at <= :now",
            {":s": str(shard), ":now": now},
            limit=limit,
        ):
            item = self._table.get(entry["pk"], entry["sk"])
            if item is not None and item.get("due_at", now + 1) <= now:
                yield item

    def later(self, item: Item, due_at: int) -> None:
        """Have an item looked at again at `due_at` milliseconds, if it still waits as it did."""
        try:
            self._table.update(
                item["pk"],
                item["sk"],
                "SET due_at = :then",
                {":then": due_at, ":was": item["due_at"]},
                "due_at = :was",
            )
        except ConflictError:
            return  # somebody is at work on it
