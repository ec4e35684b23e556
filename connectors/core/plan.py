"""The plan that is in force: which mention goes to which system of record, and who is told.

These are the compiled documents, immutable and named by the hash of what they say. How administrators write them is in
`plan_grammar`; how they come into force is in `plan_configure`. Pure: no AWS, no vendor, no environment.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.core.identity import digest


def canonical(document: object) -> str:
    """One spelling of a JSON document: sorted keys, no blanks, ASCII only (so bytes and characters count the same)."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def version_of(kind: str, document: object) -> str:
    """The name of an immutable document: 26 characters of a hash over its kind and its canonical JSON."""
    return digest(kind, canonical(document), length=26)


class _Document(BaseModel):
    # Forbids what it does not know: a route with an unread condition would otherwise catch everything.
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Config(_Document):
    id: str
    connector: str
    secret: str
    settings: dict[str, Any] = Field(default_factory=dict)
    hash: str
    hold: bool = False
    """Held back by its administrators: nothing goes out for this source, or to this system, and it is not asked."""


class SourceConfig(_Config):
    """One place where people talk, as deployed.

    `id` is `stack/logicalId`; `secret` is the name without `/verification` or `/credentials`; `settings` fits the
    connector's `settings_model` (`model_validate(config.settings)`). `poll` says how often it is asked, in seconds;
    None where it is not.
    """

    poll: int | None = None

    @classmethod
    def of(
        cls,
        name: str,
        connector: str,
        secret: str,
        settings: dict[str, Any],
        poll: int | None = None,
        hold: bool = False,
    ) -> SourceConfig:
        """The document with its hash filled in. `name` is the id."""
        said: dict[str, Any] = {"connector": connector, "secret": secret, "settings": settings}
        said |= {} if poll is None else {"poll": poll}
        said |= {"hold": True} if hold else {}
        return cls(id=name, hash=version_of("source", said), **said)


class SystemConfig(_Config):
    """One system of record, as deployed. Fields as for `SourceConfig`; `poll` says how often it is asked what people
    did there, in seconds, None where it is not asked."""

    poll: int | None = None

    @classmethod
    def of(
        cls,
        name: str,
        connector: str,
        secret: str,
        settings: dict[str, Any],
        poll: int | None = None,
        hold: bool = False,
    ) -> SystemConfig:
        """The document with its hash filled in. `name` is the id."""
        said: dict[str, Any] = {"connector": connector, "secret": secret, "settings": settings}
        said |= {} if poll is None else {"poll": poll}
        said |= {"hold": True} if hold else {}
        return cls(id=name, hash=version_of("system", said), **said)


Priority = Literal["low", "normal", "high", "urgent"]
PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high", "urgent")
"""In rising order."""
_ALWAYS = {"name", "systems", "topics", "fail_over_after"}
"""Fields of a route that its plan's version has always been made of; of the others only what is not the default, so
that a plan keeps its version when Hailback learns a field that the plan does not use."""


def higher(one: Priority | None, other: Priority | None) -> Priority | None:
    """The higher of two priorities; none is lower than any."""
    return max(one, other, key=lambda given: PRIORITIES.index(given) if given else -1)


class Route(_Document):
    """One line of the plan. `systems` are ids, the first that takes the case wins; `topics` are ARNs, likewise.

    `when`: a pattern over `connectors.core.facts`, in EventBridge's language and with exact types; None takes
    everything. `opens`: whether a case is opened at all, or a mention is only counted; then there are no systems and no
    topics. `coalesce`: seconds for which further posts are gathered into one note. `fail_over_after`: seconds for which
    a system may refuse before the next one is asked. `plan` is the id of the plan that it stands in, where there are
    several."""

    name: str
    when: dict[str, Any] | None = None
    opens: bool = True
    systems: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    priority: Priority | None = None
    coalesce: float = 0.0
    fail_over_after: float = 120.0
    plan: str | None = None


class Beside(_Document):
    """One plan beside the base, as it is merged. `id` is `stack/logicalId`; `everywhere`: `Sources: all`.

    `effects`: False for a shadow, which takes nothing; then `routes` are its routes, by the names that they would have
    in the merged plan, and `place` is how many of that plan's routes come before them."""

    id: str
    priority: int = 0
    everywhere: bool = False
    effects: bool = True
    place: int = 0
    routes: tuple[Route, ...] = ()


class Plan(_Document):
    """A compiled plan: ordered routes, and the exact systems that they name.

    `effects`: False where those of the base are off: every effect is planned and none is carried out. `beside` are the
    plans beside the base, in the order in which they are asked; routes of shadows stand only there, and the systems
    that only those name are left out."""

    version: str
    routes: tuple[Route, ...] = Field(min_length=1)
    systems: dict[str, SystemConfig]
    effects: bool = True
    beside: tuple[Beside, ...] = ()

    @classmethod
    def of(
        cls,
        routes: tuple[Route, ...],
        systems: dict[str, SystemConfig],
        effects: bool = True,
        beside: tuple[Beside, ...] = (),
    ) -> Plan:
        """Compile: keep the systems that are named, and name the result. Raises KeyError for a missing system."""
        used = {name: systems[name] for route in routes for name in route.systems}
        body: dict[str, object] = {
            "routes": [_body(route) for route in routes],
            "systems": {name: system.model_dump(mode="json") for name, system in used.items()},
        }
        body |= {} if effects else {"effects": False}
        body |= {"beside": [one.model_dump(mode="json", exclude_defaults=True) for one in beside]} if beside else {}
        return cls(version=version_of("plan", body), routes=routes, systems=used, effects=effects, beside=beside)

    @property
    def shadows(self) -> tuple[Beside, ...]:
        """The plans beside the base whose effects are off."""
        return tuple(one for one in self.beside if not one.effects)

    @property
    def as_if_on(self) -> tuple[Route, ...]:
        """All routes in the order that they would have if no plan beside the base were a shadow."""
        found: list[Route] = []
        done = 0
        for one in self.shadows:
            found += [*self.routes[done : one.place], *one.routes]
            done = one.place
        return (*found, *self.routes[done:])

    def named(self, name: str | None) -> Route | None:
        """The route of this name."""
        return next((route for route in self.routes if route.name == name), None)

    def uses(self, name: str) -> bool:
        """Whether a route names this system."""
        return name in self.systems

    def with_system(self, system: SystemConfig) -> Plan:
        """The same routes over a changed system: another version, unless nothing changed."""
        return Plan.of(self.routes, {**self.systems, system.id: system}, self.effects, self.beside)


def _body(route: Route) -> dict[str, object]:
    said = route.model_dump(mode="json", exclude_defaults=True)
    return said | route.model_dump(mode="json", include=_ALWAYS)
