"""What keeps a case's effects back at this moment, from the plan's pointer and from what is deployed."""

from __future__ import annotations

from connectors.aws.config import ConfigStore
from connectors.core.case import Case
from connectors.core.pause import Brake


class Brakes:
    """Reads pointers, which are as old as the store's cache lets them be."""

    def __init__(self, config: ConfigStore) -> None:
        self._config = config

    def of(self, case: Case, system: str | None = None, source: str | None = None) -> Brake:
        """For what goes out to one system, or for one notification, or for an answer at a source. Only the base's
        `Effects: off` keeps anything back: a shadow beside it has no cases, and one that was in force before keeps
        those that it took."""
        # What ended before the case began has nothing of it; so a new case costs no further look.
        runs = self._config.shadows().get("", ())
        shadows = tuple((since, until) for since, until in runs if until is None or until > case.opened_at)
        return Brake(shadows, self._held(case, system, source))

    def _held(self, case: Case, system: str | None, answered: str | None) -> str | None:
        there = self._config.system(system, with_deleted=True) if system else None
        if there is not None and there.hold:
            return f"Held: administrators hold {system} (Hold: true)"
        for name in dict.fromkeys([case.source, answered or case.source]):
            source = self._config.source(name, with_deleted=True)
            if source is not None and source.hold:
                return f"Held: administrators hold {name} (Hold: true)"
        return None
