"""Lists that come newest first: whatever grows, fails or expires between two pages, each event is brought once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError
from connectors.core.feeds import OVERLAP, PAGES, REMEMBERED, brought, by_order, walk
from connectors.core.models import AnyEvent, Deletion, Mention, Unsupported
from connectors.core.ports import Page

START = 1_795_000_000_000
MINUTE = 60_000


def said(native_id: str, at: int, version: int = 0) -> Mention:
    when = datetime.fromtimestamp(at / 1000, UTC)
    return Mention(connector="made", native_id=native_id, conversation_id="c", created_at=when, version=version)


@dataclass
class Listed:
    """A vendor's list. `faults` are raised by the next calls, one each; `epoch` makes older names of pages unknown."""

    size: int = 3
    posts: list[AnyEvent] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    faults: list[RemoteError | None] = field(default_factory=list)
    epoch: int = 0
    calls: list[str | None] = field(default_factory=list)

    def add(self, at: int, event: AnyEvent | None = None) -> str:
        """Where its time puts it, which is not always the top."""
        name = f"p{len(self.posts)}"
        place = next((place for place, time in enumerate(self.times) if time <= at), len(self.times))
        self.posts.insert(place, event or said(name, at))
        self.times.insert(place, at)
        return name

    def __call__(self, name: str | None) -> tuple[Sequence[AnyEvent], str | None]:
        self.calls.append(name)
        fault = self.faults.pop(0) if self.faults else None
        if fault:
            raise fault
        first = 0
        if name is not None:
            epoch, last = json.loads(name)
            if epoch != self.epoch:
                raise RejectedError("the name of this page is not known any more")
            first = next((place for place, post in enumerate(self.posts) if _id(post) == last), 0) + 1
        page = self.posts[first : first + self.size]
        more = first + self.size < len(self.posts)
        return page, json.dumps([self.epoch, _id(page[-1])]) if more else None


def _id(event: AnyEvent) -> str:
    return str(getattr(event, "native_id", ""))


def names(page: Page) -> list[str]:
    return [_id(event) for event in page.events]


def begun(*lists: str) -> str:
    return walk(None, dict.fromkeys(lists, Listed()), START, again=60).cursor


def test_the_first_walk_starts_from_now_and_asks_nobody() -> None:
    listed = Listed()
    listed.add(START - 60 * MINUTE)
    page = walk(None, {"all": listed}, START, again=60)
    assert (list(page.events), page.again, page.health, listed.calls) == ([], 60, None, [])
    assert names(walk(page.cursor, {"all": listed}, START + MINUTE, again=60)) == []


def test_what_is_new_comes_oldest_first_and_once() -> None:
    listed = Listed()
    for minute in range(4):
        listed.add(START + minute * MINUTE)
    page = walk(begun("all"), {"all": listed}, START + 5 * MINUTE, again=60)
    assert names(page) == ["p0", "p1", "p2", "p3"]
    assert page.again == 60
    assert names(walk(page.cursor, {"all": listed}, START + 6 * MINUTE, again=60)) == []


def test_an_edit_is_new_and_so_is_its_removal() -> None:
    listed = Listed()
    listed.add(START + MINUTE, said("a", START + MINUTE))
    page = walk(begun("all"), {"all": listed}, START + 2 * MINUTE, again=60)
    listed.posts[0] = said("a", START + MINUTE, version=7)
    page = walk(page.cursor, {"all": listed}, START + 3 * MINUTE, again=60)
    assert [getattr(event, "version", None) for event in page.events] == [7]
    listed.posts[0] = Deletion(connector="made", native_id="a", order=START + MINUTE)
    page = walk(page.cursor, {"all": listed}, START + 4 * MINUTE, again=60)
    assert [event.type for event in page.events] == ["deletion"]


def test_what_is_not_acted_on_is_left_out() -> None:
    listed = Listed()
    listed.add(START + MINUTE, Unsupported(connector="made", event="like", reason="not acted on"))
    assert names(walk(begun("all"), {"all": listed}, START + 2 * MINUTE, again=60)) == []


def test_a_list_may_be_ordered_by_when_it_was_told() -> None:
    """Not by when it was written: a post of hours ago may have reached the server only now."""
    listed = Listed()
    old = said("late", START - 300 * MINUTE).model_copy(update={"order": START + MINUTE})
    listed.add(START + MINUTE, old)
    assert names(walk(begun("all"), {"all": listed}, START + 2 * MINUTE, again=60, at=by_order)) == ["late"]
    like = Unsupported(connector="made", event="like", reason="not acted on")
    assert (by_order(Deletion(connector="made", native_id="a", order=7)), by_order(like)) == (7, 0)


def test_events_on_a_page_stand_in_any_order_and_an_old_posts_edit_at_the_top_ends_no_walk() -> None:
    edit = said("old", START - 90 * 24 * 60 * MINUTE, 2).model_copy(update={"order": START + 9 * MINUTE})
    recent = [
        said(f"p{at}", START + at * MINUTE).model_copy(update={"order": START + at * MINUTE}) for at in range(1, 9)
    ]
    pages = {None: [recent[6], edit, recent[7]], "2": [recent[3], recent[5], recent[4]], "3": recent[:3]}

    def listing(after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
        return pages[after], {None: "2", "2": "3", "3": None}[after]

    page = walk(begun("all"), {"all": listing}, START + 10 * MINUTE, again=60, at=by_order)
    assert names(page) == [*(f"p{at}" for at in range(1, 9)), "old"]


def test_a_poll_reads_a_few_pages_and_the_next_goes_on() -> None:
    listed = Listed()
    brought = {listed.add(START + second * 1000) for second in range(40)}
    page, seen, cursor = None, list[str](), begun("all")
    while page is None or page.again == 1:
        listed.calls.clear()
        page = walk(cursor, {"all": listed}, START + MINUTE, again=60)
        assert len(listed.calls) <= PAGES
        cursor, seen = page.cursor, seen + names(page)
    assert sorted(seen) == sorted(brought)


def test_a_list_of_years_is_not_read_to_its_end() -> None:
    listed = Listed()
    for minute in range(0, 600, 6):
        listed.add(START - minute * MINUTE)
    page = walk(begun("all"), {"all": listed}, START + MINUTE, again=60, overlap=7200)
    assert names(page) == ["p2", "p1", "p0"], "however far lists are read, all of before is not news"
    assert len(listed.calls) == 2


def test_a_list_that_is_new_starts_from_now() -> None:
    old, new = Listed(), Listed()
    cursor = walk(begun("old"), {"old": old}, START, again=60).cursor
    for listed in (old, new):
        listed.add(START + MINUTE)
    page = walk(cursor, {"old": old, "new": new}, START + 60 * MINUTE, again=60)
    assert (names(page), len(new.calls)) == (["p0"], 1)


def test_pages_that_hold_nothing_for_us_end_where_their_names_say() -> None:
    """A notification list filtered after it was read: empty pages, whose names are times."""
    calls: list[str | None] = []

    def listing(name: str | None) -> tuple[Sequence[AnyEvent], str | None]:
        calls.append(name)
        return [], str(int(name or START) - 10 * MINUTE)

    page = walk(begun("all"), {"all": listing}, START + MINUTE, again=60, below=int)
    assert (page.again, len(calls)) == (60, 2)


def test_a_name_that_is_too_old_begins_at_the_top_again() -> None:
    listed = Listed()
    brought = {listed.add(START + second * 1000) for second in range(10)}
    first = walk(begun("all"), {"all": listed}, START + MINUTE, again=60, pages=2)
    assert first.again == 1
    listed.epoch += 1
    again = walk(first.cursor, {"all": listed}, START + MINUTE, again=60, pages=2)
    last = walk(again.cursor, {"all": listed}, START + MINUTE, again=60, pages=9)
    assert sorted([*names(first), *names(again), *names(last)]) == sorted(brought)


def test_a_list_that_refuses_to_go_deeper_is_at_its_end() -> None:
    listed = Listed()
    for second in range(10):
        listed.add(START + second * 1000)
    listed.faults = [None, RejectedError("no more than 800")]
    page = walk(begun("all"), {"all": listed}, START + MINUTE, again=60)
    assert (names(page), page.again) == (["p7", "p8", "p9"], 60)


@pytest.mark.parametrize("fault", [UnavailableError("busy"), MisconfiguredError("revoked")])
def test_a_call_that_fails_half_way_loses_nothing(fault: RemoteError) -> None:
    listed = Listed()
    brought = {listed.add(START + second * 1000) for second in range(10)}
    listed.faults = [None, fault]
    first = walk(begun("all"), {"all": listed}, START + MINUTE, again=60)
    second = walk(first.cursor, {"all": listed}, START + 2 * MINUTE, again=60)
    assert sorted([*names(first), *names(second)]) == sorted(brought)


def test_one_list_that_is_refused_does_not_stop_the_other() -> None:
    good, bad = Listed(), Listed(faults=[MisconfiguredError("the search is not allowed")])
    good.add(START + MINUTE)
    bad.add(START + MINUTE)
    page = walk(begun("bad", "good"), {"bad": bad, "good": good}, START + 2 * MINUTE, again=60)
    assert names(page) == ["p0"]
    assert page.fault == "bad: the search is not allowed"
    page = walk(page.cursor, {"bad": bad, "good": good}, START + 3 * MINUTE, again=60)
    assert (names(page), page.fault) == (["p0"], None)


def test_where_nobody_answers_the_error_is_told() -> None:
    fault = UnavailableError("its limit is reached", 90)
    first, second = Listed(faults=[fault]), Listed()
    with pytest.raises(UnavailableError) as caught:
        walk(begun("a", "b"), {"a": first, "b": second}, START + MINUTE, again=60, rest=lambda: 90)
    assert caught.value.retry_after == 90
    assert second.calls == []


def test_a_vendor_that_wants_rest_gets_it() -> None:
    first, second = Listed(), Listed()
    brought = {first.add(START + second * 1000) for second in range(10)}
    lists = {"a": first, "b": second}
    page = walk(begun("a", "b"), lists, START + MINUTE, again=60, rest=lambda: 30)
    assert (page.again, len(first.calls), second.calls) == (30, 1, [])
    later = walk(page.cursor, lists, START + 2 * MINUTE, again=60)
    assert {*names(page), *names(later)} == brought


def test_a_vendor_that_always_wants_rest_is_asked_for_each_list_in_turn() -> None:
    """Such as Meta, as long as most of a limit is used up: the last list would never be read."""
    lists = {name: Listed() for name in "abc"}
    cursor = begun(*lists)
    for listed in lists.values():
        listed.add(START + MINUTE)
    asked = []
    for minute in range(2, 6):
        for listed in lists.values():
            listed.calls.clear()
        page = walk(cursor, lists, START + minute * MINUTE, again=60, rest=lambda: 600)
        cursor = page.cursor
        asked.append("".join(name for name, listed in lists.items() if listed.calls))
        assert (page.again, page.rest) == (600, 600)
    assert asked == ["a", "b", "c", "a"]


def test_where_time_is_short_the_next_poll_begins_with_whoever_had_no_turn() -> None:
    lists = {name: Listed() for name in "abc"}
    for name in "bc":
        lists[name].faults = [UnavailableError("no time was left for this request; nothing was sent")]
    page = walk(begun(*lists), lists, START + MINUTE, again=60)
    page = walk(page.cursor, lists, START + 2 * MINUTE, again=60, rest=lambda: 600)
    assert [len(listed.calls) for listed in lists.values()] == [1, 2, 1]


def test_a_list_that_is_taken_out_of_the_settings_takes_its_turn_with_it() -> None:
    lists = {name: Listed() for name in "ab"}
    page = walk(begun(*lists), lists, START + MINUTE, again=60, rest=lambda: 600)
    only = {"a": lists["a"]}
    lists["a"].add(START + MINUTE)
    assert names(walk(page.cursor, only, START + 2 * MINUTE, again=60)) == ["p0"]


def test_where_there_is_no_list_nothing_is_said_and_the_next_poll_looks_again() -> None:
    """Such as where an app is in no channel yet."""
    page = walk(walk(None, {}, START, again=60).cursor, {}, START + MINUTE, again=60)
    assert (list(page.events), page.again, page.fault) == ([], 60, None)


def test_the_cursor_of_many_lists_fits_into_an_item() -> None:
    """One of DynamoDB holds 400 KB. What does not fit could never be written, and nothing would be read any more."""
    lists = {f"search {number}": Listed(size=1000) for number in range(20)}
    cursor = begun(*lists)
    for number, listed in enumerate(lists.values()):
        for second in range(600):
            listed.add(START + second, said(f"{number}-{second}", START + second))
    page = walk(cursor, lists, START + MINUTE, again=60)
    assert len(page.events) == 20 * 600
    assert len(page.cursor) < 200_000


def test_a_cursor_stays_small() -> None:
    listed = Listed(size=REMEMBERED * 3)
    for number in range(REMEMBERED * 3):
        listed.add(START + number)
    page = walk(begun("all"), {"all": listed}, START + MINUTE, again=60)
    assert len(page.events) == REMEMBERED * 3
    assert len(page.cursor) < REMEMBERED * 32
    assert len(walk(page.cursor, {"all": listed}, START + MINUTE, again=60).events) == REMEMBERED * 2, "known again"


@pytest.mark.parametrize("cursor", ["", "junk", "[]", "{}", '{"all": [1, 2]}', '{"all": ["a", 0, null, {}]}'])
def test_a_cursor_that_cannot_be_read_starts_from_now(cursor: str) -> None:
    listed = Listed()
    listed.add(START - 60 * MINUTE)
    assert names(walk(cursor, {"all": listed}, START, again=60)) == []


STEP = st.tuples(
    st.sampled_from(["add", "poll", "poll", "expire"]),
    st.integers(0, 8),
    st.lists(st.sampled_from([None, None, UnavailableError("busy"), MisconfiguredError("no")]), max_size=4),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEP, max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_nothing_is_lost_and_nothing_comes_twice(
    steps: list[tuple[str, int, list[RemoteError | None]]], size: int, pages: int
) -> None:
    listed, now, cursor, seen, written = Listed(size), START, begun("all"), list[str](), list[str]()

    def poll() -> float:
        nonlocal cursor
        listed.calls.clear()
        try:
            page = walk(cursor, {"all": listed}, now, again=60, pages=pages)
        except RemoteError:
            return 60
        finally:
            assert len(listed.calls) <= pages
        cursor = page.cursor
        seen.extend(names(page))
        return page.again

    for what, many, faults in steps:
        now += MINUTE
        if what == "add":  # some are listed late, but within the while that walks overlap by
            late = int(OVERLAP * 1000) - MINUTE
            written += [listed.add(max(START, now - (late if one == 3 else one))) for one in range(many)]
        elif what == "expire":
            listed.epoch += 1
        else:
            listed.faults = list(faults)
            poll()
    listed.faults, now = [], now + MINUTE
    for _ in range(2):  # the walk that was under way, and the one after it
        for _ in range(500):
            if poll() != 1:
                break
        else:
            pytest.fail("the walk does not end")
        now += MINUTE
    assert sorted(seen) == sorted(written)


def test_how_far_a_list_was_brought_is_told_while_the_next_walk_is_under_way() -> None:
    listed = Listed()
    assert brought(None, "all", START) == START
    cursor = walk(None, {"all": listed}, START, again=60).cursor
    for one in range(30):
        listed.add(START + one + 1)
    page = walk(cursor, {"all": listed}, START + MINUTE, again=60, pages=1)
    assert page.again == 1
    assert brought(page.cursor, "all", START + MINUTE) == START
    page = walk(page.cursor, {"all": listed}, START + MINUTE, again=60, pages=50)
    assert brought(page.cursor, "all", START + 2 * MINUTE) == START + MINUTE
    assert brought(page.cursor, "new", START + 2 * MINUTE) == START + 2 * MINUTE
