"""The store as tests use it: everything that reads or writes the table, and what a user would see of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from connectors.aws.cases import Cases
from connectors.aws.due import Due
from connectors.aws.intake import Intake
from connectors.aws.ledger import TableLedger
from connectors.aws.table import Table, unpack
from connectors.core.case import Case, CaseEvent, Effect
from connectors.core.dispatch import Dispatcher
from connectors.core.identity import case_id, qualify
from connectors.core.ingest import Origin, Taken
from connectors.core.ledger import Pace
from connectors.core.models import Deletion, Mention, Unsupported
from connectors.core.plan import Plan, Route, SystemConfig
from tests.posts import FORUM, ORIGIN, RAW, ticking

TOPIC = "arn:aws:sns:eu-central-1:000000000000:hailback-care"
SYSTEM = "stack/Tracker"
CASE = case_id(qualify("discourse", FORUM, "7"))


class Rung:
    """Bells that remember who was woken. `broken` ones wake nobody."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []

    def ring(self, effects: Iterable[Effect]) -> None:
        self.effects += effects


class Plans:
    """A plan with a catch-all, or none yet."""

    def __init__(self, active: bool = True) -> None:
        system = SystemConfig.of(SYSTEM, "roundup", "hailback/tracker", {})
        self.active: Plan | None = None
        if active:
            self.active = Plan.of((Route(name="all", systems=(SYSTEM,), topics=(TOPIC,)),), {SYSTEM: system})

    def active_plan(self) -> Plan | None:
        return self.active

    def plan(self, version: str) -> Plan | None:
        return self.active if self.active is not None and self.active.version == version else None

    def system(self, name: str) -> SystemConfig | None:
        return self.active.systems.get(name) if self.active is not None else None


class Shop:
    """The store over one table. Waits are not waited out; `now` ticks a millisecond at each look."""

    def __init__(self, client: Any, name: str, *, blobs: Any, clock: Iterator[int] | None = None) -> None:
        ticks = clock or ticking()
        self.client, self.name, self.blobs = client, name, blobs
        self.now = lambda: next(ticks)
        self.table = Table(client, name, sleep=lambda seconds: None)
        self.cases = Cases(self.table, blobs)
        self.ledger = TableLedger(self.table)
        self.due = Due(self.table)
        self.intake = Intake(self.table, blobs, now=self.now, text_days=180, sleep=lambda seconds: None)

    def take_in(self, event: Mention | Deletion | Unsupported, origin: Origin = ORIGIN, raw: bytes = RAW) -> Taken:
        return self.intake.take_in(event, origin, raw)

    def dispatcher(self, bells: Any = None, plans: Any = None) -> Dispatcher:
        return Dispatcher(self.cases, plans or Plans(), bells or Rung(), Pace())

    def dispatch(self, case: str = CASE) -> int:
        events = [event for event in self.timeline(case) if event.due_at]
        return self.dispatcher().dispatch(events, self.now())

    def case(self, case: str = CASE) -> Case | None:
        return self.cases.case(case)

    def timeline(self, case: str = CASE) -> list[CaseEvent]:
        return list(self.cases.timeline(case))

    def happened(self, case: str = CASE) -> list[str]:
        return [event.kind.value for event in self.timeline(case)]

    def words(self, mention: str) -> str | None:
        post = self.cases.post(mention)
        return post.text if post else None

    def rows(self) -> list[dict[str, Any]]:
        """Every item of the table."""
        pages = self.client.get_paginator("scan").paginate(TableName=self.name, ConsistentRead=True)
        return [unpack(item) for page in pages for item in page["Items"]]

    def waiting(self, now: int) -> list[dict[str, Any]]:
        """What `wake_due` would find, in all shards."""
        return [item for shard in range(8) for item in self.due.waiting(shard, now, 1000)]
