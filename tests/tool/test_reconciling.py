"""The command over a real table: what differs is listed, mended under the ledger, and gone the next time."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pytest
from typer.testing import CliRunner

from connectors.core.case import EffectKind, EffectState, Record, record_id
from connectors.core.errors import UnavailableError
from connectors.core.ports import Reference
from connectors.core.reconcile import record_key
from connectors.tool import reconcile as command
from connectors.tool import reconciling
from connectors.tool.deployment import DeploymentError
from connectors.tool.main import app
from connectors.tool.reconciling import Reconciler
from tests.core.test_reconcile import There
from tests.tool.conftest import TRACKER, ZENDESK, Small

CASE = "case-abcdefgh"


@dataclass
class Listed(There):
    """A system that can show all its records."""

    order: list[tuple[str, str]] = field(default_factory=list)

    def records(self) -> list[tuple[Reference, str]]:
        return [(Reference(name, f"https://t/{name}"), key) for name, key in self.keys.items()]


def faults(small: Small, there: There, dry_run: bool = False) -> list[str]:
    found = Reconciler(small.deployment, "Tracker", there=there).run(dry_run)
    return [one.fault.value for one, _ in found.differences]


def test_it_asks_for_a_system_of_the_plan(small: Small) -> None:
    small.plan()
    with pytest.raises(DeploymentError, match="there is no system Nothing in the plan; there are: routes/Tracker"):
        Reconciler(small.deployment, "Nothing", there=There())


def test_a_dry_run_lists_and_changes_nothing(small: Small) -> None:
    small.plan()
    small.case()
    small.effect(EffectState.PARKED, attempt=2)
    there = There({"issue1": record_key(CASE, TRACKER)})
    assert faults(small, there, dry_run=True) == ["unknown here"]
    (effect,) = small.deployment.cases.effects(CASE)
    assert effect.state is EffectState.PARKED


def test_an_unknown_record_is_left_to_its_worker_to_look_up_now(small: Small) -> None:
    small.plan()
    small.case()
    small.effect(EffectState.PARKED, attempt=2, retry_at=9_999_999_999_999, permit="spent?")
    assert faults(small, There({"issue1": record_key(CASE, TRACKER)})) == ["unknown here"]
    (effect,) = small.deployment.cases.effects(CASE)
    assert (effect.state, effect.attempt, effect.retry_at, effect.permit) == (EffectState.UNKNOWN, 2, None, None)
    assert effect.due_at is not None


def test_a_record_of_a_case_without_a_line_gets_one(small: Small) -> None:
    small.plan()
    small.case()
    there = Listed({"issue1": record_key(CASE, TRACKER)})
    assert faults(small, there) == ["unknown here"]
    (effect,) = small.deployment.cases.effects(CASE)
    assert (effect.id, effect.state) == (record_id(TRACKER), EffectState.UNKNOWN)


def test_duplicates_are_linked_and_closed_at_once_and_strangers_left(small: Small) -> None:
    small.plan()
    small.case(record=Record(system=TRACKER, id="issue1", url="https://t/issue1"))
    small.effect(EffectState.DONE, reference="issue1", url="https://t/issue1")
    key = record_key(CASE, TRACKER)
    there = Listed({"issue1": key, "issue2": key, "issue3": "hailback-of-somebody-else"})
    assert faults(small, there) == ["a duplicate", "of no case here"]
    assert there.status == {"issue2": "solved"}
    assert [(name, "https://t/issue1" in text) for name, _, text in there.notes] == [("issue2", True)]
    assert faults(small, there) == ["of no case here"]
    assert len(there.notes) == 1
    assert [event.detail["reference"] for event in small.deployment.cases.timeline(CASE)] == ["issue2"]


def test_the_live_record_is_named_again(small: Small) -> None:
    small.plan()
    small.case(state="pending", record=Record(system=ZENDESK, id="7", url="https://z/7"))
    small.effect(EffectState.DONE, reference="issue1", url="https://t/issue1")
    there = There({"issue1": record_key(CASE, TRACKER)})
    assert faults(small, there) == ["not the live record"]
    case = small.deployment.cases.case(CASE)
    assert case is not None
    assert case.record == Record(system=TRACKER, id="issue1", url="https://t/issue1")
    assert faults(small, there) == []


def test_a_note_that_is_gone_becomes_unknown(small: Small) -> None:
    small.plan()
    small.case(record=Record(system=TRACKER, id="issue1", url="https://t/issue1"))
    small.effect(EffectState.DONE, reference="issue1", url="https://t/issue1")
    note = small.effect(EffectState.DONE, EffectKind.BATCH, id=f"batch#{TRACKER}#x", members=("note#1",), reference="m")
    there = There({"issue1": record_key(CASE, TRACKER)})
    assert faults(small, there) == ["a note is missing"]
    states = {one.id: one.state for one in small.deployment.cases.effects(CASE)}
    assert states[note.id] is EffectState.UNKNOWN
    there.notes.append(("issue1", note.key, "words"))
    assert faults(small, there) == []


def test_a_system_that_is_busy_now_and_then_is_compared_to_the_end(small: Small) -> None:
    """Of thousands of questions some meet a limit of requests: were that the end of a run, none would ever end."""
    small.plan()
    small.case()
    small.effect(EffectState.PARKED, attempt=2)
    waits: list[float] = []
    busy = [UnavailableError("429", retry_after=3.0), UnavailableError("503")]

    class Busy(There):
        def find(self, key: str) -> Reference | None:
            if busy:
                raise busy.pop(0)
            return super().find(key)

    there = Busy({"issue1": record_key(CASE, TRACKER)})
    found = Reconciler(small.deployment, "Tracker", there=there, pause=waits.append).run()
    assert [one.fault.value for one, _ in found.differences] == ["unknown here"]
    assert waits == [3.0, 2.0]


def many(small: Small, count: int) -> list[str]:
    names = [f"case-{number:08d}" for number in range(count)]
    for name in names:
        small.case(name)
        small.effect(EffectState.PARKED, case=name, attempt=2)
    return names


def test_a_run_that_ended_goes_on_where_it_was_and_says_that_it_waits(small: Small) -> None:
    """A system that allows so many questions and is then away for longer than anybody waits."""
    small.plan()
    names = many(small, 12)

    @dataclass
    class Limited(There):
        left: int = 8

        def find(self, key: str) -> Reference | None:
            if not self.left:
                raise UnavailableError("429", retry_after=30.0)
            self.left -= 1
            return super().find(key)

    there = Limited({f"issue{name}": record_key(name, TRACKER) for name in names})
    said: list[str] = []
    first = Reconciler(small.deployment, "Tracker", there=there, pause=lambda _: None, say=said.append)
    with pytest.raises(UnavailableError):
        first.run(dry_run=True)
    assert (first.at, len(first.found.differences)) == (names[8], 8)
    assert said[0] == f"{TRACKER} is busy; waiting 30 s, then on with {names[8]}"
    there.left = 8
    second = Reconciler(small.deployment, "Tracker", there=there)
    found = second.run(dry_run=True, since=first.at)
    assert [one.case for one, _ in (*first.found.differences, *found.differences)] == names


class Hung(There):
    """Takes questions and never answers."""

    def find(self, key: str) -> Reference | None:
        raise UnavailableError("no answer within 20 seconds")


def test_a_system_that_does_not_answer_is_not_called_busy_and_nothing_counts_as_compared(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.plan()
    (name,) = many(small, 1)
    there = Hung({})
    monkeypatch.setattr(command, "target", lambda *_: small.deployment)
    monkeypatch.setattr(reconciling, "Reconciler", partial(Reconciler, there=there, pause=lambda _: None))
    done = CliRunner().invoke(app, ["reconcile", "Tracker"])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{TRACKER} does not answer; waiting 1 s, then on with {name}\n")
    assert f"go on with --from {name}" in done.stderr
    assert done.stdout == f"no case of {TRACKER} was compared\n"


def test_one_is_counted_as_one(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.plan()
    many(small, 1)
    there = There({"issue1": record_key("case-00000000", TRACKER)})
    monkeypatch.setattr(command, "target", lambda *_: small.deployment)
    monkeypatch.setattr(reconciling, "Reconciler", partial(Reconciler, there=there))
    done = CliRunner().invoke(app, ["reconcile", "Tracker", "--dry-run"])
    assert f"1 case of {TRACKER} compared, 1 difference\n" in done.stdout


@dataclass
class Shows(There):
    """Its `find_note` writes, as Roundup's does for a message that is on no issue yet; `noted` only looks."""

    wrote: int = 0

    def find_note(self, reference: Reference, key: str) -> str | None:
        self.wrote += 1
        return super().find_note(reference, key)

    def noted(self, reference: Reference, keys: list[str]) -> set[str]:
        return {key for name, key, _ in self.notes if name == reference.id} & set(keys)


def test_a_dry_run_only_looks_and_lists_a_note_that_is_not_on_its_record(small: Small) -> None:
    small.plan()
    small.case(record=Record(system=TRACKER, id="issue1", url="https://t/issue1"))
    small.effect(EffectState.DONE, reference="issue1", url="https://t/issue1")
    small.effect(EffectState.DONE, EffectKind.BATCH, id=f"batch#{TRACKER}#x", members=("note#1",), reference="m")
    there = Shows({"issue1": record_key(CASE, TRACKER)})
    assert faults(small, there, dry_run=True) == ["a note is missing"]
    assert there.wrote == 0


@dataclass
class Archive(There):
    """It lists no archived records, and shows each by its number, as Zendesk does."""

    kept: set[str] = field(default_factory=set)

    def stands(self, reference: Reference) -> bool:
        return reference.id in self.kept


def test_an_archived_record_is_not_missing(small: Small) -> None:
    small.plan()
    small.case(record=Record(system=TRACKER, id="issue1", url="https://t/issue1"))
    small.effect(EffectState.DONE, reference="issue1", url="https://t/issue1")
    there = Archive(kept={"issue1"})
    assert faults(small, there) == []
    there.kept.clear()
    assert faults(small, there) == ["missing there"]
