"""Plans of many stacks on tables that speak DynamoDB: at the same moment, and large."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from connectors.aws.config import ConfigStore
from connectors.core.plan_configure import configure
from connectors.core.plan_ports import Outcome, ResourceRequest
from tests.core.plan_world import PLAN, ROUTE, TRACKER, Seen, ask, machine
from tests.core.test_plan_parts import IDEAS, large
from tests.store.conftest import Backend
from tests.store.shop import Shop

MANY = 6


@pytest.fixture
def make(open_shop: Callable[..., Shop], backend: Backend) -> Callable[[], ConfigStore]:
    """A store as another Lambda would have it: its cache is its own."""
    shop = open_shop()
    return lambda: ConfigStore(backend.client, shop.name, ttl=0)


def do(store: ConfigStore, request: ResourceRequest, seen: Seen | None = None) -> Outcome:
    return configure(request, machine(store, seen))


def test_stacks_that_deploy_at_the_same_moment_are_all_in_force(
    make: Callable[[], ConfigStore], backend: Backend
) -> None:
    if not backend.simultaneous:
        pytest.skip("moto says nothing about writers at the same time")
    assert do(make(), ask("Create", "System", "Tracker", TRACKER)).ok
    requests = [ask("Create", "Plan", "Plan", PLAN)]
    requests += [ask("Create", "Plan", "Plan", IDEAS, stack=f"team{number}") for number in range(MANY)]
    moved = {**TRACKER, "BaseUrl": "https://second.example"}
    requests.append(ask("Update", "System", "Tracker", moved, old=TRACKER))
    with ThreadPoolExecutor(len(requests)) as pool:
        # Each is delivered twice, as CloudFormation may do.
        outcomes = list(pool.map(lambda request: do(make(), request), [*requests, *requests]))
    assert [outcome.findings for outcome in outcomes] == [()] * len(outcomes)
    store = make()
    plan = store.active_plan()
    assert plan is not None
    assert [route.plan for route in plan.routes] == [*(f"team{number}/Plan" for number in range(MANY)), None]
    assert plan.systems["routes/Tracker"].settings["base_url"] == "https://second.example"
    newest = next(iter(store.log.activations()))
    assert store.plan(newest.version) is not None


def test_a_large_plan_is_read_as_it_was_written(make: Callable[[], ConfigStore]) -> None:
    assert do(make(), ask("Create", "System", "Tracker", TRACKER)).ok
    seen = Seen()
    seen.definitions["s3://plans/hailback/p.json?versionId=v1"] = large(2_000)
    text: dict[str, Any] = {"Definition": "s3://plans/hailback/p.json?versionId=v1"}
    outcome = do(make(), ask("Create", "Plan", "Plan", text), seen)
    assert outcome.ok, outcome.findings[:3]
    plan = make().active_plan()
    assert plan is not None
    assert (plan.version, len(plan.routes)) == (outcome.data["Version"], 2_001)


def test_what_was_in_force_and_when_effects_were_off_is_read_back(make: Callable[[], ConfigStore]) -> None:
    store = make()
    assert do(store, ask("Create", "System", "Tracker", TRACKER)).ok
    first = do(store, ask("Create", "Plan", "Plan", PLAN)).data["Version"]
    off = {"Routes": [ROUTE], "Effects": "off"}
    assert do(store, ask("Update", "Plan", "Plan", off, old=PLAN)).ok
    assert make().shadows()[""][-1][1] is None
    assert do(store, ask("Update", "Plan", "Plan", PLAN, old=off)).ok
    ((since, until),) = make().shadows()[""]
    assert until is not None
    assert since <= until
    wrong = do(store, ask("Update", "Plan", "Plan", {"Routes": "none"}, old=PLAN))
    (refusal,) = make().log.refusals()
    assert refusal.findings == wrong.findings
    versions = [line.version for line in make().log.activations()]
    assert versions.count(first) == 2
    assert len(versions) == 3
