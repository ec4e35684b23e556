"""A stand-in for the Graph API: one Page that keeps what is said on it, pages its lists and fails on demand.

    with running() as graph:
        post = graph.say(MIA, "It is cold.")
        graph.fail("drop")            the next request is carried out, and its answer is lost
        graph.fail("190.463")         the next one is refused with this error code and subcode
        graph.fail("500")             the next one is answered with a bare status

As the real one does, it puts the access token into the addresses of its next pages.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

PAGE = "100200300400500"
TOKEN = "page-token-for-this-test"
APP_ID, APP_SECRET = "424242", "app-secret-for-this-test"
ACME = {"id": PAGE, "name": "Acme Heating"}
MIA = {"id": "7300000000000101", "name": "Mia Brandt"}
BEN = {"id": "7300000000000102", "name": "Ben Okafor"}
SCOPES = ["pages_read_engagement", "pages_read_user_content", "pages_manage_engagement", "pages_show_list"]
_VERSION = re.compile(r"^/v[0-9]+\.[0-9]+(/.*)$")


@dataclass
class Said:
    """A post (`under` is empty) or a comment; times in unix seconds."""

    id: str
    who: dict[str, str] | None
    text: str
    at: float
    under: str = ""
    parent: str = ""
    tagged: bool = False
    tagged_at: float = 0.0


@dataclass
class Graph:
    """The Page's state. `newest_first`: whether lists of comments honour the order that was asked for."""

    said: list[Said] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    page: str = PAGE
    token: dict[str, Any] = field(default_factory=lambda: {"is_valid": True, "expires_at": 0, "scopes": SCOPES})
    newest_first: bool = True
    next_origin: str = ""
    base_url: str = ""
    numbers: int = 1000
    lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, who: dict[str, str] | None, text: str, at: float, **more: Any) -> Said:
        self.numbers += 1
        wall = "200300400500600" if more.get("tagged") else self.page
        under = more.get("under", "")
        native = f"{under.partition('_')[2]}_{self.numbers}" if under else f"{wall}_{self.numbers}"
        self.said.append(Said(native, who, text, at, **more))
        return self.said[-1]

    def fail(self, *faults: str) -> None:
        self.faults += faults

    def comments(self, under: str) -> list[Said]:
        return [one for one in self.said if one.under == under]

    def delivery(self, one: Said, verb: str = "add") -> bytes:
        """What the webhook would bring about it."""
        value: dict[str, Any] = {"item": "comment" if one.under else "post", "verb": verb, "message": one.text}
        value |= {"post_id": one.under or one.id, "created_time": int(one.at)}
        value |= {"comment_id": one.id, "parent_id": one.parent or one.under} if one.under else {}
        value |= {"from": one.who} if one.who else {}
        change = {"field": "mention" if one.tagged else "feed", "value": value}
        entry = {"id": self.page, "time": int(one.at) + 1, "changes": [change]}
        return json.dumps({"object": "page", "entry": [entry]}).encode()

    # -- answers ------------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, given: dict[str, str]) -> tuple[int, Any]:
        if path == "/debug_token":
            valid = given.get("access_token") == f"{APP_ID}|{APP_SECRET}" and given.get("input_token") == TOKEN
            return (200, {"data": self.token}) if valid else error(190)
        proof = hmac.new(APP_SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
        if given.get("access_token") != TOKEN or given.get("appsecret_proof", proof) != proof:
            return error(190, 467)
        if path == "/me":
            return 200, {"id": self.page}
        owner, _, edge = path.strip("/").partition("/")
        if method == "POST" and edge == "comments":
            return self._create(owner, given)
        if method == "GET" and owner == self.page and edge in {"feed", "tagged"}:
            posts = [one for one in self.said if not one.under and one.tagged == (edge == "tagged")]
            posts.sort(key=lambda one: one.tagged_at or one.at, reverse=True)
            return 200, self._listing(path, given, [self._post(one, given) for one in posts])
        if method == "GET" and edge == "comments" and any(one.id == owner for one in self.said):
            return 200, self._listing(path, given, self._comments(owner))
        return error(100, 33)

    def _create(self, owner: str, given: dict[str, str]) -> tuple[int, Any]:
        above = next((one for one in self.said if one.id == owner), None)
        if above is None:
            return error(100, 33)
        parent = above.id if above.under else ""
        made = self.say(ACME, given["message"], 1_795_000_000.0, under=above.under or above.id, parent=parent)
        answer: dict[str, Any] = {"id": made.id}
        if "permalink_url" in given.get("fields", ""):
            answer["permalink_url"] = permalink(made)
        return 200, answer

    def _post(self, one: Said, given: dict[str, str]) -> dict[str, Any]:
        shown = self._shown(one) | {"updated_time": iso(one.at)}
        nested = re.search(
            r"comments\.filter\(stream\)\.order\(reverse_chronological\)\.limit\((\d+)\)", given["fields"]
        )
        if nested and (beneath := self._comments(one.id)):
            asked = {"limit": nested[1], "access_token": given["access_token"]}
            shown["comments"] = self._listing(f"/{one.id}/comments", asked, beneath)
        return shown

    def _comments(self, under: str) -> list[dict[str, Any]]:
        found = sorted(self.comments(under), key=lambda one: one.at, reverse=self.newest_first)
        return [self._shown(one) | {"like_count": 0, "comment_count": 0} for one in found]

    def _shown(self, one: Said) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": one.id, "created_time": iso(one.at), "permalink_url": permalink(one)}
        shown |= {"message": one.text} if one.text else {}
        shown |= {"from": one.who} if one.who else {}
        shown |= {"tagged_time": iso(one.tagged_at)} if one.tagged_at else {}
        return shown | ({"parent": {"id": one.parent}} if one.parent else {})

    def _listing(self, path: str, given: dict[str, str], everything: list[dict[str, Any]]) -> dict[str, Any]:
        start, limit = int(given.get("after", "0")), int(given.get("limit", "25"))
        data = everything[start : start + limit]
        paging: dict[str, Any] = {"cursors": {"before": str(start), "after": str(start + limit)}}
        if start + limit < len(everything):
            query = urlencode(given | {"after": str(start + limit)})
            paging["next"] = f"{self.next_origin or self.base_url}/v25.0{path}?{query}"
        return {"data": data, "paging": paging}


def error(code: int, subcode: int = 0, **more: Any) -> tuple[int, Any]:
    about: dict[str, Any] = {"message": "SECRET WORDS", "type": "OAuthException", "code": code, "fbtrace_id": "A"}
    about |= {"error_subcode": subcode} if subcode else {}
    return 500 if code in {1, 2} else 400, {"error": about | more}


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def permalink(one: Said) -> str:
    page, _, post = (one.under or one.id).partition("_")
    address = f"https://www.facebook.com/{page}/posts/{post}"
    last = one.id.partition("_")[2]
    if one.parent:
        return f"{address}?comment_id={one.parent.partition('_')[2]}&reply_comment_id={last}"
    return f"{address}?comment_id={last}" if one.under else address


@contextmanager
def running() -> Iterator[Graph]:
    graph = Graph()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond(dict(parse_qsl(urlsplit(self.path).query)))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            self._respond(dict(parse_qsl(body, keep_blank_values=True)))

        def _respond(self, given: dict[str, str]) -> None:
            found = _VERSION.match(urlsplit(self.path).path)
            path = found[1] if found else ""
            with graph.lock:
                graph.requests.append((self.command, path, given))
                fault = graph.faults.pop(0) if graph.faults else ""
                if fault in {"", "drop"}:
                    status, answer = graph.answer(self.command, path, given)
                elif "." in fault or int(fault) not in range(400, 600):
                    code, _, subcode = fault.partition(".")
                    status, answer = error(int(code), int(subcode or 0))
                else:
                    status, answer = int(fault), None
            if fault == "drop":
                self.close_connection = True
                return
            content = b"<html>" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in graph.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    graph.base_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield graph
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
