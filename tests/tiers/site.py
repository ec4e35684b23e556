"""A desk on a free loopback port, over real HTTP, which fails at random, the same for the same seed.

What becomes of a request is drawn from the seed, its address and how often that was asked, not from the order in which
threads come to it.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
from collections import Counter
from contextlib import suppress
from enum import StrEnum
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from zlib import crc32

from tests.tiers.desks import Answer, Desk

HANG = 0.3
"""Seconds for which an answer is kept back: longer than the client's read deadline, without holding up the test."""
LATE = 4.0
"""Seconds on the desk's clock after which at most a write takes effect whose caller is gone; under any `settle`."""


class Fate(StrEnum):
    """What becomes of a request. `committed …`: what it asked for is done all the same."""

    WELL = "well"
    TOO_MANY = "429"
    CONFLICT = "409"
    PRECONDITION = "412"
    BROKEN = "500 before"
    AWAY = "503 before"
    RESET = "reset before"
    COMMITTED_BROKEN = "committed, 500"
    COMMITTED_AWAY = "committed, 503"
    COMMITTED_CUT = "committed, closed"
    COMMITTED_RESET = "committed, reset"
    COMMITTED_HANG = "committed, no answer"
    LATE = "committed later, closed"


REFUSED = {
    Fate.TOO_MANY: 429,
    Fate.CONFLICT: 409,
    Fate.PRECONDITION: 412,
    Fate.BROKEN: 500,
    Fate.AWAY: 503,
}
READS = (Fate.TOO_MANY, Fate.CONFLICT, Fate.PRECONDITION, Fate.BROKEN, Fate.AWAY, Fate.RESET, Fate.COMMITTED_CUT)
WRITES = (
    *(Fate.TOO_MANY, Fate.CONFLICT, Fate.PRECONDITION, Fate.BROKEN, Fate.AWAY, Fate.RESET),
    *(Fate.COMMITTED_BROKEN, Fate.COMMITTED_AWAY) * 2,
    *(Fate.COMMITTED_CUT, Fate.COMMITTED_RESET, Fate.LATE) * 3,
    Fate.COMMITTED_HANG,
)


def chance(*parts: object) -> float:
    """A number from 0 up to 1 that is the same for the same parts."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=7).digest(), "big") / 2**56


class Site:
    """One system. `trouble` and `trouble_reading`: which share of writes and of reads fails."""

    def __init__(self, desk: Desk, seed: int, trouble: float = 0.25, trouble_reading: float = 0.1) -> None:
        self.desk, self.seed, self.trouble, self.trouble_reading = desk, seed, trouble, trouble_reading
        self.fates: Counter[Fate] = Counter()
        self.faults: list[BaseException] = []
        self.cut_all = False
        """Every request is carried out, and no answer arrives."""
        self.stopping = threading.Event()
        self._asked: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._held: socket.socket | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.down()
        if self._held is not None:
            self._held.close()

    def up(self) -> None:
        """Listen, where it listened before."""
        if self._held is not None:
            self._held.close()
            self._held = None
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        """Refuse every connection. The port stays ours: it is bound, and nobody listens."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            self._held = socket.socket()
            self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._held.bind(("127.0.0.1", self.port))

    def calm(self) -> None:
        """From now on all goes well."""
        self.trouble = self.trouble_reading = 0.0
        self.cut_all = False

    def fate(self, method: str, target: str, mark: str) -> tuple[Fate, float]:
        """What becomes of this request, and how many seconds late it takes effect."""
        reads = method == "GET"
        with self._lock:
            self._asked[f"{method} {target}", mark] += 1
            time = self._asked[f"{method} {target}", mark]
        roll = chance(self.seed, method, target, mark, time)
        share = self.trouble_reading if reads else self.trouble
        fate = Fate.WELL
        if self.cut_all:
            fate = Fate.COMMITTED_CUT
        elif roll < share:
            kinds = READS if reads else WRITES
            fate = kinds[int(roll / share * len(kinds))]
        if fate is Fate.COMMITTED_AWAY and self.desk.safe_503:
            fate = Fate.AWAY
        with self._lock:
            self.fates[fate] += 1
        return fate, 1.0 + roll / share * (LATE - 1.0) if fate is Fate.LATE else 0.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], site: Site) -> None:
        self.site = site
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):  # a client that went away is no fault of ours
            self.site.faults.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815 - the names that the base class looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Says nothing."""

    def _serve(self) -> None:
        site, desk = self.server.site, self.server.site.desk
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        mark = headers.get("idempotency-key", "") or (str(crc32(body)) if self.command == "POST" else "")
        fate, late = site.fate(self.command, self.path, mark)
        if fate in REFUSED:
            wait = {"Retry-After": str(1 + int(chance(mark, self.path) * 30))} if fate is Fate.TOO_MANY else {}
            self._answer(Answer(REFUSED[fate], {"error": str(fate)}, wait))
            return
        if fate is Fate.RESET:
            self._reset()
            return
        answer = desk.handle(self.command, self.path, headers, body, late)
        match fate:
            case Fate.WELL:
                self._answer(answer)
            case Fate.COMMITTED_BROKEN:
                self._answer(Answer(500, {"error": "internal"}))
            case Fate.COMMITTED_AWAY:
                self._answer(Answer(503, {"error": "away"}))
            case Fate.COMMITTED_RESET:
                self._reset()
            case Fate.COMMITTED_HANG:
                site.stopping.wait(HANG)
                self.close_connection = True
            case _:
                self.close_connection = True

    def _answer(self, answer: Answer) -> None:
        packed = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(packed)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(packed)

    def _reset(self) -> None:
        """RST instead of FIN: the caller reads a reset connection, not the end of an answer."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
