"""What keeps a case's effects back at this moment, from the plan's pointer and from what is deployed."""

from __future__ import annotations

from connectors.aws.cases import Cases
from connectors.aws.config import ConfigStore
from connectors.core.case import Case, Happening
from connectors.core.pause import Brake
from connectors.core.plan_merge import part_of
from connectors.core.plan_ports import Interval

_ROUTES = frozenset({Happening.ROUTED, Happening.RAISED, Happening.REROUTED})
_RAISED = f"notify#{Happening.RAISED}:"


class Brakes:
    """Reads pointers, which are as old as the store's cache lets them be."""

    def __init__(self, config: ConfigStore, cases: Cases) -> None:
        self._config, self._cases = config, cases

    def of(self, case: Case, system: str | None = None, effect: str = "") -> Brake:
        """For what goes out to one system, or for one notification or answer."""
        # What ended before the case began has nothing of it; so a new case costs no further look.
        shadows = {
            key: tuple((since, until) for since, until in past if until is None or until > case.opened_at)
            for key, past in self._config.shadows().items()
        }
        found = shadows.get("", ())
        parts = {key: past for key, past in shadows.items() if key and past}
        if parts:
            found = (*found, *self._of_parts(case, system, effect, parts))
        return Brake(found, self._held(case, system))

    def _of_parts(
        self, case: Case, system: str | None, effect: str, parts: dict[str, tuple[Interval, ...]]
    ) -> tuple[Interval, ...]:
        """A case that was raised is of several plans. What one of them takes that is no shadow goes out."""
        keys = {part_of(route) for route in self._routes(case, system, effect)}
        if not keys or not keys <= set(parts):
            return ()
        # Of several shadows, the one that ends last: what is planned in both is of both.
        return max((parts[key] for key in sorted(keys)), key=lambda past: past[-1][1] or float("inf"))

    def _routes(self, case: Case, system: str | None, effect: str) -> list[str]:
        """The routes by which this goes out."""
        if effect.startswith(_RAISED):
            return [effect.removeprefix(_RAISED).rpartition("#")[0]]
        taken = [event.detail["route"] for event in self._cases.timeline(case.id) if event.kind in _ROUTES]
        taken = taken or [case.route or ""]
        if effect.startswith("notify#"):
            return taken[:1]
        plan = self._config.plan(case.plan_version) if system and case.plan_version else None
        named = {route.name for route in plan.routes if system in route.systems} if plan else set()
        return [name for name in taken if name in named] or taken

    def _held(self, case: Case, system: str | None) -> str | None:
        there = self._config.system(system, with_deleted=True) if system else None
        if there is not None and there.hold:
            return f"Held: administrators hold {system} (Hold: true)"
        source = self._config.source(case.source, with_deleted=True)
        if source is not None and source.hold:
            return f"Held: administrators hold {case.source} (Hold: true)"
        return None
