"""Serves a vendor's API from a function, on a free port of this machine: for stand-ins that keep state.

def answer(call: Call) -> Answer:           # under a lock: one at a time
    return 200, {"items": []}, {}

with serving(answer) as address: ...
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Call:
    """One request. Header names are lower case; `query` has each name's last value, `queries` all of them."""

    method: str
    path: str
    query: Mapping[str, str]
    queries: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


Answer = tuple[int, object, Mapping[str, str]]
"""A status, what is sent as JSON (bytes go out as they are, None cuts the connection), and further headers."""


@contextmanager
def serving(answer: Callable[[Call], Answer]) -> Iterator[str]:
    """The address at which `answer` answers, until the end of the block."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            queries = parse_qs(parts.query, keep_blank_values=True)
            last = {name: values[-1] for name, values in queries.items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                status, said, more = answer(Call(self.command, parts.path, last, queries, headers, body))
            if said is None:
                self.close_connection = True
                return
            raw = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **more}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - names that the library calls

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
