"""What only a deployment shows: regions of topics that were not granted, and plans that shadow each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from connectors.aws.config import ConfigStore
from connectors.core.plan_configure import configure
from connectors.core.plan_ports import Outcome, ResourceRequest
from connectors.core.plan_reach import MOST_WARNINGS
from tests.core.plan_table import deploy, do, open_store, table
from tests.core.plan_world import GRANTS, PLAN, ROUTE, TOPIC, Seen, ask, machine
from tests.faults import FaultyClient

FAR = "arn:aws:sns:us-east-1:123456789012:hailback-care"
WIDE = {"intent": ["complaint", "praise"]}
NARROW = {"intent": ["praise"], "language": ["de"]}


@pytest.fixture
def store() -> Iterator[ConfigStore]:
    with table() as client:
        yield open_store(FaultyClient(client), ttl=0)


def granted(store: ConfigStore, request: ResourceRequest, *regions: str, seen: Seen | None = None) -> Outcome:
    return configure(request, replace(machine(store, seen), grants=replace(GRANTS, topic_regions=regions)))


def plan(*whens: Any, **more: Any) -> dict[str, Any]:
    """A plan with a route for each condition; the base has a catch-all too."""
    routes = [{**ROUTE, "Name": f"r{number}", "When": when} for number, when in enumerate(whens)]
    return {"Routes": [*routes, *([] if "Priority" in more else [ROUTE])], **more}


def test_a_region_that_was_not_granted_is_refused_with_its_parameter(store: ConfigStore) -> None:
    deploy(store)
    seen = Seen()
    wrong = {"Routes": [{**ROUTE, "Notify": [TOPIC, FAR]}]}
    outcome = granted(store, ask("Update", "Plan", "Plan", wrong, old=PLAN), "eu-west-1", seen=seen)
    (said,) = outcome.findings
    assert said.startswith("Routes[0].Notify[1]: topic is in region us-east-1, outside of what Hailback was granted")
    assert "Deploy Hailback with TopicRegions=eu-west-1,us-east-1" in said
    assert FAR not in seen.asked, "it may not even look there"
    assert granted(store, ask("Update", "Plan", "Plan", wrong, old=PLAN), "eu-west-1", "us-east-1").ok


def test_a_region_is_named_together_with_all_else_that_is_wrong(store: ConfigStore) -> None:
    deploy(store)
    wrong = {"Routes": [{**ROUTE, "Notify": [FAR], "Priority": "hihg"}]}
    said = granted(store, ask("Update", "Plan", "Plan", wrong, old=PLAN), "eu-west-1").findings
    assert ["hihg" in one for one in said] == [True, False]
    assert "TopicRegions" in said[1]


def test_a_rollback_into_a_region_that_was_taken_away_goes_through(store: ConfigStore) -> None:
    deploy(store)
    far = {"Routes": [{**ROUTE, "Notify": [FAR]}]}
    assert do(store, ask("Update", "Plan", "Plan", far, old=PLAN)).ok
    assert do(store, ask("Update", "Plan", "Plan", PLAN, old=far)).ok
    back = granted(store, ask("Update", "Plan", "Plan", far, old=PLAN), "eu-west-1")
    assert back.ok
    assert any("TopicRegions" in one for one in back.warnings)


def test_whoever_deploys_hears_that_another_plan_takes_all_that_a_route_would(store: ConfigStore) -> None:
    deploy(store)
    before = plan(WIDE, Priority="10", Sources="all")
    assert do(store, ask("Create", "Plan", "Plan", before, stack="ideas")).warnings == ()
    late = plan({"kind": ["post"]}, NARROW, Priority="20", Sources="all")
    outcome = do(store, ask("Create", "Plan", "Plan", late, stack="late"))
    assert outcome.ok
    (said,) = outcome.warnings
    assert said.startswith("Routes[1].When: is never reached: route ideas/Plan/r0 of another plan takes all that")
    assert said.endswith("Change the Priority, or remove it.")


def test_whoever_deploys_hears_that_another_plans_route_is_cut_off(store: ConfigStore) -> None:
    deploy(store)
    based = plan({"kind": ["post"]}, NARROW)
    assert do(store, ask("Update", "Plan", "Plan", based, old=PLAN)).warnings == ()
    over = do(store, ask("Create", "Plan", "Plan", plan(WIDE, Priority="10", Sources="all"), stack="ideas"))
    (said,) = over.warnings
    assert said.startswith("Routes[0].When: takes all that route r1 of another plan would")
    third = do(store, ask("Create", "Plan", "Plan", plan({"kind": ["quote"]}, Priority="20"), stack="third"))
    assert third.warnings == (), "that concerns two others"


def test_routes_for_own_sources_cut_off_only_routes_for_these(store: ConfigStore) -> None:
    deploy(store)
    based = plan(NARROW, {"source": ["routes/Forum"], **NARROW})
    assert not do(store, ask("Update", "Plan", "Plan", based, old=PLAN)).ok, "the first takes all that the second would"
    based = plan({"source": ["routes/Forum"], **NARROW}, NARROW)
    assert do(store, ask("Update", "Plan", "Plan", based, old=PLAN)).ok
    outcome = do(store, ask("Create", "Plan", "Beside", plan(WIDE, Priority="10")))
    (said,) = outcome.warnings
    assert "route r0 of another plan" in said
    assert do(store, ask("Create", "Plan", "Plan", plan(WIDE, Priority="10"), stack="ideas")).warnings == ()


def test_very_many_are_counted(store: ConfigStore) -> None:
    deploy(store)
    many = plan(*({"intent": ["praise"], "language": [f"l{number}"]} for number in range(MOST_WARNINGS + 5)))
    assert do(store, ask("Update", "Plan", "Plan", many, old=PLAN)).ok
    said = do(store, ask("Create", "Plan", "Plan", plan(WIDE, Priority="1", Sources="all"), stack="ideas")).warnings
    assert len(said) == MOST_WARNINGS + 1
    assert "5 more routes" in said[-1]
