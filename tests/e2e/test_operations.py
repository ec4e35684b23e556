"""What an on-call engineer does, on the deployed machine: look, send dead letters on, reconcile."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from connectors.core.case import Case
from connectors.core.identity import case_id, qualify
from connectors.core.reconcile import record_key
from connectors.tool.checkup import Checkup
from connectors.tool.dead_letters import DeadLetters
from connectors.tool.local import RunningStack
from connectors.tool.reconciling import Reconciler
from connectors.tool.story import sweeping
from tests.e2e.wait import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
TRACKER, ZENDESK = "hailback-routes/Tracker", "hailback-routes/Zendesk"


@pytest.fixture
def swept(machine: RunningStack) -> Iterator[RunningStack]:
    """The machine with minutes that pass like seconds."""
    with sweeping(machine, 1.0):
        yield machine


def conversation(machine: RunningStack, topic: int) -> str:
    return qualify("discourse", urlsplit(machine.forum.base_url).netloc, str(topic))


def recorded(machine: RunningStack, topic: int) -> Case:
    """The thread's case, once it has a ticket with a note."""

    def look() -> Any:
        case = machine.cases.case(case_id(conversation(machine, topic)))
        done = case and all(one.state.final for one in machine.cases.effects(case.id))
        return case if case and case.record and done else None

    found: Case = seen(look, "a ticket")
    return found


def seen(look: Callable[[], Any], what: str) -> Any:
    """What there is to see, once there is something."""
    kept: list[Any] = []
    until(lambda: (found := look()) and not kept.append(found), 60, what)
    return kept[-1]


def ticket(machine: RunningStack, case: str) -> Any:
    key = record_key(case, TRACKER)
    return next((one for one in machine.tickets.all() if one.key == key), None)


def faults(machine: RunningStack, system: str, case: str, dry_run: bool = False) -> list[str]:
    found = Reconciler(machine, system).run(dry_run)
    return [one.fault.value for one, _ in found.differences if one.case == case]


def take_away(machine: RunningStack, number: str) -> None:
    """Retire an issue, as somebody at the tracker might."""
    pool, headers = urllib3.PoolManager(), machine.tickets._headers
    url = f"{machine.tracker.base_url}rest/data/issue/{number.removeprefix('issue')}"
    shown = pool.request("GET", url, headers=headers)
    root = urlsplit(machine.tracker.base_url)
    sent = {"If-Match": shown.headers["ETag"], "Origin": f"{root.scheme}://{root.netloc}", "Referer": url}
    assert pool.request("DELETE", url, headers=headers | sent).status == 200


def test_a_lost_ticket_is_found_and_written_again(swept: RunningStack) -> None:
    post = swept.forum.say("ada", "It drips on the sofa.", title="Water")
    case = recorded(swept, int(post["topic_id"]))
    assert faults(swept, "Tracker", case.id) == []
    first = ticket(swept, case.id)
    take_away(swept, first.id)
    assert faults(swept, "Tracker", case.id, dry_run=True) == ["missing there"]
    assert faults(swept, "Tracker", case.id) == ["missing there"]
    again = seen(lambda: (found := ticket(swept, case.id)) and found.notes and found, "another ticket")
    assert again.id != first.id
    assert sum("It drips on the sofa." in text for text in again.notes.values()) == 1
    until(lambda: faults(swept, "Tracker", case.id) == [], 60, "agreement")
    named = swept.cases.case(case.id)
    assert named is not None
    assert named.record is not None
    assert named.record.id == again.id


def test_tickets_that_are_one_too_many_are_linked_and_closed_once(swept: RunningStack) -> None:
    post = swept.forum.say("bo", "The bill is wrong twice.", title="Bill")
    case = recorded(swept, int(post["topic_id"]))
    assert case.record is not None
    for _ in range(2):
        fields = {"subject": "x", "comment": {"body": "x"}, "external_id": record_key(case.id, ZENDESK)}
        swept.zendesk.call("POST", "/api/v2/tickets", {"ticket": fields})
    assert faults(swept, "Zendesk", case.id) == ["a duplicate", "a duplicate"]
    assert faults(swept, "Zendesk", case.id) == []
    key = record_key(case.id, ZENDESK)
    there = [one for one in swept.zendesk.state()["tickets"] if one["external_id"] == key]
    assert [one["status"] for one in there] == ["solved", "solved"]
    for one in there:
        assert sum(case.record.url in comment["body"] for comment in one["comments"]) == 1


def test_a_dead_letter_that_is_sent_on_becomes_a_case(swept: RunningStack) -> None:
    source = swept.source("Square")
    topic = 77_001
    post = {"id": 88_001, "topic_id": topic, "post_number": 1, "user_id": 31, "username": "cy", "version": 1}
    words = {"raw": "Nobody came.", "cooked": "<p>Nobody came.</p>", "post_type": 1, "topic_archetype": "regular"}
    body = json.dumps({"post": {**post, **words, "created_at": "2026-11-21T10:00:00.000Z"}}).encode()
    letter = {
        "source": source.id,
        "connector": "discourse",
        "headers": {
            "x-discourse-event": "post_created",
            "x-discourse-event-type": "post",
            "x-discourse-event-id": "88001",
            "x-discourse-instance": swept.forum.base_url,
        },
        "received_at": int(time.time() * 1000),
        "body": base64.b64encode(gzip.compress(body)).decode(),
    }
    letters = DeadLetters(swept)
    queue = letters.queue("IngestDead")
    swept.client("sqs").send_message(QueueUrl=queue.url, MessageBody=json.dumps(letter))
    found = Checkup(swept).document()
    assert found["wrong"][0].startswith("1 dead letter in")
    assert list(found["dead_letters"][0]["what"]) == [f"a delivery of discourse from {source.id}"]
    assert "Nobody came" not in json.dumps(found)
    (one,) = letters.take(queue, 10)
    assert letters.put_back(queue, one).startswith("back in")
    case = recorded(swept, topic)
    assert case.conversation == conversation(swept, topic)
    until(lambda: Checkup(swept).document()["well"], 60, "all well")


def test_a_wake_up_goes_back_into_its_fifo_queue(swept: RunningStack) -> None:
    letters = DeadLetters(swept)
    queue = letters.queue("SyncDead")
    for number in range(3):
        body = json.dumps({"case": f"case-none{number}", "system": TRACKER})
        swept.client("sqs").send_message(
            QueueUrl=queue.url, MessageBody=body, MessageGroupId=f"g{number}", MessageDeduplicationId=f"d{number}"
        )
    moved = [letters.put_back(queue, one) for one in letters.take(queue, 10)]
    assert len(moved) == 3
    assert all(said.startswith("back in") for said in moved)
    until(lambda: Checkup(swept).document()["well"], 60, "all well")
