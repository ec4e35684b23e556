"""What a place's answers tell about its credentials: each call of an account leaves word of how it went. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.core.errors import (
    MisconfiguredError,
    RejectedError,
    RemoteError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.health import TokenHealth, TokenState, Use
from connectors.core.ports import Page

Note = Callable[[Use, TokenHealth], None]
"""Takes what a use met. Never raises: the call itself matters more."""

_LONGEST = 300
_USES = {"poll": Use.POLL, "recheck": Use.RECHECK, "reply": Use.REPLY, "find_reply": Use.REPLY, "resolve": Use.RESOLVE}


def observed(error: RemoteError, now: int) -> TokenHealth | None:
    """What an error says about the credentials; None where it says nothing. `now` in milliseconds."""
    detail = str(error)[:_LONGEST]
    match error:
        case MisconfiguredError(token=TokenState() as state):
            return TokenHealth(state, detail)
        case MisconfiguredError() | RejectedError():
            return None  # an address, a setting, a post: not the credentials
        case UnavailableError(retry_after=float() | int() as seconds):
            return TokenHealth(TokenState.LIMITED, detail, now + int(seconds * 1000))
        case UnavailableError() | UnknownOutcomeError():
            return TokenHealth(TokenState.TRANSIENT, detail)
        case _:
            return None


class Watched:
    """An account of a place that passes everything on, and says how `poll`, `recheck`, `resolve`, `reply` and
    `find_reply` went.

    Stands for the poller, the replier or the rechecker that it is given: what that has, this has, and no more."""

    def __init__(self, account: Any, note: Note, now: Callable[[], int]) -> None:
        self._account, self._note, self._now = account, note, now

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._account, name)
        use = _USES.get(name)
        return found if use is None else self._telling(use, found)

    def _telling(self, use: Use, call: Callable[..., Any]) -> Callable[..., Any]:
        def told(*given: Any, **named: Any) -> Any:
            try:
                answer = call(*given, **named)
            except RemoteError as error:
                if (seen := observed(error, self._now())) is not None:
                    self._note(use, seen)
                raise
            seen = answer.health if isinstance(answer, Page) else TokenHealth(TokenState.OK)
            if seen is not None:
                self._note(use, seen)
            return answer

        return told
