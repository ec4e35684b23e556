"""What keeps a case's effects back at this moment, from the plan's pointer and from what is deployed."""

from __future__ import annotations

from connectors.aws.config import ConfigStore
from connectors.core.case import Case
from connectors.core.pause import Brake
from connectors.core.plan_merge import part_of


class Brakes:
    """Reads pointers, which are as old as the store's cache lets them be."""

    def __init__(self, config: ConfigStore) -> None:
        self._config = config

    def of(self, case: Case, system: str | None = None) -> Brake:
        """For everything that goes out for a case, or what goes out to one system."""
        shadows = self._config.shadows()
        part = part_of(case.route)
        found = (*shadows.get("", ()), *(shadows.get(part, ()) if part else ()))
        return Brake(found, self._held(case, system))

    def _held(self, case: Case, system: str | None) -> str | None:
        there = self._config.system(system, with_deleted=True) if system else None
        if there is not None and there.hold:
            return f"Held: administrators hold {system} (Hold: true)"
        source = self._config.source(case.source, with_deleted=True)
        if source is not None and source.hold:
            return f"Held: administrators hold {case.source} (Hold: true)"
        return None
