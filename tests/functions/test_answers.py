"""What comes back from records and what goes back to customers, through the handlers over moto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import ingest_event
import poll_source
import pytest
import send_reply
import wake_due
from pydantic import Field

from connectors.aws.cases import effect_item
from connectors.aws.config import ConfigStore
from connectors.aws.cursors import TableCursors, begin_action
from connectors.aws.inbox import of_events
from connectors.aws.systems import Systems
from connectors.aws.updates import record_key, update_id
from connectors.core.budget import Prices
from connectors.core.case import Effect, EffectKind, EffectState
from connectors.core.models import Author, RecordUpdate
from connectors.core.plan import SourceConfig, SystemConfig
from connectors.core.ports import Page
from connectors.core.reception import message
from connectors.discourse.replies import DiscourseReplier
from connectors.discourse.settings import DiscourseSource
from connectors.tool import forum
from tests.functions.test_workers import Context, Machine, machine, sqs_event
from tests.posts import said
from tests.store.shop import CASE, SYSTEM

__all__ = ["machine"]
WORDS = "Kaltwassertraum"
UPDATE = RecordUpdate(
    connector="roundup", reference="issue1", native_id="msg1", kind="reply", author=Author(native_id="9"), text=WORDS
)
DESK = SystemConfig.of(
    "stack/Desk", "zendesk", "hailback/zendesk", {"BaseUrl": "https://acme.zendesk.com", "Account": "7"}, poll=60
)
TRACKER = SystemConfig.of(
    SYSTEM, "roundup", "hailback/tracker", {"BaseUrl": "https://tracker.nimbus.example/"}, poll=60
)


@pytest.fixture
def parts(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """The machine with two systems, a Poll and a Reply queue."""
    for name in ("poll", "reply"):
        machine.queues[name] = machine.sqs.create_queue(QueueName=name)["QueueUrl"]
        monkeypatch.setenv(f"{name.upper()}_QUEUE_URL", machine.queues[name])
    monkeypatch.setenv("ALLOW_PRIVATE_SYSTEMS", "true")
    systems = {each.id: each for each in (DESK, TRACKER)}
    monkeypatch.setattr(ConfigStore, "system", lambda self, name, with_deleted=False: systems.get(name))
    own = (poll_source, send_reply)
    for module in (*own, ingest_event, wake_due):
        module._adapters.cache_clear()
    streams = [
        (module.logger.registered_handler, module.logger.registered_handler.setStream(machine.lines)) for module in own
    ]
    yield machine
    for handler, stream in streams:
        handler.setStream(stream)
    for module in own:
        module._adapters.cache_clear()


def known(machine: Machine, system: str = SYSTEM, reference: str = "issue1") -> None:
    machine.shop.take_in(said())
    pk, sk = record_key(system, reference)
    machine.shop.table.put({"pk": pk, "sk": sk, "case": CASE})


def brought(*updates: RecordUpdate, tries: int = 0) -> str:
    body = f"[{','.join(update.model_dump_json() for update in updates)}]"
    return json.dumps(of_events(SYSTEM, "roundup", body, 1_795_000_000_000, tries))


def test_what_a_poll_brought_is_taken_in_once(parts: Machine) -> None:
    known(parts)
    second = UPDATE.model_copy(update={"native_id": "msg2", "kind": "note"})
    for _ in range(2):
        answer = ingest_event.handler(sqs_event(brought(UPDATE, second), brought(UPDATE)), Context())
        assert answer == {"batchItemFailures": []}
    assert parts.shop.happened() == ["opened", "answered", "remarked"]
    assert WORDS not in parts.lines.getvalue()


def test_an_update_that_is_too_early_comes_again_alone_and_in_the_end_no_more(parts: Machine) -> None:
    known(parts)
    early = UPDATE.model_copy(update={"reference": "issue2"})
    ingest_event.handler(sqs_event(brought(UPDATE, early)), Context())
    assert parts.shop.happened() == ["opened", "answered"]
    attributes = parts.sqs.get_queue_attributes(QueueUrl=parts.queues["inbox"], AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"
    ingest_event.handler(sqs_event(brought(early, tries=len(ingest_event.AGAIN))), Context())
    attributes = parts.sqs.get_queue_attributes(QueueUrl=parts.queues["inbox"], AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1", "given up"
    assert parts.shop.happened() == ["opened", "answered"]


def test_a_systems_webhook_is_read_by_its_connector(parts: Machine) -> None:
    known(parts, DESK.id, "35")
    body = {
        "type": "zen:event-type:ticket.comment_added",
        "time": "2026-11-20T11:00:00Z",
        "detail": {"id": "35", "external_id": "hailback-abc"},
        "event": {"comment": {"id": "77", "body": WORDS, "is_public": True, "author": {"id": "9", "is_staff": True}}},
    }
    delivery = message(DESK.id, "zendesk", {}, json.dumps(body).encode(), 1_795_000_000_000)
    for _ in range(2):
        assert ingest_event.handler(sqs_event(json.dumps(delivery)), Context()) == {"batchItemFailures": []}
    assert parts.shop.happened() == ["opened", "answered"]
    assert WORDS not in parts.lines.getvalue()


class Asked:
    """A system that is asked."""

    def __init__(self) -> None:
        self.pages: list[Any] = []
        self.cursors: list[str | None] = []

    def poll(self, cursor: str | None) -> Page:
        self.cursors.append(cursor)
        page = self.pages.pop(0) if self.pages else Page([], f"{len(self.cursors)}", 60.0)
        if isinstance(page, Exception):
            raise page
        assert isinstance(page, Page)
        return page


@pytest.fixture
def asked(parts: Machine, monkeypatch: pytest.MonkeyPatch) -> Asked:
    place = Asked()
    monkeypatch.setattr(Systems, "system", lambda self, name, ends: place)
    parts.shop.table.transact([begin_action(parts.shop.table, SYSTEM, 60, 1_000)])
    return place


def test_what_is_due_is_polled_and_its_events_wait_in_the_inbox(parts: Machine, asked: Asked) -> None:
    found = wake_due.handler({}, Context())
    assert found["polls"] == 1
    (wake_up,) = parts.messages("poll")
    assert wake_up == {"poll": SYSTEM}
    asked.pages = [Page([UPDATE], "7", 60.0)]
    for _ in range(2):
        assert poll_source.handler(sqs_event(json.dumps(wake_up)), Context()) == {"batchItemFailures": []}
    assert asked.cursors == [None]
    assert "polling begins here" in parts.lines.getvalue()
    attributes = parts.sqs.get_queue_attributes(QueueUrl=parts.queues["poll"], AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1", "the next wake-up is on its way"
    known(parts)
    (delivery,) = parts.messages("inbox")
    ingest_event.handler(sqs_event(json.dumps(delivery)), Context())
    assert parts.shop.happened() == ["opened", "answered"]
    assert WORDS not in parts.lines.getvalue()


def test_a_system_that_was_deleted_is_asked_no_more(parts: Machine, asked: Asked) -> None:
    wake_up = json.dumps({"poll": "stack/Gone"})
    parts.shop.table.transact([begin_action(parts.shop.table, "stack/Gone", 60, 1_000)])
    never = json.dumps({"poll": "stack/Never"})
    assert poll_source.handler(sqs_event(wake_up, never), Context()) == {"batchItemFailures": []}
    assert asked.cursors == []
    assert [item["id"] for item in parts.shop.waiting(10**15)] == [SYSTEM]


def test_a_system_that_fails_keeps_its_message_out_of_the_dead_letters(parts: Machine, asked: Asked) -> None:
    from connectors.core.errors import UnavailableError

    asked.pages = [UnavailableError("it is down")]
    assert poll_source.handler(sqs_event(json.dumps({"poll": SYSTEM})), Context()) == {"batchItemFailures": []}
    assert "it is down" in parts.lines.getvalue()
    cursor = TableCursors(parts.shop.table, 60.0).cursor(SYSTEM)
    assert cursor is not None
    assert cursor.failures == 1


def test_a_system_without_credentials_is_asked_again_and_the_cursor_says_why(parts: Machine) -> None:
    parts.shop.table.transact([begin_action(parts.shop.table, SYSTEM, 60, 1_000)])
    assert poll_source.handler(sqs_event(json.dumps({"poll": SYSTEM})), Context()) == {"batchItemFailures": []}
    cursor = TableCursors(parts.shop.table, 60.0).cursor(SYSTEM)
    assert cursor is not None
    assert "hailback/tracker/credentials" in (cursor.error or "")


def answer(machine: Machine, base_url: str, credentials: dict[str, str], patch: pytest.MonkeyPatch) -> Effect:
    """A case in the stand-in forum, with an answer planned."""
    settings = {"BaseUrl": base_url, "Account": ["hailback"]}
    source = SourceConfig.of("stack/Forum", "discourse", "hailback/forum", settings)
    patch.setattr(ConfigStore, "source", lambda self, name, with_deleted=False: source)
    boto3.client("secretsmanager").create_secret(
        Name="hailback/forum/credentials", SecretString=json.dumps(credentials)
    )
    known(machine)
    ingest_event.handler(sqs_event(brought(UPDATE)), Context())
    effect = Effect(
        case=CASE,
        id="reply#stack/Forum#1",
        kind=EffectKind.REPLY,
        target="stack/Forum",
        planned_at=1,
        update=update_id(SYSTEM, UPDATE),
    )
    machine.shop.table.put(effect_item(effect))
    return effect


@pytest.fixture
def square(tmp_path: Path) -> Iterator[forum.RunningForum]:
    running = forum.start(tmp_path / "forum")
    for number in range(7):  # so that topic 7, that of the samples, is there
        running.say("ada", f"Post {number}.", topic_id=7)
    yield running
    running.stop()


def test_an_answer_is_posted_once_however_often_it_is_woken(
    parts: Machine, square: forum.RunningForum, monkeypatch: pytest.MonkeyPatch
) -> None:
    effect = answer(parts, square.base_url, square.credentials, monkeypatch)
    wake_up = sqs_event(json.dumps({"case": CASE, "effect": effect.id}))
    for _ in range(2):
        assert send_reply.handler(wake_up, Context()) == {"batchItemFailures": []}
    ours = [post["raw"] for post in square.posts() if post["username"] == "hailback"]
    assert [raw.startswith(WORDS) for raw in ours] == [True]
    assert parts.shop.happened()[-1] == "replied"
    assert parts.shop.timeline()[-1].detail["url"].startswith(square.base_url)
    assert WORDS not in parts.lines.getvalue()
    assert square.credentials["api_key"] not in parts.lines.getvalue()


class Dear(DiscourseSource):
    """A forum whose answers cost something."""

    budget: str = Field(alias="Budget")


def test_an_answer_tells_that_a_budget_runs_low_and_is_sent_all_the_same(
    parts: Machine, square: forum.RunningForum, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a source that is not polled, nobody else would."""
    effect = answer(parts, square.base_url, square.credentials, monkeypatch)
    settings = {"BaseUrl": square.base_url, "Account": ["hailback"], "Budget": "1"}
    dear = SourceConfig.of("stack/Forum", "discourse", "hailback/forum", settings)
    monkeypatch.setattr(ConfigStore, "source", lambda self, name, with_deleted=False: dear)
    monkeypatch.setattr(DiscourseReplier, "settings_model", Dear)
    listed = Prices("2026-10-01", "USD", "https://vendor.example", {"create": Decimal("0.9")})
    monkeypatch.setattr(send_reply, "prices", lambda connector: listed)
    monkeypatch.setattr(DiscourseReplier, "units", lambda self, mention, text: {"create": 1}, raising=False)
    assert send_reply.handler(sqs_event(json.dumps({"case": CASE, "effect": effect.id})), Context()) == {
        "batchItemFailures": []
    }
    assert parts.shop.happened()[-1] == "replied"
    assert "a budget runs low" in parts.lines.getvalue()
    assert "0.90 of 1.00 USD" in parts.lines.getvalue()


def test_a_missing_key_parks_the_answer_and_names_the_secret(
    parts: Machine, square: forum.RunningForum, monkeypatch: pytest.MonkeyPatch
) -> None:
    effect = answer(parts, square.base_url, {"api_key": "k"}, monkeypatch)
    assert send_reply.handler(sqs_event(json.dumps({"case": CASE, "effect": effect.id})), Context()) == {
        "batchItemFailures": []
    }
    after = parts.shop.ledger.effect(CASE, effect.id)
    assert after is not None
    assert after.state is EffectState.PARKED
    assert "hailback/forum/credentials: api_username" in (after.error or "")


def test_too_little_time_wakes_the_answer_again(
    parts: Machine, square: forum.RunningForum, monkeypatch: pytest.MonkeyPatch
) -> None:
    effect = answer(parts, square.base_url, square.credentials, monkeypatch)
    wake_up = {"case": CASE, "effect": effect.id}
    assert send_reply.handler(sqs_event(json.dumps(wake_up)), Context(seconds=2)) == {"batchItemFailures": []}
    assert parts.messages("reply") == [wake_up]
    assert [post for post in square.posts() if post["username"] == "hailback"] == []


def test_an_answer_that_is_not_there_is_done(parts: Machine) -> None:
    wake_up = json.dumps({"case": CASE, "effect": "reply#nothing"})
    assert send_reply.handler(sqs_event(wake_up), Context()) == {"batchItemFailures": []}
