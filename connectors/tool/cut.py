"""A door before the local AWS's SNS that can be shut for one region, as if that region were gone.

The functions are told its address as that of SNS (`AWS_ENDPOINT_URL_SNS`, which every AWS SDK honours), so nothing of
Hailback's own knows of it. A request names its region in its signature. What passes is passed on byte by byte, for a
request that is changed is no longer signed.

    cut = Cut(); cut.towards(port of the local AWS)
    cut.off("eu-west-1")                           connections to it fall silent: clients run into their time limits
    cut.off("eu-west-1", Manner.THROTTLED)         it answers at once, that it is asked too often
    cut.restore("eu-west-1")
"""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from enum import Enum

_SCOPE = re.compile(rb"Credential=[^/]+/\d{8}/([a-z0-9-]+)/")
_LONGEST_HEAD = 65_536
_PATIENCE = 30.0
_TOO_OFTEN = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttled</Code><Message>Rate exceeded</Message></Error>"
    b"<RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
)


class Manner(Enum):
    """How a region fails."""

    SILENT = "it takes the connection and never answers"
    CLOSED = "it breaks off the connection"
    THROTTLED = "it says that it is asked too often"


class Cut:
    """Listens on a loopback port of its own until `stop`."""

    def __init__(self) -> None:
        self._failing: dict[str, Manner] = {}
        self._upstream = 0
        self._ended = threading.Event()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True, name="cut").start()

    def towards(self, port: int) -> None:
        """Where to pass on to, on this machine."""
        self._upstream = port

    def off(self, region: str, manner: Manner = Manner.SILENT) -> None:
        """From now on this region fails."""
        self._failing[region] = manner

    def restore(self, region: str) -> None:
        """From now on it answers."""
        self._failing.pop(region, None)

    def stop(self) -> None:
        """End it. May be called twice."""
        self._ended.set()
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                peer, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True, name="cut").start()

    def _serve(self, peer: socket.socket) -> None:
        """One connection. Clients keep theirs open and reuse it, so each request is looked at anew."""
        with peer, suppress(OSError):
            peer.settimeout(300)
            while not self._ended.is_set() and (request := _request(peer)):
                scope = _SCOPE.search(request)
                match self._failing.get(scope.group(1).decode() if scope else ""):
                    case Manner.SILENT:
                        self._ended.wait(_PATIENCE)
                        return
                    case Manner.CLOSED:
                        return
                    case Manner.THROTTLED:
                        peer.sendall(_answer(b"400 Bad Request", _TOO_OFTEN))
                    case None:
                        peer.sendall(self._pass_on(request))

    def _pass_on(self, request: bytes) -> bytes:
        """The answer of the real one, to its end: it is asked to close the connection after it, which is not signed."""
        head, _, body = request.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        with socket.create_connection(("127.0.0.1", self._upstream), timeout=_PATIENCE) as aws:
            aws.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
            return b"".join(iter(lambda: aws.recv(65_536), b""))


def _request(peer: socket.socket) -> bytes:
    """One whole request, or nothing where the client is done. The SDK sends lengths, not chunks."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65_536)
        if not piece or len(data) > _LONGEST_HEAD:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length:\s*(\d+)", head)
    missing = (int(length.group(1)) if length else 0) - len(body)
    while missing > 0:
        piece = peer.recv(min(missing, 65_536))
        if not piece:
            return b""
        data, missing = data + piece, missing - len(piece)
    return data


def _answer(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
