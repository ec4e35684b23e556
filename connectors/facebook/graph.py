"""Calls to the Graph API: its parameters, its errors in our types, and how much of its limits is used up.

Limits come as percentages in headers, and as error codes: https://developers.facebook.com/docs/graph-api/overview/rate-limiting
Error codes: https://developers.facebook.com/docs/graph-api/guides/error-handling

    4, 17, 32, 341, 613, 80000 to 80014     LimitedError, for as long as the headers say
    368 (blocked for a while)               LimitedError, an hour
    190, 102                                MisconfiguredError, expired or revoked by the subcode
    3, 10, 200 to 299                       MisconfiguredError, scope missing
    100 with subcode 33, 803                GoneError: not there, or not for this token to see
    100                                     ParameterError after a read, such as a cursor that is not good any more
    1 ("reduce the amount of data")         TooMuchError, an UnavailableError, after a read
    1, 2, a transient error, 5xx            UnavailableError; UnknownOutcomeError after a write
    506, 1609005, others                    RejectedError after a write, MisconfiguredError after a read
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from connectors.core.errors import (
    MisconfiguredError,
    RejectedError,
    RemoteError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.health import TokenState
from connectors.facebook.settings import FacebookCredentials, FacebookSource
from connectors.http import HttpClient, Response, retry_after

HIGH = 80.0
"""Per cent of a limit from which on we go slower."""
SLOW = 600.0
"""Seconds of rest where a limit is nearly used up and Facebook names no time. Its windows last an hour and a day."""
LIMITED = 900.0
BLOCKED = 3600.0
_ERRORS = range(400, 600)
_LIMITS = frozenset({4, 17, 32, 341, 613, *range(80_000, 80_015)})
_RIGHTS = frozenset({3, 10, *range(200, 300)})
_TOKEN = frozenset({102, 190})
_EXPIRED = 463
_PASSING = frozenset({1, 2})
_USAGE = ("x-app-usage", "x-page-usage")
_BUSINESS = "x-business-use-case-usage"
_MEASURES = ("call_count", "total_time", "total_cputime")


class LimitedError(UnavailableError):
    """Too many calls, or blocked for a while; `retry_after` is always set."""


class TooMuchError(UnavailableError):
    """Error 1 after a read: often that it asks for more at once than Facebook gathers."""


class ParameterError(MisconfiguredError):
    """Facebook does not take a parameter of a read."""


class GoneError(RejectedError):
    """The object does not exist, or this token may not see it: Facebook does not tell the two apart."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The highest percentage of any limit; `regain`: seconds until calls are let through again, 0 while they are."""

    percent: float = 0.0
    regain: float = 0.0

    @property
    def rest(self) -> float:
        """Seconds to make no calls for."""
        return max(self.regain, SLOW) if self.regain or self.percent >= HIGH else 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON object, and what the call left of the limits."""

    body: Mapping[str, Any]
    usage: Usage


class Graph:
    """The API as one Page. Safe to share between threads."""

    def __init__(self, settings: FacebookSource, credentials: FacebookCredentials, http: HttpClient) -> None:
        self._base = f"{settings.api_url}/{settings.api_version}"
        token = credentials.page_access_token.get_secret_value()
        self._signed = {"access_token": token}
        if credentials.app_secret is not None:
            proof = hmac.new(credentials.app_secret.get_secret_value().encode(), token.encode(), hashlib.sha256)
            self._signed["appsecret_proof"] = proof.hexdigest()
        self._http = http

    def get(self, path: str, parameters: Mapping[str, str], signed: Mapping[str, str] | None = None) -> Answer:
        """Read `path`. `signed`: other credentials than the Page's. Raises a RemoteError."""
        query = urlencode({**parameters, **(self._signed if signed is None else signed)})
        return _read(self._http.request("GET", f"{self._base}/{path}?{query}", handled=_ERRORS))

    def post(self, path: str, parameters: Mapping[str, str]) -> Answer:
        """Write to `path`. Raises a RemoteError; UnknownOutcomeError where it may have been carried out."""
        body = urlencode({**parameters, **self._signed}).encode("ascii")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return _read(self._http.request("POST", f"{self._base}/{path}", headers=headers, body=body, handled=_ERRORS))


def usage(headers: Mapping[str, str]) -> Usage:
    """What the three headers say; a header that is not what is documented says nothing."""
    measured = [_json(headers.get(name)) for name in _USAGE]
    business = _json(headers.get(_BUSINESS))
    for entries in business.values():
        measured += [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    percent = max([_number(one.get(name)) for one in measured for name in _MEASURES], default=0.0)
    minutes = max([_number(one.get("estimated_time_to_regain_access")) for one in measured], default=0.0)
    return Usage(percent, minutes * 60)


def _read(response: Response) -> Answer:
    used = usage(response.headers)
    body = _json(response.body)
    fault = body.get("error")
    if isinstance(fault, dict):
        raise _failure(fault, response, used)
    if response.status in _ERRORS:
        raise _unexplained(response, used)
    if not body:
        # After a write, an answer that cannot be read says nothing about what became of it.
        body = response.json()
        if not isinstance(body, dict):
            raise MisconfiguredError(f"{response.host} does not answer as the Graph API does; check ApiUrl")
    return Answer(body, used)


def _failure(fault: Mapping[str, Any], response: Response, used: Usage) -> RemoteError:
    code, subcode = int(_number(fault.get("code"))), int(_number(fault.get("error_subcode")))
    said = f"{response.host} answered {response.status}, error {code}" + (f".{subcode}" if subcode else "")
    if code in _LIMITS:
        return LimitedError(f"{said}: too many calls", used.regain or _asked(response) or LIMITED)
    if code == 368:
        return LimitedError(f"{said}: the Page is blocked for a while; see its Support Inbox", used.regain or BLOCKED)
    if code in _TOKEN:
        state = TokenState.EXPIRED if subcode == _EXPIRED else TokenState.REVOKED
        return MisconfiguredError(f"{said}: the Page's access token has to be renewed", token=state)
    if code in _RIGHTS:
        said = f"{said}: the token lacks a permission for this; see the connector's README"
        return MisconfiguredError(said, token=TokenState.SCOPE_MISSING)
    if code == 803 or (code, subcode) == (100, 33):
        return GoneError(f"{said}: it is not there any more, or the Page may not see it")
    if code in _PASSING or fault.get("is_transient") is True or response.status >= 500:
        return _unanswered(said, response, TooMuchError if code == 1 else UnavailableError)
    if response.safe:
        kind = ParameterError if code == 100 else MisconfiguredError
        return kind(f"{said}; check Account and ApiVersion")
    if code == 506:
        return RejectedError(f"{said}: the same words were posted just before")
    return RejectedError(f"{said}: it does not take this answer")


def _unexplained(response: Response, used: Usage) -> RemoteError:
    """An error without Facebook's own words, from a proxy perhaps."""
    said = f"{response.host} answered {response.status}"
    if response.status == 429:
        return LimitedError(f"{said}: too many calls", used.regain or _asked(response) or LIMITED)
    if response.status >= 500 or response.status == 408:
        return _unanswered(said, response)
    return MisconfiguredError(f"{said} without saying why; check ApiUrl")


def _unanswered(said: str, response: Response, kind: type[UnavailableError] = UnavailableError) -> RemoteError:
    if response.safe:
        return kind(f"{said}; nothing was changed", _asked(response))
    return UnknownOutcomeError(f"{said}; whether it carried the request out is not known")


def _asked(response: Response) -> float | None:
    return retry_after(response.headers.get("retry-after"))


def _json(text: str | bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(text or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float:
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:9])
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if fits else 0.0  # type: ignore[arg-type]
