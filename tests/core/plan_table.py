"""A table on moto for tests of the plan, and a stack of routes deployed into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws

from connectors.aws.config import ConfigStore
from connectors.core.plan import Plan
from connectors.core.plan_configure import configure
from connectors.core.plan_ports import Outcome, ResourceRequest
from tests.core.plan_world import FORUM, PLAN, TRACKER, Seen, ask, machine

TESTING = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "eu-west-1"}


@contextmanager
def table() -> Iterator[Any]:
    """A DynamoDB client with the table `hailback` behind it."""
    with patch.dict("os.environ", TESTING), mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-1")
        client.create_table(
            TableName="hailback",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def open_store(client: Any, **more: Any) -> ConfigStore:
    return ConfigStore(client, "hailback", sleep=lambda seconds: None, **more)


def do(store: ConfigStore, request: ResourceRequest, lookups: Seen | None = None) -> Outcome:
    return configure(request, machine(store, lookups))


def deploy(store: ConfigStore) -> Outcome:
    """The whole stack: a source, a system, a plan."""
    assert do(store, ask("Create", "Source", "Forum", FORUM)).ok
    assert do(store, ask("Create", "System", "Tracker", TRACKER)).ok
    outcome = do(store, ask("Create", "Plan", "Plan", PLAN))
    assert outcome.ok, outcome.findings
    return outcome


def rows(client: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.scan(TableName="hailback")["Items"]
    return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def tracker_url(plan: Plan | None) -> Any:
    assert plan is not None
    return plan.systems["routes/Tracker"].settings["base_url"]
