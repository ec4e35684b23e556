"""A small world for tests of the plan: connectors with settings, look-ups that are told what to see, requests."""

from __future__ import annotations

from itertools import count
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connectors.core.plan_configure import Machine
from connectors.core.plan_grammar import Catalogue, Grants
from connectors.core.plan_options import Address
from connectors.core.plan_ports import ResourceRequest, Sight

TOPIC = "arn:aws:sns:eu-west-1:123456789012:hailback-care"
GRANTS = Grants("hailback/", "hailback-")
_numbers = count(1)
clock = [1_790_000_000_000]
"""Milliseconds; tests move it on."""


class ForumSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    base_url: str = Field(alias="BaseUrl")
    account: tuple[str, ...] = Field(default=(), alias="Account")

    @field_validator("base_url")
    @classmethod
    def _https(cls, value: str) -> str:
        if not value.startswith("https://"):
            raise ValueError("an address begins with https://")
        return value


class TrackerSettings(BaseModel):
    base_url: str
    batch: int = 10
    strict: bool = False


SOURCES = Catalogue(("forum", "discourse"), lambda name: ForumSettings, pushes=lambda name: True)
SYSTEMS = Catalogue(("tracker", "roundup"), lambda name: TrackerSettings)


class Seen:
    """Look-ups that see everything in order, unless told otherwise; they remember what they were asked."""

    def __init__(self, secret: Sight = Sight.FOUND, topic: Sight = Sight.FOUND, confirmed: int | None = 1) -> None:
        self.answers = (secret, topic, confirmed)
        self.asked: list[str] = []
        self.definitions: dict[str, bytes] = {}

    def secret(self, name: str) -> Sight:
        self.asked.append(name)
        return self.answers[0]

    def topic(self, arn: str) -> tuple[Sight, int | None]:
        self.asked.append(arn)
        return self.answers[1], self.answers[2]

    def definition(self, address: Address) -> tuple[Sight, bytes]:
        self.asked.append(f"{address}?versionId={address.version}")
        body = self.definitions.get(f"{address}?versionId={address.version}")
        return (Sight.MISSING, b"") if body is None else (Sight.FOUND, body)


def machine(store: Any, lookups: Seen | None = None) -> Machine:
    return Machine(
        store=store,
        lookups=lookups or Seen(),
        sources=SOURCES,
        systems=SYSTEMS,
        grants=GRANTS,
        public_url="https://api.example",
        salt="salt",
        sleep=lambda seconds: None,
        definitions="plans/hailback/",
        now=lambda: clock[0],
    )


def stack_id(stack: str = "routes", run: str = "1") -> str:
    return f"arn:aws:cloudformation:eu-west-1:123456789012:stack/{stack}/{run}"


def ask(action: str, kind: str, name: str, properties: dict[str, Any], **more: Any) -> ResourceRequest:
    stack = more.pop("stack", "routes")
    run = more.pop("run", "1")
    return ResourceRequest(
        action=action,
        kind=f"Custom::{kind}",
        request_id=more.pop("request_id", None) or f"request-{next(_numbers)}",
        stack_id=stack_id(stack, run),
        logical_id=name,
        physical_id="" if action == "Create" else f"{stack}/{name}",
        properties={"ServiceToken": "arn:…:function", "ServiceTimeout": "120", **properties},
        old_properties=more.pop("old", {}),
        asked=more.pop("asked", 0),
    )


FORUM: dict[str, Any] = {"Connector": "forum", "Secret": "hailback/forum", "BaseUrl": "https://forum.example"}
TRACKER: dict[str, Any] = {"Connector": "tracker", "Secret": "hailback/tracker", "BaseUrl": "https://tracker.example"}
ROUTE: dict[str, Any] = {"Name": "everything-else", "Case": ["routes/Tracker"], "Notify": [TOPIC]}
PLAN: dict[str, Any] = {"Routes": [ROUTE]}
