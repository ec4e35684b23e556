"""What follows from an event on a case: the effects it plans and who is woken to carry them out.

Pure decisions over the store's port. Routing happens here, not when a post is taken in, so that a post that arrives
while no plan is active is kept and routed once there is one. So are later posts of a case: they may raise it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from connectors.core import failover, routing
from connectors.core.case import (
    COUNTED,
    OUTSIDE,
    Case,
    CaseEvent,
    Effect,
    EffectKind,
    EffectState,
    Happening,
    note_id,
    notify_id,
    raised_id,
    remark_id,
    reply_id,
    status_id,
)
from connectors.core.errors import ConflictError
from connectors.core.facts import Facts
from connectors.core.ledger import Pace
from connectors.core.router import MOST, Decided, Plans, Router

__all__ = ["MOST", "Bells", "CaseStore", "Dispatcher", "Plans"]

_TRIES = 5
_GATHERED = frozenset(
    {
        Happening.SAID,
        Happening.ANSWERED_THERE,
        Happening.EDITED,
        Happening.REWORDED,
        Happening.DELETED,
        Happening.RESTORED,
    },
)
_JOINS = frozenset({Happening.FAILED_OVER, Happening.ROUTED, Happening.RAISED, Happening.REROUTED})
"""After these a system may have to be told what was said before."""
_SAME_MOMENT = 1_000
"""Milliseconds: systems of record tell the time by the second."""


class CaseStore(Protocol):
    """What dispatching reads and writes."""

    def case(self, case: str) -> Case | None: ...

    def timeline(self, case: str) -> Iterator[CaseEvent]:
        """Everything that happened, oldest first."""
        ...

    def known(self, effects: Sequence[Effect]) -> set[str]:
        """The ids of those that the ledger has already."""
        ...

    def plan(
        self,
        case: Case,
        events: Sequence[CaseEvent],
        effects: Sequence[Effect],
        said: Sequence[CaseEvent] = (),
        before: Case | None = None,
    ) -> None:
        """In one transaction: the effects, each absent before; the events no longer due; new lines of the timeline;
        and, where `before` is given, the case as it is routed now, if it is still routed as it was before.

        Raises ConflictError when another was faster with any of these."""
        ...

    def facts(self, case: Case, mention: str, person: bool) -> Facts | None:
        """What a route can ask of a mention; None for one that is not known, or was removed, or is our own. `person`:
        whether it is asked who said it."""
        ...

    def asked(self, case: str, until: int) -> str | None:
        """The post that a public answer of that time (milliseconds) is for: the newest of a customer that was there by
        then, or an earlier one of the same person where only that may be answered. None: as good as the first."""
        ...

    def place(self, case: Case, mention: str) -> str:
        """The source at which this post of the case is answered: the case's own, but for a conversation that joined."""
        ...

    def undispatched(self, events: Sequence[CaseEvent]) -> list[CaseEvent]:
        """Those of the events that are still waiting."""
        ...

    def postpone(self, event: CaseEvent, until: int) -> None:
        """Have the event looked at again at `until` milliseconds, unless it is dispatched by then."""
        ...


class Bells(Protocol):
    """Wakes workers. A bell that is rung twice does no harm; one that is lost is made up for by the *due* index."""

    def ring(self, effects: Iterable[Effect]) -> None: ...


class Dispatcher:
    """Turns events into planned effects, once each."""

    def __init__(self, store: CaseStore, plans: Plans, bells: Bells, pace: Pace) -> None:
        self._store, self._bells, self._pace = store, bells, pace
        self._router = Router(plans, store.facts, int(pace.doorbell * 1000))

    def dispatch(self, events: Sequence[CaseEvent], now: int) -> int:
        """Plan what follows from these events of *one* case and wake the workers; how many effects were planned.

        At most `MOST` events. The same one twice, as a stream may bring it, counts once."""
        unique = {event.id: event for event in events}.values()
        planned = self._dispatch([event for event in unique if event.kind in OUTSIDE], now)
        for event in unique:
            if event.kind in _JOINS and event.due_at is not None:
                planned += self._catch_up(event, now)
        return planned

    def _dispatch(self, waiting: list[CaseEvent], now: int) -> int:
        planned = tries = 0
        while waiting and tries < _TRIES:
            case = self._store.case(waiting[0].case)
            decided = self._router.decide(case, waiting, now) if case is not None else None
            if decided is None:
                for event in waiting:
                    self._store.postpone(event, now + int(self._pace.doorbell * 1000))
                return planned
            decided, effects = self._effects(decided, now)
            changed = decided.before if decided.case != decided.before else None
            try:
                self._store.plan(decided.case, decided.events, effects, decided.said, changed)
            except ConflictError:
                waiting = self._store.undispatched(waiting)
                tries += 1
                continue
            self._bells.ring(one for one in effects if not one.state.final and (one.retry_at or 0) <= now)
            planned += len(effects)
            waiting = waiting[len(decided.events) :]
        return planned

    def _effects(self, decided: Decided, now: int) -> tuple[Decided, list[Effect]]:
        """What is planned; with when the posts are told that are gathered, should that begin now."""
        case = decided.case
        systems = failover.engaged(case)
        wanted = _unique(
            self._opening(decided.before, case, now),
            self._raising(decided.lower, case, now),
            self._following(case, decided.events, systems, now),
        )
        effects = self._unknown(wanted)
        if case.coalesce <= 0 or case.state == COUNTED:
            return decided, effects
        gathered = {one.id for one in effects if one.happening in _GATHERED and one.mention != decided.urgent}
        if not gathered:
            return decided, effects
        until = case.gather_until if case.gather_until > now else now + int(case.coalesce * 1000)
        wait = {"due_at": until, "retry_at": until}
        effects = [one.model_copy(update=wait) if one.id in gathered else one for one in effects]
        return replace(decided, case=case.model_copy(update={"gather_until": until})), effects

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

    # ---- what follows

    def _opening(self, before: Case, case: Case, now: int) -> Iterator[Effect]:
        """What every case has: a record in its first system, and in those that have joined; a topic that is told."""
        held = failover.engaged(case)
        for system in (*held[:1], *(name for name in held if name not in failover.engaged(before))):
            yield failover.planned_record(case, system, now, self._due(now))
        for topic in case.topics[:1]:
            yield self._notification(case, notify_id(topic, Happening.OPENED), topic, now)

    def _raising(self, lower: Case | None, case: Case, now: int) -> Iterator[Effect]:
        """What follows from a case being raised: the topic of the new route is told, unless it was told of the case
        before, and whoever works on its records."""
        route = self._router.route(case) if lower is not None else None
        if lower is None or route is None:
            return
        for topic in route.topics[:1]:
            if topic not in lower.topics[:1]:
                told = self._notification(case, notify_id(topic, Happening.RAISED, route.name), topic, now)
                yield told.model_copy(update={"audience": route.topics})
        for system in failover.engaged(lower):
            yield Effect(
                case=case.id,
                id=raised_id(system, route.name),
                kind=EffectKind.NOTE,
                target=system,
                planned_at=now,
                due_at=self._due(now),
                happening=Happening.RAISED,
                words=routing.news(lower, case),
            )

    def _notification(self, case: Case, name: str, topic: str, now: int) -> Effect:
        return Effect(
            case=case.id, id=name, kind=EffectKind.NOTIFY, target=topic, planned_at=now, due_at=self._due(now)
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
            asked = self._store.asked(case.id, _when(event) + _SAME_MOMENT)
            where = self._store.place(case, asked) if asked else case.source
            answer = self._effect(event, EffectKind.REPLY, reply_id(case.source, update), where, now)
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
