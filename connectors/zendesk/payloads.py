"""What Hailback says to Zendesk and how Zendesk's answers are read. Pure.

https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.core.models import RecordStatus
from connectors.core.ports import CaseDraft, NoteDraft
from connectors.zendesk.settings import ZendeskSystem

CONNECTOR = "zendesk"
TITLE_LENGTH = 150
"""Zendesk cuts what its agents see at about this length."""
BODY_LENGTH = 60_000
"""A comment holds 64 KB of UTF-8; the rest is for its last line, the key."""
PREFIX = "hailback-"
"""How every key of ours begins, and so the external id of every ticket of ours."""
_KEY = re.compile(r"^Hailback key: (hailback-[a-z2-7]{8,64})$", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_STATUS: Mapping[str, RecordStatus] = {
    "new": "open",
    "open": "open",
    "pending": "pending",
    "hold": "pending",
    "solved": "solved",
    "closed": "solved",
}


def clean(text: str) -> str:
    """Text with one kind of line end, without control characters and half surrogate pairs, nothing at the ends."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def title(text: str) -> str:
    """One line of at most TITLE_LENGTH characters, never empty."""
    line = " ".join(clean(text).split()) or "(no title)"
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"


def marked(text: str, key: str) -> str:
    """A comment's body that carries its key in plain sight, as its last line."""
    words = clean(text) or "(no text)"
    return f"{words}\n\nHailback key: {key}"


def key_in(text: object) -> str | None:
    """The key that stands on a line of its own in a comment; a quoted line (`> …`) does not count."""
    found = _KEY.findall(text.replace("\r\n", "\n")) if isinstance(text, str) else []
    return found[-1] if found else None


def ticket(case: CaseDraft, key: str, settings: ZendeskSystem) -> bytes:
    """The body that opens a ticket. The same case as it was, the same bytes: Zendesk compares them under one key.

    Zendesk wants a first comment; ours is internal and brings the link. Posts come as notes.
    """
    lines = [f"Conversation {case.conversation}, since {case.opened_at}."]
    if case.url:
        lines.append(case.url)
    if case.follows:
        lines.append(f"Carries on from ticket {case.follows}, which is closed for good.")
    fields: dict[str, object] = {
        "external_id": key,
        "subject": title(case.title),
        "comment": {"body": marked("\n".join(lines), key), "public": False},
    }
    if case.follows and case.follows.isdecimal():
        # It inherits the old ticket's tags, ours among them, unless others are given.
        # https://developer.zendesk.com/documentation/ticketing/managing-tickets/creating-and-updating-tickets
        fields["via_followup_source_id"] = int(case.follows)
    else:
        fields["tags"] = [*dict.fromkeys(["hailback", *(label.lower() for label in case.labels)])]
    if priority := case.priority or settings.priority:
        fields["priority"] = priority
    return packed({"ticket": fields})


def comment(note: NoteDraft, key: str, stamp: str) -> bytes:
    """The body that adds an internal comment, unless the ticket has changed since `stamp`."""
    said = {"body": marked(note.text, key), "public": False}
    return packed({"ticket": {"comment": said, **_safe(stamp)}})


def change(shown: Mapping[str, Any], status: RecordStatus, solver: int) -> bytes:
    """The body that changes a ticket's status. Zendesk lets nobody's ticket not be solved: it becomes the solver's."""
    fields: dict[str, object] = {"status": status}
    if status == "solved" and shown.get("assignee_id") is None:
        fields["assignee_id"] = solver
    return packed({"ticket": {**fields, **_safe(str(shown.get("updated_at", "")))}})


def _safe(stamp: str) -> dict[str, object]:
    return {"safe_update": True, "updated_stamp": stamp}


def packed(value: object) -> bytes:
    """JSON in one spelling."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")


def status_of(value: object) -> RecordStatus | None:
    """What a ticket's status comes down to; None for one that is not known (deleted, a name of the account's own)."""
    return _STATUS.get(value.strip().lower()) if isinstance(value, str) else None


def change_id(status: str, seconds: int) -> str:
    """The id of a change of status: the same from webhook and poll, which share no number for it."""
    return f"status-{status}-{seconds}"


def moment(value: object) -> datetime | None:
    """A time of Zendesk's. The webhooks' have nine digits after the second."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def mismatch(body: Any) -> bool:
    """Whether Zendesk says that a key was used before with another body. It says 400 to other things too."""
    said = body.get("error") if isinstance(body, dict) else None
    words = body.get("description") if isinstance(body, dict) else None
    return said == "IdempotentRequestError" or (isinstance(words, str) and "idempotency key" in words.lower())
