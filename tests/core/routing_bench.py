"""A case, its posts and a plan with conditions, in memory: what dispatching makes of them, as a user would see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from connectors.core.case import Case, CaseEvent, Effect, EffectKind, Happening
from connectors.core.dispatch import MOST, Dispatcher
from connectors.core.errors import ConflictError
from connectors.core.facts import Facts, facts
from connectors.core.ledger import Pace
from connectors.core.models import Author, Mention
from connectors.core.plan import Plan, Route, SystemConfig
from tests.doubles import Shelf

CASE = "case-1"
SOURCE = "stack/Forum"
NOW = 1_000_000
SYSTEMS = tuple(f"stack/{name}" for name in ("Zendesk", "Salesforce", "Roundup", "Hubspot"))
TOPICS = tuple(f"arn:aws:sns:eu-central-1:000000000000:hailback-{name}" for name in ("care", "retention", "heads"))


def config(name: str, **settings: Any) -> SystemConfig:
    return SystemConfig.of(name, "roundup", "hailback/x", {"at": name, **settings})


def route(name: str, when: dict[str, Any] | None = None, **more: Any) -> Route:
    """A route; unless told otherwise it opens a case in the first system and tells the first topic."""
    counts = more.get("opens") is False
    given = {} if counts else {"systems": SYSTEMS[:1], "topics": TOPICS[:1]}
    return Route(name=name, when=when, **{**given, **more})


def compiled(*routes: Route) -> Plan:
    return Plan.of(routes, {name: config(name) for name in SYSTEMS})


def post(text: str = "The heating is cold.", **more: Any) -> Mention:
    fields: dict[str, Any] = {"connector": "discourse", "native_id": "1", "conversation_id": "7", "text": text}
    return Mention(**{**fields, "author": Author(native_id="5", handle="ada", followers=10), **more})


class Board:
    """The store and the bells. Every write is conditional as in the table. `intents`: what each post seems to want."""

    def __init__(self, *plans: Plan) -> None:
        self.shelf = Shelf(*plans)
        self.meta = Case(
            id=CASE,
            conversation="discourse:7",
            connector="discourse",
            source=SOURCE,
            first_mention="post:1",
            opened_at=1,
            updated_at="2026-11-20T10:00:00Z",
        )
        self.events: list[CaseEvent] = []
        self.effects: dict[str, Effect] = {}
        self.mentions: dict[str, Facts | None] = {}
        self.rung: list[Effect] = []
        self.asked: list[tuple[str, bool]] = []
        self.conflicts = 0
        self.clock = NOW

    # ---- what happens outside

    def say(self, mention: Mention | None = None, **more: Any) -> CaseEvent:
        """A new post; its words are gone where `mention` is None and nothing is known of them."""
        number = len(self.mentions) + 1
        name = f"post:{number}"
        self.mentions[name] = facts(mention or post(), SOURCE, **more)
        kind = Happening.OPENED if number == 1 else Happening.SAID
        event = CaseEvent(case=CASE, id=f"e{number}", kind=kind, at=number, mention=name, version=1, due_at=1)
        self.events.append(event)
        return event

    def dispatch(self, *events: CaseEvent) -> int:
        """The stream's records, or all that is due."""
        waiting = list(events) or [event for event in self.events if event.due_at is not None]
        dispatcher = Dispatcher(self, self.shelf, self, Pace())
        return sum(dispatcher.dispatch(waiting[n : n + MOST], self.clock) for n in range(0, len(waiting), MOST))

    # ---- what a user sees

    def lines(self, kind: Happening) -> list[CaseEvent]:
        return [event for event in self.events if event.kind is kind]

    def of(self, kind: EffectKind) -> list[Effect]:
        return [effect for effect in self.effects.values() if effect.kind is kind]

    @property
    def records(self) -> set[str]:
        return {effect.target for effect in self.of(EffectKind.RECORD)}

    @property
    def told(self) -> list[tuple[str, str]]:
        """Which topics are told of what."""
        return [(effect.id.split("#")[1], effect.target) for effect in self.of(EffectKind.NOTIFY)]

    def notes(self, system: str) -> set[str]:
        """The posts that a system is told of."""
        return {effect.mention for effect in self.of(EffectKind.NOTE) if effect.target == system and effect.mention}

    def picture(self) -> tuple[object, ...]:
        return self.meta, tuple(self.events), tuple(sorted(self.effects.items()))

    # ---- the store and the bells

    def case(self, case: str) -> Case | None:
        return self.meta

    def timeline(self, case: str) -> Iterator[CaseEvent]:
        yield from list(self.events)

    def known(self, effects: Sequence[Effect]) -> set[str]:
        return {effect.id for effect in effects if effect.id in self.effects}

    def facts(self, case: Case, mention: str, person: bool) -> Facts | None:
        self.asked.append((mention, person))
        return self.mentions[mention]

    def undispatched(self, events: Sequence[CaseEvent]) -> list[CaseEvent]:
        waiting = {event.id for event in self.events if event.due_at is not None}
        return [event for event in events if event.id in waiting]

    def plan(
        self,
        case: Case,
        events: Sequence[CaseEvent],
        effects: Sequence[Effect],
        said: Sequence[CaseEvent] = (),
        before: Case | None = None,
    ) -> None:
        marks = {(effect.target, n % 4) for n, effect in enumerate(effects) if effect.kind is EffectKind.NOTE}
        assert len(events) + len(effects) + len(said) + len(marks) + 1 <= 100, "more than a transaction takes"
        if self.conflicts:
            self.conflicts -= 1
            raise ConflictError
        if len(self.undispatched(events)) < len(events) or self.known(effects) or (before or self.meta) != self.meta:
            raise ConflictError
        gone = {event.id for event in events}
        self.events = [
            event.model_copy(update={"due_at": None}) if event.id in gone else event for event in self.events
        ]
        self.events += said
        self.effects |= {effect.id: effect for effect in effects}
        if before is not None:
            self.meta = case

    def postpone(self, event: CaseEvent, until: int) -> None:
        return

    def ring(self, effects: Iterable[Effect]) -> None:
        self.rung += effects
