"""Routes that nothing can reach: an earlier route takes all that they would.

Proven for a single earlier route, by `covers`. Trying every pair would take minutes for a large plan; so for each
route an event is made up that fits it. Whatever covers the route fits that event too, and the index finds the first
that does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.core.pattern import Branch, Pattern, View
from connectors.core.pattern_covers import covers
from connectors.core.pattern_index import Index
from connectors.core.pattern_operators import (
    Absent,
    AnythingBut,
    Check,
    Equals,
    Exists,
    IgnoreCase,
    Leaf,
    Numeric,
    Prefix,
    PrefixIgnoreCase,
    Suffix,
    SuffixIgnoreCase,
    Wildcard,
)
from connectors.core.pattern_parse import parse
from connectors.core.plan import Plan
from connectors.core.plan_reading import short
from connectors.core.plan_settings import Finding

MOST_PAIRS = 300_000
"""Pairs of routes that are compared, a second or two. A plan so large and so much alike that this is not enough is not
looked through to the end."""
MOST_WARNINGS = 10
"""Routes of several plans that are named one by one."""
_ODD = "\ue001"
"""A private character: a made-up text is like no other."""


def unreachable(given: Sequence[object], patterns: Sequence[Pattern | None]) -> list[Finding]:
    """Findings about the routes as written. `patterns`: None for a catch-all, and for a `When` that is wrong."""
    findings: list[Finding] = []
    last = len(given)
    for index, one in enumerate(given[:-1]):
        if isinstance(one, Mapping) and "When" not in one:
            left = len(given) - index - 1
            what = "Routes after it are" if left > 1 else "The route after it is"
            sentence = f"takes every mention, for it has no When. {what} never reached ({left})."
            findings.append(Finding(f"Routes[{index}]", sentence, "Move it to the end, or give it a When."))
            last = index
            break
    known = [(place, pattern) for place, pattern in enumerate(patterns[:last]) if pattern is not None]
    for place, other in _covered([pattern for _, pattern in known]):
        index, by = known[place][0], known[other][0]
        sentence = f"is never reached: Routes[{by}]{_named(given[by])} takes all that it would."
        findings.append(Finding(f"Routes[{index}].When", sentence, "Move it before that route, or remove it."))
    return findings


def overshadowed(plan: Plan, part: str | None) -> list[Finding]:
    """Routes that another plan's leave nothing for, in plans that are merged: warnings for whoever deploys `part`, the
    id of a plan beside the base, None for the base."""
    conditions = [None if route.when is None else parse(route.when, route.name) for route in plan.routes]
    known = [(place, pattern) for place, pattern in enumerate(conditions) if pattern is not None]
    first = next((place for place, route in enumerate(plan.routes) if route.plan == part), 0)
    findings = []
    for place, other in _covered([pattern for _, pattern in known]):
        index, by = known[place][0], known[other][0]
        route, wider = plan.routes[index], plan.routes[by]
        if route.plan == wider.plan or part not in (route.plan, wider.plan):
            continue
        if route.plan == part:
            sentence = f"is never reached: route {wider.name} of another plan takes all that it would."
            findings.append(Finding(f"Routes[{index - first}].When", sentence, "Change the Priority, or remove it."))
        else:
            sentence = f"takes all that route {route.name} of another plan would, which is never reached any more."
            findings.append(Finding(f"Routes[{by - first}].When", sentence, "Narrow it, or change the Priority."))
    left = len(findings) - MOST_WARNINGS
    more = (
        [Finding("Routes", f"and {left} more routes of one plan leave nothing for another's.", "")] if left > 0 else []
    )
    return [*findings[:MOST_WARNINGS], *more]


def _named(route: object) -> str:
    name = route.get("Name") if isinstance(route, Mapping) else None
    return f" ({short(name)})" if isinstance(name, str) else ""


def _covered(patterns: Sequence[Pattern]) -> list[tuple[int, int]]:
    """Places of patterns that a single earlier one covers, and the place of that."""
    index, left = Index(patterns), MOST_PAIRS
    found: list[tuple[int, int]] = []
    for place, pattern in enumerate(patterns):
        event = sample(pattern)
        if event is not None and (first := index.first(event)) == place:
            continue
        view = View(event) if event is not None else None
        start = first if event is not None and first is not None else 0
        for earlier in range(start, place):
            left -= 1
            if left < 0:
                return found
            wider = patterns[earlier]
            if (view is None or wider.matches_view(view)) and covers(wider, pattern):
                found.append((place, earlier))
                break
    return found


def sample(pattern: Pattern) -> dict[str, Any] | None:
    """An event that fits a pattern, and as few others as can be; None where none was found."""
    for branch in pattern.branches:
        event = _of(branch)
        if event is not None and pattern.matches(event):
            return event
    return None


def _of(branch: Branch) -> dict[str, Any] | None:
    event: dict[str, Any] = {}
    for key in branch.keys:
        if key.absent:
            continue
        event[key.path] = _value(key.tests[0])
    return event


def _value(test: Check) -> Leaf:
    match test:
        case Equals():
            return test.value
        case Prefix() | PrefixIgnoreCase():
            return f"{test.text}{_ODD}"
        case Suffix() | SuffixIgnoreCase():
            return f"{_ODD}{test.text}"
        case IgnoreCase():
            return test.text
        case Wildcard():
            return _ODD.join(test.pieces)
        case Numeric():
            return _inside(test)
        case AnythingBut() | Exists() | Absent():
            return _ODD
        case _:  # a range of addresses: no field has any
            return None


def _inside(test: Numeric) -> float:
    low = test.low if test.low is not None else (test.high or 0) - 1
    high = test.high if test.high is not None else low + 1
    if test.low == test.high:
        return low
    return (low + high) / 2 if test.low is not None and test.high is not None else low if test.low is None else high
