"""A silent source is noticed, and a quiet one is left alone: measured over simulated sources."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from connectors.core.silence import WEEK, Hearing, judge

START = 495_000 // WEEK * WEEK + 96
"""An hour that begins a Monday: the epoch was a Thursday."""
DAY = 24
Rate = Callable[[int], float]


def weekday(at: int) -> int:
    return (at - START) // DAY % 7


def busy(at: int) -> float:
    return 6.0 + 5.0 * math.sin(at % DAY / DAY * 2 * math.pi)


def sparse(at: int) -> float:
    return 0.12 if 7 <= at % DAY <= 21 else 0.01


def weekdays(at: int) -> float:
    return 3.0 if weekday(at) < 5 and 8 <= at % DAY < 18 else 0.0


def evenings(at: int) -> float:
    return 1.5 if 17 <= at % DAY < 22 else 0.05


def growing(at: int) -> float:
    return 0.05 + 0.4 * (at - START) / (10 * WEEK)


def shrinking(at: int) -> float:
    return 0.5 - 0.4 * (at - START) / (10 * WEEK)


KINDS: dict[str, Rate] = {one.__name__: one for one in (busy, sparse, weekdays, evenings, growing, shrinking)}


def posts(dice: random.Random, mean: float) -> int:
    """Poisson by inversion; one in a hundred hours has a storm."""
    mean *= 50 if dice.random() < 0.002 else 1
    count, chance, roll = 0, math.exp(-min(mean, 500)), dice.random()
    total = chance
    while roll > total and count < 1000:
        count += 1
        chance *= mean / count
        total += chance
    return count


def history(rate: Rate, weeks: int, seed: int, threads: bool = False) -> dict[int, int]:
    """Hours to posts. In `threads`, what is said draws answers over the next hours."""
    dice = random.Random(seed)
    said: dict[int, int] = {}
    for at in range(START, START + weeks * WEEK):
        for _ in range(posts(dice, rate(at))):
            said[at] = said.get(at, 0) + 1
            if threads:
                for _ in range(dice.randrange(0, 6)):
                    later = at + int(dice.expovariate(0.5))
                    said[later] = said.get(later, 0) + 1
    return said


def false_alarms(rate: Rate, threads: bool = False, sources: int = 5, weeks: int = 10) -> float:
    """False alarms in a source's year: gaps that were called silent just before they ended by themselves."""
    alarms = 0
    for seed in range(sources):
        said = history(rate, weeks, seed, threads)
        before: dict[int, int] = {}
        for at in sorted(said):
            if before and at - next(reversed(before)) > 3:
                alarms += judge(before, at).hearing is Hearing.SILENT
            before[at] = said[at]
    return alarms / (sources * weeks / 52)


def delays(rate: Rate, sources: int = 7, weeks: int = 5) -> list[int]:
    """Hours from the moment at which a source breaks until it is noticed, at any hour of the week."""
    found = []
    for seed in range(sources):
        said = history(rate, weeks, seed)
        broken = START + weeks * WEEK - seed * 17 % WEEK
        before = {at: n for at, n in said.items() if at < broken}
        hour = broken
        while judge(before, hour).hearing is not Hearing.SILENT and hour < broken + 8 * WEEK:
            hour += 2
        found.append(hour - broken)
    return sorted(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [False, True], ids=["posts", "threads"])
def test_a_source_that_works_is_left_alone(kind: str, threads: bool) -> None:
    """At most two false alarms a year (16 sources came to one or none); more for one that shrinks fast."""
    assert false_alarms(KINDS[kind], threads) <= (6 if kind == "shrinking" else 2)


@pytest.mark.parametrize(
    ("kind", "median", "longest"),
    [("busy", 8, 12), ("weekdays", 30, 72), ("evenings", 50, 70), ("growing", 90, 110), ("sparse", 160, 210)],
)
def test_a_source_that_breaks_is_noticed(kind: str, median: int, longest: int) -> None:
    """Hours, weekends and nights included. A source with one or two posts a day takes longest: it is often quiet."""
    found = delays(KINDS[kind])
    assert found[len(found) // 2] <= median
    assert found[-1] <= longest


def test_a_new_source_is_not_judged_in_its_first_two_weeks() -> None:
    said = history(busy, 1, 1)
    three_days = {at: n for at, n in said.items() if at < START + 3 * DAY}
    assert judge(three_days, START + 13 * DAY).hearing is Hearing.LEARNING
    assert judge(three_days, START + 15 * DAY).hearing is Hearing.SILENT
    assert judge({}, START).hearing is Hearing.LEARNING
    assert judge({START: 3}, START + 30 * DAY).hearing is Hearing.LEARNING


def test_an_outage_is_noticed_again_the_week_after() -> None:
    said = history(busy, 5, 3)
    outage = range(START + 4 * WEEK, START + 4 * WEEK + 60)
    said = {at: n for at, n in said.items() if at not in outage}
    last = START + 5 * WEEK
    assert judge(said, last).hearing is Hearing.USUAL
    assert judge(said, last + 12).hearing is Hearing.SILENT


def test_a_silence_lasts_until_it_is_broken() -> None:
    said = history(busy, 5, 4)
    assert judge(said, START + 15 * WEEK).hearing is Hearing.SILENT
    assert judge({**said, START + 15 * WEEK: 1}, START + 15 * WEEK).hearing is not Hearing.SILENT
