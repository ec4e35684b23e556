"""How far posts were looked at again, and which are kept: the table as `core.privacy` sees it.

SWEEP#<source> / META               whose turn it is, and when the vendor lets us go on
SWEEP#<source> / DAY#<2026-11-22>   how far that day was walked
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from connectors.aws.cases import keep_until
from connectors.aws.table import Item, Table
from connectors.core.case import SHARDS
from connectors.core.compose import moment
from connectors.core.errors import ConflictError
from connectors.core.privacy import Day, Kept, owner, standing

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Late:
    """Posts of one day that nobody looked at since `since` (milliseconds). `more`: there are more than were counted."""

    day: str
    since: int
    posts: int
    more: bool = False


class TableBook:
    """See `connectors.core.privacy.Book`; and the lease under which one run walks a source."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def claim(self, source: str, now: int, lease: float) -> int | None:
        """Take a source for `lease` seconds: a number to give back, or None where another walks it, or the vendor asked
        for a pause. `now` in milliseconds."""
        row = self._table.get(*_key(source)) or {}
        if max(int(row.get("lease_until", 0)), int(row.get("not_before", 0))) > now:
            return None
        was = int(row.get("attempt", 0))
        values: Item = {":next": was + 1, ":until": now + int(lease * 1000), ":schema": 1, ":type": "sweep"}
        try:
            self._table.update(
                *_key(source),
                "SET attempt = :next, lease_until = :until, #schema = :schema, #type = :type",
                {**values, ":was": was} if was else values,
                "attempt = :was" if was else "attribute_not_exists(attempt)",
                {"#schema": "schema", "#type": "type"},
            )
        except ConflictError:
            return None
        return was + 1

    def release(self, source: str, attempt: int, not_before: int, error: str | None, kept_days: int = 90) -> None:
        """Give it back. `kept_days`: for how many days words are kept; `hailback doctor` looks so far back."""
        values: Item = {":free": 0, ":then": not_before, ":was": attempt, ":kept": kept_days}
        change = "SET lease_until = :free, not_before = :then, kept_days = :kept"
        change, values = (f"{change}, #error = :error", {**values, ":error": error}) if error else (change, values)
        try:
            self._table.update(
                *_key(source),
                change if error else f"{change} REMOVE #error",
                values,
                "attempt = :was",
                {"#error": "error"},
            )
        except ConflictError:
            return

    def kept_days(self, source: str) -> int:
        """How far back the last run looked."""
        return int((self._table.get(*_key(source)) or {}).get("kept_days", 90))

    def days(self, source: str) -> Mapping[str, Day]:
        """The days that were walked, or begun."""
        found = {}
        for item in self._table.query(f"SWEEP#{source}", "DAY#"):
            day = item["sk"].removeprefix("DAY#")
            found[day] = Day(day, item["began_at"], item.get("pass_at"), item.get("cursor"), item.get("posts"))
        return found

    def save(self, source: str, day: Day) -> None:
        """Write how far a day was walked."""
        row: Item = {"pk": f"SWEEP#{source}", "sk": f"DAY#{day.day}", "type": "sweep_day"}
        row |= {"began_at": day.began_at, "pass_at": day.pass_at, "cursor": day.cursor, "posts": day.posts}
        self._table.put({**row, "expires_at": keep_until(day.began_at, 800)})


class TableShelf:
    """See `connectors.core.privacy.Shelf`. `able` and `known`: see `connectors.core.privacy.owner`."""

    def __init__(self, table: Table, able: Mapping[str, str], known: Mapping[str, str]) -> None:
        self._table, self._able, self._known = table, able, known

    def posts(self, source: str, day: str, cursor: str | None) -> Iterator[Kept]:
        """The kept posts of a day that this source has to look at. The index has them by shard and second: those of the
        second at which a walk stopped come again."""
        first, _, since = (cursor or "0|").partition("|")
        prefix = f"MENTION#{self._known[source]}:"
        for shard in range(int(first), SHARDS):
            start = since if shard == int(first) else ""
            found = self._entries(day, shard, start)
            mine = (entry for entry in found if entry["pk"].startswith(prefix))
            for page in _pages(mine):
                yield from self._kept(source, page, shard)

    def _entries(self, day: str, shard: int, since: str) -> Iterator[Item]:
        values = {":d": f"{day}#{shard}", **({":s": since} if since else {})}
        return self._table.query_index("day", "day_shard = :d" + (" AND seen_at >= :s" if since else ""), values)

    def _kept(self, source: str, page: list[Item], shard: int) -> Iterator[Kept]:
        rows = {item["pk"]: item for item in self._table.get_many([(entry["pk"], entry["sk"]) for entry in page])}
        for entry in page:
            row = rows.get(entry["pk"])
            if row is None or "removed" in row or "native_id" not in row:
                continue
            one = owner(row.get("sources", ()), row["connector"], row.get("authority"), self._able, self._known)
            if one == source:
                yield Kept(
                    entry["pk"].removeprefix("MENTION#"), row["native_id"], f"{shard}|{entry.get('seen_at', '')}"
                )

    def late(self, source: str, days: Mapping[str, Day], now: int, kept_days: int, allowed: float) -> list[Late]:
        """The days whose posts wait longer than `allowed` seconds, the longest waiting first. A day that was never
        walked is looked into; of the others it is known how many posts they had."""
        found = []
        for day in standing(days, now, kept_days):
            if now - day.began_at <= allowed * 1000:
                continue
            posts, more = day.posts or 0, False
            if day.posts is None or day.pass_at is not None:
                limit = moment(now - int(allowed * 1000))
                old = (one for one in self.posts(source, day.day, None) if one.position.partition("|")[2] < limit)
                counted = sum(1 for _ in itertools.islice(old, _PAGE + 1))
                posts, more = min(counted, _PAGE), counted > _PAGE
            if posts:
                found.append(Late(day.day, day.began_at, posts, more))
        return found


def _key(source: str) -> tuple[str, str]:
    return f"SWEEP#{source}", "META"


def _pages(entries: Iterable[Item]) -> Iterator[list[Item]]:
    entries = iter(entries)
    while page := list(itertools.islice(entries, _PAGE)):
        yield page
