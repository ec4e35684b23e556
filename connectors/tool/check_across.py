"""What only shows when a template's resources are looked at together: what routes name, and who names a system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connectors.core.plan_grammar import closest
from connectors.core.plan_lookups import outside_regions
from connectors.core.plan_merge import sources_in
from connectors.tool.cfn_paths import shown
from connectors.tool.cfn_values import Around, Path, Resource, Unknown, Values
from connectors.tool.check_envelope import home_of


@dataclass(frozen=True, slots=True)
class Said:
    """`kind` is `findings`, `warnings` or `unknown`."""

    kind: str
    resource: Resource
    path: Path
    sentence: str
    remedy: str = ""


def across(found: Sequence[Resource], values: Values, regions: str) -> Iterator[Said]:
    """`regions`: the parameter `TopicRegions` of Hailback's own stack; '' where it was not given."""
    plans = [one for one in found if one.kind == "Custom::Plan"]
    for plan in plans:
        routes = plan.properties.get("Routes")
        for index, route in enumerate(routes if isinstance(routes, list) else []):
            yield from _route(plan, index, route, values)
            yield from _topics(plan, index, route, values.around, regions)
    base = [plan for plan in plans if "Priority" not in plan.properties]
    for extra in base[1:]:
        sentence = f"{base[0].name} is a plan without Priority already; one plan owns the catch-all."
        yield Said("findings", extra, (), sentence, "Put all routes into one plan.")


def unnamed(found: Sequence[Resource], stack: str) -> Iterator[Said]:
    """Systems that no route names. Only for plans in which nothing is wrong, and whose routes stand in the file."""
    plans = [one for one in found if one.kind == "Custom::Plan"]
    if not plans or any(not isinstance(plan.properties.get("Routes"), list) for plan in plans):
        return
    named = {
        name
        for plan in plans
        for route in plan.properties["Routes"]
        for name in (route.get("Case") if isinstance(route, dict) else None) or ()
    }
    if any(isinstance(name, Unknown) for name in named):
        return
    for one in found:
        if one.kind == "Custom::System" and f"{stack}/{one.name}" not in named:
            yield Said(
                "warnings", one, (), "no route of this file names this system.", "Name it in Case, or remove it."
            )


def same_place(found: Sequence[Resource]) -> Iterator[Said]:
    """Sources that hear of the same posts: which of them is first is chance, and so is the route."""
    seen: dict[tuple[str, str], str] = {}
    for one in found:
        given = one.properties
        where = next(((name, given[name]) for name in ("BaseUrl", "Account") if given.get(name)), None)
        if one.kind != "Custom::Source" or where is None or isinstance(where[1], Unknown):
            continue
        first = where[1][0] if isinstance(where[1], list) and where[1] else where[1]
        place = (str(given.get("Connector")), str(first).rstrip("/").lower())
        if isinstance(first, Unknown) or seen.setdefault(place, one.name) == one.name:
            continue
        sentence = f"is the same place as {seen[place]}: of a post that both hear, the first to come decides the route."
        remedy = "Keep one source and ask for place in the routes, or see that their webhooks do not overlap."
        yield Said("warnings", one, (where[0],), sentence, remedy)


def _route(plan: Resource, index: int, route: object, values: Values) -> Iterator[Said]:
    """Systems and sources that a route names and that are none."""
    if not isinstance(route, dict):
        return
    for key in ("Case", "Lead", "Task"):
        given = route.get(key)
        for number, name in enumerate(given if isinstance(given, list) else []):
            if isinstance(name, str) and not isinstance(name, Unknown):
                yield from _named(plan, name, ("Routes", index, key, number), "Custom::System", values)
    for where, name in sources_in(route.get("When"), ""):
        if isinstance(name, Unknown):
            continue
        path: Path = ("Routes", index, "When", *_steps(where))
        yield from _named(plan, name, path, "Custom::Source", values)


def _steps(where: str) -> Path:
    """`.$or[1].source[0]` → `("$or", 1, "source", 0)`."""
    parts = where.removeprefix(".").replace("]", "").replace("[", ".").split(".")
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def _named(plan: Resource, name: str, path: Path, wanted: str, values: Values) -> Iterator[Said]:
    stack, slash, logical = name.partition("/")
    what = wanted.removeprefix("Custom::").lower()
    if not slash:
        return
    if stack != values.around.stack:
        if values.around.asked:
            return
        yield Said("unknown", plan, path, f"waits for {name[:80]}, a {what} of another stack.")
        return
    kind = values.kind(logical)
    if kind is None:
        near = closest(logical, [one.name for one in values.resources(wanted)])
        remedy = f"Write !Ref and the name of a {wanted}; or is this file another stack's? Then give --stack-name."
        remedy = f"Did you mean !Ref {near}?" if near else remedy
        yield Said("findings", plan, path, f"{what} '{name[:80]}' is not in this file.", remedy)
    elif kind != wanted:
        yield Said("findings", plan, path, f"'{name[:80]}' is a {kind}.", f"Name a {wanted}.")


def _topics(plan: Resource, index: int, route: object, around: Around, regions: str) -> Iterator[Said]:
    """Topics of regions or accounts that the machine was not granted, or may not have been."""
    topics = route.get("Notify") if isinstance(route, dict) else None
    home = home_of(plan) or ((around.region, around.account) if around.known else None)
    granted = tuple(region for region in regions.split(",") if region)
    for number, arn in enumerate(topics if isinstance(topics, list) else []):
        if isinstance(arn, Unknown) or not isinstance(arn, str) or arn.count(":") != 5:
            continue
        path: Path = ("Routes", index, "Notify", number)
        region, account = arn.split(":")[3:5]
        for finding in outside_regions({shown(path): arn}, granted or ((home or (around.region, ""))[0],)):
            if granted or home:
                yield Said("findings", plan, path, finding.sentence, finding.remedy)
            else:
                said = f"waits for the parameter TopicRegions of Hailback's own stack, which must include {region}."
                yield Said("unknown", plan, path, said)
        if home and account != home[1] and account.isdecimal() and len(account) == 12:
            sentence = (
                f"topic is in account {account}; Hailback is in {home[1]} and tells topics of its own account only."
            )
            yield Said("findings", plan, path, sentence, "Write !Ref and the name of a topic of this stack.")
