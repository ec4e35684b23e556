"""From a finding's path, such as `Routes[3].When.author.followers[0].numeric`, to the value that it means."""

from __future__ import annotations

import re
from typing import Any

from connectors.tool.cfn_values import Path

_INDEX = re.compile(r"\[(\d+)\]")


def locate(properties: Any, path: str) -> Path:
    """The steps to what the path names, as far as it exists: a missing field is found at what it is missing from."""
    steps: list[str | int] = []
    rest, at = path, properties
    while rest:
        rest = rest.removeprefix(".")
        if isinstance(at, list) and (match := _INDEX.match(rest)) and int(match[1]) < len(at):
            steps.append(int(match[1]))
            at, rest = at[int(match[1])], rest[match.end() :]
            continue
        # The longest field that fits: names may hold dots and brackets themselves.
        names = [name for name in at if _begins(rest, name)] if isinstance(at, dict) else []
        if not names:
            break
        name = max(names, key=len)
        steps.append(name)
        at, rest = at[name], rest[len(name) :]
    return tuple(steps)


def _begins(rest: str, name: str) -> bool:
    return bool(name) and rest.startswith(name) and rest[len(name) : len(name) + 1] in {"", ".", "["}


def shown(path: Path) -> str:
    """`("Routes", 0, "Case")` → `Routes[0].Case`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def under(path: Path, above: Path) -> bool:
    """Whether one path is another, or lies within it."""
    return path[: len(above)] == above
