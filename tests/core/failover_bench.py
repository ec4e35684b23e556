"""One case, several systems of record, their people, the queue and the sweep, all on one clock."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from connectors.core.breaker import Breaker, Gate, Watch
from connectors.core.case import Case, CaseEvent, Effect, EffectKind, EffectState, Happening, record_id
from connectors.core.compose import UpdateWords
from connectors.core.dispatch import MOST, Dispatcher
from connectors.core.errors import ConflictError, RemoteError, SpentPermitError, UnavailableError
from connectors.core.facts import Facts
from connectors.core.failover import rank
from connectors.core.ledger import Pace
from connectors.core.models import RecordStatus
from connectors.core.plan import Plan, Route, SystemConfig
from connectors.core.ports import CaseDraft, NoteDraft, Reference
from connectors.core.sync import OutOfTimeError, RecordSync
from tests.core.sync_bench import CASE, WORKER
from tests.doubles import Clock, MemoryLedger, Shelf, Tracker, Words

A, B, C = "stack/Primary", "stack/Standby", "stack/Third"
PACE = Pace(doorbell=60, lease=65, backoff=15, longest=900, trip=3, open=30, open_longest=150)
TIERS = ("permit", "key", "neither")


class Died(BaseException):
    """The worker's process is gone."""


@dataclass
class Desk(Tracker):
    """A system of record of any tier. `lag`: seconds until `find` shows what was written; `down`: it refuses all."""

    name: str = ""
    keyed: bool = False
    lag: float = 0.0
    down: bool = False
    status: RecordStatus = "open"
    born: dict[str, float] = field(default_factory=dict)

    def url(self, number: int) -> str:
        return f"https://{self.name.rpartition('/')[2].lower()}.example/issue{number}"

    def upsert(self, case: CaseDraft, key: str, permit: str | None) -> Reference:
        if not (self.keyed and self._place(self.records, key)):
            self.born.setdefault(f"record {key}", self.clock.seconds)
            super().upsert(case, key, permit)
        else:
            self._after(self._before("upsert"))
        number = self._place(self.records, key)
        return Reference(f"issue{number}", self.url(number))

    def find(self, key: str) -> Reference | None:
        self._before("find")
        number = self._place(self.records, key)
        return Reference(f"issue{number}", self.url(number)) if number and self._shown(f"record {key}") else None

    def add_note(self, reference: Reference, note: NoteDraft, key: str, permit: str | None) -> str:
        if not (self.keyed and self._place(self.notes, key)):
            self.born.setdefault(f"note {key}", self.clock.seconds)
            return super().add_note(reference, note, key, permit)
        self._after(self._before("add_note"))
        return f"msg{self._place(self.notes, key)}"

    def find_note(self, reference: Reference, key: str) -> str | None:
        found = super().find_note(reference, key)
        return found if self._shown(f"note {key}") else None

    def set_status(self, reference: Reference, status: RecordStatus) -> None:
        after = self._before("set_status")
        self.status = status
        self._after(after)

    def _shown(self, name: str) -> bool:
        return self.clock.seconds >= self.born.get(name, 0.0) + self.lag

    def _place(self, rows: Sequence[tuple[str, object]], key: str) -> int:
        return next((number for number, (kept, _) in enumerate(rows, 1) if kept == key), 0)

    def _before(self, operation: str) -> Exception | None:
        if self.down:
            self.calls.append(operation)
            raise UnavailableError(f"{self.name}: refused")
        return super()._before(operation)

    def told(self, what: str) -> list[str]:
        """The values of lines `what: …` in all notes, in order."""
        return [line for _, text in self.notes for line in re.findall(rf"^{what}: (.*)$", text, re.MULTILINE)]

    def saying(self, words: str) -> int:
        return sum(words in text for _, text in self.notes)


def routed(case: Case) -> tuple[object, ...]:
    """What the table looks at before it writes where a case goes."""
    return case.plan_version, case.route, case.engaged, case.retired, case.gather_until


class Rows:
    """Breakers in memory, with the table's condition."""

    def __init__(self) -> None:
        self.kept: dict[str, Breaker] = {}

    def breaker(self, system: str) -> Breaker:
        return self.kept.get(system, Breaker(system=system))

    def save(self, before: Breaker, after: Breaker) -> None:
        if self.breaker(after.system).rev != before.rev:
            raise ConflictError
        self.kept[after.system] = after


class World:
    """Store, plans, bells and words in one; `faulty` is called around each write of the store."""

    def __init__(self, *systems: str, tiers: Sequence[str] = ("key", "key", "key"), after: float = 120.0) -> None:
        self.clock, self.ledger, self.rows, self.posts = Clock(), MemoryLedger(), Rows(), Words()
        self.pace = PACE
        self.desks = {name: self._desk(name, tier) for name, tier in zip(systems, tiers, strict=False)}
        route = Route(name="all", systems=systems, topics=(), fail_over_after=after)
        configs = {name: SystemConfig.of(name, "roundup", "hailback/x", {}) for name in systems}
        self.plan_in_force = Plan.of((route,), configs)
        self.ledger.meta = CASE.model_copy(update={"plan_version": None, "systems": (), "topics": ()})
        self.queue: list[str] = []
        self.due: dict[str, int] = {}
        self.written: dict[str, tuple[str, Happening]] = {}
        self.said = 0
        self.lose: Callable[[], bool] = lambda: False

    def _desk(self, name: str, tier: str) -> Desk:
        desk = Desk(self.clock, name=name, spent=SpentPermitError, permits=tier == "permit", keyed=tier == "key")
        if tier == "neither":
            desk.settle = desk.lag = 20.0
        return desk

    @property
    def meta(self) -> Case:
        assert self.ledger.meta is not None
        return self.ledger.meta

    # ---- what happens outside

    def _event(self, kind: Happening, **more: Any) -> CaseEvent:
        self.clock.advance(0.01)
        due = self.clock.now() + 60_000
        event = CaseEvent(case=CASE.id, id=f"e{len(self.ledger.events)}", kind=kind, at=self.clock.now(), **more)
        event = event.model_copy(update={"due_at": due})
        self.ledger.events.append(event)
        return event

    def say(self) -> None:
        self.said += 1
        self._event(Happening.SAID if self.said > 1 else Happening.OPENED, mention=f"post:{self.said}", version=1)

    def write(self, system: str, kind: Happening, status: RecordStatus | None = None) -> str | None:
        """People work on a system's record, if it is known to have one and is not closed."""
        line = self.ledger.effects.get(record_id(system))
        if line is None or line.state is not EffectState.DONE or system in self.meta.retired:
            return None
        name = f"{system}:{len(self.written)}"
        self.written[name] = (system, kind)
        detail = {"system": system, "update": name}
        if status is not None:
            detail["status"] = status
            self.desks[system].status = status
        self._event(kind, detail=detail)
        return name

    # ---- the store, the plans, the bells, the words of updates

    def case(self, case: str) -> Case | None:
        return self.ledger.meta

    def timeline(self, case: str) -> Iterator[CaseEvent]:
        yield from list(self.ledger.events)

    def known(self, effects: Sequence[Effect]) -> set[str]:
        return {effect.id for effect in effects if effect.id in self.ledger.effects}

    def asked(self, case: str, until: int) -> str | None:
        return None

    def place(self, case: Case, mention: str) -> str:
        return case.source

    def undispatched(self, events: Sequence[CaseEvent]) -> list[CaseEvent]:
        waiting = {event.id for event in self.ledger.events if event.due_at is not None}
        return [event for event in events if event.id in waiting]

    def facts(self, case: Case, mention: str, person: bool) -> Facts | None:
        return {}

    def plan(
        self,
        case: Case,
        events: Sequence[CaseEvent],
        effects: Sequence[Effect],
        said: Sequence[CaseEvent] = (),
        before: Case | None = None,
    ) -> None:
        assert len(events) + len(effects) + len(said) + 1 <= 100, "more than a transaction takes"
        self.ledger.before_write()
        if len(self.undispatched(events)) < len(events) or self.known(effects):
            raise ConflictError
        gone = {event.id for event in events}
        self.ledger.events[:] = [
            event.model_copy(update={"due_at": None}) if event.id in gone else event for event in self.ledger.events
        ]
        self.ledger.effects.update({effect.id: effect for effect in effects})
        self.ledger.events += said
        if before is not None:
            if routed(before) != routed(self.meta):
                raise ConflictError
            self.ledger.meta = case.model_copy(update={"record": self.meta.record, "state": self.meta.state})
        self.ledger.after_write()

    def postpone(self, event: CaseEvent, until: int) -> None:
        raise AssertionError("there is a plan")

    def ring(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if effect.kind not in {EffectKind.NOTIFY, EffectKind.REPLY} and not self.lose():
                self.queue.append(effect.target)

    def words(self, update_id: str) -> UpdateWords | None:
        return UpdateWords("@nina", f"words of {update_id}", None, self.written[update_id][0], None)

    # ---- the machine

    def dispatch(self, events: Sequence[CaseEvent]) -> None:
        with suppress(Died, ConflictError):
            Dispatcher(self, Shelf(self.plan_in_force), self, self.pace).dispatch(events[:MOST], self.clock.now())

    def work(self, system: str) -> None:
        born, now = self.clock.seconds, self.clock.now
        run = RecordSync(
            self.ledger,
            self.posts,
            self.desks[system],
            self.pace,
            now=now,
            remaining=lambda: born + WORKER - self.clock.seconds,
            need=5.0,
            gate=Gate(self.rows, system, self.pace, now),
            updates=self,
            bells=self,
        )
        with suppress(Died, OutOfTimeError):
            run.run(self.meta, system)

    def sweep(self) -> None:
        """What `wake_due` does."""
        now, watch = self.clock.now(), Watch(self.rows, self.pace, 4)
        self.dispatch([event for event in self.ledger.events if event.due_at is not None and event.due_at <= now])
        for effect in list(self.ledger.effects.values()):
            if effect.state.final or effect.due_at is None or effect.due_at > now:
                continue
            wake, again = watch.judge(effect, now)
            self.ledger.effects[effect.id] = effect.model_copy(update={"due_at": again})
            if wake:
                self.ring([effect])

    def deliver(self, dice: random.Random | None = None) -> None:
        """One message of the queue, in any order, perhaps twice."""
        if self.queue:
            place = dice.randrange(len(self.queue)) if dice else 0
            system = self.queue[place] if dice and dice.random() < 0.2 else self.queue.pop(place)
            self.work(system)

    def pending(self) -> list[Effect]:
        outside = {EffectKind.NOTIFY, EffectKind.REPLY}
        return [line for line in self.ledger.effects.values() if not line.state.final and line.kind not in outside]

    def undone(self) -> list[CaseEvent]:
        return [event for event in self.ledger.events if event.due_at is not None]

    def minute(self) -> None:
        """The sweep's next minute, and everything that is woken by it."""
        self.clock.advance(60)
        self.sweep()
        while self.queue:
            self.deliver()

    def settle(self, minutes: int = 120) -> int:
        """Minutes until nothing is left to do."""
        for passed in range(minutes):
            if not self.pending() and not self.undone() and not self.queue:
                return passed
            self.minute()
        return minutes

    def fault(self, system: str, error: RemoteError | tuple[str, RemoteError] | None, *operations: str) -> None:
        self.desks[system].fault = lambda operation: error if not operations or operation in operations else None

    def settled(self) -> None:
        """What has to be true once every system is back and nothing is left to do."""
        assert [line.id for line in self.pending()] == []
        assert self.undone() == []
        first = self.meta.systems[0]
        live = self.meta.record
        assert live is not None
        assert (live.system, self.meta.engaged) == (first, (first,))
        assert all(len(desk.records) <= 1 for desk in self.desks.values()), "one record a system"
        primary = self.desks[first]
        assert sorted(primary.told("Post"), key=lambda post: int(post.split(":")[1])) == [
            f"post:{number}" for number in range(1, self.said + 1)
        ]
        elsewhere = sorted(
            name for name, (where, kind) in self.written.items() if where != first and kind is not Happening.MOVED
        )
        assert sorted(primary.told("Update")) == elsewhere, "what people wrote in stand-bys, once each"
        for name, desk in self.desks.items():
            if name == first:
                continue
            assert all(desk.told(word).count(one) == 1 for word in ("Post", "Update") for one in desk.told(word))
            if desk.records:
                assert name in self.meta.retired
                # With three systems it may have been linked to the second, which was linked to the first later.
                earlier = [
                    other for other in self.desks.values() if rank(self.meta, other.name) < rank(self.meta, name)
                ]
                assert desk.status == "solved"
                assert sum(desk.saying(f"is handled in {other.url(1)} ") for other in earlier) == 1
                assert primary.saying(f"kept while this system did not answer: {desk.url(1)}") == 1
        done = [line for line in self.ledger.effects.values() if line.kind is EffectKind.RECORD and line.reference]
        assert all(self.ledger.led_back[line.target, line.reference or ""] == CASE.id for line in done)
