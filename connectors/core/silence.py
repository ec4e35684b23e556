"""Whether a source has gone silent, against its own past. Pure.

What counts is whether anything was heard in an hour, not how much: one storm must not make every later hour look quiet.
From the last four weeks in which it was heard, each hour of the week has a chance of being silent. A gap is measured by
how surprising it is, the sum of `-ln(chance)` over its hours: a night or a weekend that is always quiet adds almost
nothing. A source is silent when the gap that it is in now is more surprising than `FLOOR`, and three times as much as
the gaps that it came out of by itself: where posts come in threads, long gaps are no surprise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

WEEK = 168
HISTORY = 4 * WEEK
"""Hours before the last sign of life that are looked at."""
LEARNING = 2 * WEEK
"""Hours after its first sign of life in which a source is not judged: it takes a second weekend to know weekends."""
FLOOR = 14.0
"""Chosen, with `FACTOR`, by simulation (tests/core/test_silence.py): hours depend on each other, and the sum does not
know."""
FACTOR = 3.0
LEAST_HOURS = 12
"""In fewer hours than that nothing was learnt."""
_PRIOR = 2.0
"""How many hours' worth the average hour of the source has in each hour of its week."""


class Hearing(StrEnum):
    """How a source is heard."""

    LEARNING = "learning"
    """Too new, or too seldom heard, to say anything."""
    USUAL = "as usual"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Silence:
    """`gap`: whole hours without a sign of life. `surprise` of it, and the `limit` above which it is an alarm."""

    hearing: Hearing
    gap: int = 0
    surprise: float = 0.0
    limit: float = FLOOR


def judge(counts: Mapping[int, int], hour: int) -> Silence:
    """`counts` by hour (hours since the epoch); `hour` is the present one, which is not over and does not count."""
    heard = sorted(at for at, count in counts.items() if count > 0 and at <= hour)
    if not heard:
        return Silence(Hearing.LEARNING)
    last = heard[-1]
    gap = max(0, hour - last - 1)
    heard = [at for at in heard if at > last - HISTORY]
    if hour - heard[0] < LEARNING or len(heard) < LEAST_HOURS:
        return Silence(Hearing.LEARNING, gap)
    surprises = _surprises(heard)
    now = _sum(surprises, last + 1, hour)
    past = sorted(_sum(surprises, one + 1, other) for one, other in itertools.pairwise(heard))
    # Not the longest: that may have been an outage, and one in four weeks does not make the next one usual.
    limit = max(FLOOR, FACTOR * past[-2])
    return Silence(Hearing.SILENT if now > limit else Hearing.USUAL, gap, now, limit)


def _surprises(heard: list[int]) -> list[float]:
    """For each hour of the week, how surprising silence is there; smoothed over its neighbours, for clocks change."""
    first, last = heard[0], heard[-1]
    active, seen = [0.0] * WEEK, [0.0] * WEEK
    for at in range(first, last + 1):
        seen[at % WEEK] += 1
    for at in heard:
        active[at % WEEK] += 1
    average = len(heard) / (last - first + 1)
    found = []
    for slot in range(WEEK):
        near = ((slot - 1) % WEEK, slot, slot, (slot + 1) % WEEK)
        chance = (sum(active[at] for at in near) + _PRIOR * average) / (sum(seen[at] for at in near) + _PRIOR)
        found.append(-math.log(1 - min(chance, 0.95)))
    return found


def _sum(surprises: list[float], start: int, end: int) -> float:
    whole, rest = divmod(max(0, end - start), WEEK)
    return whole * sum(surprises) + sum(surprises[(start + number) % WEEK] for number in range(rest))
