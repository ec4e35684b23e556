"""Compiled plans: named by what they say, and never half understood."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

import connectors
from connectors.core.plan import Plan, Route, SourceConfig, SystemConfig
from connectors.core.plan_grammar import PLAN_NOT_BUILT, ROUTE_NOT_BUILT, SYSTEM_NOT_BUILT
from connectors.core.plan_settings import setting_names

TRACKER = SystemConfig.of("routes/Tracker", "roundup", "hailback/tracker", {"BaseUrl": "https://a.example/", "N": 1})
ROUTE = Route(name="all", systems=("routes/Tracker",), topics=("arn:aws:sns:eu-west-1:123456789012:hailback-care",))


def plan(*systems: SystemConfig) -> Plan:
    return Plan.of((ROUTE,), {system.id: system for system in systems})


def test_a_plan_is_the_same_version_in_whatever_order_its_parts_came() -> None:
    again = SystemConfig.of(TRACKER.id, "roundup", "hailback/tracker", {"N": 1, "BaseUrl": "https://a.example/"})
    unused = SystemConfig.of("routes/Unused", "roundup", "hailback/other", {})
    assert plan(TRACKER) == plan(unused, again)
    assert plan(TRACKER).version == plan(unused, again).version


def test_a_changed_system_is_another_version_and_changing_it_back_the_first() -> None:
    changed = SystemConfig.of(TRACKER.id, "roundup", "hailback/tracker", {"BaseUrl": "https://b.example/"})
    first = plan(TRACKER)
    second = first.with_system(changed)
    assert second.version != first.version
    assert second.systems[TRACKER.id] == changed
    assert second.with_system(TRACKER) == first


def test_a_plan_over_a_system_that_is_not_there_does_not_compile() -> None:
    with pytest.raises(KeyError):
        plan()


def test_a_source_and_a_system_that_say_the_same_are_different_versions() -> None:
    one = SourceConfig.of("routes/X", "x", "hailback/x", {})
    assert one.hash != SystemConfig.of("routes/X", "x", "hailback/x", {}).hash


def test_a_plan_survives_the_table() -> None:
    first = plan(TRACKER)
    assert Plan.model_validate_json(first.model_dump_json()) == first


def test_a_route_with_a_condition_that_is_not_understood_is_not_read_as_a_catch_all() -> None:
    with pytest.raises(ValidationError):
        Route.model_validate({**ROUTE.model_dump(), "unless": {"language": ["de"]}})


def test_the_documentation_names_every_field() -> None:
    docs = Path(__file__).parents[2] / "docs"
    page = "".join((docs / name).read_text(encoding="utf-8") for name in ("plan.md", "sources.md"))
    models = [connectors.source(name).settings_model for name in connectors.SOURCES]
    models += [connectors.system(name).settings_model for name in connectors.SYSTEMS]
    fields = {name for model in models for name in setting_names(model)}
    fields |= {*SYSTEM_NOT_BUILT, *PLAN_NOT_BUILT, *ROUTE_NOT_BUILT}
    fields |= {"Connector", "Secret", "Poll"}
    fields |= {"Revision", "Routes", "Name", "Case", "Notify", "ServiceToken", "ServiceTimeout"}
    assert [name for name in sorted(fields) if f"`{name}`" not in page] == []
    settings = (docs / "sources.md").read_text(encoding="utf-8")
    assert [name for name in connectors.SOURCES if f"`{name}`" not in settings] == []
