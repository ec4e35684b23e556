"""What becomes of a verified delivery: its events, taken in one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Deletion, Hint, Mention, RecordUpdate, Unsupported
from connectors.core.ports import Receiver

UNREAD = "malformed"
"""The event of a delivery that is not what its vendor documents: signed, kept, and for a person to look at."""


Kept = Mention | Deletion | RecordUpdate | Unsupported
"""What can be taken in. A hint cannot: it has to be fetched."""


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
    ANSWERED_THERE = "answered there"
    """Our own post in a case's conversation that Hailback did not send."""
    UNCLEAR = "unclear"
    """Our own post while an answer of ours is on its way: it may be that one, seen before its receipt."""
    HINTED = "hinted"
    """Nothing is taken in yet: it has to be fetched first."""
    REMARKED = "remarked"
    ANSWERED = "answered"
    MOVED = "moved"
    UNKNOWN_RECORD = "unknown record"
    """An update of a record that stands for no case of ours, or not yet: it may be faster than we are."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a delivery came from: one of the administrators' sources, or of their systems of record. `polled`: the
    source was asked, it did not tell. `last`: it does not come back, should it have come too early. `fetched`: it was
    asked for just this: what is gone then, and was never known, is nobody's and leaves nothing behind."""

    source: str
    connector: str
    polled: bool = False
    last: bool = False
    fetched: bool = False


NEWS = frozenset({Taken.OPENED, Taken.SAID, Taken.ANSWERED_THERE, Taken.OWN, Taken.EDITED})
"""What a source said and nobody had heard before."""
EARLY = frozenset({Taken.UNKNOWN_RECORD, Taken.UNCLEAR})
"""What may be told better a little later."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a delivery. `early` are updates of records that are not known to stand for a case, yet or ever,
    and posts of ours that may yet turn out to be answers of ours; `news` are the events that were not known before,
    with what they came to; `hints` have to be fetched."""

    counts: Counter[Taken] = field(default_factory=Counter)
    early: list[AnyEvent] = field(default_factory=list)
    news: list[tuple[AnyEvent, Taken]] = field(default_factory=list)
    hints: list[Hint] = field(default_factory=list)


class Intake(Protocol):
    """Where events are kept, once each."""

    def take_in(self, event: Kept, origin: Origin, raw: bytes) -> Taken: ...


def read(receiver: Receiver, connector: str, delivery: Delivery) -> Sequence[AnyEvent]:
    """The events of a delivery. One that is not what its vendor documents is set aside, not refused: it was signed."""
    try:
        return receiver.parse(delivery)
    except PayloadError as error:
        return [Unsupported(connector=connector, event=UNREAD, reason=str(error))]


def ingest(
    events: Sequence[AnyEvent],
    origin: Origin,
    delivery: Delivery,
    intake: Intake,
    *,
    whole: bool = True,
) -> Ingested:
    """Take in events; how many came to what. The raw delivery is kept with its only event; of many, each keeps its
    normalised form, so that one person's words never lie with another's. `whole`: whether these are all of them."""
    done = Ingested()
    for event in events:
        if isinstance(event, Hint):
            done.hints.append(event)
            done.counts[Taken.HINTED] += 1
            continue
        alone = whole and len(events) == 1 and getattr(event, "keep_raw", True)
        raw = delivery.body if alone else b""
        taken = intake.take_in(event, origin, raw)
        done.counts[taken] += 1
        if taken in EARLY:
            done.early.append(event)
        if taken in NEWS:
            done.news.append((event, taken))
    return done


def on_trial(
    news: Sequence[tuple[AnyEvent, Taken]], pushed_since: int | None, asked_at: int, chance: float
) -> dict[str, int]:
    """Of what a poll brought and nobody had heard before, the mentions that the source's webhook should tell of, by id,
    with the time (milliseconds) until which it may: `chance` seconds after the post, or after the poll (`asked_at`)
    where it does not say when, as of an edit. `pushed_since`: when the webhook was first heard, None for never; what is
    older it could not tell."""
    if pushed_since is None:
        return {}
    trial: dict[str, int] = {}
    for event, taken in news:
        if not isinstance(event, Mention):
            continue
        edited = taken is Taken.EDITED or event.created_at is None
        at = asked_at if edited or event.created_at is None else int(event.created_at.timestamp() * 1000)
        if at >= pushed_since:
            trial[event.id] = at + int(chance * 1000)
    return trial
