"""Looks at what a plan names, secrets, topics and definitions, without reading a secret and without raising."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from connectors.core.plan_grammar import topic_region
from connectors.core.plan_options import LARGEST_DEFINITION, Address
from connectors.core.plan_ports import Sight

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient

_MISSING = frozenset(
    {
        "ResourceNotFoundException",
        "NotFoundException",
        "NotFound",
        "InvalidParameter",
        "NoSuchBucket",
        "NoSuchKey",
        "NoSuchVersion",
        "InvalidArgument",  # S3's answer to a version id that it never gave
        "MethodNotAllowed",  # S3's answer to the version id of a deletion
    }
)
_GONE = 15.0
"""Seconds for which a region that did not answer is not asked again: a deployment must not wait for each topic."""
_DENIED = frozenset({"AccessDeniedException", "AccessDenied", "AuthorizationError", "AuthorizationErrorException"})


class AwsLookups:
    """`core.plan_ports.Lookups` on AWS. `sns` gives the client of a region, `s3` the one of our own."""

    def __init__(
        self,
        secrets: SecretsManagerClient,
        sns: Callable[[str], SNSClient],
        clock: Callable[[], float] = time.monotonic,
        s3: Callable[[], S3Client] | None = None,
    ) -> None:
        self._secrets, self._sns, self._clock, self._s3 = secrets, sns, clock, s3
        self._gone: dict[str, float] = {}

    def secret(self, name: str) -> Sight:
        """Whether the secret exists; describes it, never reads it."""
        try:
            answer = self._secrets.describe_secret(SecretId=name)
        except (ClientError, BotoCoreError) as error:
            return _sight(error)
        return Sight.DELETED if answer.get("DeletedDate") else Sight.FOUND

    def definition(self, address: Address) -> tuple[Sight, bytes]:
        """A version of an object, at most one byte more than is allowed."""
        return (Sight.DENIED, b"") if self._s3 is None else read_object(self._s3(), address)

    def topic(self, arn: str) -> tuple[Sight, int | None]:
        """Whether the topic exists in its own region, and how many subscriptions are confirmed."""
        region = topic_region(arn)
        if self._clock() < self._gone.get(region, 0.0):
            return Sight.UNREACHABLE, None
        try:
            attributes = self._sns(region).get_topic_attributes(TopicArn=arn)["Attributes"]
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, BotoCoreError):
                self._gone[region] = self._clock() + _GONE
            return _sight(error), None
        confirmed = attributes.get("SubscriptionsConfirmed")
        return Sight.FOUND, int(confirmed) if confirmed is not None and confirmed.isdigit() else None


def read_object(s3: S3Client, address: Address) -> tuple[Sight, bytes]:
    """A version of an object, at most one byte more than is allowed. Never raises."""
    try:
        answer = s3.get_object(Bucket=address.bucket, Key=address.key, VersionId=address.version)
        return Sight.FOUND, answer["Body"].read(LARGEST_DEFINITION + 1)
    # Of botocore's errors some only come while the body is read, and urllib3's if it breaks off.
    except (ClientError, BotoCoreError, HTTPError, OSError) as error:
        return _sight(error), b""


def _sight(error: Exception) -> Sight:
    """Time-outs and refused connections carry no answer; an answer of another kind is no verdict either."""
    code = error.response["Error"].get("Code", "") if isinstance(error, ClientError) else ""
    if code in _MISSING:
        return Sight.MISSING
    return Sight.DENIED if code in _DENIED else Sight.UNREACHABLE
