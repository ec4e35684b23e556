"""What the core asks of vendors. Small Protocols: a vendor satisfies those that apply, without inheriting."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol, Self

from pydantic import BaseModel

from connectors.core.delivery import Delivery
from connectors.core.health import TokenHealth, TokenState
from connectors.core.models import AnyEvent, Deletion, Hint, Mention, RecordStatus
from connectors.core.plan import Priority


class Receiver(Protocol):
    """A source that pushes. What its front door checks before that stands in `door.json` beside the connector."""

    settings_model: ClassVar[type[BaseModel]]

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:
        """The connector as `hailback parse` builds it, where no source is configured: `--account` (our own accounts)
        and `--authority` (the host that ids belong to; ignored by vendors whose ids need none) stand for the settings.
        Raises ValueError with a sentence for a value of the wrong shape."""
        ...

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The events in one verified delivery, oldest first. Pure. Raises `PayloadError`.

        Also reads the vendor's own answers (a page of a poll, one post), for `hailback parse` and for the poller."""
        ...


NOTE_BYTES = 60_000
"""Bytes of UTF-8 that a system's note is taken to hold where its connector does not say."""


class Tier(StrEnum):
    """How a system of record keeps a repeated write from becoming a second record."""

    UPSERT = "upsert"
    """A unique external key: the same call again is harmless."""
    KEY = "key"
    """An idempotency key or an id chosen before the write."""
    NONE = "none"
    """Neither: our ledger, an embedded marker, and look-up before create."""


@dataclass(frozen=True, slots=True)
class CaseDraft:
    """What a system of record needs to open a case. Plain text throughout."""

    case: str
    title: str
    opened_at: str
    conversation: str
    url: str | None = None
    author: str | None = None
    follows: str | None = None
    """The id of the record that was closed for good and that this one carries on, in a system that has such."""
    labels: tuple[str, ...] = ()
    """Words that the plan gives to a case: letters, digits, hyphens and underscores."""
    priority: Priority | None = None
    """What the plan says; the system's own setting where it says nothing."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A record in a system of record: its id there, and the address where a person opens it."""

    id: str
    url: str
    unset: tuple[str, ...] = field(default=(), compare=False)
    """What the case asked for and the system has not, as words for its administrator: `no priority named high`. Known
    to the write only, not to who finds the record later."""


@dataclass(frozen=True, slots=True)
class NoteDraft:
    """One internal note. `text` is plain and carries the ids of the posts it brings. It fits: no connector cuts it, for
    what is cut away is gone while the ledger says that it was told."""

    text: str


class RecordSystem(Protocol):
    """A CRM or ticketing system. Every write takes a `key` that is the same on every repetition of that write."""

    settings_model: ClassVar[type[BaseModel]]
    credentials_model: ClassVar[type[BaseModel]]
    tier: ClassVar[Tier]
    settle: ClassVar[float]
    """Seconds after a write until `find` and `find_note` can be trusted to see it."""

    def reserve(self, kind: str) -> str | None:
        """Ask the system for a single-use permit for one write (`record` or `note`), kept in the ledger before it is
        used; None where the system has no such thing. Repeatable."""
        ...

    def upsert(self, case: CaseDraft, key: str, permit: str | None) -> Reference:
        """Open the record, or return the one that carries `key`."""
        ...

    def find(self, key: str) -> Reference | None:
        """The record that carries `key`, if it exists."""
        ...

    def add_note(self, reference: Reference, note: NoteDraft, key: str, permit: str | None) -> str:
        """Append an internal note; its id there."""
        ...

    def find_note(self, reference: Reference, key: str) -> str | None:
        """The note that carries `key`, *and is attached to the record*; attaches it where a write broke off between."""
        ...

    def set_status(self, reference: Reference, status: RecordStatus) -> None:
        """Bring the record to this status, unless it has it. Repeatable."""
        ...


class Bounded(Protocol):
    """A system of record that says how much one note holds; see `note_bytes`."""

    note_bytes: ClassVar[int]
    """Bytes of UTF-8 in a note's text, without what the connector adds to it."""


class Dated(Protocol):
    """A system of record that need not read all its notes to find one."""

    def find_note_since(self, reference: Reference, key: str, since: int) -> str | None:
        """As `find_note`, among the notes that were written after `since` (milliseconds, by our clock)."""
        ...


class Noted(Protocol):
    """A system of record that shows its notes without changing anything, as `find_note` may."""

    def noted(self, reference: Reference, keys: Collection[str]) -> Collection[str]:
        """Those of the keys whose notes are on the record."""
        ...


class Standing(Protocol):
    """A system of record whose `find` may leave out a record that is there all the same, such as an archived one."""

    def stands(self, reference: Reference) -> bool:
        """Whether the record is there; False only for one that the system says it does not have."""
        ...


def note_bytes(system: RecordSystem) -> int:
    """How much one of its notes holds, in bytes of UTF-8."""
    return int(getattr(system, "note_bytes", NOTE_BYTES))


@dataclass(frozen=True, slots=True)
class Page:
    """One poll's worth of events, and where the next one goes on. `again` is in seconds: when to come back, where the
    administrators do not want it otherwise. `rest`, in seconds too: before that the vendor wants no call, whoever else
    does.

    `spent` is what the calls cost, in the units of the connector's `prices.json`. `fault`: one sentence, where a part
    of what is asked is refused while the rest goes on; said by each poll until that part is answered. `health`: what
    the calls told of the credentials, None where nobody was asked."""

    events: Sequence[AnyEvent]
    cursor: str
    again: float
    spent: Mapping[str, int] = field(default_factory=dict)
    fault: str | None = None
    health: TokenHealth | None = field(default_factory=lambda: TokenHealth(TokenState.OK))
    rest: float = 0.0


class Poller(Protocol):
    """A vendor that has to be asked. A system of record that cannot push is one as well."""

    def poll(self, cursor: str | None) -> Page:
        """What happened since `cursor`, oldest first; None: from now on, with no events. Windows overlap, so the same
        event may come again. Raises a RemoteError."""
        ...


class SourcePoller(Poller, Protocol):
    """A source that is asked, alone or beside its webhook; registered in POLLERS and built as
    `kind(settings, credentials, http)`. `credentials_model` is the shape of the secret `<Secret>/credentials`.

    May also be a `Rechecker`, a `Resolver`, a `Checker` and a `Refresher`."""

    settings_model: ClassVar[type[BaseModel]]
    credentials_model: ClassVar[type[BaseModel]]


@dataclass(frozen=True, slots=True)
class Rechecked:
    """Which of the posts asked for are gone, and what asking cost. `edited`: those that say something else by now, or
    as they stand, where the vendor does not tell of edits; what is known already changes nothing."""

    gone: Sequence[Deletion]
    spent: Mapping[str, int] = field(default_factory=dict)
    edited: Sequence[Mention] = ()


class Rechecker(Protocol):
    """A source that does not tell of removals; `sweep_privacy` asks it about each kept post once in `recheck_within`
    seconds, at most `recheck_batch` in one call."""

    recheck_within: ClassVar[int]
    recheck_batch: ClassVar[int]

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        """Which of these posts are gone, or no longer public. One that cannot be judged is not gone. Raises a
        RemoteError."""
        ...


class Listener(Receiver, Protocol):
    """A receiver whose events come by EventBridge (`EVENT_BUSES`), which tells nobody's source. Delivered to each that
    it concerns."""

    def concerns(self, delivery: Delivery) -> bool:
        """Whether an event is for the place that these settings describe, such as by the ARN of an instance. Pure;
        False for what it cannot read."""
        ...


class Resolver(Protocol):
    """A place whose deliveries hint at what has to be fetched; the class in POLLERS.

    May have `hint_units(hint)`: what one look costs, in the units of the connector's `prices.json`. It is counted, and
    no `Budget` stops it: docs/adr/0080."""

    def resolve(self, hint: Hint) -> Sequence[AnyEvent]:
        """What the hint is about, as the vendor has it now: mentions, a Deletion where it is gone, Unsupported where it
        is none of ours. Repeatable, changes nothing. Raises a RemoteError; RejectedError where it cannot be had.
        What is gone or refused right after the hint is asked for once more."""
        ...


class Checker(Protocol):
    """A place whose credentials can be tried out without an effect."""

    def check(self) -> TokenHealth:
        """How the credentials are. Never raises a RemoteError."""
        ...


class Refresher(Protocol):
    """A place whose access token runs out and is renewed by us. The worker calls it alone (single-flight) and keeps
    what comes back before anything else is done with it."""

    def refresh_due(self, now: int) -> bool:
        """Whether it is time to renew (`now` in milliseconds)."""
        ...

    def refresh(self, now: int) -> Mapping[str, object]:
        """The new document of credentials, whole. Raises MisconfiguredError (with `token`) and UnavailableError."""
        ...


class Replier(Protocol):
    """A source that takes an answer. `findable`: whether an answer of unknown outcome may be looked for and then sent
    again. `tier` says what makes that harmless; `connectors.core.reply` acts on `findable` alone.

    - NONE and findable: `find_reply` can tell that an answer is not there, such as by a mark in it that readers do not
      see. After `settle` seconds None means that it is not, and `reply` is called again.
    - NONE and not findable: it cannot tell. The answer is held for a person and never sent again.
    - KEY and findable: the vendor takes an idempotency key. Every `reply` sends `key` unchanged. `find_reply` returns
      the answer where the vendor shows it, else None; `reply` is then called again with the same key and text, and the
      vendor returns the first answer instead of making a second.

    Vendors forget keys, often after a day, and a try may come later than that: an outage lasts, a worker waits. A key
    that may be forgotten by then is not enough: have `find_reply` look as under NONE too, or raise UnknownOutcomeError
    where it cannot tell any more; or be not findable.

    May have `units(mention, text)`: what an answer costs, in the units of the connector's `prices.json`."""

    tier: ClassVar[Tier]
    findable: ClassVar[bool]
    settle: ClassVar[float]
    replier_credentials_model: ClassVar[type[BaseModel]]

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        """Answer a mention in public, once; the answer's id and address. Raises a RemoteError; RejectedError with a
        sentence for the agent where `mention.reply_capability` does not allow it."""
        ...

    def find_reply(self, mention: Mention, key: str) -> Reference | None:
        """The answer that carries `key`, if it exists. None: it may be sent (again). Raises a RemoteError, where it
        cannot be told now: it is asked again later; UndecidableError, where it never can: a person is asked to look."""
        ...


class SourceReplier(Replier, Protocol):
    """A `Replier` as it is registered in REPLIERS: built as `kind(settings, credentials, http)`, where `settings_model`
    is the shape of its source's properties, `replier_credentials_model` that of the secret `<Secret>/credentials`."""

    settings_model: ClassVar[type[BaseModel]]
