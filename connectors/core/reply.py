"""Carries one answer back to where the customer asked, under the ledger: once, however often it is tried.

A vendor's failure never leaves `run`: it becomes the state of the effect and the time of the next try. An answer whose
outcome is unknown is looked for by its key before it is sent again; where a source cannot tell, it is never sent again,
and a person is asked to look. What an answer costs is counted before it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from connectors.core import failover
from connectors.core.budget import Till, without_links
from connectors.core.carry import OutOfTimeError
from connectors.core.case import Case, CaseEvent, Effect, EffectKind, EffectState, Happening
from connectors.core.compose import UpdateWords
from connectors.core.errors import ConflictError, RejectedError, RemoteError, UndecidableError, UnknownOutcomeError
from connectors.core.identity import digest
from connectors.core.ledger import Ledger, Next, Pace, claimed, done, doubtful, ended, failed, next_step
from connectors.core.models import Mention
from connectors.core.ports import Reference, Replier

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
    """Carries out `reply` effects. Times as in `RecordSync`; `till` where the source's answers cost something."""

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
        till: Till | None = None,
    ) -> None:
        self._till, self._bill = till, dict[str, str]()
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
        """Whether an earlier answer of the case has yet to go out there: a customer reads them in the order written."""
        waiting = self._ledger.pending(effect.case, "reply#", _MOST)
        mine = (effect.planned_at, effect.id)
        return any((one.planned_at, one.id) < mine for one in waiting if one.target == effect.target)

    def _told(self, case: Case, refused: Effect) -> list[Effect]:
        """A note for whoever has the case, in every record that holds it: nobody else would notice."""
        happening = Happening.UNCERTAIN if refused.doubt else Happening.REFUSED
        words = self._words.words(refused.update or "")
        systems = failover.engaged(self._ledger.case(case.id) or case) or ((words.system,) if words else ())
        return [
            Effect(
                case=refused.case,
                id=f"note#{system}#{digest(refused.id, length=24)}#{happening}",
                kind=EffectKind.NOTE,
                target=system,
                planned_at=self._now(),
                due_at=self._now(),
                happening=happening,
                update=refused.update,
                error=refused.error,
            )
            for system in systems
        ]

    def _attempt(self, case: Case, held: Effect, step: Next) -> Effect:
        self._bill = {}
        if step is Next.LOOK_UP and not self._replier.findable:
            return self._in_doubt(case, held)
        sent = False
        try:
            mention = self._asked(case, held)
            found = self._replier.find_reply(mention, held.key) if step is Next.LOOK_UP else None
            if found is None:
                self._check_there(mention)
                text = self._text(held)
                self._check_time()
                sent = True
                found = self._send(mention, text, held.key)
        except RemoteError as error:
            hopeless = isinstance(error, UndecidableError) or not self._replier.findable
            if isinstance(error, UnknownOutcomeError) and hopeless:
                return self._in_doubt(case, held)
            if sent or step is Next.SEND or isinstance(error, RejectedError):
                return failed(held, error, self._now(), self._pace, self._replier.settle)
            return doubtful(held, error, self._now(), self._pace)
        return done(held, self._now(), found.id, found.url)

    def _send(self, mention: Mention, text: str, key: str) -> Reference:
        """Send it, once it is paid for. What is known not to have been sent is given back; what is not known is not."""
        if self._till is None or (units := self._units(mention, text)) is None:
            return self._replier.reply(mention, text, key)
        month = self._till.charge(units, self._now())
        self._bill = self._till.words(units, self._units(mention, without_links(text)) or {})
        try:
            return self._replier.reply(mention, text, key)
        except RemoteError as error:
            if not isinstance(error, UnknownOutcomeError):
                self._till.give_back(units, month)
                self._bill = {}
            raise

    def _units(self, mention: Mention, text: str) -> Mapping[str, int] | None:
        """What an answer costs, where its source says so (see `Replier`)."""
        count: Callable[[Mention, str], Mapping[str, int]] | None = getattr(self._replier, "units", None)
        return None if count is None else count(mention, text)

    def _in_doubt(self, case: Case, held: Effect) -> Effect:
        """Nothing can tell whether it went out. A second answer in public is worse than one that a person repeats."""
        mention = self._words.said(held.mention or case.first_mention)
        where = (mention.url if mention else None) or case.conversation
        why = f"it is not known whether your answer went out; look at {where}, and answer there if it did not"
        return ended(held, EffectState.REJECTED, self._now(), why).model_copy(update={"doubt": True})

    def _asked(self, case: Case, effect: Effect) -> Mention:
        # The first post is no substitute where another source is to answer.
        first = case.first_mention if effect.target == case.source else None
        for name in filter(None, (effect.mention, first)):
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
        kind = Happening.UNCERTAIN if effect.doubt else kinds.get(effect.state, Happening.DELAYED)
        said = {
            "source": effect.target,
            "update": effect.update,
            "post": effect.reference,
            "url": effect.url,
            "error": effect.error,
            **self._bill,
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
