"""A door before the tracker that loses what passes, in each of the ways in which a network can.

    proxy = ChaosProxy(tracker.base_url)   # proxy.base_url is what Hailback is told
    proxy.rates = {Fault.DROPPED: 0.2}     # one answer in five is lost, after the tracker has committed
    proxy.shut()                           # nobody listens any more: connections are refused
    proxy.open(); proxy.rates = {}

One request per connection, as Hailback's own client makes them. The tracker checks a request's origin against its own
address, so that address is put in the place of this one.
"""

from __future__ import annotations

import random
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from urllib.parse import urlsplit

LONGEST = 20.0
"""Seconds until a client that never gives up is let go."""
_RESET = struct.pack("ii", 1, 0)


class Fault(StrEnum):
    """What happens to one request."""

    CUT = "cut off before the tracker saw it"
    DROPPED = "answered by the tracker, and the answer dropped"
    TORN = "answered, and cut off in the middle of the answer"
    HUNG = "held until the client gave up, and never sent on"
    STALLED = "answered, and the answer held until the client gave up"
    LATE = "sent on only after the client had given up"


class ChaosProxy:
    """Listens on a loopback port of its own until `stop`. `rates` are the shares of requests that meet each fault."""

    def __init__(self, upstream: str, seed: int = 1) -> None:
        where = urlsplit(upstream)
        self._to = (where.hostname or "", where.port or 80)
        self._random, self._lock = random.Random(seed), threading.Lock()
        self.rates: Mapping[Fault, float] = {}
        self.met: Counter[str] = Counter()
        """How many requests met which fault; `passed` those that met none."""
        self.lost_commits = 0
        """Writes that the tracker answered with success, and whose answer never arrived whole."""
        self.busy = 0
        """Requests that are still on their way, also those whose client has gone."""
        self._door: socket.socket | None = None
        self._port = 0
        self.open()
        self._netloc = f"127.0.0.1:{self._port}"
        self.base_url = upstream.replace(where.netloc, self._netloc, 1)

    def open(self) -> None:
        """Listen, at the same port as before."""
        if self._door is None:
            self._door = socket.create_server(("127.0.0.1", self._port), backlog=128)
            self._port = self._door.getsockname()[1]
            threading.Thread(target=self._listen, args=(self._door,), daemon=True, name="chaos").start()

    def shut(self) -> None:
        """Refuse connections from now on; those that stand go on."""
        door, self._door = self._door, None
        if door is not None:
            with suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)
            door.close()

    stop = shut

    def _listen(self, door: socket.socket) -> None:
        while True:
            try:
                client, _ = door.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True, name="chaos").start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self.busy += 1
        try:
            with client, suppress(OSError):
                client.settimeout(LONGEST)
                request = _whole_request(client)
                if request:
                    self._meet(client, request)
        finally:
            with self._lock:
                self.busy -= 1

    def _meet(self, client: socket.socket, request: bytes) -> None:
        fault = self._drawn()
        if fault in {Fault.HUNG, Fault.LATE}:
            _until_gone(client)
        if fault in {Fault.CUT, Fault.HUNG}:
            self._count(fault, request, b"")
            _reset(client)
            return
        answer = self._asked(request)
        self._count(fault if answer else "nobody answered behind the proxy", request, answer)
        match fault:
            case None if answer:
                client.sendall(answer)
            case Fault.TORN:
                client.sendall(answer[: len(answer) - len(answer.partition(b"\r\n\r\n")[2]) // 2 - 1])
                _reset(client)
            case Fault.STALLED:
                _until_gone(client)
            case Fault.LATE:
                pass
            case _:
                _reset(client)

    def _drawn(self) -> Fault | None:
        with self._lock:
            roll = self._random.random()
        for fault, rate in self.rates.items():
            roll -= rate
            if roll < 0:
                return fault
        return None

    def _asked(self, request: bytes) -> bytes:
        """The tracker's answer to its end; nothing where it does not answer."""
        head, _, body = request.partition(b"\r\n\r\n")
        own = f"{self._to[0]}:{self._to[1]}".encode()
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        head = b"\r\n".join([*lines, b"Connection: close"]).replace(self._netloc.encode(), own)
        try:
            with socket.create_connection(self._to, timeout=LONGEST) as tracker:
                tracker.sendall(head + b"\r\n\r\n" + body)
                return b"".join(iter(lambda: tracker.recv(65_536), b""))
        except OSError:
            return b""

    def _count(self, what: str | None, request: bytes, answer: bytes) -> None:
        """`answer` is what the tracker said."""
        lost = isinstance(what, Fault) and bool(re.match(rb"HTTP/1\.\d 2", answer))
        with self._lock:
            self.met[what or "passed"] += 1
            self.lost_commits += lost and not request.startswith(b"GET ")


def _whole_request(client: socket.socket) -> bytes:
    """A request with its body; nothing where the client went before its end."""
    data, length = b"", None
    while length is None or len(data) < length:
        piece = client.recv(65_536)
        if not piece:
            return b""
        data += piece
        head, end, _ = data.partition(b"\r\n\r\n")
        if end and length is None:
            said = re.search(rb"(?im)^content-length:\s*(\d+)", head)
            length = len(head) + len(end) + (int(said.group(1)) if said else 0)
    return data


def _until_gone(client: socket.socket) -> None:
    """Until the client closes, which it does when its own time is up."""
    with suppress(OSError):
        client.recv(1)


def _reset(client: socket.socket) -> None:
    """As a connection ends whose peer is gone: with a reset, not with an end."""
    with suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
