"""What becomes of a verified delivery: its events, taken in one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Unsupported
from connectors.core.ports import Receiver


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


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a delivery came from: one of the administrators' sources."""

    source: str
    connector: str


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
) -> Counter[Taken]:
    """Take in events; how many came to what. The raw delivery is kept with its only event; of many, each keeps its
    normalised form, so that one person's words never lie with another's."""
    counts: Counter[Taken] = Counter()
    for event in events:
        raw = delivery.body if len(events) == 1 else b""
        counts[intake.take_in(event, origin, raw)] += 1
    return counts
