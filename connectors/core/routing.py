"""Which route takes a mention, and what becomes of its case then: opened, counted, raised, or moved to another plan.

Pure. A case keeps the version of the plan that it was routed by, and the route; a later mention that an earlier route
takes raises it: what that route says is added, nothing is taken away. The lines for the timeline name routes, fields
and what a plan expects of them, never what somebody wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from connectors.core import failover
from connectors.core.case import COUNTED, Case, CaseEvent, Happening
from connectors.core.identity import digest
from connectors.core.pattern import Pattern
from connectors.core.pattern_index import Index
from connectors.core.pattern_parse import parse
from connectors.core.plan import Plan, Route, higher
from connectors.core.shadow import Shadows

TOLD = 10
"""Earlier routes of which the timeline says why they did not take a mention."""
MOST_ENGAGED = 10
"""Systems that hold one case at once, however often it is raised: what they are told has to fit into a transaction."""
_LONGEST = 120


class Routing:
    """A plan, compiled: asking it does not become slower with the number of its routes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        patterns = [_pattern(route) for route in plan.routes]
        self._index = Index(patterns)
        self.shadows = Shadows(plan)
        patterns += self.shadows.patterns
        self.asks = any(one is not None for one in patterns)
        """Whether anything is asked of a mention at all."""
        paths = {key.path for one in patterns if one for branch in one.branches for key in branch.keys}
        self.asks_for_person = any(path.startswith("person.") for path in paths)
        self._places = {route.name: place for place, route in reversed([*enumerate(plan.routes)])}

    def first(self, facts: Mapping[str, Any]) -> int:
        """The place of the first route that takes a mention: always one, for the last is the catch-all."""
        found = self._index.first(facts)
        return len(self.plan.routes) - 1 if found is None else found

    def place(self, route: str | None) -> int | None:
        """The place of a route by its name."""
        return self._places.get(route or "")

    def skipped(self, facts: Mapping[str, Any], before: int) -> str:
        """Why routes before this place did not take a mention: a line for each of the first few, `route: field, what
        it should have been`. Nothing of what it was."""
        misses = islice(self._index.misses(facts, before), TOLD)
        lines = [f"{self.plan.routes[place].name}: {miss.path}, {_cut(miss.expected)}" for place, miss in misses]
        if before > len(lines) == TOLD:
            lines.append(f"and {before - TOLD} more")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Step:
    """A case as a decision leaves it, and the line of its timeline that says so."""

    case: Case
    said: CaseEvent


def opened(case: Case, routing: Routing, facts: Mapping[str, Any], now: int, again: int | None = None) -> Step:
    """A case, routed by its first mention; or by a later one, where it was only counted until then (`again`: when the
    systems that join are to be told of what was said before)."""
    place = routing.first(facts)
    route = routing.plan.routes[place]
    after = case.model_copy(
        update={
            "state": case.state if case.state != COUNTED and route.opens else "open" if route.opens else COUNTED,
            "plan_version": routing.plan.version,
            "route": route.name,
            "systems": route.systems,
            "topics": route.topics,
            "engaged": route.systems[:1],
            "joined": (),
            "fail_over_after": route.fail_over_after,
            "labels": _union(case.labels, route.labels),
            "priority": higher(case.priority, route.priority),
            "coalesce": route.coalesce,
        }
    )
    detail = {"route": route.name, "plan": routing.plan.version}
    if not route.opens:
        detail["counted"] = "true"
    if skipped := routing.skipped(facts, place):
        detail["skipped"] = skipped
    if again is not None and route.systems:
        detail["system"] = route.systems[0]
    return Step(after, _line(after, Happening.ROUTED, now, detail, again if "system" in detail else None))


def raised(
    case: Case, routing: Routing, facts: Mapping[str, Any], now: int, again: int, mention: str = ""
) -> Step | None:
    """A case that an earlier route of its own plan takes; None where it stays as it is. `again`: as for `opened`."""
    place, own = routing.first(facts), routing.place(case.route)
    route = routing.plan.routes[place]
    if own is None or place >= own or not route.opens:
        return None
    after = _joined(case, route).model_copy(
        update={
            "route": route.name,
            "topics": _union(case.topics, route.topics),
            "labels": _union(case.labels, route.labels),
            "priority": higher(case.priority, route.priority),
        }
    )
    detail = {"route": route.name, "from": case.route or "", "mention": mention}
    if skipped := routing.skipped(facts, place):
        detail["skipped"] = skipped
    return Step(after, _news(case, after, Happening.RAISED, now, again, detail))


def fallen(case: Case, pinned: Plan | None, active: Plan, gone: frozenset[str], now: int, again: int) -> Step | None:
    """A case of which a system is gone: it goes on under the route of the same name of the plan in force, else under
    the catch-all. None where that opens no case. `pinned` is the plan that it was routed by."""
    route = active.named(case.route)
    route = route if route is not None and route.opens else active.routes[-1]
    if not route.opens:
        return None
    held = tuple(name for name in failover.engaged(case) if name not in gone)
    before = case.model_copy(
        update={
            "systems": tuple(name for name in case.systems if name not in gone) if held else (),
            "engaged": held,
            "joined": tuple(name for name in case.joined if name not in gone),
            "retired": _union(case.retired, tuple(sorted(gone))),
        }
    )
    after = _joined(before, route).model_copy(
        update={
            "plan_version": active.version,
            "route": route.name,
            "topics": _union(case.topics, route.topics),
            "labels": _union(case.labels, route.labels),
            "priority": higher(case.priority, route.priority),
            "fail_over_after": route.fail_over_after,
            "coalesce": route.coalesce,
        }
    )
    detail = {"route": route.name, "from": case.route or "", "plan": active.version, "gone": ", ".join(sorted(gone))}
    if pinned is not None:
        detail["before"] = pinned.version
    return Step(after, _news(before, after, Happening.REROUTED, now, again, detail))


def topics_in_force(case: Case, active: Plan | None) -> tuple[str, ...]:
    """Who would be told of a case by the plan in force: by the route of the same name, else by the catch-all."""
    if active is None:
        return ()
    route = active.named(case.route)
    return (route if route is not None and route.opens else active.routes[-1]).topics


def gone(case: Case, pinned: Plan | None, active: Plan) -> frozenset[str]:
    """Systems that hold a case and that the plan in force does not know, also not under another name. Whether they were
    deleted, or only dropped from the routes, their pointers tell."""
    known = {(one.connector, str(sorted(one.settings.items()))) for one in active.systems.values()}
    missing = set()
    for name in failover.engaged(case):
        old = pinned.systems.get(name) if pinned else None
        moved = old is not None and (old.connector, str(sorted(old.settings.items()))) in known
        if name not in active.systems and not moved:
            missing.add(name)
    return frozenset(missing)


def _joined(case: Case, route: Route) -> Case:
    """The case, held by the route's first system as well, with the others as its stand-bys. One that handed the case
    back before is not asked again."""
    if not route.systems:
        return case
    head, engaged = route.systems[0], failover.engaged(case)
    heads = (*case.systems[:1], *case.joined)
    if head in case.retired:
        return case
    if head in engaged and head in heads:  # it has the case already: further stand-bys go behind those it has
        peers = failover.peers(case, head)
        end = failover.rank(case, peers[-1]) + 1
        more = tuple(name for name in route.systems if name not in (*case.systems, *case.retired))
        return case.model_copy(update={"systems": (*case.systems[:end], *more, *case.systems[end:])})
    if len(engaged) >= MOST_ENGAGED and head not in engaged:
        return case
    kept = tuple(name for name in case.systems if name != head)
    mine = tuple(name for name in route.systems if name not in (*kept, *case.retired))
    return case.model_copy(
        update={
            "systems": (*kept, *mine),
            "joined": (*case.joined, head) if kept else (),
            "engaged": engaged if head in engaged else (*engaged, head),
        }
    )


def _news(before: Case, after: Case, kind: Happening, now: int, again: int, detail: dict[str, str]) -> CaseEvent:
    """What is new, on the timeline; looked at again where a system has to be told what was said before."""
    joining = [name for name in after.engaged if name not in failover.engaged(before)]
    found = {
        "system": ", ".join(joining),
        "topics": ", ".join(name for name in after.topics if name not in before.topics),
        "labels": ", ".join(name for name in after.labels if name not in before.labels),
        "priority": after.priority or "" if after.priority != before.priority else "",
    }
    told = {name: value for name, value in found.items() if value}
    return _line(after, kind, now, {**detail, **told}, again if joining else None)


def news(before: Case, after: Case) -> str:
    """What a raised case says in the records that it has already."""
    more = [name for name in after.labels if name not in before.labels]
    lines = [
        f"This case was raised: route {after.route} takes it now (before: {before.route}).",
        f"Priority: {after.priority}" if after.priority != before.priority else "",
        f"Labels: {', '.join(more)}" if more else "",
    ]
    return "\n".join(line for line in lines if line)


def _line(case: Case, kind: Happening, now: int, detail: dict[str, str], due_at: int | None) -> CaseEvent:
    name = digest(kind, case.plan_version or "", case.route or "", str(now))
    return CaseEvent(case=case.id, id=name, kind=kind, at=now, detail=detail, due_at=due_at)


def _pattern(route: Route) -> Pattern | None:
    return None if route.when is None else parse(route.when)


def _union(some: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*some, *more)))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
