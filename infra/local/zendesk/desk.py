"""The part of Zendesk that Hailback talks to, with its state: a stand-in, not Zendesk. Standard library only.

Kept as documented: an idempotency key works for two hours and refuses other bytes with 400; tickets are found by their
external id at once; a safe update with an old stamp is a 409; a closed ticket takes nothing more; times have whole
seconds. Not kept: permissions, triggers, search, most fields. Faults are thrown on request, see `Faults`.

State lies in a journal: one line a commit, written before the answer, so a kill loses nothing that was answered.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
import uuid
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from faults import Answer, Faults, Refusal

KEY_LIFE = 7200
FIRST_USER = 900001
STATUSES = ("new", "open", "pending", "hold", "solved", "closed")


class Desk:
    """One account. Thread-safe. With the setting `webhook`, `outbox` holds what it is to bring."""

    def __init__(
        self,
        token: str,
        base_url: str,
        journal: Path | None = None,
        users: tuple[str, ...] = ("hailback@acme.example", "mia@acme.example"),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.base_url, self.now, self.faults, self.latency = base_url, now, Faults(), 0.0
        self.requests: list[tuple[str, str]] = []
        self._token, self._lock = token, threading.RLock()
        kinds = ("ticket", "comments", "audit", "key", "user", "out")
        self._state: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
        self._setting: dict[str, Any] = {}
        self._next = 1000
        self._by_external: dict[str, list[str]] = {}
        self._in_flight: set[str] = set()
        for number, email in enumerate(users, FIRST_USER):
            name = email.partition("@")[0].capitalize()
            self._state["user"][str(number)] = {"id": number, "name": name, "email": email, "role": "admin"}
        self._journal = None
        if journal is not None:
            self._read(journal)
            self._journal = journal.open("ab")

    # --- state ---

    def _read(self, journal: Path) -> None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        text = journal.read_bytes() if journal.exists() else b""
        whole, _, broken = text.rpartition(b"\n")
        if broken:  # a line cut by a kill was never answered
            journal.write_bytes(whole + b"\n" if whole else b"")
        for line in whole.splitlines():
            self._apply(json.loads(line))

    def _apply(self, changes: list[list[Any]]) -> None:
        for kind, name, value in changes:
            if kind == "setting":
                self._setting[name] = value
            elif value is None:
                self._state[kind].pop(name, None)
            elif kind == "comments":
                self._state[kind].setdefault(name, []).append(value)
            else:
                if kind == "ticket" and name not in self._state["ticket"] and value.get("external_id"):
                    self._by_external.setdefault(value["external_id"], []).append(name)
                self._state[kind][name] = value
            if kind in {"ticket", "comments", "audit"}:
                self._next = max(self._next, value["id"])

    def _commit(self, *changes: list[Any]) -> None:
        if self._journal is not None:
            self._journal.write(json.dumps(changes).encode() + b"\n")
            self._journal.flush()
        self._apply(list(changes))

    def setting(self, name: str, value: Any = None) -> Any:
        """Keep a setting, or read it."""
        with self._lock:
            if value is not None:
                self._commit(["setting", name, value])
            return self._setting.get(name)

    def tickets(self) -> list[dict[str, Any]]:
        with self._lock:
            return sorted(self._state["ticket"].values(), key=lambda ticket: int(ticket["id"]))

    def comments(self, ticket: str) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._state["comments"].get(ticket, ()))

    def author(self, number: int) -> str:
        return str(self._state["user"].get(str(number), {}).get("name", number))

    def outbox(self) -> list[tuple[str, dict[str, Any]]]:
        """Webhook events that nobody has taken yet, oldest first."""
        with self._lock:
            return list(self._state["out"].items())

    def taken(self, event: str) -> None:
        with self._lock:
            self._commit(["out", event, None])

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _stamp(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now()))

    # --- requests ---

    def handle(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """One request to /api/v2. Header names are lower case."""
        fault = self.faults.throw(method)
        if fault == "lost":
            return Answer(0, None, fate="drop")
        if fault.isdigit():
            return Answer(
                int(fault), {"error": f"Injected{fault}"}, {"Retry-After": "1"} if fault in {"429", "503"} else {}
            )
        try:
            answer = self._route(method, target, headers, body)
        except Refusal as refusal:
            answer = refusal.answer
        if fault == "500 after commit":
            return Answer(500, {"error": "InternalError"})
        answer.fate = fault
        return answer

    def _route(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        user = self.user(headers)
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix("/api/v2/").removesuffix(".json")
        self.requests.append((method, path))
        number = re.fullmatch(r"tickets/(\d+)", path)
        if method == "POST" and path == "tickets":
            return self._create(user, headers.get("idempotency-key"), body)
        if method == "PUT" and number:
            return self._change(user, number[1], _ticket(body))
        if method == "DELETE" and number:
            return self._delete(number[1])
        with self._lock:
            if method == "GET" and number:
                return Answer(200, {"ticket": self._find(number[1])})
            if method == "GET" and (listed := re.fullmatch(r"tickets/(\d+)/comments", path)):
                return self._comments(listed[1], query)
            reader = {
                "tickets": self._list,
                "tickets/show_many": lambda query: self._show_many("ticket", "tickets", query),
                "users/show_many": lambda query: self._show_many("user", "users", query),
                "users/me": lambda _: Answer(200, {"user": user}),
                "incremental/ticket_events": self._export,
            }.get(path)
            if method == "GET" and reader:
                return reader(query)
        raise Refusal(404, "InvalidEndpoint", "Not found")

    def user(self, headers: dict[str, str]) -> dict[str, Any]:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        try:
            name, _, word = b64decode(given).decode().partition(":") if scheme == "Basic" else ("", "", "")
        except ValueError:
            name, word = "", ""
        if scheme == "Bearer" and given == self._token:
            return dict(self._state["user"][str(FIRST_USER)])
        for user in self._state["user"].values():
            if name == f"{user['email']}/token" and word == self._token:
                return dict(user)
        raise Refusal(401, "Couldn't authenticate you")

    def _find(self, number: str) -> dict[str, Any]:
        found = self._state["ticket"].get(number)
        if found is None or found["status"] == "deleted":
            raise Refusal(404, "RecordNotFound", "Not found")
        return dict(found)

    def _list(self, query: dict[str, str]) -> Answer:
        numbers = self._by_external.get(query["external_id"], []) if "external_id" in query else self._state["ticket"]
        found = [self._state["ticket"][number] for number in numbers]
        hidden = {str(number) for number in self._setting.get("archived", ())}  # left out of lists, shown by number
        rows = [row for row in found if row["status"] != "deleted" and str(row["id"]) not in hidden][:100]
        return Answer(200, {"tickets": rows, "next_page": None, "previous_page": None, "count": len(rows)})

    def _show_many(self, kind: str, name: str, query: dict[str, str]) -> Answer:
        wanted = query.get("ids", "").split(",")[:100]
        return Answer(200, {name: [self._state[kind][one] for one in wanted if one in self._state[kind]]})

    def _comments(self, number: str, query: dict[str, str]) -> Answer:
        self._find(number)
        rows = self.comments(number)
        if query.get("sort") == "-created_at":
            rows.reverse()
        size, start = min(100, int(query.get("page[size]", "100"))), int(query.get("page[after]", "0"))
        more = len(rows) > start + size
        link = f"{self.base_url}/api/v2/tickets/{number}/comments.json"
        page = f"page%5Bafter%5D={start + size}&page%5Bsize%5D={size}&sort={query.get('sort', 'created_at')}"
        following = f"{link}?{page}" if more else None
        return Answer(
            200,
            {
                "comments": rows[start : start + size],
                "meta": {"has_more": more, "after_cursor": str(start + size) if more else None},
                "links": {"next": following, "prev": None},
            },
        )

    def _create(self, user: dict[str, Any], key: str | None, body: bytes) -> Answer:
        digest = hashlib.sha256(body).hexdigest()
        with self._lock:
            known = self._state["key"].get(key) if key else None
            if key and key in self._in_flight:
                raise Refusal(409, "IdempotentRequestInProgress", "A request with this idempotency key is in progress")
            if known and self.now() - known["at"] < KEY_LIFE:
                if known["digest"] != digest:
                    said = "Request parameters don't match the given idempotency key"
                    raise Refusal(400, "IdempotentRequestError", said)
                return Answer(201, known["answer"], {"x-idempotency-lookup": "hit"})
            if key:
                self._in_flight.add(key)
        try:
            if self.latency:
                time.sleep(self.latency)
            with self._lock:
                return self._created(user, key, digest, _ticket(body))
        finally:
            with self._lock:
                self._in_flight.discard(key or "")

    def _created(self, user: dict[str, Any], key: str | None, digest: str, given: dict[str, Any]) -> Answer:
        if not isinstance(given.get("comment"), dict) or not str(given["comment"].get("body", "")).strip():
            raise Refusal(422, "RecordInvalid", "Record validation errors")
        number, stamp = self._number(), self._stamp()
        ticket = {
            "id": number,
            "url": f"{self.base_url}/api/v2/tickets/{number}.json",
            "external_id": given.get("external_id"),
            "subject": given.get("subject") or str(given["comment"]["body"])[:100],
            "description": given["comment"]["body"],
            "status": given.get("status", "new"),
            "priority": given.get("priority"),
            "tags": given.get("tags", []),
            "requester_id": given.get("requester_id", user["id"]),
            "submitter_id": user["id"],
            "assignee_id": given.get("assignee_id"),
            "created_at": stamp,
            "updated_at": stamp,
        }
        source = self._state["ticket"].get(str(given.get("via_followup_source_id")))
        if source is not None and source["status"] == "closed":  # of others it has no effect
            ticket["tags"] = given.get("tags", source["tags"])
            ticket["via"] = {
                "channel": "web_service",
                "source": {"from": {"ticket_id": source["id"]}, "rel": "follow_up"},
            }
        comment = self._comment(user, given["comment"])
        changed = [{"id": self._number(), "type": "Create", "event_type": "Create", "status": ticket["status"]}]
        audit = self._audit(user, ticket, [_child(comment), *changed])
        body = {"ticket": ticket, "audit": {"id": audit["id"], "events": audit["child_events"]}}
        changes = [
            ["ticket", str(number), ticket],
            ["comments", str(number), comment],
            ["audit", str(audit["id"]), audit],
        ]
        if key:
            changes.append(["key", key, {"digest": digest, "at": self.now(), "answer": body}])
        events = [
            self._event("ticket.created", user, ticket, {}),
            self._event("ticket.comment_added", user, ticket, {"comment": self._shown(comment)}),
        ]
        self._commit(*changes, *self._out(events))
        return Answer(201, body, {"x-idempotency-lookup": "miss"} if key else {})

    def _change(self, user: dict[str, Any], number: str, given: dict[str, Any]) -> Answer:
        with self._lock:
            before = self._find(number)
            if given.get("safe_update") and given.get("updated_stamp") != before["updated_at"]:
                raise Refusal(409, "UpdateConflict", "Safe Update prevented the update due to outdated ticket data.")
            if before["status"] == "closed":
                raise Refusal(422, "RecordInvalid", "Status: closed prevents ticket update")
            if "status" in given and given["status"] not in STATUSES:
                raise Refusal(422, "RecordInvalid", "Status is invalid")
            fields = {
                name: given[name] for name in ("status", "subject", "assignee_id", "priority", "tags") if name in given
            }
            after = {**before, **fields, "updated_at": self._stamp()}
            if after["status"] == "solved" and after["assignee_id"] is None:
                raise Refusal(422, "RecordInvalid", "Assignee: is required when solving a ticket")
            children, changes, events = [], [["ticket", number, after]], []
            if isinstance(given.get("comment"), dict):
                comment = self._comment(user, given["comment"])
                children.append(_child(comment))
                changes.append(["comments", number, comment])
                shown = {"comment": self._shown(comment)}
                events.append(self._event("ticket.comment_added", user, after, shown))
            if after["status"] != before["status"]:
                was, now = before["status"], after["status"]
                child = {"id": self._number(), "type": "Change", "event_type": "Change", "field_name": "status"}
                children.append({**child, "status": now, "value": now, "previous_value": was})
                moved = {"previous": was.upper(), "current": now.upper()}
                events.append(self._event("ticket.status_changed", user, after, moved))
            audit = self._audit(user, after, children)
            self._commit(*changes, ["audit", str(audit["id"]), audit], *self._out(events))
            return Answer(200, {"ticket": after, "audit": {"id": audit["id"], "events": children}})

    def _delete(self, number: str) -> Answer:
        with self._lock:
            self._commit(["ticket", number, {**self._find(number), "status": "deleted"}])
        return Answer(204, None)

    def _export(self, query: dict[str, str]) -> Answer:
        start = int(query.get("start_time", "0"))
        if start > self.now() - 60:
            raise Refusal(400, "InvalidStartTime", "Too recent start_time. Use a start_time older than 60 seconds")
        rows = sorted(self._state["audit"].values(), key=lambda audit: (audit["timestamp"], audit["id"]))
        rows = [row for row in rows if row["timestamp"] >= start]
        size = int(self._setting.get("export_size", 1000))
        last = rows[size - 1]["timestamp"] if len(rows) > size else None
        shown = [row for row in rows if last is None or row["timestamp"] <= last]
        end = shown[-1]["timestamp"] if shown else start
        following = f"{self.base_url}/api/v2/incremental/ticket_events.json?start_time={end}"
        body = {"ticket_events": shown, "count": len(shown), "end_time": end, "next_page": following}
        return Answer(200, {**body, "end_of_stream": len(shown) == len(rows)})

    # --- what things look like ---

    def _comment(self, user: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        author = int(given.get("author_id", user["id"]))
        said = {"id": self._number(), "type": "Comment", "author_id": author, "body": given.get("body", "")}
        return {**said, "public": bool(given.get("public", True)), "created_at": self._stamp()}

    def _audit(self, user: dict[str, Any], ticket: dict[str, Any], children: list[dict[str, Any]]) -> dict[str, Any]:
        made = {"id": self._number(), "ticket_id": ticket["id"], "updater_id": user["id"], "event_type": "Audit"}
        return {**made, "timestamp": int(self.now()), "created_at": self._stamp(), "child_events": children}

    def _shown(self, comment: dict[str, Any]) -> dict[str, Any]:
        user = self._state["user"].get(str(comment["author_id"]), {})
        author = {"id": str(comment["author_id"]), "is_staff": user.get("role") in {"agent", "admin"}}
        said = {"id": str(comment["id"]), "body": comment["body"], "is_public": comment["public"]}
        return {**said, "author": {**author, "name": user.get("name", "")}}

    def _event(self, name: str, user: dict[str, Any], ticket: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        detail: dict[str, Any] = {
            name: None if ticket[name] is None else str(ticket[name])
            for name in ("id", "external_id", "subject", "assignee_id", "requester_id", "submitter_id")
        }
        detail.update(
            actor_id=str(user["id"]),
            status=ticket["status"].upper(),
            created_at=ticket["created_at"],
            updated_at=ticket["updated_at"],
            tags=ticket["tags"],
            via={"channel": "web_service"},
        )
        return {
            "account_id": 12345,
            "id": str(uuid.uuid4()),
            "type": f"zen:event-type:{name}",
            "subject": f"zen:ticket:{ticket['id']}",
            "time": self._stamp().replace("Z", ".000000000Z"),
            "zendesk_event_version": "2022-11-06",
            "detail": detail,
            "event": event,
        }

    def _out(self, events: list[dict[str, Any]]) -> list[list[Any]]:
        """Events on their way to the webhook, kept with what they tell of; none where there is no webhook."""
        return [["out", event["id"], event] for event in events] if self._setting.get("webhook") else []


def _child(comment: dict[str, Any]) -> dict[str, Any]:
    return {**comment, "event_type": "Comment"}


def _ticket(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)["ticket"]
    except (ValueError, KeyError, TypeError):
        raise Refusal(400, "RequestError", "Unprocessable JSON") from None
    if not isinstance(given, dict):
        raise Refusal(400, "RequestError", "Unprocessable JSON")
    return given
