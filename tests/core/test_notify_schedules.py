"""Thousands of schedules of faults, deaths, lost answers and wake-ups that come twice: people hear, or it is shown."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest

from connectors.core.case import EffectState, Happening
from connectors.core.errors import (
    ConflictError,
    MisconfiguredError,
    RejectedError,
    UnavailableError,
    UnknownOutcomeError,
)
from tests.core.notify_bench import CARE, DESK, FAR, Bench


class Died(BaseException):
    """The worker's process is gone."""


def chaos(seed: int) -> None:  # noqa: C901 - one schedule, told in one place
    """A storm, in which some topics never work; then calm for at least one of them, or for none at all."""
    dice = random.Random(seed)
    bench = Bench(*[CARE, DESK, FAR][: dice.randrange(1, 4)], rounds=dice.randrange(2, 5))
    broken = {topic for topic in bench.case.topics if dice.random() < 0.4}
    rejects = dice.random() < 0.05
    depth, storm = 0, True

    def fault(topic: str) -> Any:
        bench.clock.advance(dice.choice([0.0, 0.2, 3.0]))
        roll = dice.random() if storm else 1.0
        if roll < 0.1:
            raise Died
        if roll < 0.25:
            return ("after", UnknownOutcomeError("timed out"))
        if roll < 0.4:
            return UnavailableError("throttled")
        if roll < 0.43 and rejects:
            return RejectedError("InvalidParameter")
        return MisconfiguredError("NotFound") if topic in broken else None

    def others() -> None:
        nonlocal depth
        one_turn()
        if storm and dice.random() < 0.06:
            raise Died
        if depth < 2 and dice.random() < 0.2:
            depth += 1
            work()
            depth -= 1

    def one_turn() -> None:
        assert len(bench.turns()) <= 1, "two topics have the turn"

    def work() -> None:
        with suppress(Died):
            bench.run(dice.choice(list(bench.ledger.effects)), seconds=dice.choice([30.0, 12.0]))

    bench.audience.fault = fault
    bench.ledger.before_write = bench.ledger.after_write = others
    bench.letters.faults = [UnavailableError("no queue")] * dice.randrange(0, 3)
    for _ in range(dice.randrange(1, 8)):
        work()
        bench.later() if dice.random() < 0.7 else bench.clock.advance(dice.choice([0, 1, 70]))
    storm = False
    bench.ledger.before_write = bench.ledger.after_write = one_turn
    for _ in range(40):
        if not bench.turns():
            break
        for woken in bench.later():
            bench.run(woken)
    assert bench.turns() == [], "it never ends"
    done = [line for line in bench.ledger.effects.values() if line.state is EffectState.DONE]
    assert len({name for _, name in bench.audience.sent}) <= 1
    if done:
        assert len(done) == 1
        assert done[0].target in bench.told()
        assert bench.story().count(Happening.NOTIFIED) == 1
        assert all(line.state.final for line in bench.ledger.effects.values())
        return
    assert bench.letters.kept, "silence"
    assert bench.last().kind in {Happening.UNDELIVERED, Happening.REFUSED}
    broken.clear()
    rejects = False
    bench.run(bench.letters.kept[-1][0], again=True)
    assert bench.told(), "a redrive tells people"


@pytest.mark.parametrize("block", range(6))
def test_any_schedule_ends_in_somebody_told_or_a_dead_letter(block: int) -> None:
    for seed in range(block * 500, block * 500 + 500):
        try:
            chaos(seed)
        except (AssertionError, ConflictError) as error:
            raise AssertionError(f"seed {seed}: {error}") from error
