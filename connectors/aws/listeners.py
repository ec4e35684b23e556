"""Whose an event of EventBridge is: it comes to the account, and names no source of the administrators'."""

from __future__ import annotations

import json
from typing import Any

import connectors
from connectors.aws.config import ConfigStore
from connectors.aws.inbox import Parcel
from connectors.core.plan import SourceConfig, SystemConfig


class Listeners:
    """The sources, and systems of record, that are in force."""

    def __init__(self, config: ConfigStore) -> None:
        self._config = config

    def of(self, parcel: Parcel) -> list[str]:
        """The ids of those that an event concerns: see `connectors.core.ports.Listener`."""
        places: list[SourceConfig | SystemConfig] = [*self._config.sources(parcel.connector)]
        if parcel.connector in connectors.SYSTEMS and (plan := self._config.active_plan()) is not None:
            places += [one for one in plan.systems.values() if one.connector == parcel.connector]
        return sorted({one.id for one in places if self._receiver(one).concerns(parcel.delivery)})

    def _receiver(self, place: SourceConfig | SystemConfig) -> Any:
        kind: Any = connectors.receiver(place.connector)
        return kind(kind.settings_model.model_validate(place.settings))


def place_of(parcel: Parcel) -> str:
    """What an event says of where it comes from, by ARN: no more than the first of its `resources`."""
    event = json.loads(parcel.delivery.body)
    resources = event.get("resources")
    first = resources[0] if isinstance(resources, list) and resources else event.get("account")
    return str(first)[:200]
