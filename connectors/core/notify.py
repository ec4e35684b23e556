"""Tells people what happened to a case, under the ledger: the first topic that somebody hears, else the next one.

A notification cannot be looked up, so where it is unknown whether it went out, a second one is better than none; all
tries of one notification carry the same `notification_id`, whatever topic they go to.

Each topic has its own line in the ledger. One of them has the turn: it is not final and has a `due_at`. A topic that
fails keeps its line, without a time, and the turn goes to the next in the same transaction. After the last one the
first is tried again, later; after so many rounds the notification goes to a dead-letter queue: no line has the turn,
none is done, and only a redrive wakes it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Protocol

from connectors.core.case import Case, CaseEvent, Effect, EffectKind, EffectState, Happening
from connectors.core.compose import notification
from connectors.core.errors import ConflictError, MisconfiguredError, RejectedError, RemoteError, UnknownOutcomeError
from connectors.core.identity import digest
from connectors.core.ledger import Ledger, Next, Pace, claimed, done, failed, misconfigured, next_step
from connectors.core.sync import Posts

NEED = 9.0
"""Seconds that one try may take; with fewer left the next topic is left to another worker."""
ROUNDS = 12


class Topics(Protocol):
    """Audiences."""

    def publish(self, topic: str, subject: str, message: Mapping[str, str], attributes: Mapping[str, str]) -> str:
        """Tell a topic; the vendor's id of the message. Raises a RemoteError."""
        ...

    def heard(self, topic: str) -> bool | None:
        """Whether anybody is subscribed to it; None where that is not known. Never raises."""
        ...


class Undelivered(Protocol):
    """Where a notification goes that no topic took."""

    def keep(self, case: str, effect: str, why: str) -> None:
        """Keep it until somebody redrives it. Twice does no harm. Raises a RemoteError."""
        ...


class NotifyLedger(Ledger, Protocol):
    """The ledger, which can also plan the next topic's line as it settles another."""

    def hand_on(
        self, changes: Sequence[tuple[Effect, Effect]], planned: Sequence[Effect], event: CaseEvent | None = None
    ) -> None: ...


def notification_id(case: str, what: str) -> str:
    """What receivers know a repetition by: the same on every try and every topic."""
    return f"hailback-{digest('notify', case, what, length=24)}"


class Notifier:
    """Carries out `notify` effects. `rounds` bounds how often all topics are tried before it is given up. `elsewhere`
    names the topics of the plan in force for a case, should all of its own be gone."""

    def __init__(
        self,
        ledger: NotifyLedger,
        posts: Posts,
        topics: Topics,
        undelivered: Undelivered,
        pace: Pace,
        now: Callable[[], int],
        rounds: int = ROUNDS,
        elsewhere: Callable[[Case], Sequence[str]] = lambda _: (),
    ) -> None:
        self._ledger, self._posts, self._topics, self._undelivered = ledger, posts, topics, undelivered
        self._pace, self._now, self._rounds, self._elsewhere = pace, now, rounds, elsewhere

    def run(
        self, case: Case, effect_id: str, *, again: bool = False, remaining: Callable[[], float] = lambda: inf
    ) -> list[Effect]:
        """Try topic after topic until one takes it; the lines that were tried, as they are now.

        `effect_id` is the line of any of its topics. `again`: somebody redrove it, so what was given up begins anew.
        `remaining` gives the seconds that this worker has left."""
        tried: list[Effect] = []
        with suppress(ConflictError):  # another worker is at it
            if again:
                self._revive(_Lines(self._ledger, case, effect_id))
            while remaining() >= NEED:
                lines = _Lines(self._ledger, case, effect_id)
                line = lines.turn
                if line is None or next_step(line, self._now(), 0.0) is Next.WAIT:
                    break
                tried.append(self._try(case, lines, line))
                effect_id = line.id  # it knows whose turn it is next, also where that is a topic of another plan
        return tried

    def _revive(self, lines: _Lines) -> None:
        first = lines.known[0] if lines.known else None
        if first is None or lines.turn or any(line.state is EffectState.DONE for line in lines.known):
            return
        fresh = {"state": EffectState.PLANNED, "due_at": self._now(), "retry_at": None, "done_at": None, "rounds": 0}
        self._ledger.settle([(first, first.model_copy(update=fresh))])

    def _try(self, case: Case, lines: _Lines, line: Effect) -> Effect:
        if line.state is EffectState.CLAIMED:  # whoever held it is gone; it may go so with every worker on this topic
            return self._fail(
                case, lines, line, UnknownOutcomeError(f"{line.target}: a worker ended before it was answered")
            )
        name = notification_id(case.id, lines.what)
        kind = f"case_{lines.what.partition(':')[0]}"  # raised:<route>, where a case may be raised more than once
        message = notification(case, self._posts.post(case.first_mention), name, kind)
        attributes = {"case": case.id, "kind": kind, "notification_id": name, "route": case.route or ""}
        attributes |= {"priority": case.priority} if case.priority else {}
        held = claimed(line, self._now(), self._pace.lease)
        self._ledger.claim(line, held)
        try:
            sent = self._publish(held.target, message, attributes)
        except RemoteError as error:
            return self._fail(case, lines, held, error)
        after = done(held, self._now(), sent)
        seconds = f"{(self._now() - held.planned_at) / 1000:.1f}"
        changes = [(held, after), *self._ended(lines, held)]
        self._ledger.settle(changes, self._event(after, Happening.NOTIFIED, {"topic": held.target, "seconds": seconds}))
        return after

    def _publish(self, topic: str, message: Mapping[str, str], attributes: Mapping[str, str]) -> str:
        sent = self._topics.publish(topic, message["email"].splitlines()[0], message, attributes)
        if self._topics.heard(topic) is False:
            raise MisconfiguredError(f"{topic}: it has no confirmed subscription, so nobody hears it; subscribe people")
        return sent

    def _fail(self, case: Case, lines: _Lines, held: Effect, error: RemoteError) -> Effect:
        after = failed(held, error, self._now(), self._pace)
        if isinstance(error, RejectedError):  # our own defect: another topic would refuse it as well
            return self._reject(lines, held, after)
        after = after.model_copy(update={"due_at": None, "retry_at": None})
        following = lines.after(held.target)
        if following is not None:
            return self._fail_over(lines, held, after, following)
        others = [line for line in lines.known if line.id != held.id]
        if all(misconfigured(line) for line in (after, *others)):
            more = [topic for topic in self._elsewhere(case) if topic not in lines.topics]
            if more:  # what waits for an administrator need not wait where the plan in force has somebody
                after = after.model_copy(update={"audience": (*lines.topics, *more)})
                return self._fail_over(lines, held, after, more[0])
        return self._end_round(lines, held, after)

    def _reject(self, lines: _Lines, held: Effect, after: Effect) -> Effect:
        try:
            self._undelivered.keep(held.case, held.id, after.error or "")
        except RemoteError:  # it must not end unseen: so it is refused once more
            parked = after.model_copy(update={"state": EffectState.PARKED, "done_at": None})
            return self._end_round(lines, held, parked)
        detail = {"topic": held.target, "error": after.error or ""}
        changes = [(held, after), *self._ended(lines, held)]
        self._ledger.settle(changes, self._event(after, Happening.REFUSED, detail))
        return after

    def _fail_over(self, lines: _Lines, held: Effect, after: Effect, topic: str) -> Effect:
        """The turn goes to the next topic, at once."""
        planned = Effect(
            case=held.case,
            id=lines.name(topic),
            kind=EffectKind.NOTIFY,
            target=topic,
            planned_at=held.planned_at,
            due_at=self._now(),
            rounds=held.rounds,
            audience=after.audience,
        )
        detail = {"from": held.target, "to": topic, "why": after.error or ""}
        detail |= {"plan": "in force"} if after.audience != held.audience else {}
        event = self._event(after, Happening.FAILED_OVER, detail)
        known = lines.of(topic)
        if known is None:
            self._ledger.hand_on([(held, after)], [planned], event)
        else:
            planned = planned.model_copy(update={"attempt": known.attempt, "error": known.error})
            repeated = held.rounds and held.error == after.error  # the round before has said it
            self._ledger.hand_on([(held, after), (known, planned)], [], None if repeated else event)
        return after

    def _end_round(self, lines: _Lines, held: Effect, after: Effect) -> Effect:
        """All topics failed: from the first again after a while, or, after so many rounds, given up and kept."""
        rounds = held.rounds + 1
        detail = {"topic": held.target, "error": after.error or "", "round": str(rounds)}
        if rounds >= self._rounds:
            try:
                self._undelivered.keep(held.case, held.id, after.error or "")
            except RemoteError as error:  # not even that: so it is tried once more
                rounds = held.rounds
                detail["dead_letter"] = str(error)
            else:
                after = after.model_copy(update={"rounds": rounds})
                self._ledger.settle([(held, after)], self._event(after, Happening.UNDELIVERED, detail))
                return after
        wait = min(self._pace.longest, self._pace.backoff * 2 ** min(rounds, 16) / 2)
        wait *= random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries; not a secret
        due = self._now() + int(wait * 1000)
        waiting = {"rounds": rounds, "due_at": due, "retry_at": due}
        first = lines.of(lines.topics[0])
        if first is None or first.id == held.id:  # first is only missing where the plan no longer names our topics
            after = after.model_copy(update=waiting)
            changes = [(held, after)]
        else:
            again = {**waiting, "state": EffectState.PARKED, "done_at": None} if first.state.final else waiting
            changes = [(held, after), (first, first.model_copy(update=again))]
        self._ledger.settle(changes, self._event(after, Happening.DELAYED, detail))
        return after

    def _ended(self, lines: _Lines, held: Effect) -> list[tuple[Effect, Effect]]:
        """The lines of the other topics, which need no turn any more."""
        end = {"state": EffectState.SUPERSEDED, "due_at": None, "retry_at": None, "done_at": self._now()}
        others = [line for line in lines.known if line.id != held.id and not line.state.final]
        return [(line, line.model_copy(update=end)) for line in others]

    def _event(self, after: Effect, kind: Happening, detail: dict[str, str]) -> CaseEvent:
        name = digest(after.id, str(after.attempt), kind)
        return CaseEvent(case=after.case, id=name, kind=kind, at=self._now(), detail=detail)


class _Lines:
    """The ledger's lines of one notification, in the order of its topics."""

    def __init__(self, ledger: Ledger, case: Case, effect_id: str) -> None:
        self._prefix, _, _ = effect_id.rpartition("#")
        self.what = self._prefix.partition("#")[2]
        asked = ledger.effect(case.id, effect_id)
        topics = dict.fromkeys((asked.audience if asked is not None else ()) or case.topics)
        if asked is not None and asked.target not in topics:  # planned before the case's topics changed
            topics = {asked.target: None, **topics}
        self.topics = tuple(topics)
        found = (ledger.effect(case.id, self.name(topic)) for topic in self.topics)
        self.known = [line for line in found if line is not None]

    @property
    def turn(self) -> Effect | None:
        """The line that is to be tried, now or later; None once it is over or given up."""
        return next((line for line in self.known if not line.state.final and line.due_at is not None), None)

    def name(self, topic: str) -> str:
        """See `connectors.core.case.notify_id`."""
        return f"{self._prefix}#{digest(topic)}"

    def of(self, topic: str) -> Effect | None:
        """The line of a topic, if it was ever planned."""
        return next((line for line in self.known if line.target == topic), None)

    def after(self, topic: str) -> str | None:
        """The topic that takes over from this one."""
        index = self.topics.index(topic) + 1
        return self.topics[index] if index < len(self.topics) else None
