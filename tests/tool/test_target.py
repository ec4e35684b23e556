"""Which stacks a command speaks to: those that `up` deployed, and those that were named beside them."""

from __future__ import annotations

import os

import pytest

from connectors.tool import state
from connectors.tool.target import target


@pytest.fixture(autouse=True)
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    said = state.Particulars(
        endpoint="http://127.0.0.1:1",
        region="eu-central-1",
        stack="hailback",
        routes=["hailback-routes", "hailback-local"],
        listener="",
        tracker="",
        credentials="",
        webhooks={},
        pid=os.getpid(),
        children={},
        kept=False,
    )
    monkeypatch.setattr("connectors.tool.target.particulars", lambda _: said)


def test_a_stack_of_routes_is_named_beside_those_of_this_machine() -> None:
    assert list(target(None, None, None).routes) == ["hailback-routes", "hailback-local"]
    found = target(None, None, ["hailback-us", "hailback-local"])
    assert list(found.routes) == ["hailback-routes", "hailback-local", "hailback-us"]
