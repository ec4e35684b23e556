"""What a system refuses is no silence: `doctor` says so, until somebody mends it and `reconcile` has it tried again."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.aws.due import Due
from connectors.aws.ledger import TableLedger
from connectors.core.case import SHARDS, Effect, EffectKind, EffectState, Happening, note_id, record_id
from connectors.core.compose import Post
from connectors.core.errors import RejectedError
from connectors.core.ledger import Pace
from connectors.core.reconcile import record_key
from connectors.core.sync import Outcome, RecordSync
from connectors.tool.checkup import Checkup
from connectors.tool.doctor import show
from connectors.tool.reconciling import Reconciler
from tests.core.test_reconcile import There
from tests.doubles import Clock
from tests.tool.conftest import TRACKER, Small

CASE = "case-abcdefgh"
DAY = 86_400_000


class Words:
    """A post for each mention."""

    def post(self, mention: str) -> Post | None:
        return Post(mention, 1, "@ada", None, "words", None, None)


class Machine:
    """A worker over the table, with a system that refuses what it is told to."""

    def __init__(self, small: Small) -> None:
        self.small, self.clock, self.there = small, Clock(), There()
        self.ledger = TableLedger(small.deployment.table)
        small.plan()
        small.case(systems=(TRACKER,))
        small.effect(EffectState.PLANNED)
        for number in range(3):
            name = note_id(TRACKER, f"post:{number}", Happening.SAID, 1)
            post = {"mention": f"post:{number}", "happening": Happening.SAID}
            small.effect(EffectState.PLANNED, EffectKind.NOTE, id=name, **post)

    def refuse(self, *operations: str) -> None:
        error = RejectedError("acme.zendesk.com answered 422: a field is missing")
        self.there.fault = lambda operation: error if operation in operations else None

    def work(self) -> Outcome:
        case = self.small.deployment.cases.case(CASE)
        assert case is not None
        run = RecordSync(self.ledger, Words(), self.there, Pace(), now=self.clock.now, remaining=lambda: 60.0, need=5.0)
        return run.run(case, TRACKER)

    def doctor(self) -> dict[str, Any]:
        return Checkup(self.small.deployment, 50, self.clock.now()).document()

    def due(self) -> list[str]:
        rows = Due(self.small.deployment.table)
        return [item["id"] for shard in range(SHARDS) for item in rows.waiting(shard, self.clock.now() + DAY, 100)]

    def effects(self) -> list[Effect]:
        return self.small.deployment.cases.effects(CASE)


@pytest.fixture
def machine(small: Small, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(small)
    monkeypatch.setattr("connectors.tool.reconciling._now", found.clock.now)
    return found


def test_a_refused_record_without_a_stand_by_is_said(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise RejectedError("acme.zendesk.com answered 422: a field is missing")

    monkeypatch.setattr(machine.there, "upsert", refuse, raising=False)
    outcome = machine.work()
    assert len(outcome.to_mend) == 1, "which is what the alarm hears"
    found = machine.doctor()
    assert found["well"] is False
    assert [(one["kind"], one["count"]) for one in found["refused"]] == [("record", 1), ("note", 3)]
    assert "answered 422: a field is missing: mend that, then `hailback reconcile Tracker`" in found["wrong"][0]
    show(found)
    assert f"1 record for {TRACKER}" in capsys.readouterr().out
    assert machine.due() == [], "nothing is tried again by itself"
    assert all(one.due_at is None for one in machine.ledger.lines(CASE, "record#"))


def test_a_refused_note_is_said_until_it_is_told(machine: Machine) -> None:
    machine.refuse("add_note")
    machine.work()
    found = machine.doctor()
    assert [(one["kind"], one["count"], one["cases"]) for one in found["refused"]] == [("note", 3, [CASE])]
    machine.refuse()
    machine.clock.advance(1)
    faults = [
        one.fault.value
        for one, _ in Reconciler(machine.small.deployment, "Tracker", there=machine.there).run().differences
    ]
    assert faults == ["a note was refused"] * 3
    machine.clock.advance(1)
    machine.work()
    assert len(machine.there.notes) == 3
    found = machine.doctor()
    assert found["refused"] == []
    assert [one for one in found["wrong"] if "refused" in one or "parked" in one] == []  # this tracker has no pointer
    assert {one.state for one in machine.effects()} == {EffectState.DONE, EffectState.SUPERSEDED}
    assert list(machine.there.keys.values()) == [record_key(CASE, TRACKER)]
    assert machine.ledger.effect(CASE, record_id(TRACKER)) is not None


def test_what_was_refused_long_ago_is_history(machine: Machine) -> None:
    """Else one answer nobody can mend would hide everything else for ever."""
    machine.refuse("add_note")
    machine.work()
    machine.clock.advance(8 * DAY / 1000)
    assert machine.doctor()["refused"] == []
