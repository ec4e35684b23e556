"""SNS: telling an audience. What its errors mean for the caller is decided here.

A topic's region is in its ARN. A region that is gone must not cost more than seconds: a try that times out is not
repeated here, for the next topic is waiting. Only what SNS throttles, breaks off or fails at is tried twice.
"""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError, UnknownOutcomeError

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_SUBJECT = 100
_LIMITS = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
_PAUSE = 0.3
_KEPT = 5.0
"""Seconds for which it is known how many hear a topic: its attributes may be asked for only some times a second."""
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
        "InvalidClientTokenId",  # also what a region says that the account has not opted into
        "UnrecognizedClient",
        "SignatureDoesNotMatch",
        "ExpiredToken",
    },
)
_THROTTLED = frozenset({"Throttled", "Throttling", "KMSThrottling", "RequestThrottled", "TooManyRequests"})
_REFUSED = frozenset({"InvalidParameter", "InvalidParameterValue", "ValidationError", "ParameterValueInvalid"})


class SnsTopics:
    """Publishes to topics of any region; one client a region, made when it is first needed."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._clients: dict[str, SNSClient] = {}
        self._clock, self._pause = clock, pause
        self._listeners: dict[str, tuple[float, int]] = {}

    def publish(self, topic: str, subject: str, message: Mapping[str, str], attributes: Mapping[str, str]) -> str:
        """Tell a topic, with one text per protocol; the id of the message. Raises a RemoteError."""
        request: dict[str, Any] = {
            "TopicArn": topic,
            "Subject": _subject(subject),
            "Message": json.dumps(dict(message), ensure_ascii=False),
            "MessageStructure": "json",
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
            },
        }
        try:
            try:
                answer = self._client(topic).publish(**request)
            except (ClientError, ConnectionClosedError) as error:
                if not _passes(error):
                    raise
                self._pause(_PAUSE)
                answer = self._client(topic).publish(**request)
        except Exception as error:
            raise translate(error, topic) from error
        return answer["MessageId"]

    def heard(self, topic: str) -> bool | None:
        """Whether a topic has a confirmed subscription, as it was known seconds ago; when SNS does not say,
        as it was known last; None where it never was. Never raises a vendor's error."""
        asked_at, count = self._listeners.get(topic, (0.0, None))
        if count is not None and self._clock() - asked_at < _KEPT:
            return count > 0
        try:
            attributes = self._client(topic).get_topic_attributes(TopicArn=topic)["Attributes"]
        except (ClientError, BotoCoreError):
            return None if count is None else count > 0
        told = attributes.get("SubscriptionsConfirmed", "")
        if not told.isdigit():
            return None
        self._listeners[topic] = self._clock(), int(told)
        return int(told) > 0

    def _client(self, topic: str) -> SNSClient:
        region = topic.split(":")[3] if topic.count(":") >= 5 else ""
        if region not in self._clients:
            self._clients[region] = boto3.client("sns", region_name=region or None, config=_LIMITS)
        return self._clients[region]


def _passes(error: ClientError | ConnectionClosedError) -> bool:
    """Whether the same call may well succeed a moment later: throttled, failed inside SNS, a stale connection."""
    if isinstance(error, ConnectionClosedError):
        return True
    code = error.response["Error"]["Code"].removesuffix("Exception")
    return code in _THROTTLED or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500


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
            if code in _THROTTLED:
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
