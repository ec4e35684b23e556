"""What an outside event says, whatever its vendor: the vocabulary of the inbox.

Every delivery becomes a list of these. They carry no vendor payload; the raw bytes stay with the delivery.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from connectors.core.identity import qualify

ReplyCapability = Literal["allowed", "summoned_only", "needs_approval", "sync_only", "none"]


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_utc)]


class _Frozen(BaseModel):
    # An error must not carry a customer's words into a log.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Author(_Frozen):
    """Who said it. `followers` is None where the channel does not tell, which is not 0.

    `identity` is an identifier that means the same person at whichever source it is met, and that the channel itself
    vouches for: `tel:+491701234567` for a caller's number. None for a name that anyone may choose."""

    native_id: str
    handle: str | None = None
    name: str | None = None
    followers: int | None = None
    identity: str | None = None


class Mention(_Frozen):
    """One thing one person said at one source.

    `version` is one orderable integer: higher wins, equal is a duplicate. `parent_id` and `conversation_id` are the
    vendor's own ids. `kind` tells a post that opens a conversation from a reply (`parent_id`) and from one that quotes
    another (`quoted_id`; a reply that also quotes is a reply); None where the channel has no such thing. `place` is
    where in the source it was said, by the vendor's id that does not change, as text: a forum's category, a community,
    a channel, a video; None where the source is one place. `own` is True for a post by one of our accounts;
    `answer_key` is the key that it carries where it is an answer that Hailback sent. `restored` marks
    a post that its source brought back after a deletion; `order` then says which came last (see `Deletion.order`).
    `keep_raw` is False where the delivery also repeats what others said: their words may have to be removed while this
    post stays.
    """

    type: Literal["mention"] = "mention"
    connector: str
    authority: str | None = None
    native_id: str
    conversation_id: str
    parent_id: str | None = None
    kind: Literal["post", "reply", "quote"] | None = None
    quoted_id: str | None = None
    version: int = 0
    author: Author | None = None
    place: str | None = None
    title: str | None = None
    text: str = ""
    language: str | None = None
    url: str | None = None
    created_at: Moment | None = None
    metrics: dict[str, int | float] = Field(default_factory=dict)
    reply_capability: ReplyCapability = "none"
    own: bool = False
    answer_key: str | None = None
    restored: bool = False
    order: int = 0
    keep_raw: bool = Field(default=True, exclude=True)

    @property
    def id(self) -> str:
        return qualify(self.connector, self.authority, self.native_id)

    @property
    def conversation(self) -> str:
        return qualify(self.connector, self.authority, self.conversation_id)


class Deletion(_Frozen):
    """A mention was removed at its source. Beats every version of it, known or still to come.

    `order` is a number that grows with the time of the event at that source (the vendor's event id, else milliseconds
    of receipt); a restored mention wins only with a higher one.
    """

    type: Literal["deletion"] = "deletion"
    connector: str
    authority: str | None = None
    native_id: str
    conversation_id: str | None = None
    deleted_at: Moment | None = None
    order: int = 0

    @property
    def id(self) -> str:
        return qualify(self.connector, self.authority, self.native_id)


RecordStatus = Literal["open", "pending", "solved"]
"""What every system's own statuses come down to: somebody works on it, somebody waits, nobody has to."""


class RecordUpdate(_Frozen):
    """Something that people did on a record in a system of record: a note, a public reply, a change of its status.

    `reference` is the record's id there, as in `Reference.id`; `native_id` is the change's own id, unique within the
    record. `own` is True for what Hailback itself wrote there (known by its account or its key): an echo. `text` is
    plain. `status` is set for a change of status only.
    """

    type: Literal["record_update"] = "record_update"
    connector: str
    authority: str | None = None
    reference: str
    native_id: str
    kind: Literal["note", "reply", "status"]
    author: Author | None = None
    text: str = ""
    status: RecordStatus | None = None
    url: str | None = None
    at: Moment | None = None
    own: bool = False

    @property
    def id(self) -> str:
        return qualify(self.connector, self.authority, f"{self.reference}/{self.native_id}")


class Hint(_Frozen):
    """Something happened; the delivery does not say what, or not so that it could be believed. It has to be fetched.

    `native_id` and `about` are what the vendor needs for that, such as a comment's id and its post's. Never carries
    words."""

    type: Literal["hint"] = "hint"
    connector: str
    authority: str | None = None
    event: str
    native_id: str
    about: str | None = None

    @property
    def id(self) -> str:
        return qualify(self.connector, self.authority, self.native_id)


class Unsupported(_Frozen):
    """An event we do not act on: counted and acknowledged. `keep_raw`: False where its content is not ours to keep."""

    type: Literal["unsupported"] = "unsupported"
    connector: str
    event: str
    reason: str
    keep_raw: bool = True


AnyEvent = Mention | Deletion | RecordUpdate | Hint | Unsupported
Event = Annotated[AnyEvent, Field(discriminator="type")]
EVENTS: TypeAdapter[list[AnyEvent]] = TypeAdapter(list[Event], config=ConfigDict(hide_input_in_errors=True))
"""A list of events, as it waits in the inbox. The outermost of what is validated says whether errors repeat input."""


def describe(event: AnyEvent) -> dict[str, object]:
    """An event as plain JSON values, with the derived `id`: what `hailback parse` prints."""
    plain = event.model_dump(mode="json")
    if not isinstance(event, Unsupported):
        plain["id"] = event.id
    return plain
