"""What the tests of the X account share: a clock of their own, and the stand-in on a port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.x import account as module
from tests.x.xapi import Clock, XApi


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "_now", clock)
    return clock


@pytest.fixture
def api() -> XApi:
    return XApi()


@pytest.fixture
def url(api: XApi) -> Iterator[str]:
    with api.serve() as address:
        yield address
