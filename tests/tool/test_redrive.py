"""Dead letters go back to where they came from: nothing lost, nothing twice, and nobody's words on the screen."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer

from connectors.tool import redrive as command
from connectors.tool.dead_letters import DeadLetters, describe
from connectors.tool.redrive import redrive
from tests.tool.conftest import FORUM, TRACKER, Small

ARN = "arn:aws:lambda:eu-central-1:000000000000:function:"


def run(small: Small, monkeypatch: pytest.MonkeyPatch, **given: Any) -> None:
    monkeypatch.setattr(command, "target", lambda *_: small.deployment)
    defaults: dict[str, Any] = {"queue": None, "limit": 100, "dry_run": False, "yes": True, "as_json": False}
    redrive(**{**defaults, **given})


def bodies(small: Small, name: str) -> list[dict[str, Any]]:
    answer = small.sqs.receive_message(
        QueueUrl=small.url(name),
        MaxNumberOfMessages=10,
        AttributeNames=["MessageGroupId", "MessageDeduplicationId"],
        MessageAttributeNames=["All"],
    )
    return list(answer.get("Messages", []))


def test_a_fifo_letter_keeps_its_group_and_gets_a_new_deduplication_id(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    for case in ("case-a", "case-b"):
        small.send("SyncDead.fifo", {"case": case, "system": TRACKER}, MessageGroupId=f"group-{case}")
    before = {one["Attributes"]["MessageDeduplicationId"] for one in bodies(small, "SyncDead.fifo")}
    small.sqs.purge_queue(QueueUrl=small.url("SyncDead.fifo"))
    for case in ("case-a", "case-b"):
        small.send("SyncDead.fifo", {"case": case, "system": TRACKER, "n": 2}, MessageGroupId=f"group-{case}")
    run(small, monkeypatch, queue="SyncDead")
    moved = bodies(small, "SyncQueue.fifo")
    assert {one["Attributes"]["MessageGroupId"] for one in moved} == {"group-case-a", "group-case-b"}
    assert not before & {one["Attributes"]["MessageDeduplicationId"] for one in moved}
    assert small.waiting("SyncDead.fifo") == 0


def test_body_and_attributes_arrive_as_they_were(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = {"trace": {"DataType": "String", "StringValue": "1-2"}}
    small.send("InboxDead", {"source": FORUM, "connector": "discourse", "body": "é"}, MessageAttributes=trace)
    run(small, monkeypatch)
    (one,) = bodies(small, "InboxQueue")
    assert json.loads(one["Body"])["body"] == "é"
    assert one["MessageAttributes"]["trace"]["StringValue"] == "1-2"


def test_an_event_that_eventbridge_could_not_deliver_goes_into_the_inbox(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queue is of a rule's target: no queue has it as its own."""
    event = {"source": "aws.connect", "detail-type": "Amazon Connect Contact Event", "detail": {}}
    small.send("WakeDead", event)
    run(small, monkeypatch, queue="WakeDead")
    (one,) = bodies(small, "InboxQueue")
    assert json.loads(one["Body"]) == event
    assert small.waiting("WakeDead") == 0


def test_a_dry_run_moves_nothing(
    small: Small, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        small.send("InboxDead", {"source": FORUM, "connector": "discourse", "body": str(number)})
    run(small, monkeypatch, dry_run=True)
    assert capsys.readouterr().out.count("would go back") == 3
    assert (small.waiting("InboxDead"), small.waiting("InboxQueue")) == (3, 0)
    assert len(DeadLetters(small.deployment).peek(DeadLetters(small.deployment).queue("InboxDead"))) == 3


def test_no_more_than_the_limit_of_each_queue(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(15):
        small.send("InboxDead", {"source": FORUM, "connector": "discourse", "body": str(number)})
        small.send("NotifyDead", {"case": "c", "effect": f"notify#{number}"})
    run(small, monkeypatch, limit=12)
    assert (small.waiting("InboxDead"), small.waiting("InboxQueue")) == (3, 12)
    assert (small.waiting("NotifyDead"), small.waiting("NotifyQueue")) == (3, 12)


def test_a_letter_that_cannot_be_sent_stays(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.send("InboxDead", {"source": FORUM, "connector": "discourse", "body": "x"})
    letters = DeadLetters(small.deployment)
    queue = letters.queue("InboxDead")
    small.sqs.delete_queue(QueueUrl=small.url("InboxQueue"))
    (said,) = command._each(letters, queue, 10, dry_run=False)
    assert said["done"].startswith("not sent: AWS.SimpleQueueService.NonExistentQueue")
    assert small.waiting("InboxDead") == 1


def test_a_lost_deletion_repeats_a_letter_and_loses_none(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.send("NotifyDead", {"case": "c", "effect": "notify#1"})
    letters = DeadLetters(small.deployment)
    queue = letters.queue("NotifyDead")
    (letter,) = letters.take(queue, 1)
    monkeypatch.setattr(letters._sqs, "delete_message", lambda **_: None)
    letters.put_back(queue, letter)
    assert (small.waiting("NotifyDead"), small.waiting("NotifyQueue")) == (1, 1)


def test_a_function_s_letters_are_called_again(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.send("WakeDead", {"requestContext": {"functionArn": f"{ARN}hb-wake:$LATEST"}, "requestPayload": {"shard": 3}})
    payload = {"rawPath": "/x"}
    small.send("WakeDead", {"requestContext": {"functionArn": f"{ARN}hb-receive"}, "requestPayload": payload})
    run(small, monkeypatch)
    assert ("hb-receive", payload) in small.functions.called
    assert [told["shard"] for name, told in small.functions.called if name == "hb-wake"] == list(range(8))
    assert small.waiting("WakeDead") == 0


def test_a_letter_of_cloudformation_stays_and_says_so(
    small: Small, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"requestContext": {"functionArn": f"{ARN}hb-configure", "condition": "RetriesExhausted"}}
    small.send("ConfigureDead", {**told, "requestPayload": {"RequestType": "Create", "ResponseURL": "https://signed"}})
    with pytest.raises(typer.Exit) as ended:
        run(small, monkeypatch)
    shown = capsys.readouterr().out
    assert ended.value.exit_code == 1
    assert "left where it is" in shown
    assert "signed" not in shown
    assert (small.waiting("ConfigureDead"), small.functions.called) == (1, [])


def test_all_queues_are_emptied_only_if_somebody_says_so(
    small: Small, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small.send("InboxDead", {"source": FORUM, "connector": "discourse", "body": "x"})
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    with pytest.raises(typer.Exit):
        run(small, monkeypatch, yes=False)
    assert small.waiting("InboxDead") == 1
    run(small, monkeypatch)
    assert small.waiting("InboxQueue") == 1
    run(small, monkeypatch)
    assert capsys.readouterr().out.splitlines()[-1] == "There are no dead letters."


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"case": "case-a", "system": TRACKER}, f"a wake-up to bring case-a into {TRACKER}"),
        ({"case": "case-a", "effect": "notify#opened#x", "again": True, "why": "x"}, "a wake-up for notify of case-a"),
        ({"poll": TRACKER}, f"a wake-up to ask {TRACKER}"),
        ({"resolve": FORUM, "hint": {"native_id": "7"}, "tries": 2, "first": 1}, f"a hint from {FORUM}"),
        ({"source": "aws.connect", "detail-type": "x", "detail": {"words": 1}}, "an event of aws.connect"),
        ({"secret": "words"}, "something else with the fields secret"),
        ([1], "not JSON"),
    ],
)
def test_a_letter_is_described_by_ids(body: Any, said: str) -> None:
    assert describe(json.dumps(body)) == said
