"""The answer to CloudFormation: always within its limit, and delivered in spite of a bad moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.aws.cloudformation import AnswerError, answer, read_request, send
from connectors.core.plan_ports import Outcome
from tests.core.plan_world import ask

REST = "see log stream 2026/11/21/[$LATEST]abc of /aws/lambda/configure_stack."


def said(outcome: Outcome, action: str = "Create") -> dict[str, Any]:
    document = answer(ask(action, "Plan", "Plan", {}), outcome, REST)
    assert len(document) <= 4096
    body: dict[str, Any] = json.loads(document)
    return body


def test_a_success_carries_its_values() -> None:
    body = said(Outcome("routes/Plan", data={"Version": "v", "Warnings": "none"}))
    assert body["Status"] == "SUCCESS"
    assert body["PhysicalResourceId"] == "routes/Plan"
    assert body["LogicalResourceId"] == "Plan"
    assert body["StackId"].endswith(":stack/routes/1")
    assert body["RequestId"].startswith("request-")
    assert body["Data"] == {"Version": "v", "Warnings": "none"}


def test_the_first_five_findings_a_count_and_where_the_rest_is() -> None:
    body = said(Outcome("routes/Plan", tuple(f"Field{n}: is wrong. Correct it." for n in range(9))))
    assert body["Status"] == "FAILED"
    assert body["Reason"] == (" ".join(f"Field{n}: is wrong. Correct it." for n in range(5)) + f" And 4 more: {REST}")
    assert body["Data"] == {}


def test_few_findings_come_without_a_count() -> None:
    assert said(Outcome("a/B", ("One: x.", "Two: y.")))["Reason"] == "One: x. Two: y."


def test_long_findings_are_shortened_to_fit() -> None:
    reason = said(Outcome("routes/Plan", ("A: " + "ü" * 3000, "B: " + "b" * 3000)))["Reason"]
    assert reason.startswith("A: üüü")
    assert reason.endswith(f"… The rest: {REST}")
    reason = said(Outcome("routes/Plan", ("A: short.", "B: " + "b" * 6000)))["Reason"]
    assert reason == f"A: short. And 1 more: {REST}"


def test_long_warnings_are_shortened_to_fit() -> None:
    many = tuple(f"W{n}: " + "w" * 700 for n in range(20))
    body = said(Outcome("routes/Plan", warnings=many, data={"Version": "v", "Warnings": " ".join(many)}))
    assert body["Status"] == "SUCCESS"
    assert body["Data"]["Version"] == "v"
    assert body["Data"]["Warnings"].startswith("W0: ")
    assert REST in body["Data"]["Warnings"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=3000), min_size=1, max_size=12))
def test_an_answer_never_exceeds_its_limit(findings: list[str]) -> None:
    body = said(Outcome("routes/Plan", tuple(findings)))
    assert body["Status"] == "FAILED"
    assert isinstance(body["Reason"], str)


def test_a_deletion_that_was_not_carried_out_has_failed() -> None:
    """Else what it should have taken away stays in force, of a stack that is no more."""
    assert said(Outcome("routes/Plan", ("the table: is on fire.",)), "Delete")["Status"] == "FAILED"


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://bucket.s3.amazonaws.com/arn?X-Amz-Date=20261121T100000Z&X-Amz-Expires=7200", 1_795_255_200),
        ("https://bucket.s3.amazonaws.com/arn?X-Amz-Expires=7200&X-Amz-Date=20261121T100000Z", 1_795_255_200),
        ("https://bucket.s3.amazonaws.com/arn?X-Amz-Date=20261399T100000Z", 0),
        ("https://bucket.s3.amazonaws.com/arn?Signature=x&Expires=1795255200", 0),
        (None, 0),
    ],
)
def test_when_it_was_asked_is_read_from_the_signed_address(url: str | None, asked: int) -> None:
    assert read_request({"RequestType": "Create", "ResponseURL": url}).asked == asked


def test_a_request_with_parts_missing_can_still_be_answered() -> None:
    request = read_request({"RequestType": "Delete", "ResourceProperties": None})
    assert request.properties == {}
    assert json.loads(answer(request, Outcome(""), REST))["PhysicalResourceId"] == "/"


class _Bucket(ThreadingHTTPServer):
    """Stands in for the pre-signed address: answers with the given statuses, in order."""

    statuses: list[int]
    taken: list[tuple[str, dict[str, str], bytes]]


class _Taker(BaseHTTPRequestHandler):
    server: _Bucket

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.statuses.pop(0))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def bucket() -> Iterator[_Bucket]:
    server = _Bucket(("127.0.0.1", 0), _Taker)
    server.statuses, server.taken = [200], []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def put(bucket: _Bucket) -> None:
    with urllib3.PoolManager() as http:
        send(http, f"http://127.0.0.1:{bucket.server_port}/answer?sig=a%2Fb", b"{}", sleep=lambda seconds: None)


def test_the_answer_is_put_with_an_empty_content_type(bucket: _Bucket) -> None:
    put(bucket)
    ((path, headers, body),) = bucket.taken
    assert path == "/answer?sig=a%2Fb"
    assert headers["content-type"] == ""
    assert headers["content-length"] == "2"
    assert body == b"{}"


def test_a_bad_moment_is_retried(bucket: _Bucket) -> None:
    bucket.statuses = [503, 500, 200]
    put(bucket)
    assert len(bucket.taken) == 3


def test_an_expired_address_is_not_tried_again(bucket: _Bucket) -> None:
    bucket.statuses = [403]
    with pytest.raises(AnswerError, match="status 403"):
        put(bucket)
    assert len(bucket.taken) == 1


def test_nobody_there_is_an_error_without_the_address() -> None:
    with urllib3.PoolManager() as http, pytest.raises(AnswerError) as caught:
        send(http, "http://127.0.0.1:9/answer?signature=very-secret", b"{}", sleep=lambda seconds: None)
    assert "very-secret" not in str(caught.value)
