"""The administrators' door as CloudFormation sees it: every request is answered, whatever happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from connectors.aws.config import ConfigStore
from functions import configure_stack
from tests.core.plan_table import table
from tests.core.plan_world import stack_id

CONTEXT = SimpleNamespace(log_stream_name="stream", log_group_name="group")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The machine deployed on moto, with its secrets and a topic; the answers that were put."""
    for name, value in {
        "TABLE_NAME": "hailback",
        "PUBLIC_URL": "https://api.example/",
        "WEBHOOK_SALT": "salt",
        "SECRETS_PREFIX": "hailback/",
        "TOPICS_PREFIX": "hailback-",
    }.items():
        monkeypatch.setenv(name, value)
    put: list[dict[str, Any]] = []
    monkeypatch.setattr(configure_stack, "send", lambda http, url, document: put.append(json.loads(document)))
    configure_stack._machine.cache_clear()
    with table():
        secrets = boto3.client("secretsmanager")
        for name in ("hailback/forum/verification", "hailback/tracker/credentials"):
            secrets.create_secret(Name=name, SecretString="very-secret")
        boto3.client("sns").create_topic(Name="hailback-care")
        yield put
    configure_stack._machine.cache_clear()


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """What is logged."""
    found = StringIO()
    handler = configure_stack.logger.registered_handler
    before = handler.setStream(found)
    yield found
    handler.setStream(before)


def event(action: str, kind: str, name: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "RequestType": action,
        "ResourceType": f"Custom::{kind}",
        "RequestId": f"{action}-{kind}-{name}-{len(str(properties))}",
        "StackId": stack_id(),
        "LogicalResourceId": name,
        "ResponseURL": "https://answers.example/?signature=pre-signed",
        "ResourceProperties": {"ServiceToken": "arn", "ServiceTimeout": "120", **properties},
        **more,
    }


FORUM = {"Connector": "discourse", "Secret": "hailback/forum", "BaseUrl": "https://forum.example"}


def test_the_real_connectors_deploy_and_the_plan_is_in_force(answers: list[dict[str, Any]]) -> None:
    system = {"Connector": "roundup", "Secret": "hailback/tracker", "BaseUrl": "https://tracker.example/support/"}
    topic = "arn:aws:sns:eu-west-1:123456789012:hailback-care"
    plan = {"Routes": [{"Name": "everything-else", "Case": ["routes/Tracker"], "Notify": [topic]}]}
    configure_stack.handler(event("Create", "Source", "Forum", FORUM), CONTEXT)
    configure_stack.handler(event("Create", "System", "Tracker", system), CONTEXT)
    configure_stack.handler(event("Create", "Plan", "Plan", plan), CONTEXT)
    assert [(one["Status"], one.get("Reason")) for one in answers] == [("SUCCESS", None)] * 3
    assert answers[0]["Data"]["WebhookUrl"].startswith("https://api.example/discourse/")
    assert "no confirmed subscription" in answers[2]["Data"]["Warnings"]
    active = ConfigStore(boto3.client("dynamodb"), "hailback").active_plan()
    assert active is not None
    assert active.version == answers[2]["Data"]["Version"]


def test_a_mistake_is_answered_with_its_field_and_remedy(answers: list[dict[str, Any]]) -> None:
    configure_stack.handler(event("Create", "Source", "Forum", {**FORUM, "Poll": "often"}), CONTEXT)
    assert answers[0]["Status"] == "FAILED"
    assert answers[0]["Reason"].startswith("Poll: is not a wait between 5s and 1d. Write a number and a unit")


def test_a_forum_may_be_asked_beside_its_webhook(answers: list[dict[str, Any]]) -> None:
    configure_stack.handler(event("Create", "Source", "Forum", {**FORUM, "Poll": "5m"}), CONTEXT)
    assert (answers[0]["Status"], answers[0].get("Reason")) == ("SUCCESS", None)
    source = ConfigStore(boto3.client("dynamodb"), "hailback").source("routes/Forum")
    assert source is not None
    assert source.poll == 300
    assert answers[0]["PhysicalResourceId"] == "routes/Forum"


def test_a_missing_secret_is_answered_so(answers: list[dict[str, Any]]) -> None:
    configure_stack.handler(event("Create", "Source", "Forum", {**FORUM, "Secret": "hailback/none"}), CONTEXT)
    assert answers[0]["Reason"].startswith("Secret: secret 'hailback/none/verification' does not exist.")


TRACKER = {"Connector": "roundup", "Secret": "hailback/tracker", "BaseUrl": "http://127.0.0.1:8080/support/"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.1.2.3", "[::1]"])
def test_a_private_system_needs_the_parameter_that_allows_it(
    answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    tracker = {**TRACKER, "BaseUrl": f"http://{host}:8080/support/"}
    configure_stack.handler(event("Create", "System", "Tracker", tracker), CONTEXT)
    monkeypatch.setenv("ALLOW_PRIVATE_SYSTEMS", "true")
    configure_stack.handler(event("Create", "System", "Allowed", tracker), CONTEXT)
    assert answers[0]["Reason"] == (
        f"BaseUrl: {host.strip('[]')} leads to a private address; "
        "set AllowPrivateSystems if the system really is there."
    )
    assert answers[1]["Status"] == "SUCCESS"


def test_a_systems_name_is_not_resolved_at_deployment(answers: list[dict[str, Any]]) -> None:
    tracker = {**TRACKER, "BaseUrl": "https://tracker.invalid/support/"}
    configure_stack.handler(event("Create", "System", "Tracker", tracker), CONTEXT)
    assert answers[0]["Status"] == "SUCCESS"


def test_our_own_failure_is_answered_without_a_trace(answers: list[dict[str, Any]], monkeypatch: Any) -> None:
    boto3.client("dynamodb").delete_table(TableName="hailback")
    configure_stack.handler(event("Create", "Source", "Forum", FORUM), CONTEXT)
    assert answers[0]["Status"] == "FAILED"
    assert answers[0]["Reason"] == (
        "Forum: Hailback itself failed (UpdateItem answered ResourceNotFoundException). "
        "Deploy again; details are in log stream stream of group."
    )


def test_a_deletion_succeeds_even_without_a_table(answers: list[dict[str, Any]]) -> None:
    boto3.client("dynamodb").delete_table(TableName="hailback")
    configure_stack.handler(event("Delete", "Plan", "Plan", {}, PhysicalResourceId="what-it-was"), CONTEXT)
    assert answers[0]["Status"] == "SUCCESS"
    assert answers[0]["PhysicalResourceId"] == "what-it-was"


def test_a_deletion_that_the_table_did_not_take_has_failed(answers: list[dict[str, Any]], monkeypatch: Any) -> None:
    """Answered with success, the forum of a stack that is no more would be listened to for ever."""
    configure_stack.handler(event("Create", "Source", "Forum", FORUM), CONTEXT)
    gone = {**event("Delete", "Source", "Forum", FORUM), "PhysicalResourceId": "routes/Forum"}
    config = ConfigStore(boto3.client("dynamodb"), "hailback")
    with monkeypatch.context() as broken:
        busy = ClientError({"Error": {"Code": "ThrottlingException"}}, "TransactWriteItems")
        broken.setattr(ConfigStore, "commit", lambda self, change: (_ for _ in ()).throw(busy))
        configure_stack.handler(gone, CONTEXT)
    assert answers[1]["Status"] == "FAILED"
    assert "(TransactWriteItems answered ThrottlingException). Delete the stack again;" in answers[1]["Reason"]
    assert config.source("routes/Forum") is not None
    configure_stack.handler({**gone, "RequestId": "once-more"}, CONTEXT)
    assert answers[2]["Status"] == "SUCCESS"
    assert ConfigStore(boto3.client("dynamodb"), "hailback").source("routes/Forum") is None


def test_a_broken_environment_is_answered_too(answers: list[dict[str, Any]], monkeypatch: Any) -> None:
    monkeypatch.delenv("TABLE_NAME")
    configure_stack.handler(event("Create", "Source", "Forum", FORUM), CONTEXT)
    assert "Hailback itself failed (KeyError)" in answers[0]["Reason"]


def test_an_event_that_is_not_cloudformations_is_left_alone(answers: list[dict[str, Any]]) -> None:
    configure_stack.handler({"hello": "world"}, CONTEXT)
    assert answers == []


def test_neither_the_pre_signed_address_nor_a_secret_is_logged(answers: list[dict[str, Any]], lines: StringIO) -> None:
    configure_stack.handler(event("Create", "Source", "Forum", FORUM), CONTEXT)
    configure_stack.handler(event("Create", "Source", "Bad", {**FORUM, "Password": "hunter2"}), CONTEXT)
    boto3.client("dynamodb").delete_table(TableName="hailback")
    configure_stack.handler(event("Create", "Source", "Other", FORUM), CONTEXT)
    printed = lines.getvalue()
    assert len(answers) == 3
    assert printed.count('"message":"answered"') == 3
    assert "pre-signed" not in printed
    assert "very-secret" not in printed
    assert "hunter2" not in printed


def test_a_plan_in_s3_comes_into_force_and_is_refused_where_none_may_be(
    answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="acme-plans", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket="acme-plans", VersioningConfiguration={"Status": "Enabled"})
    topic = "arn:aws:sns:eu-west-1:123456789012:hailback-care"
    routes = {"Routes": [{"Name": "everything-else", "Case": ["routes/Tracker"], "Notify": [topic]}]}
    version = s3.put_object(Bucket="acme-plans", Key="plan.json", Body=json.dumps(routes).encode())["VersionId"]
    text = {"Definition": f"s3://acme-plans/plan.json?versionId={version}"}
    system = {**TRACKER, "BaseUrl": "https://tracker.example/support/"}
    configure_stack.handler(event("Create", "System", "Tracker", system), CONTEXT)
    configure_stack.handler(event("Create", "Plan", "Plan", text), CONTEXT)
    assert answers[1]["Reason"].startswith(
        "Definition: lies outside of what Hailback was granted, which is no bucket at all. "
        "Deploy Hailback with DefinitionsBucket set to its bucket"
    )
    monkeypatch.setenv("DEFINITIONS_BUCKET", "acme-plans/")
    configure_stack._machine.cache_clear()
    configure_stack.handler(event("Create", "Plan", "Again", text), CONTEXT)
    assert (answers[2]["Status"], answers[2].get("Reason")) == ("SUCCESS", None)
    active = ConfigStore(boto3.client("dynamodb"), "hailback").active_plan()
    assert active is not None
    assert [route.name for route in active.routes] == ["everything-else"]


def test_of_very_many_findings_five_are_answered_and_all_are_logged_and_kept(
    answers: list[dict[str, Any]], lines: StringIO
) -> None:
    route = {"Case": ["routes/Tracker"], "Notify": ["arn:aws:sns:eu-west-1:123456789012:hailback-care"]}
    wrong = {"Routes": [{"Name": f"n {number}", **route} for number in range(250)]}
    configure_stack.handler(event("Create", "Plan", "Plan", wrong), CONTEXT)
    reason = answers[0]["Reason"]
    assert len(json.dumps(answers[0])) <= 4096
    assert reason.count("is not a route's name.") == 5
    assert "more: see `hailback plans findings routes/Plan`, or log stream stream of group." in reason
    (kept,) = ConfigStore(boto3.client("dynamodb"), "hailback").log.refusals()
    assert f" And {len(kept.findings) - 5} more: " in reason
    logged = lines.getvalue()
    assert all(f"Routes[{number}].Name: is not" in logged for number in range(250))
    assert max(map(len, logged.splitlines())) < 200_000
