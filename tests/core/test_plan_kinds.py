"""A system that is written as a source, or the other way round: which kind it is, and what to write."""

from __future__ import annotations

import pytest

from connectors.catalogues import sources, systems
from connectors.core.plan_grammar import Grants, check_source, check_system

GRANTS = Grants("hailback/*", "hailback-*")
GIVEN = {"Secret": "hailback/x", "BaseUrl": "https://acme.example"}


@pytest.mark.parametrize("name", ["zendesk", "roundup", "Zendesk"])
def test_a_system_is_no_source(name: str) -> None:
    (found,) = check_source("r/One", {**GIVEN, "Connector": name}, sources(), GRANTS)[1]
    said = f"Connector: '{name}' is a system, not a source. Write Type: Custom::System, or name one of: amazon_connect,"
    assert str(found).startswith(said)


@pytest.mark.parametrize("name", ["discourse", "x"])
def test_a_source_is_no_system(name: str) -> None:
    (found,) = check_system("r/One", {**GIVEN, "Connector": name}, systems(), GRANTS)[1]
    said = f"Connector: '{name}' is a source, not a system. Write Type: Custom::Source, or name one of: roundup, z"
    assert str(found).startswith(said)
