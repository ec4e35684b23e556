"""Numbers and names in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KINDS = {
    "record": ("record", "records"),
    "note": ("note", "notes"),
    "batch": ("note", "notes"),
    "notify": ("notification", "notifications"),
    "status": ("change of status", "changes of status"),
    "retire": ("link to the live record", "links to the live record"),
    "reply": ("answer", "answers"),
}


def many(count: int, one: str) -> str:
    """`1 note`, `2 notes`."""
    return f"{count} {one}{'' if count == 1 else 's'}"


def counted(count: int, kind: str) -> str:
    """So many effects of a kind: `2 notifications`."""
    one, more = _KINDS.get(kind, (kind, f"{kind}s"))
    return f"{count} {one if count == 1 else more}"


def row_name(row: Mapping[str, Any]) -> str:
    """Whose row it is: `stack/name`, from its key in the table."""
    return str(row["pk"]).split("#", 1)[1]
