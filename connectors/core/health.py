"""How the credentials of a place are, as far as its own answers tell. Pure.

Each use of them (polling, answering, a trial …) is evidence of its own: a poll that works says nothing about the right
to answer. The state of a place is the worst that any use last met.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class TokenState(StrEnum):
    """`expired` can be renewed, `revoked` has to be granted anew, `scope missing` has to be granted more."""

    OK = "ok"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    REVOKED = "revoked"
    SCOPE_MISSING = "scope missing"
    LIMITED = "limited"
    """For a while, `until` which it is; without that, until a person does something: the money is used up."""
    TRANSIENT = "transient"
    """The vendor did not answer, or not usably: says nothing about the token."""


_WORST_FIRST = (
    TokenState.REVOKED,
    TokenState.EXPIRED,
    TokenState.SCOPE_MISSING,
    TokenState.EXPIRING,
    TokenState.LIMITED,
    TokenState.TRANSIENT,
    TokenState.OK,
)
_PASSING = frozenset({TokenState.LIMITED, TokenState.TRANSIENT})
_LASTING = frozenset({TokenState.REVOKED, TokenState.EXPIRED, TokenState.SCOPE_MISSING, TokenState.EXPIRING})
_RENEWABLE = frozenset({TokenState.EXPIRING, TokenState.EXPIRED})


_FAR = 50 * 365 * 86_400_000


@dataclass(frozen=True, slots=True)
class TokenHealth:
    """`until` in milliseconds: when an expiring token ends, or a limit does. `detail`: one sentence, no secrets."""

    state: TokenState
    detail: str = ""
    until: int | None = None


class Use(StrEnum):
    """What credentials were used for when something was seen of them."""

    POLL = "poll"
    RECHECK = "recheck"
    REPLY = "reply"
    CHECK = "check"
    RENEWAL = "renewal"
    RESOLVE = "resolve"
    """Fetching what a delivery only hinted at."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a use last told, and since when that is so (milliseconds)."""

    health: TokenHealth
    since: int


@dataclass(frozen=True, slots=True)
class Health:
    """All that is known of the credentials of one place. `checked_at`: when they were last tried out (milliseconds).

    `unusable`: why nothing can be called with them at all, such as a secret of the wrong shape."""

    source: str
    uses: Mapping[Use, Seen] = field(default_factory=dict)
    checked_at: int = 0
    unusable: str | None = None

    def after(self, use: Use, seen: TokenHealth, now: int) -> Health:
        """What is known once `use` met `seen`; the very same where that is no news.

        An outage or a limit never hides what is known to be wrong: only a call that worked, or another verdict, does.
        """
        if use is Use.RENEWAL and seen.state is TokenState.OK:  # what was said of the old token's end is over
            left = {one: told for one, told in self.uses.items() if told.health.state not in _RENEWABLE}
            if len(left) < len(self.uses):
                return replace(self, uses=left).after(use, seen, now)
        known = self.uses.get(use)
        if known is not None:
            if seen.state in _PASSING and known.health.state in _LASTING:
                return self
            if _lasts(known.health) and not _lasts(seen) and seen.state is not TokenState.OK:
                return self
            if known.health == seen:
                return self
            if known.health.state is seen.state and known.health.until == seen.until:
                return replace(self, uses={**self.uses, use: Seen(seen, known.since)})
        return replace(self, uses={**self.uses, use: Seen(seen, now)})

    def without(self, use: Use) -> Health:
        """What is known once nothing is known of `use`."""
        return replace(self, uses={one: told for one, told in self.uses.items() if one is not use})

    def worst(self, now: int) -> tuple[Use, Seen] | None:
        """The worst that any use last met; None where nothing is known yet."""
        found = [(use, Seen(current(seen.health, now), seen.since)) for use, seen in self.uses.items()]
        return min(found, key=lambda one: _WORST_FIRST.index(one[1].health.state), default=None)


def current(seen: TokenHealth, now: int) -> TokenHealth:
    """What was seen, now: a limit is over after its time, and so is a token that was expiring."""
    if seen.until is None or seen.until > now:
        return seen
    if seen.state is TokenState.LIMITED:
        return replace(seen, state=TokenState.OK)
    return replace(seen, state=TokenState.EXPIRED) if seen.state is TokenState.EXPIRING else seen


def _lasts(seen: TokenHealth) -> bool:
    """Whether time alone does not mend it. A limit that has no end is one of money."""
    return seen.state in _LASTING or (seen.state is TokenState.LIMITED and seen.until is None)


def needs_people(use: Use, seen: TokenHealth, *, renewable: bool) -> bool:
    """Whether an administrator has to act. A token that Hailback renews by itself may run out in use; it matters only
    where renewing failed, or where a trial, which comes after it, still says so."""
    if not _lasts(seen):
        return False
    return use in {Use.RENEWAL, Use.CHECK} or not (renewable and seen.state in _RENEWABLE)


def renewable(account: object, now: int) -> bool:
    """Whether Hailback renews this account's access token by itself: some time it will be due."""
    due = getattr(account, "refresh_due", None)
    return bool(due and due(now + _FAR))


REMEDY: dict[TokenState, str] = {
    TokenState.EXPIRING: "renew the credentials before then",
    TokenState.EXPIRED: "renew the credentials",
    TokenState.REVOKED: "grant access anew and put the new credentials into the secret",
    TokenState.SCOPE_MISSING: "grant the missing permission; the connector's README lists them",
    TokenState.LIMITED: "buy credits or raise the spending limit in the vendor's console",
}
"""What an administrator does about a state, in words."""
