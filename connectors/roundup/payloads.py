"""What Hailback says to Roundup and how Roundup's answers are read. Pure.

Roundup 2.6 strips the content of a message, puts unknown failures into a 400 with one fixed sentence, and stores any
control character it is given; PostgreSQL behind it refuses NUL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.core.ports import CaseDraft, NoteDraft
from connectors.roundup.settings import RoundupSystem

TITLE_LENGTH = 200
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NO_PROPERTY = re.compile(r"Property (\S+) not found in class|Field (\S+) is not valid for|Unknown property: (\w+)")
_NO_VALUE = re.compile(r"""property (\w+): |you must enter ID or .* for (\w+)|no (\w+) of name""", re.IGNORECASE)
_ORIGIN = re.compile(r"header|origin|referer|invalid host|rest interface|authorize request", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Known:
    """The tracker's own priorities and keywords: id by name, in small letters."""

    priorities: Mapping[str, str] = field(default_factory=dict)
    keywords: Mapping[str, str] = field(default_factory=dict)


def named(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Id by name, in small letters."""
    return {str(row.get("name", "")).casefold(): str(row["id"]) for row in rows if "id" in row}


def clean(text: str) -> str:
    """Text as Roundup will keep it: one kind of line end, no control characters, nothing at the ends."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", lines)).strip()


def title(text: str) -> str:
    """One line of at most TITLE_LENGTH characters, never empty: Roundup refuses an issue without a title."""
    line = " ".join(clean(text).split()) or "(no title)"
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"


def issue(case: CaseDraft, key: str, settings: RoundupSystem, known: Known | None = None) -> dict[str, object]:
    """A new issue, without a message: all posts come as notes. Of what the plan says, the tracker gets the priority and
    the keywords that it knows; it would refuse the issue for any other."""
    known = known or Known()
    fields: dict[str, object] = {"title": title(case.title), "external_id": key}
    if case.url:
        fields["conversation_url"] = clean(case.url)
    if priority := known.priorities.get(case.priority or "", settings.priority):
        fields["priority"] = priority
    if keywords := [known.keywords[label.casefold()] for label in case.labels if label.casefold() in known.keywords]:
        fields["keyword"] = list(dict.fromkeys(keywords))
    if settings.status:
        fields["status"] = settings.status
    return fields


def unset(case: CaseDraft, known: Known) -> tuple[str, ...]:
    """What the plan says of the case and the tracker has no name for, or does not show to our account."""
    priority = case.priority if case.priority and case.priority not in known.priorities else None
    labels = [label for label in case.labels if label.casefold() not in known.keywords]
    said = [f"no priority named {priority}"] if priority else []
    return (*said, *(f"no keyword named {label}" for label in labels))


def message(note: NoteDraft, key: str, author: str) -> dict[str, object]:
    """A new message. It is on no issue until it is added to one. `.` is Roundup's word for now."""
    return {"content": clean(note.text) or "(no text)", "external_id": key, "author": author, "date": "."}


def said(body: Any) -> str:
    """Roundup's own words in an error answer; empty where there are none."""
    error = body.get("error") if isinstance(body, dict) else None
    words = error.get("msg") if isinstance(error, dict) else None
    return words if isinstance(words, str) else ""


def permit_spent(words: str) -> bool:
    """Whether a single-use address was refused: used, expired, or never given out."""
    return words.startswith("POE token")


def failed_inside(words: str) -> bool:
    """Whether Roundup hit an exception of its own: a locked database, a mail server that is down, a unique index."""
    return "check the server log" in words


def misconfiguration(words: str) -> str | None:
    """What an administrator must do, where Roundup's words are about the tracker and not about the content."""
    if found := _NO_PROPERTY.search(words):
        name = next(group for group in found.groups() if group)
        return (
            f"the tracker's schema has no property {name}; add it to schema.py as connectors/roundup/README.md shows "
            "(a Roundup too old for exact-match filters says the same)"
        )
    if found := _NO_VALUE.search(words):
        name = next(group for group in found.groups() if group)
        return f"the tracker does not know the {name} that was configured, or an account; check Priority and Status…"
    if _ORIGIN.search(words):
        return "the tracker refuses our origin; BaseUrl must begin like `web` in its config.ini"
    return None
