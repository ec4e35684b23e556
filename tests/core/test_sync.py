"""A case comes into its system of record once, whatever the system and its workers do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from connectors.core.case import (
    Effect,
    EffectState,
    Happening,
)
from connectors.core.errors import (
    MisconfiguredError,
    RejectedError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.sync import BATCH, Outcome, OutOfTimeError, RecordSync
from tests.core.sync_bench import CASE, PACE, SYSTEM, Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


def once(*answers: Any) -> Callable[[str], Any]:
    """Faults for the next writes, then none."""
    left = list(answers)
    return lambda operation: left.pop(0) if left and operation in {"upsert", "add_note"} else None


def test_a_case_becomes_one_record_with_one_note(bench: Bench) -> None:
    bench.say(1)
    assert bench.run() == Outcome(done=2)
    assert bench.run() == Outcome()
    assert len(bench.tracker.records) == 1
    assert bench.told() == ["post:1"]
    assert bench.ledger.record is not None
    assert bench.ledger.record.id == "issue1"
    assert [event.kind.value for event in bench.ledger.events] == ["recorded", "noted"]


def test_what_the_system_has_no_name_for_is_on_the_timeline(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    write = bench.tracker.upsert
    said = ("no priority named high", "no keyword named newcomer")
    monkeypatch.setattr(bench.tracker, "upsert", lambda *given: replace(write(*given), unset=said))
    bench.run()
    (recorded,) = [event for event in bench.ledger.events if event.kind is Happening.RECORDED]
    assert recorded.detail["unset"] == "no priority named high, no keyword named newcomer"


def test_nothing_planned_nothing_sent(bench: Bench) -> None:
    bench.ledger.effects.clear()
    assert bench.run() == Outcome()
    assert bench.tracker.calls == []


def test_two_hundred_posts_come_in_few_notes_in_order(bench: Bench) -> None:
    bench.say(*range(1, 201))
    bench.run()
    assert bench.told() == [f"post:{post}" for post in range(1, 201)]
    assert len(bench.tracker.notes) == 200 // BATCH


def test_a_refused_connection_is_tried_again_after_a_growing_wait(bench: Bench) -> None:
    bench.tracker.fault = once(*[UnavailableError("refused")] * 3)
    waits = []
    for _ in range(3):
        assert bench.run().later == 1
        assert bench.record.state is EffectState.PARKED
        waits.append((bench.record.retry_at or 0) / 1000 - bench.clock.seconds)
        assert bench.run() == Outcome(later=1), "not before its time"
        bench.later()
    bench.run()
    assert 12 <= waits[0] <= 18
    assert 24 <= waits[1] <= 36
    assert 48 <= waits[2] <= 72
    assert len(bench.tracker.records) == 1
    assert "find" not in bench.tracker.calls, "what was known not to be written is not looked up"


@pytest.mark.parametrize(("asked", "waited"), [(120.0, 120), (0.0, 1), (10**9, 900)])
def test_the_vendors_own_wait_is_kept_within_reason(bench: Bench, asked: float, waited: int) -> None:
    bench.tracker.fault = once(UnavailableError("429", retry_after=asked))
    bench.run()
    assert bench.record.retry_at == bench.clock.now() + waited * 1000


def test_being_woken_early_does_not_shorten_or_lengthen_the_wait(bench: Bench) -> None:
    bench.tracker.fault = once(UnavailableError("429", retry_after=100))
    bench.run()
    for _ in range(3):  # the sweep moves `due_at` on before it wakes the worker
        moved = bench.record.model_copy(update={"due_at": bench.clock.now() + 60_000})
        bench.ledger.effects[moved.id] = moved
        bench.clock.advance(30)
        assert bench.run().done == 0
    bench.clock.advance(20)
    assert bench.run().done == 1


def test_an_unknown_outcome_is_looked_up_before_it_is_repeated(bench: Bench) -> None:
    bench.tracker.fault = once(("after", UnknownOutcomeError("timed out")))
    bench.run()
    assert bench.record.state is EffectState.UNKNOWN
    bench.later()
    bench.run()
    assert len(bench.tracker.records) == 1
    assert bench.record.reference == "issue1"
    assert bench.tracker.calls.count("upsert") == 1


def test_an_unknown_outcome_that_wrote_nothing_is_repeated(bench: Bench) -> None:
    bench.tracker.fault = once(UnknownOutcomeError("broken off"))
    bench.run()
    bench.later()
    bench.run()
    assert len(bench.tracker.records) == 1


def test_a_system_that_settles_slowly_is_not_asked_too_soon(bench: Bench) -> None:
    bench.tracker.settle = 40.0
    bench.tracker.fault = once(("after", UnknownOutcomeError("timed out")))
    bench.run()
    assert (bench.record.retry_at or 0) >= bench.clock.now() + 40_000


def test_a_look_up_that_fails_leaves_the_outcome_unknown(bench: Bench) -> None:
    faults: dict[str, Any] = {"upsert": ("after", UnknownOutcomeError("timed out")), "find": RejectedError("no")}
    bench.tracker.fault = faults.get
    for _ in range(3):
        bench.run()
        assert bench.record.state is EffectState.UNKNOWN
        bench.later()
    assert len(bench.tracker.records) == 1
    faults.clear()
    bench.run()
    assert bench.record.state is EffectState.DONE
    assert len(bench.tracker.records) == 1


def test_wrong_credentials_wait_for_an_administrator(bench: Bench) -> None:
    bench.tracker.fault = once(MisconfiguredError("401: check the password"))
    bench.run()
    assert bench.record.state is EffectState.PARKED
    assert (bench.record.retry_at or 0) == bench.clock.now() + 900_000
    assert bench.ledger.events[-1].detail["error"] == "Misconfigured: 401: check the password"


def test_a_refused_record_is_written_on_the_case_and_its_notes_end(bench: Bench) -> None:
    bench.say(*range(1, 60))
    bench.tracker.fault = once(RejectedError("title too long"))
    bench.run()
    assert bench.unfinished() == []
    assert bench.ledger.events[-1].kind is Happening.REFUSED
    bench.say(60)
    bench.run()
    assert bench.unfinished() == []
    assert bench.tracker.notes == []


def test_a_refused_note_does_not_hold_up_the_next(bench: Bench) -> None:
    bench.say(1)
    bench.tracker.fault = once(None, RejectedError("too long"))
    bench.run()
    bench.say(2)
    bench.run()
    assert bench.told() == ["post:2"]
    assert bench.unfinished() == []
    assert Happening.REFUSED in {event.kind for event in bench.ledger.events}


def test_a_note_that_waits_holds_up_those_after_it(bench: Bench) -> None:
    bench.say(1)
    bench.tracker.fault = once(None, UnavailableError("down"))
    bench.run()
    bench.say(2)
    bench.run()
    assert bench.told() == []
    bench.finish()
    assert bench.told() == ["post:1", "post:2"]


def test_a_post_removed_before_it_was_told_is_named_without_its_words(bench: Bench) -> None:
    bench.words.posts["post:1"] = None
    bench.say(1)
    bench.say(1, happening=Happening.DELETED, version=5)
    bench.run()
    assert bench.told() == ["post:1"]
    assert "removed at its source" in bench.tracker.notes[0][1]


def test_a_post_edited_before_it_was_told_is_told_once_as_it_is_now(bench: Bench) -> None:
    bench.words.posts["post:1"] = "the second words"
    bench.say(1)
    bench.say(1, happening=Happening.EDITED, version=2)
    bench.run()
    assert bench.tracker.notes[0][1].count("the second words") == 1


def test_an_edit_after_it_was_told_is_another_note_that_does_not_repeat_the_id(bench: Bench) -> None:
    bench.say(1)
    bench.run()
    bench.words.posts["post:1"] = "the second words"
    bench.say(1, happening=Happening.EDITED, version=2)
    bench.run()
    assert len(bench.tracker.notes) == 2
    assert "the second words" in bench.tracker.notes[1][1]
    assert bench.told() == ["post:1"]


def test_with_too_little_time_left_nothing_is_claimed_or_sent(bench: Bench) -> None:
    with pytest.raises(OutOfTimeError):
        bench.run(remaining=lambda: 4.9)
    assert bench.record.state is EffectState.PLANNED
    assert bench.tracker.calls == []


def test_a_worker_whose_time_runs_out_after_it_claimed_gives_the_effect_back(bench: Bench) -> None:
    bench.tracker.permits = True
    bench.tracker.dawdle = lambda operation: bench.clock.advance(58 if operation == "reserve" else 0)
    with pytest.raises(OutOfTimeError):
        bench.run()
    assert bench.tracker.records == []
    bench.tracker.dawdle = lambda operation: None
    assert bench.run().done == 1, "the next worker need not wait for the lease"
    assert bench.tracker.calls.count("reserve") == 1, "the permit was kept"


def test_a_dead_workers_effect_is_looked_up_when_its_lease_is_over(bench: Bench) -> None:
    class Killed(BaseException):
        pass

    def kill() -> None:
        if bench.tracker.records:
            raise Killed

    bench.ledger.before_write = kill
    with pytest.raises(Killed):
        bench.run()
    bench.ledger.before_write = lambda: None
    assert bench.run() == Outcome(later=1), "its lease still runs"
    bench.clock.advance(66)
    assert bench.run().done == 1
    assert len(bench.tracker.records) == 1


def test_a_permit_is_kept_over_an_unknown_outcome_and_used_again(bench: Bench) -> None:
    bench.tracker.permits = True
    bench.tracker.fault = once(UnknownOutcomeError("broken off"))
    bench.run()
    permit = bench.record.permit
    assert permit is not None
    bench.later()
    bench.run()
    assert bench.record.state is EffectState.DONE
    assert list(bench.tracker.given) == [permit]


def test_a_permit_protects_against_a_write_that_the_look_up_does_not_see_yet(bench: Bench) -> None:
    """The first write is committed but invisible for a while: the permit keeps the second from being made."""
    bench.tracker.permits = True
    bench.tracker.fault = once(("after", UnknownOutcomeError("timed out")))
    seen = bench.tracker.find
    bench.tracker.find = lambda key: None  # type: ignore[method-assign]
    bench.run()
    bench.later()
    bench.run()
    assert len(bench.tracker.records) == 1
    assert bench.record.state is EffectState.UNKNOWN
    assert bench.record.permit is None
    bench.tracker.find = seen  # type: ignore[method-assign]
    bench.later()
    bench.run()
    assert bench.record.reference == "issue1"
    assert len(bench.tracker.records) == 1


def test_a_permit_that_expired_during_an_outage_is_replaced(bench: Bench) -> None:
    bench.tracker.permits = True
    bench.tracker.fault = once(*[UnavailableError("down", retry_after=7200)] * 5)
    for _ in range(6):
        assert bench.run().done == 0
        bench.later()
    assert bench.run().done == 1
    assert len(bench.tracker.given) == 2
    assert len(bench.tracker.records) == 1


def test_a_system_that_gives_no_permit_just_now_is_asked_later(bench: Bench) -> None:
    bench.tracker.permits = True
    bench.tracker.fault = lambda operation: UnavailableError("busy") if operation == "reserve" else None
    bench.run()
    assert bench.record.state is EffectState.PARKED
    bench.later()
    bench.run()
    assert bench.record.state is EffectState.PARKED, "nothing was ever sent, so nothing is in doubt"


def test_a_worker_that_finds_another_at_it_leaves_quietly(bench: Bench) -> None:
    """Between reading the wishes and beginning their note, another worker begins it."""
    bench.run()
    bench.say(1, 2)
    other: list[Outcome] = []

    def interleave() -> None:
        bench.ledger.before_write = lambda: None
        other.append(bench.run())

    bench.ledger.before_write = interleave
    assert bench.run() == Outcome(later=1)
    assert other == [Outcome(done=1)]
    assert bench.told() == ["post:1", "post:2"]


def test_a_note_begun_by_another_is_not_overtaken(bench: Bench) -> None:
    """A worker reads while another begins the first note and a further post is planned: it must not send that first."""
    bench.run()
    bench.say(1)
    pending = bench.ledger.pending

    def slow(case: str, prefix: str, limit: int) -> list[Effect]:
        bench.ledger.pending = pending  # type: ignore[method-assign]
        found = pending(case, prefix, limit)
        wish = next(iter(pending(case, f"note#{SYSTEM}#", 1)))
        RecordSync(
            bench.ledger, bench.words, bench.tracker, PACE, now=bench.clock.now, remaining=lambda: 9, need=5
        )._notes.begin(CASE, SYSTEM, [wish], bench.clock.now())
        bench.say(2)
        return found

    bench.ledger.pending = slow  # type: ignore[method-assign]
    bench.run()
    bench.run()
    assert bench.told() == ["post:1", "post:2"]
