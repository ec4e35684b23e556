"""Several plans become one: each administrators' stack has a part, and one compiled plan is in force. Pure.

One part is the base: it has no priority, and its last route takes whatever nobody else takes. The other parts come
before it, the lowest priority first and ties by id. Their routes take mentions of sources of their own stack, unless
they say `Sources: all`, and are called `<id of the part>/<name>`, so that names do not collide; those of the base stay.
A part beside the base whose effects are off is a shadow: its routes are kept apart and take nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from connectors.core.plan import Beside, Plan, Route, SystemConfig, version_of
from connectors.core.plan_settings import Finding

MOST_SHADOWS = 5
"""Plans beside the base whose effects are off at once: what each would have done is a line on a case's timeline, in the
transaction that routes the case."""
MOST_SYSTEMS = 80
"""Systems of all parts together: that none of them changed meanwhile is part of one transaction of 100 items."""


class PlanPart(BaseModel):
    """What one `Custom::Plan` says, immutable. `id` is `stack/logicalId`.

    `priority`: None for the base. `everywhere`: its routes take mentions of all sources. `effects`: False for a shadow
    run. `routes` are as written, with their own names and conditions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    priority: int | None = None
    everywhere: bool = False
    effects: bool = True
    routes: tuple[Route, ...]
    hash: str

    @classmethod
    def of(
        cls,
        name: str,
        routes: tuple[Route, ...],
        *,
        priority: int | None = None,
        everywhere: bool = False,
        effects: bool = True,
    ) -> PlanPart:
        """The document with its hash filled in, which does not depend on the id."""
        said: dict[str, Any] = {"priority": priority, "everywhere": everywhere, "effects": effects}
        text = {**said, "routes": [route.model_dump(mode="json", exclude_defaults=True) for route in routes]}
        return cls(id=name, routes=routes, hash=version_of("part", text), **said)

    @property
    def base(self) -> bool:
        """Whether it owns the catch-all."""
        return self.priority is None

    @property
    def shadow(self) -> bool:
        """Whether it stands beside the base and takes nothing."""
        return not self.base and not self.effects

    @property
    def key(self) -> str:
        """What the names of its routes begin with in the merged plan, without the slash; '' for the base."""
        return "" if self.base else self.id

    @property
    def systems(self) -> tuple[str, ...]:
        """The ids of the systems that it names, each once."""
        return tuple(dict.fromkeys(name for route in self.routes for name in route.systems))


def part_of(route: str | None) -> str:
    """The id of the part that a merged route's name belongs to; '' for the base's."""
    return (route or "").rpartition("/")[0]


def base_of(parts: Iterable[PlanPart]) -> PlanPart | None:
    """The part that owns the catch-all. Of several, as there are while a base is renamed, the last."""
    bases = [part for part in parts if part.base]
    return bases[-1] if bases else None


def merge(parts: Sequence[PlanPart], systems: Mapping[str, SystemConfig]) -> Plan | None:
    """The one plan of all parts, which may come in any order; None without a base. Raises KeyError for a system that is
    not among `systems`."""
    base = base_of(parts)
    if base is None:
        return None
    others = sorted((part for part in parts if not part.base), key=lambda part: (part.priority or 0, part.id))
    routes: list[Route] = []
    beside: list[Beside] = []
    for part in others:
        named = tuple(merged(part, route) for route in part.routes)
        said = Beside(id=part.id, priority=part.priority or 0, everywhere=part.everywhere, effects=part.effects)
        beside.append(said if part.effects else said.model_copy(update={"place": len(routes), "routes": named}))
        routes += named if part.effects else ()
    return Plan.of((*routes, *base.routes), dict(systems), base.effects, tuple(beside))


def merged(part: PlanPart, route: Route) -> Route:
    """A route as it stands in the merged plan."""
    if part.base:
        return route
    when = route.when if part.everywhere else of_own_sources(route.when, part.id)
    return route.model_copy(update={"name": f"{part.id}/{route.name}", "plan": part.id, "when": when})


def of_own_sources(when: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """The condition, and that the source stands in the same stack as the plan `name`. One that names sources itself is
    left as it is: that they are of this stack was checked."""
    asked = dict(when or {})
    return asked if "source" in asked else {"source": [{"prefix": stack_of(name)}], **asked}


def stack_of(name: str) -> str:
    """What the ids of all resources of the same stack begin with, with the slash."""
    return name.partition("/")[0] + "/"


def check_part(part: PlanPart) -> list[Finding]:
    """What must not be in a plan beside the base: another stack's sources, and a second catch-all."""
    if part.base:
        return []
    findings: list[Finding] = []
    for number, route in enumerate(part.routes):
        path = f"Routes[{number}]"
        if part.everywhere and route.when is None:
            remedy = "Write When, or leave Sources out so that it takes the sources of this stack only."
            findings.append(Finding(f"{path}.When", "is missing: only the base plan has a catch-all.", remedy))
        if not part.everywhere and route.when is not None and "source" in route.when:
            findings += _foreign(route.when["source"], part.id, f"{path}.When.source")
        if not part.everywhere and route.when is not None and _asks_for_source(route.when.get("$or")):
            remedy = "Write source once, beside $or, or Sources: all."
            findings.append(Finding(f"{path}.When.$or", "asks for a source, which this stack's are already.", remedy))
    return findings


def effects_off(*, base: bool, effects: bool) -> list[Finding]:
    """What whoever deploys a plan with `Effects: off` has to know: a warning."""
    if effects:
        return []
    if not base:
        sentence = "are off: a shadow. Its routes take nothing, so the plans behind it serve every mention."
        remedy = "`hailback plans shadows` shows what it would have taken; write Effects: on to put it in force."
        return [Finding("Effects", sentence, remedy)]
    sentence = (
        "are off in the base plan: NOTHING goes out, of new cases and of those that are there. No record, no"
        " notification, no answer."
    )
    remedy = "Write Effects: on; to try a plan out beside this one, deploy it with a Priority and Effects: off."
    return [Finding("Effects", sentence, remedy)]


def _foreign(given: object, name: str, path: str) -> list[Finding]:
    findings = []
    for index, value in enumerate(given if isinstance(given, list) else [given]):
        if isinstance(value, str) and value.startswith(stack_of(name)):
            continue
        what = f"'{value[:80]}' is not a source of this stack." if isinstance(value, str) else "is not a source's id."
        remedy = "Write !Ref and the name of a Custom::Source of this stack, or Sources: all."
        findings.append(Finding(f"{path}[{index}]", what, remedy))
    return findings


def _asks_for_source(either: object) -> bool:
    """Whether an alternative does: a pattern says what a field has to be in one place only."""
    ways = [one for one in either if isinstance(one, Mapping)] if isinstance(either, list) else []
    return any("source" in one or _asks_for_source(one.get("$or")) for one in ways)


def sources_in(when: object, path: str) -> list[tuple[str, str]]:
    """The sources that a condition names outright, each with where it does."""
    if not isinstance(when, Mapping):
        return []
    found = []
    given = when.get("source")
    for index, value in enumerate(given if isinstance(given, list) else []):
        if isinstance(value, str):
            found.append((f"{path}.source[{index}]", value))
    either = when.get("$or")
    for index, one in enumerate(either if isinstance(either, list) else []):
        found += sources_in(one, f"{path}.$or[{index}]")
    return found
