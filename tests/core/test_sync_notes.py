"""What a note holds: every post whole, in as many notes as that takes, and nothing lost where one is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import ClassVar

import pytest

from connectors.core.case import EffectKind, EffectState
from connectors.core.errors import RejectedError, UnknownOutcomeError
from connectors.core.ports import NOTE_BYTES, NoteDraft, Reference
from connectors.zendesk import payloads
from tests.core.sync_bench import Bench
from tests.doubles import Tracker


class Narrow(Tracker):
    """Its notes hold little."""

    note_bytes: ClassVar[int] = 5_000

    def add_note(self, reference: Reference, note: NoteDraft, key: str, permit: str | None) -> str:
        assert len(note.text.encode()) <= self.note_bytes
        return super().add_note(reference, note, key, permit)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def bodies(bench: Bench) -> Iterator[str]:
    """What Zendesk would be sent for each note."""
    for key, text in bench.tracker.notes:
        body: str = json.loads(payloads.comment(NoteDraft(text), key, "s"))["ticket"]["comment"]["body"]
        yield body


@pytest.mark.parametrize(("letter", "length"), [("x", 100), ("x", 3_000), ("x", 8_000), ("漢", 8_000), ("x", 50_000)])
def test_every_post_of_a_catch_up_reaches_zendesk_with_its_words(bench: Bench, letter: str, length: int) -> None:
    numbers = range(1, 61)
    bench.words.posts = {f"post:{number}": f"begin{number} {letter * length}" for number in numbers}
    bench.say(*numbers)
    bench.finish()
    sent = list(bodies(bench))
    assert [int(number) for body in sent for number in re.findall(r"^Post: post:(\d+)$", body, re.MULTILINE)] == [
        *numbers
    ]
    assert all(len(body.encode()) < 64 * 1024 for body in sent)
    said = "\n".join(sent)
    assert said.count(letter * min(length, 7_000)) >= len(numbers), "the words too, as far as any note brings them"
    assert len(sent) <= 60 if length > 3_000 else len(sent) <= 4


def test_a_note_fits_a_system_that_holds_little(bench: Bench) -> None:
    narrow = Narrow(bench.clock)
    bench.tracker = narrow
    bench.words.posts = {f"post:{number}": f"{number} " + "y" * 2_000 for number in range(1, 8)}
    bench.words.posts["post:3"] = "z" * 8_000
    bench.say(*range(1, 8))
    bench.finish()
    assert bench.told() == [f"post:{number}" for number in range(1, 8)]
    assert all("y" * 2_000 in text or "z" * 1_000 in text for _, text in narrow.notes)


def test_a_post_that_grew_after_its_note_was_begun_is_shortened_and_not_lost(bench: Bench) -> None:
    bench.run()
    bench.say(*range(1, 41))
    grown = {f"post:{number}": "w" * 8_000 for number in range(1, 41)}
    bench.tracker.dawdle = lambda operation: bench.words.posts.update(grown) if operation == "reserve" else None
    bench.run()
    [(_, text)] = bench.tracker.notes
    assert bench.told() == [f"post:{number}" for number in range(1, 41)]
    assert len(text.encode()) <= NOTE_BYTES
    assert text.count("the whole post is at its source") == 40
    assert all(line.state is EffectState.DONE for line in bench.ledger.effects.values() if line.kind is EffectKind.NOTE)


def refusing(bench: Bench, *poison: str) -> None:
    """Have the system refuse every note that brings one of these posts."""
    tracker = bench.tracker
    write = tracker.add_note

    def add_note(reference: Reference, note: NoteDraft, key: str, permit: str | None) -> str:
        if any(re.search(rf"^Post: {post}$", note.text, re.MULTILINE) for post in poison):
            raise RejectedError("422: it refuses this content")
        return write(reference, note, key, permit)

    tracker.add_note = add_note  # type: ignore[method-assign]


def test_one_post_that_is_refused_does_not_take_the_others_with_it(bench: Bench) -> None:
    refusing(bench, "post:7", "post:31")
    bench.say(*range(1, 41))
    outcome = bench.run()
    others = [number for number in range(1, 41) if number not in {7, 31}]
    assert bench.told() == [f"post:{number}" for number in others], "in order, each once"
    ends = {line.mention: line.state for line in bench.ledger.effects.values() if line.kind is EffectKind.NOTE}
    assert [post for post, state in ends.items() if state is EffectState.REJECTED] == ["post:7", "post:31"]
    assert bench.unfinished() == []
    assert outcome.to_mend == ("Rejected: 422: it refuses this content",) * 2, "an administrator is told"


def test_a_halved_note_is_not_sent_twice_whoever_finds_it(bench: Bench) -> None:
    """The worker dies between any two writes of the ledger; another one comes."""
    for dies in range(1, 40):
        bench = Bench()
        refusing(bench, "post:3")
        bench.say(*range(1, 9))
        writes = iter(range(1, 1000))

        def perhaps_die(writes: Iterator[int] = writes, dies: int = dies) -> None:
            if next(writes) == dies:
                raise KeyboardInterrupt

        bench.ledger.after_write = perhaps_die
        with suppress(KeyboardInterrupt):
            bench.run()
        bench.finish()
        assert bench.told() == [f"post:{number}" for number in (1, 2, 4, 5, 6, 7, 8)]


def test_a_note_that_may_have_been_written_is_not_halved(bench: Bench) -> None:
    """Refused is the look-up, not the note: the halves would bring its posts a second time."""
    faults: dict[str, object] = {}
    bench.tracker.fault = faults.get
    bench.run()
    bench.say(*range(1, 9))
    faults |= {"add_note": ("after", UnknownOutcomeError("timed out")), "find_note": RejectedError("no")}
    bench.run()
    bench.later()
    bench.run()
    assert len(bench.unfinished()) == 9, "eight posts in one note of which nobody knows yet"
    faults.clear()
    bench.finish()
    assert bench.told() == [f"post:{number}" for number in range(1, 9)]
    assert bench.unfinished() == []
