"""The generic source: whoever signs as Standard Webhooks does. What a delivery means is in the source's settings.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, Field

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.html import plain_text
from connectors.core.models import AnyEvent, Author, Deletion, Mention, Unsupported
from connectors.webhook.expressions import Expression, Reader

CONNECTOR = "webhook"


class Person(reading.Settings):
    """Where in an event its author stands."""

    id: Expression = "author.id"
    handle: Expression = "author.handle"
    name: Expression = "author.name"
    followers: Expression = "author.followers"


class Mapping(reading.Settings):
    """Where in a delivery its events stand, and where in an event the fields of a mention. The defaults read the shape
    that the README shows."""

    events: Expression = "events || @"
    type: Expression = "type"
    id: Expression = "id"
    conversation: Expression = "conversation"
    parent: Expression = "parent"
    title: Expression = "title"
    text: Expression = "text"
    html: Expression = "html"
    author: Person = Person()
    url: Expression = "url"
    created_at: Expression = "created_at"
    language: Expression = "language"
    place: Expression = "place"
    version: Expression = "version || edited_at"
    deleted: Expression = "deleted"
    private: Expression = "private"
    own: Expression = "own"
    answer_key: Expression = "answer_key"


class WebhookSource(reading.Settings):
    """`Authority`: the host that the ids belong to. `Account`: our own accounts there. `ReplyUrl`: what takes answers.
    `Mapping`: JMESPath, where a delivery is not of our own shape."""

    authority: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
    account: reading.Accounts = ()
    mapping: Mapping = Mapping()
    reply_url: reading.Address | None = None


class Webhook:
    """One sender; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = WebhookSource

    def __init__(self, settings: WebhookSource) -> None:
        self._settings, self._mapping = settings, settings.mapping

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:
        """Our own shape, from a sender that takes answers; any other needs `--settings`."""
        where = authority or "localhost"
        return cls(WebhookSource(authority=where, account=tuple(accounts), reply_url="https://localhost"))

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The events in a delivery, in its order. Raises `PayloadError`."""
        reader = Reader()
        found = reader.ask(self._mapping.events, reading.json_of(delivery))
        events = found if isinstance(found, list) else [found]
        told = [self._event(one, reader, delivery.received_at) for one in events]
        return told or [Unsupported(connector=CONNECTOR, event="delivery", reason="Events gives an empty list")]

    def _event(self, event: object, reader: Reader, now: int) -> AnyEvent:
        def ask(field: str, where: reading.Settings = self._mapping) -> Any:
            return reader.ask(getattr(where, field), event)

        kind, native_id = reading.text(ask("type"), 100) or "event", _id(ask("id"))
        thread, authority = _id(ask("conversation")), self._settings.authority
        # Asked before Private: a removal often lacks what Private asks for, and holds no words.
        if isinstance(event, dict) and native_id is not None and ask("deleted") is True:
            return Deletion(
                connector=CONNECTOR, authority=authority, native_id=native_id, conversation_id=thread, order=now
            )
        if ask("private") not in (None, False):
            return Unsupported(connector=CONNECTOR, event=kind, reason="Private says so", keep_raw=False)
        if not isinstance(event, dict) or native_id is None:
            reason = "Id gives nothing that is an id" if isinstance(event, dict) else "Events gives no object here"
            return Unsupported(connector=CONNECTOR, event=kind, reason=reason)
        author, parent, created = self._author(ask), _id(ask("parent")), _moment(ask("created_at"))
        own, version = ask("own") is True or reading.is_own(self._settings.account, author), ask("version")
        number, markup, title = reading.whole(version), reading.text(ask("html")), reading.text(ask("title"), 500)
        words = reading.text(ask("text")) or (reading.clean(plain_text(markup)) if markup else "")
        if not (words or title or author):  # something that happened, such as a payment
            return Unsupported(connector=CONNECTOR, event=kind, reason="Text, Html, Title and Author.Id give nothing")
        answered = self._settings.reply_url is not None and not own
        return Mention(
            connector=CONNECTOR,
            authority=authority,
            native_id=native_id,
            conversation_id=thread or parent or native_id,
            parent_id=parent,
            kind="reply" if parent else "post",
            version=max(0, reading.millis(_moment(version)) if number is None else number),
            author=author,
            title=title,
            text=words,
            language=reading.text(ask("language"), 20),
            place=reading.text(ask("place"), 200),
            url=reading.web(ask("url")),
            created_at=created,
            reply_capability="allowed" if answered else "none",
            own=own,
            answer_key=reading.ident(ask("answer_key")) if own else None,
            order=reading.millis(created) or now,
        )

    def _author(self, ask: Any) -> Author | None:
        native_id, where = _id(ask("id", self._mapping.author)), self._mapping.author
        handle, name = (reading.text(ask(one, where), 200) for one in ("handle", "name"))
        count = reading.whole(ask("followers", where))
        return Author(native_id=native_id, handle=handle, name=name, followers=count) if native_id else None


def _id(value: object) -> str | None:
    return reading.ident(value) or reading.uri(value)


def _moment(value: object) -> datetime | None:
    """A time: ISO 8601, or seconds or milliseconds since 1970; seconds of the year 10,000 are milliseconds of today."""
    return reading.moment(value) or reading.moment(value, "ms")
