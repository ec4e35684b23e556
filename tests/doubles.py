"""Doubles that keep state: a bucket, a clock, a ledger and a system of record that fails as real ones do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import BaseModel

from connectors.core.case import Case, CaseEvent, Effect, Record
from connectors.core.compose import Post
from connectors.core.errors import ConflictError, RemoteError
from connectors.core.ledger import Shift
from connectors.core.plan import Plan, SystemConfig
from connectors.core.ports import CaseDraft, NoteDraft, Reference, Tier


@dataclass
class Clock:
    """Time that passes only when told to, in seconds; `now` gives milliseconds."""

    seconds: float = 1_795_000_000.0

    def now(self) -> int:
        return int(self.seconds * 1000)

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class MemoryBlobs:
    """A bucket. `failing` makes the next calls of an operation raise."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.failing: dict[str, int] = {}

    def put(self, key: str, packed: bytes) -> None:
        self._fail("put")
        self.kept[key] = packed

    def find(self, key: str) -> bytes | None:
        self._fail("get")
        return self.kept.get(key)

    def get(self, key: str) -> bytes:
        self._fail("get")
        return self.kept[key]

    def delete(self, key: str) -> None:
        self._fail("delete")
        self.kept.pop(key, None)

    def _fail(self, operation: str) -> None:
        if self.failing.get(operation, 0) > 0:
            self.failing[operation] -= 1
            raise OSError("the bucket does not answer")


class MemoryLedger:
    """`connectors.core.ledger.Ledger` in memory, with the table's conditions. `lost` is asked before each write
    whether its answer gets lost after it was carried out."""

    def __init__(self) -> None:
        self.effects: dict[str, Effect] = {}
        self.events: list[CaseEvent] = []
        self.record: Record | None = None
        self.meta: Case | None = None
        self.led_back: dict[tuple[str, str], str] = {}
        self.before_write: Callable[[], None] = lambda: None
        self.after_write: Callable[[], None] = lambda: None

    def plan(self, *effects: Effect) -> bool:
        new = [effect for effect in effects if effect.id not in self.effects]
        self.effects.update({effect.id: effect for effect in new})
        return bool(new)

    def case(self, case: str) -> Case | None:
        return self.meta

    def lines(self, case: str, prefix: str) -> list[Effect]:
        found = [effect for effect in self.effects.values() if effect.id.startswith(prefix)]
        return sorted(found, key=lambda effect: (effect.planned_at, effect.id))

    def effect(self, case: str, effect_id: str) -> Effect | None:
        return self.effects.get(effect_id)

    def pending(self, case: str, prefix: str, limit: int) -> list[Effect]:
        found = [
            effect
            for effect in self.effects.values()
            if effect.id.startswith(prefix) and not effect.state.final and effect.batch is None
        ]
        return sorted(found, key=lambda effect: (effect.planned_at, effect.id))[:limit]

    def claim(self, before: Effect, after: Effect) -> None:
        self._write([(before, after)])

    def settle(
        self,
        changes: Sequence[tuple[Effect, Effect]],
        event: CaseEvent | None = None,
        record: Record | None = None,
        shift: Shift | None = None,
    ) -> None:
        def also() -> None:
            if event is not None:
                self.events.append(event)
                if record is not None:
                    self.led_back[record.system, record.id] = event.case
                    self.record = record if shift is None else shift.after.record
            if shift is not None:
                self._shift(shift)

        self._write(changes, also=also, shift=shift)

    def _shift(self, shift: Shift) -> None:
        self.events += shift.events
        self.effects.update({new.id: new for new in shift.planned})
        if self.meta is not None:
            after = shift.after
            held = {"engaged": after.engaged, "retired": after.retired, "record": after.record}
            self.meta = self.meta.model_copy(update=held)

    def hand_on(
        self, changes: Sequence[tuple[Effect, Effect]], planned: Sequence[Effect], event: CaseEvent | None = None
    ) -> None:
        if any(new.id in self.effects for new in planned):
            raise ConflictError

        def also() -> None:
            self.effects.update({new.id: new for new in planned})
            if event is not None:
                self.events.append(event)

        self._write(changes, also=also)

    def batch(self, batch: Effect, members: Sequence[tuple[Effect, Effect]]) -> None:
        if batch.id in self.effects:
            raise ConflictError
        self._write(members, also=lambda: self.effects.update({batch.id: batch}))

    def _write(
        self,
        changes: Sequence[tuple[Effect, Effect]],
        also: Callable[[], None] = lambda: None,
        shift: Shift | None = None,
    ) -> None:
        self.before_write()
        if len(changes) + 2 + (1 + len(shift.events) + len(shift.planned) if shift else 0) > 100:
            raise AssertionError("more than a transaction takes")
        if shift is not None:
            was, now = shift.before, self.meta or shift.before
            if (was.engaged, was.retired, was.record) != (now.engaged, now.retired, now.record):
                raise ConflictError
            if any(new.id in self.effects for new in shift.planned):
                raise ConflictError
        for before, _ in changes:
            known = self.effects[before.id]
            if (known.attempt, known.state) != (before.attempt, before.state):
                raise ConflictError
        for _, after in changes:
            self.effects[after.id] = after
        also()
        self.after_write()


@dataclass
class Words:
    """What posts say. A post that is None was removed."""

    posts: dict[str, str | None] = field(default_factory=dict)
    calls: int = 0

    def post(self, mention: str) -> Post | None:
        self.calls += 1
        text = self.posts.get(mention, f"text of {mention}")
        return Post(mention, 1, "@ada", None, text, f"https://forum.nimbus.example/{mention}", None)


@dataclass
class Tracker:
    """A system of record. `fault` is asked at each call, with the operation's name, what goes wrong:

    an exception is raised before anything happens; ("after", exception) once the write is committed; None for nothing.
    `permits` makes it ask for single-use permits, as Roundup does; `honour` says how long one is valid, in seconds.
    """

    clock: Clock
    fault: Callable[[str], Any] = lambda operation: None
    permits: bool = False
    honour: float = 3600.0
    dawdle: Callable[[str], None] = lambda operation: None
    records: list[tuple[str, CaseDraft]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    given: dict[str, float] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    settle: float = 0.0
    tier: ClassVar[Tier] = Tier.NONE
    settings_model: ClassVar[type[BaseModel]] = BaseModel
    credentials_model: ClassVar[type[BaseModel]] = BaseModel
    spent: type[RemoteError] = RemoteError

    def reserve(self, kind: str) -> str | None:
        self._before("reserve")
        if not self.permits:
            return None
        permit = f"{kind}-{len(self.given)}"
        self.given[permit] = self.clock.seconds + self.honour
        return permit

    def upsert(self, case: CaseDraft, key: str, permit: str | None) -> Reference:
        after = self._before("upsert")
        self._use(permit)
        self.records.append((key, case))
        self._after(after)
        return Reference(f"issue{len(self.records)}", "https://tracker.example/issue")

    def find(self, key: str) -> Reference | None:
        self._before("find")
        found = [number for number, (kept, _) in enumerate(self.records, 1) if kept == key]
        return Reference(f"issue{found[0]}", "https://tracker.example/issue") if found else None

    def add_note(self, reference: Reference, note: NoteDraft, key: str, permit: str | None) -> str:
        after = self._before("add_note")
        self._use(permit)
        self.notes.append((key, note.text))
        self._after(after)
        return f"msg{len(self.notes)}"

    def find_note(self, reference: Reference, key: str) -> str | None:
        self._before("find_note")
        found = [number for number, (kept, _) in enumerate(self.notes, 1) if kept == key]
        return f"msg{found[0]}" if found else None

    def _use(self, permit: str | None) -> None:
        if not self.permits:
            return
        if permit is None or self.given.get(permit, 0.0) <= self.clock.seconds:
            raise self.spent("the permit is not honoured")
        self.given[permit] = 0.0

    def _before(self, operation: str) -> Exception | None:
        self.calls.append(operation)
        self.dawdle(operation)
        match self.fault(operation):
            case ("after", Exception() as late):
                return late
            case Exception() as error:
                raise error
        return None

    def _after(self, late: Exception | None) -> None:
        if late is not None:
            raise late


class Shelf:
    """Plans: the last one is in force. `gone`: systems that were deleted."""

    def __init__(self, *plans: Plan) -> None:
        self.plans, self.gone = list(plans), set[str]()

    def active_plan(self) -> Plan | None:
        return self.plans[-1] if self.plans else None

    def plan(self, version: str) -> Plan | None:
        return next((plan for plan in self.plans if plan.version == version), None)

    def system(self, name: str) -> SystemConfig | None:
        known = (plan.systems[name] for plan in self.plans if name in plan.systems)
        return None if name in self.gone else next(known, None)
