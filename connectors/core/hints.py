"""What a delivery only hints at: fetched by the place's `Resolver`, again later where that fails, for a day at most.

Pure. The same hint may come twice: fetching changes nothing, and what is known already is known.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError
from connectors.core.ledger import Pace
from connectors.core.models import AnyEvent, Deletion, Hint, Unsupported
from connectors.core.ports import Resolver

LONGEST = 24 * 3_600_000
"""Milliseconds for which a hint is followed."""
LATE = 300_000
"""Milliseconds within which a vendor may not show yet what it has just told of: until then nothing is gone, and nothing
refused for good."""
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Errand:
    """A hint on its way. `tries` have failed so far; `first`: when its day began, 0 where that begins with the next
    try; `not_before`: until when it waits. Both in milliseconds."""

    source: str
    hint: Hint
    tries: int = 0
    first: int = 0
    not_before: int = 0

    def message(self) -> dict[str, Any]:
        """As it waits in the Poll queue."""
        said = {"resolve": self.source, "hint": self.hint.model_dump(mode="json"), "tries": self.tries}
        return {**said, "first": self.first, **({"not_before": self.not_before} if self.not_before else {})}

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Errand:
        """What `message` gave. Raises KeyError and ValueError for another's."""
        hint = Hint.model_validate(message["hint"])
        numbers = (int(message.get(name, 0)) for name in ("tries", "first", "not_before"))
        return cls(str(message["resolve"]), hint, *numbers)


@dataclass(frozen=True, slots=True)
class Followed:
    """What an errand came to: events, or the errand once more (`again`, not before its `not_before`), and the `error`
    that was met. An errand that is given up has both: an `Unsupported`, so that it is counted and kept, and the error.
    `spent` is what asking cost, in the units of the connector's `prices.json`."""

    events: Sequence[AnyEvent] = ()
    again: Errand | None = None
    error: str | None = None
    spent: Mapping[str, int] = field(default_factory=dict)


def follow(errand: Errand, resolver: Resolver, pace: Pace, now: int) -> Followed:
    """Ask once. Never raises a vendor's error. `now` in milliseconds. Gone or refused, it is asked for once more."""
    spent = _units(resolver, errand.hint)
    try:
        events = resolver.resolve(errand.hint)
    except RemoteError as error:
        return replace(_failed(errand, error, pace, now), spent=spent)
    first = errand.first or now
    if now - first < LATE and any(isinstance(event, Deletion) for event in events):
        return Followed(again=replace(errand, first=first, not_before=first + LATE), spent=spent)
    return Followed([_final(event) for event in events], spent=spent)


def given_up(errand: Errand, why: str) -> Followed:
    """Nobody will fetch it."""
    reason = f"{errand.hint.id} could not be fetched: {why}"[:_LONGEST_REASON]
    return Followed(
        [Unsupported(connector=errand.hint.connector, event=errand.hint.event, reason=reason)], error=reason
    )


def held(errand: Errand, now: int, seconds: float) -> Errand:
    """The place is held by its administrators: the errand waits `seconds`, and its day begins when that ends."""
    return replace(errand, first=0, not_before=now + int(seconds * 1000))


def _failed(errand: Errand, error: RemoteError, pace: Pace, now: int) -> Followed:
    why = f"{type(error).__name__.removesuffix('Error')}: {error}"[:_LONGEST_REASON]
    first, tries = errand.first or now, errand.tries + 1
    if isinstance(error, RejectedError):
        if now - first >= LATE:
            return given_up(errand, why)
        at = first + LATE
    else:
        at = now + int(_wait(errand, error, pace) * 1000)
    if at - first > LONGEST:
        return given_up(errand, f"{why} (asked {tries} times)")
    return Followed(again=replace(errand, tries=tries, first=first, not_before=at), error=why)


def _wait(errand: Errand, error: RemoteError, pace: Pace) -> float:
    """Seconds: as the vendor asked, else growing; where an administrator has to act, the longest."""
    if isinstance(error, UnavailableError) and error.retry_after is not None:
        return min(max(error.retry_after, 1.0), 86_400.0)
    if isinstance(error, MisconfiguredError):
        return pace.longest
    wait = float(min(pace.longest, pace.backoff * 2 ** min(errand.tries, 16)))
    return wait * random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries; not a secret


def _units(resolver: Resolver, hint: Hint) -> Mapping[str, int]:
    """What asking costs, where the connector says so (see `Resolver`): counted also where the vendor refuses."""
    count = getattr(resolver, "hint_units", None)
    return {} if count is None else dict(count(hint))


def _final(event: AnyEvent) -> AnyEvent:
    """A hint that leads to a hint could go round for ever."""
    if not isinstance(event, Hint):
        return event
    return Unsupported(connector=event.connector, event=event.event, reason="what a hint led to is a hint again")
