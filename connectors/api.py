"""One vendor's API over the one HTTP client: its address, what lets us in, and what its refusals mean.

What vendors have in common stands here; a vendor whose answers mean something else says so in a `dialect`. Messages
name a host and a status, never what was asked or answered.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlencode

from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenHealth, TokenState
from connectors.http import HttpClient, Response, failure, retry_after

_ANY = range(300, 600)
_LONGEST_WAIT = 86_400.0
Query = Mapping[str, str | int | bool | list[str] | None]
"""Members that are None are left out; a list repeats its name, true and false are written so."""


class MissingError(RejectedError):
    """404 or 410: what was asked for is not there, or not any more."""


class LimitedError(UnavailableError):
    """The vendor's limit is reached; nothing was done. `retry_after` says for how long, where the vendor does."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Where a vendor says when its limit ends: `header` and in which `unit`: `unix` seconds, `iso` time, or `seconds`
    from now. `remaining` names the header with the calls that are left."""

    header: str
    unit: Literal["unix", "iso", "seconds"]
    remaining: str | None = None


@dataclass
class Api:
    """Calls under one address. `headers` are sent with each; where they are made anew for each call, such as a token
    that is signed or may be missing, the function that makes them. `dialect` makes an error of an answer, or None where
    it means what it means elsewhere; it also sees answers of 200, for vendors that refuse in those. `renewable`: an
    access token that has run out is renewed by us. `rest`: seconds that the last answer asked to keep still, as far as
    its headers say."""

    http: HttpClient
    base: str
    headers: Mapping[str, str] | Callable[[], Mapping[str, str]] = field(default_factory=dict, repr=False)
    dialect: Callable[[Response], RemoteError | None] = lambda _: None
    reset: Reset | None = None
    renewable: bool = False
    rest: float = 0.0

    def get(self, path: str, query: Query | None = None) -> Any:
        """What is there, as JSON. Raises a RemoteError; MissingError for 404 and 410."""
        return self.call("GET", path, query).json()

    def post(
        self,
        path: str,
        json: object = None,
        *,
        form: Query | None = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        safe: bool | None = None,
    ) -> Any:
        """What it became, as JSON. `safe`: the call changes nothing, or as often as it likes to."""
        return self.call("POST", path, query, json=json, form=form, headers=headers, safe=safe).json()

    def call(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        json: object = None,
        form: Query | None = None,
        headers: Mapping[str, str] | None = None,
        safe: bool | None = None,
    ) -> Response:
        """Any request. `path` follows the base, or is a whole address below it, as on a next page."""
        sent = {**(self.headers() if callable(self.headers) else self.headers), **(headers or {})}
        body = None
        if form is not None:
            body = encoded(form).encode("ascii")
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        url = self._below(path)
        if asked := encoded(query or {}):
            url += ("&" if "?" in url else "?") + asked
        answer = self.http.request(method, url, headers=sent, json=json, body=body, handled=_ANY, safe=safe)
        self.rest = _rest(answer, self.reset) or (_after(answer) or 0.0 if answer.status == 429 else 0.0)
        if error := self.dialect(answer) or (None if answer.status < 300 else self._refused(answer)):
            raise error
        return answer

    def health(
        self, path: str, query: Query | None = None, judge: Callable[[Any], str | None] = lambda _: None
    ) -> TokenHealth:
        """How the credentials are, by a call that has no effect: for a `Checker`. `judge` says of an answer what the
        credentials are not good for, None where they are."""
        try:
            complaint = judge(self.get(path, query))
        except LimitedError as error:
            until = None if error.retry_after is None else int((time.time() + error.retry_after) * 1000)
            return TokenHealth(TokenState.LIMITED, f"{error}", until)
        except UnavailableError as error:
            return TokenHealth(TokenState.TRANSIENT, f"{error}")
        except MisconfiguredError as error:
            return TokenHealth(error.token or TokenState.SCOPE_MISSING, f"{error}")
        except RemoteError as error:
            return TokenHealth(TokenState.SCOPE_MISSING, f"{error}")
        return TokenHealth(TokenState.OK if complaint is None else TokenState.SCOPE_MISSING, complaint or "")

    def _below(self, path: str) -> str:
        if not path.startswith(("https://", "http://")):
            return f"{self.base}/{path.lstrip('/')}" if path else self.base
        if not path.startswith(f"{self.base}/"):
            raise RejectedError("the next page is said to be elsewhere; that is not followed")
        return path

    def _refused(self, answer: Response) -> RemoteError:
        said = f"{answer.host} answered {answer.status}"
        if answer.status == 401:
            if self.renewable:
                return MisconfiguredError(f"{said}: the access token has run out", TokenState.EXPIRED)
            return MisconfiguredError(f"{said}: the credentials are not valid; renew them", TokenState.REVOKED)
        if answer.status == 403:
            return MisconfiguredError(f"{said}: the credentials do not allow this", TokenState.SCOPE_MISSING)
        if answer.status in {404, 410}:
            return MissingError(f"{said}: it is not there")
        if answer.status == 429:
            return LimitedError(f"{said}: its limit is reached", self.rest or None)
        return failure(answer)


def encoded(query: Query) -> str:
    """A query, or a form, as it goes over the wire."""
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        values = value if isinstance(value, list) else [value]
        pairs += [(name, str(one).lower() if isinstance(one, bool) else str(one)) for one in values if one is not None]
    return urlencode(pairs)


def posted(answer: object, *steps: str | int) -> str:
    """The id of what was just written, found in the answer. Raises UnknownOutcomeError where the answer says none: it
    was taken, and nobody knows as what."""
    from connectors.core.reading import dig, ident

    found = ident(dig(answer, *steps))
    if found is None:
        raise UnknownOutcomeError("the answer was taken, and not said which it became")
    return found


def _rest(answer: Response, reset: Reset | None) -> float:
    """Seconds until the limit ends, where it is used up; 0 where it is not, or nothing is said."""
    if reset is None:
        return 0.0
    if answer.status != 429 and (reset.remaining is None or _number(answer.headers.get(reset.remaining)) != 0):
        return 0.0
    text, wait = answer.headers.get(reset.header, ""), None
    if reset.unit == "iso":
        try:
            ends = datetime.fromisoformat(text)
        except ValueError:
            return 0.0
        wait = (ends.replace(tzinfo=ends.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    elif (number := _number(text)) is not None:
        wait = number - (time.time() if reset.unit == "unix" else 0.0)
    return 0.0 if wait is None else min(max(1.0, wait + 1.0), _LONGEST_WAIT)


def _after(answer: Response) -> float | None:
    return retry_after(answer.headers.get("retry-after"))


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"[0-9]{1,11}(\.[0-9]{1,9})?", text, re.ASCII) else None
