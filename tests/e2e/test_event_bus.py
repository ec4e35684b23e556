"""EventBridge straight into the Inbox: the rule lets through what it is for, and an event is taken in."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.tool.aws import LocalAws
from connectors.tool.deploy import Stack

pytestmark = pytest.mark.e2e

INSTANCE = "arn:aws:connect:eu-central-1:000000000000:instance/nobody"
EVENT: dict[str, Any] = {
    "version": "0",
    "id": "0f9dd1a5-4c4b-4ecb-8c58-9e4a32e5f1aa",
    "detail-type": "Amazon Connect Contact Event",
    "source": "aws.connect",
    "account": "000000000000",
    "time": "2026-11-22T10:00:00Z",
    "region": "eu-central-1",
    "resources": [INSTANCE],
    "detail": {"eventType": "INITIATED", "contactId": "c-1", "channel": "VOICE", "instanceArn": INSTANCE},
}


@pytest.fixture
def rule(local: LocalAws, stack: Stack) -> Iterator[str]:
    """The rule's name, as deployed, and as deployed again when the test is over."""
    events, name = local.client("events"), stack.resources["ConnectContacts"].rpartition("/")[2]
    before = events.describe_rule(Name=name)["EventPattern"]
    targets = events.list_targets_by_rule(Rule=name)["Targets"]
    yield name
    events.put_rule(Name=name, EventPattern=before)
    events.put_targets(Rule=name, Targets=targets)


def test_the_rule_lets_through_contacts_and_nothing_else(local: LocalAws, rule: str) -> None:
    events = local.client("events")
    pattern = events.describe_rule(Name=rule)["EventPattern"]

    def passes(**other: Any) -> bool:
        return bool(events.test_event_pattern(EventPattern=pattern, Event=json.dumps({**EVENT, **other}))["Result"])

    assert passes()
    assert not passes(source="acme.connect")
    assert not passes(**{"detail-type": "Amazon Connect Voice ID Event"})


def test_what_the_rule_lets_through_reaches_the_worker(local: LocalAws, stack: Stack, rule: str) -> None:
    """Nobody but AWS may send events of `aws.connect`, here neither. So the rule is made to take one of ours, and to
    hand on the other in its place. No source is deployed for this instance: the worker says that nobody listens."""
    events, logs = local.client("events"), local.client("logs")
    (target,) = events.list_targets_by_rule(Rule=rule)["Targets"]
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": ["hailback.test"]}))
    events.put_targets(Rule=rule, Targets=[{**target, "Input": json.dumps(EVENT)}])
    refused, sent = (
        events.put_events(Entries=[{"Source": source, "DetailType": "Try", "Detail": "{}"}])["FailedEntryCount"]
        for source in ("aws.connect", "hailback.test")
    )
    assert (refused, sent) == (1, 0)

    def heard() -> list[str]:
        lines = logs.filter_log_events(logGroupName=f"/aws/lambda/{stack.name}/ingest_event")["events"]
        found = [json.loads(one["message"]) for one in lines if one["message"].startswith("{")]
        return [line["place"] for line in found if line["message"] == "nobody listens to an event bus"]

    assert _until(lambda: INSTANCE in heard(), 60)


def test_of_eventbridge_only_the_rule_may_write_into_the_inbox(local: LocalAws, stack: Stack, rule: str) -> None:
    for queue in ("Inbox", "BusDead"):
        url = stack.resources[queue]
        said = local.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]
        (row,) = json.loads(said["Policy"])["Statement"]
        assert (row["Principal"], row["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
        assert row["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(f":rule/{rule}")


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.5)
    return condition()
