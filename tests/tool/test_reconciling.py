"""The command over a real table: what differs is listed, mended under the ledger, and gone the next time."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from connectors.core.case import EffectKind, EffectState, Record, record_id
from connectors.core.errors import UnavailableError
from connectors.core.ports import Reference
from connectors.core.reconcile import record_key
from connectors.tool.deployment import DeploymentError
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
