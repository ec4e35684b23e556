"""A source that cannot tell whether an answer is there: it is never sent twice, and a person is asked to look."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest

from connectors.core.case import EffectState
from connectors.core.compose import note_draft
from connectors.core.errors import ConflictError, RejectedError, UnavailableError, UndecidableError, UnknownOutcomeError
from tests.core.test_reply import EFFECT, Bench, Forum, Killed, Words, once
from tests.posts import said

URL = "https://forum.acme.com/t/it-drips/7/1"


def unfindable(fault: Any = lambda call: None) -> Bench:
    words = Words(mention=said().model_copy(update={"url": URL}))
    return Bench(forum=Forum(fault=fault, findable=False), words=words)


def note(bench: Bench) -> str:
    (wish,) = bench.ledger.pending("case-1", "note#stack/Tracker#", 9)
    return note_draft([wish], {}, {"u1": bench.words.words("u1")}).text


def wait_and_run(bench: Bench, times: int = 5) -> None:
    for _ in range(times):
        bench.clock.advance(2_000)
        with contextlib.suppress(ConflictError):
            bench.run()


def test_an_answer_that_was_kept_before_its_receipt_was_lost_is_held_for_a_person() -> None:
    bench = unfindable(once(("after", UnknownOutcomeError("the answer was lost"))))
    bench.run()
    wait_and_run(bench)
    assert len(bench.forum.kept) == 1
    effect = bench.ledger.effects[EFFECT.id]
    assert (effect.state, effect.doubt) == (EffectState.REJECTED, True)
    assert bench.happened() == ["uncertain"]
    assert URL in bench.ledger.events[0].detail["error"]
    assert "not known whether your answer went out" in note(bench)
    assert "the customer has not seen it" not in note(bench), "nobody knows that"


def test_an_answer_whose_worker_died_is_held_whether_or_not_it_went_out() -> None:
    for fault in (once(Killed()), once(("after", Killed()))):
        bench = unfindable(fault)
        with contextlib.suppress(Killed):
            bench.run()
        assert bench.state is EffectState.CLAIMED
        before = len(bench.forum.kept)
        wait_and_run(bench)
        assert len(bench.forum.kept) == before, "never sent again"
        assert bench.happened() == ["uncertain"]
        assert URL in note(bench)


def test_the_question_may_be_gone_meanwhile() -> None:
    bench = unfindable(once(Killed()))
    with contextlib.suppress(Killed):
        bench.run()
    bench.words.mention = None
    wait_and_run(bench)
    assert "look at discourse:forum:7" in note(bench)


def test_what_is_known_not_to_have_gone_out_is_sent_again() -> None:
    bench = unfindable(once(UnavailableError("slow down", retry_after=10)))
    bench.run()
    wait_and_run(bench, 1)
    assert bench.state is EffectState.DONE
    assert len(bench.forum.kept) == 1


def test_what_a_source_does_not_let_us_answer_comes_back_to_the_agent_with_the_reason() -> None:
    """`reply_capability`: the connector refuses before it asks anybody."""
    bench = unfindable(lambda call: RejectedError("X lets us answer only who named us; a person has to post this"))
    bench.run()
    wait_and_run(bench)
    assert bench.forum.kept == []
    assert bench.happened() == ["refused"]
    assert "only who named us" in note(bench)
    assert "the customer has not seen it" in note(bench)


@pytest.mark.parametrize("seed", range(200))
def test_whatever_goes_wrong_it_stands_once_at_most_and_nothing_ends_in_silence(seed: int) -> None:
    chance = random.Random(seed)
    faults: list[Any] = [
        None,
        UnavailableError("down"),
        UnknownOutcomeError("nothing came back"),
        ("after", UnknownOutcomeError("the answer was lost")),
        ("after", Killed()),
        Killed(),
    ]

    def lost() -> None:
        if chance.random() < 0.1:
            raise Killed

    bench = unfindable(lambda call: chance.choice(faults))
    bench.ledger.after_write = lost
    for _ in range(40):
        with contextlib.suppress(Killed, ConflictError):
            bench.run()
        bench.clock.advance(chance.choice([1, 40, 70, 200, 1200]))
        assert len(bench.forum.kept) <= 1
    bench.forum.fault, bench.ledger.after_write = (lambda call: None), (lambda: None)
    wait_and_run(bench)
    assert len(bench.forum.kept) <= 1
    if bench.state is EffectState.REJECTED:
        assert "not known whether" in note(bench)
    else:
        assert bench.state is EffectState.DONE
        assert len(bench.forum.kept) == 1


def test_a_look_up_that_will_never_tell_is_for_a_person_too() -> None:
    """A source that shows answers, and not which is which: one that is there may be this one, or another."""
    words = Words(mention=said().model_copy(update={"url": URL}))
    bench = Bench(forum=Forum(fault=once(("after", UnknownOutcomeError("the answer was lost")))), words=words)
    bench.run()

    def looked(*_: object) -> None:
        raise UndecidableError("there is an answer of ours; look whether it is this one")

    bench.forum.find_reply = looked  # type: ignore[method-assign,assignment]
    wait_and_run(bench)
    assert len(bench.forum.kept) == 1
    assert bench.happened() == ["delayed", "uncertain"]
    assert URL in note(bench)
