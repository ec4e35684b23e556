"""The deployed template: each role can do what its function must and is denied the rest; what should fire, fires."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from connectors.tool.aws import LocalAws
from connectors.tool.deploy import Stack

pytestmark = pytest.mark.e2e

ROLES = {
    "ReceiveRole": "inbox send, verification read, body keep",
    "PollRole": "table, poll send, inbox send, credentials read, credentials write, body keep",
    "IngestRole": "inbox send, poll send, table, body keep, body read, text keep, text read, text remove",
    "DispatchRole": "table, sync send, notify send, reply send, text read",
    "SyncRole": "table, sync send, credentials read, text read",
    "NotifyRole": "table, topic publish, topic describe, undelivered send, text read",
    "ReplyRole": "table, reply send, credentials read, credentials write, text read",
    "WakeRole": "table, due query, sync send, notify send, reply send, poll send, text read",
    "CheckRole": "table, credentials read, credentials write",
    "SweepRole": "table, day query, inbox send, credentials read, credentials write, body keep",
    "ConfigureRole": "table, secret describe, topic describe, definition read",
}
TABLE = {"table get", "table put", "table update", "table query", "table transaction"}


@pytest.fixture(scope="module")
def deeds(local: LocalAws, stack: Stack) -> Iterator[dict[str, tuple[str, str, dict[str, Any]]]]:
    """What may be tried: a name, and the call that is it."""
    secrets = local.client("secretsmanager")
    for name in ("hailback/iam/verification", "hailback/iam/credentials", "elsewhere/iam/verification"):
        secrets.create_secret(Name=name, SecretString="{}")
    topic, foreign = (local.client("sns").create_topic(Name=name)["TopicArn"] for name in ("hailback-iam", "elsewhere"))
    far = local.client("sns", "us-east-1").create_topic(Name="hailback-iam")["TopicArn"]
    bucket, parts = stack.outputs["BucketName"], stack.resources
    for name in ("inbox/iam", "text/iam"):
        local.client("s3").put_object(Bucket=bucket, Key=name, Body=b"x")
    given = {}
    for name, prefix in (("acme-plans", "hailback/"), ("acme-plans", "elsewhere/"), ("others-plans", "hailback/")):
        with suppress(ClientError):  # it is there
            place = {"LocationConstraint": local.region}
            local.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place)
        local.client("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        said = local.client("s3").put_object(Bucket=name, Key=f"{prefix}plan.json", Body=b"{}")
        given[name, prefix] = {"Bucket": name, "Key": f"{prefix}plan.json", "VersionId": said["VersionId"]}
    table = {"TableName": stack.outputs["TableName"]}
    key = {"pk": {"S": "IAM#1"}, "sk": {"S": "META"}}
    change = {"UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": {"S": "1"}}}
    put = {"Put": {**table, "Item": key}}
    check = {
        "ConditionCheck": {**table, "Key": {**key, "sk": {"S": "0"}}, "ConditionExpression": "attribute_not_exists(pk)"}
    }

    def where(name: str) -> dict[str, Any]:
        return {"KeyConditionExpression": f"{name} = :v", "ExpressionAttributeValues": {":v": {"S": "0"}}}

    def send(queue: str) -> tuple[str, str, dict[str, Any]]:
        """A delay above the limit: refused for that only where it would be allowed, and nothing is queued."""
        return "sqs", "send_message", {"QueueUrl": parts[queue], "MessageBody": "{}", "DelaySeconds": 901}

    def blob(key: str, **more: Any) -> dict[str, Any]:
        return {"Bucket": bucket, "Key": key, **more}

    yield {
        "table get": ("dynamodb", "get_item", {**table, "Key": key}),
        "table put": ("dynamodb", "put_item", {**table, "Item": key}),
        "table update": ("dynamodb", "update_item", {**table, "Key": key, **change}),
        "table query": ("dynamodb", "query", {**table, **where("pk")}),
        "table transaction": ("dynamodb", "transact_write_items", {"TransactItems": [put, check]}),
        "table delete": ("dynamodb", "delete_item", {**table, "Key": key}),
        "table scan": ("dynamodb", "scan", table),
        "due query": ("dynamodb", "query", {**table, "IndexName": "due", **where("due_shard")}),
        "state query": ("dynamodb", "query", {**table, "IndexName": "state", **where("state_shard")}),
        "day query": ("dynamodb", "query", {**table, "IndexName": "day", **where("day_shard")}),
        "verification read": ("secretsmanager", "get_secret_value", {"SecretId": "hailback/iam/verification"}),
        "credentials read": ("secretsmanager", "get_secret_value", {"SecretId": "hailback/iam/credentials"}),
        "credentials write": (
            "secretsmanager",
            "put_secret_value",
            {"SecretId": "hailback/iam/credentials", "SecretString": "{}"},
        ),
        "verification write": (
            "secretsmanager",
            "put_secret_value",
            {"SecretId": "hailback/iam/verification", "SecretString": "{}"},
        ),
        "foreign secret read": ("secretsmanager", "get_secret_value", {"SecretId": "elsewhere/iam/verification"}),
        "secret describe": ("secretsmanager", "describe_secret", {"SecretId": "hailback/iam/credentials"}),
        "inbox send": send("Inbox"),
        "sync send": send("SyncQueue"),
        "notify send": send("NotifyQueue"),
        "reply send": send("ReplyQueue"),
        "poll send": send("PollQueue"),
        "undelivered send": send("Undelivered"),
        "topic publish": ("sns", "publish", {"TopicArn": topic, "Message": "x"}),
        "foreign topic publish": ("sns", "publish", {"TopicArn": foreign, "Message": "x"}),
        "far topic publish": ("sns@us-east-1", "publish", {"TopicArn": far, "Message": "x"}),
        "topic describe": ("sns", "get_topic_attributes", {"TopicArn": topic}),
        "body keep": ("s3", "put_object", blob("inbox/iam", Body=b"x")),
        "body read": ("s3", "get_object", blob("inbox/iam")),
        "text keep": ("s3", "put_object", blob("text/iam", Body=b"x")),
        "text read": ("s3", "get_object", blob("text/iam")),
        "text remove": ("s3", "delete_object", blob("text/gone")),
        "definition read": ("s3", "get_object", given["acme-plans", "hailback/"]),
        "read beside definitions": ("s3", "get_object", given["acme-plans", "elsewhere/"]),
        "read in another bucket": ("s3", "get_object", given["others-plans", "hailback/"]),
        "roles list": ("iam", "list_roles", {}),
        "function call": ("lambda", "invoke", {"FunctionName": parts["SyncRecord"]}),
    }
    local.client("dynamodb").delete_item(**table, Key=key)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_can_do_what_its_function_must_and_nothing_else(
    local: LocalAws, stack: Stack, deeds: dict[str, tuple[str, str, dict[str, Any]]], role: str
) -> None:
    client = _as_role(local, stack.resources[role])
    done = {name for name, deed in deeds.items() if _allowed(client, *deed)}
    expected = set(ROLES[role].split(", "))
    if "table" in expected:
        expected = (expected - {"table"}) | TABLE
    assert done == expected


@pytest.mark.parametrize(("role", "kind"), [("ReceiveRole", "verification"), ("SyncRole", "credentials")])
def test_a_missing_secret_is_missing_and_not_denied(local: LocalAws, stack: Stack, role: str, kind: str) -> None:
    """Else a source whose secret is gone would answer 503, as if that would pass."""
    client = _as_role(local, stack.resources[role])("secretsmanager")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.get_secret_value(SecretId=f"hailback/nobody/{kind}")


def _as_role(local: LocalAws, role: str) -> Callable[..., Any]:
    """Clients with the permissions of a function's role, whose trust is widened to us for the purpose."""
    iam = local.client("iam")
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    us = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}
    trust = {**trust, "Statement": [*trust["Statement"], us]}
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    arn = iam.get_role(RoleName=role)["Role"]["Arn"]
    given = local.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]

    def client(service: str) -> Any:
        name, _, region = service.partition("@")
        return boto3.client(  # type: ignore[call-overload]
            name,
            endpoint_url=local.endpoint,
            region_name=region or local.region,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )

    return client


def _allowed(client: Callable[..., Any], service: str, operation: str, arguments: dict[str, Any]) -> bool:
    try:
        getattr(client(service), operation)(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if operation == "send_message" and code in {"InvalidParameterValue", "MissingParameter"}:
            return True
        if "Denied" in code or "Authorization" in code:
            return False
        raise
    return True


def test_the_front_door_is_reached_by_plain_http_and_only_there(stack: Stack) -> None:
    assert _status(stack.outputs["WebhookUrl"] + "/discourse/unknown-token") == 404
    assert _status(stack.outputs["WebhookUrl"] + "/too/many/parts") == 404


def _status(address: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data=b"{}", method="POST")) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_the_minute_wakes_every_shard(local: LocalAws, stack: Stack) -> None:
    """EventBridge fires a minute after the deployment, with one input per shard."""
    logs = local.client("logs")

    def shards() -> set[int]:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{stack.name}/wake_due")["events"]
        lines = [json.loads(event["message"]) for event in events if event["message"].startswith("{")]
        return {shard for line in lines for shard in line.get("shards", [])}

    assert _until(lambda: shards() == set(range(8)), 100), f"only {shards()} were woken"


def test_a_failed_wake_up_call_ends_in_the_functions_own_dead_letter_queue(local: LocalAws, stack: Stack) -> None:
    """`shard` must be a number."""
    local.client("lambda").invoke(
        FunctionName=stack.resources["WakeDue"], InvocationType="Event", Payload=b'{"shard": "none"}'
    )
    sqs, queue = local.client("sqs"), stack.resources["WakeDead"]
    found: list[Any] = []

    def arrived() -> bool:
        found.extend(sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", []))
        return bool(found)

    assert _until(arrived, 30)
    assert json.loads(found[0]["Body"])["requestPayload"] == {"shard": "none"}
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=found[0]["ReceiptHandle"])


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.5)
    return condition()
