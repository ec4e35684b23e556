"""What is different between two plans: routes added, removed, moved and changed, field by field. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from connectors.core.plan import Beside, Plan, Route, SystemConfig

_NAMES = {
    "opens": "Open",
    "systems": "Case",
    "topics": "Notify",
    "labels": "Labels",
    "priority": "Priority",
    "coalesce": "Coalesce",
    "fail_over_after": "FailOverAfter",
    "plan": "plan",
}
"""A route's fields but its condition, as administrators write them."""
Change = dict[str, Any]
"""`field`, `before`, `after`: JSON values, None where there is none."""


def difference(before: Plan, after: Plan) -> dict[str, Any]:
    """Everything that is different. Routes are told apart by their names; so are systems, by their ids. Those of a plan
    whose effects are off count as there: that it takes nothing is said once."""
    old, new = ({route.name: route for route in plan.as_if_on} for plan in (before, after))
    routes = [{"route": name, "fields": _route(old[name], new[name])} for name in new if name in old]
    return {
        "before": before.version,
        "after": after.version,
        "added": [_told(after, name) for name in new if name not in old],
        "removed": [_told(before, name) for name in old if name not in new],
        "moved": _moved(list(old), list(new)),
        "changed": [one for one in routes if one["fields"]],
        "systems": list(_systems(before.systems, after.systems)),
        "effects": None if before.effects == after.effects else {"before": before.effects, "after": after.effects},
        "plans": list(_beside(before, after)),
    }


def same(found: Mapping[str, Any]) -> bool:
    """Whether nothing is different but perhaps the version's name."""
    return not any(found[key] for key in ("added", "removed", "moved", "changed", "systems", "effects", "plans"))


def _told(plan: Plan, name: str) -> dict[str, Any]:
    place, route = next((at, route) for at, route in enumerate(plan.as_if_on, 1) if route.name == name)
    return {"place": place, **route.model_dump(mode="json")}


def _beside(before: Plan, after: Plan) -> Iterator[dict[str, Any]]:
    """Plans beside the base that came, went, or say something else of themselves."""
    old, new = ({one.id: one for one in plan.beside} for plan in (before, after))
    for name in dict.fromkeys([*old, *new]):
        was, now = (_said_of(known[name]) if name in known else {} for known in (old, new))
        state = "added" if name not in old else "removed" if name not in new else "changed"
        fields = [_change(field, was.get(field), now.get(field)) for field in _said_of(Beside(id=name))]
        fields = [one for one in fields if one["before"] != one["after"]]
        if fields:
            yield {"plan": name, "state": state, "fields": fields}


def _said_of(one: Beside) -> dict[str, Any]:
    sources = "all" if one.everywhere else "own"
    return {"Priority": one.priority, "Sources": sources, "Effects": "on" if one.effects else "off"}


def _moved(old: list[str], new: list[str]) -> list[dict[str, Any]]:
    """Routes whose order among those that stayed is another: as few as explain it."""
    order = {name: at for at, name in enumerate(name for name in old if name in set(new))}
    kept = [name for name in new if name in order]
    standing = set(_longest_rising([order[name] for name in kept]))
    return [
        {"route": name, "before": old.index(name) + 1, "after": new.index(name) + 1}
        for name in kept
        if order[name] not in standing
    ]


def _longest_rising(numbers: list[int]) -> list[int]:
    """The longest part of the numbers that rises, by patience sorting: no slower for ten thousand routes."""
    from bisect import bisect_left

    tops: list[int] = []
    at: list[int] = []
    back: list[int] = []
    for index, number in enumerate(numbers):
        place = bisect_left(tops, number)
        if place == len(tops):
            tops.append(number)
            at.append(index)
        else:
            tops[place], at[place] = number, index
        back.append(at[place - 1] if place else -1)
    found = []
    index = at[-1] if at else -1
    while index >= 0:
        found.append(numbers[index])
        index = back[index]
    return found[::-1]


def _route(before: Route, after: Route) -> list[Change]:
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    found = [_change(shown, old[name], new[name]) for name, shown in _NAMES.items() if old[name] != new[name]]
    return [*_fields("When", before.when, after.when), *found]


def _fields(name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Change]:
    """The fields of a condition, or of settings, that are different, by their whole path."""
    if (before is None) != (after is None):
        return [_change(name, before, after)]
    old, new = dict(_leaves(name, before or {})), dict(_leaves(name, after or {}))
    return [
        _change(path, old.get(path), new.get(path))
        for path in dict.fromkeys([*old, *new])
        if old.get(path) != new.get(path)
    ]


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}", inner)
    else:
        yield path, value


def _systems(before: Mapping[str, SystemConfig], after: Mapping[str, SystemConfig]) -> Iterator[dict[str, Any]]:
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield {"system": name, "fields": [], "state": "added" if old is None else "removed"}
            continue
        said = [one.model_dump(mode="json", exclude={"id", "hash"}) for one in (old, new)]
        if fields := _fields("", *said):
            shown = [{**one, "field": one["field"].removeprefix(".").removeprefix("settings.")} for one in fields]
            yield {"system": name, "fields": shown, "state": "changed"}


def _change(field: str, before: Any, after: Any) -> Change:
    return {"field": field, "before": before, "after": after}


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The difference for a terminal, one line each."""
    if same(found):
        yield "No difference."
        return
    for one in found["added"]:
        yield f"+ route {one['name']} (place {one['place']}): {_summary(one)}"
    for one in found["removed"]:
        yield f"- route {one['name']} (place {one['place']}): {_summary(one)}"
    for one in found["moved"]:
        yield f"~ route {one['route']} moved from place {one['before']} to {one['after']}"
    for one in found["changed"]:
        yield from (f"~ route {one['route']}: {_said(change)}" for change in one["fields"])
    for one in found["systems"]:
        if one["state"] != "changed":
            yield f"{'+' if one['state'] == 'added' else '-'} system {one['system']}"
        yield from (f"~ system {one['system']}: {_said(change)}" for change in one["fields"])
    if found["effects"]:
        yield f"~ Effects: {'on' if found['effects']['after'] else 'off: nothing goes out'}"
    for one in found["plans"]:
        yield from _plan_lines(one)


def _plan_lines(one: Mapping[str, Any]) -> Iterator[str]:
    """What another plan beside the base says of itself."""
    now = {field["field"]: field["after"] for field in one["fields"]}
    if one["state"] == "changed":
        yield from (f"~ plan {one['plan']}: {_said(change)}" for change in one["fields"])
    elif one["state"] == "removed":
        yield f"- plan {one['plan']}"
    else:
        yield f"+ plan {one['plan']}: " + ", ".join(f"{field} {value}" for field, value in now.items())
    if now.get("Effects") == "off":
        yield "    a shadow: its routes take nothing"


def _summary(route: Mapping[str, Any]) -> str:
    when = f"when {json.dumps(route['when'], ensure_ascii=False)}" if route["when"] else "takes everything"
    where = f"a case in {', else '.join(route['systems'])}" if route["opens"] else "counted, no case"
    return f"{when}; {where}"


def _said(change: Change) -> str:
    before, after = (
        "nothing" if change[key] in (None, [], "") else json.dumps(change[key], ensure_ascii=False)
        for key in ("before", "after")
    )
    return f"{change['field']}: {before} → {after}"
