"""Brings one case into one system of record: the record once, then every post in exactly one note.

Works through ports only. A vendor's failure never leaves `run`: it becomes the state of an effect, with the time at
which to look again. Runs under a lease per case and system, so that whoever runs takes all that is planned, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from connectors.core.case import (
    Case,
    CaseEvent,
    Effect,
    EffectKind,
    EffectState,
    Happening,
    Record,
    batch_id,
    record_id,
)
from connectors.core.compose import Post, case_draft, note_draft
from connectors.core.errors import ConflictError, RemoteError
from connectors.core.identity import digest
from connectors.core.ledger import Ledger, Next, Pace, claimed, done, doubtful, failed, next_step
from connectors.core.ports import RecordSystem, Reference

BATCH = 40
"""Posts in one note; with its members a note must fit into one transaction of the table (100 items)."""


class Posts(Protocol):
    """Where a customer's words are read, at the moment they are sent and not before."""

    def post(self, mention: str) -> Post | None: ...


class OutOfTimeError(Exception):
    """Too little of the worker's time is left to send anything; the wake-up should be delivered again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: effects that were carried out, and those left for later."""

    done: int = 0
    later: int = 0


class RecordSync:
    """One run for one case and one system.

    `now` gives milliseconds since the epoch; `remaining` the seconds that this worker has left; `need` how many of
    them one call to the system may take.
    """

    def __init__(
        self,
        ledger: Ledger,
        posts: Posts,
        system: RecordSystem,
        pace: Pace,
        *,
        now: Callable[[], int],
        remaining: Callable[[], float],
        need: float,
    ) -> None:
        self._ledger, self._posts, self._system, self._pace = ledger, posts, system, pace
        self._now, self._remaining, self._need = now, remaining, need

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
        if record.state is EffectState.REJECTED:
            return self._refuse_notes(case, system, outcome)
        if record.state is not EffectState.DONE or record.reference is None:
            return outcome
        reference = Reference(record.reference, record.url or "")
        for batch in self._batches(case, system):
            try:
                sent = self._tell(case, reference, batch)
            except ConflictError:
                return Outcome(outcome.done, outcome.later + 1)
            outcome = _add(outcome, sent)
            if not sent.state.final:
                break
        return outcome

    def _open(self, case: Case, effect: Effect) -> Effect:
        def write(held: Effect) -> tuple[str, str]:
            draft = case_draft(case, self._posts.post(case.first_mention))
            reference = self._system.upsert(draft, held.key, held.permit)
            return reference.id, reference.url

        def look_up(held: Effect) -> tuple[str, str] | None:
            found = self._system.find(held.key)
            return (found.id, found.url) if found else None

        def finish(before: Effect, after: Effect) -> None:
            record, kind, detail = None, Happening.DELAYED, {"system": effect.target}
            if after.state is EffectState.DONE:
                record = Record(system=effect.target, id=after.reference or "", url=after.url or "")
                kind, detail = Happening.RECORDED, {**detail, "reference": record.id, "url": record.url}
            else:
                kind = Happening.REFUSED if after.state is EffectState.REJECTED else Happening.DELAYED
                detail["error"] = after.error or ""
            self._ledger.settle([(before, after)], self._event(case, kind, after, detail), record)

        return self._carry_out(effect, write, look_up, finish)

    def _tell(self, case: Case, reference: Reference, effect: Effect) -> Effect:
        def write(held: Effect) -> tuple[str, str]:
            members = self._members(held)
            posts = {name: self._posts.post(name) for name in dict.fromkeys(m.mention or "" for m in members)}
            note = note_draft(members, posts)
            return self._system.add_note(reference, note, held.key, held.permit), ""

        def look_up(held: Effect) -> tuple[str, str] | None:
            found = self._system.find_note(reference, held.key)
            return (found, "") if found else None

        def finish(before: Effect, after: Effect) -> None:
            changes = [(before, after)]
            kind, detail = Happening.DELAYED, {"system": effect.target, "posts": str(len(effect.members))}
            if after.state.final:
                for member in self._members(after):
                    told = member.model_copy(
                        update={"state": after.state, "reference": after.reference, "done_at": after.done_at},
                    )
                    changes.append((member, told))
                kind = Happening.NOTED if after.state is EffectState.DONE else Happening.REFUSED
            if after.error:
                detail["error"] = after.error
            else:
                detail["note"] = after.reference or ""
            self._ledger.settle(changes, self._event(case, kind, after, detail))

        return self._carry_out(effect, write, look_up, finish)

    def _carry_out(
        self,
        effect: Effect,
        write: Callable[[Effect], tuple[str, str]],
        look_up: Callable[[Effect], tuple[str, str] | None],
        finish: Callable[[Effect, Effect], None],
    ) -> Effect:
        """Take an effect through one attempt. Raises ConflictError when another worker has it."""
        step = next_step(effect, self._now(), self._system.settle)
        if step is Next.WAIT:
            return effect
        self._check_time()
        held = self._claim(effect)
        if not held.permit and (permit := self._permit(held, finish)) is not None:
            if permit.state is not EffectState.CLAIMED:
                return permit
            held = permit
        if step is Next.LOOK_UP:
            try:
                found = look_up(held)
            except RemoteError as error:
                after = doubtful(held, error, self._now(), self._pace)
                finish(held, after)
                return after
            if found is not None:
                return self._finished(held, found, finish)
        self._check_time()
        try:
            result = write(held)
        except RemoteError as error:
            after = failed(held, error, self._now(), self._pace, self._system.settle)
            finish(held, after)
            return after
        return self._finished(held, result, finish)

    def _claim(self, effect: Effect) -> Effect:
        held = claimed(effect, self._now(), self._pace.lease)
        self._ledger.claim(effect, held)
        return held

    def _permit(self, held: Effect, finish: Callable[[Effect, Effect], None]) -> Effect | None:
        """Fetch a single-use permit and keep it *before* it is used; None where the system gives none."""
        kind = "record" if held.kind is EffectKind.RECORD else "note"
        try:
            permit = self._system.reserve(kind)
        except RemoteError as error:
            # Nothing was written in this attempt; whether an earlier one wrote is as unknown as it was.
            judge = doubtful if held.attempt > 1 else failed
            after = judge(held, error, self._now(), self._pace)
            finish(held, after)
            return after
        if permit is None:
            return None
        kept = held.model_copy(update={"permit": permit})
        self._ledger.claim(held, kept)
        return kept

    def _finished(self, held: Effect, result: tuple[str, str], finish: Callable[[Effect, Effect], None]) -> Effect:
        after = done(held, self._now(), result[0], result[1] or None)
        finish(held, after)
        return after

    def _batches(self, case: Case, system: str) -> Iterator[Effect]:
        """Notes begun earlier, oldest first, then new ones for the wishes that have none. Lazy: one at a time."""
        yield from self._ledger.pending(case.id, f"batch#{system}#", BATCH)
        while True:
            wishes = [
                wish
                for wish in self._ledger.pending(case.id, f"note#{system}#", BATCH)
                if wish.state is EffectState.PLANNED
            ][:BATCH]
            if not wishes:
                return
            yield self._begin(case, system, wishes)

    def _begin(self, case: Case, system: str, wishes: Sequence[Effect]) -> Effect:
        name = batch_id(system, tuple(wish.id for wish in wishes))
        now = self._now()
        batch = Effect(
            case=case.id,
            id=name,
            kind=EffectKind.BATCH,
            target=system,
            planned_at=now,
            due_at=now + int(self._pace.doorbell * 1000),
            members=tuple(wish.id for wish in wishes),
        )
        held = [
            (wish, wish.model_copy(update={"state": EffectState.CLAIMED, "batch": name, "due_at": None}))
            for wish in wishes
        ]
        self._ledger.batch(batch, held)
        return batch

    def _members(self, batch: Effect) -> list[Effect]:
        members = (self._ledger.effect(batch.case, name) for name in batch.members)
        return [member for member in members if member is not None]

    def _refuse_notes(self, case: Case, system: str, outcome: Outcome) -> Outcome:
        """A record that its system refused gets no notes: their wishes end with it, visibly."""
        for wish in self._ledger.pending(case.id, f"note#{system}#", BATCH):
            ended = wish.model_copy(
                update={
                    "state": EffectState.REJECTED,
                    "due_at": None,
                    "done_at": self._now(),
                    "error": "the record was refused",
                },
            )
            try:
                self._ledger.settle([(wish, ended)])
            except ConflictError:
                continue
        return outcome

    def _event(self, case: Case, kind: Happening, effect: Effect, detail: dict[str, str]) -> CaseEvent:
        return CaseEvent(
            case=case.id,
            id=digest(effect.id, str(effect.attempt), kind),
            kind=kind,
            at=self._now(),
            detail=detail,
        )

    def _check_time(self) -> None:
        if self._remaining() < self._need:
            raise OutOfTimeError


def _add(outcome: Outcome, effect: Effect) -> Outcome:
    finished = effect.state in {EffectState.DONE, EffectState.REJECTED}
    return Outcome(outcome.done + finished, outcome.later + (not finished))
