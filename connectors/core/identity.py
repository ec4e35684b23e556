"""Names that stay the same for life: mentions, conversations, cases, and the keys given to systems of record."""

from __future__ import annotations

import hashlib
from base64 import b32encode


def qualify(connector: str, authority: str | None, native_id: str) -> str:
    """`discourse:forum.acme.com:123`, or `x:123` where the vendor's ids are unique by themselves."""
    return f"{connector}:{authority}:{native_id}" if authority else f"{connector}:{native_id}"


def digest(*parts: str, length: int = 16) -> str:
    """A short, URL-safe, lower-case hash of the parts; 16 characters are 80 bits."""
    packed = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return b32encode(hashlib.sha256(packed).digest()).decode("ascii").lower()[:length]


def case_id(conversation: str) -> str:
    """The case of a conversation. Derived, so that two workers racing for it mean the same case."""
    return f"case-{digest('case', conversation)}"
