"""What X's refusals mean for us. X answers with a problem document (RFC 7807): `{type, title, detail, status, reason}`,
some of which may be missing; a 401 has only `about:blank`.
https://docs.x.com/x-api/fundamentals/response-codes-and-errors
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.http import Response, retry_after
from connectors.x.values import clean

HANDLED = frozenset({400, 401, 402, 403, 404, 409, 410, 413, 422, 429})
"""Statuses that `translate` reads; the HTTP client deals with the others."""
_LONGEST_WAIT = 86_400.0
_MONEY = re.compile(r"credit|usage.?cap|spend|billing|payment", re.IGNORECASE)
_SCOPES = ("oauth1-permissions", "unsupported-authentication", "client-forbidden", "missing-scope")


class LimitedError(UnavailableError):
    """X's rate limit: 429 with the time at which it ends."""


class StaleError(RejectedError):
    """X does not understand the question as it was put: 400."""


def translate(response: Response, *, write: bool, renewable: bool, now: float) -> RemoteError:
    """The error that an answer amounts to. `now` in seconds. Nothing that X echoes of a request gets into it."""
    status, problem = response.status, _problem(response)
    said = f"X answered {status}"
    if status == 402 or (status in {403, 429} and _about_money(problem)):
        return MisconfiguredError(
            f"{said}: the credits are used up, or the app's spending limit is reached; see X's developer console",
            TokenState.LIMITED,
        )
    if status == 429:
        return LimitedError(f"{said}: the rate limit is reached", _wait(response, now))
    if status == 401:
        if renewable:
            return MisconfiguredError(f"{said}: the access token has run out", TokenState.EXPIRED)
        return MisconfiguredError(f"{said}: the token is not valid; make a new one", TokenState.REVOKED)
    if status == 403:
        return _forbidden(said, problem, write=write)
    if status == 404 and not write:
        return MisconfiguredError(f"{said}: there is no such account or address; check Account and ApiUrl")
    if status == 400 and not write:
        return StaleError(f"{said}: it does not take this question; check Search")
    return RejectedError(f"{said}: it does not take this answer")


def _forbidden(said: str, problem: Mapping[str, Any], *, write: bool) -> RemoteError:
    kind, detail = _word(problem, "type"), _word(problem, "detail")
    if kind.endswith(_SCOPES) or _word(problem, "reason") == "client-not-enrolled":
        return MisconfiguredError(
            f"{said}: the app or its token may not do this; see its permissions, scopes and plan in X's console",
            TokenState.SCOPE_MISSING,
        )
    if re.search(r"suspended|temporarily locked|deactivated", detail, re.IGNORECASE):
        return MisconfiguredError(f"{said}: the account or the app is locked or suspended", TokenState.REVOKED)
    if not write:
        return MisconfiguredError(f"{said}: the token may not read this", TokenState.SCOPE_MISSING)
    if re.search(r"duplicate", detail, re.IGNORECASE):
        # An identical post exists. It may be this very answer, sent by an attempt whose outcome never reached us.
        return UnknownOutcomeError(
            f"{said}: these words were posted before; a person has to look whether as this answer"
        )
    if re.search(r"deleted|not visible", detail, re.IGNORECASE):
        return RejectedError(f"{said}: the post that this answers is deleted, or not visible to us")
    if kind.endswith("not-authorized-for-resource") or "only reply to" in detail:
        return RejectedError(
            f"{said}: it lets an app answer only where the author mentioned or quoted this account; answer it by hand"
        )
    return RejectedError(f"{said}: this answer is not permitted; the author may have limited who can answer")


def _wait(response: Response, now: float) -> float | None:
    """`x-rate-limit-reset` is a time in unix seconds."""
    reset = response.headers.get("x-rate-limit-reset", "")
    if re.fullmatch(r"[0-9]{1,11}", reset, re.ASCII):
        return min(max(1.0, int(reset) - now + 1.0), _LONGEST_WAIT)
    return retry_after(response.headers.get("retry-after"))


def _about_money(problem: Mapping[str, Any]) -> bool:
    return any(_MONEY.search(_word(problem, name)) for name in ("type", "title", "reason"))


def _problem(response: Response) -> Mapping[str, Any]:
    try:
        body = json.loads(response.body.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _word(problem: Mapping[str, Any], name: str) -> str:
    """A field of the problem, or of the first of its `errors`."""
    value = problem.get(name)
    errors = problem.get("errors")
    if value is None and isinstance(errors, list) and errors and isinstance(errors[0], dict):
        value = errors[0].get(name)
    return clean(value)[:500] if isinstance(value, str) else ""
