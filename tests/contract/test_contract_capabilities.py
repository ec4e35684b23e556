"""What a connector promises by where it is registered, and by what its `parse` gives, it can do."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

import connectors
from connectors.core.errors import PayloadError
from connectors.core.models import Hint
from connectors.core.plan_settings import read_settings
from tests.contract.registered import RECEIVERS, as_delivered, given, reader, sample_paths, told_by


@pytest.mark.parametrize("name", RECEIVERS)
def test_whoever_reads_deliveries_is_built_from_its_settings(name: str) -> None:
    """As the worker behind the inbox builds it."""
    kind: Any = connectors.receiver(name)
    plain, findings = read_settings(kind.settings_model, given(name).settings)
    assert findings == []
    receiver = kind(kind.settings_model.model_validate(plain))
    for path in sample_paths(name):
        with suppress(PayloadError):
            assert list(receiver.parse(as_delivered(name, path))) is not None


@pytest.mark.parametrize("bus", connectors.EVENT_BUSES)
def test_whoever_is_told_by_an_event_bus_knows_which_events_are_its_own(bus: str) -> None:
    """Without that the event would end in a dead-letter queue."""
    name = connectors.EVENT_BUSES[bus]
    assert name in RECEIVERS, "an event bus whose events nobody reads"
    assert callable(getattr(reader(name), "concerns", None))


@pytest.mark.parametrize("name", RECEIVERS)
def test_whoever_is_only_hinted_at_something_can_fetch_it(name: str) -> None:
    hints = [event for _, events in told_by(name) for event in events if isinstance(event, Hint)]
    if not hints:
        return  # says everything itself
    assert name in connectors.POLLERS
    assert callable(getattr(connectors.poller(name), "resolve", None))
