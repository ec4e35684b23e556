"""What follows from an event on a case: the effects it plans and who is woken to carry them out.

Pure decisions over the store's port. Routing happens here, not when a post is taken in, so that a post that arrives
while no plan is active is kept and routed once there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from connectors.core import failover
from connectors.core.case import (
    OUTSIDE,
    Case,
    CaseEvent,
    Effect,
    EffectKind,
    EffectState,
    Happening,
    note_id,
    notify_id,
    remark_id,
    reply_id,
    status_id,
)
from connectors.core.errors import ConflictError
from connectors.core.ledger import Pace
from connectors.core.plan import Plan, Route

_TRIES = 5
MOST = 40
"""Events of one case that are dispatched at once."""
_SAME_MOMENT = 1_000
"""Milliseconds: systems of record tell the time by the second."""
_FIT = 94
"""Events and what they plan, in one transaction of the table: it takes 100 items, some of which are the case's own."""


class CaseStore(Protocol):
    """What dispatching reads and writes."""

    def case(self, case: str) -> Case | None: ...

    def timeline(self, case: str) -> Iterator[CaseEvent]:
        """Everything that happened, oldest first."""
        ...

    def known(self, effects: Sequence[Effect]) -> set[str]:
        """The ids of those that the ledger has already."""
        ...

    def plan(self, case: Case, events: Sequence[CaseEvent], effects: Sequence[Effect]) -> None:
        """In one transaction: the effects, each absent before; the case's route; the events no longer due.

        Raises ConflictError when one of the events was dispatched, or one of the effects planned, by another."""
        ...

    def asked(self, case: str, until: int) -> str | None:
        """The post that a public answer of that time (milliseconds) is for: the newest of a customer that was there by
        then, or an earlier one of the same person where only that may be answered. None: as good as the first."""
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
        unique = {event.id: event for event in events}.values()
        outside = [event for event in unique if event.kind in OUTSIDE]
        planned = 0
        while outside:
            case = self._store.case(outside[0].case)
            share = _FIT // (3 + len(failover.engaged(case)) if case else 1)
            planned += self._dispatch(outside[:share], now)
            outside = outside[share:]
        for event in unique:
            if event.kind is Happening.FAILED_OVER and event.due_at is not None:
                planned += self._catch_up(event, now)
        return planned

    def _dispatch(self, waiting: list[CaseEvent], now: int) -> int:
        for _ in range(_TRIES):
            if not waiting:
                return 0
            case = self._store.case(waiting[0].case)
            routed = case and self._routed(case)
            if routed is None:
                for event in waiting:
                    self._store.postpone(event, now + int(self._pace.doorbell * 1000))
                return 0
            systems = failover.engaged(routed)
            wanted = _unique(self._opening(routed, now), self._following(routed, waiting, systems, now))
            effects = self._unknown(wanted)
            try:
                self._store.plan(routed, waiting, effects)
            except ConflictError:
                waiting = self._store.undispatched(waiting)
                continue
            self._bells.ring(effect for effect in effects if not effect.state.final)
            return len(effects)
        return 0

    def _catch_up(self, joined: CaseEvent, now: int) -> int:
        """Plan for a system that has just joined what happened before, in as many transactions as it takes; only then
        is the event that says so dispatched. Any part of it may be done twice."""
        case = self._store.case(joined.case)
        if case is None:
            return 0
        system, planned = joined.detail.get("system", ""), 0
        if system in failover.engaged(case):
            earlier = [event for event in self._store.timeline(case.id) if event.kind in OUTSIDE]
            for start in range(0, len(earlier), MOST):
                wanted = self._following(case, earlier[start : start + MOST], (system,), now)
                planned += self._plan_more(case, [effect for effect in _unique(wanted) if effect.target == system])
        for _ in range(_TRIES):
            try:
                self._store.plan(case, self._store.undispatched([joined]), [])
            except ConflictError:
                continue
            break
        return planned

    def _plan_more(self, case: Case, wanted: Sequence[Effect]) -> int:
        for _ in range(_TRIES):
            effects = self._unknown(wanted)
            if not effects:
                return 0
            try:
                self._store.plan(case, [], effects)
            except ConflictError:
                continue
            self._bells.ring(effect for effect in effects if not effect.state.final)
            return len(effects)
        raise ConflictError(f"{case.id}: others kept planning the same effects")

    def _unknown(self, wanted: Sequence[Effect]) -> list[Effect]:
        known = self._store.known(wanted)
        return [effect for effect in wanted if effect.id not in known]

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
                "engaged": route.systems[:1],
                "fail_over_after": route.fail_over_after,
            },
        )

    def _opening(self, case: Case, now: int) -> Iterator[Effect]:
        """What every case has: a record in its first system, and a topic that is told."""
        due = self._due(now)
        for system in case.systems[:1]:
            yield failover.planned_record(case, system, now, due)
        for topic in case.topics[:1]:
            yield Effect(
                case=case.id,
                id=notify_id(topic, Happening.OPENED),
                kind=EffectKind.NOTIFY,
                target=topic,
                planned_at=now,
                due_at=due,
            )

    def _following(self, case: Case, events: Sequence[CaseEvent], systems: Sequence[str], now: int) -> Iterator[Effect]:
        """What systems are told of events; never of what was done there."""
        for event in events:
            if event.kind is Happening.REOPENED:
                for system in systems:
                    move = self._effect(event, EffectKind.STATUS, status_id(system, event.id), system, now)
                    yield move.model_copy(update={"status": "open", "planned_at": _when(event)})
            elif event.update is not None:
                yield from self._passed_on(case, event, event.update, systems, now)
            elif event.mention is not None and event.version is not None:
                for system in systems:
                    name = note_id(system, event.mention, event.kind, event.version)
                    yield self._effect(event, EffectKind.NOTE, name, system, now)

    def _passed_on(
        self, case: Case, event: CaseEvent, update: str, systems: Sequence[str], now: int
    ) -> Iterator[Effect]:
        origin = event.detail.get("system", "")
        others = [system for system in systems if system != origin]
        if event.kind is Happening.MOVED:
            status = event.detail.get("status", "open")
            if not self._in_time(case, event, origin):
                return
            said = {"status": status, "update": update, "planned_at": _when(event)}
            for system in others:
                move = self._effect(event, EffectKind.STATUS, status_id(system, update), system, now)
                yield move.model_copy(update=said)
            # What people did there themselves, for the order of changes: a line that nobody has to carry out.
            own = self._effect(event, EffectKind.STATUS, status_id(origin, update), origin, now)
            done = {"state": EffectState.DONE, "due_at": None, "done_at": event.at}
            yield own.model_copy(update={**said, **done})
            return
        for system in others:
            wish = self._effect(event, EffectKind.NOTE, remark_id(system, update), system, now)
            yield wish.model_copy(update={"update": update})
        if event.kind is Happening.ANSWERED and self._in_time(case, event, origin):
            answer = self._effect(event, EffectKind.REPLY, reply_id(case.source, update), case.source, now)
            asked = self._store.asked(case.id, _when(event) + _SAME_MOMENT)
            yield answer.model_copy(update={"update": update, "mention": asked})

    def _in_time(self, case: Case, event: CaseEvent, origin: str) -> bool:
        """Whether it was done on a record that was in use: a stand-by's is until the case is handed back. What was
        done before and is heard of later still counts."""
        if origin not in case.retired:
            return True
        return any(
            _when(event) <= past.at
            for past in self._store.timeline(case.id)
            if past.kind is Happening.HANDED_BACK and past.detail.get("system") == origin
        )

    def _effect(self, event: CaseEvent, kind: EffectKind, name: str, target: str, now: int) -> Effect:
        return Effect(
            case=event.case,
            id=name,
            kind=kind,
            target=target,
            planned_at=event.at,
            due_at=self._due(now),
            mention=event.mention,
            version=event.version,
            happening=event.kind,
        )

    def _due(self, now: int) -> int:
        return now + int(self._pace.doorbell * 1000)


def _when(event: CaseEvent) -> int:
    """When people did it, which may be a while before we heard of it."""
    at = event.detail.get("at", "")
    return int(at) if at.isdecimal() else event.at


def _unique(*parts: Iterable[Effect]) -> list[Effect]:
    """The first of each name, in order."""
    found: dict[str, Effect] = {}
    for part in parts:
        for effect in part:
            found.setdefault(effect.id, effect)
    return list(found.values())
