"""Looking at secrets and topics: there, missing, denied and out of reach are four different things."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import Stubber
from moto import mock_aws

from connectors.aws.config_checks import AwsLookups
from connectors.core.plan_options import LARGEST_DEFINITION, Address
from connectors.core.plan_ports import Sight
from tests.core.plan_world import TOPIC


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsLookups]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        secrets = boto3.client("secretsmanager", region_name="eu-west-1")
        yield AwsLookups(secrets, lambda region: boto3.client("sns", region_name=region))


def test_a_secret_is_there_or_missing_or_dying(lookups: AwsLookups) -> None:
    secrets = boto3.client("secretsmanager", region_name="eu-west-1")
    secrets.create_secret(Name="hailback/forum/verification", SecretString="s")
    secrets.create_secret(Name="hailback/old/verification", SecretString="s")
    secrets.delete_secret(SecretId="hailback/old/verification", RecoveryWindowInDays=7)
    assert lookups.secret("hailback/forum/verification") is Sight.FOUND
    assert lookups.secret("hailback/none/verification") is Sight.MISSING
    assert lookups.secret("hailback/old/verification") is Sight.DELETED


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1"])
def test_a_topic_is_looked_for_in_its_own_region(lookups: AwsLookups, region: str) -> None:
    sns = boto3.client("sns", region_name=region)
    arn = sns.create_topic(Name="hailback-care")["TopicArn"]
    assert lookups.topic(arn) == (Sight.FOUND, 0)
    assert lookups.topic(arn + "-gone") == (Sight.MISSING, None)


@pytest.mark.parametrize(("attributes", "confirmed"), [({"SubscriptionsConfirmed": "3"}, 3), ({}, None)])
def test_confirmed_subscriptions_are_counted_where_sns_tells(attributes: dict[str, str], confirmed: int | None) -> None:
    sns = boto3.client("sns", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(sns) as stub:
        stub.add_response("get_topic_attributes", {"Attributes": attributes})
        assert AwsLookups(None, lambda region: sns).topic(TOPIC) == (Sight.FOUND, confirmed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "sight"),
    [
        ("AuthorizationError", Sight.DENIED),
        ("AuthorizationErrorException", Sight.DENIED),
        ("NotFound", Sight.MISSING),
        ("NotFoundException", Sight.MISSING),
        ("InternalError", Sight.UNREACHABLE),
        ("Throttling", Sight.UNREACHABLE),
    ],
)
def test_what_sns_says_is_told_apart(code: str, sight: Sight) -> None:
    sns = boto3.client("sns", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(sns) as stub:
        stub.add_client_error("get_topic_attributes", code)
        assert AwsLookups(None, lambda region: sns).topic(TOPIC) == (sight, None)  # type: ignore[arg-type]


def test_a_denied_secret() -> None:
    secrets = boto3.client("secretsmanager", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(secrets) as stub:
        stub.add_client_error("describe_secret", "AccessDeniedException")
        assert AwsLookups(secrets, lambda region: None).secret("x") is Sight.DENIED  # type: ignore[arg-type,return-value]


def test_a_region_out_of_reach() -> None:
    class Silent:
        def get_topic_attributes(self, **_: Any) -> Any:
            raise ConnectTimeoutError(endpoint_url="https://sns.example")

    assert AwsLookups(None, lambda region: Silent()).topic(TOPIC) == (Sight.UNREACHABLE, None)  # type: ignore[arg-type,return-value]


def test_a_region_out_of_reach_is_asked_once_for_all_its_topics() -> None:
    asked: list[str] = []
    now = [0.0]

    class Silent:
        def get_topic_attributes(self, TopicArn: str) -> Any:  # noqa: N803 - as boto3 has it
            asked.append(TopicArn)
            raise ConnectTimeoutError(endpoint_url="https://sns.example")

    lookups = AwsLookups(None, lambda region: Silent(), lambda: now[0])  # type: ignore[arg-type,return-value]
    for _ in range(3):
        assert lookups.topic(TOPIC) == (Sight.UNREACHABLE, None)
    lookups.topic(TOPIC.replace("eu-west-1", "us-east-1"))
    assert len(asked) == 2, "once in each region"
    now[0] = 16.0
    lookups.topic(TOPIC)
    assert len(asked) == 3


@pytest.fixture
def bucket(lookups: AwsLookups) -> Any:
    """A bucket that keeps versions, and look-ups that may read there."""
    s3 = boto3.client("s3", region_name="eu-west-1")
    s3.create_bucket(Bucket="plans", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket="plans", VersioningConfiguration={"Status": "Enabled"})
    lookups._s3 = lambda: s3
    return s3


def test_a_definition_is_read_in_the_version_that_is_named(lookups: AwsLookups, bucket: Any) -> None:
    first, second = (bucket.put_object(Bucket="plans", Key="p.json", Body=body)["VersionId"] for body in (b"1", b"2"))
    bucket.delete_object(Bucket="plans", Key="p.json")
    assert lookups.definition(Address("plans", "p.json", first)) == (Sight.FOUND, b"1")
    assert lookups.definition(Address("plans", "p.json", second)) == (Sight.FOUND, b"2")


def test_of_a_definition_that_is_too_large_no_more_is_read_than_shows_it(lookups: AwsLookups, bucket: Any) -> None:
    version = bucket.put_object(Bucket="plans", Key="p.json", Body=b" " * (LARGEST_DEFINITION + 10))["VersionId"]
    sight, body = lookups.definition(Address("plans", "p.json", version))
    assert (sight, len(body)) == (Sight.FOUND, LARGEST_DEFINITION + 1)


@pytest.mark.parametrize(("key", "version"), [("p.json", "never-given"), ("other.json", "never-given")])
def test_a_definition_that_is_not_there_is_missing(lookups: AwsLookups, bucket: Any, key: str, version: str) -> None:
    bucket.put_object(Bucket="plans", Key="p.json", Body=b"1")
    assert lookups.definition(Address("plans", key, version)) == (Sight.MISSING, b"")


@pytest.mark.parametrize(
    ("code", "sight"),
    [("AccessDenied", Sight.DENIED), ("MethodNotAllowed", Sight.MISSING), ("SlowDown", Sight.UNREACHABLE)],
)
def test_what_s3_answers_of_a_definition(code: str, sight: Sight) -> None:
    s3 = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(s3) as stub:
        stub.add_client_error("get_object", code)
        found = AwsLookups(None, lambda region: None, s3=lambda: s3)  # type: ignore[arg-type, return-value]
        assert found.definition(Address("plans", "p.json", "1")) == (sight, b"")
