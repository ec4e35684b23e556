"""Thousands of schedules: the primary down, answers dropped after commit, the stand-by too, workers dying, messages
twice and out of order, people at work in between. Each ends with one live record and everything where it belongs."""

from __future__ import annotations

import random
from typing import Any

import pytest

from connectors.core.case import Happening
from connectors.core.errors import MisconfiguredError, UnavailableError, UnknownOutcomeError
from tests.core.failover_bench import TIERS, A, B, C, Died, World


def trouble(world: World, dice: random.Random) -> None:  # noqa: C901 - one kind of trouble, told in one place
    """Faults of calls and of writes, deaths, and other workers in between."""
    depth = 0

    def fault(_operation: str) -> Any:
        roll = dice.random()
        if roll < 0.08:
            return UnavailableError("refused", retry_after=dice.choice([None, 5.0, 200.0]))
        if roll < 0.20:
            return ("after", UnknownOutcomeError("timed out"))
        if roll < 0.26:
            return UnknownOutcomeError("broken off")
        if roll < 0.28:
            return MisconfiguredError("401")
        if roll < 0.33:
            raise Died
        return None

    def meanwhile(_operation: str = "") -> None:
        nonlocal depth
        world.clock.advance(dice.choice([0.0, 0.1, 2.0]))
        if depth < 2 and dice.random() < 0.1:
            depth += 1
            world.deliver(dice)
            depth -= 1

    def flaky_write() -> None:
        meanwhile()
        if dice.random() < 0.03:
            raise Died

    world.ledger.before_write = world.ledger.after_write = flaky_write
    world.lose = lambda: dice.random() < 0.1
    for desk in world.desks.values():
        desk.fault, desk.dawdle = fault, meanwhile
        desk.honour = dice.choice([30.0, 3600.0])


def calm(world: World) -> None:
    world.ledger.before_write = world.ledger.after_write = lambda: None
    world.lose = lambda: False
    for desk in world.desks.values():
        desk.down, desk.fault, desk.dawdle = False, lambda _: None, lambda _: None


def step(world: World, dice: random.Random) -> None:
    roll = dice.random()
    names = list(world.desks)
    if roll < 0.2:
        world.say()
    elif roll < 0.4:
        waiting = world.undone()
        dice.shuffle(waiting)
        world.dispatch(waiting[: dice.randrange(1, 5)] * dice.choice([1, 1, 2]))
    elif roll < 0.65:
        world.deliver(dice)
    elif roll < 0.75:
        world.clock.advance(dice.choice([1, 30, 70, 200]))
        world.sweep()
    elif roll < 0.85:
        world.desks[dice.choice([A, A, *names])].down = dice.random() < 0.6
    elif roll < 0.95:
        world.write(dice.choice([B, *names]), dice.choice([Happening.REMARKED, Happening.ANSWERED]))
    else:
        world.write(dice.choice(names[1:]), Happening.MOVED, dice.choice(["open", "pending", "solved"]))


def chaos(seed: int, tiers: tuple[str, ...]) -> World:
    dice = random.Random(seed)
    names = (A, B, C)[: len(tiers)]
    world = World(*names, tiers=tiers, after=dice.choice([0.0, 60.0, 120.0]))
    trouble(world, dice)
    world.say()
    world.desks[A].down = dice.random() < 0.6
    for _ in range(dice.randrange(10, 90)):
        try:
            step(world, dice)
        except Died:
            continue
    calm(world)
    if dice.random() < 0.5:
        without_the_first(world)
    world.settle()
    world.settled()
    return world


def without_the_first(world: World) -> None:
    """The first system stays away a while longer, and all else is well: who has the case then, has all of it."""
    world.desks[A].down = True
    for _ in range(25):
        world.minute()
    live = world.meta.record
    assert live is not None or len(world.desks) == 1
    if live is not None and live.system != A:
        assert world.meta.engaged[0] == A
        desk = world.desks[live.system]
        assert sorted(desk.told("Post")) == sorted(f"post:{number}" for number in range(1, world.said + 1))
        elsewhere = {
            name
            for name, (where, kind) in world.written.items()
            if kind is not Happening.MOVED and where != live.system
        }
        assert set(desk.told("Update")) == elsewhere
    world.desks[A].down = False


@pytest.mark.parametrize("first", TIERS)
@pytest.mark.parametrize("second", TIERS)
def test_any_schedule_ends_with_one_live_record(first: str, second: str) -> None:
    for seed in range(250):
        try:
            chaos(seed, (first, second))
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_three_systems_hand_back_in_any_order() -> None:
    for seed in range(300):
        try:
            chaos(seed, ("permit", "key", "neither"))
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_the_schedules_do_what_they_are_for() -> None:
    """Were nothing ever failed over, provisional, answered or retired, the rest would prove nothing."""
    worlds = [chaos(seed, ("permit", "key")) for seed in range(120)]
    lines = [line for world in worlds for line in world.ledger.effects.values()]
    happened = [event.kind for world in worlds for event in world.ledger.events]
    assert happened.count(Happening.HANDED_BACK) > 20
    assert sum(line.provisional for line in lines) > 3
    assert sum(line.doubt for line in lines) > 3
    assert sum(len(world.desks[A].told("Update")) for world in worlds) > 20
    assert any(world.rows.breaker(A).rev > 3 for world in worlds)
