"""One poll: its cursor moves after its events are on their way, its lease keeps others out, its waits grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from connectors.core.errors import ConflictError, MisconfiguredError, UnavailableError
from connectors.core.ledger import Pace
from connectors.core.models import AnyEvent, RecordUpdate
from connectors.core.polling import Cursor, Polled, poll
from connectors.core.ports import Page
from connectors.core.reception import BusyError
from tests.doubles import Clock

UPDATE = RecordUpdate(connector="roundup", reference="issue1", native_id="msg1", kind="note", text="Looked at it.")


@dataclass
class Memory:
    """Cursors and an outbox."""

    known: Cursor | None = field(default_factory=lambda: Cursor("stack/Tracker", every=60.0))
    sent: list[AnyEvent] = field(default_factory=list)
    full: bool = False

    def cursor(self, name: str) -> Cursor | None:
        return self.known

    def claim(self, cursor: Cursor, now: int, lease: float) -> Cursor:
        if self.known is None or cursor.attempt != self.known.attempt:
            raise ConflictError
        self.known = replace(cursor, attempt=cursor.attempt + 1, lease_until=now + int(lease * 1000))
        return self.known

    def settle(self, held: Cursor, after: Cursor) -> None:
        if self.known is None or held.attempt != self.known.attempt:
            raise ConflictError
        self.known = after

    def put(self, name: str, events: Sequence[AnyEvent], now: int) -> None:
        if self.full:
            raise BusyError("no answer")
        self.sent += events


@dataclass
class Place:
    """What is asked: answers or raises in turn."""

    answers: list[Any] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)

    def poll(self, cursor: str | None) -> Page:
        self.asked.append(cursor)
        answer = self.answers.pop(0) if self.answers else Page([], cursor or "now", 60.0)
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = answer()
        assert isinstance(answer, Page)
        return answer


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ask(place: Place, memory: Memory, clock: Clock) -> Polled | None:
    return poll("stack/Tracker", place, memory, memory, Pace(lease=65, backoff=15, longest=900), clock.now)


def test_the_first_poll_only_marks_where_to_go_on_from(clock: Clock) -> None:
    place, memory = Place(), Memory()
    polled = ask(place, memory, clock)
    assert polled is not None
    assert polled.begun
    assert place.asked == [None]
    clock.advance(61)
    again = ask(place, memory, clock)
    assert again is not None
    assert not again.begun
    assert place.asked == [None, "now"]


def test_nobody_asks_before_it_is_time_or_while_another_does(clock: Clock) -> None:
    place, memory = Place(), Memory()

    def meanwhile() -> Page:
        assert ask(Place(), memory, clock) is None
        return Page([UPDATE], "1", 60.0)

    place.answers = [meanwhile]
    assert ask(place, memory, clock) is not None
    assert ask(place, memory, clock) is None
    clock.advance(59)
    assert ask(place, memory, clock) is None
    clock.advance(2)
    assert ask(place, memory, clock) is not None


def test_the_cursor_stays_where_the_events_did_not_get_away(clock: Clock) -> None:
    place, memory = Place([Page([UPDATE], "2", 60.0), Page([UPDATE], "2", 60.0)]), Memory(full=True)
    with pytest.raises(BusyError):
        ask(place, memory, clock)
    memory.full = False
    clock.advance(66)
    ask(place, memory, clock)
    assert place.asked == [None, None]
    assert memory.sent == [UPDATE]


def test_a_place_that_has_more_is_asked_again_soon_and_never_later_than_was_said(clock: Clock) -> None:
    for again, wait in ((2.0, 2.0), (0.0, 1.0), (20.0, 60.0), (3_600.0, 60.0)):
        memory = Memory()
        ask(Place([Page([], "1", again)]), memory, clock)
        assert memory.known is not None
        assert (memory.known.next_at - clock.now()) / 1000 == wait


def test_a_refusal_is_waited_out_and_the_cursor_stays(clock: Clock) -> None:
    memory = Memory(Cursor("stack/Tracker", every=10.0, cursor="7"))
    place = Place(
        [UnavailableError("down")] * 5 + [UnavailableError("later", retry_after=500), MisconfiguredError("x")]
    )
    waits = []
    for _ in range(7):
        ask(place, memory, clock)
        assert memory.known is not None
        assert memory.known.error
        wait = (memory.known.next_at - clock.now()) / 1000
        waits.append(wait)
        clock.advance(wait + 1)
    assert waits[0] < 20 < waits[1] < waits[2] < waits[3] < waits[4]
    assert waits[5:] == [500, 900]
    ask(place, memory, clock)
    assert memory.known is not None
    assert (memory.known.error, memory.known.failures) == (None, 0)
    assert place.asked == ["7"] * 8


def test_a_poll_that_outlives_its_lease_changes_nothing(clock: Clock) -> None:
    memory = Memory()
    other = Place([Page([], "other", 60.0)])

    def dawdle() -> Page:
        clock.advance(70)
        ask(other, memory, clock)
        return Page([UPDATE], "late", 60.0)

    assert ask(Place([dawdle]), memory, clock) is None
    assert memory.known is not None
    assert memory.known.cursor == "other"
    assert memory.sent == [UPDATE], "taken in twice at worst"


def test_a_vendor_that_wants_rest_is_left_alone_that_long(clock: Clock) -> None:
    """However often administrators want it asked; `again` alone is only a wish."""
    memory = Memory(replace(Cursor("stack/Tracker", every=60.0), cursor="1"))
    ask(Place([Page([], "2", 300.0)]), memory, clock)
    assert memory.known is not None
    assert memory.known.next_at == clock.now() + 60_000
    clock.seconds = memory.known.next_at / 1000
    ask(Place([Page([], "3", 600.0, rest=600.0)]), memory, clock)
    assert memory.known.next_at == clock.now() + 600_000
    clock.seconds = memory.known.next_at / 1000
    ask(Place([Page([], "4", 1.0, rest=10.0**9)]), memory, clock)
    assert memory.known.next_at == clock.now() + 86_400_000
