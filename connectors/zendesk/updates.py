"""What people did on tickets, as events: from webhooks and from the incremental export. Pure mapping.

https://developer.zendesk.com/api-reference/webhooks/event-types/ticket-events/
https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/#incremental-ticket-event-export

Only tickets of ours are read: those whose external id is a key. A comment has one id in both; a change of status is
named by what it came to and when, since both say those two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.core.errors import PayloadError
from connectors.core.models import Author, RecordUpdate, Unsupported
from connectors.zendesk.payloads import CONNECTOR, PREFIX, change_id, clean, key_in, moment, status_of

EVENT = "zen:event-type:"
TRIGGER = "trigger"
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Whose:
    """The Zendesk account that events come from, and the users there who are ourselves."""

    accounts: frozenset[str]
    authority: str | None = None
    base_url: str | None = None

    def address(self, ticket: str) -> str | None:
        """Where a person opens a ticket."""
        return f"{self.base_url}/agent/tickets/{ticket}" if self.base_url else None


Event = RecordUpdate | Unsupported
Handler = Callable[[Whose, str, Mapping[str, Any]], Event]


def read(whose: Whose, body: object) -> Event:
    """The one event in a webhook's body. Raises `PayloadError` for one that nobody documents."""
    if not isinstance(body, dict):
        raise PayloadError("the body is not a JSON object")
    if body.get("hailback") == TRIGGER:
        return _trigger(whose, body)
    name = body.get("type")
    if not isinstance(name, str):
        raise PayloadError(
            "the body has no `type`; subscribe the webhook to events, or send the trigger's body as the README has it"
        )
    event = clean(name)[:100]
    handler = HANDLERS.get(event.removeprefix(EVENT)) if event.startswith(EVENT) else None
    if handler is None:
        return _unsupported(event, "Hailback does not handle this event")
    detail = _object(body, "detail")
    external = detail.get("external_id")
    if not isinstance(external, str) or not external.startswith(PREFIX):
        return _unsupported(event, "the ticket is none of ours: its external id is not a key")
    return handler(whose, event, body)


def _commented(whose: Whose, event: str, body: Mapping[str, Any]) -> Event:
    said = _object(_object(body, "event"), "comment")
    author = _object(said, "author")
    public = said.get("is_public")
    if not isinstance(public, bool):
        return _unsupported(event, "the comment does not say whether it is public")
    return _comment(
        whose,
        ticket=_id(_object(body, "detail"), "id"),
        native_id=_id(said, "id"),
        author=Author(native_id=_id(author, "id"), name=_name(author.get("name"))),
        text=said.get("body"),
        # Only staff answer for the company: what an end user writes by mail is public as well.
        answers=public and author.get("is_staff") is True,
        at=moment(body.get("time")),
    )


def _moved(whose: Whose, event: str, body: Mapping[str, Any]) -> Event:
    detail, current = _object(body, "detail"), _object(body, "event").get("current")
    at = moment(detail.get("updated_at")) or moment(body.get("time"))
    actor = detail.get("actor_id")
    return _status(whose, event, _id(detail, "id"), current, at, actor)


def _trigger(whose: Whose, body: Mapping[str, Any]) -> Event:
    """The body that README.md tells administrators to give to a trigger, where there are no event subscriptions."""
    external = body.get("external_id")
    if not isinstance(external, str) or not external.startswith(PREFIX):
        return _unsupported(TRIGGER, "the ticket is none of ours: its external id is not a key")
    at = moment(body.get("updated_at"))
    return _status(whose, TRIGGER, _id(body, "ticket_id"), body.get("status"), at, body.get("actor_id"))


def exported(
    whose: Whose, audits: Sequence[Mapping[str, Any]], tickets: Collection[str], staff: Collection[str]
) -> list[RecordUpdate]:
    """What the incremental export says about these tickets, oldest first. `staff`: users who answer for the company."""
    found: list[RecordUpdate] = []
    for audit in audits:
        ticket = str(audit.get("ticket_id"))
        if ticket not in tickets:
            continue
        at = _when(audit)
        for child in audit.get("child_events") or ():
            if child.get("event_type") == "Comment":
                author = str(child.get("author_id") or audit.get("updater_id"))
                said = _comment(
                    whose,
                    ticket=ticket,
                    native_id=_id(child, "id"),
                    author=Author(native_id=author),
                    text=child.get("body"),
                    answers=child.get("public") is True and author in staff,
                    at=at,
                )
                found.append(said)
            elif child.get("event_type") == "Change" and "status" in child:
                moved = _status(whose, "export", ticket, child["status"], at, audit.get("updater_id"))
                if isinstance(moved, RecordUpdate):
                    found.append(moved)
    return found


def authors(audits: Sequence[Mapping[str, Any]], tickets: Collection[str]) -> set[str]:
    """Who wrote public comments on these tickets."""
    return {
        str(child.get("author_id") or audit.get("updater_id"))
        for audit in audits
        if str(audit.get("ticket_id")) in tickets
        for child in audit.get("child_events") or ()
        if child.get("event_type") == "Comment" and child.get("public") is True
    }


def _comment(
    whose: Whose, *, ticket: str, native_id: str, author: Author, text: object, answers: bool, at: datetime | None
) -> RecordUpdate:
    return RecordUpdate(
        connector=CONNECTOR,
        authority=whose.authority,
        reference=ticket,
        native_id=native_id,
        kind="reply" if answers else "note",
        author=author,
        text=clean(text) if isinstance(text, str) else "",
        url=whose.address(ticket),
        at=at,
        own=author.native_id in whose.accounts or key_in(text) is not None,
    )


def _status(whose: Whose, event: str, ticket: str, current: object, at: datetime | None, actor: object) -> Event:
    status = status_of(current)
    if status is None or not isinstance(current, str):
        return _unsupported(event, "this status is not one that people work in")
    if at is None:
        return _unsupported(event, "the change of status does not say when it was")
    who = str(actor) if isinstance(actor, str | int) and _ID.fullmatch(str(actor)) else None
    return RecordUpdate(
        connector=CONNECTOR,
        authority=whose.authority,
        reference=ticket,
        native_id=change_id(current.strip().lower(), int(at.timestamp())),
        kind="status",
        author=Author(native_id=who) if who else None,
        status=status,
        url=whose.address(ticket),
        at=at,
        own=who in whose.accounts,
    )


def _when(audit: Mapping[str, Any]) -> datetime | None:
    stamp = audit.get("timestamp")
    if isinstance(stamp, int) and 0 < stamp < 2**33:
        return datetime.fromtimestamp(stamp, UTC)
    return moment(audit.get("created_at"))


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    if not isinstance(value, dict):
        raise PayloadError(f"the body has no `{name}` object")
    return value


def _id(holder: Mapping[str, Any], name: str) -> str:
    """An id. Webhooks write them as text, the API as numbers."""
    value = holder.get(name)
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _ID.fullmatch(text):
        raise PayloadError(f"`{name}` is not an id")
    return text


def _name(value: object) -> str | None:
    return (clean(value)[:200] or None) if isinstance(value, str) else None


def _unsupported(event: str, reason: str) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event, reason=reason, keep_raw=False)


HANDLERS: Mapping[str, Handler] = {
    "ticket.comment_added": _commented,
    "ticket.status_changed": _moved,
}
