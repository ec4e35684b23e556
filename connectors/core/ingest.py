"""What becomes of a verified delivery: its events, taken in one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Deletion, Mention, Unsupported
from connectors.core.ports import Receiver

_FIRST_TIME = 1_000_000_000_000
"""Milliseconds: a version at least as great is the time of an edit, a smaller one counts edits."""


class Taken(StrEnum):
    """What taking in did."""

    OPENED = "opened"
    SAID = "said"
    EDITED = "edited"
    DELETED = "deleted"
    RESTORED = "restored"
    OWN = "own"
    """Our own post, outside any case: kept, and nothing follows."""
    DUPLICATE = "duplicate"
    REMOVED = "removed"
    """A post that its source has removed before we knew it: its identity is kept, its words are not."""
    UNSUPPORTED = "unsupported"
    ECHO = "echo"
    """An answer that we sent, seen at its source: the timeline has it already."""
    REMARKED = "remarked"
    ANSWERED = "answered"
    MOVED = "moved"
    UNKNOWN_RECORD = "unknown record"
    """An update of a record that stands for no case of ours, or not yet: it may be faster than we are."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a delivery came from: one of the administrators' sources, or of their systems of record."""

    source: str
    connector: str


NEWS = frozenset({Taken.OPENED, Taken.SAID, Taken.OWN, Taken.EDITED, Taken.DELETED})
"""What a source said and nobody had heard before."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a delivery. `early` are updates of records that are not known to stand for a case, yet or ever;
    `news` are the events that were not known before, with what they came to."""

    counts: Counter[Taken] = field(default_factory=Counter)
    early: list[AnyEvent] = field(default_factory=list)
    news: list[tuple[AnyEvent, Taken]] = field(default_factory=list)


class Intake(Protocol):
    """Where events are kept, once each."""

    def take_in(self, event: AnyEvent, origin: Origin, raw: bytes) -> Taken: ...


def read(receiver: Receiver, connector: str, delivery: Delivery) -> Sequence[AnyEvent]:
    """The events of a delivery. One that is not what its vendor documents is set aside, not refused: it was signed."""
    try:
        return receiver.parse(delivery)
    except PayloadError as error:
        return [Unsupported(connector=connector, event="malformed", reason=str(error))]


def ingest(
    events: Sequence[AnyEvent],
    origin: Origin,
    delivery: Delivery,
    intake: Intake,
) -> Ingested:
    """Take in events; how many came to what. The raw delivery is kept with its only event; of many, each keeps its
    normalised form, so that one person's words never lie with another's."""
    done = Ingested()
    for event in events:
        raw = delivery.body if len(events) == 1 else b""
        taken = intake.take_in(event, origin, raw)
        done.counts[taken] += 1
        if taken is Taken.UNKNOWN_RECORD:
            done.early.append(event)
        if taken in NEWS:
            done.news.append((event, taken))
    return done


def missed(
    news: Sequence[tuple[AnyEvent, Taken]], pushed_since: int | None, asked_at: int, chance: float
) -> list[AnyEvent]:
    """Of what a poll brought and nobody had heard before, that which the source's webhook should have told.

    It has had its chance where the thing happened after the webhook was first heard (`pushed_since`, None for never)
    and at least `chance` seconds before the poll (`asked_at`); both in milliseconds. What does not say when it happened
    is not held against anybody: an edit, where versions are counted and not timed."""
    if pushed_since is None:
        return []
    last = asked_at - int(chance * 1000)
    return [event for event, taken in news if (at := _happened(event, taken)) and pushed_since <= at <= last]


def _happened(event: AnyEvent, taken: Taken) -> int | None:
    """When, in milliseconds, as far as the event tells."""
    if isinstance(event, Mention):
        if taken is Taken.EDITED:
            return event.version if event.version >= _FIRST_TIME else None
        return int(event.created_at.timestamp() * 1000) if event.created_at else None
    if isinstance(event, Deletion) and event.deleted_at:
        return int(event.deleted_at.timestamp() * 1000)
    return None
