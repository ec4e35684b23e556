"""Reads single values out of X's JSON, where every field may be missing, null or of another shape. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

EPOCH = 1_288_834_974_657
"""Milliseconds at which X's ids begin to count: an id holds its own time in the bits above the lowest 22.
https://docs.x.com/fundamentals/x-ids"""
_BIGGEST = 2**63
_ID = re.compile(r"[0-9]{1,20}", re.ASCII)
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_V1_TIME = "%a %b %d %H:%M:%S %z %Y"


def clean(text: str) -> str:
    """Text without what no store or ticket takes: half surrogate pairs and NUL become the replacement character."""
    return _UNUSABLE.sub("\ufffd", text)


def unescaped(text: str) -> str:
    """X escapes these three characters in a post's text, and no others; `&amp;lt;` is what somebody typed as `&lt;`."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def ident(value: object) -> str | None:
    """An id, which X sends as a string and v1 also as a number; None for anything else (a float has lost digits)."""
    if isinstance(value, str) and _ID.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**20:
        return None
    return str(value)


def first_id(thing: Mapping[str, Any], *names: str) -> str | None:
    return next((found for name in names if (found := ident(thing.get(name)))), None)


def born(native_id: str) -> int:
    """Milliseconds since the epoch at which an id was given out."""
    return (int(native_id) >> 22) + EPOCH


def id_at(milliseconds: int) -> int:
    """The lowest id that can have been given out at this time."""
    return max(0, milliseconds - EPOCH) << 22


def string(thing: Mapping[str, Any], name: str) -> str | None:
    value = thing.get(name)
    return (clean(value) or None) if isinstance(value, str) else None


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> Iterator[Mapping[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


def number(thing: Mapping[str, Any], name: str) -> int | None:
    """A count. X Activity deliveries bring some twice, as `like_count` and as `like_count_str`."""
    for value in (thing.get(name), thing.get(f"{name}_str")):
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _BIGGEST:
            return value
    return None


def moment(value: object) -> datetime | None:
    """A time as v2 writes it, or as v1 does (`Wed Oct 10 20:19:24 +0000 2018`)."""
    if not isinstance(value, str):
        return None
    try:
        v1 = value[:1].isalpha()
        found = datetime.strptime(value, _V1_TIME) if v1 else datetime.fromisoformat(value)  # noqa: DTZ007 - has %z
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def stamp(value: object) -> int | None:
    """Milliseconds since the epoch, which X sends as a string of digits."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and re.fullmatch(r"[0-9]{1,14}", text, re.ASCII):
        return int(text)
    return None
