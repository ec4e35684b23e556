"""The ledger against a system of record: each way to differ is found, mended under the ledger's rules, and gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from connectors.core.case import Case, CaseEvent, Effect, EffectKind, EffectState, Record, batch_id, record_id
from connectors.core.errors import (
    ConflictError,
    MisconfiguredError,
    RemoteError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.ledger import Next, Pace, done, next_step
from connectors.core.ports import CaseDraft, NoteDraft, Reference, Tier
from connectors.core.reconcile import (
    ASKED,
    Difference,
    Fault,
    ask,
    close,
    compare,
    expected_notes,
    mending,
    record_key,
    strangers,
    twin_id,
)
from tests.doubles import Clock, MemoryLedger

SYSTEM, OTHER = "routes/Tracker", "routes/Zendesk"
CASE = "case-abcdefgh"
URL = "https://tracker.nimbus.example/"


@dataclass
class There:
    """A system of record: records by id with the key they carry; notes and status by record. `fault` raises."""

    keys: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    status: dict[str, str] = field(default_factory=dict)
    fault: Callable[[str], Exception | None] = lambda operation: None
    settle: ClassVar[float] = 0.0
    tier: ClassVar[Tier] = Tier.NONE
    settings_model: ClassVar[type[BaseModel]] = BaseModel
    credentials_model: ClassVar[type[BaseModel]] = BaseModel

    def reserve(self, kind: str) -> str | None:
        return None

    def upsert(self, case: CaseDraft, key: str, permit: str | None) -> Reference:
        self.keys[name := f"issue{len(self.keys) + 1}"] = key
        return reference(name)

    def find(self, key: str) -> Reference | None:
        return next((reference(name) for name, known in self.keys.items() if known == key), None)

    def add_note(self, reference: Reference, note: NoteDraft, key: str, permit: str | None) -> str:
        self._fail("add_note")
        self.notes.append((reference.id, key, note.text))
        self._fail("after add_note")
        return f"msg{len(self.notes)}"

    def find_note(self, reference: Reference, key: str) -> str | None:
        self._fail("find_note")
        return next(("msg" for name, known, _ in self.notes if (name, known) == (reference.id, key)), None)

    def set_status(self, reference: Reference, status: str) -> None:
        self._fail("set_status")
        self.status[reference.id] = status

    def _fail(self, operation: str) -> None:
        if error := self.fault(operation):
            raise error


def reference(name: str) -> Reference:
    return Reference(name, f"{URL}{name}")


def a_case(**more: Any) -> Case:
    return Case(
        id=CASE,
        conversation="discourse:forum:1",
        connector="discourse",
        source="routes/Forum",
        first_mention="discourse:forum:2",
        opened_at=1,
        updated_at="2026-11-21T10:00:00Z",
        **{"systems": (SYSTEM, OTHER), "engaged": (SYSTEM,), **more},
    )


def line(state: EffectState, system: str = SYSTEM, **more: Any) -> Effect:
    return Effect(
        case=CASE, id=record_id(system), kind=EffectKind.RECORD, target=system, state=state, planned_at=1, **more
    )


def written(name: str, system: str = SYSTEM) -> Effect:
    return done(line(EffectState.PLANNED, system), 2, name, f"{URL}{name}")


def note(member: str, state: EffectState = EffectState.DONE) -> Effect:
    name = batch_id(SYSTEM, (member,))
    return Effect(
        case=CASE, id=name, kind=EffectKind.BATCH, target=SYSTEM, state=state, planned_at=1, members=(member,)
    )


def named(name: str, system: str = SYSTEM) -> Record:
    return Record(system=system, id=name, url=f"{URL}{name}")


def faults(*arguments: Any) -> list[Fault]:
    return [one.fault for one in compare(*arguments)]


@dataclass
class World:
    """A case, its ledger and its system, and a worker that does what the ledger asks for."""

    case: Case
    ledger: MemoryLedger
    there: There
    clock: Clock = field(default_factory=Clock)

    def differences(self) -> list[Difference]:
        effects = list(self.ledger.effects.values())
        found = [reference(name) for name, key in self.there.keys.items() if key == record_key(CASE, SYSTEM)]
        noted = set()
        kept = self.ledger.effects.get(record_id(SYSTEM))
        for one in expected_notes(self.case, effects, SYSTEM):
            if kept and kept.reference and self.there.find_note(reference(kept.reference), one.key):
                noted.add(one.id)
        return compare(SYSTEM, self.case, effects, found, noted, self.clock.now())

    def mend(self, difference: Difference) -> None:
        change = mending(difference, list(self.ledger.effects.values()), self.clock.now())
        assert change is not None
        for effect in change.added:
            assert effect.id not in self.ledger.effects
            self.ledger.effects[effect.id] = effect
        self.ledger.settle(change.changes, change.event, change.record)
        if change.record is not None:
            self.case = self.case.model_copy(update={"record": change.record})
        if difference.fault is Fault.DUPLICATE and difference.reference and difference.live:
            effect = self.ledger.effects[twin_id(SYSTEM, difference.reference.id)]
            close(self.ledger, self.there, effect, difference.live, Pace(), self.clock.now)

    def work(self) -> None:
        """As sync_record does: the record first, then its notes; each looked up before it is written."""
        for effect in sorted(self.ledger.effects.values(), key=lambda one: one.kind is not EffectKind.RECORD):
            if effect.target != SYSTEM or next_step(effect, self.clock.now(), 0.0) is Next.WAIT:
                continue
            if effect.kind is EffectKind.RECORD:
                found = self.there.find(effect.key) or self.there.upsert(draft(), effect.key, None)
                self.ledger.settle([(effect, done(effect, self.clock.now(), found.id, found.url))])
                if self.case.record is None:
                    self.case = self.case.model_copy(update={"record": named(found.id)})
            elif effect.kind is EffectKind.BATCH:
                kept = reference(self.ledger.effects[record_id(SYSTEM)].reference or "")
                sent = self.there.find_note(kept, effect.key) or self.there.add_note(
                    kept, NoteDraft("words"), effect.key, None
                )
                self.ledger.settle([(effect, done(effect, self.clock.now(), sent))])


def draft() -> CaseDraft:
    return CaseDraft(CASE, "title", "2026-11-21T10:00:00Z", "discourse:forum:1")


def world(case: Case, effects: list[Effect], records: int = 0, notes: tuple[Effect, ...] = ()) -> World:
    ledger, there = MemoryLedger(), There()
    ledger.plan(*effects)
    there.keys = {f"issue{number + 1}": record_key(CASE, SYSTEM) for number in range(records)}
    there.notes = [("issue1", one.key, "words") for one in notes]
    return World(case, ledger, there)


def test_what_agrees_is_not_a_difference() -> None:
    one = note("a")
    assert world(a_case(record=named("issue1")), [written("issue1"), one], 1, (one,)).differences() == []
    assert world(a_case(), [line(EffectState.PLANNED)]).differences() == []
    assert world(a_case(), []).differences() == []


def test_each_way_to_differ_is_named() -> None:
    live = a_case(record=named("issue1"))
    first = [reference("issue1")]
    assert faults(SYSTEM, live, [written("issue1")], [], (), 5) == [Fault.MISSING]
    assert faults(SYSTEM, a_case(), [line(EffectState.PARKED)], first, (), 5) == [Fault.UNKNOWN_HERE]
    assert faults(SYSTEM, a_case(), [line(EffectState.REJECTED)], first, (), 5) == [Fault.UNKNOWN_HERE]
    assert faults(SYSTEM, a_case(), [], first, (), 5) == [Fault.UNKNOWN_HERE]
    two = [*first, reference("issue2")]
    assert faults(SYSTEM, live, [written("issue1")], two, (), 5) == [Fault.DUPLICATE]
    assert faults(SYSTEM, live, [written("issue1"), note("a")], first, (), 5) == [Fault.NOTE_MISSING]
    away = a_case(record=named("7", OTHER))
    both = [written("issue1"), written("7", OTHER)]
    assert faults(SYSTEM, away, both, first, (), 5) == [Fault.WRONG_LIVE]


def test_a_record_in_a_worker_s_hands_is_left_alone() -> None:
    held = line(EffectState.CLAIMED, lease_until=10)
    assert faults(SYSTEM, a_case(), [held], [reference("issue1")], (), 9) == []
    assert faults(SYSTEM, a_case(), [held], [reference("issue1")], (), 10) == [Fault.UNKNOWN_HERE]


def test_what_was_just_written_is_not_missed_before_the_system_can_be_trusted_to_show_it() -> None:
    """Else it would be looked up, not found, and written a second time."""
    case, fresh = a_case(record=named("issue1")), note("a").model_copy(update={"done_at": 2})
    assert compare(SYSTEM, case, [written("issue1"), fresh], [], (), 20_001, settle=20.0) == []
    assert compare(SYSTEM, case, [written("issue1"), fresh], [reference("issue1")], (), 20_001, settle=20.0) == []
    (only,) = compare(SYSTEM, case, [written("issue1"), fresh], [], (), 20_002, settle=20.0)
    assert only.fault is Fault.MISSING
    (only,) = compare(SYSTEM, case, [written("issue1"), fresh], [reference("issue1")], (), 20_002, settle=20.0)
    assert only.fault is Fault.NOTE_MISSING


def test_another_record_is_no_reason_to_give_up_one_that_is_not_shown_yet() -> None:
    """The older of two shows first: the one that the ledger names stays, whatever the other is then taken for."""
    case = a_case(record=named("issue2"))
    assert compare(SYSTEM, case, [written("issue2")], [reference("issue1")], (), 20_001, settle=20.0) == []


def test_a_system_that_is_busy_is_asked_again_and_not_for_ever() -> None:
    waits: list[float] = []
    answers: list[RemoteError] = [UnavailableError("429", retry_after=7), UnavailableError("503")]

    def busy() -> str:
        if answers:
            raise answers.pop(0)
        return "found"

    assert ask(busy, waits.append) == "found"
    assert waits == [7, 2]
    answers += [UnavailableError("no")] * 20
    with pytest.raises(UnavailableError):
        ask(busy, waits.append)
    assert len(answers) == 20 - ASKED
    answers[:] = [MisconfiguredError("401")]
    with pytest.raises(MisconfiguredError):
        ask(busy, waits.append)


def test_a_retired_stand_by_is_not_brought_back() -> None:
    case = a_case(systems=(OTHER, SYSTEM), engaged=(OTHER,), retired=(SYSTEM,), record=named("7", OTHER))
    effects = [written("issue1"), written("7", OTHER), note("a")]
    assert faults(SYSTEM, case, effects, [], (), 5) == []
    assert faults(SYSTEM, case, effects, [reference("issue1")], (), 5) == []


def test_a_record_that_was_planned_in_vain_is_a_duplicate_of_the_live_one() -> None:
    case = a_case(systems=(OTHER, SYSTEM), engaged=(OTHER,), record=named("7", OTHER))
    effects = [line(EffectState.SUPERSEDED), written("7", OTHER)]
    (only,) = compare(SYSTEM, case, effects, [reference("issue1")], (), 5)
    assert (only.fault, only.live) == (Fault.DUPLICATE, named("7", OTHER))


def test_a_record_of_nobody_is_listed_and_left_to_a_person() -> None:
    listed = [(reference("issue1"), record_key(CASE, SYSTEM)), (reference("issue2"), "hailback-of-another")]
    (only,) = strangers(SYSTEM, listed, {record_key(CASE, SYSTEM)})
    assert (only.fault, only.reference) == (Fault.STRANGER, reference("issue2"))
    assert mending(only, [], 5) is None


def test_a_lost_record_is_written_once_more_with_its_notes() -> None:
    lost = world(a_case(record=named("issue1")), [written("issue1"), note("a"), note("b")])
    (only,) = lost.differences()
    lost.mend(only)
    assert not [one for one in lost.ledger.effects.values() if one.state is EffectState.DONE]
    lost.work()
    assert list(lost.there.keys.values()) == [record_key(CASE, SYSTEM)]
    assert len(lost.there.notes) == 2
    assert lost.differences() == []


def test_a_mending_that_is_too_late_changes_nothing() -> None:
    stale = world(a_case(), [line(EffectState.PARKED)], 1)
    (only,) = stale.differences()
    change = mending(only, list(stale.ledger.effects.values()), 5)
    stale.ledger.effects[record_id(SYSTEM)] = written("issue1")
    assert change is not None
    with pytest.raises(ConflictError):
        stale.ledger.settle(change.changes)


def test_what_its_worker_did_meanwhile_is_left_as_it_is() -> None:
    (only,) = compare(SYSTEM, a_case(), [line(EffectState.PLANNED)], [reference("issue1")], (), 5)
    assert only.fault is Fault.UNKNOWN_HERE
    assert mending(only, [written("issue1")], 6) is None
    (twin,) = compare(SYSTEM, a_case(), [written("7", OTHER)], [reference("issue1")], (), 5)
    assert twin.fault is Fault.DUPLICATE
    assert mending(twin, [written("issue1"), written("7", OTHER)], 6) is None


@pytest.mark.parametrize("error", [UnavailableError("no"), UnknownOutcomeError("?"), MisconfiguredError("no")])
@pytest.mark.parametrize("place", ["find_note", "add_note", "after add_note", "set_status"])
def test_a_duplicate_is_linked_once_and_closed_whatever_fails(place: str, error: Exception) -> None:
    if place == "after add_note" and not isinstance(error, UnknownOutcomeError):
        error = UnknownOutcomeError("committed, and then no answer")
    twins = world(a_case(record=named("issue1")), [written("issue1")], 2)
    failing = [error]
    twins.there.fault = lambda operation: failing.pop() if operation == place and failing else None
    for _ in range(6):
        for difference in twins.differences():
            twins.mend(difference)
        twins.clock.advance(2000)
    assert twins.differences() == []
    assert twins.there.status == {"issue2": "solved"}
    assert [(name, f"{URL}issue1" in text) for name, _, text in twins.there.notes] == [("issue2", True)]
    assert all(URL + "issue2" not in event.detail.get("live", "") for event in twins.ledger.events)


STATES = st.sampled_from(list(EffectState))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    state = draw(st.none() | STATES)
    effects: list[Effect] = []
    if state is EffectState.DONE:
        effects.append(written(draw(st.sampled_from(["issue1", "issue2", "issue9"]))))
    elif state is not None:
        effects.append(line(state, lease_until=1 if state is EffectState.CLAIMED else None))
    if draw(st.booleans()):
        effects.append(written("7", OTHER))
    notes = [note(name, EffectState.DONE) for name in draw(st.sets(st.sampled_from("abc")))] if state else []
    there = tuple(draw(st.sets(st.sampled_from(notes), max_size=3))) if notes else ()
    record = draw(st.sampled_from([None, named("issue1"), named("7", OTHER)]))
    retired = draw(st.sampled_from([(), (OTHER,), (SYSTEM,)]))
    order = draw(st.sampled_from([(SYSTEM, OTHER), (OTHER, SYSTEM)]))
    case = a_case(record=record, systems=order, retired=retired)
    return world(case, effects + notes, draw(st.integers(0, 3)), there)


@settings(max_examples=400, deadline=None)
@given(worlds())
def test_after_mending_comparing_again_finds_nothing(given_world: World) -> None:
    for _ in range(4):  # what one mending brings to light, such as a note on the record that was adopted
        for difference in given_world.differences():
            given_world.mend(difference)
        given_world.work()
        given_world.clock.advance(10)
    assert given_world.differences() == []
    closed = set(given_world.there.status)
    standing = [name for name in given_world.there.keys if name not in closed]
    assert len(standing) <= 1


def test_a_closed_duplicate_stands_in_for_one_that_is_gone() -> None:
    """Its worker looks the key up and finds the duplicate: that is the case's record then, not one that is missing."""
    twins = world(a_case(record=named("issue2")), [written("issue2")], 2)
    for difference in twins.differences():
        twins.mend(difference)
    assert twins.there.status == {"issue1": "solved"}
    del twins.there.keys["issue2"]
    for _ in range(2):
        for difference in twins.differences():
            twins.mend(difference)
        twins.work()
    assert twins.ledger.effects[record_id(SYSTEM)].reference == "issue1"
    assert twins.case.record == named("issue1")
    assert twins.differences() == []
    assert list(twins.there.keys) == ["issue1"]


def test_events_carry_no_words() -> None:
    twins = world(a_case(record=named("issue1")), [written("issue1")], 2)
    for difference in twins.differences():
        twins.mend(difference)
    events: list[CaseEvent] = twins.ledger.events
    assert [event.detail["reference"] for event in events] == ["issue2"]
