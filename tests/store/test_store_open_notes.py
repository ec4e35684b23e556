"""A conversation of ten thousand posts costs as much a post as one of ten; what is open is found whoever planned it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from connectors.aws import open_notes
from connectors.aws.cases import Cases, effect_item
from connectors.aws.ledger import TableLedger
from connectors.aws.table import Item, Table
from connectors.core.case import Case, Effect, EffectKind, EffectState, Happening, note_id, record_id
from connectors.core.compose import Post
from connectors.core.ledger import Pace, done, ended
from connectors.core.sync import RecordSync
from tests.doubles import Clock, MemoryBlobs, Tracker
from tests.template import table_request

SYSTEM = "stack/Tracker"
CASE = Case(
    id="case-1",
    conversation="discourse:forum:7",
    connector="discourse",
    source="stack/Forum",
    first_mention="post:0",
    opened_at=1,
    updated_at="2026-11-20T10:00:00Z",
    plan_version="p",
    systems=(SYSTEM,),
    engaged=(SYSTEM,),
)


class Counting(Table):
    """Counts the rows that are read and the longest transaction."""

    rows = 0
    longest = 0

    def _pages(self, limit: int | None, **request: Any) -> Iterator[Item]:
        for item in super()._pages(limit, **request):
            self.rows += 1
            yield item

    def get_many(self, keys: Any) -> list[Item]:
        found = super().get_many(keys)
        self.rows += len(found)
        return found

    def transact(self, actions: Any) -> None:
        self.longest = max(self.longest, len(actions))
        super().transact(actions)


class Words:
    """A post for each mention."""

    def post(self, mention: str) -> Post | None:
        return Post(mention, 1, "@ada", None, "words", None, None)


class World:
    """One conversation, its table and its system."""

    def __init__(self, client: Any) -> None:
        client.create_table(**table_request("t"))
        self.table = Counting(client, "t", sleep=lambda _: None)
        self.clock, self.ledger = Clock(), TableLedger(self.table)
        blobs: Any = MemoryBlobs()
        self.cases, self.said = Cases(self.table, blobs), 0
        self.tracker: Any = Tracker(self.clock)
        self.table.put(
            {
                "pk": f"CASE#{CASE.id}",
                "sk": "META",
                **CASE.model_dump(mode="json", exclude_none=True, exclude={"fail_over_after", "coalesce"}),
            }
        )
        self.ledger.plan(
            Effect(case=CASE.id, id=record_id(SYSTEM), kind=EffectKind.RECORD, target=SYSTEM, planned_at=1)
        )

    def wish(self) -> Effect:
        self.said += 1
        self.clock.advance(1)
        mention = f"post:{self.said}"
        return Effect(
            case=CASE.id,
            id=note_id(SYSTEM, mention, Happening.SAID, 1),
            kind=EffectKind.NOTE,
            target=SYSTEM,
            planned_at=self.clock.now(),
            due_at=self.clock.now(),
            mention=mention,
            happening=Happening.SAID,
        )

    def say(self, count: int = 1) -> None:
        self.cases.plan(CASE, [], [self.wish() for _ in range(count)])

    def run(self) -> int:
        """The rows that one wake-up reads."""
        before = self.table.rows
        RecordSync(
            self.ledger, Words(), self.tracker, Pace(), now=self.clock.now, remaining=lambda: 60.0, need=5.0
        ).run(CASE, SYSTEM)
        return self.table.rows - before

    def open_lines(self) -> list[str]:
        return [one.mention or "" for one in self.ledger.pending(CASE.id, f"note#{SYSTEM}#", 1000)]

    def told(self) -> list[str]:
        return [
            line.removeprefix("Post: ")
            for _, text in self.tracker.notes
            for line in text.splitlines()
            if "Post: " in line
        ]


@pytest.fixture
def world(aws_environment: None) -> Iterator[World]:
    with mock_aws():
        yield World(boto3.client("dynamodb"))


def test_a_wake_up_reads_no_more_the_longer_the_conversation_is(world: World) -> None:
    reads = []
    for _ in range(24):
        world.say()
        reads.append(world.run())
    assert world.told() == [f"post:{number}" for number in range(1, 25)]
    assert max(reads[10:]) <= max(reads[2:10]), "the last costs what the third did"
    assert max(reads[2:]) < 40


def test_a_backlog_is_worked_off_in_order_and_read_once(world: World) -> None:
    for _ in range(3):
        world.say(40)
    rows = world.run()
    assert world.told() == [f"post:{number}" for number in range(1, 121)]
    assert len(world.tracker.notes) == 3
    assert rows < 120 * 3 + 150
    assert world.table.longest <= 100
    assert world.open_lines() == []


def test_lines_from_before_are_found(world: World) -> None:
    """As the version before this one left them: without their names."""
    for _ in range(5):
        world.table.put(effect_item(world.wish()))
    world.say()
    world.run()
    assert world.told() == [f"post:{number}" for number in range(1, 7)]


def test_a_line_of_an_older_version_that_still_runs_is_found_a_while_later(world: World) -> None:
    at = [1_000_000.0]
    ledger = TableLedger(world.table)
    ledger._open._now = lambda: at[0]
    waits = []
    for _ in range(5):
        world.table.put(effect_item(world.wish()))
        passed = 0
        while len(found := ledger.pending(CASE.id, f"note#{SYSTEM}#", 1000)) < world.said:
            at[0] += 1800
            passed += 1800
        assert [one.mention for one in found] == [f"post:{number}" for number in range(1, world.said + 1)]
        waits.append(passed)
    assert waits[0] == 0
    assert waits[1] <= open_notes.FIRST
    assert max(waits) <= open_notes.LONGEST


def finished(effect: Effect) -> Effect:
    return done(effect, 5, "msg1")


def refused(effect: Effect) -> Effect:
    return ended(effect, EffectState.REJECTED, 5, "no")


@pytest.mark.parametrize("end", [finished, refused])
def test_what_ends_is_not_open_and_what_is_opened_again_is(world: World, end: Callable[[Effect], Effect]) -> None:
    world.open_lines()
    wish = world.wish()
    assert world.ledger.plan(wish)
    assert world.open_lines() == [wish.mention]
    over = end(wish)
    world.ledger.settle([(wish, over)])
    assert world.open_lines() == []
    world.ledger.settle([(over, wish)])
    assert world.open_lines() == [wish.mention]
