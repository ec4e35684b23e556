"""Posts that are gathered: a storm becomes few notes, nothing is lost and nothing overtakes."""

from __future__ import annotations

from contextlib import suppress

import pytest

from connectors.core.case import Effect, EffectKind, EffectState, Happening
from tests.core.sync_bench import CASE, SYSTEM, Bench


def bench(waiting: int, *, opened: bool = True) -> tuple[Bench, int]:
    """A case whose first post was told; `waiting` further ones are gathered until the time that is returned."""
    made = Bench()
    made.say(1, happening=Happening.OPENED)
    if opened:
        made.finish()
    made.clock.advance(10)
    until = made.clock.now() + 300_000
    before = set(made.ledger.effects)
    made.say(*range(2, waiting + 2))
    for name in set(made.ledger.effects) - before:
        change = {"retry_at": until, "due_at": until}
        made.ledger.effects[name] = made.ledger.effects[name].model_copy(update=change)
    return made, until


def told(made: Bench) -> list[list[int]]:
    return [
        [int(line.split(":")[2]) for line in text.splitlines() if line.startswith("Post: ")]
        for _, text in made.tracker.notes
    ]


def test_a_storm_becomes_few_notes() -> None:
    made, until = bench(100)
    made.run()
    assert told(made) == [[1]], "nothing before the time is over, though its worker was woken"
    made.clock.seconds = until / 1000
    made.finish()
    assert [len(posts) for posts in told(made)] == [1, 40, 40, 20]
    assert [post for posts in told(made) for post in posts] == [*range(1, 102)]


def test_what_does_not_wait_takes_those_with_it_that_came_before() -> None:
    made, _ = bench(60)
    made.ledger.plan(
        Effect(
            case=CASE.id,
            id=f"note#{SYSTEM}#x#raised",
            kind=EffectKind.NOTE,
            target=SYSTEM,
            planned_at=made.clock.now() + 1_000,
            due_at=made.clock.now(),
            happening=Happening.RAISED,
            words="This case was raised.",
        )
    )
    made.run()
    posts = [post for part in told(made) for post in part]
    assert posts[:41] == [*range(1, 42)], "in order, though it is behind more than one note holds"
    made.finish()
    assert [post for part in told(made) for post in part] == [*range(1, 62)]
    assert made.tracker.notes[-1][1].endswith("This case was raised.")


def test_posts_that_wait_when_the_record_is_opened_go_with_it() -> None:
    made, _ = bench(3, opened=False)
    made.finish()
    assert told(made) == [[1, 2, 3, 4]]


class Died(BaseException):
    """The worker's process is gone."""


@pytest.mark.parametrize("writes", range(1, 5))
def test_a_worker_that_dies_tells_nothing_twice_and_loses_nothing(writes: int) -> None:
    made, until = bench(5)
    made.clock.seconds = until / 1000
    left = writes

    def die() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Died

    made.ledger.after_write = die
    with suppress(Died):
        made.run()
    made.finish()
    assert sorted(post for part in told(made) for post in part) == [*range(1, 7)]
    assert all(line.state is EffectState.DONE for line in made.ledger.effects.values())
