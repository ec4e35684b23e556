"""One case, its ledger, its system of record and workers on one clock, for the tests of syncing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.core.case import (
    Case,
    Effect,
    EffectKind,
    Happening,
    note_id,
    record_id,
)
from connectors.core.errors import (
    SpentPermitError,
)
from connectors.core.ledger import Pace, look_again
from connectors.core.sync import Outcome, RecordSync
from tests.doubles import Clock, MemoryLedger, Tracker, Words

CASE = Case(
    id="case-1",
    conversation="discourse:forum:7",
    connector="discourse",
    source="stack/Forum",
    first_mention="post:1",
    opened_at=1_795_000_000_000,
    updated_at="2026-11-20T10:00:00Z",
    plan_version="p",
    systems=("stack/Tracker",),
)
SYSTEM = "stack/Tracker"
PACE = Pace(doorbell=60, lease=65, backoff=15, longest=900)
WORKER = 60.0
"""Seconds that a worker lives; less than the lease."""


@dataclass
class Bench:
    """One case's ledger, its system of record, and workers on one clock."""

    clock: Clock = field(default_factory=Clock)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    words: Words = field(default_factory=Words)

    def __post_init__(self) -> None:
        self.tracker = Tracker(self.clock, spent=SpentPermitError)
        self.ledger.plan(
            Effect(
                case=CASE.id,
                id=record_id(SYSTEM),
                kind=EffectKind.RECORD,
                target=SYSTEM,
                planned_at=self.clock.now(),
                due_at=self.clock.now(),
            )
        )

    def say(self, *posts: int, happening: Happening = Happening.SAID, version: int = 1) -> None:
        for post in posts:
            mention = f"post:{post}"
            self.ledger.plan(
                Effect(
                    case=CASE.id,
                    id=note_id(SYSTEM, mention, happening, version),
                    kind=EffectKind.NOTE,
                    target=SYSTEM,
                    planned_at=self.clock.now() + len(self.ledger.effects),
                    due_at=self.clock.now(),
                    mention=mention,
                    version=version,
                    happening=happening,
                )
            )

    def run(self, remaining: Callable[[], float] | None = None) -> Outcome:
        born = self.clock.seconds
        return RecordSync(
            self.ledger,
            self.words,
            self.tracker,
            PACE,
            now=self.clock.now,
            remaining=remaining or (lambda: born + WORKER - self.clock.seconds),
            need=5.0,
        ).run(CASE, SYSTEM)

    @property
    def record(self) -> Effect:
        return self.ledger.effects[record_id(SYSTEM)]

    def told(self) -> list[str]:
        """The posts that notes bring, in the order in which they came."""
        return [post for _, text in self.tracker.notes for post in re.findall(r"^Post: (.*)$", text, re.MULTILINE)]

    def unfinished(self) -> list[Effect]:
        return [effect for effect in self.ledger.effects.values() if not effect.state.final]

    def later(self) -> None:
        """Until the next thing is due; it is put off as `wake_due` does before it wakes the worker."""
        due = min((e.due_at for e in self.unfinished() if e.due_at), default=self.clock.now())
        self.clock.advance(max(0.0, due / 1000 - self.clock.seconds) + 0.5)
        now = self.clock.now()
        for effect in self.unfinished():
            if effect.due_at and effect.due_at <= now:
                moved = effect.model_copy(update={"due_at": look_again(effect, now, PACE)})
                self.ledger.effects[effect.id] = moved

    def finish(self) -> None:
        """Sweep and work until nothing is left to do."""
        for _ in range(80):
            if not self.unfinished():
                return
            self.later()
            self.run()
