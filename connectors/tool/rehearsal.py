"""What mentions would come to under one plan or another, counted without any effect. Pure.

A conversation opens a case with the first customer's post that a route opens one for; an earlier route that takes a
later post raises the case, which adds what that route says. Further posts are notes in the case's systems, those within
the route's `Coalesce` in one. Words are never kept: of a mention a number stays, of a conversation who is engaged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connectors.core import budget
from connectors.core.facts import MOST_COUNTED, Facts
from connectors.core.identity import digest
from connectors.core.plan import Plan, Route
from connectors.tool.heard import Heard
from connectors.tool.routing import Router

HOUR = 3600
EXAMPLES = 5
"""Mentions that are named of each change."""
NOTHING = "no route"


@dataclass(slots=True)
class Load:
    """What one system or topic was asked to take: how many by kind, and by hour."""

    kinds: Counter[str] = field(default_factory=Counter)
    hours: Counter[int] = field(default_factory=Counter)

    def add(self, kind: str, at: float) -> None:
        self.kinds[kind] += 1
        self.hours[int(at // HOUR)] += 1

    def told(self, hours: float) -> dict[str, Any]:
        """The sums, the load of an hour on average over so many, the hour that had most, and all that had any (UTC)."""
        hour, most = max(self.hours.items(), key=lambda one: (one[1], -one[0]), default=(0, 0))
        return {
            **dict(sorted(self.kinds.items())),
            "per_hour": round(self.kinds.total() / max(hours, 1.0), 1),
            "peak_hour": most,
            "peak_at": _hour(hour) if most and hour else None,
            "hours": {_hour(one) or "unknown": count for one, count in sorted(self.hours.items())},
        }


@dataclass(slots=True)
class _Talk:
    """A conversation: the route of its case, None while there is none; who is engaged; the topic that was told when it
    was opened; when the last note began."""

    route: int | None = None
    coalesce: float = 0.0
    systems: tuple[str, ...] = ()
    topic: str = ""
    noted: float = float("-inf")


class Trial:
    """One plan, and what the mentions come to under it."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.router = plan, Router(plan)
        self.cases = self.notes = 0
        self.routes: Counter[str] = Counter()
        """Cases by route."""
        self.counted: Counter[str] = Counter()
        """Mentions by the route that took them."""
        self.systems: dict[str, Load] = {}
        self.topics: dict[str, Load] = {}
        self.answers: dict[str, Counter[str]] = {}
        self._talks: dict[str, _Talk] = {}

    def hear(self, heard: Heard, facts: Facts, key: str) -> tuple[bool, str]:
        """Count one mention; whether it opened a case, and the route that took it. `key` names its conversation."""
        talk = self._talks.get(key)
        if heard.mention.own:
            if talk is not None:
                self._note(talk, heard.at)
            return False, "our own"
        taken = self.router.take(facts)
        name = NOTHING if taken is None else self.plan.routes[taken].name
        self.counted[name] += 1
        if talk is None:
            talk = self._talks[key] = _Talk()
        if taken is not None and self.plan.routes[taken].opens and (talk.route is None or taken < talk.route):
            first, talk.route = talk.route is None, taken
            self._engage(talk, self.plan.routes[taken], heard, first=first)
            if first:
                return True, name
        self._note(talk, heard.at)
        return False, name

    def _engage(self, talk: _Talk, route: Route, heard: Heard, *, first: bool) -> None:
        """A case is opened, or raised: the first system and topic of the route that are not there yet."""
        if first:
            talk.coalesce = route.coalesce
            self.cases += 1
            self.routes[route.name] += 1
            self._answer(heard)
        else:  # whoever works on it is told by whom it was raised, see `connectors.core.dispatch`
            self._write(talk.systems, heard.at)
        for system in route.systems[:1]:
            if system not in talk.systems:
                talk.systems = (*talk.systems, system)
                self.systems.setdefault(system, Load()).add("records", heard.at)
        for topic in route.topics[:1]:
            if topic != talk.topic:
                self.topics.setdefault(topic, Load()).add("notifications", heard.at)
            talk.topic = talk.topic or topic

    def _note(self, talk: _Talk, at: float) -> None:
        if talk.route is None or at - talk.noted < talk.coalesce:
            return
        talk.noted = at
        self._write(talk.systems, at)

    def _write(self, systems: Iterable[str], at: float) -> None:
        for system in systems:
            self.notes += 1
            self.systems[system].add("notes", at)

    def _answer(self, heard: Heard) -> None:
        """What one answer to each case costs, where its source has prices."""
        summoned = heard.mention.reply_capability in {"allowed", "needs_approval"}
        self.answers.setdefault(heard.mention.connector, Counter())["summoned_reply" if summoned else "create"] += 1

    def ends(self) -> Iterator[tuple[str, _Talk, Route]]:
        """The conversations that are cases at the end, each with the route that it has then."""
        for key, talk in self._talks.items():
            if talk.route is not None:
                yield key, talk, self.plan.routes[talk.route]

    def told(self, hours: float) -> dict[str, Any]:
        """The sums, as `--json` prints them."""
        return {
            "version": self.plan.version,
            "cases": self.cases,
            "notes": self.notes,
            "routes": {
                route.name: {
                    "cases": self.routes[route.name],
                    "mentions": self.counted[route.name],
                    "opens": route.opens,
                }
                for route in self.plan.routes
            },
            "unrouted": self.counted[NOTHING],
            "systems": {name: load.told(hours) for name, load in sorted(self.systems.items())},
            "topics": {name: load.told(hours) for name, load in sorted(self.topics.items())},
            "cost": _cost(self.answers),
        }


class Rehearsal:
    """The same mentions under the plan in force and under a changed one."""

    def __init__(self, before: Plan | None, after: Plan) -> None:
        self.before, self.after = Trial(before) if before else None, Trial(after)
        self.mentions = self.unplaced = self.late = 0
        self.first = self.last = self.at = 0.0
        self._seen: set[int] = set()
        self._people: Counter[str] = Counter()
        self._changes: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], list[str]] = {}
        self._opened: dict[str, tuple[bool, bool]] = {}
        asked = self.after.router.fields() | (self.before.router.fields() if self.before else set())
        self.asks_person = any(path.startswith("person.") for path in asked)
        self.asks_intent = bool(asked & {"intent", "confidence"})

    def run(self, mentions: Iterable[Heard]) -> Iterator[int]:
        """Go through them in order of time; how many there were so far, now and then."""
        for heard in mentions:
            self._one(heard)
            if self.mentions % 500 == 0:
                yield self.mentions
        yield self.mentions

    def _one(self, heard: Heard) -> None:
        same = hash(heard.mention.id)
        if same in self._seen:
            return  # edited, or delivered twice: it was routed when it came in
        self._seen.add(same)
        self.mentions += 1
        if heard.at:
            self.late += heard.at < self.at
            self.at = heard.at
            self.first = min(self.first or heard.at, heard.at)
            self.last = max(self.last, heard.at)
        else:
            self.unplaced += 1
        person = self._person(heard)
        facts = heard.facts(min(self._people[person], MOST_COUNTED)) if person else heard.facts()
        key = digest(heard.mention.conversation)
        opened, route = self.after.hear(heard, facts, key)
        if person:
            self._people[person] += 1
        if self.before is None:
            return
        was_opened, was_route = self.before.hear(heard, facts, key)
        if opened or was_opened:
            had = self._opened.get(key, (False, False))
            self._opened[key] = (had[0] or was_opened, had[1] or opened)
        if route != was_route or opened != was_opened:
            change = (was_route, route)
            self._changes[change] += 1
            named = self._examples.setdefault(change, [])
            if len(named) < EXAMPLES:
                named.append(heard.mention.id)

    def _person(self, heard: Heard) -> str:
        """Whose posts are counted, if anybody asks."""
        author = heard.mention.author
        if not self.asks_person or author is None:
            return ""
        return digest(heard.mention.connector, heard.mention.authority or "", author.native_id)

    def told(self) -> dict[str, Any]:
        """Everything, as `--json` prints it."""
        before, hours = self.before, (self.last - self.first) / HOUR
        openings, otherwise = Counter(self._opened.values()), self._otherwise()
        return {
            "mentions": self.mentions,
            "from": _when(self.first),
            "to": _when(self.last),
            "summary": self.summary(openings, otherwise) + self._silence(),
            "would_open": openings[False, True] if before else self.after.cases,
            "would_not_open": openings[True, False],
            "otherwise": {name: otherwise[name] for name in ("systems", "topics", "handling")},
            "before": before.told(hours) if before else None,
            "after": self.after.told(hours),
            "changes": [
                {"from": was, "to": now, "mentions": count, "examples": self._examples[was, now]}
                for (was, now), count in self._changes.most_common()
            ],
            "notes": self.notes(),
        }

    def _otherwise(self) -> Counter[str]:
        """Of the cases that both plans open: how many are elsewhere, tell other people, or are handled otherwise."""
        found: Counter[str] = Counter()
        were = {key: (talk, route) for key, talk, route in self.before.ends()} if self.before else {}
        for key, talk, route in self.after.ends():
            if key in were:
                then, by = were[key]
                found["systems"] += then.systems != talk.systems
                found["topics"] += then.topic != talk.topic
                found["handling"] += _handling(by) != _handling(route)
        return found

    def summary(self, openings: Mapping[tuple[bool, bool], int], otherwise: Mapping[str, int]) -> str:
        """The sentence that an administrator reads first."""
        if self.before is None:
            return f"This plan would open {_cases(self.after.cases)}."
        more, fewer = openings.get((False, True), 0), openings.get((True, False), 0)
        moved = sum(count for (was, now), count in self._changes.items() if was != now)
        if not more and not fewer and not moved and not any(otherwise.values()):
            same = self.before.plan.effects == self.after.plan.effects
            return "This change would make no difference." if same else "This change would route everything as before."
        parts = [f"open {_cases(more)}"] if more else []
        parts += [f"leave {_cases(fewer)} unopened"] if fewer else []
        parts = parts or ["open the same cases"]
        said = [f"This change would {' and '.join(parts)}."]
        said += [f"{moved} mention{'s' * (moved != 1)} would take another route."] if moved else []
        said += [
            f"{_cases(otherwise[name])} {words}."
            for name, words in (
                ("systems", "would be in other systems"),
                ("topics", "would tell other people first"),
                ("handling", "would have other stand-bys, labels, priority or waits"),
            )
            if otherwise.get(name)
        ]
        return " ".join(said)

    def _silence(self) -> str:
        """What comes of all that where effects are off."""
        if not self.after.plan.effects:
            return " With Effects: off in the base plan NOTHING of it would go out."
        silent = self.before is not None and not self.before.plan.effects
        return (
            " It would switch effects on: the plan in force has Effects: off, and nothing goes out." if silent else ""
        )

    def notes(self) -> list[str]:
        """What the figures do not know."""
        said = []
        if self.asks_person:
            said.append("person.* counts only what is in this rehearsal: earlier posts of a person are not known.")
        if self.unplaced:
            said.append(f"{self.unplaced} mentions have no time; they count as one hour.")
        if self.late:
            said.append(f"{self.late} mentions are older than the one before them: put the file in order of time.")
        held = [name for name, system in self.after.plan.systems.items() if system.hold]
        said += [f"{name} is held (Hold: true): what is counted for it would wait." for name in held]
        if not self.after.plan.effects:
            said.append("The base plan says Effects: off: everything would be planned and nothing would go out.")
        said.append("Mentions that were removed at their source are left out; edited ones count with their last words.")
        return said


def _cost(answers: Mapping[str, Counter[str]]) -> list[dict[str, Any]]:
    """One answer to each case, for the connectors whose prices are known."""
    found = []
    for connector, units in sorted(answers.items()):
        prices = budget.prices(connector)
        if prices is not None:
            found.append(
                {
                    "connector": connector,
                    "what": "one answer to each case",
                    "answers": units.total(),
                    "amount": str(prices.cost(units)),
                    "currency": prices.currency,
                    "as_of": prices.as_of,
                }
            )
    return found


def _handling(route: Route) -> tuple[object, ...]:
    """What a route says beside the first system and topic."""
    later = (route.systems[1:], route.topics[1:])
    return (*later, route.labels, route.priority, route.coalesce, route.fail_over_after)


def _hour(number: int) -> str | None:
    return datetime.fromtimestamp(number * HOUR, UTC).strftime("%Y-%m-%dT%H:00Z") if number else None


def _cases(count: int) -> str:
    return f"{count} case{'s' * (count != 1)}"


def _when(at: float) -> str | None:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
