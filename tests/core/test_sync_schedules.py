"""Thousands of schedules of faults, deaths and overlapping workers: each ends with one record, every post once."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest

from connectors.core.case import (
    EffectState,
)
from connectors.core.errors import (
    ConflictError,
    MisconfiguredError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.sync import OutOfTimeError
from tests.core.sync_bench import Bench


class Died(BaseException):
    """The worker's process is gone."""


def chaos(seed: int) -> None:  # noqa: C901 - one schedule, told in one place
    """Random faults, deaths, late answers, overlapping workers and sweeps; then calm, and everything must be right."""
    dice = random.Random(seed)
    bench = Bench()
    bench.tracker.permits = dice.random() < 0.5
    bench.tracker.settle = dice.choice([0.0, 10.0])
    bench.tracker.honour = dice.choice([30.0, 3600.0])
    depth = 0

    def fault(operation: str) -> Any:
        roll = dice.random()
        if roll < 0.12:
            return UnavailableError("refused", retry_after=dice.choice([None, 5.0, 200.0]))
        if roll < 0.24:
            return ("after", UnknownOutcomeError("timed out"))
        if roll < 0.32:
            return UnknownOutcomeError("broken off")
        if roll < 0.36:
            return MisconfiguredError("401")
        if roll < 0.42:
            raise Died
        return None

    def other_worker(_operation: str = "") -> None:
        nonlocal depth
        bench.clock.advance(dice.choice([0.0, 0.1, 2.0]))
        if depth < 2 and dice.random() < 0.15:
            depth += 1
            work()
            depth -= 1

    def flaky_write() -> None:
        other_worker()
        if dice.random() < 0.04:
            raise Died

    def work() -> None:
        with suppress(Died, OutOfTimeError):
            bench.run()

    bench.tracker.fault = fault
    bench.tracker.dawdle = other_worker
    bench.ledger.before_write = bench.ledger.after_write = flaky_write
    posts = 0
    for _ in range(dice.randrange(3, 9)):
        new = dice.randrange(0, 4)
        bench.say(*range(posts + 1, posts + new + 1))
        posts += new
        work()
        bench.later() if dice.random() < 0.6 else bench.clock.advance(dice.choice([0, 1, 70]))
    bench.tracker.fault = lambda operation: None
    bench.tracker.dawdle = lambda operation: None
    bench.ledger.before_write = bench.ledger.after_write = lambda: None
    bench.finish()
    assert bench.unfinished() == []
    assert len(bench.tracker.records) == 1
    assert bench.told() == [f"post:{post}" for post in range(1, posts + 1)]
    assert all(effect.state is EffectState.DONE for effect in bench.ledger.effects.values())


@pytest.mark.parametrize("block", range(8))
def test_any_schedule_ends_with_one_record_and_every_post_in_one_note(block: int) -> None:
    for seed in range(block * 300, block * 300 + 300):
        try:
            chaos(seed)
        except (AssertionError, ConflictError) as error:
            raise AssertionError(f"seed {seed}: {error}") from error
