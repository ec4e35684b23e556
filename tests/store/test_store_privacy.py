"""Posts that are looked at again: each within its time, none twice at once, and what is gone is forgotten here."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

from connectors.aws.sweeps import TableBook, TableShelf
from connectors.core.errors import RejectedError, RemoteError, UnavailableError
from connectors.core.ingest import Origin
from connectors.core.models import AnyEvent, Author, Deletion, Mention
from connectors.core.ports import Rechecked
from connectors.core.privacy import Day, Sweeper, Swept, owner
from tests.store.shop import Shop

START = 1_795_000_000_000
HOUR = 3_600_000
WITHIN = 20 * 3600
ACME, BETA, OLD = "routes/Acme", "routes/Beta", "routes/Old"


def post(number: int, connector: str = "x") -> Mention:
    return Mention(
        connector=connector,
        native_id=str(number),
        conversation_id=str(number),
        author=Author(native_id="5", handle="ada"),
        text=f"words {number}",
    )


class Vendor:
    """Knows which posts are gone, and remembers what it was asked."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.edited: list[Mention] = []
        self.asked: list[tuple[str, ...]] = []
        self.faults: list[RemoteError | None] = []
        self.refuses: set[str] = set()

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        if self.refuses & set(native_ids):
            raise RejectedError("not a post")
        self.asked.append(tuple(native_ids))
        gone = [Deletion(connector="x", native_id=one, order=START * 2) for one in native_ids if one in self.gone]
        strangers = [Deletion(connector="x", native_id="999999", order=START * 2)]
        return Rechecked([*gone, *strangers], {"post_read": len(native_ids) - len(gone)}, self.edited)

    def seen(self) -> list[str]:
        return sorted((one for part in self.asked for one in part), key=int)


class World:
    """A shop whose clock is moved by hand, and one run of the sweep after another."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.at, self.vendor = shop, START, Vendor()
        shop.now = lambda: self.at
        shop.intake._now = lambda: self.at
        self.book = TableBook(shop.table)
        self.able, self.known = {ACME: "x"}, {ACME: "x"}
        self.spent: list[Mapping[str, int]] = []

    def hear(self, numbers: Iterable[int], source: str = ACME, connector: str = "x") -> None:
        for number in numbers:
            self.shop.take_in(post(number, connector), Origin(source, connector))

    def shelf(self) -> TableShelf:
        return TableShelf(self.shop.table, self.able, self.known)

    def sweep(self, calls: int = 10_000, batch: int = 4, source: str = ACME, days: int = 3) -> Swept:
        left = itertools.count(calls, -1)

        def outbox(news: Sequence[AnyEvent]) -> None:
            for one in news:
                assert isinstance(one, Deletion | Mention)
                self.shop.take_in(one, Origin(source, "x"))

        sweeper = Sweeper(source, self.vendor, self.book, self.shelf(), outbox, self.spent.append, lambda: self.at)
        return sweeper.run(WITHIN, batch, days, lambda: next(left) > 0)

    def words(self, number: int) -> str | None:
        return self.shop.words(f"x:{number}")


@pytest.fixture
def world(shop: Shop) -> World:
    return World(shop)


def test_a_post_that_is_gone_is_forgotten_and_its_identity_stays(world: World) -> None:
    world.hear(range(1, 11))
    world.vendor.gone = {"3", "7"}
    world.at += 21 * HOUR
    done = world.sweep()
    assert (done.posts, done.gone, done.left, done.error) == (10, 2, 0, None)
    assert [number for number in range(1, 11) if world.words(number) is None] == [3, 7]
    meta, _ = world.shop.cases.mention("x:3")
    assert meta is not None
    assert "removed" in meta
    assert world.shop.happened(meta["case"]) == ["opened", "deleted"]
    assert world.shop.cases.mention("x:999999")[0] is None, "what was not asked about is not removed"
    assert sum(one["post_read"] for one in world.spent) == 8
    world.at += 21 * HOUR
    world.vendor.asked.clear()
    world.sweep()
    assert world.vendor.seen() == ["1", "2", "4", "5", "6", "8", "9", "10"]


def test_an_edit_that_nobody_told_of_is_found_and_what_is_known_already_changes_nothing(world: World) -> None:
    world.hear(range(1, 4))
    world.vendor.gone = {"3"}
    stranger = post(77)
    world.vendor.edited = [post(1), post(2).model_copy(update={"version": 2, "text": "edited words"}), stranger]
    for _ in range(2):
        world.at += 21 * HOUR
        assert world.sweep().error is None
    assert [world.words(number) for number in (1, 2, 3)] == ["words 1", "edited words", None]
    meta, _ = world.shop.cases.mention("x:2")
    assert meta is not None
    assert world.shop.happened(meta["case"]) == ["opened", "edited"]
    assert world.shop.cases.mention(stranger.id)[0] is None, "what was not asked about is not taken in"


def test_each_post_is_looked_at_within_its_time_and_not_more_often_than_needed(world: World) -> None:
    """Five days with a run each quarter of an hour, posts coming in all the time."""
    heard: dict[str, int] = {}
    looked: dict[str, list[int]] = {}
    numbers = itertools.count(1)
    for step in range(5 * 24 * 2):
        world.at = START + step * HOUR // 2
        if step % 24 == 3 and step < 100:
            number = next(numbers)
            world.hear([number])
            heard[str(number)] = world.at
        world.vendor.asked.clear()
        world.sweep(days=10)
        for one in world.vendor.seen():
            looked.setdefault(one, []).append(world.at)
    for one, first in heard.items():
        times = [first, *looked[one], world.at]
        waits = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert max(waits) <= WITHIN * 1000, f"post {one} waited {max(waits) / HOUR} hours"
        assert len(looked[one]) <= (world.at - first) / (17 * HOUR) + 1


def test_a_run_that_is_out_of_time_is_carried_on_by_the_next(world: World) -> None:
    world.hear(range(1, 31))
    world.at += 21 * HOUR
    runs = 0
    while world.sweep(calls=4).left:
        runs += 1
        world.at += HOUR // 4
        assert runs < 30
    assert set(world.vendor.seen()) == {str(number) for number in range(1, 31)}
    assert runs >= 3


def test_a_limit_stops_the_run_and_says_until_when(world: World) -> None:
    world.hear(range(1, 11))
    world.at += 21 * HOUR
    world.vendor.faults = [None, UnavailableError("429", 900)]
    done = world.sweep()
    assert (done.error, done.not_before) == ("Unavailable: 429", world.at + 900_000)
    attempt = world.book.claim(ACME, world.at, 310)
    assert attempt is not None
    world.book.release(ACME, attempt, done.not_before, done.error)
    assert world.book.claim(ACME, world.at + 899_000, 310) is None
    assert world.book.claim(ACME, world.at + 900_000, 310) is not None
    assert world.sweep().left == 0


def test_one_post_that_cannot_be_asked_about_spares_the_others(world: World) -> None:
    world.hear(range(1, 9))
    world.vendor.refuses, world.vendor.gone = {"5"}, {"6"}
    world.at += 21 * HOUR
    done = world.sweep(batch=8)
    assert (done.unjudged, done.gone, done.left) == (["x:5"], 1, 0)
    assert world.words(5) == "words 5"


def test_two_runs_do_not_walk_the_same_source(world: World) -> None:
    assert world.book.claim(ACME, START, 310) == 1
    assert world.book.claim(ACME, START, 310) is None
    assert world.book.claim(BETA, START, 310) == 1
    assert world.book.claim(ACME, START + 310_001, 310) == 2, "a run that died"
    world.book.release(ACME, 1, 0, None)
    assert world.book.claim(ACME, START + 310_002, 310) is None, "the dead run's word does not count"


def test_what_another_vendor_tells_of_is_not_asked_about(world: World) -> None:
    world.hear([1, 2])
    world.hear([3], "routes/Forum", "discourse")
    world.at += 21 * HOUR
    world.sweep()
    assert world.vendor.seen() == ["1", "2"]


def test_a_post_that_two_sources_saw_is_asked_about_once_and_an_orphan_by_another(world: World) -> None:
    world.able = {ACME: "x", BETA: "x"}
    world.known = {**world.able, OLD: "x"}
    world.hear([1, 2])
    world.hear([2, 3], BETA)
    world.hear([4], OLD)
    world.at += 21 * HOUR
    world.sweep()
    assert world.vendor.seen() == ["1", "2", "4"]
    world.vendor.asked.clear()
    world.sweep(source=BETA)
    assert world.vendor.seen() == ["3"]
    world.vendor.asked.clear()
    world.sweep(source=OLD)
    assert world.vendor.seen() == []


def test_what_waits_too_long_is_counted(world: World) -> None:
    world.hear(range(1, 6))
    world.at += 20 * HOUR
    assert world.shelf().late(ACME, world.book.days(ACME), world.at, 3, 24 * 3600) == []
    world.at += 30 * HOUR
    (late,) = world.shelf().late(ACME, world.book.days(ACME), world.at, 3, 24 * 3600)
    assert (late.posts, late.more) == (5, False)
    world.sweep()
    assert world.shelf().late(ACME, world.book.days(ACME), world.at, 3, 24 * 3600) == []
    world.at += 25 * HOUR
    (late,) = world.shelf().late(ACME, world.book.days(ACME), world.at, 3, 24 * 3600)
    assert late.posts == 5


def test_who_looks() -> None:
    able, known = {ACME: "x", BETA: "x"}, {ACME: "x", BETA: "x", OLD: "x"}
    assert owner([BETA, ACME], "x", None, able, known) == ACME
    assert owner([OLD], "x", None, able, known) == ACME
    assert owner([OLD], "x", "some.host", able, known) == OLD
    assert owner([OLD], "x", None, {}, known) == OLD
    assert owner(["routes/Gone"], "x", None, {}, known) is None


def test_a_day_is_due_before_its_time_is_up() -> None:
    day = Day("2026-11-18", START)
    assert not day.due(START + 17 * HOUR, WITHIN)
    assert day.due(START + 18 * HOUR, WITHIN)
    assert Day("2026-11-18", START, pass_at=START + 1).due(START + 2, WITHIN)


def test_rows_are_told_from_others_by_their_type(world: World) -> None:
    world.hear([1])
    world.at += 21 * HOUR
    attempt = world.book.claim(ACME, world.at, 310)
    assert attempt is not None
    world.sweep()
    world.book.release(ACME, attempt, 0, "Unavailable: 503")
    rows: list[dict[str, Any]] = [row for row in world.shop.rows() if row["pk"].startswith("SWEEP#")]
    assert {row["type"] for row in rows} == {"sweep", "sweep_day"}
    assert all("schema" in row for row in rows)
