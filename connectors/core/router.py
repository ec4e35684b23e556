"""How far a case is brought in one transaction: which events are dispatched, and what their posts make of the case.

Pure decisions over ports. Plans are compiled once and kept while they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from connectors.core import failover, routing
from connectors.core.case import COUNTED, Case, CaseEvent, Happening
from connectors.core.facts import Facts
from connectors.core.plan import Plan, Route, SystemConfig
from connectors.core.routing import Routing

MOST = 40
"""Events of one case that are dispatched at once."""
_FIT = 100
"""Items of one transaction of the table."""
_BESIDE = 9
"""Of these, what is not about a single event: the case, up to three lines of its timeline, two records, two topics."""
_MARKS = 4
"""Rows that name the open notes of one system (`connectors.aws.open_notes.SLOTS`)."""
_KEPT = 8
"""Plans that are kept compiled: that in force, and those of the cases that have posts now."""


class Plans(Protocol):
    """Where plans come from."""

    def active_plan(self) -> Plan | None: ...

    def plan(self, version: str) -> Plan | None:
        """A plan by its version, in force or not."""
        ...

    def system(self, name: str) -> SystemConfig | None:
        """A system by id; None for one that was deleted."""
        ...


@dataclass(frozen=True, slots=True)
class Decided:
    """What one transaction does: the case before and after, the events that are dispatched, the lines that
    are new."""

    before: Case
    case: Case
    events: tuple[CaseEvent, ...]
    said: tuple[CaseEvent, ...] = ()
    urgent: str | None = None
    """The post that raised the case, or opened it: it is told at once."""
    lower: Case | None = None
    """The case before it was raised."""


class Router:
    """`facts`: see `connectors.core.dispatch.CaseStore.facts`. `grace` is in milliseconds: how long a line of the
    timeline that has to be looked at again waits for the stream."""

    def __init__(self, plans: Plans, facts: Callable[[Case, str, bool], Facts | None], grace: int) -> None:
        self._plans, self._facts, self._grace = plans, facts, grace
        self._compiled: dict[str, Routing] = {}

    def route(self, case: Case) -> Route | None:
        """The route that a case has, of its own plan."""
        plan = self._plans.plan(case.plan_version or "")
        place = self._routing(plan).place(case.route) if plan is not None else None
        return plan.routes[place] if plan is not None and place is not None else None

    def decide(self, case: Case, waiting: Sequence[CaseEvent], now: int) -> Decided | None:
        """How far the case is to be brought in one transaction: to the first event that raises it. None without a
        plan."""
        before, lower, urgent, again = case, None, None, now + self._grace
        said: list[CaseEvent] = []
        lasting = self._shadows()
        if case.routed:
            step = self._moved(case, now, again)
            case, said = (step.case, [step.said]) if step is not None else (case, said)
        else:
            case, said = self._routed(case, now, lasting)
        if not case.routed:
            return None
        events: list[CaseEvent] = []
        for event in waiting[: share(len(failover.engaged(case)) + 1, 2 * len(lasting))]:
            events.append(event)
            lifted = self._lifted(case, event, now, again)
            if lifted is not None:
                lower = case if lifted.said.kind is Happening.RAISED else None
                case, urgent = lifted.case, event.mention
                said.append(lifted.said)
            case, lines = self._shadowed(case, event, now, lasting) if lasting else (case, [])
            said += lines
            if lifted is not None or lines:
                break
        return Decided(before, case, tuple(events), tuple(said), urgent, lower)

    def _routed(self, case: Case, now: int, lasting: frozenset[str]) -> tuple[Case, list[CaseEvent]]:
        plan = self._plans.active_plan()
        if plan is None:
            return case, []
        compiled = self._routing(plan)
        asked = self._facts(case, case.first_mention, compiled.asks_for_person) if compiled.asks else None
        step = routing.opened(case, compiled, asked or {}, now)
        if not asked or not lasting:
            return step.case, [step.said]
        place = compiled.place(step.case.route) or 0
        case, lines = compiled.shadows.told(step.case, asked, place, case.first_mention, now, lasting)
        return case, [step.said, *lines]

    def _shadows(self) -> frozenset[str]:
        """The plans beside the base whose effects are off now."""
        active = self._plans.active_plan()
        return frozenset(one.id for one in active.shadows) if active is not None else frozenset()

    def _shadowed(
        self, case: Case, event: CaseEvent, now: int, lasting: frozenset[str]
    ) -> tuple[Case, list[CaseEvent]]:
        """What shadows of the case's own plan would have made of a later post."""
        plan = self._plans.plan(case.plan_version or "")
        if plan is None or not plan.shadows or not _later(case, event):
            return case, []
        compiled, mention = self._routing(plan), event.mention or ""
        facts, own = self._facts(case, mention, compiled.asks_for_person), compiled.place(case.route)
        if facts is None or own is None:
            return case, []
        place = min(own, compiled.first(facts))
        return compiled.shadows.told(case, facts, place, mention, now, lasting, again=True)

    def _lifted(self, case: Case, event: CaseEvent, now: int, again: int) -> routing.Step | None:
        """What a new post makes of its case: one that was only counted may be opened, another one raised."""
        if event.mention is None or not _later(case, event):
            return None
        counted = case.state == COUNTED
        plan = (self._plans.active_plan() if counted else None) or self._plans.plan(case.plan_version or "")
        if plan is None or (not counted and plan.routes[0].name == case.route):
            return None
        compiled = self._routing(plan)
        facts = self._facts(case, event.mention, compiled.asks_for_person)
        if facts is None:
            return None
        if not counted:
            return routing.raised(case, compiled, facts, now, again, event.mention)
        step = routing.opened(case, compiled, facts, now, again)
        return step if step.case.state != COUNTED else None

    def _moved(self, case: Case, now: int, again: int) -> routing.Step | None:
        """A case of which a system was deleted goes on under the plan in force."""
        active = self._plans.active_plan()
        if active is None or active.version == case.plan_version:
            return None
        pinned = self._plans.plan(case.plan_version or "")
        missing = {name for name in routing.gone(case, pinned, active) if self._plans.system(name) is None}
        return routing.fallen(case, pinned, active, frozenset(missing), now, again) if missing else None

    def _routing(self, plan: Plan) -> Routing:
        found = self._compiled.pop(plan.version, None) or Routing(plan)
        self._compiled[plan.version] = found  # the last one used is the last
        while len(self._compiled) > _KEPT:
            del self._compiled[next(iter(self._compiled))]
        return found


def _later(case: Case, event: CaseEvent) -> bool:
    """Whether it is a post of somebody, and not the first."""
    return event.kind is Happening.SAID and event.mention is not None and event.mention != case.first_mention


def share(systems: int, lines: int = 0) -> int:
    """Events of a case that so many systems hold that fit into one transaction, with all that they plan: each is no
    longer due, has a note or a status for each system, and may be answered. `lines`: further ones of the timeline."""
    room = _FIT - _BESIDE - lines
    fitting = (
        count for count in range(MOST, 1, -1) if (count + 1) * (2 + systems) + min(_MARKS, count) * systems <= room
    )
    return next(fitting, 1)
