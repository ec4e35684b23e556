"""The one outbound HTTP client for all vendors, and the one translation of what happened into what to do next.

Every request has a connect, a read and a total deadline; no redirect is followed; an answer has a largest size; the
name is resolved once, each address is checked, and the connection goes to a checked address (the certificate is still
verified against the name). No proxy, cookie or credential is ever taken from the environment. Messages name a host, a
status and a remedy: never a header, a body or a path, which carry credentials and customers' text.

    refused, DNS, TLS, connect time-out       UnavailableError
    429, or a status in `safe_statuses`       UnavailableError(retry_after)
    sent, no usable answer, other 5xx         UnknownOutcomeError; UnavailableError where the request changes nothing
    401, 403, 3xx, or in `misconfigured`      MisconfiguredError
    other 4xx                                 RejectedError
    a status in `handled`, 2xx                a `Response`
"""

from __future__ import annotations

import contextlib
import json as jsonlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from http.client import HTTPException
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from connectors.addresses import RefusedError, check
from connectors.core.errors import (
    MisconfiguredError,
    RejectedError,
    RemoteError,
    UnavailableError,
    UnknownOutcomeError,
)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Its one warning, about headers that break off, carries the whole address; the body is then missing, which we report.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)
_LONGEST_WAIT = 86_400.0
_CHUNK = 65_536
_BROKEN = (HTTPError, HTTPException, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. Header names are lower case; `body` is whole and decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    host: str = ""
    safe: bool = True

    def json(self) -> Any:
        """The body as JSON. Where it is not: UnknownOutcomeError after a write, UnavailableError otherwise."""
        try:
            return jsonlib.loads(self.body.decode("utf-8"))
        except (ValueError, RecursionError):
            raise _no_answer(self.host, "answered with something that is not JSON", self.safe) from None


@dataclass(frozen=True)
class HttpClient:
    """Makes requests, one connection each. Times are in seconds, `max_answer` in bytes.

    `allow_private` lets it reach private and loopback addresses: systems inside the company, and the local stack.
    Link-local, metadata and multicast addresses stay out of reach.
    """

    allow_private: bool = False
    connect: float = 3.0
    read: float = 10.0
    total: float = 20.0
    max_answer: int = 5 * 1024 * 1024
    until: float | None = None
    """When this worker's time is up, on the monotonic clock: no request outlives it, whatever `total` says."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        body: bytes | None = None,
        handled: Collection[int] = (),
        safe_statuses: Collection[int] = (),
        misconfigured: Collection[int] = (),
        safe: bool | None = None,
    ) -> Response:
        """One request, one answer: a 2xx, or a status in `handled`, which the caller deals with itself.

        `json` is sent as JSON, `body` as it is. `safe_statuses`: answers after which nothing was committed (503 at
        some vendors). `misconfigured`: further statuses that only an administrator can mend (404 on a collection).
        `safe`: whether repeating the request changes nothing; by default, whether the method says so. Raises what the
        table above says.
        """
        target = _target(url)
        changes_nothing = method.upper() in SAFE_METHODS if safe is None else safe
        sent = {"User-Agent": "hailback", "Accept": "application/json", "Accept-Encoding": "identity"}
        if json is not None:
            body = jsonlib.dumps(json, separators=(",", ":")).encode("ascii")
            sent["Content-Type"] = "application/json"
        call = _Call(method.upper(), target, sent | dict(headers or {}), body, changes_nothing)
        with self._connected(target) as (connection, deadline):
            response = self._exchange(connection, deadline, call)
        if 200 <= response.status < 300 or response.status in handled:
            return response
        raise failure(response, safe_statuses, misconfigured)

    def _seconds(self) -> float:
        left = self.total if self.until is None else min(self.total, self.until - time.monotonic())
        if left <= 0:
            raise UnavailableError("no time was left for this request; nothing was sent")
        return left

    @contextlib.contextmanager
    def _connected(self, target: SplitResult) -> Iterator[tuple[HTTPConnection, _Deadline]]:
        """A connection with its TLS handshake done. Until it stands, whatever fails was not committed."""
        host = target.hostname or ""
        with _Deadline(self._seconds()) as deadline:
            try:
                connection = self._open(target, host, deadline)
            except RefusedError as error:
                raise MisconfiguredError(str(error)) from None
            except ssl.SSLCertVerificationError as error:
                reason = f"the certificate of {host} is not valid ({error.verify_message}); nothing was sent"
                raise UnavailableError(reason) from None
            except _BROKEN as error:
                reason = f"{host} cannot be reached ({_kind(error)}); check its address and that it is up"
                raise UnavailableError(reason) from None
            try:
                yield connection, deadline
            finally:
                connection.close()

    def _open(self, target: SplitResult, host: str, deadline: _Deadline) -> HTTPConnection:
        secure = target.scheme == "https"
        port = target.port or (443 if secure else 80)
        raw = self._dial(host, port, deadline)
        deadline.watch(raw)
        connection: HTTPConnection
        if secure:
            connection = _TlsTo(raw, host, port, timeout=self.connect, ssl_context=self._tls)
        else:
            connection = _To(raw, host, port, timeout=self.connect)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        connection.timeout = self.read  # which urllib3 sets on the socket before it reads an answer
        if connection.sock is not None:
            connection.sock.settimeout(self.read)
        return connection

    def _dial(self, host: str, port: int, deadline: _Deadline) -> socket.socket:
        """A TCP connection to the first checked address that accepts one, within `connect` seconds altogether."""
        until = min(time.monotonic() + self.connect, deadline.at)
        addresses = _resolve(host, port, self.connect)
        for _, address in addresses:
            check(host, str(address[0]), self.allow_private)
        failure: OSError = OSError("no address")
        for family, address in addresses:
            dialled = socket.socket(family, socket.SOCK_STREAM)
            try:
                dialled.settimeout(max(0.05, until - time.monotonic()))
                dialled.connect(address)
            except OSError as error:
                dialled.close()
                failure = error
                if time.monotonic() >= until:
                    break
            else:
                dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                dialled.settimeout(self.connect)
                return dialled
        raise failure

    def _exchange(self, connection: HTTPConnection, deadline: _Deadline, call: _Call) -> Response:
        host, safe = call.target.hostname or "", call.safe
        path = (call.target.path or "/") + (f"?{call.target.query}" if call.target.query else "")
        try:
            connection.request(call.method, path, body=call.body, headers=call.headers, preload_content=False)
            answer = connection.getresponse()
            content = self._read(answer)
        except _BROKEN as error:
            expired = f"did not finish within {self.total:g} seconds"
            raise _no_answer(host, expired if deadline.passed else f"gave no answer ({_kind(error)})", safe) from None
        if deadline.passed:
            raise _no_answer(host, f"did not finish within {self.total:g} seconds", safe)
        if content is None:
            raise _no_answer(host, f"answered with more than {self.max_answer} bytes", safe)
        given = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status, given, content, host, safe)

    def _read(self, answer: BaseHTTPResponse) -> bytes | None:
        """The whole body, or None where it is larger than allowed. Raises where the connection ended before it did."""
        content = bytearray()
        for chunk in answer.stream(_CHUNK, decode_content=True):
            content += chunk
            if len(content) > self.max_answer:
                return None
        return bytes(content)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def next_link(current: str, link: str) -> str:
    """The address of the next page, given as `link` on the page `current`; relative ones are resolved.

    Raises RejectedError where it leads to another origin: it would carry our credentials there.
    """
    followed = urljoin(current, link)
    here, there = _target(current), _target(followed)
    if _origin(here) != _origin(there):
        raise RejectedError(f"{here.hostname} says that its next page is at another origin; that is not followed")
    return followed


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds from a Retry-After header, which is a number of seconds or an HTTP date; None where it is neither."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), _LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return min(max(0.0, (moment - (now or datetime.now(UTC))).total_seconds()), _LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    target: SplitResult
    headers: Mapping[str, str]
    body: bytes | None
    safe: bool


class _To(HTTPConnection):
    """An HTTP connection over a socket that is already connected to a checked address."""

    def __init__(self, dialled: socket.socket, host: str, port: int, **options: Any) -> None:
        super().__init__(host, port, **options)
        self._dialled = dialled

    def _new_conn(self) -> socket.socket:
        return self._dialled

    def close(self) -> None:
        super().close()
        self._dialled.close()


class _TlsTo(_To, HTTPSConnection):
    """The same with TLS, verified against the name."""


class _Deadline:
    """Cuts the connection when the total time is over, whatever it is waiting for.

    A read time-out does not do that: a server that sends a byte a second is never late. The socket is duplicated,
    because TLS takes the original over and its handshake has to be cut as well.
    """

    def __init__(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds
        self._lever: socket.socket | None = None
        self._timer: threading.Timer | None = None

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self.at

    def watch(self, connected: socket.socket) -> None:
        self._lever = connected.dup()
        self._timer = threading.Timer(max(0.0, self.at - time.monotonic()), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self) -> None:
        if self._lever is not None:
            with contextlib.suppress(OSError):
                self._lever.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> _Deadline:
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._lever is not None:
            self._lever.close()


def _target(url: str) -> SplitResult:
    """The parts of an address that may be called. Raises MisconfiguredError without repeating the address."""
    try:
        target = urlsplit(url)
        port_fits = target.port != 0
    except ValueError:
        raise MisconfiguredError("the system's address is not a URL; check BaseUrl") from None
    host = target.hostname
    if target.scheme not in {"http", "https"} or not host or not port_fits:
        raise MisconfiguredError("the system's address must start with https:// or http:// and a host; check BaseUrl")
    if "@" in target.netloc:
        raise MisconfiguredError(f"the address of {host} carries a user name; credentials belong in the secret")
    if any(character <= " " or character >= "\x7f" for character in url):
        raise MisconfiguredError(f"the address of {host} has a space or a character outside ASCII; encode it")
    return target


def _origin(target: SplitResult) -> tuple[str, str | None, int]:
    return target.scheme, target.hostname, target.port or (443 if target.scheme == "https" else 80)


def _resolve(host: str, port: int, seconds: float) -> list[tuple[int, Any]]:
    """The host's addresses. The system's resolver knows no deadline, so it runs beside us."""
    found: list[list[tuple[int, Any]] | OSError] = []

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.append([(family, address) for family, _, _, _, address in answers])
        except (OSError, UnicodeError) as error:
            found.append(error if isinstance(error, OSError) else OSError("not a host name"))

    worker = threading.Thread(target=look_up, daemon=True)
    worker.start()
    worker.join(seconds)
    if not found:
        raise TimeoutError("its name was not resolved in time")
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]


def failure(
    response: Response, safe_statuses: Collection[int] = (), misconfigured: Collection[int] = ()
) -> RemoteError:
    """What an answer that is no success means; see the table above."""
    status, said = response.status, f"{response.host} answered {response.status}"
    if status == 429 or status in safe_statuses:
        return UnavailableError(f"{said}: it asks to come back later", retry_after(response.headers.get("retry-after")))
    if status in {401, 403} or status in misconfigured:
        return MisconfiguredError(f"{said}; check the credentials in the secret, the account's permissions and BaseUrl")
    if 300 <= status < 400:
        return MisconfiguredError(f"{said}, a redirect, which is not followed; BaseUrl must be the final address")
    if status >= 500 or status == 408:
        failure = _no_answer(response.host, f"answered {status}", response.safe)
        if isinstance(failure, UnavailableError):
            failure.retry_after = retry_after(response.headers.get("retry-after"))
        return failure
    return RejectedError(f"{said}: it refuses this content")


def _no_answer(host: str, what: str, safe: bool) -> RemoteError:
    if safe:
        return UnavailableError(f"{host} {what}; nothing was changed")
    return UnknownOutcomeError(f"{host} {what}; whether it carried the request out is found by looking")


def _kind(error: BaseException) -> str:
    """What happened, without what it happened to: the text of a library's error may hold headers or paths."""
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return "time-out"
    if isinstance(error, socket.gaierror):
        return "its name does not resolve"
    if isinstance(error, ssl.SSLError):
        return "TLS"
    return "connection refused" if isinstance(error, ConnectionRefusedError) else "connection lost"
