"""A small forum on this machine that speaks the part of Discourse's API that Hailback uses, and keeps what is said.

    serve.py --home DIR --port N [--until-stdin-closes]        standard library only

Port 0 takes a free one. The first line of standard input is JSON: `{"api_key": …, "api_username": …}`, who may post by
the API. One JSON line on standard output says `{"ready": true, "base_url": …}`. State stays in DIR/posts.jsonl.

    POST /posts.json                  as Discourse: Api-Key, Api-Username, topic_id, raw, reply_to_post_number
    GET  /posts.json                  ?before=, the latest posts of all topics, fifty at most; open to everybody
    GET  /t/ID/posts.json             ?post_number=&asc=true&include_raw=true&username_filters=
    GET  /t/SLUG/ID                   the thread as a page

What Discourse does not have, for tests and the demo:

    POST /-/say       {"username", "raw", "topic_id"?, "title"?, "reply_to_post_number"?}   somebody posts
    POST /-/webhook   {"url", "secret"}        signed deliveries of every post from now on, our own included; an empty
                      url: none, and what is said meanwhile is never delivered
    POST /-/faults    {"queue": ["429:2", "drop", "503", "422", "slow:3", "late:3", …]}   each spends itself on one
                      API post; drop, 500 and late come after the post was kept, the others before
                      {"reads": ["429:2", "503", "slow:3", …]}   likewise, on one GET /posts.json
    GET  /-/posts     everything that was said
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import html
import json
import os
import queue
import re
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE, LATEST = 20, 50
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TRIES = 8


class Forum:
    """Topics and posts; written to disk before anybody is told of them."""

    def __init__(self, home: Path, api: dict[str, str]) -> None:
        self.api, self.base_url = api, ""
        self.lock = threading.RLock()
        self.posts: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.read_faults: list[str] = []
        self.webhook: dict[str, str] | None = None
        self.deliveries: queue.Queue[dict[str, Any]] = queue.Queue()
        home.mkdir(parents=True, exist_ok=True)
        self._file = home / "posts.jsonl"
        if self._file.is_file():
            lines = self._file.read_text(encoding="utf-8").splitlines()
            self.posts = [json.loads(line) for line in lines if line.endswith("}")]
        threading.Thread(target=self._deliver_all, daemon=True).start()

    def say(self, username: str, said: dict[str, Any]) -> dict[str, Any]:
        """Keep a post; a topic of its own where none is named."""
        with self.lock:
            topic = int(said.get("topic_id") or max([900, *(post["topic_id"] for post in self.posts)]) + 1)
            before = [post for post in self.posts if post["topic_id"] == topic]
            title = before[0]["topic_title"] if before else str(said.get("title") or "A topic")
            names = list(
                dict.fromkeys([self.api["api_username"], *(post["username"] for post in self.posts), username])
            )
            raw = str(said["raw"]).rstrip()
            post = {
                "id": 5_000 + len(self.posts) + 1,
                "user_id": 7 + names.index(username),
                "username": username,
                "created_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "raw": raw,
                "cooked": f"<p>{html.escape(_COMMENT.sub('', raw).strip())}</p>",
                "post_number": len(before) + 1,
                "post_type": 1,
                "reply_to_post_number": said.get("reply_to_post_number"),
                "topic_id": topic,
                "topic_slug": re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "topic",
                "topic_title": title,
                "topic_archetype": "regular",
                "version": 1,
            }
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(post) + "\n")
            self.posts.append(post)
        if self.webhook is not None:
            self.deliveries.put(post)
        return post

    def latest(self, before: int) -> list[dict[str, Any]]:
        """The newest posts of all topics, the newest first, from `before` on downwards."""
        with self.lock:
            return [post for post in reversed(self.posts) if not before or post["id"] <= before][:LATEST]

    def thread(self, topic: int) -> list[dict[str, Any]]:
        """The posts of a topic in order."""
        with self.lock:
            return [post for post in self.posts if post["topic_id"] == topic]

    def fault(self, *, read: bool = False) -> str:
        """What goes wrong with this post, or this reading; '' for nothing."""
        with self.lock:
            faults = self.read_faults if read else self.faults
            return faults.pop(0) if faults else ""

    def _deliver_all(self) -> None:
        while True:
            post = self.deliveries.get()
            if self.webhook is not None:
                self._deliver(self.webhook, post)

    def _deliver(self, webhook: dict[str, str], post: dict[str, Any]) -> None:
        body = json.dumps({"post": post}).encode()
        signed = hmac.new(webhook["secret"].encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Discourse-Instance": self.base_url,
            "X-Discourse-Event-Type": "post",
            "X-Discourse-Event": "post_created",
            "X-Discourse-Event-Id": str(post["id"]),
            "X-Discourse-Event-Signature": f"sha256={signed}",
        }
        for attempt in range(_TRIES):
            try:
                request = urllib.request.Request(webhook["url"], data=body, headers=headers)  # noqa: S310
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20).close()
            except (urllib.error.URLError, OSError) as error:
                print(f"a delivery failed: {error}", file=sys.stderr, flush=True)
                time.sleep(min(10.0, 0.5 * 2**attempt))
            else:
                return


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.0"
    forum: Forum

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if found := re.fullmatch(r"/t/(\d+)/posts\.json", parts.path):
            return self._stream(int(found[1]), query)
        if found := re.fullmatch(r"/t/[^/]+/(\d+)(?:/\d+)?", parts.path):
            return self._page(int(found[1]))
        if parts.path == "/posts.json":
            return self._latest(query)
        if parts.path == "/-/posts":
            return self._json(200, {"posts": self.forum.posts})
        return self._json(404, {"errors": ["not found"], "error_type": "not_found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            said = json.loads(body or b"{}")
        except ValueError:
            return self._json(400, {"errors": ["not JSON"]})
        match urlsplit(self.path).path:
            case "/posts.json":
                return self._post(said)
            case "/-/say":
                return self._json(200, self.forum.say(str(said["username"]), said))
            case "/-/webhook":
                self.forum.webhook = {"url": said["url"], "secret": said["secret"]} if said["url"] else None
            case "/-/faults":
                with self.forum.lock:
                    if "queue" in said:
                        self.forum.faults = [str(fault) for fault in said["queue"]]
                    if "reads" in said:
                        self.forum.read_faults = [str(fault) for fault in said["reads"]]
            case _:
                return self._json(404, {"errors": ["not found"]})
        return self._json(200, {"success": "OK"})

    def _post(self, said: dict[str, Any]) -> None:
        if not self._known():
            return None
        kind, _, number = self.forum.fault().partition(":")
        raw, topic = str(said.get("raw") or ""), int(said.get("topic_id") or 0)
        if kind == "429":
            return self._too_many(number)
        if kind == "slow":
            time.sleep(float(number or 1))
        if kind == "503":
            return self._json(503, {"errors": ["down"]})
        if kind == "422" or not _COMMENT.sub("", raw).strip():
            return self._json(422, {"action": "create_post", "errors": ["Body is too short"]})
        if not self.forum.thread(topic):
            return self._json(422, {"action": "create_post", "errors": ["The topic could not be found"]})
        kept = self.forum.say(self.headers["Api-Username"], said)
        if kind == "late":
            time.sleep(float(number or 1))
        if kind == "drop":
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        if kind == "500":
            return self._json(500, {"errors": ["after it was kept"]})
        return self._json(200, kept)

    def _latest(self, query: dict[str, str]) -> None:
        if self.headers.get("Api-Key") and not self._known():
            return None
        kind, _, number = self.forum.fault(read=True).partition(":")
        if kind == "429":
            return self._too_many(number)
        if kind == "503":
            return self._json(503, {"errors": ["down"]})
        if kind == "slow":
            time.sleep(float(number or 1))
        return self._json(200, {"latest_posts": self.forum.latest(int(query.get("before") or 0))})

    def _too_many(self, seconds: str) -> None:
        errors = {"errors": ["slow down"], "error_type": "rate_limit", "extras": {"wait_seconds": int(seconds or 1)}}
        self._json(429, errors, {"Retry-After": seconds or "1"})

    def _known(self) -> bool:
        given = (self.headers.get("Api-Key"), self.headers.get("Api-Username"))
        if given == (self.forum.api["api_key"], self.forum.api["api_username"]):
            return True
        self._json(403, {"errors": ["You are not permitted"], "error_type": "invalid_access"})
        return False

    def _stream(self, topic: int, query: dict[str, str]) -> None:
        if not self._known():
            return None
        posts = self.forum.thread(topic)
        if not posts:
            return self._json(404, {"errors": ["not found"], "error_type": "not_found"})
        after = int(query.get("post_number") or 0)
        names = {name.lower() for name in query.get("username_filters", "").split(",") if name}
        posts = [post for post in posts if not names or post["username"].lower() in names]
        if query.get("asc") == "true":
            posts = [post for post in posts if post["post_number"] > after]
        else:
            posts = [post for post in reversed(posts) if not after or post["post_number"] < after]
        hidden = {} if query.get("include_raw") else {"raw": None}
        return self._json(200, {"post_stream": {"posts": [{**post, **hidden} for post in posts[:PAGE]]}, "id": topic})

    def _page(self, topic: int) -> None:
        posts = self.forum.thread(topic)
        title = html.escape(posts[0]["topic_title"]) if posts else "Nothing here"
        said = "".join(
            f'<article id="post_{post["post_number"]}"><b>{html.escape(post["username"])}</b> '
            f"<time>{post['created_at']}</time>{post['cooked']}</article>"
            for post in posts
        )
        page = f"<!doctype html><meta charset=utf-8><title>{title}</title><h1>{title}</h1>{said}"
        self._answer(200 if posts else 404, page.encode(), "text/html; charset=utf-8", {})

    def _json(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._answer(status, json.dumps(body).encode(), "application/json; charset=utf-8", headers or {})

    def _answer(self, status: int, body: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name is the library's
        """Requests are not logged: they carry what people say."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a small forum.")
    parser.add_argument("--home", required=True, type=Path, help="its folder; made when absent")
    parser.add_argument("--port", required=True, type=int, help="a port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop when whoever started it is gone")
    options = parser.parse_args()
    forum = Forum(options.home, json.loads(sys.stdin.readline()))
    Handler.forum = forum
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    forum.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, lambda *_: os._exit(0))  # each post is on disk before it is answered
    if options.until_stdin_closes:
        threading.Thread(target=_leave_with_parent, daemon=True).start()
    print(json.dumps({"ready": True, "base_url": forum.base_url, "pid": os.getpid()}), flush=True)
    server.serve_forever()


def _leave_with_parent() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
