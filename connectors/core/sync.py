"""Brings one case into one system of record: the record once, then every post in exactly one note.

Works through ports only. A vendor's failure never leaves `run`: it becomes the state of an effect, with the time at
which to look again. Runs under a lease per case and system, so that whoever runs takes all that is planned, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
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
from connectors.core.errors import ConflictError, RejectedError, RemoteError
from connectors.core.identity import digest
from connectors.core.ledger import Ledger, Next, Pace, claimed, done, doubtful, failed, next_step, to_mend
from connectors.core.ports import RecordSystem, Reference

BATCH = 40
"""Posts in one note; with its members a note must fit into one transaction of the table (100 items)."""
MOST = 1_000
"""Wishes of a refused record that one run ends; the rest is still due."""


class Posts(Protocol):
    """Where a customer's words are read, at the moment they are sent and not before."""

    def post(self, mention: str) -> Post | None: ...


class OutOfTimeError(Exception):
    """Too little of the worker's time is left to send anything; the wake-up should be delivered again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: effects that were carried out, those left for later, and what an administrator has to mend."""

    done: int = 0
    later: int = 0
    to_mend: tuple[str, ...] = field(default=(), compare=False)


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
        try:
            for batch in self._batches(case, system):
                sent = self._tell(case, reference, batch)
                outcome = _add(outcome, sent)
                if not sent.state.final:
                    break
        except ConflictError:  # another worker is at it
            return Outcome(outcome.done, outcome.later + 1)
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
        sent = False
        try:
            found = look_up(held) if step is Next.LOOK_UP else None
            if found is None:
                self._check_time()
                held = self._with_permit(held)
                self._check_time()
                sent = True
                found = write(held)
        except OutOfTimeError:
            self._let_go(held, step)
            raise
        except RemoteError as error:
            gone = held.kind is EffectKind.BATCH and isinstance(error, RejectedError)  # the record was taken away
            if sent or step is Next.SEND or gone:
                after = failed(held, error, self._now(), self._pace, self._system.settle)
            else:  # nothing was written in this attempt; whether an earlier one wrote is as unknown as it was
                after = doubtful(held, error, self._now(), self._pace)
        else:
            after = done(held, self._now(), found[0], found[1] or None)
        finish(held, after)
        return after

    def _claim(self, effect: Effect) -> Effect:
        held = claimed(effect, self._now(), self._pace.lease)
        self._ledger.claim(effect, held)
        return held

    def _let_go(self, held: Effect, step: Next) -> None:
        """Give back what was claimed and not sent: nobody has to wait for the lease."""
        state = EffectState.PLANNED if step is Next.SEND else EffectState.UNKNOWN
        free = held.model_copy(update={"state": state, "lease_until": None, "due_at": self._now()})
        with suppress(ConflictError):
            self._ledger.claim(held, free)

    def _with_permit(self, held: Effect) -> Effect:
        """With a single-use permit, kept *before* it is used, where the system gives such a thing."""
        if held.permit is not None:
            return held
        permit = self._system.reserve("record" if held.kind is EffectKind.RECORD else "note")
        if permit is None:
            return held
        kept = held.model_copy(update={"permit": permit})
        self._ledger.claim(held, kept)
        return kept

    def _batches(self, case: Case, system: str) -> Iterator[Effect]:
        """Notes begun earlier, oldest first, then new ones for the wishes that have none. Lazy: one at a time.

        Wishes are read first: a note that another worker begins meanwhile is then seen, or takes one of these wishes
        and so wins. The other way round, later wishes could overtake it."""
        while True:
            wishes = self._ledger.pending(case.id, f"note#{system}#", BATCH)
            begun = self._ledger.pending(case.id, f"batch#{system}#", 1)
            if begun:
                yield begun[0]
            elif wishes:
                yield self._begin(case, system, wishes)
            else:
                return

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
        for wish in self._ledger.pending(case.id, f"note#{system}#", MOST):
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
    fault = to_mend(effect)
    return Outcome(
        outcome.done + finished,
        outcome.later + (not finished),
        (*outcome.to_mend, fault) if fault else outcome.to_mend,
    )
