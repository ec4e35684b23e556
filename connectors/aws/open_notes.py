"""Which notes of a case are still open, by name, so that a worker need not read all that were ever told.

A few rows per case and system hold the names of the open ones as a set. They change in the transaction that plans a
note, takes it into a batch or ends it. The names begin with the time of planning: the oldest are found without reading
the others. A name too many does no harm, for the line itself is read. A name too few, from before there were these
rows, or from a version that did not write them, is found by reading all lines: at first, and then ever more seldom.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from connectors.aws.table import SCHEMA, Item, Table
from connectors.core.case import Effect, EffectKind, shard

SLOTS = 4
"""Rows per case, system and kind. A row of 400 KB holds about 9,000 names; a transaction takes 100 items."""
FIRST, LONGEST = 3_600, 86_400
"""Seconds until all lines are read again; doubles up to the longest."""
_KINDS = frozenset({EffectKind.NOTE, EffectKind.BATCH})


def open_still(effect: Effect) -> bool:
    """Whether a worker has to do something about it. A wish that a batch has taken over is not: its batch is."""
    return not effect.state.final and effect.batch is None


def marks(table: Table, planned: Iterable[Effect], changes: Iterable[tuple[Effect, Effect]] = ()) -> list[Item]:
    """What goes into the transaction that writes these lines."""
    opened: dict[tuple[str, str], set[str]] = defaultdict(set)
    closed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for effect in planned:
        if _prefix(effect) and open_still(effect):
            opened[_row(effect)].add(_name(effect))
    for before, after in changes:
        if not _prefix(after):
            continue
        if open_still(after) and not open_still(before):
            opened[_row(after)].add(_name(after))
        elif open_still(before) and not open_still(after):
            closed[_row(after)].add(_name(after))
    # One row is changed once in a transaction; where both apply, a name too many stays.
    found = [_change(table, row, "ADD", names) for row, names in opened.items()]
    return found + [_change(table, row, "DELETE", names) for row, names in closed.items() if row not in opened]


class OpenNotes:
    """Reads them. `now` is in seconds."""

    def __init__(self, table: Table, read: Callable[[Item], Effect], now: Callable[[], float] = time.time) -> None:
        self._table, self._read, self._now = table, read, now

    def covers(self, prefix: str) -> bool:
        """Whether lines whose ids begin so are kept by name: `<kind>#<system>#`."""
        return prefix.endswith("#") and prefix.split("#", 1)[0] in _KINDS

    def oldest(self, case: str, prefix: str, limit: int) -> list[Effect]:
        """Up to `limit` open ones, oldest plan first."""
        rows = list(self._table.query(f"CASE#{case}", f"OPEN#{prefix}"))
        since = next((row for row in rows if row["sk"] == f"OPEN#{prefix}since"), None)
        if since is None or self._now() >= since["again"]:
            return self._all(case, prefix, since)[:limit]
        names = sorted({name for row in rows for name in row.get("names", ())})
        found: list[Effect] = []
        for start in range(0, len(names), 100):
            keys = [(f"CASE#{case}", f"EFFECT#{prefix}{name.split('#', 1)[1]}") for name in names[start : start + 100]]
            found += filter(open_still, map(self._read, self._table.get_many(keys)))
            if len(found) >= limit:
                break
        return _ordered(found)[:limit]

    def _all(self, case: str, prefix: str, since: Item | None) -> list[Effect]:
        """By reading every line; what had no name gets one."""
        wait = min(LONGEST, 2 * since["wait"]) if since else FIRST
        lines = self._table.query(f"CASE#{case}", f"EFFECT#{prefix}")
        found = _ordered(filter(open_still, map(self._read, lines)))
        for start in range(0, len(found), 1_000):
            for mark in marks(self._table, found[start : start + 1_000]):
                self._table.transact([mark])
        again = {"again": int(self._now()) + wait, "wait": wait}
        self._table.put({"pk": f"CASE#{case}", "sk": f"OPEN#{prefix}since", "type": "open", **again})
        return found


def _ordered(effects: Iterable[Effect]) -> list[Effect]:
    return sorted(effects, key=lambda effect: (effect.planned_at, effect.id))


def _prefix(effect: Effect) -> str | None:
    prefix = f"{effect.kind}#{effect.target}#"
    return prefix if effect.kind in _KINDS and effect.id.startswith(prefix) else None


def _row(effect: Effect) -> tuple[str, str]:
    return f"CASE#{effect.case}", f"OPEN#{_prefix(effect)}{shard(effect.id, SLOTS)}"


def _name(effect: Effect) -> str:
    return f"{effect.planned_at:015d}#{effect.id.removeprefix(_prefix(effect) or '')}"


def _change(table: Table, row: tuple[str, str], verb: str, names: set[str]) -> Item:
    action = table.update_action(
        *row, f"{verb} #names :names SET #schema = :schema", {":names": names, ":schema": SCHEMA}
    )
    action["Update"]["ExpressionAttributeNames"] = {"#names": "names", "#schema": "schema"}
    return action
