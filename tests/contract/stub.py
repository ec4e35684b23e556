"""A vendor that answers everything alike: with one status, one body, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in. Header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def places(self, text: str) -> frozenset[str]:
        """Where in it a text stands: `path`, `body`, or the name of a header."""
        found = {name for name, value in self.headers.items() if text in value}
        found |= {"path"} if text in unquote(self.path) else set()
        return frozenset(found | ({"body"} if text.encode() in self.body else set()))


@dataclass
class Stub:
    """`silent`: takes the request and never answers. `seen`: method and path of each request; `asked`: all of it."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False
    seen: list[tuple[str, str]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def says(self, status: int, body: bytes = b"{}", *, silent: bool = False, **headers: str) -> None:
        """From now on. Forgets what was seen."""
        self.status, self.body, self.silent = status, body, silent
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.seen.clear()
        self.asked.clear()


@contextmanager
def stub() -> Iterator[Stub]:
    """One on a free port of this machine, until the end of the block."""
    told, over = Stub(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.asked.append(Asked(self.command, self.path, headers, body))
            told.seen.append((self.command, self.path))
            if told.silent:
                over.wait(10)
                self.close_connection = True
                return
            self.send_response(told.status)
            for name, value in {"Content-Type": "application/json", **told.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield told
    finally:
        over.set()
        server.shutdown()
        server.server_close()
