"""Taking in: what a source says becomes mentions, conversations, cases and events, once each.

Decides by conditional writes alone; the loser of a race re-reads. A mention's words stand in one place, its `TEXT#`
items; everything else carries ids. Plans no effects: the event that it writes is due, and dispatching does that.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

from connectors.aws import echoes
from connectors.aws.blobs import INLINE, Blobs, squeeze
from connectors.aws.cases import event_item, keep_until, mention_key
from connectors.aws.openings import Openings
from connectors.aws.people import People
from connectors.aws.reopening import Reopening
from connectors.aws.table import Item, Table
from connectors.aws.updates import Updates, update_id
from connectors.core.case import CaseEvent, Happening, shard
from connectors.core.compose import moment
from connectors.core.errors import ConflictError
from connectors.core.identity import digest
from connectors.core.ingest import Kept, Origin, Taken
from connectors.core.models import Deletion, Mention, RecordUpdate, Unsupported
from connectors.core.people import handle_of
from connectors.core.understanding import Understanding

_TRIES = 12
MOST = 90
"""Versions of one post that are emptied at once: with what goes along they must fit into one transaction."""
_LONGEST_URL = 2_000
_LONGEST_NAME = 200
"""Characters of an event's name that are kept: it is part of a sort key, which takes 1 KB."""
_CAPABLE = ("none", "sync_only", "summoned_only", "needs_approval", "allowed")
"""What may be answered, least first."""
IDENTITY_DAYS = 400
"""How long a mention's identity is kept against duplicates; a case may live as long."""


class Intake:
    """Writes what comes in. `grace` is in seconds: how long an event waits for the stream before it is due."""

    def __init__(
        self,
        table: Table,
        blobs: Blobs,
        *,
        now: Callable[[], int],
        grace: float = 60.0,
        text_days: int = 90,
        sleep: Callable[[float], None] = time.sleep,
        understanding: Understanding | None = None,
    ) -> None:
        self._table, self._blobs, self._now = table, blobs, now
        self._grace, self._text_days, self._sleep = int(grace * 1000), text_days, sleep
        self._updates = Updates(table, blobs, now=now, grace=self._grace, text_days=text_days)
        self._reopening = Reopening(table, grace=self._grace)
        self._understanding = understanding
        self._people = People(table, now)
        self._openings = Openings(table, self._people)

    def take_in(self, event: Kept, origin: Origin, raw: bytes) -> Taken:
        """Keep one event. The same event again changes nothing."""
        if isinstance(event, Unsupported):
            return self._set_aside(event, origin, raw)
        spilled: set[str] = set()
        for attempt in range(_TRIES):
            try:
                if isinstance(event, RecordUpdate):
                    taken = self._updates.take_in(event, origin.source)
                    if event.status is not None and taken in {Taken.MOVED, Taken.DUPLICATE}:
                        self._reopening.after_move(update_id(origin.source, event), self._now())
                    return taken
                if isinstance(event, Deletion):
                    return self._remove(event, origin)
                taken = self._mention(event, origin, raw, spilled)
            except ConflictError:
                self._sleep(random.uniform(0, min(1.0, 0.02 * 2**attempt)))  # noqa: S311 - spreads retries
                continue
            if spilled and taken in {Taken.REMOVED, Taken.DUPLICATE}:
                self._drop(event, spilled)
            if taken in {Taken.SAID, Taken.DUPLICATE}:
                self._reopening.after_post(event.id, self._now())
            return taken
        raise ConflictError(f"{_TRIES} writers were faster for {event.id}")

    def _drop(self, event: Mention | Deletion, spilled: set[str]) -> None:
        """Another writer was faster than the words that we put aside for this post: they go, unless it used them."""
        version = event.version if isinstance(event, Mention) else 0
        kept = self._table.get(*_text_key(event.id, version)) or {}
        for blob in spilled - {kept.get("blob")}:
            self._blobs.delete(blob)

    def _mention(self, mention: Mention, origin: Origin, raw: bytes, spilled: set[str]) -> Taken:
        known = self._table.get(*mention_key(mention.id))

        def text() -> Item:
            row = self._text(mention, raw, self._now())
            spilled.update({row["blob"]} if "blob" in row else ())
            return row

        if known is None:
            return self._first(mention, origin, None, text)
        removed = known.get("removed")
        if removed is not None:
            if not mention.restored or mention.order <= removed:
                return Taken.REMOVED
            if "conversation" not in known:
                return self._first(mention, origin, known, text)
            return self._next(mention, origin, known, text, Happening.RESTORED, mention.order)
        if mention.version > known["version"]:
            return self._next(mention, origin, known, text, Happening.EDITED, mention.version)
        if _reworded(mention, known):
            return self._next(mention, origin, known, text, Happening.REWORDED, mention.order)
        return self._again(mention, origin, known)

    def _again(self, mention: Mention, origin: Origin, known: Item) -> Taken:
        """Nothing new is said. What else the event tells is kept: who saw it, that a source brought it back before we
        heard of its removal, and how new these words are."""
        beside: Item = {"sources": set(known.get("sources", ())) | {origin.source}}
        if mention.restored:
            beside["restored_order"] = max(mention.order, known.get("restored_order", 0))
        if mention.version == known["version"]:
            beside["event_order"] = max(mention.order, known["event_order"])
        if _CAPABLE.index(mention.reply_capability) > _CAPABLE.index(known.get("reply_capability", "allowed")):
            beside["reply_capability"] = (
                mention.reply_capability
            )  # a search finds a post that the webhook knows more of
        news = {name: value for name, value in beside.items() if value != known.get(name)}
        told = "polled_first" in known and not origin.polled and mention.version == known["version"]
        if news or told:
            changes = ", ".join(["rev = rev + :one", *(f"{name} = :{name}" for name in news)])
            condition, values = _unmoved(known)
            values |= {":one": 1, **{f":{name}": value for name, value in news.items()}}
            gone = " REMOVE polled_first" if told else ""
            self._table.update(*mention_key(mention.id), f"SET {changes}{gone}", values, condition)
        return Taken.DUPLICATE

    def _first(self, mention: Mention, origin: Origin, known: Item | None, text: Callable[[], Item]) -> Taken:
        conversation = self._table.get(f"CONVERSATION#{mention.conversation}", "META")
        now = self._now()
        new = None if conversation or mention.own else self._openings.of(mention, origin.source, now)
        case = conversation["case"] if conversation else new.case if new else None
        # A tombstone that was there first is replaced by the post that its source brought back, and by nothing else.
        condition, values = _unmoved(known)
        meta = self._meta(mention, origin, case, now) | {"rev": _rev(known) + 1}
        actions = [self._table.put_action(meta, condition, values), self._table.put_action(text())]
        if case is None:
            self._table.transact(actions)
            return Taken.OWN
        if mention.own and conversation and (answer := echoes.answer(self._table, case, mention)):
            # The timeline and the record where it was written have it already; docs/adr/0043.
            self._table.transact([self._table.put_action({**meta, "answer": answer.id}, condition, values), actions[1]])
            return Taken.ECHO
        kind, detail = (new.kind, new.detail) if new else (Happening.SAID, {})
        if mention.own:
            if not origin.last and echoes.under_way(self._table, case, mention):
                return Taken.UNCLEAR
            kind = Happening.ANSWERED_THERE
        actions += new.actions if new else []
        said = {**_said_at(mention), **detail}
        actions.append(self._event(case, kind, mention.id, mention.version, now, said))
        self._table.transact(actions)
        return Taken(kind.value)

    def _next(
        self, mention: Mention, origin: Origin, known: Item, text: Callable[[], Item], kind: Happening, number: int
    ) -> Taken:
        now = self._now()
        fields = {k: v for k, v in self._meta(mention, origin, known.get("case"), now).items() if v is not None}
        if "restored_order" in known:
            fields["restored_order"] = max(known["restored_order"], fields.get("restored_order", 0))
        fields |= {"sources": set(known.get("sources", ())) | {origin.source}, "first_seen": known["first_seen"]}
        fields |= {"answer": known["answer"]} if "answer" in known else {}
        fields["rev"] = _rev(known) + 1
        condition, values = _unmoved(known)
        words = text()
        before = self._table.get(words["pk"], words["sk"]) or {}
        actions = [self._table.put_action(fields, condition, values), self._table.put_action(words)]
        if case := known.get("case"):
            actions.append(self._event(case, kind, mention.id, number, now))
        self._table.transact(actions)
        if "blob" in before and before["blob"] != words.get("blob"):
            self._blobs.delete(before["blob"])
        if not case:
            return Taken.OWN
        return Taken.EDITED if kind is Happening.REWORDED else Taken(kind.value)

    def _remove(self, deletion: Deletion, origin: Origin) -> Taken:
        known = self._table.get(*mention_key(deletion.id))
        now = self._now()
        stone: Item = {
            "pk": mention_key(deletion.id)[0],
            "sk": "META",
            "type": "mention",
            "connector": deletion.connector,
            "native_id": deletion.native_id,
            "authority": deletion.authority,
            "removed": deletion.order,
            "removed_at": moment(int(deletion.deleted_at.timestamp() * 1000)) if deletion.deleted_at else moment(now),
            "version": -1,
            "sources": {origin.source},
            "first_seen": now,
            "expires_at": keep_until(now, IDENTITY_DAYS),
            "rev": _rev(known) + 1,
        }
        if known is None:
            if not origin.fetched:  # anybody may have hinted at it, see docs/adr/0080
                self._table.put(stone, *_unmoved(None))
            return Taken.REMOVED
        if known.get("removed") is not None:
            if deletion.order > known["removed"]:
                condition, values = _unmoved(known)
                values |= {":removed": deletion.order, ":rev": known["rev"] + 1}
                self._table.update(*mention_key(deletion.id), "SET removed = :removed, rev = :rev", values, condition)
                known["rev"] += 1
            self._clear(deletion.id, known["rev"])  # should the first removal have broken off
            return Taken.DUPLICATE
        if deletion.order <= known.get("restored_order", -1):
            return Taken.DUPLICATE  # the source brought the post back after this deletion
        return self._purge(deletion, stone, known, origin, now)

    def _purge(self, deletion: Deletion, stone: Item, known: Item, origin: Origin, now: int) -> Taken:
        """The words go, with who said them; the identity, the case and the address stay."""
        kept = ("conversation", "case", "url", "first_seen", "own", "answer", "seen_at", "day_shard")
        stone |= {name: known[name] for name in kept if name in known}
        stone["sources"] = set(known.get("sources", ())) | {origin.source}
        actions = [self._table.put_action(stone, *_unmoved(known))]
        # The words in the table go at once; the names of those in S3 stay until they are gone too, see `_clear`.
        texts = self._texts(deletion.id)[:MOST]
        actions += [self._table.put_action(_emptied(text, keep_blob=True)) for text in texts]
        if case := known.get("case"):
            actions.append(self._event(case, Happening.DELETED, deletion.id, deletion.order, now))
            if handle := known.get("author_key"):
                actions += self._people.no_longer(handle, known["first_seen"], case, now)
        self._table.transact(actions)
        self._clear(deletion.id, stone["rev"])
        return Taken.DELETED

    def _clear(self, mention: str, rev: int) -> None:
        """Remove every word of a removed mention that is still there, in S3 and in the table. Raises ConflictError if
        its source brings it back meanwhile."""
        texts = self._texts(mention)
        for start in range(0, len(texts), MOST):
            part = texts[start : start + MOST]
            for text in part:
                if "blob" in text:
                    self._blobs.delete(text["blob"])
            still = self._table.check_action(*mention_key(mention), "rev = :rev", {":rev": rev})
            self._table.transact([still, *(self._table.put_action(_emptied(text)) for text in part)])

    def _texts(self, mention: str) -> list[Item]:
        """The versions that still have words."""
        pk, _ = mention_key(mention)
        return [text for text in self._table.query(pk, "TEXT#") if text.keys() & {"body", "raw", "blob"}]

    def _event(
        self, case: str, kind: Happening, mention: str, version: int, now: int, detail: dict[str, str] | None = None
    ) -> Item:
        event = CaseEvent(
            case=case,
            id=digest(mention, kind, str(version)),
            kind=kind,
            at=now,
            mention=mention,
            version=version,
            detail=detail or {},
            due_at=now + self._grace,
        )
        return self._table.put_action(event_item(event), "attribute_not_exists(pk)")

    def _meta(self, mention: Mention, origin: Origin, case: str | None, now: int) -> Item:
        return {
            "pk": mention_key(mention.id)[0],
            "sk": "META",
            "type": "mention",
            "connector": mention.connector,
            "authority": mention.authority,
            "native_id": mention.native_id,
            "conversation": mention.conversation,
            "parent": mention.parent_id,
            "version": mention.version,
            "own": mention.own,
            "reply_capability": mention.reply_capability,
            "restored_order": mention.order if mention.restored else None,
            "event_order": mention.order,
            "polled_first": True if origin.polled else None,  # see `gaps`
            "words": digest(mention.text),
            "url": mention.url if len(mention.url or "") <= _LONGEST_URL else None,
            "case": case,
            "sources": {origin.source},
            "first_seen": now,
            "seen_at": moment(now),
            "author_key": handle_of(mention),
            "day_shard": f"{moment(now)[:10]}#{shard(mention.id)}",
            "expires_at": keep_until(now, IDENTITY_DAYS),
            **self._understood(mention),
        }

    def _understood(self, mention: Mention) -> Item:
        """What a customer's post wants, as far as a machine can tell. It is looked at once, when its words come in."""
        if self._understanding is None or mention.own:
            return {}
        verdict = self._understanding.understand(mention.text or mention.title or "", mention.language)
        if verdict.intent is None:
            return {}
        sure = Decimal(str(round(verdict.confidence, 3)))
        return {"intent": verdict.intent, "intent_sure": sure, "intent_model": verdict.model}

    def _text(self, mention: Mention, raw: bytes, now: int) -> Item:
        """The only copy of the words: the normalised mention and the raw delivery, packed; in S3 where large."""
        pk, sk = _text_key(mention.id, mention.version)
        row: Item = {"pk": pk, "sk": sk, "type": "text", "version": mention.version}
        row["expires_at"] = keep_until(now, self._text_days)
        body, packed_raw = squeeze(mention.model_dump_json().encode()), squeeze(raw)
        if len(body) + len(packed_raw) <= INLINE:
            return {**row, "body": body, "raw": packed_raw}
        both = json.dumps({"body": mention.model_dump(mode="json"), "raw": raw.decode("utf-8", "replace")})
        row["blob"] = f"text/{digest(mention.id, length=32)}/{mention.version}-{digest(both, length=24)}"
        self._blobs.put(row["blob"], squeeze(both.encode("utf-8", "surrogatepass")))
        return row

    def _set_aside(self, event: Unsupported, origin: Origin, raw: bytes) -> Taken:
        if event.keep_raw:
            packed, name = squeeze(raw), digest(origin.source, raw.decode("utf-8", "replace"), length=24)
            row: Item = {
                "pk": f"UNSUPPORTED#{origin.source}",
                "sk": f"{event.event[:_LONGEST_NAME]}#{name}",
                "type": "unsupported",
                "event": event.event[:_LONGEST_NAME],
                "reason": event.reason,
                "at": self._now(),
                "expires_at": keep_until(self._now(), self._text_days),
            }
            if len(packed) <= INLINE:
                row["raw"] = packed
            else:
                row["blob"] = f"text/unsupported/{name}"
                self._blobs.put(row["blob"], packed)
            with suppress(ConflictError):  # it is kept already, since it first came
                self._table.put(row, "attribute_not_exists(pk)")
        return Taken.UNSUPPORTED


def _said_at(mention: Mention) -> dict[str, str]:
    """When it was said, which may be a while before we heard of it; for a timeline's event."""
    return {"at": str(int(mention.created_at.timestamp() * 1000))} if mention.created_at else {}


def _reworded(mention: Mention, known: Item) -> bool:
    """A newer event with other words under the same version: Discourse counts no version for an edit made within
    minutes of the post (`PostRevisor#ninja_edit?` in its source), and tells us of it all the same."""
    same_version = mention.version == known["version"]
    return same_version and mention.order > known.get("event_order", 0) and digest(mention.text) != known.get("words")


def _emptied(text: Item, *, keep_blob: bool = False) -> Item:
    """A version without its words. Emptied, not deleted: no function may delete items."""
    names = ("pk", "sk", "type", "version", "expires_at", *(("blob",) if keep_blob else ()))
    return {name: text[name] for name in names if name in text}


def _text_key(mention: str, version: int) -> tuple[str, str]:
    return mention_key(mention)[0], f"TEXT#{version:020d}"


def _rev(known: Item | None) -> int:
    return int(known["rev"]) if known else 0


def _unmoved(known: Item | None) -> tuple[str, Item]:
    """The condition that nobody wrote a mention since it was read: every write of it counts `rev` up."""
    return ("rev = :known", {":known": known["rev"]}) if known else ("attribute_not_exists(pk)", {})
