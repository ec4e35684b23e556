"""Reading single values out of what Facebook sends. Pure; never raises: what has the wrong shape counts as missing.

Numbers come as numbers or as strings, and times in seconds, in milliseconds or as ISO 8601, depending on the year and
the endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from connectors.core.models import Author

CONNECTOR = "facebook"
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:.-]{0,199}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,40}", re.ASCII)
_LATEST = 253_402_300_799
"""Unix seconds at the end of the year 9999."""
_MILLISECONDS = 100_000_000_000
"""A time from here on is in milliseconds: in seconds it would be the year 5138."""
_BIGGEST = 2**63


def clean(text: str) -> str:
    """Text without what no store or ticket takes: half surrogate pairs and NUL become the replacement character."""
    return _UNUSABLE.sub("\ufffd", text)


def identifier(value: object) -> str | None:
    """An id: a positive number or a short string of id characters."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 0 < value < 10**100 else None
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    return None


def string(value: object) -> str | None:
    return (clean(value) or None) if isinstance(value, str) else None


def word(value: object) -> str:
    """A vendor's word for an event: lower case, fit for a table."""
    return re.sub(r"[^a-z0-9_]", "", value.lower())[:40] if isinstance(value, str) else ""


def milliseconds(value: object) -> int | None:
    """Milliseconds since the epoch; None for what is no time, or before it."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return _iso(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float) and not abs(value) < _BIGGEST:  # which no infinity and no NaN is
        return None
    number = int(value)
    if number >= _MILLISECONDS:
        return number if number <= _LATEST * 1000 else None
    return number * 1000 if number > 0 else None


def moment(value: int | None) -> datetime | None:
    """The time of so many milliseconds, as `milliseconds` gives them."""
    return None if value is None else datetime.fromtimestamp(value / 1000, UTC)


def author(value: Mapping[str, Any]) -> Author | None:
    """Who said it: `from`, or `sender_id` and `sender_name` in older payloads. Facebook may withhold both."""
    given = value.get("from")
    whose: Mapping[str, Any] = given if isinstance(given, dict) else {}
    sender = identifier(value.get("sender_id"))
    native_id = identifier(whose.get("id")) or sender
    if native_id is None:
        return None
    name = string(whose.get("name"))
    if name is None and sender in {native_id, None}:
        name = string(value.get("sender_name"))
    return Author(native_id=native_id, name=name)


def permalink(value: object) -> str | None:
    """An address at Facebook; one that leads elsewhere is not believed."""
    address = string(value)
    if address is None or len(address) > 2000 or any(character <= " " for character in address):
        return None
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return None
    ours = host == "facebook.com" or host.endswith(".facebook.com")
    return address if parts.scheme == "https" and ours and "@" not in parts.netloc else None


def comment_of(address: str | None) -> tuple[str | None, str | None]:
    """The `comment_id` and `reply_comment_id` in a comment's address; None where there is none."""
    query = parse_qs(urlsplit(address or "").query)
    found = [identifier(query.get(name, [""])[0]) for name in ("comment_id", "reply_comment_id")]
    return found[0], found[1]


def post_of(address: str | None) -> tuple[str, str] | None:
    """Page and post in an address like `https://www.facebook.com/<page>/posts/<post>`, where both are ids."""
    parts = [part for part in urlsplit(address or "").path.split("/") if part]
    if len(parts) != 3 or parts[1] != "posts":
        return None
    return (parts[0], parts[2]) if _DIGITS.fullmatch(parts[0]) and _DIGITS.fullmatch(parts[2]) else None


def post_in(comment: str, page: str | None) -> str:
    """The post that a comment's id begins with: `<post>_<comment>`, on the wall of `page`; until 2014
    `<page>_<post>_<comment>`. Without a page, or for an id that is one number, as much of it as there is."""
    first, *rest = comment.split("_")
    if len(rest) == 2:
        return f"{first}_{rest[0]}"
    return f"{page}_{first}" if rest and page else first


def link(post: str, comment: str | None = None) -> str | None:
    """The address that Facebook opens a Page's post at, and a comment under it."""
    if not re.fullmatch(r"[0-9]+_[0-9]+", post, re.ASCII):
        return None
    last = (comment or "").rpartition("_")[2]
    return f"https://www.facebook.com/{post}" + (f"?comment_id={last}" if last else "")


def _iso(value: str) -> int | None:
    try:
        found = datetime.fromisoformat(value)
        found = found.replace(tzinfo=found.tzinfo or UTC)
        number = round(found.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return number if 0 < number <= _LATEST * 1000 else None
