"""Conditions on what no source of a route ever tells: they are never met, or always, and nobody would see why. Pure.

What a source does not tell stands in its connector's manifest (`unset`). Such a field is null in every mention, so a
condition on it that null does not fit leaves its alternative nothing; one that null fits (`anything-but`) asks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache

from connectors.core import manifest
from connectors.core.pattern import Branch, Key
from connectors.core.pattern_operators import Equals
from connectors.core.pattern_parse import parse
from connectors.core.plan import Route
from connectors.core.plan_settings import Finding

Unset = Mapping[str, str]
"""Fields of a mention that a connector never tells → why, as in its manifest."""

_OTHERWISE = {"conversation": "conversation_id"}
_REMEDY = "Take the condition out, or name a source that tells it."


@cache
def unset_of(connector: str) -> Unset:
    """From the connector's manifest; nothing for a connector that has none."""
    try:
        return manifest.load(connector).unset
    except manifest.ManifestError:
        return {}


def why_untold(path: str, connector: str, unset: Callable[[str], Unset] = unset_of) -> str | None:
    """Why mentions of a connector never have the field that a route calls `path`; None where they may."""
    given = unset(connector)
    names = (_OTHERWISE.get(path, path), path.partition(".")[0])
    return next((given[name].rstrip(".") for name in names if name in given), None)


def never_told(
    routes: tuple[Route, ...],
    sources: Mapping[str, str],
    *,
    everywhere: bool = False,
    unset: Callable[[str], Unset] = unset_of,
) -> list[Finding]:
    """What to warn of, one finding for each condition, with paths such as `Routes[0].When.author.followers`.

    `sources`: the connector of each source that the routes are for, by its id. Where a route names others, or takes
    those of all stacks (`everywhere`), it is not known what they tell, and nothing is said."""
    found: dict[str, Finding] = {}
    for number, route in enumerate(routes):
        if route.when is None:
            continue
        branches = parse(route.when).branches
        dead = [_untold(branch, sources, everywhere, unset) for branch in branches]
        lost = [any(not met for _, met, _ in one) for one in dead]
        for untold in dead:
            for key, met, whys in untold:
                where = next(written(route.when, key, f"Routes[{number}].When"), f"Routes[{number}].When.{key.path}")
                said = "every post meets this" if met else "the route takes nothing"
                if not met and not all(lost):
                    said = "this alternative takes nothing"
                found.setdefault(where, Finding(where, f"is never told by {whys}: {said}.", _REMEDY))
    return list(found.values())


def _untold(
    branch: Branch, sources: Mapping[str, str], everywhere: bool, unset: Callable[[str], Unset]
) -> list[tuple[Key, bool, str]]:
    """The conditions of one alternative on what none of its connectors tells: whether null meets it, and why."""
    connectors = sorted(_connectors(branch, sources, everywhere))
    found = []
    for key in branch.keys:
        whys = [why_untold(key.path, name, unset) for name in connectors]
        if whys and all(whys):
            told = [f"{name} ({why})" for name, why in zip(connectors, whys, strict=True)]
            found.append((key, key.fits({key.path: [None]}), " and ".join(told)))
    return found


def _connectors(branch: Branch, sources: Mapping[str, str], everywhere: bool) -> set[str]:
    """Whose mentions can come to an alternative; empty where that is not known."""
    asked = {key.path: key for key in branch.keys}
    source, connector = asked.get("source"), asked.get("connector")
    named = _values(source)
    if source is not None and named is not None and named <= sources.keys():
        found = {sources[name] for name in named}
    elif source is None and _values(connector):
        return _values(connector) or set()
    elif source is None and not everywhere:
        found = set(sources.values())
    else:
        return set()
    return {name for name in found if connector is None or connector.fits({"connector": [name]})}


def _values(key: Key | None) -> set[str] | None:
    """The texts that a condition names; None where it is none, or more than a list of texts."""
    if key is None or not all(isinstance(test, Equals) for test in key.tests):
        return None
    return {test.value for test in key.tests if isinstance(test, Equals) and isinstance(test.value, str)}


def written(when: object, key: Key, path: str, rest: str | None = None) -> Iterator[str]:
    """Where a condition stands in a pattern, in `$or` too; of several on the same field the one that asks the same."""
    rest = key.path if rest is None else rest
    for name, inner in when.items() if isinstance(when, Mapping) else ():
        if name == "$or" and isinstance(inner, list):
            for index, one in enumerate(inner):
                yield from written(one, key, f"{path}.$or[{index}]", rest)
        elif name == rest:
            if isinstance(inner, list) and parse({key.path: inner}).branches[0].keys[0].tests == key.tests:
                yield f"{path}.{name}"
        elif rest.startswith(f"{name}."):
            yield from written(inner, key, f"{path}.{name}", rest[len(name) + 1 :])
