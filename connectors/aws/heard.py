"""How much was heard of each source in each hour: `COUNT#<source>` / `DAY#<date>`, one attribute an hour.

A statistic: a worker that dies right after it took something in leaves it uncounted. Kept for nine weeks: the four that
are looked at, and five more in which a silent source stays known to be silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from connectors.aws.cases import keep_until
from connectors.aws.table import Table
from connectors.core.ingest import Taken

_KEPT = 63
_HOUR = 3_600_000
_SIGNS = (
    Taken.OPENED,
    Taken.SAID,
    Taken.ANSWERED_THERE,
    Taken.EDITED,
    Taken.RESTORED,
    Taken.OWN,
    Taken.ECHO,
    Taken.UNCLEAR,
    Taken.HINTED,
)
"""Signs of life. Not removals: our own look at old posts finds those."""


def signs_of_life(counts: Mapping[Taken, int]) -> int:
    """How many of the events taken in say that their source is alive. What was known already says nothing."""
    return sum(counts.get(one, 0) for one in _SIGNS)


class TableHeard:
    """Counts in the table. `now` in milliseconds."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, source: str, count: int, now: int) -> None:
        """Count what was heard in the hour of `now`."""
        at = datetime.fromtimestamp(now / 1000, UTC)
        self._table.update(
            f"COUNT#{source}",
            f"DAY#{at:%Y-%m-%d}",
            f"ADD h{at:%H} :count SET expires_at = :expires, #type = :type, #schema = :schema",
            {":count": count, ":expires": keep_until(now, _KEPT), ":type": "count", ":schema": 1},
            names={"#type": "type", "#schema": "schema"},
        )

    def hours(self, source: str) -> dict[int, int]:
        """What was heard, by hour (hours since the epoch)."""
        found: dict[int, int] = {}
        for item in self._table.query(f"COUNT#{source}", "DAY#"):
            day = datetime.strptime(item["sk"].removeprefix("DAY#"), "%Y-%m-%d").replace(tzinfo=UTC)
            first = int(day.timestamp() * 1000) // _HOUR
            found |= {first + int(name[1:]): int(item[name]) for name in item if name[0] == "h" and name[1:].isdigit()}
        return found


def hour_of(now: int) -> int:
    """Hours since the epoch."""
    return now // _HOUR
