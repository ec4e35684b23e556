"""Values of a template that only a deployment knows: a placeholder of the right shape, and what it waits for."""

from __future__ import annotations

import re
import zlib

_NAMELESS = {"Computed", "Mapped", "Nothing"}
_SHAPES = {
    "Secret": "hailback/{name}",
    "Notify": "arn:aws:sns:{region}:{account}:hailback-{name}",
    "Case": "{stack}/{name}",
    "Account": "42",
    "Poll": "5m",
    "FailOverAfter": "2m",
    "Coalesce": "1m",
    "ServiceTimeout": "120",
    "ServiceToken": "arn:aws:lambda:{region}:{account}:function:{name}",
    "Budget": "1",
}


class Unknown(str):
    """A text of which only the shape is known. `why` says what it waits for; '' where it is a finding already."""

    why: str

    def __new__(cls, text: str, why: str) -> Unknown:
        made = super().__new__(cls, text)
        made.why = why
        return made


def guess(path: tuple[str | int, ...], name: str, why: str, *, stack: str, region: str, account: str) -> Unknown:
    """What may stand at a place. `name` is what it comes from; `elsewhere/…` is another stack's."""
    field_name = next((step for step in reversed(path) if isinstance(step, str)), "")
    shape = "https://{name}.example" if field_name.endswith("Url") else _SHAPES.get(field_name, "{name}")
    clean = re.sub(r"[^A-Za-z0-9]", "", name) or "Unknown"
    if "When" in path and "source" in path:
        shape = _SHAPES["Case"]
    if name.startswith("elsewhere/") and shape == _SHAPES["Case"]:
        return Unknown(f"elsewhere/{clean.removeprefix('elsewhere')[:200]}", why)
    if name in _NAMELESS:  # two of them are seldom the same
        clean = f"{clean}{zlib.crc32(why.encode() + repr(path).encode())}"
    return Unknown(shape.format(name=clean, stack=stack, region=region, account=account), why)
