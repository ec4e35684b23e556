"""Carries one answer back to where the customer asked, under the ledger: once, however often it is tried.

A vendor's failure never leaves `run`: it becomes the state of the effect and the time of the next try. An answer whose
outcome is unknown is looked for by its key before it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from connectors.core import failover
from connectors.core.carry import OutOfTimeError
from connectors.core.case import Case, CaseEvent, Effect, EffectKind, EffectState, Happening
from connectors.core.compose import UpdateWords
from connectors.core.errors import ConflictError, RejectedError, RemoteError
from connectors.core.identity import digest
from connectors.core.ledger import Ledger, Next, Pace, claimed, done, doubtful, failed, next_step
from connectors.core.models import Mention
from connectors.core.ports import Replier

_MOST = 20
"""Answers of one case that may wait at once, as far as their order is looked after."""


class Words(Protocol):
    """Where words are read, at the moment they are sent and not before."""

    def words(self, update_id: str) -> UpdateWords | None:
        """What an agent wrote on a record."""
        ...

    def said(self, mention: str) -> Mention | None:
        """What is answered: its identity and address, with its words while they are kept. None where it is unknown."""
        ...

    def removed(self, mention: str) -> bool:
        """Whether it was removed at its source."""
        ...


class ReplyLedger(Ledger, Protocol):
    """The ledger, where it may be added to."""

    def hand_on(
        self, changes: Sequence[tuple[Effect, Effect]], planned: Sequence[Effect], event: CaseEvent | None = None
    ) -> None:
        """Replace effects and plan new ones in one transaction. Raises ConflictError when another did either."""
        ...


class Answerer:
    """Carries out `reply` effects. Times as in `RecordSync`."""

    def __init__(
        self,
        ledger: ReplyLedger,
        words: Words,
        replier: Replier,
        pace: Pace,
        *,
        now: Callable[[], int],
        remaining: Callable[[], float],
        need: float,
    ) -> None:
        self._ledger, self._words, self._replier, self._pace = ledger, words, replier, pace
        self._now, self._remaining, self._need = now, remaining, need

    def run(self, case: Case, effect_id: str) -> Effect | None:
        """One attempt at one answer; the effect afterwards, None where there is nothing to do now."""
        effect = self._ledger.effect(case.id, effect_id)
        if effect is None or effect.kind is not EffectKind.REPLY or self._overtakes(effect):
            return None
        step = next_step(effect, self._now(), self._replier.settle)
        if step is Next.WAIT:
            return None
        self._check_time()
        held = claimed(effect, self._now(), self._pace.lease)
        try:
            self._ledger.claim(effect, held)
        except ConflictError:
            return None
        try:
            after = self._attempt(case, held, step)
        except OutOfTimeError:
            self._let_go(held, step)
            raise
        with suppress(ConflictError):  # it took longer than its lease, and whoever followed has looked for it
            if after.state is EffectState.REJECTED:
                self._ledger.hand_on([(held, after)], self._told(case, after), self._event(case, after))
            else:
                self._ledger.settle([(held, after)], self._event(case, after))
        return after

    def _overtakes(self, effect: Effect) -> bool:
        """Whether an earlier answer of this case has yet to go out: a customer reads them in the order written."""
        waiting = self._ledger.pending(effect.case, f"reply#{effect.target}#", _MOST)
        return any((one.planned_at, one.id) < (effect.planned_at, effect.id) for one in waiting)

    def _told(self, case: Case, refused: Effect) -> list[Effect]:
        """A note for whoever has the case, in every record that holds it: nobody else would notice."""
        systems = failover.engaged(self._ledger.case(case.id) or case)
        return [
            Effect(
                case=refused.case,
                id=f"note#{system}#{digest(refused.id, length=24)}#refused",
                kind=EffectKind.NOTE,
                target=system,
                planned_at=self._now(),
                due_at=self._now(),
                happening=Happening.REFUSED,
                update=refused.update,
                error=refused.error,
            )
            for system in systems
        ]

    def _attempt(self, case: Case, held: Effect, step: Next) -> Effect:
        sent = False
        try:
            mention = self._asked(case, held)
            found = self._replier.find_reply(mention, held.key) if step is Next.LOOK_UP else None
            if found is None:
                self._check_there(mention)
                text = self._text(held)
                self._check_time()
                sent = True
                found = self._replier.reply(mention, text, held.key)
        except RemoteError as error:
            if sent or step is Next.SEND or isinstance(error, RejectedError):
                return failed(held, error, self._now(), self._pace, self._replier.settle)
            return doubtful(held, error, self._now(), self._pace)
        return done(held, self._now(), found.id, found.url)

    def _asked(self, case: Case, effect: Effect) -> Mention:
        for name in filter(None, (effect.mention, case.first_mention)):
            mention = self._words.said(name)
            if mention is not None:
                return mention
        raise RejectedError("the post that this answers is not known any more")

    def _check_there(self, mention: Mention) -> None:
        """Asked last: an answer that went out before the post was removed did go out."""
        if self._words.removed(mention.id):
            raise RejectedError("the post that this answers was removed at its source")

    def _text(self, effect: Effect) -> str:
        words = self._words.words(effect.update or "")
        if words is None or not (words.text or "").strip():
            raise RejectedError("the answer has no words, or they were removed")
        return (words.text or "").strip()

    def _let_go(self, held: Effect, step: Next) -> None:
        """Give back what was claimed and not sent: nobody has to wait for the lease."""
        state = EffectState.PLANNED if step is Next.SEND else EffectState.UNKNOWN
        free = held.model_copy(update={"state": state, "lease_until": None, "due_at": self._now()})
        with suppress(ConflictError):
            self._ledger.claim(held, free)

    def _event(self, case: Case, effect: Effect) -> CaseEvent:
        kinds = {EffectState.DONE: Happening.REPLIED, EffectState.REJECTED: Happening.REFUSED}
        kind = kinds.get(effect.state, Happening.DELAYED)
        said = {
            "source": effect.target,
            "update": effect.update,
            "post": effect.reference,
            "url": effect.url,
            "error": effect.error,
        }
        return CaseEvent(
            case=case.id,
            id=digest(effect.id, str(effect.attempt), kind),
            kind=kind,
            at=self._now(),
            mention=effect.mention,
            detail={name: value for name, value in said.items() if value},
        )

    def _check_time(self) -> None:
        if self._remaining() < self._need:
            raise OutOfTimeError
