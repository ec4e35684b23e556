"""How the credentials of a place are, as far as its own answers tell. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TokenState(StrEnum):
    """`expired` can be renewed, `revoked` has to be granted anew, `scope missing` has to be granted more."""

    OK = "ok"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    REVOKED = "revoked"
    SCOPE_MISSING = "scope missing"
    LIMITED = "limited"
    TRANSIENT = "transient"
    """The vendor did not answer, or not usably: says nothing about the token."""


@dataclass(frozen=True, slots=True)
class TokenHealth:
    """`until` in milliseconds: when an expiring token ends, or a limit does. `detail`: one sentence, no secrets."""

    state: TokenState
    detail: str = ""
    until: int | None = None
