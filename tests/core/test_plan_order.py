"""CloudFormation's requests in the wrong order: the newer one is what counts, also where it found nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.aws.config import SKEW, ConfigStore
from connectors.core.plan_ports import Outcome
from tests.core.plan_table import deploy, do, open_store, table, tracker_url
from tests.core.plan_world import FORUM, PLAN, ROUTE, TRACKER, ask
from tests.faults import Fault, FaultyClient

NOON = 1_795_255_200
OVERTAKEN = "a newer request overtook this one. Nothing to do."
KINDS = [("Source", "Forum", FORUM), ("System", "Tracker", TRACKER), ("Plan", "Plan", PLAN)]


@pytest.fixture
def client() -> Iterator[Any]:
    with table() as client:
        yield client


@pytest.fixture
def store(client: Any) -> ConfigStore:
    return open_store(FaultyClient(client), ttl=0)


def prepare(store: ConfigStore, kind: str) -> None:
    """What the resource needs beside it."""
    if kind == "Plan":
        assert do(store, ask("Create", "System", "Tracker", TRACKER)).ok


def in_force(store: ConfigStore, kind: str, name: str) -> bool:
    if kind == "Plan":
        return store.active_plan() is not None
    pointer = store.pointer(f"routes/{name}")
    return pointer is not None and pointer.live


@pytest.mark.parametrize(("kind", "name", "properties"), KINDS)
def test_a_creation_that_comes_after_its_own_deletion_leaves_nothing(
    store: ConfigStore, kind: str, name: str, properties: dict[str, Any]
) -> None:
    """Lambda was throttled, CloudFormation gave up and deleted what it believed to have created."""
    prepare(store, kind)
    assert do(store, ask("Delete", kind, name, properties, asked=NOON + 120)).ok
    late = do(store, ask("Create", kind, name, properties, asked=NOON))
    assert late.findings == (f"{name}: {OVERTAKEN}",)
    assert not in_force(store, kind, name)
    assert do(store, ask("Create", kind, name, properties, asked=NOON + 300)).ok, "deployed anew"
    assert in_force(store, kind, name)


@pytest.mark.parametrize(("kind", "name", "properties"), KINDS)
def test_a_deletion_that_overtakes_its_creation_leaves_nothing(
    store: ConfigStore, client: Any, kind: str, name: str, properties: dict[str, Any]
) -> None:
    """The creation is on its way when the deletion comes, finds nothing and succeeds."""
    prepare(store, kind)
    gone: list[Outcome] = []

    def delete() -> None:
        gone.append(do(open_store(client), ask("Delete", kind, name, properties)))

    slow = FaultyClient(client, [Fault("transact_write_items", 2, before=delete)])
    late = do(open_store(slow), ask("Create", kind, name, properties))
    assert gone[0].ok
    assert late.findings == (f"{name}: {OVERTAKEN}",)
    assert not in_force(store, kind, name)


def test_an_update_that_comes_after_its_rollback_changes_nothing(store: ConfigStore) -> None:
    deploy(store)
    second = {**TRACKER, "BaseUrl": "https://second.example"}
    back = do(store, ask("Update", "System", "Tracker", TRACKER, old=second, asked=NOON + 130))
    late = do(store, ask("Update", "System", "Tracker", second, old=TRACKER, asked=NOON))
    assert back.ok
    assert late.findings == (f"Tracker: {OVERTAKEN}",)
    assert tracker_url(store.active_plan()) == TRACKER["BaseUrl"]


def test_a_late_deletion_does_not_take_what_was_deployed_anew(store: ConfigStore) -> None:
    deploy(store)
    again = do(store, ask("Create", "Source", "Forum", FORUM, asked=NOON + 60))
    late = do(store, ask("Delete", "Source", "Forum", FORUM, asked=NOON))
    assert again.ok
    assert late.ok
    assert store.source("routes/Forum") is not None
    assert do(store, ask("Delete", "Source", "Forum", FORUM, asked=NOON + 70)).ok
    assert store.source("routes/Forum") is None


def test_clocks_that_differ_a_little_keep_nobody_from_deploying(store: ConfigStore) -> None:
    deploy(store)
    assert do(store, ask("Update", "Source", "Forum", FORUM, old=FORUM, asked=NOON)).ok
    second = {**FORUM, "BaseUrl": "https://second.example"}
    assert do(store, ask("Update", "Source", "Forum", second, old=FORUM, asked=NOON - SKEW)).ok
    source = store.source("routes/Forum")
    assert source is not None
    assert "https://second.example" in source.settings.values()


def test_a_late_request_is_answered_the_same_when_it_comes_twice(store: ConfigStore) -> None:
    do(store, ask("Delete", "Source", "Forum", FORUM, asked=NOON + 120))
    late = ask("Create", "Source", "Forum", FORUM, asked=NOON)
    assert do(store, late) == do(store, late)
    assert store.source("routes/Forum") is None


def test_a_rollback_to_a_plan_whose_system_another_stack_deleted_meanwhile_succeeds(store: ConfigStore) -> None:
    """Refused, it would leave the stack in UPDATE_ROLLBACK_FAILED, over a plan that runs all the same."""
    deploy(store)
    elsewhere = {"Routes": [{**ROUTE, "Case": ["other/Tracker"]}]}
    assert do(store, ask("Create", "System", "Tracker", TRACKER, stack="other")).ok
    assert do(store, ask("Update", "Plan", "Plan", elsewhere, old=PLAN)).ok
    before = store.active_plan()
    assert do(store, ask("Delete", "System", "Tracker", TRACKER, stack="other")).ok
    wrong = {"Routes": [{**ROUTE, "Case": ["routes/None"]}]}
    assert not do(store, ask("Update", "Plan", "Plan", wrong, old=elsewhere)).ok
    back = do(store, ask("Update", "Plan", "Plan", elsewhere, old=wrong))
    assert back.ok, back.findings
    assert back.warnings[0].startswith("Routes[0].Case[0]: system 'other/Tracker' was deleted.")
    assert store.active_plan() == before
    never = {"Routes": [{**ROUTE, "Name": "new", "Case": ["other/Tracker"]}]}
    assert not do(store, ask("Update", "Plan", "Plan", never, old=elsewhere)).ok, "new over what is gone is refused"
