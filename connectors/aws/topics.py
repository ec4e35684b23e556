"""SNS: telling an audience. What its errors mean for the caller is decided here.

A topic's region is in its ARN. Short time limits and two tries of the client's own; the ledger decides the rest.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError, UnknownOutcomeError

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_SUBJECT = 100
_LIMITS = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 2, "mode": "standard"})
_MISCONFIGURED = frozenset(
    {
        "AuthorizationError",
        "AccessDenied",
        "NotFound",
        "EndpointDisabled",
        "KMSDisabled",
        "KMSInvalidState",
        "KMSNotFound",
        "KMSAccessDenied",
        "KMSOptInRequired",
        "InvalidSecurity",
        "OptInRequired",
    },
)
_REFUSED = frozenset({"InvalidParameter", "InvalidParameterValue", "ValidationError", "ParameterValueInvalid"})


class SnsTopics:
    """Publishes to topics of any region; one client a region, made when it is first needed."""

    def __init__(self) -> None:
        self._clients: dict[str, SNSClient] = {}

    def publish(self, topic: str, subject: str, message: Mapping[str, str], attributes: Mapping[str, str]) -> str:
        """Tell a topic, with one text per protocol; the id of the message. Raises a RemoteError."""
        try:
            answer = self._client(topic).publish(
                TopicArn=topic,
                Subject=_subject(subject),
                Message=json.dumps(dict(message), ensure_ascii=False),
                MessageStructure="json",
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
                },
            )
        except Exception as error:
            raise translate(error, topic) from error
        return answer["MessageId"]

    def _client(self, topic: str) -> SNSClient:
        region = topic.split(":")[3] if topic.count(":") >= 5 else ""
        if region not in self._clients:
            self._clients[region] = boto3.client("sns", region_name=region or None, config=_LIMITS)
        return self._clients[region]


def translate(error: Exception, topic: str) -> RemoteError | Exception:
    """What an error of the SNS client means. Names the topic, which is no secret."""
    match error:
        case ClientError():
            code = error.response["Error"]["Code"].removesuffix(
                "Exception"
            )  # some say NotFound, some NotFoundException
            if code in _MISCONFIGURED:
                return MisconfiguredError(f"{topic}: {code}; check that the topic exists and may be published to")
            if code in _REFUSED:
                return RejectedError(f"{topic}: {code}")
            if code in {"Throttled", "Throttling", "KMSThrottling", "RequestThrottled"}:
                return UnavailableError(f"{topic}: throttled")
            return UnknownOutcomeError(f"{topic}: {code}")
        case HTTPClientError():
            return UnknownOutcomeError(f"{topic}: no answer in time")
        case BotoConnectionError():  # refused, no address, no handshake: nothing was sent
            return UnavailableError(f"{topic}: its region does not answer")
        case BotoCoreError():  # no such region, no credentials: the client sent nothing
            return MisconfiguredError(f"{topic}: {type(error).__name__}; check the address of the topic")
        case _:
            return error


def _subject(text: str) -> str:
    """SNS takes up to 100 printable ASCII characters, beginning with a letter, a number or punctuation."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    plain = "".join(letter for letter in plain if letter.isprintable())
    return plain[:_SUBJECT].strip() or "Hailback"
