"""What follows from events: decided once, whatever races, whatever is missing."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.core.case import Case, CaseEvent, Effect, Happening
from connectors.core.dispatch import Dispatcher
from connectors.core.errors import ConflictError
from connectors.core.facts import Facts
from connectors.core.ledger import Pace
from tests.core.sync_bench import CASE
from tests.store.shop import Plans, Rung

NEW = CASE.model_copy(update={"plan_version": None, "systems": (), "topics": ()})


class Store:
    """One case; `conflicts` of the next plans are lost to somebody else."""

    def __init__(self, case: Case | None, conflicts: int = 0, taken: bool = False) -> None:
        self.kept, self.conflicts, self.taken = case, conflicts, taken
        self.planned: list[Effect] = []
        self.postponed: list[int] = []

    def case(self, case: str) -> Case | None:
        return self.kept

    def known(self, effects: Sequence[Effect]) -> set[str]:
        return {effect.id for effect in self.planned}

    def facts(self, case: Case, mention: str, person: bool) -> Facts | None:
        return {}

    def plan(
        self,
        case: Case,
        events: Sequence[CaseEvent],
        effects: Sequence[Effect],
        said: Sequence[CaseEvent] = (),
        before: Case | None = None,
    ) -> None:
        assert len(effects) + len(events) + len(said) + 1 <= 100, "more than a transaction takes"
        if self.conflicts:
            self.conflicts -= 1
            raise ConflictError
        self.planned += effects

    def asked(self, case: str, until: int) -> str | None:
        return None

    def place(self, case: Case, mention: str) -> str:
        return case.source

    def undispatched(self, events: Sequence[CaseEvent]) -> list[CaseEvent]:
        return [] if self.taken else list(events)

    def postpone(self, event: CaseEvent, until: int) -> None:
        self.postponed.append(until)


def event(number: int, kind: Happening = Happening.SAID) -> CaseEvent:
    return CaseEvent(case="case-1", id=f"e{number}", kind=kind, at=number, mention=f"post:{number}", version=1)


def dispatch(store: Store, events: list[CaseEvent], *, active: bool = True) -> tuple[int, Rung]:
    rung = Rung()
    return Dispatcher(store, Plans(active), rung, Pace()).dispatch(events, 1_000_000), rung


def test_forty_new_events_fit_into_one_transaction() -> None:
    store = Store(NEW)
    assert dispatch(store, [event(number) for number in range(40)])[0] == 42


def test_notes_keep_the_order_of_their_events() -> None:
    store = Store(NEW)
    dispatch(store, [event(number) for number in range(5)])
    notes = [effect for effect in store.planned if effect.kind == "note"]
    assert [note.planned_at for note in notes] == [0, 1, 2, 3, 4]


def test_two_kinds_of_edit_with_the_same_number_are_two_notes() -> None:
    store = Store(NEW)
    dispatch(store, [event(1, Happening.EDITED), event(1, Happening.REWORDED).model_copy(update={"id": "other"})])
    assert len([effect for effect in store.planned if effect.kind == "note"]) == 2


def test_what_hailback_itself_did_plans_nothing() -> None:
    store = Store(NEW)
    inside = [Happening.RECORDED, Happening.NOTED, Happening.NOTIFIED, Happening.REFUSED, Happening.DELAYED]
    assert dispatch(store, [event(number, kind) for number, kind in enumerate(inside)])[0] == 0
    assert store.planned == []


def test_a_lost_race_is_decided_again() -> None:
    store = Store(NEW, conflicts=2)
    planned, rung = dispatch(store, [event(1)])
    assert (planned, len(rung.effects)) == (3, 3)


def test_what_another_dispatched_is_left_alone() -> None:
    planned, rung = dispatch(Store(NEW, conflicts=1, taken=True), [event(1)])
    assert (planned, rung.effects) == (0, [])


def test_a_race_without_end_is_left_to_the_sweep() -> None:
    planned, rung = dispatch(Store(NEW, conflicts=99), [event(1)])
    assert (planned, rung.effects) == (0, [])


def test_without_a_case_or_a_plan_events_wait_their_turn() -> None:
    for store, active in ((Store(None), True), (Store(NEW), False)):
        assert dispatch(store, [event(1), event(2)], active=active)[0] == 0
        assert store.postponed == [1_060_000, 1_060_000]


def test_a_case_that_is_routed_stays_where_it_is_without_a_plan() -> None:
    store = Store(CASE)
    assert dispatch(store, [event(1)], active=False)[0] == 2
