"""Cases, their timelines and the words of their mentions: how they lie in the table, and how they are read."""

from __future__ import annotations

import json
import time
from collections.abc import Container, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from connectors.aws.blobs import Blobs, expand
from connectors.aws.open_notes import marks
from connectors.aws.people import People
from connectors.aws.table import Item, Table
from connectors.core.case import SHARDS, Case, CaseEvent, Effect, Happening, shard
from connectors.core.compose import Post
from connectors.core.errors import ConflictError
from connectors.core.facts import MOST_COUNTED, Facts, facts
from connectors.core.identity import case_id, qualify
from connectors.core.models import Mention

_WATCHED = ("plan_version", "route", "engaged", "retired", "gather_until")
_ROUTED = (
    *_WATCHED,
    "systems",
    "topics",
    "joined",
    "fail_over_after",
    "labels",
    "priority",
    "coalesce",
    "shadowed",
)
"""What dispatching decides of a case."""
_BACK = 50
"""Posts of a case that are looked through for the one that an answer is for."""


def mention_key(mention: str) -> tuple[str, str]:
    """Where a mention's identity lies."""
    return f"MENTION#{mention}", "META"


def event_key(event: CaseEvent) -> tuple[str, str]:
    """Where an event lies: by time, then by id. One partition until a case grows."""
    return f"CASE#{event.case}#0", f"EVENT#{event.at:015d}#{event.id}"


def effect_key(case: str, effect: str) -> tuple[str, str]:
    """Where a line of the ledger lies."""
    return f"CASE#{case}", f"EFFECT#{effect}"


def keep_until(now: int, days: int) -> int:
    """When DynamoDB may remove an item: seconds since the epoch, from milliseconds and days."""
    return now // 1000 + days * 86_400


def due(case: str, due_at: int | None) -> Item:
    """The attributes that put an item into the *due* index, or take it out."""
    return {} if due_at is None else {"due_shard": str(shard(case)), "due_at": due_at}


def event_item(event: CaseEvent) -> Item:
    """An event as it lies in the table."""
    pk, sk = event_key(event)
    row = event.model_dump(mode="json", exclude_none=True, exclude={"due_at"})
    return {"pk": pk, "sk": sk, "type": "event", **row, **due(event.case, event.due_at)}


def effect_item(effect: Effect) -> Item:
    """A line of the ledger as it lies in the table."""
    pk, sk = effect_key(effect.case, effect.id)
    row = effect.model_dump(mode="json", exclude_none=True, exclude={"due_at"})
    return {"pk": pk, "sk": sk, "type": "effect", **row, **due(effect.case, effect.due_at)}


class Cases:
    """Reads cases and plans what follows from their events."""

    def __init__(self, table: Table, blobs: Blobs) -> None:
        self._table, self._blobs = table, blobs
        self.people = People(table, lambda: int(time.time() * 1000))

    def case(self, case: str) -> Case | None:
        """A case, or None."""
        item = self._table.get(f"CASE#{case}", "META")
        return Case.model_validate(item) if item else None

    def timeline(self, case: str) -> Iterator[CaseEvent]:
        """Everything that happened, oldest first."""
        for item in self._table.query(f"CASE#{case}#0", "EVENT#"):
            yield CaseEvent.model_validate(item)

    def asked(self, case: str, until: int) -> str | None:
        """See `connectors.core.dispatch.CaseStore.asked`. Looks back over `_BACK` posts at most."""
        newest: Item | None = None
        person: Container[str] = ()
        spoken = (
            CaseEvent.model_validate(item)
            for item in self._table.query(f"CASE#{case}#0", "EVENT#", newest=True)
            if item["kind"] in {Happening.OPENED, Happening.SAID} and item["at"] <= until
        )
        for event in islice(spoken, _BACK):
            post = self._table.get(*mention_key(event.mention or "")) or {}
            if post.get("own") or post.get("removed") is not None or "conversation" not in post:
                continue
            allowed = post.get("reply_capability", "allowed") == "allowed"
            if newest is None:
                newest = {**post, "id": event.mention}
                person = () if allowed else self._handles(post.get("author_key"))
            elif post.get("author_key") not in person:
                continue
            if allowed:
                return event.mention
        return newest["id"] if newest else None

    def _handles(self, handle: str | None) -> Container[str]:
        """Whose posts are the same person's, as far as anybody linked them."""
        if handle is None:
            return ()
        person = self.people.circle(handle).person
        return person.ways if person.whole else (handle,)

    def place(self, case: Case, mention: str) -> str:
        """See `connectors.core.dispatch.CaseStore.place`."""
        conversation = (self._table.get(*mention_key(mention)) or {}).get("conversation", case.conversation)
        if conversation == case.conversation:
            return case.source
        return str((self._table.get(f"CONVERSATION#{conversation}", "META") or {}).get("source", case.source))

    def effects(self, case: str) -> list[Effect]:
        """The whole ledger of a case, oldest plan first."""
        found = (Effect.model_validate(item) for item in self._table.query(f"CASE#{case}", "EFFECT#"))
        return sorted(found, key=lambda effect: (effect.planned_at, effect.id))

    def newest(self, limit: int, state: str = "open") -> list[Case]:
        """The cases of a state that changed last."""
        found = [
            Case.model_validate(item)
            for number in range(SHARDS)
            for item in self._table.query_index(
                "state",
                "state_shard = :s",
                {":s": f"{state}#{number}"},
                newest=True,
                limit=limit,
            )
        ]
        return sorted(found, key=lambda case: case.updated_at, reverse=True)[:limit]

    def mention(self, mention: str) -> tuple[Item | None, Mention | None]:
        """What is known of a mention, and its newest words unless they were removed."""
        pk, sk = mention_key(mention)
        meta = self._table.get(pk, sk)
        if meta is None or meta.get("removed") is not None:
            return meta, None
        for text in self._table.query(pk, "TEXT#", newest=True, limit=1):
            if "body" in text:
                return meta, Mention.model_validate_json(expand(text["body"]))
            if "blob" in text and (packed := self._blobs.find(text["blob"])) is not None:
                return meta, Mention.model_validate(json.loads(expand(packed))["body"])
        return meta, None

    def identity(self, mention: str) -> Mention | None:
        """A mention as far as its identity goes, which outlives its words: where it is, and who was told. None for one
        that was never taken in, or not further than its removal."""
        meta = self._table.get(*mention_key(mention))
        if meta is None or "conversation" not in meta:
            return None
        authority = meta.get("authority")
        return Mention(
            connector=meta["connector"],
            authority=authority,
            native_id=meta["native_id"],
            conversation_id=meta["conversation"].removeprefix(qualify(meta["connector"], authority, "")),
            parent_id=meta.get("parent"),
            url=meta.get("url"),
            own=bool(meta.get("own")),
            reply_capability=meta.get("reply_capability", "allowed"),
        )

    def removed(self, mention: str) -> bool:
        """Whether a mention was removed at its source."""
        return (self._table.get(*mention_key(mention)) or {}).get("removed") is not None

    def post(self, mention: str) -> Post | None:
        """A mention as people read it; its words are None once they were removed."""
        meta, words = self.mention(mention)
        if meta is None:
            return None
        author = words.author if words else None
        handle = f"@{author.handle}" if author and author.handle else author.native_id if author else None
        name = f"{handle} ({author.name})" if author and author.name and author.name != author.handle else handle
        said = words.created_at if words else None
        return Post(
            id=mention,
            version=int(meta["version"]),
            author=name,
            title=words.title if words else None,
            text=words.text if words else None,
            url=meta.get("url"),
            said_at=said.strftime("%Y-%m-%d %H:%M UTC") if said else None,
            own=bool(meta.get("own")),
            elsewhere=self._elsewhere(meta),
            answerable=not meta.get("own") and meta.get("reply_capability", "allowed") == "allowed",
        )

    def _elsewhere(self, meta: Item) -> str | None:
        """The source of a conversation that joined a case: one that did not has the case that is named after it."""
        conversation = meta.get("conversation")
        if conversation is None or meta.get("case") in {None, case_id(conversation)}:
            return None
        return (self._table.get(f"CONVERSATION#{conversation}", "META") or {}).get("source")

    def known(self, effects: Sequence[Effect]) -> set[str]:
        """The ids of those effects that the ledger has already."""
        keys = [effect_key(effect.case, effect.id) for effect in effects]
        return {item["id"] for item in self._table.get_many(keys)}

    def undispatched(self, events: Sequence[CaseEvent]) -> list[CaseEvent]:
        """Those of the events that are still due."""
        waiting = {
            (item["pk"], item["sk"])
            for item in self._table.get_many([event_key(event) for event in events])
            if "due_at" in item
        }
        return [event for event in events if event_key(event) in waiting]

    def facts(self, case: Case, mention: str, person: bool) -> Facts | None:
        """See `connectors.core.dispatch.CaseStore.facts`."""
        meta, words = self.mention(mention)
        if meta is None or words is None or meta.get("own"):
            return None
        sure = meta.get("intent_sure")
        return facts(
            words,
            sorted(meta.get("sources", ())) or case.source,
            intent=meta.get("intent"),
            confidence=None if sure is None else float(sure),
            person_mentions=self._said_before(meta) if person else None,
        )

    def _said_before(self, meta: Item) -> int | None:
        """What the same author said before, by the index and so perhaps a little less; at most `MOST_COUNTED`."""
        if meta.get("author_key") is None:
            return None
        found = self._table.query_index(
            "author",
            "author_key = :a AND seen_at <= :t",
            {":a": meta["author_key"], ":t": meta["seen_at"]},
            newest=True,
            limit=MOST_COUNTED + 1,
        )
        return min(len([entry for entry in found if entry["pk"] != meta["pk"]]), MOST_COUNTED)

    def plan(
        self,
        case: Case,
        events: Sequence[CaseEvent],
        effects: Sequence[Effect],
        said: Sequence[CaseEvent] = (),
        before: Case | None = None,
    ) -> None:
        """See `connectors.core.dispatch.CaseStore.plan`."""
        actions = [self._table.put_action(effect_item(effect), "attribute_not_exists(pk)") for effect in effects]
        actions += marks(self._table, effects)
        actions += [
            self._table.update_action(
                *event_key(event),
                "REMOVE due_shard, due_at",
                condition="attribute_exists(due_at)",
            )
            for event in events
        ]
        actions += [self._table.put_action(event_item(line), "attribute_not_exists(pk)") for line in said]
        if before is not None:
            actions.append(self._routed(before, case))
        if actions:
            self._table.transact(actions)

    def _routed(self, before: Case, after: Case) -> Item:
        """Where a case goes, if it still went where it did: whatever changes that, changes one of `_WATCHED`."""
        wanted = {name: _kept(after, name) for name in _ROUTED if _kept(after, name) != _kept(before, name)}
        if after.state != before.state:
            wanted |= {"state": after.state, "state_shard": f"{after.state}#{shard(after.id)}"}
        values: Item = {f":{name}": value for name, value in wanted.items()}
        condition = "attribute_exists(pk)"
        watched = [*_WATCHED, *(["state"] if after.state != before.state else [])]
        for name in watched:
            was = _kept(before, name)
            if was in (None, [], 0):
                values[f":none_{name}"] = [] if was == [] else 0
                condition += f" AND (attribute_not_exists(#{name}) OR #{name} = :none_{name})"
            else:
                values[f":was_{name}"] = was
                condition += f" AND #{name} = :was_{name}"
        change = "SET " + ", ".join(f"#{name} = :{name}" for name in wanted)
        action = self._table.update_action(f"CASE#{before.id}", "META", change, values, condition)
        # Some of these are words that DynamoDB keeps to itself.
        action["Update"]["ExpressionAttributeNames"] = {f"#{name}": name for name in {*wanted, *watched}}
        return action

    def postpone(self, event: CaseEvent, until: int) -> None:
        """Have `wake_due` look at an event again at `until` milliseconds: behind all that is due before."""
        try:
            self._table.update(
                *event_key(event),
                "SET due_at = :until",
                {":until": until},
                "attribute_exists(due_at)",
            )
        except ConflictError:
            return  # dispatched meanwhile: nothing is waiting


def _kept(case: Case, name: str) -> Any:
    """A field of a case as it lies in the table."""
    value = getattr(case, name)
    return list(value) if isinstance(value, tuple) else Decimal(str(value)) if isinstance(value, float) else value
