"""The asking never misses a post and never hands one on twice, however posts appear, pages break and processes end."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from connectors.x.streams import OVERLAP, Position
from connectors.x.values import id_at

START = 1_795_000_000_000
NAMES = ("mentions:42",)


class Feed(RuleBasedStateMachine):
    """X's side: posts with the time at which it begins to show them, pages newest first. Ours: one cursor."""

    @initialize()
    def begin(self) -> None:
        self.now, self.size = START, 3
        self.shown: dict[int, int] = {}
        self.cursor = Position.read(None, NAMES, START).write()
        self.handed: list[str] = []
        self.charged = 0

    @rule(late=st.sampled_from([0, 0, 0, 5_000, 60_000, OVERLAP - 60_000]), count=st.integers(1, 5))
    def post(self, late: int, count: int) -> None:
        for _ in range(count):
            number = id_at(self.now)
            while number in self.shown:
                number += 1
            self.shown[number] = self.now + late

    @rule(seconds=st.integers(1, 100))
    def wait(self, seconds: int) -> None:
        self.now += seconds * 1000

    @rule(size=st.integers(1, 6))
    def other_page_size(self, size: int) -> None:
        self.size = size

    @rule(fails=st.sampled_from(["", "", "", "lost answer", "forgotten token"]), between=st.integers(0, 3))
    def poll(self, fails: str, between: int) -> None:
        position = Position.read(self.cursor, NAMES, self.now)
        stream = position.streams[NAMES[0]]
        if fails == "forgotten token":
            stream.restart()
        low = stream.begin()
        below = int(stream.page) if stream.page else 10**20
        there = sorted((one for one, at in self.shown.items() if low < one < below and at <= self.now), reverse=True)
        page, rest = there[: self.size], there[self.size :]
        self.now += 10
        if fails == "lost answer":
            return
        fresh, charged = stream.took([str(one) for one in page], str(page[-1]) if rest else None, self.now)
        self.handed += fresh
        self.charged += charged
        self.cursor = position.write()
        self.post(0, between) if between else None

    @invariant()
    def nothing_comes_twice(self) -> None:
        if hasattr(self, "handed"):
            assert len(self.handed) == len(set(self.handed))
            assert self.charged == len(self.handed)  # all within one day: read again is free

    def teardown(self) -> None:
        """After enough quiet, everything that X shows has been handed on."""
        if not hasattr(self, "handed"):
            return
        self.now += OVERLAP
        for _ in range(400):
            self.poll("", 0)
            if json.loads(self.cursor)["streams"][NAMES[0]]["page"] is None:
                break
        self.poll("", 0)
        self.size = 10**6
        self.poll("", 0)
        assert set(self.handed) == {str(one) for one in self.shown}


Feed.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestFeed = Feed.TestCase


@settings(deadline=None)
@given(st.text(max_size=60) | st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists).map(json.dumps))
def test_any_cursor_is_read(cursor: str) -> None:
    stream = Position.read(cursor, NAMES, START).streams[NAMES[0]]
    assert (stream.since, stream.page) == (id_at(START) - 1, None)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["floor", "since", "page", "seen", "low", "newest", "not_before"]), st.text()))
def test_any_stream_in_a_cursor_is_read(broken: Any) -> None:
    cursor = json.dumps({"v": 1, "day": "x", "users": {}, "streams": {NAMES[0]: broken}})
    assert Position.read(cursor, NAMES, START).streams[NAMES[0]].since == id_at(START) - 1


def test_a_cursor_says_the_same_after_it_was_written() -> None:
    position = Position.read(None, ("mentions:42", "search:abc"), START)
    stream = position.streams["search:abc"]
    stream.begin()
    stream.took([str(id_at(START) + one) for one in range(500)], "token", START)
    position.charge_users(["7", "8", "7"], START)
    again = Position.read(position.write(), ("mentions:42", "search:abc"), START + 1)
    assert again == position
    assert len(position.write()) < 50_000
