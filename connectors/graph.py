"""What Meta's APIs have in common: calls and refusals, limits, deliveries, people.

https://developers.facebook.com/docs/graph-api/guides/error-handling
https://developers.facebook.com/docs/graph-api/overview/rate-limiting

    4, 17, 32, 341, 613, 80000 to 80014     LimitedError, for as long as the headers say
    368 (blocked for a while)               LimitedError, an hour
    190, 102                                MisconfiguredError, expired or revoked by the subcode
    3, 10, 200 to 299                       MisconfiguredError, scope missing
    100 with subcode 33, 803                MissingError: not there, or not for this token to see
    1, 2, a transient error, 5xx            UnavailableError; UnknownOutcomeError after a write
    others                                  RejectedError after a write, ParameterError after a read
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic import Field, SecretStr

from connectors.api import Api, LimitedError, MissingError, Query
from connectors.core.delivery import Delivery
from connectors.core.door import read_json
from connectors.core.errors import (
    MisconfiguredError,
    PayloadError,
    RejectedError,
    RemoteError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.feeds import Listing
from connectors.core.health import TokenState
from connectors.core.models import AnyEvent, Author, Deletion, Mention, Unsupported
from connectors.core.ports import Rechecked
from connectors.core.reading import dig, ident, is_own, json_of, listed, numbers, text, whole
from connectors.http import HttpClient, Response, retry_after
from connectors.oauth import Renewable

_HIGH, _SLOW = 80.0, 600.0
"""Per cent of a limit from which on we rest, and for how many seconds where no header says."""
_LIMITED, _BLOCKED, _DAY = 900.0, 3600.0, 86_400
_LIMITS = frozenset({4, 17, 32, 341, 613, *range(80_000, 80_015)})
_RIGHTS = frozenset({3, 10, *range(200, 300)})
_TOKEN, _EXPIRED, _PASSING = frozenset({102, 190}), 463, frozenset({1, 2})
_USAGE, _BUSINESS = ("x-app-usage", "x-page-usage"), "x-business-use-case-usage"
_MEASURES, _REGAIN = ("call_count", "total_time", "total_cputime"), "estimated_time_to_regain_access"
_PRIVATE = ("message", "messaging", "standby")
_PAGES = 10
_MILLISECONDS = 10**11
"""A time from here on is in milliseconds: in seconds it would be the year 5138."""


class ParameterError(MisconfiguredError):
    """A read that the API does not take, such as a field that this kind of object has not."""


class Token(Renewable):
    """The secret `<Secret>/credentials`: `{"access_token": …, "app_secret": …}`. With `app_secret` (optional) each call
    proves that it comes from the app. `expires_at`, in milliseconds, we write ourselves."""

    access_token: SecretStr = Field(min_length=1)
    app_secret: SecretStr | None = Field(default=None, min_length=1)

    def ageing(self, now: int) -> bool:
        """Whether a token of 60 days is past its half, or of unknown age (`now` in milliseconds)."""
        return self.expires_at is None or now >= self.expires_at - 30 * _DAY * 1000


class Graph(Api):
    """Calls with a token. `rest` also says for how long to keep still where a limit is nearly used up."""

    def __init__(self, http: HttpClient, base: str, token: Token) -> None:
        said = token.access_token.get_secret_value()
        super().__init__(http, base, {"Authorization": f"Bearer {said}"}, refused)
        self._proof: Mapping[str, str] = {}
        if token.app_secret is not None:
            proof = hmac.new(token.app_secret.get_secret_value().encode(), said.encode(), hashlib.sha256)
            self._proof = {"appsecret_proof": proof.hexdigest()}

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
        """As `Api.call`."""
        asked = {**(query or {}), **self._proof}
        answer = super().call(method, path, asked, json=json, form=form, headers=headers, safe=safe)
        self.rest = max(self.rest, usage(answer.headers)[0])
        return answer

    def page(self, path: str, query: Query) -> tuple[list[Any], str | None]:
        """A list, and the cursor of the page behind it; None at the end. Raises a RemoteError."""
        said = self.get(path, query)
        if not isinstance(dig(said, "data"), list):
            raise UnavailableError("the API did not answer with a list; it is asked again")
        following = text(dig(said, "paging", "cursors", "after")) if said["data"] else None
        return said["data"], following

    def listing(self, path: str, query: Query, read: Callable[[Any], Sequence[AnyEvent]]) -> Listing:
        """A list as `feeds.walk` wants it."""

        def listing(after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
            said, following = self.page(path, {**query, "after": after})
            return read(said), following

        return listing

    def whole(self, path: str, query: Query) -> list[Any] | None:
        """All of a list; None for one that is too long."""
        found, after = list[Any](), None
        for _ in range(_PAGES):
            some, after = self.page(path, {**query, "limit": 100, "after": after})
            found += some
            if after is None:
                return found
        return None

    def ourselves(self, path: str) -> tuple[str, ...]:
        """Our account's id and name. Where not even that is to be seen, the token is another's: MisconfiguredError."""
        try:
            said = self.get(path, {"fields": "id,username"})
        except MissingError as error:
            raise MisconfiguredError(f"{error}; check Account and the token", TokenState.SCOPE_MISSING) from None
        if ident(dig(said, "id")) is None:
            raise UnavailableError("the API did not answer with our account; it is asked again")
        return tuple(filter(None, (ident(dig(said, "id")), text(dig(said, "username"), 100))))

    def several(self, names: Sequence[str], fields: str, *, at_once: bool) -> dict[str, Any]:
        """Objects by their names as they stand; {} for one that has not these fields, None for one that is not to be
        seen. `at_once` asks for all in one call, which one that is gone spoils."""
        if at_once:
            with suppress(MissingError, ParameterError):
                said = self.get("/", {"ids": ",".join(names), "fields": fields})
                if all(dig(said, name, "id") == name for name in names):
                    return {name: dig(said, name) for name in names}
        return {name: self._one(name, fields) for name in names}

    def _one(self, name: str, fields: str) -> Any:
        try:
            said = self.get(name, {"fields": fields})
        except ParameterError:
            return {}
        except MissingError:
            return None
        if dig(said, "id") != name:
            raise UnavailableError("the API did not answer with what was asked for; it is asked again")
        return said


def rechecked(connector: str, found: Mapping[str, Any], read: Callable[[Any], Sequence[AnyEvent]]) -> Rechecked:
    """What `several` found: None is gone. Meta tells of no edit, so the others come as they stand."""
    now = int(time.time() * 1000)
    gone = [Deletion(connector=connector, native_id=name, order=now) for name, one in found.items() if one is None]
    there = [event for one in found.values() if one for event in read(one)]
    return Rechecked(gone, edited=[e.model_copy(update={"order": now}) for e in there if isinstance(e, Mention)])


def ours_since(events: Sequence[AnyEvent], since: int) -> bool:
    """Whether any is our own and was said by then (milliseconds) or later, or at a time that is not told."""
    return any(isinstance(one, Mention) and one.own and (one.order or since) >= since for one in events)


def renewed(http: HttpClient, base: str, grant: str, token: Token, now: int) -> Mapping[str, object]:
    """The document with a token that is good for another 60 days. One that is not a day old yet is refused, and so
    asked for again. https://developers.facebook.com/documentation/instagram-platform/reference/refresh_access_token"""
    asked = {"grant_type": grant, "access_token": token.access_token.get_secret_value()}
    try:
        root = re.sub(r"/v[0-9.]+$", "", base)
        said = Api(http, root, {}, refused).get("refresh_access_token", asked)
    except MisconfiguredError as error:
        if error.token in {TokenState.EXPIRED, TokenState.REVOKED}:
            raise
        raise UnavailableError(f"{error}; the token may be too young", _DAY) from None
    given, life = text(dig(said, "access_token")), whole(dig(said, "expires_in"))
    if given is None or life is None or not 0 < life < 10**8:
        raise UnavailableError("the answer to the token's renewal has no token; it is asked again")
    return token.document({"access_token": given, "expires_at": now + life * 1000})


def refused(answer: Response) -> RemoteError | None:
    """What an answer means that says `error`; None for any other."""
    fault = dig(_json(answer.body), "error")
    if not isinstance(fault, dict):
        return None
    code, subcode = whole(dig(fault, "code")) or 0, whole(dig(fault, "error_subcode")) or 0
    said = f"{answer.host} answered {answer.status}, error {code}" + (f".{subcode}" if subcode else "")
    if code in _LIMITS or code == 368:
        wait = usage(answer.headers)[1] or retry_after(answer.headers.get("retry-after"))
        return LimitedError(f"{said}: too many calls", wait or (_BLOCKED if code == 368 else _LIMITED))
    if code in _TOKEN:
        state = TokenState.EXPIRED if subcode == _EXPIRED else TokenState.REVOKED
        return MisconfiguredError(f"{said}: the access token has to be renewed", state)
    if code in _RIGHTS:
        return MisconfiguredError(f"{said}: the token lacks a permission; see the README", TokenState.SCOPE_MISSING)
    if code == 803 or (code, subcode) == (100, 33):
        return MissingError(f"{said}: it is not there any more, or not for this account to see")
    if code in _PASSING or fault.get("is_transient") is True or answer.status >= 500:
        kind = UnavailableError if answer.safe else UnknownOutcomeError
        return kind(f"{said}; whether it was carried out is for a look to tell" if not answer.safe else f"{said}")
    if answer.safe:
        return ParameterError(f"{said}: it does not take the question; check the settings")
    return RejectedError(f"{said}: it does not take this answer")


def usage(headers: Mapping[str, str]) -> tuple[float, float]:
    """Seconds to make no calls for, and those of them until calls are let through again, as the headers say."""
    measured: list[Any] = [_json(headers.get(name)) for name in _USAGE]
    business = _json(headers.get(_BUSINESS))
    for name in business if isinstance(business, dict) else ():
        measured += listed(business, name)
    percent = max([0.0, *(value for one in measured for value in numbers(one, *_MEASURES).values())])
    minutes = max([0.0, *(numbers(one, _REGAIN).get(_REGAIN, 0.0) for one in measured)])
    regain = min(minutes * 60.0, float(_DAY))
    return (max(regain, _SLOW) if regain or percent >= _HIGH else 0.0), regain


class Told(NamedTuple):
    """One thing in a delivery. `product` is whose it is (`instagram`, `threads`, `page`), None where it does not say;
    `account` the one that it was told to; `at` milliseconds, 0 for no time."""

    product: str | None
    field: str
    value: Any
    account: str | None = None
    at: int = 0

    @property
    def private(self) -> bool:
        """Whether it is somebody's message, by its name."""
        return self.field.startswith(_PRIVATE)


def parsed(
    connector: str,
    delivery: Delivery,
    change: Callable[[Told, int], AnyEvent],
    read: Callable[[Any], Sequence[AnyEvent]],
) -> Sequence[AnyEvent]:
    """The events in a delivery, each by `change`, which also gets the time of receipt in milliseconds, or in an answer
    of the API, by `read`. Raises PayloadError."""
    said = json_of(delivery)
    if changes := list(told(said)):
        return [_set_aside(connector, one) or change(one, delivery.received_at) for one in changes]
    if isinstance(dig(said, "error"), dict):
        return [skipped(connector, "error", "the API refused a question")]
    found = read(said)
    if not found and not isinstance(dig(said, "data"), list):  # which may be a page with nothing on it
        raise PayloadError("the body is no delivery and no answer of this API")
    return found


def _set_aside(connector: str, told: Told) -> Unsupported | None:
    if told.product not in {None, connector}:
        return skipped(connector, told.field, "an event of another product: give it an address of its own")
    return skipped(connector, told.field, "a private message is not ours to read") if told.private else None


def skipped(connector: str, event: str, reason: str, *, keep_raw: bool = False) -> Unsupported:
    """What is counted and not acted on."""
    return Unsupported(connector=connector, event=event, reason=reason, keep_raw=keep_raw)


def oldest_first(events: Iterable[AnyEvent]) -> list[AnyEvent]:
    """As they were said, as far as that is told."""
    return sorted(events, key=lambda event: getattr(event, "order", 0))


def nodes(said: Any, *edges: str) -> Iterator[Mapping[str, Any]]:
    """The objects in an answer: one by itself, a list, some by their ids, or lists that it has as `edges`."""
    if isinstance(said, list):
        for one in said:
            yield from nodes(one, *edges)
    elif isinstance(said, dict):
        lists = [said[name] for name in edges if listed(said, name) or isinstance(dig(said, name, "data"), list)]
        if inner := [*lists, *(one for name, one in said.items() if name.isdecimal() and isinstance(one, dict))]:
            yield from nodes(inner, *edges)
        elif "id" in said:
            yield said


def told(said: Any) -> Iterator[Told]:
    """What a delivery holds, whichever shape it has; nothing for what is no delivery.

    `{"object", "entry": [{"id", "time", "changes": [{"field", "value"}]}]}`, an entry that is itself such a change or
    has `messaging`, Threads' flat `{"topic", "time", "values": {"field", "value"}}` with one or a list, a change by
    itself, also as the dashboard's `sample`, and a list of any. https://developers.facebook.com/docs/instagram-platform/webhooks/examples
    https://developers.facebook.com/docs/threads/webhooks"""
    if isinstance(said, list):
        for one in said:
            yield from told(one)
    elif isinstance(dig(said, "entry"), list) or isinstance(dig(said, "object"), str):
        product = text(dig(said, "object"), 40)
        found = [one for entry in listed(said, "entry") for one in _entry(product, entry)]
        yield from found or [Told(product, "entry", None)]
    elif isinstance(values := dig(said, "values"), dict | list):
        for one in values or [None] if isinstance(values, list) else [values]:
            yield from _change("threads", one, None, millis_of(dig(said, "time")))
    elif isinstance(dig(said, "sample"), dict):
        yield from told(said["sample"])
    elif isinstance(dig(said, "field"), str):
        yield from _change(None, said, None, 0)


def _entry(product: str | None, entry: Any) -> Iterator[Told]:
    account, at = ident(dig(entry, "id")), millis_of(dig(entry, "time"))
    private = [Told(product, name, None, account, at) for name in ("messaging", "standby") for _ in listed(entry, name)]
    changes = [*listed(entry, "changes"), *([entry] if isinstance(dig(entry, "field"), str) else [])]
    yield from private or ([] if changes else [Told(product, "entry", None, account, at)])
    for change in changes:
        yield from _change(product, change, account, at)


def _change(product: str | None, change: Any, account: str | None, at: int) -> Iterator[Told]:
    value, name = dig(change, "value"), text(dig(change, "field"), 60) or "unnamed"
    for one in value if isinstance(value, list) and value else [value]:
        yield Told(product, name, one, account, at)


def millis_of(value: object) -> int:
    """Milliseconds of a time in seconds or in milliseconds, as deliveries have both; 0 for none."""
    number = whole(value) or 0
    return 0 if not 0 < number < 10**15 else number if number >= _MILLISECONDS else number * 1000


def refers(value: Any, name: str) -> str | None:
    """The id that a member refers to: `{"media": {"id": "1"}}` or `{"media": "1"}`."""
    return ident(dig(value, name, "id")) or ident(dig(value, name))


def person(value: Any) -> Author | None:
    """Who said it: `from`, or `user` and `owner`, which are shown to few. Where only a name is told, it is the id."""
    name = next(filter(None, (text(dig(value, *way), 100) for way in (("from", "username"), ("username",)))), None)
    ids = [ident(dig(value, *way)) for way in (("from", "id"), ("user", "id"), ("owner", "id"), ("owner", "owner_id"))]
    native_id = next(filter(None, ids), name)
    return None if native_id is None else Author(native_id=native_id, handle=name)


def is_ours(accounts: Collection[str], author: Author | None) -> bool:
    """As `reading.is_own`; a name that is the id for want of one is still a name: anyone may be called "42"."""
    if author is not None and author.native_id == author.handle:
        author = Author(native_id=f"@{author.handle}", handle=author.handle)
    return is_own(accounts, author)


def judge(accounts: Collection[str]) -> Callable[[object], str | None]:
    """For `Api.health`: what is wrong with a token whose account none of ours is."""

    def judged(said: object) -> str | None:
        given = Author(native_id=f"{dig(said, 'id')}", handle=f"{dig(said, 'username')}")
        return None if is_ours(accounts, given) else "the token is not for the account that Account names"

    return judged


def _json(body: str | bytes | None) -> Any:
    try:
        return read_json(body.encode() if isinstance(body, str) else body or b"null")
    except ValueError:
        return None
