"""How far each polled place was read, and when it is asked again: `CURSOR#<id>` in the table and in the *due* index.

Of a source that also pushes, the same item says since when it was heard by webhook, and what the webhook missed.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from connectors.aws.table import Item, Table
from connectors.core.case import shard
from connectors.core.errors import ConflictError
from connectors.core.polling import Cursor

TYPE = "cursor"


def cursor_key(name: str) -> tuple[str, str]:
    """Where the cursor of a source or system lies."""
    return f"CURSOR#{name}", "META"


def begin_action(table: Table, name: str, every: float, now: int) -> Item:
    """A place that is polled from now on, as part of the transaction that deploys it. What was read stays read.

    Whoever polls it at this moment loses it (`attempt`): what was decided by the old deployment must not outlast it."""
    action: dict[str, Any] = table.update_action(
        *cursor_key(name),
        "SET id = :id, #type = :type, #schema = :schema, #every = :every, due_shard = :shard, due_at = :now, "
        "next_at = :now, attempt = if_not_exists(attempt, :none) + :one",
        {
            ":id": name,
            ":type": TYPE,
            ":schema": 1,
            ":every": int(every),
            ":shard": str(shard(name)),
            ":now": now,
            ":none": 0,
            ":one": 1,
        },
    )
    action["Update"]["ExpressionAttributeNames"] = {"#type": "type", "#schema": "schema", "#every": "every"}
    return action


class TableCursors:
    """See `connectors.core.polling.Cursors`. `doorbell` is in seconds: how long after its time a poll waits for its
    wake-up before `wake_due` sends another."""

    def __init__(self, table: Table, doorbell: float) -> None:
        self._table, self._doorbell = table, int(doorbell * 1000)

    def cursor(self, name: str) -> Cursor | None:
        """How far a place was read; None for one that is not polled."""
        item = self._table.get(*cursor_key(name))
        if item is None or "due_at" not in item:
            return None
        fields = ("cursor", "next_at", "attempt", "lease_until", "failures", "polled_at", "error")
        return Cursor(id=name, every=float(item["every"]), **{key: item[key] for key in fields if key in item})

    def claim(self, cursor: Cursor, now: int, lease: float) -> Cursor:
        """Take it. Raises ConflictError where another did."""
        until = now + int(lease * 1000)
        self._table.update(
            *cursor_key(cursor.id),
            "SET attempt = :next, lease_until = :until, due_at = :until",
            {":next": cursor.attempt + 1, ":until": until, ":was": cursor.attempt},
            "attempt = :was AND attribute_exists(due_at)",
        )
        return Cursor(
            id=cursor.id,
            every=cursor.every,
            cursor=cursor.cursor,
            next_at=cursor.next_at,
            attempt=cursor.attempt + 1,
            lease_until=until,
            failures=cursor.failures,
            polled_at=cursor.polled_at,
            error=cursor.error,
        )

    def settle(self, held: Cursor, after: Cursor) -> None:
        """Write what a poll came to. Raises ConflictError where its lease ran out and another asks."""
        values: Item = {
            ":next": after.next_at,
            ":due": after.next_at + self._doorbell,
            ":failures": after.failures,
            ":free": 0,
            ":was": held.attempt,
        }
        optional = {"cursor": after.cursor, "polled_at": after.polled_at, "error": after.error}
        said = {name: value for name, value in optional.items() if value is not None}
        changes = ["next_at = :next", "due_at = :due", "failures = :failures", "lease_until = :free"]
        changes += [f"#{name} = :{name}" for name in said]
        expression = f"SET {', '.join(changes)}" + ("" if after.error else " REMOVE #error")
        names = {f"#{name}": name for name in (*said, "error")}  # cursor and error are words of DynamoDB's own
        values |= {f":{name}": value for name, value in said.items()}
        condition = "attempt = :was AND attribute_exists(due_at)"
        self._table.update(*cursor_key(held.id), expression, values, condition, names)

    def end(self, name: str) -> None:
        """Nobody asks this place any more: it was deleted, or no longer polls."""
        with suppress(ConflictError):  # it never was
            self._table.update(
                *cursor_key(name),
                "REMOVE due_at, due_shard, #error",
                condition="attribute_exists(pk)",
                names={"#error": "error"},
            )

    def heard(self, name: str, now: int) -> int | None:
        """A webhook of this place delivered something: since when it does so (milliseconds), None where the place is
        not polled, and nobody has to know."""
        with suppress(ConflictError):
            self._table.update(
                *cursor_key(name),
                "SET pushed_since = if_not_exists(pushed_since, :now), pushed_at = :now",
                {":now": now},
                "attribute_exists(due_at)",
            )
        return self.pushed_since(name)

    def pushed_since(self, name: str) -> int | None:
        """When the webhook of a polled place was first heard, in milliseconds; None for never."""
        item = self._table.get(*cursor_key(name)) or {}
        return item.get("pushed_since")

    def missed(self, name: str, count: int, now: int) -> None:
        """The poll found so many events that the webhook should have brought."""
        with suppress(ConflictError):
            self._table.update(
                *cursor_key(name),
                "ADD missed :count SET last_missed_at = :now",
                {":count": count, ":now": now},
                "attribute_exists(pk)",
            )
