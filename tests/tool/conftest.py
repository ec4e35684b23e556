"""A small deployment for the tool's tests: a table of the template's shape, queues with dead letters, on moto."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import pytest
from moto import mock_aws

from connectors.aws.cases import effect_item, event_item
from connectors.core.case import Case, CaseEvent, Effect, EffectKind, EffectState, Happening, record_id, shard
from connectors.core.plan import Plan, Route, SystemConfig, canonical
from connectors.tool.deploy import Stack
from connectors.tool.deployment import Deployment, Source
from tests.template import table_request

TRACKER, ZENDESK, FORUM = "routes/Tracker", "routes/Zendesk", "routes/Forum"


class FakeLambda:
    """What was called, and what the functions know."""

    def __init__(self) -> None:
        self.called: list[tuple[str, Any]] = []

    def invoke(self, FunctionName: str, InvocationType: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        self.called.append((FunctionName, json.loads(Payload)))
        return {"StatusCode": 202}


class SmallDeployment(Deployment):
    """One whose stack is written down here."""

    def __init__(self, clients: Callable[..., Any], outputs: Mapping[str, str], resources: Mapping[str, str]) -> None:
        super().__init__("hailback", ("routes",), clients)
        self.__dict__["stack"] = Stack("hailback", "arn:stack", outputs, resources)

    def sources(self) -> dict[str, Source]:
        return {"Forum": Source("Forum", FORUM, "discourse", "hailback/forum", {}, "https://front/discourse/x")}


class Small:
    """The deployment, and what tests put into it."""

    def __init__(self) -> None:
        self.functions = FakeLambda()
        self.sqs = boto3.client("sqs")
        dynamodb = boto3.client("dynamodb")
        dynamodb.create_table(**table_request("table"))
        boto3.client("s3").create_bucket(
            Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        outputs = {"TableName": "table", "BucketName": "bucket"}
        dead = []
        for name, fifo in (("Inbox", False), ("Sync", True), ("Notify", False)):
            dead.append(self._queue(f"{name}Dead", fifo))
            arn = self.sqs.get_queue_attributes(QueueUrl=dead[-1], AttributeNames=["QueueArn"])["Attributes"][
                "QueueArn"
            ]
            policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
            outputs[f"{name}QueueUrl"] = self._queue(f"{name}Queue", fifo, RedrivePolicy=policy)
        dead += [self._queue(name, fifo=False) for name in ("WakeDead", "ConfigureDead")]
        outputs["DeadLetterQueueUrls"] = ",".join(dead)
        names = {"WakeDue": "hb-wake", "ReceiveWebhook": "hb-receive", "ConfigureStack": "hb-configure"}
        self.deployment = SmallDeployment(self._client, outputs, {**names, "SyncDead": dead[1]})

    def _client(self, service: str, region: str | None = None) -> Any:
        return self.functions if service == "lambda" else boto3.client(service, region_name=region)  # type: ignore[call-overload]

    def _queue(self, name: str, fifo: bool, **attributes: str) -> str:
        if fifo:
            name, attributes = f"{name}.fifo", {**attributes, "FifoQueue": "true"}
        return str(self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    def url(self, name: str) -> str:
        return str(self.sqs.get_queue_url(QueueName=name)["QueueUrl"])

    def waiting(self, name: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.sqs.get_queue_attributes(QueueUrl=self.url(name), AttributeNames=names)["Attributes"]
        return sum(int(counts[one]) for one in names)

    def send(self, name: str, body: Any, **more: Any) -> None:
        if name.endswith(".fifo"):
            more = {"MessageGroupId": "g1", "MessageDeduplicationId": json.dumps(body)[:80], **more}
            more["MessageDeduplicationId"] = "".join(c for c in more["MessageDeduplicationId"] if c.isalnum())
        self.sqs.send_message(QueueUrl=self.url(name), MessageBody=json.dumps(body), **more)

    def case(self, identity: str = "case-abcdefgh", **more: Any) -> Case:
        found = Case(
            id=identity,
            conversation=f"discourse:forum:{identity}",
            connector="discourse",
            source=FORUM,
            first_mention="discourse:forum:2",
            opened_at=1_795_000_000_000,
            updated_at="2026-11-21T10:00:00Z",
            **{"plan_version": "p", "route": "all", "systems": (TRACKER, ZENDESK), "engaged": (TRACKER,), **more},
        )
        row = {
            "pk": f"CASE#{identity}",
            "sk": "META",
            "type": "case",
            **found.model_dump(mode="json", exclude={"fail_over_after", "coalesce"}),
        }
        self.deployment.table.put({**row, "state_shard": f"{found.state}#{shard(identity)}"})
        return found

    def effect(self, state: EffectState, kind: EffectKind = EffectKind.RECORD, **more: Any) -> Effect:
        given = {"case": "case-abcdefgh", "id": record_id(TRACKER), "target": TRACKER, "planned_at": 1, **more}
        found = Effect(kind=kind, state=state, **given)
        self.deployment.table.put(effect_item(found))
        return found

    def event(self, kind: Happening, at: int, due_at: int | None = None) -> None:
        event = CaseEvent(case="case-abcdefgh", id=f"{kind}{at}", kind=kind, at=at, due_at=due_at)
        self.deployment.table.put(event_item(event))

    def plan(self, given: Plan | None = None) -> None:
        """A plan in force: one route over both systems, unless another is given."""
        systems = {name: SystemConfig.of(name, "roundup", "hailback/tracker", {}) for name in (TRACKER, ZENDESK)}
        plan = given or Plan.of((Route(name="all", systems=(TRACKER, ZENDESK), topics=("arn:t",)),), systems)
        table = self.deployment.table
        body = canonical(plan.model_dump(mode="json"))
        table.put({"pk": f"PLAN#{plan.version}", "sk": "CHUNK#0000", "body": body, "chunks": 1})
        pointer = {"kind": "plan", "id": "routes/Plan", "version": plan.version, "stack_id": "s", "ticket": 1}
        table.put({"pk": "PLAN#ACTIVE", "sk": "POINTER", **pointer, "revision": 1})


@pytest.fixture
def small(aws_environment: None) -> Iterator[Small]:
    with mock_aws():
        yield Small()
