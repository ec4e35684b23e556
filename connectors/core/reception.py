"""What the front door does with a request: refuse it, answer a handshake, or take it in and say so.

Nothing is interpreted here; a vendor waits for the answer. Standard library only: `receive_webhook` imports this
module, and its cold start is bounded. Answers carry no trace, and nothing of the request.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from connectors.core import door, token
from connectors.core.delivery import Request

LARGEST = 4_500_000
"""Bytes of a body that are taken. AWS lets 6 MB through to a function, with everything around the body."""
LARGEST_UNSIGNED = 256_000
"""The same where a vendor signs nothing, and whoever has the address may have written it. One event has a few KB."""


class BusyError(Exception):
    """Something of ours does not answer; the vendor should deliver again."""


class Secrets(Protocol):
    """What verifies deliveries. Raises BusyError."""

    def verification(self, secret: str) -> list[str]:
        """The values in force, newest first; empty where there are none."""
        ...

    def verification_again(self, secret: str) -> list[str] | None:
        """The values re-read after a mismatch, None where that was done less than a minute ago."""
        ...

    def verify_token(self, secret: str) -> str | None:
        """The word that a vendor says in its handshake; None where there is none."""
        ...


class Inbox(Protocol):
    """Where deliveries wait. Raises BusyError."""

    def put(self, message: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; `reason` goes to the vendor and to our log. `body`, with its content type, is what a vendor
    wants to hear instead."""

    status: int
    reason: str
    source: str | None = None
    retry_after: int | None = None
    body: tuple[str, str] | None = None


def receive(
    connector: str,
    name: str,
    request: Request,
    secrets: Secrets,
    inbox: Inbox,
    salt: str,
    now: int,
) -> Answer:
    """Verify one delivery to `/{connector}/{name}` on its raw bytes and queue it. `now` in milliseconds."""
    rules = door.load(connector)
    address = token.read(salt, connector, name) if rules else None
    if rules is None or address is None:
        return Answer(404, "no such address")
    if request.method == "GET" and "query" in rules.get("challenge", {}):
        return _handshake(rules, request, secrets, address)
    if request.method != "POST":
        return Answer(405, "deliver with POST", address.source)
    largest = LARGEST_UNSIGNED if rules.get("unsigned") is True else LARGEST
    if len(request.body) > largest:
        return Answer(413, f"the body is larger than {largest} bytes", address.source)
    try:
        if not _verified(rules, request, secrets, address.secret, now):
            return Answer(401, "the signature does not match", address.source)
        if fault := door.body_fault(rules, request.body):
            return Answer(400, fault, address.source)
        if (echoed := door.challenge_in(rules, request.body)) is not None:
            return _echo(echoed, address)
        inbox.put(message(address.source, connector, door.kept_headers(rules, request.headers), request.body, now))
    except BusyError as error:
        return Answer(503, f"not taken: {error}; deliver again", address.source, retry_after=30)
    said = rules.get("answer")
    return Answer(200, "taken", address.source, body=(said["type"], said["body"]) if said else None)


def _echo(value: str, address: token.Address) -> Answer:
    """The answer to a handshake that came as a delivery."""
    if not value:
        return Answer(403, "the handshake does not match", address.source)
    return Answer(200, "handshake answered", address.source, body=("text/plain", value))


def _handshake(rules: Mapping[str, Any], request: Request, secrets: Secrets, address: token.Address) -> Answer:
    """The answer to a vendor that tries the address out."""
    try:
        values = secrets.verification(address.secret)
        body = door.challenge(rules, request.query, values, secrets.verify_token(address.secret))
        if body is None and secrets.verification_again(address.secret) is not None:
            values = secrets.verification(address.secret)
            body = door.challenge(rules, request.query, values, secrets.verify_token(address.secret))
    except BusyError as error:
        return Answer(503, f"not answered: {error}; try again", address.source, retry_after=30)
    if body is None:
        return Answer(403, "the handshake does not match", address.source)
    return Answer(200, "handshake answered", address.source, body=body)


def message(source: str, connector: str, headers: Mapping[str, str], body: bytes, now: int) -> dict[str, Any]:
    """A delivery as it waits in the inbox. The body is packed: a queue refuses some characters."""
    packed = gzip.compress(body, compresslevel=6, mtime=0)
    return {
        "schema": 1,
        "source": source,
        "connector": connector,
        "headers": dict(headers),
        "received_at": now,
        "body": base64.b64encode(packed).decode(),
    }


def _verified(rules: Mapping[str, Any], request: Request, secrets: Secrets, secret: str, now: int) -> bool:
    known = [] if rules.get("unsigned") is True else secrets.verification(secret)
    if door.verify(rules, request, known, now / 1000):
        return True
    again = secrets.verification_again(secret)  # not reached by a door that is unsigned: it refuses nobody
    return again is not None and door.verify(rules, request, again, now / 1000)
