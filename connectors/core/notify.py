"""Tells one topic about one case, under the ledger. A notification cannot be looked up: where it is unknown whether it
went out, a second one is better than none, and both carry the same `notification_id`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from connectors.core.case import Case, CaseEvent, Effect, EffectState, Happening
from connectors.core.compose import notification
from connectors.core.errors import ConflictError, RemoteError
from connectors.core.identity import digest
from connectors.core.ledger import Ledger, Next, Pace, claimed, done, failed, next_step
from connectors.core.sync import Posts


class Topics(Protocol):
    """Audiences."""

    def publish(self, topic: str, subject: str, message: Mapping[str, str], attributes: Mapping[str, str]) -> str:
        """Tell a topic; the vendor's id of the message. Raises a RemoteError."""
        ...


class Notifier:
    """Carries out `notify` effects."""

    def __init__(self, ledger: Ledger, posts: Posts, topics: Topics, pace: Pace, now: Callable[[], int]) -> None:
        self._ledger, self._posts, self._topics, self._pace, self._now = ledger, posts, topics, pace, now

    def run(self, case: Case, effect_id: str) -> Effect | None:
        """One attempt at one notification; the effect afterwards, None where there is nothing to do now."""
        effect = self._ledger.effect(case.id, effect_id)
        if effect is None or next_step(effect, self._now(), 0.0) is Next.WAIT:
            return None
        held = claimed(effect, self._now(), self._pace.lease)
        try:
            self._ledger.claim(effect, held)
        except ConflictError:
            return None
        notification_id = held.key
        message = notification(case, self._posts.post(case.first_mention), notification_id)
        subject = message["email"].splitlines()[0]
        attributes = {"case": case.id, "kind": "case_opened", "notification_id": notification_id}
        if case.route:
            attributes["route"] = case.route
        try:
            sent = self._topics.publish(held.target, subject, message, attributes)
        except RemoteError as error:
            after = failed(held, error, self._now(), self._pace)
        else:
            after = done(held, self._now(), sent)
        self._ledger.settle([(held, after)], self._event(case, after))
        return after

    def _event(self, case: Case, effect: Effect) -> CaseEvent:
        kinds = {EffectState.DONE: Happening.NOTIFIED, EffectState.REJECTED: Happening.REFUSED}
        kind = kinds.get(effect.state, Happening.DELAYED)
        detail = {"topic": effect.target}
        if effect.error:
            detail["error"] = effect.error
        return CaseEvent(
            case=case.id,
            id=digest(effect.id, str(effect.attempt), kind),
            kind=kind,
            at=self._now(),
            detail=detail,
        )
