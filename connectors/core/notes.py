"""One note for several wishes: begun, put into words, ended; what becomes of it where its record refuses it.

A refused note is halved until the post is found that is refused, so that the others are told. A record that is closed
for good is followed by a new one, where there is something to do for somebody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from connectors.core.case import Case, CaseEvent, Effect, EffectKind, EffectState, Happening, batch_id, reply_id
from connectors.core.compose import Post, UpdateWords, fitting, note_draft, retirement_note
from connectors.core.ledger import Ledger, Pace
from connectors.core.ports import NoteDraft

__all__ = ["NoteLedger", "Notes", "Posts", "Updates", "carried_on", "closed_for_good", "gone"]


class Posts(Protocol):
    """Where a customer's words are read, at the moment they are sent and not before."""

    def post(self, mention: str) -> Post | None: ...


class Updates(Protocol):
    """Where the words are read that people wrote on records."""

    def words(self, update_id: str) -> UpdateWords | None: ...


class NoteLedger(Ledger, Protocol):
    """The ledger, with what hands work on."""

    def hand_on(
        self, changes: Sequence[tuple[Effect, Effect]], planned: Sequence[Effect], event: CaseEvent | None = None
    ) -> None:
        """Replace effects and plan new ones in one transaction. Raises ConflictError when another did either."""
        ...


def closed_for_good(effect: Effect) -> bool:
    """Whether its record, as the system said last, is closed and takes nothing more."""
    return (effect.error or "").startswith("RecordClosed:")


def gone(effect: Effect) -> bool:
    """Whether its record is not there any more, or closed: not about what was sent."""
    return closed_for_good(effect) or (effect.error or "").startswith("RecordGone:")


def carried_on(record: Effect, now: int, pace: Pace) -> Effect:
    """The line of a record that is closed for good, for the one that follows it: another key, the same name."""
    return Effect(
        case=record.case,
        id=record.id,
        kind=record.kind,
        target=record.target,
        attempt=record.attempt,
        planned_at=now,
        due_at=now + int(pace.doorbell * 1000),
        generation=record.generation + 1,
        follows=record.reference,
    )


class Notes:
    """The notes of one run. `most`: bytes of UTF-8 that one of the system's notes holds."""

    def __init__(self, ledger: NoteLedger, posts: Posts, updates: Updates, pace: Pace, most: int) -> None:
        self._ledger, self._posts, self._updates, self._pace, self._most = ledger, posts, updates, pace, most

    def begin(self, case: Case, system: str, wishes: Sequence[Effect], now: int) -> Effect:
        """Take as many of these wishes into a note as it holds. Raises ConflictError where another took one."""
        most = self._most * 9 // 10  # words may be edited until they are sent
        wishes = wishes[: fitting(wishes, self._posts.post, self._updates.words, most)]
        batch = self._batch(case.id, system, tuple(wish.id for wish in wishes), now, now)
        held = [
            (wish, wish.model_copy(update={"state": EffectState.CLAIMED, "batch": batch.id, "due_at": None}))
            for wish in wishes
        ]
        self._ledger.batch(batch, held)
        return batch

    def draft(self, case: Case, held: Effect) -> NoteDraft:
        """The note's words, as known now."""
        if held.kind is EffectKind.RETIRE:
            live = case.record
            return retirement_note(case, live.url or f"{live.system}: {live.id}" if live else "another system")
        members = [self._sent(case, member) for member in self.members(held)]
        posts = {name: self._posts.post(name) for name in dict.fromkeys(m.mention or "" for m in members) if name}
        updates = {m.update: self._updates.words(m.update) for m in members if m.update is not None}
        return note_draft(members, posts, updates, self._most)

    def members(self, batch: Effect) -> list[Effect]:
        """The wishes that it brings."""
        found = (self._ledger.effect(batch.case, name) for name in batch.members)
        return [member for member in found if member is not None]

    def told(self, batch: Effect) -> list[tuple[Effect, Effect]]:
        """The wishes of a note that has come to its end, before and after."""
        if not batch.state.final:
            return []
        end = {"state": batch.state, "reference": batch.reference, "done_at": batch.done_at}
        return [(member, member.model_copy(update=end)) for member in self.members(batch)]

    def split(self, before: Effect, refused: Effect, now: int, event: CaseEvent) -> Effect:
        """Two halves instead of a note that was refused; the note as it ends."""
        middle = len(before.members) // 2
        # In the order in which their posts came: notes are sent oldest plan first.
        first = self._batch(before.case, before.target, before.members[:middle], before.planned_at, now)
        second = self._batch(before.case, before.target, before.members[middle:], before.planned_at + middle, now)
        over = refused.model_copy(update={"state": EffectState.SUPERSEDED})
        changes = [(before, over)]
        for half in (first, second):
            changes += [(one, one.model_copy(update={"batch": half.id})) for one in self.members(half)]
        self._ledger.hand_on(changes, [first, second], event)
        return over

    def asks_for_somebody(self, effect: Effect) -> bool:
        """Whether a new record is worth opening for it: a customer's post, what people wrote, or that the case is open
        again. Not for an edit, a removal or our own post, as these open no case again either."""
        if effect.kind is EffectKind.STATUS:
            return effect.status == "open"
        return effect.kind is EffectKind.BATCH and any(self._asks(wish) for wish in self.members(effect))

    def _asks(self, wish: Effect) -> bool:
        if wish.update is not None:
            return True
        if wish.mention is None or wish.happening not in {Happening.OPENED, Happening.SAID}:
            return False
        post = self._posts.post(wish.mention)
        return post is not None and post.text is not None and not post.own

    def _sent(self, case: Case, wish: Effect) -> Effect:
        """An answer's wish, marked where the answer itself does not go out."""
        if wish.happening is not Happening.ANSWERED or wish.update is None:
            return wish
        goes_out = self._ledger.effect(case.id, reply_id(case.source, wish.update)) is not None
        return wish.model_copy(update={"provisional": not goes_out})

    def _batch(self, case: str, system: str, members: tuple[str, ...], planned_at: int, now: int) -> Effect:
        return Effect(
            case=case,
            id=batch_id(system, members),
            kind=EffectKind.BATCH,
            target=system,
            planned_at=planned_at,
            due_at=now + int(self._pace.doorbell * 1000),
            members=members,
        )


class Nobody:
    """No words, and nobody to wake."""

    def words(self, update_id: str) -> UpdateWords | None:
        """None."""
        del update_id
        return None

    def ring(self, effects: Iterable[Effect]) -> None:
        """Wakes nobody."""
        del effects
