"""What a new conversation becomes: a case of its own, or part of the open one that the same person has already.

Looks, and says what is to be written; `intake` writes it in one transaction with the post. A conversation that is known
is never moved to another case.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.aws.people import Circle, People
from connectors.aws.table import Item, Table
from connectors.core.case import Happening, shard
from connectors.core.compose import moment
from connectors.core.identity import case_id
from connectors.core.models import Mention
from connectors.core.people import Link, handle_of, is_identity

OPEN = ("open", "pending")
"""States of a case that is joined: somebody works on it, or waits for just this customer."""
_ASKED = 20
"""Cases of one handle that are looked at, newest first."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Which case a new conversation belongs to, and what is written beside the post. `detail`: for the timeline."""

    case: str
    kind: Happening
    actions: list[Item]
    detail: dict[str, str] = field(default_factory=dict)


class Openings:
    """Times in milliseconds. Costs one read where the person has no links and no number."""

    def __init__(self, table: Table, people: People) -> None:
        self._table, self._people = table, people

    def of(self, mention: Mention, source: str, now: int) -> Opening:
        """What a customer's first post of a conversation does."""
        handle = handle_of(mention)
        if handle is None:
            return self._own(mention, source, now)
        circle = self._people.circle(handle)
        known = circle.known[handle]
        if not is_identity(handle) and known.rev is None:
            return self._own(mention, source, now)
        if not circle.person.whole:
            opening = self._own(mention, source, now)
            opening.actions.extend(self._people.opened(known, opening.case, now))
            opening.detail["not_joined"] = f"more than {len(circle.person.handles)} handles are linked: nobody is sure"
            return opening
        if (found := self._open_case(circle, handle)) is not None:
            return self._joined(found[0], found[1], circle, mention, source, now)
        opening = self._own(mention, source, now)
        opening.actions.extend(self._people.opened(known, opening.case, now))
        opening.actions.extend(self._people.guards(circle, but=handle))
        return opening

    def _own(self, mention: Mention, source: str, now: int) -> Opening:
        """A case of its own."""
        case = case_id(mention.conversation)
        row: Item = {
            "pk": f"CASE#{case}",
            "sk": "META",
            "type": "case",
            "id": case,
            "state": "open",
            "conversation": mention.conversation,
            "connector": mention.connector,
            "source": source,
            "first_mention": mention.id,
            "opened_at": now,
            "updated_at": moment(now),
            "state_shard": f"open#{shard(case)}",
        }
        new = self._table.put_action(row, "attribute_not_exists(pk)")
        return Opening(case, Happening.OPENED, [self._lock(mention, source, case, now), new])

    def _joined(
        self, case: str, way: tuple[Link, ...], circle: Circle, mention: Mention, source: str, now: int
    ) -> Opening:
        """Part of a case that is still open when it is written, by links that still hold."""
        self._people.used(way, now)
        still = self._table.check_action(
            f"CASE#{case}", "META", "#state IN (:open, :pending)", {f":{state}": state for state in OPEN}
        )
        still["ConditionCheck"]["ExpressionAttributeNames"] = {"#state": "state"}  # DynamoDB keeps the word to itself
        why = {"joined": "link", "evidence": " ".join(link.evidence[-1].id for link in way)}
        actions = [self._lock(mention, source, case, now), still, *self._people.guards(circle)]
        return Opening(case, Happening.SAID, actions, why if way else {"joined": "number"})

    def _lock(self, mention: Mention, source: str, case: str, now: int) -> Item:
        """The conversation; its source is where its posts are answered."""
        row: Item = {"pk": f"CONVERSATION#{mention.conversation}", "sk": "META", "type": "conversation"}
        row |= {"case": case, "source": source, "first_seen": now}
        return self._table.put_action(row, "attribute_not_exists(pk)")

    def _open_case(self, circle: Circle, handle: str) -> tuple[str, tuple[Link, ...]] | None:
        """The open case with the latest activity that one of the person's handles opened, and the links that lead
        there. Of a handle that is no identity its own cases do not count: two threads of one account are two cases."""
        ways: dict[str, tuple[Link, ...]] = {}
        for other, way in circle.person.ways.items():
            if other != handle or is_identity(handle):
                for _, case in circle.known[other].cases[:_ASKED]:
                    ways.setdefault(case, way)
        rows = self._table.get_many([(f"CASE#{case}", "META") for case in ways])
        standing = [row["id"] for row in rows if row.get("state", "open") in OPEN]
        if not standing:
            return None
        last = standing[0] if len(standing) == 1 else max(standing, key=lambda case: (self._activity(case), case))
        return last, ways[last]

    def _activity(self, case: str) -> int:
        newest = self._table.query(f"CASE#{case}#0", "EVENT#", newest=True, limit=1)
        return max((int(event["at"]) for event in newest), default=0)
