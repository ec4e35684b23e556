"""What plans beside the base would have taken whose effects are off: counted over the cases that changed last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from connectors.core.case import Case, Happening
from connectors.tool.casework import STATES

if TYPE_CHECKING:
    from connectors.aws.cases import Cases
    from connectors.core.plan import Plan

Document = dict[str, Any]
EXAMPLES = 5
"""Cases that are named of each shadow."""


def would_take(cases: Cases, plan: Plan | None, since: int, most: int) -> list[Document]:
    """For each shadow of the plan in force, and each other that left lines: its cases since then (milliseconds), by
    the route that serves them and by its own. Of each state the `most` that changed last are looked at."""
    found = {one.id: _new(one.id, lasting=True) for one in (plan.shadows if plan else ())}
    looked = 0
    for case in _changed(cases, most):
        looked += 1
        if case.shadowed:
            _count(found, cases, case, since)
    for one in found.values():
        one["from"], one["to"] = dict(one["from"].most_common()), dict(one["to"].most_common())
        one["looked_at"] = looked
    return list(found.values())


def _changed(cases: Cases, most: int) -> Iterable[Case]:
    return (case for state in STATES for case in cases.newest(most, state))


def _new(name: str, *, lasting: bool) -> Document:
    empty: Document = {"cases": 0, "posts": 0, "from": Counter(), "to": Counter(), "examples": []}
    return {"plan": name, "lasting": lasting, **empty}


def _count(found: dict[str, Document], cases: Cases, case: Case, since: int) -> None:
    had: set[str] = set()
    for event in cases.timeline(case.id):
        if event.kind is not Happening.SHADOWED or event.at < since:
            continue
        name = event.detail["shadow"]
        one = found.setdefault(name, _new(name, lasting=False))
        one["posts"] += 1
        if name in had:
            continue
        had.add(name)
        one["cases"] += 1
        one["from"][event.detail.get("instead_of", "")] += 1
        one["to"][event.detail["route"].removeprefix(f"{name}/")] += 1
        one["examples"] = [*one["examples"], case.id][:EXAMPLES]


def sentence(one: Mapping[str, Any], period: str) -> str:
    """`the shadow plan stack/Plan would have taken 12 cases in 24 h: 9 from everything-else, 3 from bugs`."""
    cases = f"{one['cases']} case{'s' * (one['cases'] != 1)}"
    where = ", ".join(f"{count} from {route}" for route, count in one["from"].items())
    return f"the shadow plan {one['plan']} would have taken {cases} in {period}" + (f": {where}" if where else "")


def lines(found: Sequence[Mapping[str, Any]], period: str) -> list[str]:
    """On the screen."""
    said = []
    for one in found:
        said.append(sentence(one, period) + ("" if one["lasting"] else " (it is no shadow any more)"))
        by = ", ".join(f"{count} by {route}" for route, count in one["to"].items())
        said += [f"  {by}; such as {', '.join(one['examples'])}"] if by else []
    return said
