"""The front door as vendors and strangers meet it, over moto's queue, bucket and secrets."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest
import receive_webhook
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from connectors.aws.inbox import SqsInbox, opened
from connectors.aws.secrets import VerificationSecrets
from connectors.core import door, token
from connectors.core.reception import LARGEST

SALT = "0b7e2a52-0000-4000-8000-3c9d5cbd4f00"
SECRET = "correct-horse-battery-staple"
WORDS = "Kaltwassertraum"
BODY = json.dumps({"post": {"id": 1, "topic_id": 7, "raw": WORDS}}).encode()
TOKEN = token.make(SALT, "discourse", token.Address("stack/Forum", "hailback/forum"))


@dataclass
class Street:
    """The door, what lies behind it, and a clock for what is remembered."""

    sqs: Any
    s3: Any
    secrets: Any
    queue: str
    seconds: float = 1000.0

    def deliver(self, body: bytes = BODY, *, secret: str | None = SECRET, **more: Any) -> dict[str, Any]:
        headers = {"content-type": "application/json", "x-discourse-event": "post_created", **more.pop("headers", {})}
        if secret is not None:
            headers |= door.sign(door.load("discourse") or {}, more.pop("signed", body), secret)
        return self.knock(event(body, headers, **more))

    def knock(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = receive_webhook.handler(request, None)
        assert set(answer) == {"statusCode", "headers", "body"}
        json.loads(answer["body"])
        assert "Traceback" not in answer["body"]
        return answer

    def inbox(self) -> list[str]:
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        return [message["Body"] for message in found]

    def replace_secret(self, value: str) -> None:
        self.secrets.put_secret_value(SecretId="hailback/forum/verification", SecretString=value)


def event(body: bytes | str, headers: dict[str, str], **more: Any) -> dict[str, Any]:
    """An HTTP API event, payload version 2.0."""
    coded = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    made = {
        "version": "2.0",
        "headers": headers,
        "pathParameters": {"connector": "discourse", "token": TOKEN},
        "requestContext": {"http": {"method": more.pop("method", "POST")}},
        "isBase64Encoded": isinstance(body, bytes),
        "body": coded,
    }
    return made | more


@pytest.fixture
def street(monkeypatch: pytest.MonkeyPatch, aws_environment: None) -> Iterator[Street]:
    with mock_aws():
        sqs, s3, secrets = boto3.client("sqs"), boto3.client("s3"), boto3.client("secretsmanager")
        queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
        s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        secrets.create_secret(Name="hailback/forum/verification", SecretString=SECRET)
        monkeypatch.setenv("WEBHOOK_SALT", SALT)
        made = Street(sqs, s3, secrets, queue)
        kept = VerificationSecrets(secrets, clock=lambda: made.seconds)
        adapters = (kept, SqsInbox(sqs, queue, lambda: s3, "bucket"))
        monkeypatch.setattr(receive_webhook, "_adapters", lambda: adapters)
        yield made


@pytest.fixture
def logs(capfd: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Everything that was logged or printed, our own lines at the finest level."""
    level, lines = receive_webhook.logger.log_level, StringIO()
    receive_webhook.logger.setLevel(logging.DEBUG)
    before = receive_webhook.logger.registered_handler.setStream(lines)

    def read() -> str:
        shown = capfd.readouterr()
        return shown.out + shown.err + lines.getvalue()

    yield read
    receive_webhook.logger.setLevel(level)
    receive_webhook.logger.registered_handler.setStream(before)


def test_a_signed_delivery_is_taken_and_waits_as_it_came(street: Street) -> None:
    assert street.deliver()["statusCode"] == 200
    (text,) = street.inbox()
    parcel = opened(text, lambda key: b"")
    assert (parcel.source, parcel.connector, parcel.delivery.body) == ("stack/Forum", "discourse", BODY)
    assert parcel.delivery.headers == {"x-discourse-event": "post_created"}, "no signature, no cookie goes along"


@pytest.mark.parametrize("body", [BODY, b'{"a": "\xc3\xa9 \xf0\x9f\x98\x80 \\u0000 \\ufffe"}', b"[]", b" {}\n"])
def test_bytes_arrive_as_they_were_sent(street: Street, body: bytes) -> None:
    assert street.deliver(body)["statusCode"] == 200
    (text,) = street.inbox()
    assert opened(text, lambda key: b"").delivery.body == body


def test_a_body_that_comes_as_text_is_verified_too(street: Street) -> None:
    body = '{"post": "Grüße 😀"}'
    headers = door.sign(door.load("discourse") or {}, body.encode(), SECRET)
    assert street.knock(event(body, headers))["statusCode"] == 200


def test_header_names_count_in_any_case_and_cookies_do_not_matter(street: Street) -> None:
    signed = door.sign(door.load("discourse") or {}, BODY, SECRET)
    loud = {name.upper(): value for name, value in signed.items()} | {"Cookie": "a=b"}
    assert street.knock(event(BODY, loud, cookies=["a=b"]))["statusCode"] == 200


def test_a_replay_is_taken_and_left_to_the_table(street: Street) -> None:
    assert [street.deliver()["statusCode"] for _ in range(2)] == [200, 200]


FORGED = {
    "unsigned": {"secret": None},
    "another secret": {"secret": "another"},
    "truncated": {"body": BODY[:-1], "signed": BODY},
    "one byte more": {"body": BODY + b" ", "signed": BODY},
    "not hexadecimal": {"secret": None, "headers": {"x-discourse-event-signature": "sha256=" + "z" * 64}},
    "not ASCII": {"secret": None, "headers": {"x-discourse-event-signature": "sha256=é"}},
    "empty": {"secret": None, "headers": {"x-discourse-event-signature": ""}},
    "without a body": {"body": b"", "signed": BODY},
}


@pytest.mark.parametrize("case", FORGED)
def test_what_the_secret_did_not_sign_is_refused(street: Street, case: str) -> None:
    assert street.deliver(**FORGED[case])["statusCode"] == 401
    assert street.inbox() == []


BROKEN = {
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "not JSON": b"post=1",
    "nothing": b"",
    "a number": b"1",
    "cut off, yet signed": BODY[:-1],
    "not a number": b'{"a": NaN}',
    "nested 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "nested in objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_signed_but_broken_is_a_bad_request(street: Street, case: str) -> None:
    assert street.deliver(BROKEN[case])["statusCode"] == 400
    assert street.inbox() == []


def sized(size: int) -> bytes:
    import random

    noise = random.Random(1).randbytes(size // 2).hex()
    return json.dumps({"post": noise}).encode()[: size - 2].ljust(size - 2, b"0") + b'"}'


def test_four_megabytes_are_parked_in_the_bucket(street: Street) -> None:
    body = sized(4_000_000)
    assert street.deliver(body)["statusCode"] == 200
    (text,) = street.inbox()
    assert len(text) < 1000
    assert json.loads(text)["blob"].startswith("inbox/"), "the only place where the role may put it"
    fetch = lambda key: street.s3.get_object(Bucket="bucket", Key=key)["Body"].read()  # noqa: E731
    assert opened(text, fetch).delivery.body == body


@pytest.mark.parametrize("size", [LARGEST + 1, 10_000_000])
def test_more_than_fits_is_too_large(street: Street, size: int) -> None:
    assert street.deliver(b"0" * size)["statusCode"] == 413
    assert street.inbox() == []


def test_what_fits_exactly_is_taken(street: Street) -> None:
    assert street.deliver(sized(LARGEST))["statusCode"] == 200


def test_a_body_between_message_and_bucket_never_exceeds_a_message(street: Street) -> None:
    for size in (150_000, 260_000, 350_000, 400_000):
        assert street.deliver(sized(size))["statusCode"] == 200
    assert all(len(text.encode()) <= 262_144 for text in street.inbox())


ELSEWHERE = {
    "unknown token": {"connector": "discourse", "token": "x" * 40},
    "empty token": {"connector": "discourse", "token": ""},
    "another connector": {"connector": "zendesk", "token": TOKEN},
    "a path": {"connector": "../core", "token": TOKEN},
    "core": {"connector": "core", "token": TOKEN},
    "another salt": {
        "connector": "discourse",
        "token": token.make("other", "discourse", token.Address("stack/Forum", "hailback/forum")),
    },
    "one letter off": {"connector": "discourse", "token": TOKEN[:-1] + ("A" if TOKEN[-1] != "A" else "B")},
    "very long": {"connector": "discourse", "token": "A" * 100_000},
    "nothing": None,
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_an_address_that_we_did_not_make_is_not_found(street: Street, case: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(VerificationSecrets, "_read", lambda *_: pytest.fail("a stranger caused a look-up"))
    assert street.deliver(pathParameters=ELSEWHERE[case])["statusCode"] == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "", "post "])
def test_only_post_delivers(street: Street, method: str) -> None:
    assert street.deliver(method=method)["statusCode"] == 405


def test_a_body_that_is_not_base64_is_a_bad_request(street: Street) -> None:
    request = event(BODY, {})
    request["body"] = "not base64 !"
    assert street.knock(request)["statusCode"] == 400


def test_a_source_without_a_secret_takes_nothing(street: Street) -> None:
    street.secrets.delete_secret(SecretId="hailback/forum/verification", ForceDeleteWithoutRecovery=True)
    assert street.deliver()["statusCode"] == 401
    street.secrets.create_secret(Name="hailback/forum/verification", SecretString=" ")
    street.seconds += 61
    assert street.deliver(secret=" ")["statusCode"] == 401


def failing(error: Exception) -> Any:
    def fail(**_: Any) -> None:
        raise error

    return fail


DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": SECRET}}, "GetSecretValue")
GONE = EndpointConnectionError(endpoint_url="https://secrets")


@pytest.mark.parametrize("error", [DENIED, GONE], ids=["denied", "unreachable"])
@pytest.mark.parametrize("service", ["secrets", "sqs", "s3"])
def test_when_something_of_ours_fails_the_vendor_is_asked_to_come_again(
    street: Street, service: str, error: Exception, monkeypatch: pytest.MonkeyPatch, logs: Any
) -> None:
    names = {"secrets": "get_secret_value", "sqs": "send_message", "s3": "put_object"}
    monkeypatch.setattr(getattr(street, service), names[service], failing(error))
    answer = street.deliver(sized(500_000) if service == "s3" else BODY)
    assert answer["statusCode"] == 503
    assert answer["headers"]["retry-after"] == "30"
    assert SECRET not in answer["body"] + logs()


def test_while_a_secret_is_replaced_both_values_hold(street: Street) -> None:
    street.replace_secret(json.dumps({"secrets": ["the-new-one", SECRET]}))
    assert street.deliver(secret="the-new-one")["statusCode"] == 200
    assert street.deliver()["statusCode"] == 200


def test_a_replaced_secret_is_read_again_at_most_once_a_minute(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    read = street.secrets.get_secret_value
    monkeypatch.setattr(street.secrets, "get_secret_value", lambda **given: reads.append(1) or read(**given))
    assert street.deliver()["statusCode"] == 200
    street.replace_secret("the-new-one")
    assert street.deliver(secret="the-new-one")["statusCode"] == 401
    assert len(reads) == 1
    street.seconds += 61
    assert street.deliver(secret="the-new-one")["statusCode"] == 200
    for _ in range(20):
        assert street.deliver(secret="forged")["statusCode"] == 401
    assert len(reads) == 2
    street.seconds += 61
    assert street.deliver()["statusCode"] == 401, "the old one is out"
    assert len(reads) == 3


def test_no_log_line_holds_a_secret_an_address_or_a_customers_words(street: Street, logs: Any) -> None:
    street.deliver()
    street.deliver(secret="another-secret")
    street.deliver(f'{{"broken": "{WORDS}"'.encode())
    street.deliver(sized(500_000))
    street.deliver(method="GET")
    street.deliver(pathParameters={"connector": WORDS, "token": TOKEN})
    street.knock(event(f"{WORDS} !", {"x-discourse-event": WORDS}, isBase64Encoded=True))
    said = logs()
    assert said.count('"message":"delivery"') == 7
    for hidden in (SECRET, TOKEN, WORDS, "another-secret", "sha256=", gzip.compress(BODY, mtime=0)[:20].hex()):
        assert hidden not in said


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
connectors = st.sampled_from(["discourse", "core", "x"]) | anything
paths = st.fixed_dictionaries({"connector": connectors, "token": st.just(TOKEN) | anything})
requests = st.dictionaries(st.text(max_size=8), anything, max_size=2).flatmap(
    lambda extra: st.fixed_dictionaries(
        {},
        optional={
            "pathParameters": paths | anything,
            "headers": st.dictionaries(st.text(max_size=30), anything, max_size=4) | anything,
            "body": st.text(max_size=50) | anything,
            "isBase64Encoded": st.booleans() | anything,
            "requestContext": st.just({"http": {"method": "POST"}}) | anything,
            "queryStringParameters": anything,
            "rawPath": anything,
            "rawQueryString": anything,
        },
    ).map(lambda known: {**extra, **known})
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests)
def test_whatever_is_sent_gets_an_answer(street: Street, request: dict[str, Any]) -> None:
    assert 400 <= street.knock(request)["statusCode"] < 500


CLOSURE = """
import os, sys
os.environ.update(WEBHOOK_SALT="salt", INBOX_QUEUE_URL="q", BUCKET_NAME="b", AWS_DEFAULT_REGION="eu-central-1")
import receive_webhook
from connectors.aws.inbox import SqsInbox
from connectors.aws.secrets import VerificationSecrets
from connectors.core import door, token
from types import SimpleNamespace as Stub
secrets = Stub(get_secret_value=lambda SecretId: {"SecretString": "s"})
sent = []
sqs = Stub(send_message=lambda **message: sent.append(message))
receive_webhook._adapters = lambda: (VerificationSecrets(secrets), SqsInbox(sqs, "q", None, "b"))
address = token.make("salt", "discourse", token.Address("stack/Forum", "hailback/forum"))
answer = receive_webhook.handler({
    "pathParameters": {"connector": "discourse", "token": address}, "body": "{}",
    "headers": door.sign(door.load("discourse"), b"{}", "s"), "requestContext": {"http": {"method": "POST"}},
}, None)
assert answer["statusCode"] == 200 and sent, answer
print("\\n".join(sys.modules))
"""


def test_the_door_opens_without_pydantic_or_a_vendors_module() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", CLOSURE],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": f"{root / 'functions'}:{root}", "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert not [name for name in loaded if name.partition(".")[0] in {"pydantic", "pydantic_core", "moto"}]
    ours = {name for name in loaded if name.startswith("connectors.")}
    assert {name.split(".")[1] for name in ours} == {"aws", "core"}
    assert "connectors.core.models" not in ours
