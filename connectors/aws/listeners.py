"""Whose an event of EventBridge is: it comes to the account, and names no source of the administrators'."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

import connectors
from connectors.aws.config import ConfigStore
from connectors.aws.inbox import Parcel
from connectors.core.plan import SourceConfig, SystemConfig


@dataclass(frozen=True, slots=True)
class Heard:
    """The ids of those that an event concerns, and of those of which nobody can tell: their settings are broken."""

    by: list[str]
    broken: list[str]


class Listeners:
    """The sources, and systems of record, that are in force."""

    def __init__(self, config: ConfigStore) -> None:
        self._config = config

    def of(self, parcel: Parcel) -> Heard:
        """Whom an event concerns: see `connectors.core.ports.Listener`."""
        places: list[SourceConfig | SystemConfig] = [*self._config.sources(parcel.connector)]
        if parcel.connector in connectors.SYSTEMS and (plan := self._config.active_plan()) is not None:
            places += [one for one in plan.systems.values() if one.connector == parcel.connector]
        found = {one.id: self._concerned(one, parcel) for one in places}
        by, broken = ([name for name, told in found.items() if told is what] for what in (True, None))
        return Heard(sorted(by), sorted(broken))

    def _concerned(self, place: SourceConfig | SystemConfig, parcel: Parcel) -> bool | None:
        kind: Any = connectors.receiver(place.connector)
        try:
            receiver = kind(kind.settings_model.model_validate(place.settings))
        except ValidationError:  # as of another version, before it is deployed anew
            return None
        return bool(receiver.concerns(parcel.delivery))


def place_of(parcel: Parcel) -> str:
    """What an event says of where it comes from, by ARN: no more than the first of its `resources`, or the one that it
    is a part of, as a contact is of an instance."""
    event = json.loads(parcel.delivery.body)
    resources = event.get("resources")
    named = [str(one) for one in resources] if isinstance(resources, list) else []
    first = named[0] if named else str(event.get("account"))
    return min((one for one in named if first.startswith(f"{one}/")), key=len, default=first)[:200]
