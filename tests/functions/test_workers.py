"""The workers' handlers over moto: a batch never fails whole, a stream never holds up, and no log holds words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from types import SimpleNamespace
from typing import Any

import boto3
import dispatch_case
import ingest_event
import notify_people
import pytest
import sync_record
import wake_due
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from connectors.aws import inbox
from connectors.aws.blobs import Blobs, expand
from connectors.aws.cases import Cases
from connectors.aws.config import ConfigStore
from connectors.aws.table import pack
from connectors.core.case import CaseEvent, EffectState, record_id, shard
from connectors.core.dispatch import Dispatcher
from connectors.core.identity import case_id
from connectors.core.plan import SourceConfig
from connectors.core.reception import message
from tests.faults import Fault, FaultyClient
from tests.posts import FORUM, said
from tests.store.shop import CASE, SYSTEM, TOPIC, Plans, Shop
from tests.template import table_request

WORDS = "Kaltwassertraum"
HANDLERS = (ingest_event, dispatch_case, sync_record, notify_people, wake_due)


@dataclass
class Machine:
    """The deployed parts on moto."""

    shop: Shop
    sqs: Any
    queues: dict[str, str]
    lines: StringIO

    def messages(self, queue: str) -> list[dict[str, Any]]:
        found = self.sqs.receive_message(QueueUrl=self.queues[queue], MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(each["Body"]) for each in found]


class Context:
    """What Lambda hands a function besides the event."""

    function_name = "f"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn"
    aws_request_id = "id"

    def __init__(self, seconds: float = 50.0) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, aws_environment: None) -> Iterator[Machine]:
    with mock_aws():
        client, sqs = boto3.client("dynamodb"), boto3.client("sqs")
        client.create_table(**table_request("table"))
        boto3.client("s3").create_bucket(
            Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("inbox", "notify")}
        fifo = {"FifoQueue": "true"}
        queues["sync"] = sqs.create_queue(QueueName="sync.fifo", Attributes=fifo)["QueueUrl"]
        for name, value in {
            "TABLE_NAME": "table",
            "BUCKET_NAME": "bucket",
            "INBOX_QUEUE_URL": queues["inbox"],
            "SYNC_QUEUE_URL": queues["sync"],
            "NOTIFY_QUEUE_URL": queues["notify"],
        }.items():
            monkeypatch.setenv(name, value)
        plans, lines = Plans(), StringIO()
        monkeypatch.setattr(ConfigStore, "active_plan", lambda self: plans.active)
        monkeypatch.setattr(ConfigStore, "plan", lambda self, version: plans.plan(version))
        forum = SourceConfig.of("stack/Forum", "discourse", "hailback/forum", {"BaseUrl": f"https://{FORUM}"})
        old = SourceConfig.of("stack/Old", "discourse", "hailback/forum", {"BaseUrl": f"https://{FORUM}"})
        monkeypatch.setattr(
            ConfigStore,
            "source",
            lambda self, name, with_deleted=False: {forum.id: forum, old.id: old if with_deleted else None}.get(name),
        )
        streams = []
        for module in HANDLERS:
            for name in ("_adapters", "dispatcher"):
                if hasattr(module, name):
                    getattr(module, name).cache_clear()
            streams.append((module.logger.registered_handler, module.logger.registered_handler.setStream(lines)))
        shop = Shop(client, "table", blobs=Blobs(lambda: boto3.client("s3"), "bucket"))
        yield Machine(shop, sqs, queues, lines)
        for handler, stream in streams:
            handler.setStream(stream)
        for module in HANDLERS:
            for name in ("_adapters", "dispatcher"):
                if hasattr(module, name):
                    getattr(module, name).cache_clear()


def sqs_event(*bodies: str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": body,
                "eventSource": "aws:sqs",
                "attributes": {},
            }
            for number, body in enumerate(bodies)
        ]
    }


def delivery(
    post: int = 1, text: str = "cold", source: str = "stack/Forum", event: str = "post_created", **more: Any
) -> str:
    body = {"post": {"id": post, "topic_id": 7, "raw": text, "user_id": 5, "username": "ada", "version": 1, **more}}
    headers = {"x-discourse-event": event, "x-discourse-event-id": str(post)}
    return json.dumps(message(source, "discourse", headers, json.dumps(body).encode(), 1_795_000_000_000))


def stream(events: list[CaseEvent], name: str = "INSERT") -> dict[str, Any]:
    return {
        "Records": [
            {"eventName": name, "dynamodb": {"NewImage": pack(event.model_dump(mode="json", exclude_none=True))}}
            for event in events
        ]
    }


def test_a_delivery_becomes_a_case(machine: Machine) -> None:
    assert ingest_event.handler(sqs_event(delivery()), Context()) == {"batchItemFailures": []}
    assert machine.shop.happened() == ["opened"]


def test_of_a_batch_only_what_failed_comes_again_and_the_log_says_why(machine: Machine) -> None:
    answer = ingest_event.handler(
        sqs_event(delivery(1, WORDS), "not json", delivery(2, WORDS, "stack/Unknown"), delivery(3, WORDS)), Context()
    )
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == ["m1", "m2"]
    assert machine.shop.happened() == ["opened", "said"]
    said_so = machine.lines.getvalue()
    assert "no source stack/Unknown" in said_so
    assert WORDS not in said_so


def test_a_deleted_source_takes_nothing_in_but_its_removals_are_obeyed(machine: Machine) -> None:
    ingest_event.handler(sqs_event(delivery(1, WORDS)), Context())
    late = [delivery(2, source="stack/Old"), delivery(1, source="stack/Old", event="post_destroyed")]
    assert ingest_event.handler(sqs_event(*late), Context()) == {"batchItemFailures": []}
    assert machine.shop.happened() == ["opened", "deleted"]
    assert machine.shop.cases.mention(f"discourse:{FORUM}:2") == (None, None)


def test_a_failing_table_brings_the_delivery_back(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    intake = ingest_event._adapters()[2]
    faulty = FaultyClient(machine.shop.client, [Fault("transact_write_items", 0, "AccessDeniedException")])
    monkeypatch.setattr(intake._table, "client", faulty)
    answer = ingest_event.handler(sqs_event(delivery(text=WORDS)), Context())
    assert len(answer["batchItemFailures"]) == 1
    assert "AccessDenied" in machine.lines.getvalue()
    assert WORDS not in machine.lines.getvalue()


def test_a_delivery_of_very_many_events_is_put_back_in_pieces(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_event, "CHUNK", 4)
    monkeypatch.setattr(inbox, "CHUNK", 4)
    posts = [said(post) for post in range(1, 10)]
    monkeypatch.setattr(ingest_event, "read", lambda *_: posts)
    ingest_event.handler(sqs_event(delivery()), Context())
    assert machine.shop.rows() == []
    pieces = machine.messages("inbox")
    assert len(pieces) == 3
    ingest_event.handler(sqs_event(*[json.dumps(piece) for piece in pieces * 2]), Context())
    assert len(machine.shop.happened()) == len(posts)


def test_of_a_split_delivery_no_post_keeps_the_words_of_the_others(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_event, "CHUNK", 2)
    monkeypatch.setattr(inbox, "CHUNK", 2)
    monkeypatch.setattr(ingest_event, "read", lambda *_: [said(post) for post in (1, 2, 3)])
    ingest_event.handler(sqs_event(delivery(text=WORDS)), Context())
    pieces = [json.dumps(piece) for piece in machine.messages("inbox")]
    ingest_event.handler(sqs_event(*pieces), Context())
    kept = [expand(row["raw"]).decode() for row in machine.shop.rows() if row.get("raw")]
    assert len(machine.shop.happened()) == 3
    assert not any(WORDS in raw for raw in kept)


def test_a_delivery_that_nobody_can_read_is_kept_and_told(machine: Machine) -> None:
    body = message("stack/Forum", "discourse", {"x-discourse-event": "post_created"}, b'{"post": 7}', 1_795_000_000_000)
    ingest_event.handler(sqs_event(json.dumps(body)), Context())
    assert "a delivery could not be read" in machine.lines.getvalue()
    assert [row["event"] for row in machine.shop.rows() if row["type"] == "unsupported"] == ["malformed"]


def test_the_stream_plans_and_wakes(machine: Machine) -> None:
    machine.shop.take_in(said())
    assert dispatch_case.handler(stream(machine.shop.timeline()), None) == {"batchItemFailures": []}
    assert machine.messages("sync") == [{"case": CASE, "system": SYSTEM}]
    assert machine.messages("notify")[0]["case"] == CASE


MALFORMED: list[Any] = [
    {},
    None,
    {"eventName": "INSERT"},
    {"eventName": "INSERT", "dynamodb": {}},
    {"eventName": "INSERT", "dynamodb": {"NewImage": {"kind": {"S": "never heard of"}}}},
    {"eventName": "INSERT", "dynamodb": {"NewImage": {"pk": {"X": 1}}}},
    {"eventName": "REMOVE", "dynamodb": {"Keys": {}}},
]


def test_malformed_repeated_and_reordered_records_do_not_stop_the_stream(machine: Machine) -> None:
    for post in (1, 2, 3):
        machine.shop.take_in(said(post))
    good = stream(list(reversed(machine.shop.timeline())) * 2)["Records"]
    assert dispatch_case.handler({"Records": MALFORMED + good + MALFORMED}, None) == {"batchItemFailures": []}
    assert len(machine.shop.cases.effects(CASE)) == 5
    assert dispatch_case.handler({"Records": good}, None) == {"batchItemFailures": []}
    assert len(machine.shop.cases.effects(CASE)) == 5


def test_what_the_stream_lost_the_sweep_dispatches(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.shop.take_in(said(1))
    machine.shop.take_in(said(2, topic=8))
    late(monkeypatch, machine, 120)
    found = wake_due.handler({}, Context())
    assert found == {"events": 2, "effects": 0, "polls": 0, "planned": 6}
    assert len(machine.messages("sync")) == 2
    assert wake_due.handler({}, Context()) == {"events": 0, "effects": 0, "polls": 0, "planned": 0}


def late(monkeypatch: pytest.MonkeyPatch, machine: Machine, seconds: float) -> None:
    now = machine.shop.now() / 1000 + seconds
    for module in (wake_due, dispatch_case):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now))


def test_a_table_that_fails_the_stream_leaves_everything_to_the_sweep(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.shop.take_in(said())
    faulty = FaultyClient(machine.shop.client, [Fault("transact_write_items", 0, "AccessDeniedException")])
    broken = Shop(faulty, "table", blobs=None)
    works = dispatch_case.dispatcher
    monkeypatch.setattr(dispatch_case, "dispatcher", broken.dispatcher)
    assert dispatch_case.handler(stream(machine.shop.timeline()), None) == {"batchItemFailures": []}
    assert "AccessDenied" in machine.lines.getvalue()
    monkeypatch.setattr(dispatch_case, "dispatcher", works)
    late(monkeypatch, machine, 120)
    assert wake_due.handler({}, Context())["planned"] == 3


def test_something_due_that_cannot_be_read_does_not_stop_the_sweep(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.shop.take_in(said())
    (event,) = [row for row in machine.shop.rows() if row.get("type") == "event"]
    for number, wrong in enumerate(({"kind": "nonsense"}, {"type": "nonsense"})):
        machine.shop.table.put({**event, "sk": f"EVENT#0#{number}", "due_at": 1, **wrong})
    late(monkeypatch, machine, 120)
    assert wake_due.handler({}, Context())["planned"] == 3
    assert "could not be read" in machine.lines.getvalue()
    idle = {"events": 0, "effects": 0, "polls": 0, "planned": 0}
    assert wake_due.handler({}, Context()) == idle, "its turn comes later"


def test_a_lost_wake_up_is_made_up_for_by_the_sweep(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.shop.take_in(said())
    machine.shop.dispatch()
    late(monkeypatch, machine, 120)
    assert wake_due.handler({}, Context())["effects"] == 3
    assert machine.messages("sync") == [{"case": CASE, "system": SYSTEM}]
    assert len(machine.messages("notify")) == 1


def test_with_no_time_left_the_sweep_stops_and_what_is_due_stays_due(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.shop.take_in(said())
    late(monkeypatch, machine, 120)
    assert wake_due.handler({}, Context(seconds=5)) == {"events": 0, "effects": 0, "polls": 0, "planned": 0}
    assert wake_due.handler({}, Context())["events"] == 1


def test_a_backlog_too_long_for_one_sweep_is_left_to_the_next_ones(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep that ran out of time would be a dead letter, and those are for our own defects."""
    places = {topic: shard(case_id(f"discourse:{FORUM}:{topic}")) for topic in range(7, 200)}
    for topic in [topic for topic, place in places.items() if place == places[7]][:3]:
        machine.shop.take_in(said(topic, topic=topic))

    class Hurried(Context):
        looks = 0

        def get_remaining_time_in_millis(self) -> int:
            self.looks += 1
            return 50_000 if self.looks <= 4 else 5_000  # three to find them, one to dispatch

    late(monkeypatch, machine, 120)
    assert wake_due.handler({}, Hurried())["planned"] == 3
    late(monkeypatch, machine, 240)
    assert wake_due.handler({}, Context())["planned"] == 6


def test_a_system_that_is_not_deployed_parks_the_record_and_the_message_is_done(machine: Machine) -> None:
    machine.shop.take_in(said())
    machine.shop.dispatch()
    wake_up = json.dumps({"case": CASE, "system": SYSTEM})
    assert sync_record.handler(sqs_event(wake_up), Context()) == {"batchItemFailures": []}
    effect = machine.shop.ledger.effect(CASE, record_id(SYSTEM))
    assert effect is not None
    assert effect.state is EffectState.PARKED
    assert "is not deployed" in (effect.error or "")
    assert "an administrator has to act" in machine.lines.getvalue(), "which the alarm hears"
    assert machine.shop.happened()[-1] == "delayed"


def test_too_little_time_wakes_the_worker_again(machine: Machine) -> None:
    machine.shop.take_in(said())
    machine.shop.dispatch()
    wake_up = json.dumps({"case": CASE, "system": SYSTEM})
    assert sync_record.handler(sqs_event(wake_up), Context(seconds=3)) == {"batchItemFailures": []}
    assert machine.messages("sync") == [{"case": CASE, "system": SYSTEM}]


def test_a_topic_is_told_once(machine: Machine) -> None:
    topic = boto3.client("sns").create_topic(Name="hailback-care")["TopicArn"]
    subscribed = machine.sqs.create_queue(QueueName="people")["QueueUrl"]
    arn = machine.sqs.get_queue_attributes(QueueUrl=subscribed, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    known = sns_backends[DEFAULT_ACCOUNT_ID][topic.split(":")[3]].topics[topic]
    known.subscriptions_confimed = 1  # moto counts none
    plans = Plans()
    assert plans.active is not None
    route = plans.active.routes[0].model_copy(update={"topics": (topic,)})
    plans.active = plans.active.of((route,), plans.active.systems)
    machine.shop.take_in(said(text=f"{WORDS} " * 100, title="The heating"))
    machine.shop.dispatcher(plans=plans).dispatch(machine.shop.timeline(), machine.shop.now())
    (effect,) = [each for each in machine.shop.cases.effects(CASE) if each.kind == "notify"]
    wake_up = json.dumps({"case": CASE, "effect": effect.id})
    for _ in range(2):
        assert notify_people.handler(sqs_event(wake_up), Context()) == {"batchItemFailures": []}
    told = machine.sqs.receive_message(QueueUrl=subscribed, MaxNumberOfMessages=10)["Messages"]
    assert len(told) == 1
    assert WORDS not in told[0]["Body"]
    assert "The heating" in told[0]["Body"]
    assert machine.shop.happened() == ["opened", "routed", "notified"]


def test_a_topic_that_is_gone_parks_the_notification(machine: Machine) -> None:
    machine.shop.take_in(said())
    machine.shop.dispatch()
    (effect,) = [each for each in machine.shop.cases.effects(CASE) if each.kind == "notify"]
    wake_up = json.dumps({"case": CASE, "effect": effect.id})
    assert notify_people.handler(sqs_event(wake_up), Context()) == {"batchItemFailures": []}
    after = machine.shop.ledger.effect(CASE, effect.id)
    assert after is not None
    assert after.state is EffectState.PARKED
    assert TOPIC in (after.error or "")
    assert "a topic failed" in machine.lines.getvalue(), "which the alarm hears"


def test_a_wake_up_for_a_case_that_is_not_there_is_done(machine: Machine) -> None:
    nobody = case_id("discourse:nowhere:1")
    for module, wake_up in ((sync_record, {"system": SYSTEM}), (notify_people, {"effect": "x"})):
        answer = module.handler(sqs_event(json.dumps({"case": nobody, **wake_up})), Context())
        assert answer == {"batchItemFailures": []}


def test_the_dispatcher_is_that_of_the_function(machine: Machine) -> None:
    assert isinstance(dispatch_case.dispatcher(), Dispatcher)
    assert isinstance(dispatch_case.dispatcher()._store, Cases)
