"""What strangers send to the deployed front door, over HTTP: refused, without a 5xx, a trace or a word in a log."""

from __future__ import annotations

import json
import time

import pytest
import urllib3

from connectors.core import door
from connectors.tool.delivering import Deliverer
from connectors.tool.local import RunningStack
from connectors.tool.samples import Sample
from tests.e2e.wait import until

pytestmark = pytest.mark.e2e

MARK = "Zaunkönigmarkierung"
"""A word that stands in every body here, and must stand in no log."""
HEADERS = {
    "content-type": "application/json",
    "x-discourse-instance": "https://forum.acme.com",
    "x-discourse-event-type": "post",
    "x-discourse-event": "post_created",
    "x-discourse-event-id": "880001",
}


def body(number: int, text: str = MARK) -> bytes:
    post = {
        "id": 880_000 + number,
        "user_id": 4_711,
        "username": "stranger",
        "created_at": "2026-11-20T08:00:00.000Z",
        "raw": text,
        "cooked": f"<p>{text}</p>",
        "post_number": 1,
        "topic_id": 880_000 + number,
        "topic_title": f"Hostile {number}",
        "topic_archetype": "regular",
        "version": 1,
    }
    return json.dumps({"post": post}).encode()


def signed(machine: RunningStack, payload: bytes) -> dict[str, str]:
    rules = door.load("discourse")
    assert rules is not None
    return HEADERS | door.sign(rules, payload, machine.secret("Forum"))


@pytest.fixture(scope="module")
def http() -> urllib3.PoolManager:
    return urllib3.PoolManager(retries=False, timeout=40.0)


def send(http: urllib3.PoolManager, url: str, payload: bytes, headers: dict[str, str], method: str = "POST") -> int:
    answer = http.request(method, url, body=payload, headers=headers, redirect=False)
    said = answer.data.decode("utf-8", "replace")
    assert "Traceback" not in said
    assert "site-packages" not in said
    assert MARK not in said
    return answer.status


def test_strangers_get_a_4xx_and_leave_nothing(machine: RunningStack, http: urllib3.PoolManager) -> None:
    url = machine.webhook_url("Forum")
    base, _, code = url.rpartition("/")
    plain = body(1)
    deep = b'{"post": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    alien = plain.replace(b"stranger", b"\xff\xfe\xfa")
    refused = {
        "unsigned": (url, plain, HEADERS),
        "signed by somebody else": (url, plain, HEADERS | {"x-discourse-event-signature": f"sha256={'0' * 64}"}),
        "a signature of the wrong shape": (url, plain, HEADERS | {"x-discourse-event-signature": "sha256=zz"}),
        "signed, then cut off": (url, plain[:-20], signed(machine, plain)),
        "cut off, then signed": (url, plain[:-20], signed(machine, plain[:-20])),
        "not UTF-8": (url, alien, signed(machine, alien) | {"content-type": "application/octet-stream"}),
        "4 MB, unsigned": (url, body(2, "x" * 4_000_000), HEADERS),
        "10 MB, signed": (url, body(3, "x" * 10_000_000), signed(machine, body(3, "x" * 10_000_000))),
        "nested deeply": (url, deep, signed(machine, deep)),
        "empty": (url, b"", signed(machine, b"")),
        "no such token": (f"{base}/{code[:-2]}xx", plain, signed(machine, plain)),
        "no such connector": (url.replace("/discourse/", "/nobody/"), plain, signed(machine, plain)),
        "another connector's token": (url.replace("/discourse/", "/roundup/"), plain, signed(machine, plain)),
        "no such path": (f"{base}/{code}/more", plain, signed(machine, plain)),
        "a path upwards": (f"{base}/..%2f..%2fetc%2fpasswd", plain, signed(machine, plain)),
    }
    answers = {name: send(http, *request) for name, request in refused.items()}
    assert {name: status for name, status in answers.items() if not 400 <= status < 500} == {}
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        assert 400 <= send(http, url, plain, signed(machine, plain), method) < 500
    assert not [case for case in machine.cases.newest(1_000) if ":88000" in case.first_mention]


def test_a_large_signed_post_is_taken_and_a_replay_changes_nothing(
    machine: RunningStack, http: urllib3.PoolManager
) -> None:
    large = body(4, MARK + " y" * 1_000_000)
    name = "discourse:forum.acme.com:880004"
    for _ in range(2):
        assert send(http, machine.webhook_url("Forum"), large, signed(machine, large)) == 200
    until(lambda: machine.cases.mention(name)[1], 60, "the large post")
    words = machine.cases.mention(name)[1]
    assert words is not None
    assert len(words.text) == len(MARK) + 2_000_000
    case = machine.cases.mention(name)[0]
    assert case is not None
    until(lambda: machine.cases.case(case["case"]).record, 90, "its ticket")  # type: ignore[union-attr]
    before = machine.cases.effects(case["case"])
    deliverer = Deliverer("discourse", machine.webhook_url("Forum"), machine.secret("Forum"))
    assert deliverer.deliver(Sample(large, HEADERS)).status == 200
    until(lambda: not _in_flight(machine), 60, "the inbox to be empty")
    assert [effect.id for effect in machine.cases.effects(case["case"])] == [effect.id for effect in before]


def test_no_secret_and_no_word_of_a_customer_stands_in_a_log(machine: RunningStack) -> None:
    logs = machine.client("logs")
    secrets = [machine.secret("Forum"), *json.loads(machine.secret_text(machine.credentials)).values()]
    lines = [
        event["message"]
        for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/hailback/")["logGroups"]
        for event in logs.filter_log_events(logGroupName=group["logGroupName"], limit=10_000)["events"]
    ]
    assert len(lines) > 10
    words = [word for word in [MARK, *secrets] if len(word) > 8]
    assert [line for line in lines if any(word in line for word in words)] == []


def _in_flight(machine: RunningStack) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    queue = machine.outputs["InboxQueueUrl"]
    counts = machine.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    time.sleep(0.2)
    return any(int(counts[name]) for name in names)
