"""Brings one case into one system of record: the record once, then every post in exactly one note.

Works through ports only. A vendor's failure never leaves `run`: it becomes the state of an effect, with the time at
which to look again; where the route has another system, that one is asked in time. Runs under the ledger's claims per
case and system, so that whoever runs takes all that is planned, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from connectors.core import failover
from connectors.core.breaker import Gate, NoBreakers
from connectors.core.carry import Carrier, OutOfTimeError
from connectors.core.case import (
    Case,
    CaseEvent,
    Effect,
    EffectKind,
    EffectState,
    Happening,
    Record,
    close_id,
    record_id,
    retire_id,
)
from connectors.core.compose import case_draft
from connectors.core.errors import ConflictError
from connectors.core.identity import digest
from connectors.core.ledger import Pace, ended, to_mend
from connectors.core.models import RecordStatus
from connectors.core.notes import Nobody, NoteLedger, Notes, Posts, Updates, carried_on, closed_for_good, gone
from connectors.core.ports import RecordSystem, Reference, note_bytes

__all__ = ["BATCH", "MOST", "OutOfTimeError", "Outcome", "Posts", "RecordSync", "Updates"]

BATCH = 40
"""Posts in one note; with its members a note must fit into one transaction of the table (100 items)."""
MOST = 1_000
"""Wishes that one run ends because there is no record, or no more; the rest is still due."""
_TRIES = 5
_STATUSES: dict[str, RecordStatus] = {"open": "open", "pending": "pending", "solved": "solved"}


class Bells(Protocol):
    """Wakes workers; see `connectors.core.dispatch.Bells`."""

    def ring(self, effects: Iterable[Effect]) -> None: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: effects that were carried out, those left for later, and what an administrator has to mend: what
    waits for that, and what was refused for good."""

    done: int = 0
    later: int = 0
    to_mend: tuple[str, ...] = field(default=(), compare=False)


class RecordSync:
    """One run for one case and one system. The times are those of a `Carrier`."""

    def __init__(
        self,
        ledger: NoteLedger,
        posts: Posts,
        system: RecordSystem,
        pace: Pace,
        *,
        now: Callable[[], int],
        remaining: Callable[[], float],
        need: float,
        gate: Gate | None = None,
        updates: Updates | None = None,
        bells: Bells | None = None,
    ) -> None:
        self._ledger, self._posts, self._system, self._pace, self._now = ledger, posts, system, pace, now
        self._bells = bells or Nobody()
        self._notes = Notes(ledger, posts, updates or Nobody(), pace, note_bytes(system))
        self._gate = gate or Gate(NoBreakers(), "", pace, now)
        self._carrier = Carrier(ledger, system, pace, self._gate, now=now, remaining=remaining, need=need)

    def run(self, case: Case, system: str) -> Outcome:
        """Carry out what is planned for this case in this system. Raises OutOfTimeError, never a vendor's error."""
        record = self._ledger.effect(case.id, record_id(system))
        if record is None:
            return Outcome()
        outcome = Outcome()
        if not record.state.final:
            try:
                record = self._open(case, record)
            except ConflictError:
                return Outcome(later=1)
            outcome = _add(outcome, record)
        if record.state is not EffectState.DONE or record.reference is None:
            self._without_record(case, record)
            return outcome
        # Read again: it may have been retired while its record was made.
        case = self._ledger.case(case.id) or case
        try:
            for effect in self._retired(case, record) if system in case.retired else self._wanted(case, system):
                sent = self._carry(case, record, effect)
                outcome = _add(outcome, sent)
                if not sent.state.final:
                    break
        except ConflictError:  # another worker is at it
            return Outcome(outcome.done, outcome.later + 1)
        return outcome

    # ---- the record

    def _open(self, case: Case, effect: Effect) -> Effect:
        unset: list[str] = []

        def write(held: Effect) -> tuple[str, str]:
            draft = case_draft(case, self._posts.post(case.first_mention), held.follows)
            reference = self._system.upsert(draft, held.key, held.permit)
            unset[:] = reference.unset
            return reference.id, reference.url

        def look_up(held: Effect) -> tuple[str, str] | None:
            found = self._system.find(held.key)
            return (found.id, found.url) if found else None

        def finish(before: Effect, after: Effect) -> None:
            detail = {"system": effect.target}
            if after.state is EffectState.DONE:
                record = Record(system=effect.target, id=after.reference or "", url=after.url or "")
                detail |= {"reference": record.id, "url": record.url}
                self._take(case, before, after, record, detail | ({"unset": ", ".join(unset)} if unset else {}))
                return
            latest = failover.deadline(case, after)
            if latest is not None and after.due_at is not None:
                after = after.model_copy(update={"due_at": min(after.due_at, latest)})
            if after.state is EffectState.SUPERSEDED:  # that the case was handed back stands on its timeline
                self._ledger.settle([(before, after)])
                return
            kind = Happening.REFUSED if after.state is EffectState.REJECTED else Happening.DELAYED
            self._ledger.settle([(before, after)], self._event(kind, after, {**detail, "error": after.error or ""}))

        held = effect.model_copy(update={"first_refused_at": effect.first_refused_at or self._now()})
        return self._carrier.carry_out(
            effect,
            write,
            look_up,
            finish,
            deadline=failover.deadline(case, held),
            withdraw=effect.target in case.retired,
        )

    def _take(self, case: Case, before: Effect, after: Effect, record: Record, detail: dict[str, str]) -> None:
        """Settle a record that is there, and who holds the case then, whoever else changes that meanwhile."""
        event = self._event(Happening.RECORDED, after, detail)
        for attempt in range(_TRIES):
            fresh = self._ledger.case(case.id) or case
            shift = failover.taken(fresh, record, self._now(), self._pace)
            try:
                self._ledger.settle([(before, after)], event, record, shift)
            except ConflictError:
                now = self._ledger.effect(case.id, before.id)
                if attempt == _TRIES - 1 or not now or (now.attempt, now.state) != (before.attempt, before.state):
                    raise
            else:
                self._bells.ring(shift.planned)
                return

    def _without_record(self, case: Case, record: Effect) -> None:
        """There is no record, or not yet: what hangs on it ends with it, or the next system is asked."""
        system = record.target
        if record.state is EffectState.REJECTED:
            for kind in ("note", "batch", "status"):  # a note was begun where this one follows another record
                self._end(case, f"{kind}#{system}#", EffectState.REJECTED, "the record was refused")
        if record.state in {EffectState.REJECTED, EffectState.SUPERSEDED} and system in case.retired:
            for prefix in (f"note#{system}#", f"batch#{system}#", f"status#{system}#", retire_id(system)):
                self._end(case, prefix, EffectState.SUPERSEDED, "there is no record to tell", of=system)
        for _ in range(_TRIES):
            fresh, line = self._ledger.case(case.id), self._ledger.effect(case.id, record.id)
            if fresh is None or line is None or not self._must_move_on(fresh, line):
                return
            shift = failover.moved_on(fresh, line, self._now(), self._pace)
            if shift is None:
                return
            # The line is written as it is: that makes sure that nobody has it done meanwhile.
            held = line.model_copy(update={"held": not self._gate.closed})
            with suppress(ConflictError):
                self._ledger.settle([(line, held)], shift=shift)
                self._bells.ring(shift.planned)
                return

    def _must_move_on(self, case: Case, line: Effect) -> bool:
        return failover.must_move_on(case, line, self._now(), closed=self._gate.closed)

    def _end(self, case: Case, prefix: str, state: EffectState, why: str, spare: str = "", of: str = "") -> None:
        """End what nobody holds, visibly."""
        for wish in self._ledger.pending(case.id, prefix, MOST):
            if wish.id == spare or (of and wish.target != of):
                continue
            if wish.state is EffectState.CLAIMED and self._now() < (wish.lease_until or 0):
                continue
            with suppress(ConflictError):
                doubt = wish.state in {EffectState.UNKNOWN, EffectState.CLAIMED}
                over = ended(wish, state, self._now(), why).model_copy(update={"doubt": wish.doubt or doubt})
                self._ledger.settle([(wish, over), *self._notes.told(over)])

    # ---- what hangs on it

    def _wanted(self, case: Case, system: str) -> Iterator[Effect]:
        """Notes begun earlier, oldest first, then new ones for the wishes that have none, then the newest status.
        Lazy: one at a time.

        Wishes are read first: a note that another worker begins meanwhile is then seen, or takes one of these wishes
        and so wins. The other way round, later wishes could overtake it."""
        while True:
            wishes = self._ripe(case, system)
            begun = self._ledger.pending(case.id, f"batch#{system}#", 1)
            if begun:
                yield begun[0]
            elif wishes:
                yield self._notes.begin(case, system, wishes, self._now())
            else:
                break
        status = self._newest_status(case, system)
        if status is not None:
            yield status

    def _ripe(self, case: Case, system: str) -> list[Effect]:
        """The oldest wishes to be told, or none while all that there are wait to be gathered: see `Route.coalesce`.
        One that does not wait takes those with it that came before."""
        now = self._now()
        wishes = self._ledger.pending(case.id, f"note#{system}#", BATCH)
        if all(now < (wish.retry_at or 0) for wish in wishes) and len(wishes) == BATCH:
            wishes = self._ledger.pending(case.id, f"note#{system}#", MOST)
        return wishes[:BATCH] if any(now >= (wish.retry_at or 0) for wish in wishes) else []

    def _newest_status(self, case: Case, system: str) -> Effect | None:
        """The last of the changes, where it was not made here; those before it are of no interest any more."""
        moves = self._ledger.lines(case.id, f"status#{system}#")
        for old in moves[:-1]:
            if not old.state.final:
                with suppress(ConflictError):
                    over = ended(old, EffectState.SUPERSEDED, self._now(), "a later change of status overtook it")
                    self._ledger.settle([(old, over)])
        return moves[-1] if moves and not moves[-1].state.final else None

    def _retired(self, case: Case, record: Effect) -> Iterator[Effect]:
        """A stand-by's record is told nothing more but where the live one is; that one is told of it."""
        system = record.target
        # Of all of them: one that retired earlier may have been linked to one that has retired since.
        for name in case.retired:
            other = self._ledger.effect(case.id, record_id(name))
            if other is None or other.state is not EffectState.DONE:
                continue
            link = failover.cross_link(case, other, self._now(), self._pace)
            if link is not None and self._ledger.plan(link):
                self._bells.ring([link])
        for prefix in ("note", "batch", "status"):
            self._end(case, f"{prefix}#{system}#", EffectState.SUPERSEDED, "handed back", spare=close_id(system))
        for name in (retire_id(system), close_id(system)):
            effect = self._ledger.effect(case.id, name)
            if effect is not None and not effect.state.final:
                yield effect

    def _carry(self, case: Case, record: Effect, effect: Effect) -> Effect:
        reference = Reference(record.reference or "", record.url or "")

        def finish(before: Effect, after: Effect) -> Effect:
            if after.state is EffectState.REJECTED and (other := self._refused(case, record, before, after)):
                return other
            if effect.kind is EffectKind.BATCH and after.state is EffectState.DONE:
                after = after.model_copy(update={"generation": record.generation})
            kinds = {EffectState.DONE: Happening.NOTED, EffectState.REJECTED: Happening.REFUSED}
            changes = [(before, after), *self._notes.told(after)]
            kind = kinds.get(after.state, Happening.DELAYED)
            self._ledger.settle(changes, self._event(kind, after, _detail(after)))
            return after

        if effect.kind is EffectKind.STATUS:
            status = _STATUSES[effect.status or "open"]

            def move(_: Effect) -> tuple[str, str]:
                self._system.set_status(reference, status)
                return status, ""

            return self._carrier.carry_out(effect, move, lambda _: None, finish)

        def write(held: Effect) -> tuple[str, str]:
            return self._system.add_note(reference, self._notes.draft(case, held), held.key, held.permit), ""

        def look_up(held: Effect) -> tuple[str, str] | None:
            find = getattr(self._system, "find_note_since", None)  # see `connectors.core.ports.Dated`
            found = find(reference, held.key, held.planned_at) if find else self._system.find_note(reference, held.key)
            return (found, "") if found else None

        return self._carrier.carry_out(effect, write, look_up, finish)

    def _refused(self, case: Case, record: Effect, before: Effect, after: Effect) -> Effect | None:
        """Settle what is refused and need not end with that; the effect then, None where it does."""
        if closed_for_good(after):
            if record.target in case.retired or not self._notes.asks_for_somebody(after):
                over = after.model_copy(update={"state": EffectState.SUPERSEDED})
                changes = [(before, over), *self._notes.told(over)]
                self._ledger.settle(changes, self._event(Happening.REFUSED, after, _detail(after)))
                return over
            now = self._now()
            following = carried_on(record, now, self._pace)
            change = {"state": EffectState.PLANNED, "lease_until": None, "due_at": following.due_at}
            waiting = before.model_copy(update=change)
            detail = {"system": record.target, "reference": record.reference or "", "url": record.url or ""}
            event = self._event(Happening.FOLLOWED_UP, after, detail)
            self._ledger.settle([(record, following), (before, waiting)], event)
            self._bells.ring([following])
            return waiting
        if after.kind is EffectKind.BATCH and len(after.members) > 1 and not gone(after):
            event = self._event(Happening.DELAYED, after, _detail(after))
            return self._notes.split(before, after, self._now(), event)
        return None

    def _event(self, kind: Happening, effect: Effect, detail: dict[str, str]) -> CaseEvent:
        return CaseEvent(
            case=effect.case,
            id=digest(effect.id, str(effect.attempt), kind),
            kind=kind,
            at=self._now(),
            detail=detail,
        )


def _detail(effect: Effect) -> dict[str, str]:
    """What the timeline says of something upon a record."""
    detail = {"system": effect.target}
    if effect.kind is EffectKind.BATCH:
        detail["posts"] = str(len(effect.members))
    elif effect.kind is EffectKind.STATUS:
        detail["status"] = effect.status or ""
    return detail | ({"error": effect.error} if effect.error else {"note": effect.reference or ""})


def _add(outcome: Outcome, effect: Effect) -> Outcome:
    """With what became of one more. A refusal is for an administrator: nothing tries it again by itself."""
    finished = effect.state in {EffectState.DONE, EffectState.REJECTED}
    fault = effect.error if effect.state is EffectState.REJECTED else to_mend(effect)
    return Outcome(
        outcome.done + finished,
        outcome.later + (not finished),
        (*outcome.to_mend, fault) if fault else outcome.to_mend,
    )
