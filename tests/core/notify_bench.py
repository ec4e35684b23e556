"""One notification, its topics and workers on one clock, for the tests of telling people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from connectors.core.case import Case, CaseEvent, Effect, EffectKind, EffectState, Happening, notify_id
from connectors.core.errors import RemoteError
from connectors.core.ledger import Pace, look_again
from connectors.core.notify import Notifier
from tests.core.sync_bench import CASE as PLAIN
from tests.doubles import Clock, MemoryLedger, Words

CARE = "arn:aws:sns:eu-central-1:000000000000:hailback-care"
DESK = "arn:aws:sns:eu-central-1:000000000000:hailback-desk"
FAR = "arn:aws:sns:eu-west-1:000000000000:hailback-standby"
CASE = PLAIN.model_copy(update={"topics": (CARE, DESK, FAR), "route": "all"})
PACE = Pace(doorbell=60, lease=35, backoff=15, longest=900)
WORKER = 30.0
"""Seconds that a worker lives; less than the lease."""


@dataclass
class Audience:
    """SNS. `fault` is asked at each call what goes wrong with a topic: an exception, ("after", exception) once the
    message went out, or None. `deaf` are the topics that nobody is subscribed to."""

    fault: Callable[[str], Any] = lambda topic: None
    deaf: set[str] = field(default_factory=set)
    sent: list[tuple[str, str]] = field(default_factory=list)
    """Topic and notification id of all that went out to somebody, whatever its sender learnt of it."""

    def publish(self, topic: str, subject: str, message: Any, attributes: Any) -> str:
        trouble = self.fault(topic)
        if isinstance(trouble, Exception):
            raise trouble
        if topic not in self.deaf:
            self.sent.append((topic, attributes["notification_id"]))
        if isinstance(trouble, tuple):
            raise trouble[1]
        return f"id-{len(self.sent)}"

    def heard(self, topic: str) -> bool | None:
        return topic not in self.deaf


@dataclass
class Letters:
    """The dead-letter queue."""

    kept: list[tuple[str, str]] = field(default_factory=list)
    faults: list[RemoteError] = field(default_factory=list)

    def keep(self, case: str, effect: str, why: str) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.kept.append((effect, why))


class Bench:
    """`topics` in route order; the first one's line is planned, as dispatching does."""

    def __init__(self, *topics: str, rounds: int = 3) -> None:
        self.case: Case = CASE.model_copy(update={"topics": topics or CASE.topics})
        self.clock, self.ledger, self.audience, self.letters = Clock(), MemoryLedger(), Audience(), Letters()
        self.rounds = rounds
        self.first = notify_id(self.case.topics[0], Happening.OPENED)
        self.ledger.plan(
            Effect(
                case=self.case.id,
                id=self.first,
                kind=EffectKind.NOTIFY,
                target=self.case.topics[0],
                planned_at=self.clock.now(),
                due_at=self.clock.now(),
            )
        )

    def run(self, effect: str | None = None, *, again: bool = False, seconds: float = WORKER) -> list[Effect]:
        ends = self.clock.seconds + seconds
        notifier = Notifier(self.ledger, Words(), self.audience, self.letters, PACE, self.clock.now, rounds=self.rounds)
        return notifier.run(self.case, effect or self.first, again=again, remaining=lambda: ends - self.clock.seconds)

    def fail(self, **errors: Exception | tuple[str, Exception]) -> None:
        """What goes wrong with CARE, DESK, FAR from now on; nothing with those that are not named."""
        names = {CARE: "care", DESK: "desk", FAR: "far"}
        self.audience.fault = lambda topic: errors.get(names[topic])

    def states(self) -> list[EffectState | None]:
        """Of each topic's line, in order."""
        known = (self.ledger.effects.get(notify_id(topic, Happening.OPENED)) for topic in self.case.topics)
        return [line.state if line else None for line in known]

    def turns(self) -> list[Effect]:
        return [line for line in self.ledger.effects.values() if not line.state.final and line.due_at is not None]

    def told(self) -> list[str]:
        return [topic for topic, _ in self.audience.sent]

    def story(self) -> list[Happening]:
        return [event.kind for event in self.ledger.events]

    def last(self) -> CaseEvent:
        return self.ledger.events[-1]

    def later(self) -> list[str]:
        """Until the next thing is due; put off, as `wake_due` does; whom that wakes."""
        due = min((line.due_at for line in self.turns() if line.due_at), default=self.clock.now())
        self.clock.advance(max(0.0, due / 1000 - self.clock.seconds) + 0.5)
        now = self.clock.now()
        woken = [line for line in self.turns() if line.due_at and line.due_at <= now]
        for line in woken:
            self.ledger.effects[line.id] = line.model_copy(update={"due_at": look_again(line, now, PACE)})
        return [line.id for line in woken]
