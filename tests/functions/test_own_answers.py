"""A post of our own in a case: a person's answer is told as one, the echo of ours is waited for and told once."""

from __future__ import annotations

import json
from typing import Any

import ingest_event
import pytest

from connectors.aws.cases import effect_item
from connectors.aws.inbox import SqsInbox, of_events
from connectors.core.case import Effect, EffectKind, EffectState
from connectors.core.unanswered import waits_since
from tests.functions.test_polled_sources import DONE
from tests.functions.test_workers import Context, Machine, machine, sqs_event
from tests.posts import FORUM, said
from tests.store.shop import CASE, SYSTEM

__all__ = ["machine"]
SOURCE = "stack/Forum"
NOW = 1_795_000_000_000
REPLY = Effect(case=CASE, id="reply#1", kind=EffectKind.REPLY, target=SOURCE, state=EffectState.CLAIMED, planned_at=NOW)


class World:
    def __init__(self, machine: Machine, put_back: list[tuple[dict[str, Any], int]]) -> None:
        self.machine, self.shop, self.put_back = machine, machine.shop, put_back

    def hear(self, *mentions: Any) -> None:
        body = f"[{','.join(one.model_dump_json() for one in mentions)}]"
        self.take_in(of_events(SOURCE, "discourse", body, NOW, fetched=True))

    def take_in(self, message: dict[str, Any]) -> None:
        assert ingest_event.handler(sqs_event(json.dumps(message)), Context()) == DONE

    def reply(self, **more: Any) -> None:
        self.shop.table.put(effect_item(REPLY.model_copy(update=more)))

    def later(self) -> int:
        """What was put back comes again: after how many seconds."""
        (message, delay) = self.put_back.pop(0)
        self.take_in(message)
        return delay


@pytest.fixture
def world(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> World:
    put_back: list[tuple[dict[str, Any], int]] = []
    monkeypatch.setattr(SqsInbox, "put", lambda self, message, delay=0: put_back.append((message, delay)))
    return World(machine, put_back)


def ours(post: int = 2) -> Any:
    return said(post, own=True, text="Turn the valve.")


def test_an_echo_that_is_faster_than_its_receipt_is_no_persons_answer(world: World) -> None:
    world.hear(said())
    world.reply()
    world.hear(ours())
    assert world.shop.happened() == ["opened"]
    world.reply(state=EffectState.DONE, reference="2")
    assert world.later() == ingest_event.AGAIN[0]
    assert (world.shop.happened(), world.put_back) == (["opened"], [])
    meta, _ = world.shop.cases.mention(f"discourse:{FORUM}:2")
    assert meta is not None
    assert meta["answer"] == REPLY.id
    assert "polled_first" not in meta, "it came by the webhook, and is not held against it"


def test_what_stays_unclear_is_taken_for_a_persons_in_the_end_and_never_lost(world: World) -> None:
    world.hear(said())
    world.reply(state=EffectState.UNKNOWN)
    world.hear(ours())
    waits = [world.later() for _ in ingest_event.AGAIN]
    assert waits == list(ingest_event.AGAIN)
    assert world.put_back == []
    assert world.shop.happened() == ["opened", "answered there"]


def test_a_persons_answer_is_on_the_timeline_at_once_and_in_the_record_as_what_it_is(world: World) -> None:
    world.hear(said())
    world.reply(state=EffectState.PARKED)
    world.hear(ours())
    assert world.shop.happened() == ["opened", "answered there"]
    assert waits_since(world.shop.timeline()) is None
    world.shop.dispatch()
    assert {effect.happening for effect in notes(world)} == {"opened", "answered there"}
    assert len(notes(world)) == 2
    assert noted(world).endswith(f"Post: discourse:{FORUM}:2")
    assert "@ada (Ada Quill) (our own account) answered at the source on 2026-11-20" in noted(world)


def notes(world: World) -> list[Effect]:
    found = world.shop.cases.effects(CASE)
    return [effect for effect in found if effect.kind is EffectKind.NOTE and effect.target == SYSTEM]


def noted(world: World) -> str:
    """What the record is told."""
    from connectors.core.compose import note_draft

    posts = {effect.mention or "": world.shop.cases.post(effect.mention or "") for effect in notes(world)}
    return note_draft(sorted(notes(world), key=lambda one: one.planned_at), posts).text
