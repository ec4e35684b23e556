"""What SNS's errors mean, and that whatever a customer writes makes a message that SNS takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore import exceptions

from connectors.aws.topics import SnsTopics, translate
from connectors.core.case import Case
from connectors.core.compose import Post, notification
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from tests.faults import failure

TOPIC = "arn:aws:sns:eu-central-1:000000000000:hailback-care"
URL = {"endpoint_url": "https://sns"}


@pytest.mark.parametrize(
    ("error", "means"),
    [
        (failure("publish", "NotFoundException"), MisconfiguredError),
        (failure("publish", "AuthorizationErrorException"), MisconfiguredError),
        (failure("publish", "AuthorizationError"), MisconfiguredError),
        (failure("publish", "KMSAccessDenied"), MisconfiguredError),
        (failure("publish", "KMSAccessDeniedException"), MisconfiguredError),
        (failure("publish", "InvalidParameter"), RejectedError),
        (failure("publish", "Throttled"), UnavailableError),
        (failure("publish", "InternalError"), UnknownOutcomeError),
        (exceptions.EndpointConnectionError(**URL), UnavailableError),
        (exceptions.ConnectTimeoutError(**URL), UnavailableError),
        (exceptions.SSLError(**URL, error="certificate"), UnavailableError),
        (exceptions.ProxyConnectionError(proxy_url="http://proxy"), UnavailableError),
        (exceptions.ReadTimeoutError(**URL), UnknownOutcomeError),
        (exceptions.ConnectionClosedError(**URL), UnknownOutcomeError),
        (exceptions.NoCredentialsError(), MisconfiguredError),
        (exceptions.NoRegionError(), MisconfiguredError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, exceptions.BotoCoreError) else str(value)[:60],
)
def test_an_error_says_what_to_do(error: Exception, means: type[Exception]) -> None:
    found = translate(error, TOPIC)
    assert type(found) is means
    assert TOPIC in str(found)


def test_a_defect_of_ours_is_not_taken_for_a_vendors() -> None:
    defect = KeyError("x")
    assert translate(defect, TOPIC) is defect


CASE = Case(
    id="case-1",
    conversation="discourse:f:7",
    connector="discourse",
    source="s",
    first_mention="m",
    opened_at=0,
    updated_at="",
)


@pytest.mark.parametrize("words", ["", " \n\t", "é😀\x00\x1b[1m", "Line\r\nSubject: forged", "x" * 500_000])
def test_any_words_make_a_message_within_limits(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, Any] = {}

    class Client:
        def publish(self, **given: Any) -> dict[str, str]:
            sent.update(given)
            return {"MessageId": "1"}

    topics = SnsTopics()
    monkeypatch.setattr(topics, "_client", lambda topic: Client())
    post = Post("m", 1, words, words, words, f"https://forum.nimbus.example/{'u' * 1900}", None)
    told = notification(CASE, post, "hailback-1")
    assert topics.publish(TOPIC, told["email"].splitlines()[0], told, {"case": "case-1", "route": ""}) == "1"
    assert 0 < len(sent["Subject"]) <= 100
    assert sent["Subject"].isascii()
    assert sent["Subject"].isprintable()
    assert len(sent["Message"].encode()) <= 256 * 1024
    assert json.loads(json.loads(sent["Message"])["default"])["notification_id"] == "hailback-1"
    assert "route" not in sent["MessageAttributes"], "SNS takes no empty attribute"
