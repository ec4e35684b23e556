"""What SNS's errors mean, and that whatever a customer writes makes a message that SNS takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from connectors.aws.topics import SnsTopics, translate
from connectors.core.case import Case
from connectors.core.compose import Post, notification
from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError, UnknownOutcomeError
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


def inside() -> ClientError:
    """SNS failed, and says nothing more."""
    error = failure("publish", "InternalError")
    error.response["ResponseMetadata"] = {"HTTPStatusCode": 500}  # type: ignore[typeddict-item]
    return error


class Sns:
    """A client that answers as told, then well."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.calls = list(answers), 0

    def _next(self, well: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else well
        if isinstance(answer, Exception):
            raise answer
        return answer

    def publish(self, **_: Any) -> dict[str, Any]:
        return self._next({"MessageId": "1"})

    def get_topic_attributes(self, **_: Any) -> dict[str, Any]:
        return self._next({"Attributes": {"SubscriptionsConfirmed": "1"}})


def topics_on(sns: Sns, monkeypatch: pytest.MonkeyPatch, clock: list[float] | None = None) -> SnsTopics:
    time = clock or [0.0]
    topics = SnsTopics(clock=lambda: time[0], pause=lambda seconds: None)
    monkeypatch.setattr(topics, "_client", lambda topic: sns)
    return topics


@pytest.mark.parametrize(
    "passing",
    [
        failure("publish", "Throttled"),
        inside(),
        exceptions.ConnectionClosedError(**URL),
    ],
    ids=["throttled", "failed inside", "stale connection"],
)
def test_what_may_pass_is_tried_twice(passing: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    sns = Sns(passing)
    assert topics_on(sns, monkeypatch).publish(TOPIC, "s", {"default": "x"}, {}) == "1"
    assert sns.calls == 2
    with pytest.raises((UnavailableError, UnknownOutcomeError)):
        topics_on(Sns(passing, passing), monkeypatch).publish(TOPIC, "s", {"default": "x"}, {})


@pytest.mark.parametrize(
    "error",
    [
        failure("publish", "NotFound"),
        failure("publish", "AuthorizationError"),
        exceptions.ReadTimeoutError(**URL),
        exceptions.ConnectTimeoutError(**URL),
        exceptions.EndpointConnectionError(**URL),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_will_not_pass_is_not_repeated(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    sns = Sns(error)
    with pytest.raises(RemoteError):
        topics_on(sns, monkeypatch).publish(TOPIC, "s", {"default": "x"}, {})
    assert sns.calls == 1


def test_the_real_client_does_not_repeat_either_and_gives_up_soon() -> None:
    config = SnsTopics()._client(TOPIC).meta.config
    assert config.retries["total_max_attempts"] == 1
    assert (config.connect_timeout, config.read_timeout) == (1, 3)
    assert SnsTopics()._client(TOPIC).meta.region_name == "eu-central-1"


def test_whether_a_topic_is_heard_is_asked_once_in_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    sns = Sns({"Attributes": {"SubscriptionsConfirmed": "0"}})
    topics = topics_on(sns, monkeypatch, clock)
    assert [topics.heard(TOPIC) for _ in range(3)] == [False, False, False]
    assert sns.calls == 1
    clock[0] = 6.0
    assert topics.heard(TOPIC) is True


@pytest.mark.parametrize("trouble", [failure("get", "Throttling"), exceptions.ReadTimeoutError(**URL)])
def test_where_sns_does_not_say_the_last_answer_holds(trouble: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    topics = topics_on(Sns({"Attributes": {"SubscriptionsConfirmed": "0"}}, trouble), monkeypatch, clock)
    topics.heard(TOPIC)
    clock[0] = 6.0
    assert topics.heard(TOPIC) is False
    assert topics_on(Sns(trouble), monkeypatch).heard(TOPIC) is None
    assert topics_on(Sns({"Attributes": {}}), monkeypatch).heard(TOPIC) is None
