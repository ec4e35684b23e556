"""The stand-in for Zendesk on a loopback port: its API, a page for each ticket, and webhooks out. Any Python runs it.

    serve.py --home DIR --port N --token-file FILE [--until-stdin-closes] [--webhook URL --webhook-secret-file FILE]

Port 0 takes a free one; `-` reads the token from the first line of standard input. One JSON line on standard output
says `{"ready": true, "base_url": …}`. State stays in DIR/journal.jsonl and survives a kill.

Under /control, with the same credentials:
    PUT  /control/faults   {"rates": {"drop": 0.1}, "seed": 1, "script": ["409"], "down": false}   see faults.py
    PUT  /control/webhook  {"url": "http://…", "secret": "…"}
    GET  /control/state    tickets with their comments, and how many webhooks are waiting
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import html
import http.client
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from desk import Desk
from faults import Answer, Faults, Refusal

ATTEMPTS = 6
HOLD = 30.0
"""Seconds that a request whose fate is `timeout` is held."""


def main() -> None:
    options = _options()
    token = (sys.stdin.readline() if options.given == "-" else Path(options.given).read_text("utf-8")).strip()
    if not token:
        sys.exit("the token is empty")
    try:
        server = Server(("127.0.0.1", options.port), Handler)
    except OSError as error:
        sys.exit(f"port {options.port} on 127.0.0.1 cannot be taken ({error.strerror}); choose another --port")
    base_url = f"http://127.0.0.1:{server.server_address[1]}"
    server.desk = Desk(token, base_url, Path(options.home) / "journal.jsonl")
    if options.webhook:
        secret = Path(options.webhook_secret_file).read_text("utf-8").strip()
        server.desk.setting("webhook", {"url": options.webhook, "secret": secret})
    threading.Thread(target=Postman(server.desk).run, daemon=True).start()
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, lambda *_: os._exit(0))  # the journal is written before each answer: nothing to save
    if options.until_stdin_closes:
        threading.Thread(target=_leave_with_parent, daemon=True).start()
    print(json.dumps({"ready": True, "base_url": base_url, "pid": os.getpid()}), flush=True)
    server.serve_forever()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve a stand-in for Zendesk.")
    parser.add_argument("--home", required=True, help="the folder that keeps its state")
    parser.add_argument("--port", required=True, type=int, help="a port on 127.0.0.1; 0 takes a free one")
    parser.add_argument(
        "--token-file", dest="given", required=True, help="a file that holds the API token; - for standard input"
    )
    parser.add_argument("--webhook", help="where webhooks go")
    parser.add_argument("--webhook-secret-file", help="a file that holds the webhook's signing secret")
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop when whoever started it is gone")
    options = parser.parse_args()
    if options.webhook and not options.webhook_secret_file:
        parser.error("--webhook needs --webhook-secret-file")
    return options


def _leave_with_parent() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    desk: Desk


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = urlsplit(self.path).path
        if path.startswith("/api/v2/"):
            answer = self.server.desk.handle(self.command, self.path, headers, body)
        elif path.startswith("/control/"):
            answer = self._control(path.removeprefix("/control/"), headers, body)
        else:
            answer = Answer(200, page(self.server.desk, path)) if self.command == "GET" else Answer(405, "")
        if answer.fate in {"drop", "timeout"}:
            time.sleep(HOLD if answer.fate == "timeout" else 0)
            self.close_connection = True
            return
        self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the names that http.server looks for

    def _control(self, name: str, headers: dict[str, str], body: bytes) -> Answer:
        desk = self.server.desk
        try:
            desk.user(headers)
            given = json.loads(body or b"{}")
            if (self.command, name) == ("PUT", "faults"):
                desk.faults = Faults(**given)
            elif (self.command, name) == ("PUT", "webhook"):
                desk.setting("webhook", {"url": given["url"], "secret": given["secret"]})
            elif (self.command, name) == ("GET", "state"):
                shown = [{**ticket, "comments": desk.comments(str(ticket["id"]))} for ticket in desk.tickets()]
                return Answer(200, {"tickets": shown, "waiting": len(desk.outbox())})
            else:
                return Answer(404, {"error": "there is no such control"})
        except Refusal as refusal:
            return refusal.answer
        except (ValueError, KeyError, TypeError) as error:
            return Answer(400, {"error": f"{error}"})
        return Answer(200, {"done": True})

    def _send(self, answer: Answer) -> None:
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        sent = b"" if answer.status == 204 else text.encode()
        kind = "text/html" if isinstance(answer.body, str) else "application/json"
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Nothing: customers' words and keys stay out of logs."""


class Postman:
    """Takes webhooks out, one at a time and in order, signed as Zendesk signs them. Gives one up after ATTEMPTS."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._failed: dict[str, int] = {}

    def run(self) -> None:
        while True:
            webhook = self._desk.setting("webhook")
            for event, body in self._desk.outbox() if webhook else ():
                wait = self._deliver(webhook, event, body)
                if wait:
                    time.sleep(wait)
                    break
            time.sleep(0.1)

    def _deliver(self, webhook: dict[str, str], event: str, body: dict[str, Any]) -> float:
        """Seconds to wait before the next try; 0 where this one is settled."""
        try:
            status = post(webhook["url"], webhook["secret"], json.dumps(body).encode())
        except (OSError, http.client.HTTPException):
            status = 504
        tries = self._failed[event] = self._failed.get(event, 0) + 1
        if status < 400 or (400 <= status < 500 and status not in {408, 409, 429}) or tries >= ATTEMPTS:
            self._failed.pop(event)
            self._desk.taken(event)
            return 0.0
        return float(min(8, 2 ** (tries - 1)))


def post(url: str, secret: str, body: bytes) -> int:
    """Send one webhook; the status of the answer. Raises OSError and HTTPException."""
    where = urlsplit(url)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    digest = hmac.new(secret.encode(), stamp.encode() + body, hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Zendesk Webhook",
        "X-Zendesk-Account-Id": "12345",
        "X-Zendesk-Webhook-Signature": base64.b64encode(digest).decode(),
        "X-Zendesk-Webhook-Signature-Timestamp": stamp,
    }
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    connection = kind(where.hostname or "", where.port, timeout=12)
    try:
        connection.request("POST", where.path + (f"?{where.query}" if where.query else ""), body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def page(desk: Desk, path: str) -> str:
    """What a person sees in a browser: one ticket, or all of them."""
    number = path.removeprefix("/agent/tickets/").removeprefix("/tickets/")
    found = [ticket for ticket in desk.tickets() if str(ticket["id"]) == number]
    rows = []
    if found:
        ticket = found[0]
        title = f"#{number} {ticket['subject']}"
        rows.append(f"<p>Status: <b>{html.escape(ticket['status'])}</b></p>")
        for comment in desk.comments(number):
            kind = "public reply" if comment["public"] else "internal note"
            who = html.escape(f"{desk.author(comment['author_id'])}, {kind}, {comment['created_at']}")
            rows.append(f"<h3>{who}</h3><pre>{html.escape(comment['body'])}</pre>")
        rows.append('<p><a href="/">All tickets</a></p>')
    else:
        title = "Tickets"
        for ticket in desk.tickets():
            label = html.escape(f"#{ticket['id']} {ticket['subject']}")
            rows.append(
                f'<li><a href="/agent/tickets/{ticket["id"]}">{label}</a> ({html.escape(ticket["status"])})</li>'
            )
    style = "<style>body{font:16px sans-serif;max-width:50em;margin:2em auto}pre{white-space:pre-wrap}</style>"
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title>{style}'
    return f"<!doctype html>{head}<h1>{html.escape(title)}</h1><p>A stand-in for Zendesk.</p>{''.join(rows)}"


if __name__ == "__main__":
    main()
