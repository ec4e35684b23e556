"""Helpers of the Roundup tests: a connector for a tracker, and a proxy that loses answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from pydantic import SecretStr

from connectors.http import HttpClient
from connectors.roundup.connector import Roundup
from connectors.roundup.settings import RoundupCredentials, RoundupSystem
from connectors.tool import roundup

PASSWORD = "only-for-this-test"


def connect_to(base_url: str, password: str = PASSWORD, username: str = roundup.USERNAME, **options: str) -> Roundup:
    settings = RoundupSystem(BaseUrl=base_url, **options)
    credentials = RoundupCredentials(username=username, password=SecretStr(password))
    return Roundup(settings, credentials, HttpClient(allow_private=True))


class LossyProxy:
    """Forwards one request per connection; `lose` says which answers never arrive (the request always does)."""

    def __init__(self, port: int) -> None:
        self.lose: Callable[[bytes], bool] = lambda _: False
        self.lost = 0
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(connection,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self._to)) as server:
            request = client.recv(1_000_000)
            while not _whole(request):
                request += client.recv(1_000_000)
            server.sendall(request.replace(b"Accept-Encoding", b"Connection: close\r\nAccept-Encoding", 1))
            answer = b"".join(iter(lambda: server.recv(1_000_000), b""))
            if self.lose(request):
                self.lost += 1
                return
            client.sendall(answer)

    def stop(self) -> None:
        self._listener.close()


def _whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = next((int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")), 0)
    return bool(end) and len(body) >= length
