"""Zendesk as a system of record: each case one ticket, each note one internal comment on it.

Exactly once rests on three things. Under an `Idempotency-Key` Zendesk opens a ticket once, for two hours. After that,
and whenever an answer was lost, the ticket is found by its external id. A comment carries its key as its last line and
is written only onto a ticket that has not changed since its comments were read.
https://developer.zendesk.com/api-reference/ticketing/introduction/#idempotency
"""

from __future__ import annotations

import random
import re
import time
from base64 import b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import quote

from pydantic import BaseModel

from connectors.core.delivery import Delivery
from connectors.core.door import read_json
from connectors.core.errors import (
    MisconfiguredError,
    PayloadError,
    RecordClosedError,
    RecordGoneError,
    RejectedError,
    RemoteError,
    SpentPermitError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.models import AnyEvent, RecordStatus
from connectors.core.ports import CaseDraft, NoteDraft, Page, Reference, Tier
from connectors.http import HttpClient, Response, next_link, retry_after
from connectors.zendesk import payloads, updates
from connectors.zendesk.settings import ZendeskCredentials, ZendeskSystem

if TYPE_CHECKING:
    from connectors.core.ports import Poller, Receiver, RecordSystem

KEY_LIFE = 7200
"""Seconds for which Zendesk remembers an idempotency key."""
PERMIT_LIFE = KEY_LIFE - 900
"""Seconds for which a permit may be used: less, for clocks that differ and requests that take long."""
AGAIN = 60.0
"""Seconds between two polls. The export leaves out the latest minute, and allows ten requests a minute."""
MORE = 6.0
"""Seconds between two pages of one long export."""
OVERLAP = 300
"""Seconds that a window reaches back into the one before it: what was too late for that one is in this one."""
SKEW = 900
"""Seconds that our clock and Zendesk's may differ by."""
_PAGES = 60
_TRIES = 5
_MANY = 100
_PERMIT = re.compile(r"until:([0-9]{1,11})", re.ASCII)


class Zendesk:
    """One account. Holds no state but its settings, credentials and client; safe to share between threads.

    Without credentials and client it only reads deliveries.
    """

    settings_model: ClassVar[type[BaseModel]] = ZendeskSystem
    credentials_model: ClassVar[type[BaseModel]] = ZendeskCredentials
    tier: ClassVar[Tier] = Tier.KEY
    settle: ClassVar[float] = 2.0
    note_bytes: ClassVar[int] = payloads.BODY_LENGTH

    def __init__(
        self,
        settings: ZendeskSystem | None,
        credentials: ZendeskCredentials | None = None,
        http: HttpClient | None = None,
        whose: updates.Whose | None = None,
    ) -> None:
        self._given_settings, self._given_http = settings, http
        if settings is not None:
            whose = updates.Whose(frozenset({settings.account}), settings.authority, settings.base_url)
        self._whose = whose or updates.Whose(frozenset())
        self._host = (settings.authority if settings else "").partition(":")[0]
        self._headers = _authorization(credentials)

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:
        """An account that may be any: `accounts` are the ids of our own users there, `authority` its host."""
        return cls(
            None, whose=updates.Whose(frozenset(accounts), authority, f"https://{authority}" if authority else None)
        )

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The one event in a delivery. Raises `PayloadError`."""
        try:
            body = read_json(delivery.body)
        except ValueError as error:
            raise PayloadError(f"{error}") from error
        return [updates.read(self._whose, body)]

    def reserve(self, kind: str) -> str | None:
        """For a `record`, until when its idempotency key can be relied upon. A note needs no permit."""
        return f"until:{int(time.time()) + PERMIT_LIFE}" if kind == "record" else None

    def upsert(self, case: CaseDraft, key: str, permit: str | None) -> Reference:
        """Open the ticket, or return the one that carries `key`.

        Under one key Zendesk compares bodies, and a title may have been edited since: it then says 400, which means
        that the key has been used, and the ticket is looked up. Raises SpentPermitError for a permit that is so old
        that Zendesk may have forgotten the key.
        """
        if permit is None or not self._within_life(permit):
            if found := self.find(key):
                return found
            if permit is not None:
                raise SpentPermitError(f"{self._host} may have forgotten this key; a new permit makes it safe again")
        body = payloads.ticket(case, key, self._settings)
        answer = self._call(
            "POST", "/api/v2/tickets", body=body, headers={"Idempotency-Key": key}, handled={400, 409, 412}, ours={404}
        )
        if answer.status == 412:
            raise UnavailableError(f"{self._host} answered 412: nothing was changed", _wait(answer))
        if answer.status == 409 or (answer.status == 400 and payloads.mismatch(_json_or_none(answer))):
            # Another request under this key came first; it may still be on its way.
            if found := self.find(key):
                return found
            raise UnknownOutcomeError(f"{self._host} has had this key before, but shows no ticket yet")
        if answer.status == 400:
            raise RejectedError(f"{self._host} answered 400: it refuses this content")
        return self._reference(self._object(answer, "ticket"))

    def find(self, key: str) -> Reference | None:
        """The ticket that carries `key`; a deleted one is not found. The oldest, should there be several."""
        found = self.find_all(key)
        return found[0] if found else None

    def find_all(self, key: str) -> list[Reference]:
        """Every ticket that carries `key`, oldest first; more than one only where somebody copied an external id."""
        answer = self._call("GET", f"/api/v2/tickets?external_id={quote(key, safe='')}", ours={404})
        rows = [row for row in self._list(answer, "tickets") if row.get("external_id") == key]
        found = [self._reference(row) for row in rows if row.get("status") != "deleted"]
        return sorted(found, key=lambda reference: int(reference.id))

    def add_note(self, reference: Reference, note: NoteDraft, key: str, permit: str | None) -> str:  # noqa: ARG002
        """Append an internal comment, unless it is among the newest; its id. Gives way to others who change the ticket.

        A twin that writes at the same time is among the newest. Whoever repeats a write whose outcome is unknown looks
        further first, with `find_note`: a long ticket has fifty pages of comments, and a new note is on none of them.
        """
        for attempt in self._tries():
            shown = self._ticket(reference)
            if found := next((one for one, said in self._comments(reference, pages=1) if said == key), None):
                return found  # read after the stamp: one written later spoils it
            if shown.get("status") == "closed":
                raise self._closed(reference)
            answer = self._update(reference, payloads.comment(note, key, str(shown.get("updated_at", ""))))
            if answer is None:
                continue
            return self._comment_id(answer, key) or self._written(reference, key, attempt)
        raise UnavailableError(f"others keep changing ticket {reference.id} at {self._host}; nothing was added")

    def find_note(self, reference: Reference, key: str) -> str | None:
        """The comment that carries `key`, newest first."""
        return next((number for number, said in self._comments(reference) if said == key), None)

    def find_note_since(self, reference: Reference, key: str, since: int) -> str | None:
        """The comment that carries `key`, among those that are not older than `since` (milliseconds)."""
        recent = self._comments(reference, since=since / 1000 - SKEW)
        return next((number for number, said in recent if said == key), None)

    def noted(self, reference: Reference, keys: Collection[str]) -> set[str]:
        """Those of the keys that comments carry; one reading of the ticket for all of them."""
        missing = set(keys)
        for _, said in self._comments(reference) if missing else ():
            missing.discard(said or "")
            if not missing:
                break
        return set(keys) - missing

    def stands(self, reference: Reference) -> bool:
        """Whether the ticket is there. Zendesk archives tickets, four months after they were closed, and then leaves
        them out of its lists; each is still shown by its number.
        https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/#list-tickets"""
        try:
            self._ticket(reference)
        except RecordGoneError:
            return False
        return True

    def set_status(self, reference: Reference, status: RecordStatus) -> None:
        """Bring the ticket to this status, unless it has it. Raises RecordClosedError: a closed one takes none."""
        for _ in self._tries():
            shown = self._ticket(reference)
            if payloads.status_of(shown.get("status")) == status:
                return
            if shown.get("status") == "closed":
                raise self._closed(reference)
            if self._update(reference, payloads.change(shown, status, int(self._settings.account))) is not None:
                return
        raise UnavailableError(f"others keep changing ticket {reference.id} at {self._host}; its status was not set")

    def poll(self, cursor: str | None) -> Page:
        """What people did on our tickets since `cursor`, a time in unix seconds. Needs an administrator's token."""
        if cursor is None or not re.fullmatch(r"[0-9]{1,11}", cursor):
            return Page((), str(int(time.time())), AGAIN)
        now = int(time.time())
        start = max(0, min(int(cursor), now) - OVERLAP)
        answer = self._call("GET", f"/api/v2/incremental/ticket_events?start_time={start}&include=comment_events")
        shown = self._object(answer)
        listed = shown.get("ticket_events")
        audits = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
        tickets = self._ours({str(row.get("ticket_id")) for row in audits})
        staff = self._staff(updates.authors(audits, tickets) - self._whose.accounts)
        try:
            events = updates.exported(self._whose, audits, tickets, staff)
        except (PayloadError, AttributeError):
            raise UnavailableError(f"{self._host} exports something that is not what Zendesk documents") from None
        end = shown.get("end_time")
        if shown.get("end_of_stream") is False and isinstance(end, int) and end > start:
            return Page(events, str(end + OVERLAP), MORE)  # goes on exactly where this page ended
        return Page(events, str(now), AGAIN)

    def _ours(self, numbers: Collection[str]) -> set[str]:
        rows = self._show_many("tickets", numbers)
        return {str(row.get("id")) for row in rows if str(row.get("external_id") or "").startswith(payloads.PREFIX)}

    def _staff(self, numbers: Collection[str]) -> set[str]:
        return {
            str(row.get("id")) for row in self._show_many("users", numbers) if row.get("role") in {"agent", "admin"}
        }

    def _show_many(self, kind: str, numbers: Iterable[str]) -> Iterator[Mapping[str, Any]]:
        wanted = sorted(number for number in numbers if number.isdecimal())
        for first in range(0, len(wanted), _MANY):
            some = "%2C".join(wanted[first : first + _MANY])
            yield from self._list(self._call("GET", f"/api/v2/{kind}/show_many?ids={some}"), kind)

    def _ticket(self, reference: Reference) -> Mapping[str, Any]:
        answer = self._call("GET", f"/api/v2/tickets/{_number(reference)}", handled={404})
        shown = {} if answer.status == 404 else self._object(answer, "ticket")
        if answer.status == 404 or shown.get("status") == "deleted":
            raise RecordGoneError(f"{self._host} has no ticket {reference.id} any more")
        return shown

    def _closed(self, reference: Reference) -> RecordClosedError:
        return RecordClosedError(f"ticket {reference.id} at {self._host} is closed for good")

    def _update(self, reference: Reference, body: bytes) -> Response | None:
        """A safe update; None where the ticket has changed since it was read. Closed or deleted: RecordGoneError."""
        path = f"/api/v2/tickets/{_number(reference)}"
        answer = self._call("PUT", path, body=body, handled={404, 409, 412, 422})
        if answer.status in {404, 422}:
            if self._ticket(reference).get("status") == "closed":
                raise self._closed(reference)
            raise RejectedError(f"{self._host} answered {answer.status}: it refuses this content for {reference.id}")
        return answer if answer.status == 200 else None

    def _written(self, reference: Reference, key: str, attempt: int) -> str:
        found = self.find_note(reference, key)
        if found is None:
            raise UnknownOutcomeError(f"{self._host} took the note (try {attempt}) but does not show it yet")
        return found

    def _comment_id(self, answer: Response, key: str) -> str | None:
        """The new comment's id, from the audit in the answer to an update."""
        audit = self._object(answer).get("audit")
        events = audit.get("events") if isinstance(audit, dict) else None
        for event in events if isinstance(events, list) else ():
            if event.get("type") == "Comment" and payloads.key_in(event.get("body")) == key:
                return str(event["id"])
        return None

    def _comments(
        self, reference: Reference, *, pages: int = _PAGES, since: float = 0.0
    ) -> Iterator[tuple[str, str | None]]:
        """Ids of comments and the keys that they carry, newest first, back to `since` in unix seconds."""
        path = f"/api/v2/tickets/{_number(reference)}/comments?sort=-created_at&page%5Bsize%5D={_MANY}"
        for comments in islice(self._pages(path, "comments"), pages):
            for comment in comments:
                written = payloads.moment(comment.get("created_at"))
                if written is not None and written.timestamp() < since:
                    return
                yield str(comment["id"]), payloads.key_in(comment.get("body"))

    def _pages(self, path: str, name: str) -> Iterator[list[Mapping[str, Any]]]:
        url = self._settings.base_url + path
        for _ in range(_PAGES):
            answer = self._request("GET", url)
            yield self._list(answer, name)
            body = self._object(answer)
            meta, links = body.get("meta"), body.get("links")
            following = links.get("next") if isinstance(links, dict) else None
            if not (isinstance(meta, dict) and meta.get("has_more")) or not isinstance(following, str):
                return
            url = next_link(url, following)
        raise UnavailableError(f"{self._host} lists more pages of {name} than a ticket can have")

    def _tries(self) -> Iterator[int]:
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(random.uniform(0.02, 0.15) * attempt)  # noqa: S311 - not for secrecy
            yield attempt + 1

    def _within_life(self, permit: str) -> bool:
        until = _PERMIT.fullmatch(permit)
        if until is None:
            raise MisconfiguredError("this permit was not reserved for a Zendesk ticket")
        return time.time() < int(until[1])

    def _call(self, method: str, path: str, *, ours: Collection[int] = (), **options: Any) -> Response:
        return self._request(method, self._settings.base_url + path, misconfigured=ours, **options)

    def _request(self, method: str, url: str, headers: Mapping[str, str] | None = None, **options: Any) -> Response:
        sent = {**self._headers, **(headers or {})}
        if "body" in options:
            sent["Content-Type"] = "application/json"
        if method == "GET":  # a conflict about a question is not about its content
            options["safe_statuses"] = {409, 412}
        return self._http.request(method, url, headers=sent, **options)

    def _object(self, answer: Response, name: str | None = None) -> Mapping[str, Any]:
        body = answer.json()
        value = body.get(name) if isinstance(body, dict) and name else body
        if isinstance(value, dict):
            return value
        raise self._not_zendesk(answer)

    def _list(self, answer: Response, name: str) -> list[Mapping[str, Any]]:
        rows = self._object(answer).get(name)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._not_zendesk(answer)
        return rows

    def _not_zendesk(self, answer: Response) -> RemoteError:
        kind = UnavailableError if answer.safe else UnknownOutcomeError
        return kind(f"{self._host} answered with JSON that is not Zendesk's; check BaseUrl")

    def _reference(self, ticket: Mapping[str, Any]) -> Reference:
        number = str(ticket.get("id"))
        if not number.isdecimal():
            raise UnknownOutcomeError(f"{self._host} opened something without saying its id")
        return Reference(id=number, url=f"{self._settings.base_url}/agent/tickets/{number}")

    @property
    def _settings(self) -> ZendeskSystem:
        if self._given_settings is None:
            raise MisconfiguredError("this connector was built for reading deliveries only")
        return self._given_settings

    @property
    def _http(self) -> HttpClient:
        if self._given_http is None:
            raise MisconfiguredError("this connector was built for reading deliveries only")
        return self._given_http


def _authorization(credentials: ZendeskCredentials | None) -> dict[str, str]:
    if credentials is None:
        return {}
    if credentials.oauth_token is not None:
        return {"Authorization": f"Bearer {credentials.oauth_token.get_secret_value()}"}
    word = credentials.token.get_secret_value() if credentials.token else ""
    return {"Authorization": f"Basic {b64encode(f'{credentials.email}/token:{word}'.encode()).decode('ascii')}"}


def _wait(answer: Response) -> float | None:
    return retry_after(answer.headers.get("retry-after"))


def _json_or_none(answer: Response) -> Any:
    try:
        return answer.json()
    except RemoteError:
        return None


def _number(reference: Reference) -> str:
    if not re.fullmatch(r"[0-9]{1,19}", reference.id, re.ASCII):
        raise RejectedError("this reference is not a ticket of a Zendesk account")
    return reference.id


if TYPE_CHECKING:
    _SATISFIES: tuple[type[RecordSystem], type[Receiver], type[Poller]] = (Zendesk, Zendesk, Zendesk)
