"""Somebody is told: by the first topic that is heard, rather twice than not at all, and never in silence."""

from __future__ import annotations

import pytest

from connectors.core.case import EffectState, Happening, notify_id
from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError, UnknownOutcomeError
from tests.core.notify_bench import CARE, DESK, FAR, Bench

DONE, PARKED, SUPERSEDED = EffectState.DONE, EffectState.PARKED, EffectState.SUPERSEDED
UNKNOWN, PLANNED, REJECTED = EffectState.UNKNOWN, EffectState.PLANNED, EffectState.REJECTED


def test_the_first_topic_is_told_once_and_no_other() -> None:
    bench = Bench()
    (after,) = bench.run()
    assert (after.state, after.reference) == (DONE, "id-1")
    assert bench.run() == []
    assert bench.told() == [CARE]
    assert bench.story() == [Happening.NOTIFIED]
    assert bench.last().detail == {"topic": CARE, "seconds": "0.0"}


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (UnavailableError("its region does not answer"), PARKED),
        (MisconfiguredError("NotFound"), PARKED),
        (UnknownOutcomeError("no answer in time"), UNKNOWN),
    ],
)
def test_a_topic_that_fails_hands_on_to_the_next_at_once(error: RemoteError, state: EffectState) -> None:
    bench = Bench()
    bench.fail(care=error)
    failed, told = bench.run()
    assert (failed.state, told.state) == (state, DONE)
    assert bench.told() == [DESK]
    assert bench.story() == [Happening.FAILED_OVER, Happening.NOTIFIED]
    detail = bench.ledger.events[0].detail
    assert (detail["from"], detail["to"]) == (CARE, DESK)
    assert str(error) in detail["why"]
    assert bench.states() == [SUPERSEDED, DONE, None]
    assert bench.turns() == []


def test_a_topic_that_nobody_hears_hands_on_as_well() -> None:
    bench = Bench()
    bench.audience.deaf = {CARE}
    bench.run()
    assert bench.told() == [DESK]
    assert "no confirmed subscription" in bench.ledger.events[0].detail["why"]


def test_every_try_carries_the_same_notification_id() -> None:
    bench = Bench()
    bench.fail(care=("after", UnknownOutcomeError("timed out")), desk=("after", UnknownOutcomeError("timed out")))
    bench.run()
    assert bench.told() == [CARE, DESK, FAR]
    assert len({name for _, name in bench.audience.sent}) == 1
    other = Bench()
    other.case = other.case.model_copy(update={"id": "case-2"})
    other.ledger.effects[other.first] = other.ledger.effects[other.first].model_copy(update={"case": "case-2"})
    other.run()
    assert {name for _, name in other.audience.sent} != {name for _, name in bench.audience.sent}


def test_a_message_that_is_refused_is_our_defect_and_goes_no_further() -> None:
    bench = Bench()
    bench.fail(care=UnavailableError("throttled"), desk=RejectedError("InvalidParameter"))
    bench.run()
    assert bench.told() == []
    assert bench.story() == [Happening.FAILED_OVER, Happening.REFUSED]
    assert bench.states() == [SUPERSEDED, REJECTED, None]
    assert [name for name, _ in bench.letters.kept] == [notify_id(DESK, Happening.OPENED)]
    bench.clock.advance(10_000)
    assert bench.run() == []


def test_after_the_last_topic_the_first_has_its_turn_again() -> None:
    bench = Bench()
    bench.fail(care=UnavailableError("a"), desk=UnavailableError("b"), far=UnavailableError("c"))
    assert [line.target for line in bench.run()] == [CARE, DESK, FAR]
    assert bench.last().kind is Happening.DELAYED
    assert [line.target for line in bench.turns()] == [CARE]
    assert bench.run() == [], "not before its time"
    bench.fail()
    assert bench.later() == [bench.first]
    bench.run()
    assert bench.told() == [CARE]
    assert bench.states() == [DONE, SUPERSEDED, SUPERSEDED]


def test_waits_between_rounds_grow() -> None:
    bench = Bench(CARE, rounds=9)
    bench.fail(care=UnavailableError("a"))
    waits = []
    for _ in range(8):
        before = bench.clock.seconds
        bench.run()
        bench.later()
        waits.append(bench.clock.seconds - before)
    assert 12 <= waits[0] <= 19
    assert 720 <= waits[7] <= 1081
    assert waits[4] > waits[2] > waits[0]


def test_after_the_last_round_it_is_given_up_kept_and_shown() -> None:
    bench = Bench(rounds=2)
    bench.audience.deaf = {CARE, DESK, FAR}
    bench.run()
    bench.later()
    bench.run()
    assert bench.story()[-1] is Happening.UNDELIVERED
    assert len(bench.letters.kept) == 1
    assert bench.turns() == []
    assert bench.states() == [PARKED, PARKED, PARKED], "still to be seen in the ledger"
    bench.clock.advance(100_000)
    assert bench.run() == [], "an old wake-up does not begin anew"


def test_a_redrive_begins_anew_once() -> None:
    bench = Bench(rounds=1)
    bench.audience.deaf = {CARE, DESK, FAR}
    bench.run()
    bench.audience.deaf = {CARE}
    (letter, _) = bench.letters.kept[0]
    bench.run(letter, again=True)
    assert bench.told() == [DESK]
    assert bench.run(letter, again=True) == []
    assert bench.states() == [SUPERSEDED, DONE, SUPERSEDED]


def test_a_letter_that_comes_twice_takes_the_turn_from_nobody() -> None:
    bench = Bench(rounds=1)
    bench.fail(care=UnavailableError("a"), desk=UnavailableError("b"), far=UnavailableError("c"))
    bench.run()
    bench.run(again=True, seconds=9)
    bench.audience.fault = lambda topic: (bench.clock.advance(3), UnavailableError("a"))[1]
    bench.run(again=True, seconds=10)
    (turn,) = bench.turns()
    assert turn.target == DESK
    bench.run(again=True, seconds=1)
    assert bench.turns() == [turn]


def test_what_was_refused_can_be_redriven_once_the_defect_is_mended() -> None:
    bench = Bench()
    bench.fail(care=RejectedError("InvalidParameter"))
    bench.run()
    bench.fail()
    bench.run(bench.letters.kept[0][0], again=True)
    assert bench.told() == [CARE]


def test_a_redrive_of_what_fails_still_goes_through_its_rounds_again() -> None:
    bench = Bench(rounds=2)
    bench.fail(care=UnavailableError("a"), desk=UnavailableError("b"), far=UnavailableError("c"))
    for again, letters in ((False, 0), (False, 1), (True, 1), (False, 2)):
        bench.run(again=again)
        assert len(bench.letters.kept) == letters
        bench.later()
    assert bench.story().count(Happening.UNDELIVERED) == 2
    assert len({event.id for event in bench.ledger.events}) == len(bench.ledger.events)


def test_without_even_a_dead_letter_queue_it_goes_on_trying() -> None:
    bench = Bench(CARE, rounds=1)
    bench.fail(care=UnavailableError("a"))
    bench.letters.faults = [UnavailableError("no queue")]
    bench.run()
    assert bench.last().kind is Happening.DELAYED
    bench.later()
    bench.run()
    assert bench.story()[-1] is Happening.UNDELIVERED


def test_too_little_time_leaves_the_next_topic_due_at_once() -> None:
    bench = Bench()
    bench.fail(care=UnavailableError("a"))
    bench.audience.fault = lambda topic: (bench.clock.advance(3), UnavailableError("a"))[1] if topic == CARE else None
    assert len(bench.run(seconds=10)) == 1
    assert bench.later() == [notify_id(DESK, Happening.OPENED)]
    bench.run(bench.first)
    assert bench.told() == [DESK], "woken by any of its lines"
    assert float(bench.last().detail["seconds"]) >= 3


def test_a_topic_on_which_a_worker_died_is_followed_by_the_next() -> None:
    bench = Bench()
    bench.fail(care=KeyboardInterrupt())  # type: ignore[arg-type]
    bench.audience.fault = lambda topic: (_ for _ in ()).throw(KeyboardInterrupt()) if topic == CARE else None
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert bench.run() == [], "its lease is not over"
    bench.clock.advance(36)
    bench.run()
    assert bench.told() == [DESK]


def test_of_two_workers_one_tells() -> None:
    bench = Bench()

    def other() -> None:
        bench.ledger.before_write = lambda: None
        bench.run()

    bench.ledger.before_write = other
    assert bench.run() == []
    assert bench.told() == [CARE]


def test_a_line_whose_topic_left_the_case_still_ends() -> None:
    bench = Bench(CARE)
    bench.fail(care=UnavailableError("a"))
    bench.case = bench.case.model_copy(update={"topics": (FAR,)})
    bench.run()
    assert bench.told() == [FAR]
    assert bench.turns() == []


def test_a_topic_that_stays_gone_is_told_of_once_and_not_in_each_round() -> None:
    bench = Bench(rounds=5)
    bench.fail(care=MisconfiguredError("NotFound"), desk=UnavailableError("b"), far=UnavailableError("c"))
    for _ in range(4):
        bench.run()
        bench.later()
    assert bench.story().count(Happening.FAILED_OVER) == 2, "to desk, and to far"
    assert bench.story().count(Happening.DELAYED) == 4
    bench.fail(care=UnavailableError("something else"), desk=UnavailableError("b"), far=UnavailableError("c"))
    bench.run()
    assert bench.story().count(Happening.FAILED_OVER) == 3, "another reason is news"
