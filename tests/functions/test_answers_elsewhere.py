"""A story that began on the phone and went on in public is answered in public, by the source of the public post."""

from __future__ import annotations

import json

import boto3
import ingest_event
import pytest
import send_reply

from connectors.aws.config import ConfigStore
from connectors.aws.people import People
from connectors.aws.updates import record_key
from connectors.core.case import Effect, EffectKind
from connectors.core.compose import note_draft
from connectors.core.identity import case_id
from connectors.core.ingest import Origin, Taken
from connectors.core.models import Author, Mention
from connectors.core.plan import SourceConfig
from connectors.tool import forum
from tests.functions.test_answers import UPDATE, WORDS, brought, parts, square
from tests.functions.test_workers import Context, Machine, machine, sqs_event
from tests.posts import FORUM, said
from tests.store.shop import SYSTEM

__all__ = ["machine", "parts", "square"]
LINE = "stack/Line"
NUMBER = "tel:+491701234567"
CALL = Mention(
    connector="amazon_connect",
    native_id="c1",
    conversation_id="c1",
    author=Author(native_id="+491701234567", identity=NUMBER),
    text="My heating is cold.",
)
CASE = case_id(CALL.conversation)


def deployed(square: forum.RunningForum, patch: pytest.MonkeyPatch, *, held: bool = False) -> None:
    settings = {"BaseUrl": square.base_url, "Account": ["hailback"]}
    sources = {
        "stack/Forum": SourceConfig.of("stack/Forum", "discourse", "hailback/forum", settings, hold=held),
        LINE: SourceConfig.of(LINE, "amazon_connect", "hailback/line", {}),
    }
    patch.setattr(ConfigStore, "source", lambda self, name, with_deleted=False: sources.get(name))
    secret = json.dumps(square.credentials)
    boto3.client("secretsmanager").create_secret(Name="hailback/forum/credentials", SecretString=secret)


def answered(machine: Machine) -> Effect:
    """A call, then a post by the same person, then an agent's answer on the record."""
    shop = machine.shop
    People(shop.table, shop.now).link(NUMBER, f"discourse:{FORUM}:55", by="mia", because="The same order number.")
    assert shop.take_in(CALL, Origin(LINE, "amazon_connect")) is Taken.OPENED
    assert shop.take_in(said()) is Taken.SAID
    pk, sk = record_key(SYSTEM, "issue1")
    shop.table.put({"pk": pk, "sk": sk, "case": CASE})
    ingest_event.handler(sqs_event(brought(UPDATE)), Context())
    shop.dispatch(CASE)
    (reply,) = [effect for effect in shop.cases.effects(CASE) if effect.kind is EffectKind.REPLY]
    return reply


def test_the_answer_goes_to_the_public_post(
    parts: Machine, square: forum.RunningForum, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(square, monkeypatch)
    reply = answered(parts)
    for _ in range(2):
        assert send_reply.handler(sqs_event(json.dumps({"case": CASE, "effect": reply.id})), Context()) == {
            "batchItemFailures": []
        }
    ours = [post for post in square.posts() if post["username"] == "hailback"]
    assert [(post["raw"].startswith(WORDS), post["topic_id"]) for post in ours] == [(True, 7)]
    assert parts.shop.happened(CASE)[-1] == "replied"


def test_who_reads_the_ticket_is_told_that_answers_go_to_another_place(
    parts: Machine, square: forum.RunningForum, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(square, monkeypatch)
    answered(parts)
    notes = [effect for effect in parts.shop.cases.effects(CASE) if effect.kind is EffectKind.NOTE and effect.mention]
    texts = {
        note.mention: note_draft([note], {note.mention or "": parts.shop.cases.post(note.mention or "")}).text
        for note in notes
    }
    assert "goes there" not in texts[CALL.id]
    assert (
        "In another conversation, which joined this case, at stack/Forum. What is answered from now on goes there"
        in texts[said().id]
    )
    assert texts[said().id].endswith(f"Post: {said().id}")


def test_an_answer_waits_while_the_source_that_it_goes_to_is_held(
    parts: Machine, square: forum.RunningForum, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(square, monkeypatch, held=True)
    reply = answered(parts)
    send_reply.handler(sqs_event(json.dumps({"case": CASE, "effect": reply.id})), Context())
    assert [post for post in square.posts() if post["username"] == "hailback"] == []
    assert "administrators hold stack/Forum" in parts.lines.getvalue()
