"""How administrators write a wait: `90s`, `5m`, `1h30m`, `1d`; and how people say one."""

from __future__ import annotations

import re

_PARTS = re.compile(r"(?:(?P<d>\d{1,4})d)?(?:(?P<h>\d{1,5})h)?(?:(?P<m>\d{1,6})m)?(?:(?P<s>\d{1,7})s)?", re.ASCII)
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def seconds(text: str) -> int | None:
    """A wait in seconds; None for what is not one. A bare number is not: it does not say of what."""
    match = _PARTS.fullmatch(text.strip().lower())
    if match is None or not text.strip():
        return None
    return sum(int(count) * _SECONDS[unit] for unit, count in match.groupdict().items() if count)


def spoken(seconds: int) -> str:
    """As a person says it: `1 hour 2 minutes`, `45 seconds`; no more than two parts."""
    parts = []
    for name, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(max(0, seconds), size)
        parts += [f"{count} {name}{'' if count == 1 else 's'}"] if count else []
    return " ".join(parts[:2]) or "0 seconds"
