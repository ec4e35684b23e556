"""Configuration in a real table (moto): what is kept, how long, in which pieces, and how old a reader's view may be."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.aws import config as adapter
from connectors.aws.config import ConfigStore
from connectors.core.plan import Plan, Route, SystemConfig
from connectors.core.plan_ports import Change, Outcome, Pointer
from tests.core.plan_table import deploy, do, open_store, rows, table, tracker_url
from tests.core.plan_world import FORUM, TOPIC, TRACKER, ask
from tests.faults import FaultyClient, failure

TRACKER_2 = {**TRACKER, "BaseUrl": "https://second.example"}


@pytest.fixture
def client() -> Iterator[Any]:
    with table() as client:
        yield client


@pytest.fixture
def store(client: Any) -> ConfigStore:
    return open_store(FaultyClient(client), ttl=0)


def test_every_item_carries_its_schema(store: ConfigStore, client: Any) -> None:
    deploy(store)
    do(store, ask("Create", "System", "Other", {}))
    assert rows(client)
    assert all(item["schema"] == {"N": "1"} for item in rows(client))


def test_requests_are_forgotten_after_a_week(store: ConfigStore, client: Any) -> None:
    deploy(store)
    requests = [item for item in rows(client) if item["pk"]["S"].startswith("REQUEST#")]
    assert len(requests) == 3
    assert all("expires_at" in item for item in requests)
    assert not any("expires_at" in item for item in rows(client) if item not in requests)


def test_nothing_is_there_before_the_first_deployment(store: ConfigStore) -> None:
    assert store.active_plan() is None
    assert store.source("routes/Forum") is None
    assert store.system("routes/Tracker") is None
    assert store.plan("none") is None


def test_a_large_plan_is_kept_in_chunks(store: ConfigStore, monkeypatch: pytest.MonkeyPatch, client: Any) -> None:
    noise = random.Random(1).randbytes(300_000).hex()
    system = SystemConfig.of("routes/Tracker", "tracker", "hailback/t", {"base_url": f"https://é/{noise}"})
    plan = Plan.of((Route(name="all", systems=(system.id,), topics=(TOPIC,)),), {system.id: system})
    store.begin("r", "routes/Plan")
    after = Pointer("plan", "routes/Plan", plan.version, "stack", 1, 1)
    store.commit(Change("r", Outcome("routes/Plan"), (after,), plan=plan))
    chunks = [row for row in rows(client) if row["sk"]["S"].startswith("CHUNK#")]
    assert len(chunks) == 2
    assert all(len(str(row["packed"])) > 10_000 for row in chunks)
    assert open_store(client).active_plan() == plan


def test_a_plan_with_a_chunk_missing_is_not_half_read(store: ConfigStore, client: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(adapter, "CHUNK", 100)
    version = deploy(store).data["Version"]
    key = {"pk": {"S": f"PLAN#{version}"}, "sk": {"S": "CHUNK#0001"}}
    client.delete_item(TableName="hailback", Key=key)
    assert open_store(client).plan(version) is None


def test_the_faulty_client_keeps_the_limits_of_aws(client: Any) -> None:
    faulty = FaultyClient(client)
    item = {"pk": {"S": "a"}, "sk": {"S": "b"}, "body": {"S": "x" * 410_000}}
    with pytest.raises(Exception, match="ValidationException"):
        faulty.put_item(TableName="hailback", Item=item)
    assert str(failure("put_item", "X")).startswith("An error occurred (X) when calling the PutItem")


def test_readers_see_a_new_plan_when_their_cache_runs_out(client: Any, store: ConfigStore) -> None:
    deploy(store)
    now = [100.0]
    counting = FaultyClient(client)
    reader = open_store(counting, ttl=15, clock=lambda: now[0])
    assert tracker_url(reader.active_plan()) == "https://tracker.example"
    do(store, ask("Update", "System", "Tracker", TRACKER_2, old=TRACKER))
    reads = counting.calls["get_item"]
    now[0] += 14.9
    assert tracker_url(reader.active_plan()) == "https://tracker.example"
    assert counting.calls["get_item"] == reads
    now[0] += 0.1
    assert tracker_url(reader.active_plan()) == "https://second.example"


def test_readers_see_the_first_plan_at_once(client: Any, store: ConfigStore) -> None:
    reader = open_store(client, ttl=3600)
    assert reader.active_plan() is None
    assert reader.source("routes/Forum") is None
    deploy(store)
    assert reader.active_plan() is not None
    assert reader.source("routes/Forum") is not None


def test_readers_hear_a_source_that_is_deployed_anew_at_once(client: Any, store: ConfigStore) -> None:
    """Else what is said in the first seconds is dropped, as if the source were still deleted."""
    deploy(store)
    reader = open_store(client, ttl=15.0)
    assert do(store, ask("Delete", "Source", "Forum", FORUM)).ok
    assert reader.source("routes/Forum") is None
    assert reader.source("routes/Forum", with_deleted=True) is not None
    assert do(store, ask("Create", "Source", "Forum", FORUM)).ok
    assert reader.source("routes/Forum") is not None


def test_the_writer_sees_its_own_change_at_once(client: Any) -> None:
    store = open_store(client, ttl=3600)
    deploy(store)
    assert tracker_url(store.active_plan()) == "https://tracker.example"
    do(store, ask("Update", "System", "Tracker", TRACKER_2, old=TRACKER))
    assert tracker_url(store.active_plan()) == "https://second.example"


def test_the_sources_of_a_connector_are_listed_as_they_are_deployed(client: Any, store: ConfigStore) -> None:
    now = [100.0]
    counting = FaultyClient(client)
    reader = open_store(counting, ttl=15, clock=lambda: now[0])
    assert reader.sources("forum") == []
    deploy(store)
    do(store, ask("Create", "Source", "Other", {**FORUM, "Connector": "discourse"}))
    assert [one.id for one in reader.sources("forum")] == ["routes/Forum"], "nobody there is not kept"
    before = dict(counting.calls)
    assert [one.id for one in reader.sources("forum")] == ["routes/Forum"]
    assert counting.calls == before, "what is there is"
    do(store, ask("Create", "Source", "Second", FORUM))
    now[0] += 16
    assert [one.id for one in reader.sources("forum")] == ["routes/Forum", "routes/Second"]
    do(store, ask("Delete", "Source", "Second", FORUM))
    now[0] += 16
    assert [one.id for one in reader.sources("forum")] == ["routes/Forum"]


def test_a_source_of_before_the_list_said_of_which_connector_is_found_too(client: Any, store: ConfigStore) -> None:
    deploy(store)
    client.put_item(TableName="hailback", Item={"pk": {"S": "SOURCES"}, "sk": {"S": "routes/Forum"}})
    assert [one.id for one in store.sources("forum")] == ["routes/Forum"]
    assert store.sources("discourse") == []
