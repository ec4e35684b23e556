"""Thousands of cases on one clock: their ledgers, the queue, the sweep, and workers in threads that run the real core.

Every wake-up is delivered twice, some not at all; workers die before and after what they write. Which ones is drawn
from the seed. The clock moves with each request, and by the minute when nobody has anything to do.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from connectors.core.breaker import Breaker, Gate, Watch
from connectors.core.case import (
    SHARDS,
    Case,
    CaseEvent,
    Effect,
    EffectKind,
    EffectState,
    Happening,
    Record,
    record_id,
    shard,
)
from connectors.core.compose import Post, UpdateWords
from connectors.core.dispatch import Dispatcher
from connectors.core.errors import ConflictError
from connectors.core.facts import Facts
from connectors.core.ledger import Pace, Shift
from connectors.core.models import RecordStatus
from connectors.core.plan import Plan, Route, SystemConfig
from connectors.core.ports import RecordSystem
from connectors.core.sync import OutOfTimeError, RecordSync
from tests.doubles import Clock, MemoryLedger, Shelf
from tests.tiers.site import chance

PACE = Pace()
WORKERS = 4
"""As many as the machine has for one system, unless the administrator says otherwise."""
WORKER = 60.0
"""Seconds that a worker lives; less than the lease."""
_FRONT = 64
"""From how far in front the queue's next message may come."""


class Died(BaseException):
    """The worker's process is gone."""


class SharedClock(Clock):
    """A clock that several threads move."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def advance(self, seconds: float) -> None:
        with self._lock:
            self.seconds += seconds


class Rows:
    """Breakers, with the table's condition. `opened` counts."""

    def __init__(self) -> None:
        self.kept: dict[str, Breaker] = {}
        self.opened: Counter[str] = Counter()
        self._lock = threading.Lock()

    def breaker(self, system: str) -> Breaker:
        return self.kept.get(system, Breaker(system=system))

    def save(self, before: Breaker, after: Breaker) -> None:
        with self._lock:
            if self.breaker(after.system).rev != before.rev:
                raise ConflictError
            self.kept[after.system] = after
            self.opened[after.system] += after.opened > before.opened


@dataclass
class Cell:
    """One case: its ledger, what was said, and what people wrote: update → system, kind, status."""

    name: str
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    lock: threading.RLock = field(default_factory=threading.RLock)
    said: int = 0
    written: dict[str, tuple[str, Happening, str | None]] = field(default_factory=dict)
    due: set[str] = field(default_factory=set)
    """Events that are not dispatched."""

    @property
    def meta(self) -> Case:
        assert self.ledger.meta is not None
        return self.ledger.meta

    def line(self, system: str) -> Effect | None:
        return self.ledger.effects.get(record_id(system))

    @property
    def unfinished(self) -> list[Effect]:
        """What workers of systems still have to do; a duplicate's line is for `reconcile` alone."""
        lines = [line for line in self.ledger.effects.values() if not line.state.final]
        return [line for line in lines if line.kind is not EffectKind.REPLY and not line.id.startswith("twin#")]

    def posts(self) -> list[str]:
        return [f"{self.name}:{number}" for number in range(1, self.said + 1)]


class Book:
    """The ledger of all cases: `connectors.core.ledger.Ledger`, each case under its own lock."""

    def __init__(self, cells: Mapping[str, Cell]) -> None:
        self._cells = cells

    def case(self, case: str) -> Case | None:
        return self._cells[case].ledger.meta

    def effect(self, case: str, effect_id: str) -> Effect | None:
        return self._cells[case].ledger.effects.get(effect_id)

    def lines(self, case: str, prefix: str) -> list[Effect]:
        with self._cells[case].lock:
            return self._cells[case].ledger.lines(case, prefix)

    def pending(self, case: str, prefix: str, limit: int) -> list[Effect]:
        with self._cells[case].lock:
            return self._cells[case].ledger.pending(case, prefix, limit)

    def plan(self, effect: Effect) -> bool:
        with self._cells[effect.case].lock:
            return self._cells[effect.case].ledger.plan(effect)

    def claim(self, before: Effect, after: Effect) -> None:
        with self._cells[before.case].lock:
            self._cells[before.case].ledger.claim(before, after)

    def batch(self, batch: Effect, members: Sequence[tuple[Effect, Effect]]) -> None:
        with self._cells[batch.case].lock:
            self._cells[batch.case].ledger.batch(batch, members)

    def hand_on(
        self, changes: Sequence[tuple[Effect, Effect]], planned: Sequence[Effect], event: CaseEvent | None = None
    ) -> None:
        cell = self._cells[changes[0][0].case]
        with cell.lock:
            cell.ledger.hand_on(changes, planned, event)

    def settle(
        self,
        changes: Sequence[tuple[Effect, Effect]],
        event: CaseEvent | None = None,
        record: Record | None = None,
        shift: Shift | None = None,
    ) -> None:
        cell = self._cells[changes[0][0].case if changes else event.case if event else ""]
        with cell.lock:
            before = len(cell.ledger.events)
            try:
                cell.ledger.settle(changes, event, record, shift)
            finally:  # what was written is written, also where its worker dies of it
                if record is not None and shift is None and len(cell.ledger.events) > before:
                    cell.ledger.meta = cell.meta.model_copy(update={"record": record})
                cell.due |= {new.id for new in cell.ledger.events[before:] if new.due_at is not None}


class Fleet:
    """All cases of one route over `systems`. Store, plans, bells and words in one."""

    def __init__(self, systems: Mapping[str, RecordSystem], clock: SharedClock, seed: int) -> None:
        self.systems, self.clock, self.seed = systems, clock, seed
        self.cells: dict[str, Cell] = {}
        self.open: set[str] = set()
        self.book, self.rows = Book(self.cells), Rows()
        self.queue: list[tuple[str, str]] = []
        self.counts: Counter[str] = Counter()
        self.deaths, self.lost = 0.02, 0.05
        self._mutex = threading.Lock()
        self._dice = random.Random(seed)
        self._swept = clock.seconds
        route = Route(name="all", systems=tuple(systems), topics=())
        self._plan = Plan.of((route,), {name: SystemConfig.of(name, "none", "hailback/x", {}) for name in systems})
        self._pool = ThreadPoolExecutor(WORKERS)

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    # ---- what happens outside

    def arrive(self) -> Cell:
        """A new case, with its first post."""
        cell = Cell(f"case-{len(self.cells) + 1}")
        cell.ledger.before_write = cell.ledger.after_write = self._mortal(cell)
        cell.ledger.meta = Case(
            id=cell.name,
            conversation=f"discourse:forum:{cell.name}",
            connector="discourse",
            source="stack/Forum",
            first_mention=f"{cell.name}:1",
            opened_at=self.clock.now(),
            updated_at="2026-11-20T10:00:00Z",
        )
        self.cells[cell.name] = cell
        self.say(cell)
        return cell

    def say(self, cell: Cell) -> None:
        cell.said += 1
        kind = Happening.SAID if cell.said > 1 else Happening.OPENED
        self._happen(cell, kind, mention=cell.posts()[-1], version=1)

    def write(self, cell: Cell, system: str, kind: Happening, status: RecordStatus | None = None) -> None:
        """People work on a system's record."""
        name = f"{system}/{cell.name}/{len(cell.written)}"
        cell.written[name] = (system, kind, status)
        detail = {"system": system, "update": name} | ({"status": status} if status else {})
        self._happen(cell, kind, detail=detail)

    def _happen(self, cell: Cell, kind: Happening, **more: object) -> None:
        now = self.clock.now()
        with cell.lock:
            event = CaseEvent.model_validate(
                {"case": cell.name, "id": f"e{len(cell.ledger.events)}", "kind": kind, "at": now, **more}
            ).model_copy(update={"due_at": now + 60_000})
            cell.ledger.events.append(event)
            cell.due.add(event.id)
        self.open.add(cell.name)
        if chance(self.seed, "stream", cell.name, event.id) >= self.lost:  # else the sweep finds it
            Dispatcher(self, Shelf(self._plan), self, PACE).dispatch([event], self.clock.now())

    def _mortal(self, cell: Cell) -> Callable[[], None]:
        writes = 0

        def die() -> None:
            nonlocal writes
            writes += 1
            if chance(self.seed, "death", cell.name, writes) < self.deaths:
                self.counts["deaths"] += 1
                raise Died

        return die

    # ---- the store, the plans, the bells, the words

    def case(self, case: str) -> Case | None:
        return self.cells[case].ledger.meta

    def timeline(self, case: str) -> Iterator[CaseEvent]:
        yield from list(self.cells[case].ledger.events)

    def known(self, effects: Sequence[Effect]) -> set[str]:
        return {effect.id for effect in effects if effect.id in self.cells[effect.case].ledger.effects}

    def asked(self, case: str, until: int) -> str | None:
        return None

    def place(self, case: Case, mention: str) -> str:
        return case.source

    def undispatched(self, events: Sequence[CaseEvent]) -> list[CaseEvent]:
        return [event for event in events if event.id in self.cells[event.case].due]

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
        cell = self.cells[case.id]
        with cell.lock:
            if len(self.undispatched(events)) < len(events) or self.known(effects):
                raise ConflictError
            cell.due -= {event.id for event in events}
            cell.ledger.effects.update({effect.id: effect for effect in effects})
            cell.ledger.events += said
            if before is not None and not cell.meta.routed:
                cell.ledger.meta = case

    def postpone(self, event: CaseEvent, until: int) -> None:
        raise AssertionError("there is a plan")

    def ring(self, effects: Iterable[Effect]) -> None:
        """Each wake-up arrives twice, unless it is lost."""
        with self._mutex:
            for effect in effects:
                if effect.kind is not EffectKind.REPLY and self._dice.random() >= self.lost:
                    self.queue += [(effect.case, effect.target)] * 2

    def words(self, update_id: str) -> UpdateWords | None:
        return UpdateWords("@nina", f"words of {update_id}", None, update_id.rpartition("/case-")[0], None)

    def post(self, mention: str) -> Post | None:
        """As it is edited all the time: a title is seldom the same twice, and neither are the bytes of a request."""
        title = f"{mention} as of {self.clock.seconds // 40:.0f}"
        return Post(mention, 1, "@ada", title, f"text of {mention}", f"https://forum.nimbus.example/{mention}", None)

    # ---- the machine

    def work(self, case: str, system: str) -> None:
        """What `sync_record` does with one wake-up; then the stream brings the case's new lines to `dispatch_case`."""
        born, now = self.clock.seconds, self.clock.now
        self.clock.advance(0.02 / WORKERS)
        run = RecordSync(
            self.book,
            self,
            self.systems[system],
            PACE,
            now=now,
            remaining=lambda: born + WORKER - self.clock.seconds,
            need=5.0,
            gate=Gate(self.rows, system, PACE, now),
            updates=self,
            bells=self,
        )
        cell = self.cells[case]
        with suppress(Died):
            try:
                run.run(cell.meta, system)
            except OutOfTimeError:
                self.counts["out of time"] += 1
                self.ring([line] if (line := cell.line(system)) else [])
        if cell.due:
            self._dispatch(cell, now())

    def _dispatch(self, cell: Cell, now: int, overdue: bool = False) -> None:
        events = [event for event in list(cell.ledger.events) if event.id in cell.due]
        waiting = [event for event in events if not overdue or (event.due_at or 0) <= now]
        if waiting:
            with suppress(ConflictError):
                Dispatcher(self, Shelf(self._plan), self, PACE).dispatch(waiting, now)

    def sweep(self) -> None:
        """What `wake_due` does each minute, for all shards."""
        now = self.clock.now()
        watches = [Watch(self.rows, PACE, WORKERS) for _ in range(SHARDS)]
        for cell in [self.cells[name] for name in sorted(self.open)]:
            self._dispatch(cell, now, overdue=True)
            wake = []
            with cell.lock:
                left = cell.unfinished
                for effect in left:
                    if effect.due_at is not None and effect.due_at <= now:
                        waken, again = watches[shard(cell.name)].judge(effect, now)
                        cell.ledger.effects[effect.id] = effect.model_copy(update={"due_at": again})
                        wake += [effect] if waken else []
            self.ring(wake)
            if not left and not cell.due:
                self.open.discard(cell.name)
        self._swept = now / 1000

    def minute(self) -> None:
        """Work until the next sweep, and sweep. Workers who have nothing to do wait for it."""
        until = self._swept + 60.0
        for worker in [self._pool.submit(self._drain, until) for _ in range(WORKERS)]:
            worker.result()
        self.clock.advance(max(0.0, until - self.clock.seconds))
        self.sweep()

    def _drain(self, until: float) -> None:
        while self.clock.seconds < until:
            with self._mutex:
                if not self.queue:
                    return
                message = self.queue.pop(self._dice.randrange(min(_FRONT, len(self.queue))))
                self.counts["wake-ups"] += 1
            self.work(*message)

    def settle(self, most: int, each: Callable[[], None] = lambda: None) -> int:
        """Minutes until nothing is left to do. `each` is called after each of them."""
        for passed in range(most):
            if not self.open and not self.queue:
                return passed
            self.minute()
            each()
        raise AssertionError(f"after {most} minutes {len(self.open)} cases are not settled: {sorted(self.open)[:5]}")

    def states(self) -> Counter[EffectState]:
        return Counter(line.state for cell in self.cells.values() for line in cell.ledger.effects.values())
