"""A stand-in for X's API v2 on a loopback port, as far as its documentation tells: posts, pages, answers, refusals.

It keeps state: what is posted there is found there. `faults` are used up one by one by the requests that they fit.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from connectors.core.models import Mention
from connectors.http import HttpClient
from connectors.x.account import XAccount
from connectors.x.settings import XCredentials, XSource
from connectors.x.values import id_at

BEARER, USER_TOKEN = "app-bearer", "user-token"
OAUTH1 = {
    "api_key": "key",
    "api_secret": "key secret",
    "access_token": "42-token",
    "access_token_secret": "token secret",
}
OAUTH2 = {
    "client_id": "client",
    "client_secret": "s3cret/+",
    "access_token": USER_TOKEN,
    "refresh_token": "refresh-0",
    "expires_at": 10**15,
}
ACCOUNT, HANDLE = "42", "acme_support"
MINUTE = 60_000
BASE = 1_795_000_000_000  # a quarter past six in the morning, UTC: far from midnight
HELLO = Mention(
    connector="x",
    native_id="1800000000000000001",
    conversation_id="1800000000000000001",
    url="https://x.com/ann/status/1800000000000000001",
    reply_capability="allowed",
)
ALWAYS = {"id", "text", "edit_history_tweet_ids"}


class Clock:
    def __init__(self) -> None:
        self.now = BASE

    def __call__(self) -> int:
        return self.now


@dataclass
class Fault:
    """`status` with `body` and `headers`, or a connection cut after the request was carried out (`drop`)."""

    fits: str
    status: int = 0
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


class XApi:
    def __init__(self) -> None:
        self.posts: dict[str, dict[str, Any]] = {}
        self.users = {"7": _user("7", "ann", 120), ACCOUNT: _user(ACCOUNT, HANDLE, 9000)}
        self.hidden: dict[str, str] = {}
        self.created: list[dict[str, Any]] = []
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.page = 100
        self.after_page: Callable[[], None] = lambda: None
        self.refresh_token = "refresh-0"
        self.access_level = ""
        self.summoned: set[str] | None = None
        self._lock = threading.Lock()

    def say(self, at: int, text: str = "", author: str = "7", **more: Any) -> str:
        """A post at a time in milliseconds that mentions our account; its id."""
        with self._lock:
            number = id_at(at)
            while str(number) in self.posts:
                number += 1
            words = text or f"@{HANDLE} it broke again"
            self.posts[str(number)] = {
                "id": str(number),
                "text": words,
                "author_id": author,
                "edit_history_tweet_ids": [str(number)],
                "conversation_id": str(number),
                "created_at": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at / 1000)),
                "lang": "en",
                "entities": {"mentions": [{"start": 0, "end": 13, "username": HANDLE, "id": ACCOUNT}]},
                "public_metrics": {"like_count": 1, "reply_count": 0, "retweet_count": 0, "quote_count": 0},
                **more,
            }
            return str(number)

    def answer(self, call: Call) -> tuple[int, Any]:
        if call.path == "/2/oauth2/token":
            return self._renew(call)
        user = self._authenticated(call)
        if user is None:
            return 401, {"type": "about:blank", "title": "Unauthorized", "detail": "Unauthorized", "status": 401}
        parts = call.path.strip("/").split("/")
        if call.method == "POST" and parts == ["2", "tweets"]:
            return self._create(call) if user == "user" else _problem(403, "unsupported-authentication")
        if parts[:2] == ["2", "users"] and parts[3:] == ["mentions"]:
            return self._page_of(call, lambda post: _mentions(post, parts[2]), "pagination_token")
        if parts == ["2", "tweets", "search", "recent"]:
            word = call.query["query"].lower()
            return self._page_of(call, lambda post: word in post["text"].lower(), "next_token")
        if parts == ["2", "tweets"]:
            return self._look_up(call)
        return _problem(404, "resource-not-found")

    def _page_of(self, call: Call, wanted: Callable[[dict[str, Any]], bool], token: str) -> tuple[int, Any]:
        above, size = int(call.query.get("since_id", "0")), min(int(call.query.get("max_results", "10")), self.page)
        below = 10**20
        if token in call.query:
            try:
                below = int(base64.b32hexdecode(call.query[token].upper()).decode())
            except ValueError:
                return 400, {**_problem(400, "invalid-request")[1], "errors": [{"parameters": {token: ["?"]}}]}
        with self._lock:
            found = [post for post in self.posts.values() if above < int(post["id"]) < below and wanted(post)]
        found.sort(key=lambda post: -int(post["id"]))
        chosen = [post for post in found if post["id"] not in self.hidden][:size]
        answer = self._shown(chosen, call.query)
        answer["meta"] = {"result_count": len(chosen)}
        if chosen:
            answer["meta"] |= {"newest_id": chosen[0]["id"], "oldest_id": chosen[-1]["id"]}
        if len(found) > size:
            answer["meta"]["next_token"] = base64.b32hexencode(chosen[-1]["id"].encode()).decode().lower()
        return 200, answer

    def _shown(self, posts: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
        """Only the fields that were asked for, as X does."""
        fields = ALWAYS | set(query.get("tweet.fields", "").split(","))
        answer: dict[str, Any] = {}
        if posts:
            answer["data"] = [{name: value for name, value in post.items() if name in fields} for post in posts]
        if "author_id" in query.get("expansions", "").split(",") and posts:
            shown = {"id", "name", "username"} | set(query.get("user.fields", "").split(","))
            authors = dict.fromkeys(post["author_id"] for post in posts)
            known = [self.users[author] for author in authors if author in self.users]
            answer["includes"] = {"users": [{k: v for k, v in user.items() if k in shown} for user in known]}
        return answer

    def _look_up(self, call: Call) -> tuple[int, Any]:
        asked = call.query["ids"].split(",")
        there = [self.posts[one] for one in asked if one in self.posts and one not in self.hidden]
        answer = self._shown(there, call.query)
        missing = [one for one in asked if one not in self.posts or one in self.hidden]
        if missing:
            answer["errors"] = [_missing(one, self.hidden.get(one, "resource-not-found")) for one in missing]
        return 200, answer

    def _create(self, call: Call) -> tuple[int, Any]:
        said = call.body
        if any(post["text"] == said["text"] for post in self.created):
            detail = "You are not allowed to create a Tweet with duplicate content."
            return 403, {"type": "about:blank", "title": "Forbidden", "detail": detail, "status": 403}
        if self.summoned is not None and said["reply"]["in_reply_to_tweet_id"] not in self.summoned:
            detail = "You can only reply to or quote posts where you are mentioned or are the author."
            return 403, {**_problem(403, "not-authorized-for-resource")[1], "detail": detail}
        made = {"id": str(id_at(int(time.time() * 1000)) + len(self.created)), "text": said["text"]}
        self.created.append({**made, **said})
        return 201, {"data": {**made, "edit_history_tweet_ids": [made["id"]]}}

    def _renew(self, call: Call) -> tuple[int, Any]:
        """Each refresh token works once."""
        pair = base64.b64decode(call.headers["authorization"].removeprefix("Basic ")).decode()
        right = [unquote(part) for part in pair.split(":")] == [OAUTH2["client_id"], OAUTH2["client_secret"]]
        form = call.body
        if not right or form["grant_type"] != "refresh_token" or form["refresh_token"] != self.refresh_token:
            return 400, {"error": "invalid_request", "error_description": "Value passed for the token was invalid."}
        self.refresh_token = f"refresh-{int(self.refresh_token.rpartition('-')[2]) + 1}"
        return 200, {
            "token_type": "bearer",
            "expires_in": 7200,
            "access_token": "user-token-new",
            "scope": "tweet.read tweet.write users.read offline.access",
            "refresh_token": self.refresh_token,
        }

    def _authenticated(self, call: Call) -> str | None:
        given = call.headers.get("authorization", "")
        if given.startswith("OAuth "):
            return "user" if _signed(call, given) else None
        return {f"Bearer {BEARER}": "app", f"Bearer {USER_TOKEN}": "user"}.get(given)

    @contextmanager
    def serve(self) -> Iterator[str]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def account(api: str, credentials: Mapping[str, Any] | None = None, **settings: Any) -> XAccount:
    """The connector under test, as the worker builds it."""
    given = {"Account": ACCOUNT, "Handle": HANDLE, "ApiUrl": api, **settings}
    known = {"bearer_token": BEARER, **OAUTH1} if credentials is None else credentials
    return XAccount(
        XSource.model_validate(given),
        XCredentials.model_validate(dict(known)),
        HttpClient(allow_private=True, total=5.0, read=3.0),
    )


def _handler(api: XApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _go(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            form = "form" in (self.headers.get("Content-Type") or "")
            body = dict(parse_qsl(raw)) if form else json.loads(raw) if raw else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            headers[":url"] = f"http://{headers['host']}{parts.path}"
            call = Call(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
            api.calls.append(call)
            fault = next((one for one in api.faults if one.fits in f"{call.method} {call.path}"), None)
            if fault:
                api.faults.remove(fault)
            if fault and not fault.drop:
                self._send(fault.status, fault.body, fault.headers)
                return
            status, answer = api.answer(call)
            if fault:
                self.close_connection = True
                return
            self._send(status, answer, {"x-access-level": api.access_level} if api.access_level else {})
            if "meta" in (answer or {}):
                api.after_page()

        def _send(self, status: int, body: Any, headers: Mapping[str, str]) -> None:
            packed = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            self.wfile.write(packed)

        do_GET = do_POST = _go  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _signed(call: Call, header: str) -> bool:
    """RFC 5849, written from the standard: HMAC-SHA1 over method, address and sorted parameters."""
    given = {
        name.strip(): unquote(value.strip().strip('"'))
        for name, _, value in (part.partition("=") for part in header.removeprefix("OAuth ").split(","))
    }
    signature = given.pop("oauth_signature")

    def escape(text: str) -> str:
        return quote(text, safe="-._~")

    pairs = sorted((escape(name), escape(value)) for name, value in [*given.items(), *call.query.items()])
    base = "&".join(
        [call.method, escape(call.headers[":url"]), escape("&".join(f"{name}={value}" for name, value in pairs))]
    )
    key = f"{escape(OAUTH1['api_secret'])}&{escape(OAUTH1['access_token_secret'])}"
    expected = base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()).decode()
    known = given["oauth_consumer_key"] == OAUTH1["api_key"] and given["oauth_token"] == OAUTH1["access_token"]
    return known and hmac.compare_digest(expected, signature)


def _mentions(post: Mapping[str, Any], user: str) -> bool:
    return any(one["id"] == user for one in post["entities"]["mentions"])


def _missing(native_id: str, kind: str) -> dict[str, str]:
    return {
        "value": native_id,
        "resource_id": native_id,
        "parameter": "ids",
        "resource_type": "tweet",
        "title": "Not Found Error" if kind == "resource-not-found" else "Authorization Error",
        "type": f"https://api.twitter.com/2/problems/{kind}",
    }


def _problem(status: int, kind: str) -> tuple[int, dict[str, Any]]:
    return status, {"title": kind, "type": f"https://api.x.com/2/problems/{kind}", "status": status, "detail": kind}


def _user(native_id: str, name: str, followers: int) -> dict[str, Any]:
    return {
        "id": native_id,
        "username": name,
        "name": name.title(),
        "protected": False,
        "public_metrics": {"followers_count": followers, "following_count": 1, "tweet_count": 5, "listed_count": 0},
        "description": "not asked for",
    }
