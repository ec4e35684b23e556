"""A machine over moto, handlers and all, with plans that are really deployed: for effects that are off, and holds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import notify_people
import poll_source
import pytest
import send_reply
import sync_record
from moto import mock_aws

from connectors.aws.blobs import Blobs
from connectors.aws.config import ConfigStore
from connectors.aws.systems import Systems
from connectors.aws.topics import SnsTopics
from connectors.core.case import Effect, EffectKind
from connectors.core.identity import case_id, qualify
from connectors.core.plan_configure import configure
from connectors.core.plan_grammar import Catalogue
from connectors.core.plan_ports import Outcome
from tests.core import plan_world
from tests.core.plan_world import FORUM, ROUTE, TRACKER, ForumSettings, ask, machine
from tests.doubles import Clock, Tracker
from tests.functions.test_workers import Context, sqs_event
from tests.posts import FORUM as PLACE
from tests.posts import said
from tests.store.shop import CASE, Shop
from tests.template import table_request

STACK = "stack"
SYSTEM, TOPIC = "stack/Tracker", plan_world.TOPIC
ROUTES = {"Routes": [{**ROUTE, "Case": [SYSTEM]}]}
OFF = {**ROUTES, "Effects": "off"}
HANDLERS = (sync_record, notify_people, send_reply, poll_source)
WHAT = [f"record for {SYSTEM}", f"note for {SYSTEM}", f"notify for {TOPIC}"]
MINUTE = 61_000
OTHER = case_id(qualify("discourse", PLACE, "8"))


class World:
    """A machine with a plan that was really deployed, a tracker, and people who listen. Time goes on when told to."""

    def __init__(self, client: Any) -> None:
        self.time = int(time.time() * 1000)
        self.shop = Shop(client, "table", blobs=Blobs(lambda: boto3.client("s3"), "bucket"), clock=self._ticks())
        self.config = ConfigStore(client, "table", ttl=0)
        self.tracker, self.told = Tracker(Clock()), list[str]()

    def _ticks(self) -> Iterator[int]:
        while True:
            yield self.now()

    def now(self) -> int:
        self.time += 1
        return self.time

    def deploy(
        self, kind: str, name: str, properties: dict[str, Any], old: dict[str, Any] | None = None, **more: Any
    ) -> Outcome:
        plan_world.clock[0] = self.now()
        action = more.pop("action", "Create" if old is None else "Update")
        request = ask(action, kind, name, properties, stack=more.pop("stack", STACK), old=old or {})
        made = replace(machine(self.config), sources=Catalogue(("forum",), lambda _: ForumSettings, lambda _: True))
        outcome = configure(request, made)
        assert outcome.ok, outcome.findings
        for module in HANDLERS:
            module._adapters.cache_clear()  # a worker sees it after 15 seconds
        return outcome

    def hear(self, post: int = 1) -> None:
        """Somebody says something, and all that follows is done that may be."""
        self.shop.take_in(said(post, order=post))
        self.route()

    def route(self, case: str = CASE) -> None:
        """What waits on a case is dispatched and carried out."""
        for _ in range(2):  # a system that joins is told of what was before by an event of its own
            waiting = [event for event in self.shop.timeline(case) if event.due_at]
            self.shop.dispatcher(plans=self.config).dispatch(waiting, self.now())
            self.work(case=case)

    def work(self, later: int = MINUTE, case: str = CASE) -> None:
        """The workers are woken for what is open, twice."""
        for _ in range(2):
            self.time += later
            for effect in self.effects(case):
                if effect.state.final:
                    continue
                body = json.dumps({"case": effect.case, "effect": effect.id, "system": effect.target})
                handler = {EffectKind.NOTIFY: notify_people, EffectKind.REPLY: send_reply}.get(effect.kind, sync_record)
                answer = handler.handler(sqs_event(body), Context())  # type: ignore[arg-type]
                assert answer == {"batchItemFailures": []}

    def say(self, topic: str) -> str:
        self.told.append(topic)
        return "sent"

    def effects(self, case: str = CASE) -> list[Effect]:
        return self.shop.cases.effects(case)

    def states(self) -> dict[str, set[tuple[str, str | None]]]:
        found: dict[str, set[tuple[str, str | None]]] = {}
        for effect in self.effects():
            found.setdefault(effect.kind.value, set()).add((effect.state.value, effect.error))
        return found


def worlds(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """One such machine over moto; the body of a fixture."""
    with mock_aws():
        client, sqs = boto3.client("dynamodb"), boto3.client("sqs")
        client.create_table(**table_request("table"))
        boto3.client("s3").create_bucket(
            Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        monkeypatch.setenv("TABLE_NAME", "table")
        monkeypatch.setenv("BUCKET_NAME", "bucket")
        for name in ("inbox", "notify", "reply", "poll", "undelivered"):
            monkeypatch.setenv(f"{name.upper()}_QUEUE_URL", sqs.create_queue(QueueName=name)["QueueUrl"])
        sync = sqs.create_queue(QueueName="sync.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        monkeypatch.setenv("SYNC_QUEUE_URL", sync)
        world = World(client)
        monkeypatch.setattr(Systems, "system", lambda self, name, ends: world.tracker)
        monkeypatch.setattr(SnsTopics, "publish", lambda self, topic, *_: world.say(topic))
        monkeypatch.setattr(SnsTopics, "heard", lambda self, topic: True)
        for module in HANDLERS:
            monkeypatch.setattr(module, "_now", world.now)
            module._adapters.cache_clear()
        yield world
        for module in HANDLERS:
            module._adapters.cache_clear()


def deploy(world: World, plan: dict[str, Any] = ROUTES) -> None:
    world.deploy("Source", "Forum", FORUM)
    world.deploy("System", "Tracker", TRACKER)
    world.deploy("Plan", "Plan", plan)
