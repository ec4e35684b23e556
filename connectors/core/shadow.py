"""What plans beside the base would have done whose effects are off: a line on the case's timeline, and nothing else.

A shadow takes no mention; the routes behind it do, as if it were not there. Of each post the timeline says once by
which of its routes such a plan would have opened a case, or raised it. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from connectors.core.case import Case, CaseEvent, Happening
from connectors.core.identity import digest
from connectors.core.pattern import Pattern
from connectors.core.pattern_index import Index
from connectors.core.pattern_parse import parse
from connectors.core.plan import Beside, Plan, Route


class Shadows:
    """The shadows of one plan, compiled."""

    def __init__(self, plan: Plan) -> None:
        self._known = plan.shadows
        self.patterns: list[Pattern | None] = []
        self._indexes: list[tuple[Beside, Index]] = []
        for one in self._known:
            patterns = [None if route.when is None else parse(route.when) for route in one.routes]
            self.patterns += patterns
            self._indexes.append((one, Index(patterns)))

    def of(self, facts: Mapping[str, Any], place: int, lasting: Collection[str]) -> Iterator[tuple[Beside, Route]]:
        """For each shadow of which the id is in `lasting`: the route that would have taken a mention before the route
        in force at this place did."""
        for one, index in self._indexes:
            if one.id in lasting and one.place <= place and (found := index.first(facts)) is not None:
                yield one, one.routes[found]

    def told(
        self,
        case: Case,
        facts: Mapping[str, Any],
        place: int,
        mention: str,
        now: int,
        lasting: Collection[str],
        *,
        again: bool = False,
    ) -> tuple[Case, list[CaseEvent]]:
        """The case with what it was in the shadow of, and the lines that say so. `again`: a later post of the case,
        which counts only if it changes what the shadow would have made of the case: opened, or raised."""
        lines = []
        for one, route in self.of(facts, place, lasting):
            if again and not self._changes(case, one, route):
                continue
            case = case.model_copy(update={"shadowed": tuple(dict.fromkeys((*case.shadowed, route.name)))})
            lines.append(_line(case, one, route, mention, now))
        return case, lines

    def _changes(self, case: Case, one: Beside, route: Route) -> bool:
        """As a case of that plan would: an earlier route that opens raises it; one that was only counted is opened."""
        opening = [known.name for known in one.routes if known.opens]
        had = [opening.index(name) for name in case.shadowed if name in opening]
        return route.opens and opening.index(route.name) < min(had, default=len(opening))


def _line(case: Case, one: Beside, route: Route, mention: str, now: int) -> CaseEvent:
    said = {
        "shadow": one.id,
        "route": route.name,
        "instead_of": case.route or "",
        "systems": ", ".join(route.systems),
        "topics": ", ".join(route.topics),
        "labels": ", ".join(route.labels),
        "priority": route.priority or "",
        "counted": "" if route.opens else "true",
    }
    detail = {name: value for name, value in said.items() if value}
    name = digest(Happening.SHADOWED, one.id, mention)
    return CaseEvent(case=case.id, id=name, kind=Happening.SHADOWED, at=now, mention=mention, detail=detail)
