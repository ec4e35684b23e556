"""An answer goes out once: whatever fails, whoever dies, however often the worker is woken."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from connectors.core.budget import Till
from connectors.core.carry import OutOfTimeError
from connectors.core.case import Case, Effect, EffectKind, EffectState
from connectors.core.compose import UpdateWords, note_draft
from connectors.core.errors import (
    ConflictError,
    MisconfiguredError,
    RejectedError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.ledger import Pace
from connectors.core.models import Mention
from connectors.core.ports import Reference, Tier
from connectors.core.reply import Answerer
from tests.doubles import Clock, MemoryLedger
from tests.posts import said

CASE = Case(
    id="case-1",
    conversation="discourse:forum:7",
    connector="discourse",
    source="stack/Forum",
    first_mention="m1",
    opened_at=0,
    updated_at="",
    systems=("stack/Tracker", "stack/Standby"),
)
EFFECT = Effect(
    case="case-1", id="reply#stack/Forum#1", kind=EffectKind.REPLY, target="stack/Forum", planned_at=0, update="u1"
)


class Killed(BaseException):
    """The worker's process is gone."""


@dataclass
class Forum:
    """A source that keeps answers. `fault` is asked at each call what goes wrong; ("after", error) once it is kept."""

    fault: Callable[[str], Any] = lambda call: None
    kept: list[tuple[str, str]] = field(default_factory=list)
    settle: float = 30.0
    findable: bool = True
    tier: ClassVar[Tier] = Tier.NONE
    replier_credentials_model: ClassVar[type[BaseModel]] = BaseModel

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        wrong = self.fault("reply")
        if isinstance(wrong, BaseException):
            raise wrong
        self.kept.append((key, text))
        if wrong is not None:
            raise wrong[1]
        return Reference(f"p{len(self.kept)}", "https://forum/p")

    def find_reply(self, mention: Mention, key: str) -> Reference | None:
        wrong = self.fault("find")
        if isinstance(wrong, BaseException):
            raise wrong
        found = [number for number, (kept, _) in enumerate(self.kept, 1) if kept == key]
        return Reference(f"p{found[0]}", "https://forum/p") if found else None


@dataclass
class Words:
    text: str | None = "Turn the valve."
    mention: Mention | None = field(default_factory=said)
    gone: bool = False

    def words(self, update_id: str) -> UpdateWords | None:
        return UpdateWords("Ben", self.text, None, "stack/Tracker", None)

    def said(self, mention: str) -> Mention | None:
        return self.mention

    def removed(self, mention: str) -> bool:
        return self.gone


@dataclass
class Bench:
    forum: Forum = field(default_factory=Forum)
    words: Words = field(default_factory=Words)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    clock: Clock = field(default_factory=Clock)
    left: float = 60.0
    till: Till | None = None

    def __post_init__(self) -> None:
        self.ledger.plan(EFFECT)

    def run(self, name: str = EFFECT.id) -> Effect | None:
        answerer = Answerer(
            self.ledger,
            self.words,
            self.forum,
            Pace(lease=65, backoff=15, longest=900),
            now=self.clock.now,
            remaining=lambda: self.left,
            need=5.0,
            till=self.till,
        )
        return answerer.run(CASE, name)

    @property
    def state(self) -> EffectState:
        return self.ledger.effects[EFFECT.id].state

    def happened(self) -> list[str]:
        return [event.kind.value for event in self.ledger.events]


def once(error: Any, at: str = "reply") -> Callable[[str], Any]:
    left = [error]
    return lambda call: left.pop() if call == at and left else None


def test_an_answer_is_sent_once_and_the_timeline_says_where_it_stands() -> None:
    bench = Bench()
    for _ in range(3):
        bench.run()
    assert [text for _, text in bench.forum.kept] == ["Turn the valve."]
    (event,) = bench.ledger.events
    assert event.kind == "replied"
    assert event.detail == {"source": "stack/Forum", "update": "u1", "post": "p1", "url": "https://forum/p"}


def test_an_answer_that_was_kept_but_not_acknowledged_is_found_and_not_before_it_can_be() -> None:
    bench = Bench(forum=Forum(fault=once(("after", UnknownOutcomeError("no answer")))))
    bench.run()
    assert bench.state is EffectState.UNKNOWN
    bench.clock.advance(20)
    assert bench.run() is None, "the forum may still be at it"
    bench.clock.advance(60)
    bench.run()
    assert bench.state is EffectState.DONE
    assert len(bench.forum.kept) == 1
    assert bench.happened() == ["delayed", "replied"]


def test_a_killed_worker_leaves_an_answer_that_is_looked_for_first() -> None:
    bench = Bench(forum=Forum(fault=once(("after", Killed()))))
    with pytest.raises(Killed):
        bench.run()
    assert bench.run() is None, "the lease has not run out"
    bench.clock.advance(65 + 30)
    bench.run()
    assert bench.state is EffectState.DONE
    assert len(bench.forum.kept) == 1


def test_while_the_look_up_fails_nothing_is_sent() -> None:
    bench = Bench(forum=Forum(fault=once(("after", UnknownOutcomeError("no answer")))))
    bench.run()
    bench.forum.fault = lambda call: UnavailableError("down") if call == "find" else None
    for _ in range(4):
        bench.clock.advance(1_000)
        bench.run()
    assert bench.state is EffectState.UNKNOWN
    assert len(bench.forum.kept) == 1


def test_a_refusal_for_now_waits_as_long_as_it_was_asked_to() -> None:
    bench = Bench(forum=Forum(fault=once(UnavailableError("slow down", retry_after=100))))
    bench.run()
    assert bench.state is EffectState.PARKED
    bench.clock.advance(99)
    assert bench.run() is None
    bench.clock.advance(2)
    bench.run()
    assert bench.state is EffectState.DONE


@pytest.mark.parametrize("words", [Words(text=None), Words(text="  "), Words(mention=None), Words(gone=True)])
def test_what_cannot_be_answered_any_more_ends_visibly(words: Words) -> None:
    bench = Bench(words=words)
    bench.run()
    assert bench.state is EffectState.REJECTED
    assert bench.happened() == ["refused"]
    assert bench.forum.kept == []


def test_who_wrote_a_refused_answer_is_told_where_it_was_written() -> None:
    bench = Bench(forum=Forum(fault=lambda call: RejectedError("answered 422: Body is too short")))
    bench.run()
    bench.run()
    (wish,) = bench.ledger.pending("case-1", "note#stack/Tracker#", 9)
    assert wish.happening == "refused"
    assert wish.update == "u1"
    note = note_draft([wish], {}, {"u1": bench.words.words("u1")}).text
    assert "was not posted" in note
    assert "Body is too short" in note


def test_every_record_that_holds_the_case_is_told_of_a_refused_answer() -> None:
    """The one where it was written may be a stand-by's, which is told nothing more once the case is handed back."""
    bench = Bench(forum=Forum(fault=lambda call: RejectedError("answered 422: the topic is closed")))
    bench.ledger.meta = CASE.model_copy(update={"engaged": CASE.systems})
    bench.run()
    assert {wish.target for wish in bench.ledger.pending("case-1", "note#", 9)} == set(CASE.systems)


def test_an_answer_that_went_out_before_its_question_was_removed_is_not_called_unsent() -> None:
    bench = Bench(forum=Forum(fault=once(("after", UnknownOutcomeError("no answer")))))
    bench.run()
    bench.words.gone = True
    bench.clock.advance(100)
    bench.run()
    assert bench.state is EffectState.DONE
    assert bench.happened()[-1] == "replied"


def test_answers_go_out_in_the_order_in_which_they_were_written() -> None:
    bench = Bench(forum=Forum(fault=once(UnavailableError("busy", retry_after=30))))
    bench.run()
    later = EFFECT.model_copy(update={"id": "reply#stack/Forum#0", "planned_at": 5})
    bench.ledger.plan(later)
    assert bench.run(later.id) is None
    bench.clock.advance(40)
    bench.run()
    bench.run(later.id)
    assert [key for key, _ in bench.forum.kept] == [EFFECT.key, later.key]


def test_a_wrong_key_waits_for_an_administrator() -> None:
    bench = Bench(forum=Forum(fault=lambda call: MisconfiguredError("check the key")))
    bench.run()
    effect = bench.ledger.effects[EFFECT.id]
    assert effect.state is EffectState.PARKED
    assert (effect.retry_at or 0) - bench.clock.now() == 900_000


def test_too_little_time_gives_the_answer_back() -> None:
    bench = Bench(left=2.0)
    with pytest.raises(OutOfTimeError):
        bench.run()
    bench.left = 60.0
    bench.run()
    assert bench.state is EffectState.DONE


@pytest.mark.parametrize("seed", range(200))
def test_whatever_goes_wrong_there_is_one_answer(seed: int) -> None:
    """Faults, deaths and two workers in a random order; in the end one answer stands."""
    chance = random.Random(seed)
    faults: list[Any] = [
        None,
        UnavailableError("down"),
        UnknownOutcomeError("nothing came back"),
        ("after", UnknownOutcomeError("the answer was lost")),
        ("after", Killed()),
        Killed(),
    ]

    def fault(call: str) -> Any:
        wrong = chance.choice(faults)
        return wrong if call == "reply" or not isinstance(wrong, tuple) else None

    def lost() -> None:
        if chance.random() < 0.1:
            raise Killed

    bench = Bench(forum=Forum(fault=fault))
    bench.ledger.after_write = lost
    for _ in range(40):
        with contextlib.suppress(Killed, ConflictError):
            bench.run()
        bench.clock.advance(chance.choice([1, 40, 70, 200, 1200]))
        assert len(bench.forum.kept) <= 1
    bench.forum.fault, bench.ledger.after_write = (lambda call: None), (lambda: None)
    for _ in range(3):
        bench.clock.advance(2_000)
        bench.run()
    assert bench.state is EffectState.DONE
    assert len(bench.forum.kept) == 1
