"""A case, the events on its timeline, and the effects in its ledger.

None of these holds a customer's words: they carry the ids of mentions, so that purging a mention is one write.
Times are milliseconds since the epoch, UTC.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from connectors.core.identity import digest
from connectors.core.plan import Priority

SHARDS = 8
"""Partitions of the *due*, *state* and *day* indexes."""


def shard(text: str, count: int = SHARDS) -> int:
    """Which of `count` partitions a name belongs to: evenly spread, and the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big") % count


COUNTED = "counted"
"""The state of a case that is none: its mentions are counted, nothing is done."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Happening(StrEnum):
    """What an event on the timeline says. Those of the first group come from outside and may plan effects."""

    OPENED = "opened"
    SAID = "said"
    EDITED = "edited"
    REWORDED = "reworded"
    """Edited under the same version; its event's number is the order of the delivery that said so."""
    DELETED = "deleted"
    RESTORED = "restored"
    REMARKED = "remarked"
    """Somebody wrote an internal note on a record."""
    ANSWERED = "answered"
    """Somebody wrote a public reply on a record: it goes out to the source."""
    MOVED = "moved"
    """Somebody changed a record's status."""
    ANSWERED_THERE = "answered there"
    """Somebody of ours wrote into the conversation at its source, and not by way of Hailback."""
    REOPENED = "reopened"
    """The customer said something on a case that was solved, or that waited for just that."""

    ROUTED = "routed"
    """A route took it; `skipped` says why earlier ones did not."""
    RAISED = "raised"
    """An earlier route took a later post: what that route says was added."""
    REROUTED = "rerouted"
    """A system is gone: the case goes on under the plan in force."""
    SHADOWED = "shadowed"
    """A plan whose effects are off would have taken a post; nothing followed from that."""
    RELEASED = "released"
    """An administrator had sent what was planned while effects were off."""
    FAILED_OVER = "failed over"
    """The next system, or topic, was asked to take over."""
    UNDELIVERED = "undelivered"
    """No topic took a notification, in all its rounds; it lies in a dead-letter queue until somebody redrives it."""
    HANDED_BACK = "handed back"
    """An earlier system took the case after all; the stand-by's record was linked and closed."""
    FOLLOWED_UP = "followed up"
    """A record was closed for good; a new one in the same system carries the case on."""
    REPLIED = "replied"
    RECORDED = "recorded"
    NOTED = "noted"
    NOTIFIED = "notified"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    """It is not known whether an answer went out, and nothing can tell: it is not sent again, a person has to look."""
    DELAYED = "delayed"


OUTSIDE = frozenset(
    {
        Happening.OPENED,
        Happening.SAID,
        Happening.EDITED,
        Happening.REWORDED,
        Happening.DELETED,
        Happening.RESTORED,
        Happening.REMARKED,
        Happening.ANSWERED,
        Happening.MOVED,
        Happening.ANSWERED_THERE,
        Happening.REOPENED,
    },
)
SPOKEN = frozenset({Happening.OPENED, Happening.SAID, Happening.ANSWERED_THERE})
"""A post that is heard of for the first time."""


class CaseEvent(_Row):
    """One line of a case's timeline, which is its audit log. Written once and never changed."""

    case: str
    id: str
    kind: Happening
    at: int
    mention: str | None = None
    version: int | None = None
    detail: dict[str, str] = {}
    due_at: int | None = None
    """When `wake_due` dispatches it, should the stream not have done so; None once dispatched."""

    @property
    def update(self) -> str | None:
        """The id of the record update that it tells of; `detail["system"]` then says in which system that was made."""
        return self.detail.get("update")


class Record(_Row):
    """The record that stands for a case in a system of record."""

    system: str
    id: str
    url: str


class Case(_Row):
    """The work that follows a conversation until it is solved."""

    id: str
    state: str = "open"
    conversation: str
    connector: str
    source: str
    first_mention: str
    opened_at: int
    updated_at: str
    plan_version: str | None = None
    route: str | None = None
    systems: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    record: Record | None = None
    """The live record."""
    fail_over_after: float = 120.0
    """Seconds for which a system may refuse before the next one is asked as well; from the route."""
    engaged: tuple[str, ...] = ()
    """Systems that are to hold this case now: the first, and those that it failed over to until it is handed back."""
    retired: tuple[str, ...] = ()
    """Stand-by systems whose record was linked and closed; they are told nothing more."""
    joined: tuple[str, ...] = ()
    """Of `systems`, those at which the systems of a further route begin, by which the case was raised."""
    labels: tuple[str, ...] = ()
    priority: Priority | None = None
    coalesce: float = 0.0
    """Seconds for which further posts are gathered into one note; from the route."""
    gather_until: int = 0
    """When the posts that are being gathered are told."""
    shadowed: tuple[str, ...] = ()
    """Routes of plans whose effects are off that would have taken it."""

    @property
    def routed(self) -> bool:
        """Whether a plan has decided where this case goes."""
        return self.plan_version is not None


class EffectState(StrEnum):
    """Where an effect stands. `done`, `rejected` and `superseded` are final."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    UNKNOWN = "unknown"
    PARKED = "parked"
    DONE = "done"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"

    @property
    def final(self) -> bool:
        return self in {EffectState.DONE, EffectState.REJECTED, EffectState.SUPERSEDED}


class EffectKind(StrEnum):
    """What the outside world will see.

    `note` is one post's wish to be told; `batch` is the one note that tells a set of them, and is what is sent.
    """

    RECORD = "record"
    NOTE = "note"
    BATCH = "batch"
    NOTIFY = "notify"
    STATUS = "status"
    """A record is brought to a status that people gave to another one."""
    RETIRE = "retire"
    """A stand-by's record is linked to the live one and closed."""
    REPLY = "reply"
    """An answer goes out to the source. `target` is the source's id."""


class Effect(_Row):
    """A line of the ledger: something the outside world sees, done once.

    Every write is conditional on `attempt`. `lease_until` lies beyond the worker's time limit; a claimed effect whose
    lease has run out is looked up before it is repeated. `target` is a system's id or a topic's ARN.
    """

    case: str
    id: str
    kind: EffectKind
    target: str
    state: EffectState = EffectState.PLANNED
    attempt: int = 0
    planned_at: int
    due_at: int | None = None
    """When `wake_due` looks at it; moved on each time that it wakes a worker, so no worker decides by it."""
    retry_at: int | None = None
    """Before this nobody tries again: the vendor's Retry-After, or our own growing wait."""
    lease_until: int | None = None
    permit: str | None = None
    mention: str | None = None
    version: int | None = None
    happening: Happening | None = None
    batch: str | None = None
    members: tuple[str, ...] = ()
    reference: str | None = None
    url: str | None = None
    error: str | None = None
    done_at: int | None = None
    first_refused_at: int | None = None
    """When this effect was first refused or left unknown, since it was planned: fail-over counts from here."""
    rounds: int = 0
    """How often all topics of a notification were tried in vain."""
    provisional: bool = False
    """A stand-by's record that was begun while it was unknown whether the first system has one."""
    status: str | None = None
    update: str | None = None
    """The id of the record update whose words a note or a reply brings."""
    words: str | None = None
    """Of a note: our own words, where it brings nobody else's."""
    audience: tuple[str, ...] = ()
    """Of a notification: the topics that take turns at it; empty for those of the case."""
    held: bool = False
    """Held back by its system's breaker, and by nothing else: no use in waking a worker while that is open."""
    generation: int = 0
    """Of a record: how many before it were closed for good. Of a note: of which of these it was written on."""
    follows: str | None = None
    """The record that was closed for good and that this one carries on."""
    doubt: bool = False
    """It was sent without a usable answer and a look-up then found nothing: should the system show that write later
    after all, there are two. `reconcile` looks for these by `key`."""

    @property
    def key(self) -> str:
        """What a system of record is given to know a repetition by: opaque, the same for life."""
        again = (str(self.generation),) if self.kind is EffectKind.RECORD and self.generation else ()
        return f"hailback-{digest(self.case, self.target, self.id, *again, length=24)}"


def record_id(system: str) -> str:
    """The ledger's name for the record of a case in one system."""
    return f"record#{system}"


def note_id(system: str, mention: str, happening: Happening, version: int) -> str:
    """The ledger's name for telling one system one thing about one mention."""
    what = "said" if happening in SPOKEN else f"{happening}@{version}"
    return f"note#{system}#{digest(mention, length=24)}#{what}"


def remark_id(system: str, update: str) -> str:
    """The ledger's name for telling one system what people wrote in another."""
    return f"note#{system}#{digest(update, length=24)}#update"


def raised_id(system: str, route: str) -> str:
    """The ledger's name for telling one system that a case was raised."""
    return f"note#{system}#{digest(route, length=24)}#raised"


def link_id(system: str, other: str) -> str:
    """The ledger's name for telling the live record's system where a stand-by's record is."""
    return f"note#{system}#{digest(other, length=24)}#link"


def status_id(system: str, update: str) -> str:
    """The ledger's name for bringing one system's record to the status that an update gave to another."""
    return f"status#{system}#{digest(update, length=24)}"


def retire_id(system: str) -> str:
    """The ledger's name for linking a stand-by's record to the live one."""
    return f"retire#{system}"


def close_id(system: str) -> str:
    """The ledger's name for closing a stand-by's record, once it is linked."""
    return f"status#{system}#retired"


def reply_id(source: str, update: str) -> str:
    """The ledger's name for carrying one answer out. `source`: the case's own, wherever the answer goes."""
    return f"reply#{source}#{digest(update, length=24)}"


def batch_id(system: str, members: tuple[str, ...]) -> str:
    """The ledger's name for one note; its members decide it, so that making it twice makes it once."""
    return f"batch#{system}#{digest(*members, length=24)}"


def notify_id(topic: str, happening: Happening, route: str = "") -> str:
    """The ledger's name for telling one topic that something happened; `route`: by which route a case was raised."""
    what = f"{happening}:{route}" if route else happening
    return f"notify#{what}#{digest(topic)}"
