"""What follows from an event on a case: the effects it plans and who is woken to carry them out.

Pure decisions over the store's port. Routing happens here, not when a post is taken in, so that a post that arrives
while no plan is active is kept and routed once there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from connectors.core.case import (
    OUTSIDE,
    Case,
    CaseEvent,
    Effect,
    EffectKind,
    Happening,
    note_id,
    notify_id,
    record_id,
)
from connectors.core.errors import ConflictError
from connectors.core.ledger import Pace
from connectors.core.plan import Plan, Route

_TRIES = 5
MOST = 40
"""Events of one case that are dispatched at once: with what they plan they must fit into one transaction."""


class CaseStore(Protocol):
    """What dispatching reads and writes."""

    def case(self, case: str) -> Case | None: ...

    def known(self, effects: Sequence[Effect]) -> set[str]:
        """The ids of those that the ledger has already."""
        ...

    def plan(self, case: Case, events: Sequence[CaseEvent], effects: Sequence[Effect]) -> None:
        """In one transaction: the effects, each absent before; the case's route; the events no longer due.

        Raises ConflictError when one of the events was dispatched, or one of the effects planned, by another."""
        ...

    def undispatched(self, events: Sequence[CaseEvent]) -> list[CaseEvent]:
        """Those of the events that are still waiting."""
        ...

    def postpone(self, event: CaseEvent, until: int) -> None:
        """Have the event looked at again at `until` milliseconds, unless it is dispatched by then."""
        ...


class Plans(Protocol):
    """Where plans come from."""

    def active_plan(self) -> Plan | None: ...


class Bells(Protocol):
    """Wakes workers. A bell that is rung twice does no harm; one that is lost is made up for by the *due* index."""

    def ring(self, effects: Iterable[Effect]) -> None: ...


class Dispatcher:
    """Turns events into planned effects, once each."""

    def __init__(self, store: CaseStore, plans: Plans, bells: Bells, pace: Pace) -> None:
        self._store, self._plans, self._bells, self._pace = store, plans, bells, pace

    def dispatch(self, events: Sequence[CaseEvent], now: int) -> int:
        """Plan what follows from these events of *one* case and wake the workers; how many effects were planned.

        At most `MOST` events. The same one twice, as a stream may bring it, counts once."""
        waiting = list({event.id: event for event in events if event.kind in OUTSIDE}.values())
        for _ in range(_TRIES):
            if not waiting:
                return 0
            case = self._store.case(waiting[0].case)
            routed = case and self._routed(case)
            if routed is None:
                for event in waiting:
                    self._store.postpone(event, now + int(self._pace.doorbell * 1000))
                return 0
            wanted = list(self._wanted(routed, waiting, now))
            known = self._store.known(wanted)
            effects = [effect for effect in wanted if effect.id not in known]
            try:
                self._store.plan(routed, waiting, effects)
            except ConflictError:
                waiting = self._store.undispatched(waiting)
                continue
            self._bells.ring(effects)
            return len(effects)
        return 0

    def _routed(self, case: Case) -> Case | None:
        if case.routed:
            return case
        plan = self._plans.active_plan()
        if plan is None:
            return None
        route: Route = plan.route(None)
        return case.model_copy(
            update={
                "plan_version": plan.version,
                "route": route.name,
                "systems": route.systems,
                "topics": route.topics,
            },
        )

    def _wanted(self, case: Case, events: Sequence[CaseEvent], now: int) -> Iterable[Effect]:
        due = now + int(self._pace.doorbell * 1000)
        seen: set[str] = set()

        def effect(kind: EffectKind, effect_id: str, target: str, event: CaseEvent | None = None) -> Iterable[Effect]:
            if effect_id in seen:
                return
            seen.add(effect_id)
            yield Effect(
                case=case.id,
                id=effect_id,
                kind=kind,
                target=target,
                planned_at=event.at if event else now,
                due_at=due,
                mention=event.mention if event else None,
                version=event.version if event else None,
                happening=event.kind if event else None,
            )

        for system in case.systems[:1]:
            yield from effect(EffectKind.RECORD, record_id(system), system)
            for event in events:
                if event.mention is not None and event.version is not None:
                    name = note_id(system, event.mention, event.kind, event.version)
                    yield from effect(EffectKind.NOTE, name, system, event)
        for topic in case.topics[:1]:
            yield from effect(EffectKind.NOTIFY, notify_id(topic, Happening.OPENED), topic)
