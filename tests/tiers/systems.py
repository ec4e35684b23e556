"""A small connector per tier, over the one HTTP client, for the desks of `desks.py`: errors as real connectors have it.

They live only here: no vendor speaks so. Each request also takes its time on the common clock.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from pydantic import BaseModel

from connectors.core.errors import RemoteError, SpentPermitError, UnavailableError, UnknownOutcomeError
from connectors.core.models import RecordStatus
from connectors.core.ports import CaseDraft, NoteDraft, Reference, Tier
from connectors.http import HttpClient, Response, retry_after
from tests.doubles import Clock
from tests.tiers.desks import KEY_LIFE, MARK

if TYPE_CHECKING:
    from connectors.core.ports import RecordSystem

PERMIT_LIFE = KEY_LIFE - 20.0
READ = 0.1
"""Seconds that an answer may take to begin."""


class _Over:
    """What the three have in common. `takes`: seconds on the clock that one request costs."""

    settings_model: ClassVar[type[BaseModel]] = BaseModel
    credentials_model: ClassVar[type[BaseModel]] = BaseModel
    settle: ClassVar[float] = 5.0
    safe_503: ClassVar[frozenset[int]] = frozenset()

    def __init__(self, url: str, clock: Clock, takes: float = 0.05) -> None:
        self.url, self.clock, self.takes = url, clock, takes
        self.calls: Counter[str] = Counter()
        self._http = HttpClient(allow_private=True, connect=3.0, read=READ, total=5.0)
        self._lock = threading.Lock()

    def reserve(self, kind: str) -> str | None:
        del kind
        return None

    def set_status(self, reference: Reference, status: RecordStatus) -> None:
        self._write("PATCH", f"/records/{reference.id}", {"status": status})

    def _write(self, method: str, path: str, value: object, key: str | None = None) -> Mapping[str, Any]:
        """409 and 412 of a write that is not under a key: nothing was changed."""
        answer = self._call(method, path, body=packed(value), key=key, handled={409, 412})
        if answer.status in {409, 412}:
            raise UnavailableError(f"answered {answer.status}: nothing was changed", _wait(answer))
        return self._object(answer)

    def _read(self, path: str) -> Mapping[str, Any] | None:
        """None where it answers 404."""
        answer = self._call("GET", path, handled={404})
        return None if answer.status == 404 else self._object(answer)

    def _call(
        self, method: str, path: str, *, body: bytes | None = None, key: str | None = None, handled: Collection[int]
    ) -> Response:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        safe = {409, 412, 503} if method == "GET" else self.safe_503
        self.clock.advance(self.takes)
        try:
            return self._http.request(
                method, self.url + path, headers=headers, body=body, handled=handled, safe_statuses=safe
            )
        except RemoteError as error:
            with self._lock:
                self.calls["refused" if "cannot be reached" in str(error) else type(error).__name__] += 1
            raise
        finally:
            with self._lock:
                self.calls["all"] += 1

    def _object(self, answer: Response) -> Mapping[str, Any]:
        value = answer.json()
        if not isinstance(value, dict):
            raise UnknownOutcomeError("the answer is not an object")
        return value

    def _reference(self, shown: Mapping[str, Any]) -> Reference:
        return Reference(str(shown["id"]), f"{self.url}/records/{shown['id']}")

    def find_all(self, key: str) -> Sequence[Reference]:
        """Those that carry this key, oldest first."""
        raise NotImplementedError

    def find(self, key: str) -> Reference | None:
        return next(iter(self.find_all(key)), None)


class UpsertSystem(_Over):
    """`PUT` by external key."""

    tier: ClassVar[Tier] = Tier.UPSERT

    def upsert(self, case: CaseDraft, key: str, permit: str | None) -> Reference:
        del permit
        return self._reference(self._write("PUT", f"/by-key/{quote(key)}", {"title": case.title}))

    def find_all(self, key: str) -> Sequence[Reference]:
        shown = self._read(f"/by-key/{quote(key)}")
        return [self._reference(shown)] if shown else []

    def add_note(self, reference: Reference, note: NoteDraft, key: str, permit: str | None) -> str:
        del permit
        return str(self._write("PUT", f"/records/{reference.id}/notes/{quote(key)}", {"text": note.text})["id"])

    def find_note(self, reference: Reference, key: str) -> str | None:
        shown = self._read(f"/records/{reference.id}/notes/{quote(key)}")
        return str(shown["id"]) if shown else None


class KeySystem(_Over):
    """`POST` under an idempotency key, as long as that can be relied upon; look-up by external id after that."""

    tier: ClassVar[Tier] = Tier.KEY
    safe_503: ClassVar[frozenset[int]] = frozenset({503})

    def reserve(self, kind: str) -> str | None:
        """Until when the key of this write can be relied upon."""
        del kind
        return f"until:{self.clock.seconds + PERMIT_LIFE}"

    def upsert(self, case: CaseDraft, key: str, permit: str | None) -> Reference:
        if not self._within_life(permit) and (found := self.find(key)):
            return found
        self._check(permit)
        body = {"title": case.title, "external_id": key}
        answer = self._call("POST", "/records", body=packed(body), key=key, handled={409, 412})
        if answer.status == 409:
            if found := self.find(key):
                return found
            raise UnknownOutcomeError("it has had this key before, but shows no record yet")
        return self._reference(self._settled(answer))

    def find_all(self, key: str) -> Sequence[Reference]:
        shown = self._read(f"/records?external_id={quote(key)}")
        return [self._reference(one) for one in shown["records"]] if shown else []

    def add_note(self, reference: Reference, note: NoteDraft, key: str, permit: str | None) -> str:
        if not self._within_life(permit) and (noted := self.find_note(reference, key)):
            return noted
        self._check(permit)
        body = packed({"text": note.text, "key": key})
        answer = self._call("POST", f"/records/{reference.id}/notes", body=body, key=key, handled={409, 412})
        if answer.status == 409:
            if found := self.find_note(reference, key):
                return found
            raise UnknownOutcomeError("it has had this key before, but shows no note yet")
        return str(self._settled(answer)["id"])

    def find_note(self, reference: Reference, key: str) -> str | None:
        shown = self._read(f"/records/{reference.id}/notes")
        return next((str(one["id"]) for one in shown["notes"] if one["key"] == key), None) if shown else None

    def _within_life(self, permit: str | None) -> bool:
        return permit is not None and self.clock.seconds < float(permit.removeprefix("until:"))

    def _check(self, permit: str | None) -> None:
        """An older key may be forgotten by now. To be asked after a look-up: it tells the breaker that the system is
        there."""
        if not self._within_life(permit):
            with self._lock:
                self.calls["permit spent"] += 1
            raise SpentPermitError("the key may be forgotten")

    def _settled(self, answer: Response) -> Mapping[str, Any]:
        if answer.status == 412:
            raise UnavailableError("answered 412: nothing was changed", _wait(answer))
        return self._object(answer)


class NoneSystem(_Over):
    """Neither: a mark in the text, and look-up before create. `settle` covers most of its lag, not all."""

    tier: ClassVar[Tier] = Tier.NONE
    settle: ClassVar[float] = 20.0

    def upsert(self, case: CaseDraft, key: str, permit: str | None) -> Reference:
        del permit
        return self._reference(self._write("POST", "/records", {"title": case.title, "text": MARK + key}))

    def find_all(self, key: str) -> Sequence[Reference]:
        shown = self._read(f"/search?text={quote(key)}")
        return [self._reference(one) for one in shown["records"]] if shown else []

    def add_note(self, reference: Reference, note: NoteDraft, key: str, permit: str | None) -> str:
        del permit
        text = f"{note.text}\n\n{MARK}{key}"
        return str(self._write("POST", f"/records/{reference.id}/notes", {"text": text})["id"])

    def find_note(self, reference: Reference, key: str) -> str | None:
        shown = self._read(f"/records/{reference.id}/notes")
        marked = (one for one in shown["notes"] if one["text"].endswith(MARK + key)) if shown else ()
        return next((str(one["id"]) for one in marked), None)


def packed(value: object) -> bytes:
    """JSON in one spelling: under one key, the same bytes."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")


def _wait(answer: Response) -> float | None:
    return retry_after(answer.headers.get("retry-after"))


if TYPE_CHECKING:
    _SATISFIES: tuple[type[RecordSystem], ...] = (UpsertSystem, KeySystem, NoneSystem)
