"""Which route of a plan takes a mention, and why earlier ones do not: for looking, never for acting. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from connectors.core.facts import Facts
from connectors.core.pattern import Miss, Pattern, View
from connectors.core.pattern_index import Index
from connectors.core.pattern_parse import parse
from connectors.core.plan import Plan, Route
from connectors.core.shadow import Shadows
from connectors.tool.never_told import why_untold

MOST_OTHERS = 5
"""Alternatives of a `$or` that are explained beside the closest one."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A route that did not take a mention, and the field that says why. `others`: the same of each further alternative
    of its `$or`, at most `MOST_OTHERS`; `more` counts the rest."""

    route: str
    miss: Miss
    others: tuple[Miss, ...] = ()
    more: int = 0


class Router:
    """A compiled plan, ready to be asked. Raises `PatternError` for a condition that is none."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._patterns = [None if route.when is None else parse(route.when) for route in plan.routes]
        self._index = Index(self._patterns)
        self._shadows = Shadows(plan)

    def take(self, facts: Facts) -> int | None:
        """The position of the first route that takes it; None where none does."""
        return self._index.first(facts)

    def route(self, facts: Facts) -> Route | None:
        """The first route that takes it."""
        at = self.take(facts)
        return None if at is None else self.plan.routes[at]

    def shadows(self, facts: Facts) -> list[Route]:
        """Routes of plans beside the base whose effects are off that would have taken it; of each plan one at most."""
        taken = self.take(facts)
        place = len(self.plan.routes) if taken is None else taken
        return [route for _, route in self._shadows.of(facts, place, {one.id for one in self.plan.shadows})]

    def passed(self, facts: Facts, before: int | None) -> Iterator[Passed]:
        """The routes before that position, each with what did not fit."""
        view = View(facts)
        for at, miss in self._index.misses(facts, before):
            pattern = self._patterns[at]
            alone = [Pattern((branch,)).explain_view(view) for branch in (pattern.branches if pattern else ())]
            others = tuple(dict.fromkeys(one for one in alone if one is not None and one != miss))
            shown = others[:MOST_OTHERS]
            yield Passed(self.plan.routes[at].name, miss, shown, len(others) - len(shown))

    def fields(self) -> set[str]:
        """The paths of all fields that the plan asks for."""
        return {
            key.path
            for pattern in self._patterns
            if pattern is not None
            for branch in pattern.branches
            for key in branch.keys
        }


def verdict(router: Router, facts: Facts) -> dict[str, Any]:
    """What becomes of a mention, as `--json` prints it."""
    at = router.take(facts)
    route = None if at is None else router.plan.routes[at]
    return {
        "route": route.name if route else None,
        "position": None if at is None else at + 1,
        "of": len(router.plan.routes),
        "opens": bool(route and route.opens),
        "systems": list(route.systems) if route else [],
        "topics": list(route.topics) if route else [],
        "labels": list(route.labels) if route else [],
        "priority": route.priority if route else None,
        "effects": router.plan.effects,
        "in_shadow": route is not None and route.plan in {one.id for one in router.plan.shadows},
        "shadows": [
            {"route": one.name, "plan": one.plan, "systems": list(one.systems), "opens": one.opens}
            for one in router.shadows(facts)
        ],
        "passed": [
            {
                "route": one.route,
                **_missed(one.miss, facts),
                "others": [_missed(other, facts) for other in one.others],
                "more": one.more,
            }
            for one in router.passed(facts, at)
        ],
    }


def _missed(miss: Miss, facts: Facts) -> dict[str, Any]:
    """`never_told`: why the field can be in no mention of this kind; None where it can."""
    connector = facts.get("connector")
    untold = why_untold(miss.path, connector) if isinstance(connector, str) and miss.found == "null" else None
    return {"field": miss.path, "expected": miss.expected, "found": miss.found, "never_told": untold}
