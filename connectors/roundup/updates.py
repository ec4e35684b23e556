"""What people did on issues, as events. Pure mapping of what Roundup lists; `connector.py` asks for it.

Roundup knows no public and no internal messages. One that begins with the tracker's `ReplyPrefix` is an answer to the
customer, without that prefix; all others are notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.core.models import Author, RecordStatus, RecordUpdate
from connectors.roundup.payloads import clean
from connectors.roundup.settings import RoundupSystem

CONNECTOR = "roundup"
KEY_PREFIX = "hailback-"
"""How every external id of ours begins."""
_FORMAT = "%Y-%m-%d.%H:%M:%S"


def written(settings: RoundupSystem, username: str, issue: str, message: Mapping[str, Any]) -> RecordUpdate:
    """A message on an issue, both by number."""
    text = clean(str(message.get("content") or ""))
    prefix = settings.reply_prefix
    answers = text[: len(prefix)].casefold() == prefix.casefold()
    author = _author(message.get("author"))
    return RecordUpdate(
        connector=CONNECTOR,
        authority=settings.authority,
        reference=f"issue{issue}",
        native_id=f"msg{message['id']}",
        kind="reply" if answers else "note",
        author=author,
        text=text[len(prefix) :].strip() if answers else text,
        url=f"{settings.base_url}issue{issue}",
        at=moment(message.get("creation")) or moment(message.get("date")),
        own=bool(message.get("external_id")) or (author is not None and author.handle == username),
    )


def moved(settings: RoundupSystem, username: str, issue: Mapping[str, Any]) -> RecordUpdate | None:
    """The last change of an issue's status; None where the issue does not say when that was."""
    at, name = moment(issue.get("status_changed")), status_name(issue)
    if at is None or not name:
        return None
    who = str(issue.get("status_changed_by") or "")
    return RecordUpdate(
        connector=CONNECTOR,
        authority=settings.authority,
        reference=f"issue{issue['id']}",
        native_id=f"status-{name}-{int(at.timestamp())}",
        kind="status",
        author=Author(native_id=who, handle=who) if who else None,
        status=status_of(settings, name),
        url=f"{settings.base_url}issue{issue['id']}",
        at=at,
        own=who == username,
    )


def in_order(events: Sequence[RecordUpdate]) -> list[RecordUpdate]:
    """Oldest first. In one second a message comes before what its writer did to the status."""
    earliest = datetime.min.replace(tzinfo=UTC)
    return sorted(events, key=lambda event: (event.at or earliest, event.kind == "status"))


def status_of(settings: RoundupSystem, name: str) -> RecordStatus:
    """What a tracker's status comes down to."""
    if name in settings.status_solved:
        return "solved"
    return "pending" if name in settings.status_pending else "open"


def status_name(issue: Mapping[str, Any]) -> str:
    """The name of an issue's status, as Roundup shows it with `@verbose=2`; empty where it has none."""
    status = issue.get("status")
    return str(status.get("name") or "") if isinstance(status, dict) else ""


def bearers(issues: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Message and issue, by number, for every message on one of our issues."""
    for issue in issues:
        if str(issue.get("external_id") or "").startswith(KEY_PREFIX):
            for message in issue.get("messages") or ():
                yield str(message), str(issue["id"])


def stamp(moment_: datetime) -> str:
    """A time as Roundup reads it, in UTC."""
    return moment_.astimezone(UTC).strftime(_FORMAT)


def moment(value: object) -> datetime | None:
    """A time of Roundup's, which it gives in UTC."""
    try:
        return datetime.strptime(str(value)[:19], _FORMAT).replace(tzinfo=UTC) if value else None
    except ValueError:
        return None


def _author(shown: object) -> Author | None:
    if not isinstance(shown, dict) or not shown.get("id"):
        return None
    name = shown.get("username")
    return Author(native_id=str(shown["id"]), handle=name if isinstance(name, str) else None)
