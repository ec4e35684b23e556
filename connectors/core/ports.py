"""What the core asks of vendors. Small Protocols: a vendor satisfies those that apply, without inheriting."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol, Self

from pydantic import BaseModel

from connectors.core.delivery import Delivery
from connectors.core.models import AnyEvent, Mention, RecordStatus


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
        """The events in one verified delivery, oldest first. Pure. Raises `PayloadError`."""
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


@dataclass(frozen=True, slots=True)
class Reference:
    """A record in a system of record: its id there, and the address where a person opens it."""

    id: str
    url: str


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
    """One poll's worth of events, and where the next one goes on. `again` is in seconds: when to come back."""

    events: Sequence[AnyEvent]
    cursor: str
    again: float


class Poller(Protocol):
    """A vendor that has to be asked. A system of record that cannot push is one as well."""

    def poll(self, cursor: str | None) -> Page:
        """What happened since `cursor`, oldest first; None: from now on, with no events. Windows overlap, so the same
        event may come again. Raises a RemoteError."""
        ...


class Replier(Protocol):
    """A source that takes an answer. Tiers as for records."""

    tier: ClassVar[Tier]
    settle: ClassVar[float]
    replier_credentials_model: ClassVar[type[BaseModel]]

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        """Answer a mention in public, once; the answer's id and address. Raises a RemoteError."""
        ...

    def find_reply(self, mention: Mention, key: str) -> Reference | None:
        """The answer that carries `key`, if it exists."""
        ...
