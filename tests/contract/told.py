"""`python -m tests.contract.told`: what becomes of every sample of every connector, one JSON document."""

from __future__ import annotations

import json
import sys

from connectors.core.models import AnyEvent, describe
from tests.contract.registered import RECEIVERS, told_by


def told() -> dict[str, dict[str, list[dict[str, object]]]]:
    return {name: {path.name: shown(events) for path, events in told_by(name)} for name in RECEIVERS}


def shown(events: list[AnyEvent]) -> list[dict[str, object]]:
    return [describe(event) for event in events]


if __name__ == "__main__":
    json.dump(told(), sys.stdout)
