"""Roundup as a system of record: each case one issue, each note one message on it.

Exactly once rests on three things. A single-use address (*post once exactly*) is reserved and kept in the ledger
before it is used. `external_id` says afterwards whether the write happened. A message is created first and added to
its issue second; whoever finds it unattached adds it.
https://www.roundup-tracker.org/docs/rest.html
"""

from __future__ import annotations

import contextlib
import random
import re
import time
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel

from connectors.core.errors import (
    MisconfiguredError,
    RecordGoneError,
    RejectedError,
    RemoteError,
    SpentPermitError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.models import RecordStatus, RecordUpdate
from connectors.core.ports import CaseDraft, NoteDraft, Page, Reference, Tier
from connectors.http import HttpClient, Response
from connectors.roundup import payloads, updates
from connectors.roundup.settings import RoundupCredentials, RoundupSystem

Class = Literal["issue", "msg"]
CLASSES: Mapping[str, Class] = {"record": "issue", "note": "msg"}
PERMIT_LIFE = 3600
"""Seconds that a single-use address stays valid: the most that Roundup grants."""
AGAIN = 20.0
"""Seconds between two polls."""
MORE = 1.0
"""Seconds until the next poll where there is more to catch up with."""
OVERLAP = 300
"""Seconds that a window reaches back into the one before it, for clocks that differ and long transactions."""
WINDOW = 3600
MANY = 100
_TOKEN = re.compile(r"/@poe/([\w.~-]+)$")
_PAUSES = (0.0, 0.1, 0.3, 0.6)


class Roundup:
    """One tracker. Holds no state but its settings, credentials and client; safe to share between threads."""

    settings_model: ClassVar[type[BaseModel]] = RoundupSystem
    credentials_model: ClassVar[type[BaseModel]] = RoundupCredentials
    tier: ClassVar[Tier] = Tier.KEY
    settle: ClassVar[float] = 0

    def __init__(self, settings: RoundupSystem, credentials: RoundupCredentials, http: HttpClient) -> None:
        self._settings = settings
        self._username = credentials.username
        self._http = http
        root = urlsplit(settings.base_url)
        self._host = root.hostname or ""
        pair = f"{credentials.username}:{credentials.password.get_secret_value()}".encode()
        self._headers = {  # Roundup refuses a write whose origin is not its own, as a guard against forged forms
            "Authorization": f"Basic {b64encode(pair).decode('ascii')}",
            "Origin": f"{root.scheme}://{root.netloc}",
            "Referer": settings.base_url,
            "X-Requested-With": "rest",
        }

    def reserve(self, kind: str) -> str:
        """A single-use address for one `record` or `note`, valid for an hour. Relative to the tracker's root."""
        name = CLASSES[kind]
        path = f"rest/data/{name}/@poe"
        answer = self._data(self._call("POST", path, json={"lifetime": PERMIT_LIFE}, safe=True))
        token = _TOKEN.search(str(answer.get("link", "")))
        if token is None:
            raise UnavailableError(f"Roundup at {self._host} gave no single-use address; nothing was changed")
        return f"{path}/{token[1]}"

    def upsert(self, case: CaseDraft, key: str, permit: str | None) -> Reference:
        """Open the issue, or return the one that carries `key`.

        Raises SpentPermitError where the permit is spent and no issue shows: another worker may be about to commit.
        If `find` still says None after that, reserve a fresh permit.
        """
        known = self._known(case)
        number = self._create("issue", payloads.issue(case, key, self._settings, known), key, permit)
        return replace(self._reference(number), unset=payloads.unset(case, known))

    def _known(self, case: CaseDraft) -> payloads.Known:
        """The tracker's priorities and keywords, as far as the plan says anything of that kind."""
        return payloads.Known(
            payloads.named(self._names("priority")) if case.priority else {},
            payloads.named(self._names("keyword")) if case.labels else {},
        )

    def _names(self, name: str) -> list[dict[str, Any]]:
        """The items of a class that a tracker may do without; none where it does, or does not show them."""
        answer = self._call("GET", f"rest/data/{name}?@fields=name", handled={400, 403, 404})
        if answer.status != 200:
            return []
        rows: list[dict[str, Any]] = self._data(answer).get("collection") or []
        return rows

    def find(self, key: str) -> Reference | None:
        """The issue that carries `key`; one that was retired is not found."""
        found = self.find_all(key)
        return found[0] if found else None

    def find_all(self, key: str) -> list[Reference]:
        """Every issue that carries `key`, oldest first; more than one only where somebody copied an external id."""
        return [self._reference(number) for number in self._ids("issue", key)]

    def add_note(self, reference: Reference, note: NoteDraft, key: str, permit: str | None) -> str:
        """Append a message to the issue; its designator (`msg7`).

        Once the message exists, every failure but the issue's refusal is an UnknownOutcomeError: `find_note` completes
        it, and a new message would be a second one.
        """
        message = self._create("msg", payloads.message(note, key, self._username), key, permit)
        try:
            self._attach(reference, message)
        except UnavailableError as error:
            raise UnknownOutcomeError(f"{error}; the note is written but not yet on {reference.id}") from None
        return f"msg{message}"

    def find_note(self, reference: Reference, key: str) -> str | None:
        """The message that carries `key`, added to the issue if a write broke off before that."""
        found = self._ids("msg", key)
        if not found:
            return None
        self._attach(reference, found[0])
        return f"msg{found[0]}"

    def noted(self, reference: Reference, keys: Collection[str]) -> set[str]:
        """Those of the keys whose messages are on the issue. Changes nothing: what is not on it, though written, is
        added by `find_note`, when the machine's own worker looks it up."""
        shown = self._call("GET", f"rest/data/issue/{_number(reference)}?@fields=messages&@verbose=0", handled={404})
        if shown.status == 404:
            return set()
        there = {str(message) for message in (self._data(shown).get("attributes") or {}).get("messages") or []}
        return {key for key in keys if there.intersection(self._ids("msg", key))}

    def set_status(self, reference: Reference, status: RecordStatus) -> None:
        """Give the issue the tracker's name for this status, unless it has one that means the same."""
        names = {
            "open": self._settings.status_open,
            "pending": self._settings.status_pending,
            "solved": self._settings.status_solved,
        }

        def change(issue: Mapping[str, Any]) -> dict[str, object] | None:
            same = updates.status_of(self._settings, updates.status_name(issue)) == status
            return None if same else {"status": names[status][0]}

        self._edit(reference, "@fields=status&@verbose=2", change, "status")

    def poll(self, cursor: str | None) -> Page:
        """What people did on our issues since `cursor`, a time. At most `WINDOW` seconds of it at once."""
        now = datetime.now(UTC)
        since = updates.moment(cursor)
        if since is None:
            return Page((), updates.stamp(now), AGAIN)
        behind = (now - since).total_seconds() > WINDOW
        until = since + timedelta(seconds=WINDOW) if behind else now
        window = f"{updates.stamp(since - timedelta(seconds=OVERLAP))};"
        window += updates.stamp(until) if behind else ""
        events = [*self._messages(window), *self._moves(window)]
        return Page(updates.in_order(events), updates.stamp(until), MORE if behind else AGAIN)

    def _messages(self, window: str) -> Iterator[RecordUpdate]:
        """Those that people wrote on our issues. The words of other issues are not even read."""
        rows = self._rows("msg", f"creation={quote(window, safe='')}&@fields=external_id&@verbose=0")
        theirs = [str(row["id"]) for row in rows if not row.get("external_id")]
        for first in range(0, len(theirs), MANY):
            some = theirs[first : first + MANY]
            ours = f"external_id={updates.KEY_PREFIX}&@fields=messages,external_id&@verbose=0"
            on = dict(updates.bearers(self._rows("issue", f"messages={','.join(some)}&{ours}")))
            wanted = [message for message in some if message in on]
            if wanted:
                shown = "@fields=content,author,date,creation,external_id&@verbose=3"
                each = "&".join(f"id={message}" for message in wanted)  # Roundup splits links at commas, not ids
                for message in self._rows("msg", f"{each}&{shown}"):
                    yield updates.written(self._settings, self._username, on[str(message["id"])], message)

    def _moves(self, window: str) -> Iterator[RecordUpdate]:
        shown = "@fields=external_id,status,status_changed,status_changed_by&@verbose=2"
        ours = f"external_id={updates.KEY_PREFIX}&{shown}"
        for issue in self._rows("issue", f"status_changed={quote(window, safe='')}&{ours}"):
            if str(issue.get("external_id") or "").startswith(updates.KEY_PREFIX):
                move = updates.moved(self._settings, self._username, issue)
                if move is not None:
                    yield move

    def _create(self, name: Class, fields: Mapping[str, object], key: str, permit: str | None) -> str:
        """The id of the new item, or of the one that has the key already."""
        if permit is None:
            if found := self._ids(name, key):
                return found[0]
            permit = self.reserve("record" if name == "issue" else "note")
        if not permit.startswith(f"rest/data/{name}/@poe/"):
            raise MisconfiguredError("this permit was not reserved for this kind of write")
        answer = self._call("POST", permit, json=fields, handled={400})
        if answer.status == 400:
            return self._after_refusal(name, key, answer)
        created = self._data(answer).get("id")
        if not str(created).isdecimal():
            raise UnknownOutcomeError(f"Roundup at {self._host} created something without saying its id")
        return self._settle_twins(name, key, str(created))

    def _after_refusal(self, name: Class, key: str, answer: Response) -> str:
        """The item with this key, where a spent permit or a failure inside Roundup leaves that open."""
        words = self._words(answer)
        if not (payloads.permit_spent(words) or payloads.failed_inside(words)):
            raise self._refused(words)
        for pause in _PAUSES:  # a permit is spent a moment before its item is committed
            time.sleep(pause)
            if found := self._ids(name, key):
                return found[0]
        said = f"Roundup at {self._host} refused a single-use address, and no {name} has the key"
        raise SpentPermitError(said) if payloads.permit_spent(words) else UnknownOutcomeError(said)

    def _settle_twins(self, name: Class, key: str, mine: str) -> str:
        """Roundup checks a permit and spends it in two steps, so two simultaneous writes can both pass.

        The lower id stays; a later one of ours is retired. An error here leaves what was created as it is.
        """
        with contextlib.suppress(RemoteError):
            found = self._ids(name, key)
            if mine in found and found[0] != mine:
                path = f"rest/data/{name}/{mine}"
                tag = str(self._data(self._call("GET", path)).get("@etag", ""))
                self._call("DELETE", path, headers={"If-Match": tag})
                return found[0]
        return mine

    def _attach(self, reference: Reference, message: str) -> None:
        """Add a message to the issue's list, unless it is there. Repeatable.

        The status goes along as it is: Roundup's `statusauditor` reopens a resolved issue that gets a message and no
        status, and a note of ours, which may come late, says nothing about that."""

        def add(issue: Mapping[str, Any]) -> dict[str, object] | None:
            there = issue.get("messages") or []
            if message in there:
                return None
            kept = {"status": issue["status"]} if issue.get("status") else {}
            return {"messages": [*there, message], **kept}

        self._edit(reference, "@fields=messages,status&@verbose=0", add, "note")

    def _edit(
        self,
        reference: Reference,
        asked: str,
        decide: Callable[[Mapping[str, Any]], dict[str, object] | None],
        what: str,
    ) -> None:
        """Change an issue as `decide` says of what it is now; None leaves it. Gives way to others who edit it."""
        path = f"rest/data/issue/{_number(reference)}"
        for attempt in range(8):
            if attempt:
                time.sleep(random.uniform(0.02, 0.1) * attempt)  # noqa: S311 - not for secrecy
            shown = self._call("GET", f"{path}?{asked}", handled={404})
            if shown.status == 404:
                raise RecordGoneError(f"Roundup at {self._host} has no {reference.id} any more")
            issue = self._data(shown)
            change = decide(issue.get("attributes") or {})
            if change is None:
                return
            tag = {"If-Match": str(issue.get("@etag", ""))}
            done = self._call("PATCH", path, json=change, headers=tag, handled={400, 409, 412}, safe=True)
            if done.status == 200:
                return
            words = self._words(done)
            if done.status == 409:
                raise RecordGoneError(f"Roundup at {self._host} takes no {what} on {reference.id}: was it retired?")
            if done.status == 400 and not payloads.failed_inside(words):
                raise self._refused(words)
        raise UnavailableError(
            f"Roundup at {self._host} would not add a {what} to {reference.id}; see the tracker's log"
        )

    def _ids(self, name: Class, key: str) -> list[str]:
        """Ids of the items that carry the key, lowest first; retired ones are not among them."""
        rows = self._rows(name, f"external_id:={quote(key, safe='')}&@fields=external_id")
        return sorted((str(row["id"]) for row in rows if row.get("external_id") == key), key=int)

    def _rows(self, name: Class, query: str) -> list[dict[str, Any]]:
        """The items of a class that a filter leaves."""
        answer = self._call("GET", f"rest/data/{name}?{query}", handled={400})
        if answer.status == 400:
            words = self._words(answer)
            if payloads.failed_inside(words):
                raise UnavailableError(f"Roundup at {self._host} failed inside; see the tracker's log")
            raise self._refused(words)
        rows: list[dict[str, Any]] = self._data(answer).get("collection") or []
        return rows

    def _call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        handled: Collection[int] = (),
        **options: Any,
    ) -> Response:
        """One request to the tracker. A 404 that is not `handled`, or not Roundup's, means: no REST interface there."""
        sent = self._headers | dict(headers or {})
        url = self._settings.base_url + path
        answer = self._http.request(method, url, headers=sent, handled={404, *handled}, **options)
        roundups_own = "json" in answer.headers.get("content-type", "")
        if answer.status == 404 and not (404 in handled and roundups_own):
            raise MisconfiguredError(
                f"{self._host} answered 404: no REST interface is under BaseUrl; check BaseUrl, and enable_rest in the "
                "tracker's config.ini"
            )
        return answer

    def _data(self, answer: Response) -> dict[str, Any]:
        if answer.safe and answer.headers.get("content-type", "").startswith("text/html"):
            raise MisconfiguredError(
                f"{self._host} shows a web page instead of its REST interface; check BaseUrl, and enable_rest in the "
                "tracker's config.ini"
            )
        body = answer.json()
        data = body.get("data") if isinstance(body, dict) else None
        if isinstance(data, dict):
            return data
        kind = UnavailableError if answer.safe else UnknownOutcomeError
        raise kind(f"{self._host} answered with JSON that is not Roundup's; check BaseUrl")

    def _words(self, answer: Response) -> str:
        try:
            return payloads.said(answer.json())
        except RemoteError:
            return ""

    def _refused(self, words: str) -> RemoteError:
        remedy = payloads.misconfiguration(words)
        if remedy:
            return MisconfiguredError(f"Roundup at {self._host} answered 400: {remedy}")
        return RejectedError(f"Roundup at {self._host} answered 400: it refuses this content")

    def _reference(self, number: str) -> Reference:
        return Reference(id=f"issue{number}", url=f"{self._settings.base_url}issue{number}")


def _number(reference: Reference) -> str:
    number = reference.id.removeprefix("issue")
    if not number.isdecimal():
        raise RejectedError("this reference is not an issue of a Roundup tracker")
    return number
