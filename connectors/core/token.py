"""Webhook addresses: which source a delivery is for, checkable without a look-up.

A token carries the source's id and the name of the secret that verifies it, under a short keyed checksum. The
checksum only keeps strangers from causing look-ups; what lets a delivery in is the vendor's signature. Standard
library only.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

_TAG = 12
_LONGEST = 1024


class Address(NamedTuple):
    """What a token says: the source's id (`stack/name`) and its secret's name (`hailback/forum`)."""

    source: str
    secret: str


def make(salt: str, connector: str, address: Address) -> str:
    """The token of a source; the same as long as salt, connector, source and secret are."""
    packed = "\n".join(address).encode()
    return urlsafe_b64encode(_tag(salt, connector, packed) + packed).decode().rstrip("=")


def read(salt: str, connector: str, token: str) -> Address | None:
    """What the token says, or None for one that this deployment did not make for this connector."""
    if not salt or len(token) > _LONGEST:
        return None
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        if make_raw(raw) != token:
            return None
        tag, packed = raw[:_TAG], raw[_TAG:]
        if not hmac.compare_digest(tag, _tag(salt, connector, packed)):
            return None
        source, secret = packed.decode().split("\n")
    except ValueError:
        return None
    return Address(source, secret)


def make_raw(raw: bytes) -> str:
    """The one spelling of these bytes: base64 has several, and an address should have one."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


def verification_secret(secret: str) -> str:
    """The name of the secret that `receive_webhook` may read: what verifies deliveries."""
    return f"{secret}/verification"


def credentials_secret(secret: str) -> str:
    """The name of the secret that it may not read: what lets us call the vendor."""
    return f"{secret}/credentials"


def _tag(salt: str, connector: str, packed: bytes) -> bytes:
    return hmac.new(salt.encode(), connector.encode() + b"\n" + packed, hashlib.sha256).digest()[:_TAG]
