"""Threads' API as far as it is called, with state: posts, replies, containers.

Each edge takes the fields that are documented for it: https://developers.facebook.com/docs/threads/reference
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from tests.standin import Answer, Call

ME, NAME, TOKEN = "26000000000000042", "acme.heating", "invented"
_MEDIA = {
    "id",
    "media_product_type",
    "media_type",
    "media_url",
    "permalink",
    "username",
    "text",
    "timestamp",
    "shortcode",
}
_MEDIA |= {"thumbnail_url", "children", "is_quote_post", "has_replies", "quoted_post", "reposted_post", "gif_url"}
_SEARCH = _MEDIA | {"root_post", "replied_to", "is_reply", "reply_audience", "topic_tag"}
_BELOW = _SEARCH | {"is_reply_owned_by_me", "hide_status"}
FIELDS = {
    "threads": _MEDIA | {"owner", "alt_text", "link_attachment_url", "reply_audience"},
    "replies": _SEARCH | {"is_reply_owned_by_me"},
    "mentions": _BELOW,
    "keyword_search": _SEARCH,
    "below": _BELOW,
    "post": _BELOW | {"owner", "alt_text", "poll_attachment"},
}


def refusal(code: int, subcode: int = 0) -> Answer:
    fault = {"message": "SECRET WORDS", "type": "THApiException", "code": code, "error_subcode": subcode}
    return (500 if code in {1, 2} else 400), {"error": fault}, {}


class Profile:
    """`lose`: the next publications whose answers are lost, `before` they are done or `after`. `late`: looks at a
    container until it is ready. `closed`: no Advanced Access, so that others' posts are not to be seen."""

    def __init__(self) -> None:
        self.posts: dict[str, dict[str, Any]] = {}
        self.containers: dict[str, dict[str, Any]] = {}
        self.lose: list[str] = []
        self.late = 0
        self.closed = False
        self.fate = "FINISHED"
        self.refuse: Answer | None = None
        self.asked: list[Call] = []

    def say(self, who: str, text: str, parent: str | None = None, ago: float = 30, **more: Any) -> str:
        name = f"1800{len(self.posts):013d}"
        at = datetime.fromtimestamp(time.time() - ago, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
        made: dict[str, Any] = {"id": name, "username": who, "text": text, "timestamp": at, "media_type": "TEXT_POST"}
        made |= {"permalink": f"https://www.threads.com/@{who}/post/{name}", "is_reply": parent is not None}
        if parent:
            root = self.posts[parent].get("root_post", {"id": parent}) if parent in self.posts else {"id": parent}
            made |= {"replied_to": {"id": parent}, "root_post": root, "is_reply_owned_by_me": who == NAME}
            made |= {"hide_status": "NOT_HUSHED"}
        self.posts[name] = {**made, **more}
        return name

    def answer(self, call: Call) -> Answer:
        self.asked.append(call)
        if self.refuse:
            return self.refuse
        if call.path == "/refresh_access_token":
            fits = call.query == {"grant_type": "th_refresh_token", "access_token": TOKEN}
            said = {"access_token": "fresh", "token_type": "bearer", "expires_in": 5_183_944}
            return (200, said, {}) if fits else refusal(100, 33)
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return refusal(190)
        _, version, *way = call.path.split("/")
        assert version == "v1.0"
        return self._write(way[1], call.form()) if call.method == "POST" else self._read(way, call)

    def _read(self, way: list[str], call: Call) -> Answer:
        match way:
            case ["me"]:
                return 200, {"id": ME, "username": NAME}, {}
            case ["me", edge]:
                said = [one for one in self._newest() if _of(edge, one)]
                return self._listed(call, said, edge)
            case ["keyword_search"]:
                assert set(call.query) <= {"q", "search_type", "search_mode", "fields", "limit", "after"}
                assert (call.query["search_type"], call.query["search_mode"]) in {
                    ("RECENT", "KEYWORD"),
                    ("RECENT", "TAG"),
                }
                return self._listed(
                    call, [one for one in self._newest() if call.query["q"] in one["text"]], "keyword_search"
                )
            case [name] if name in self.containers:
                self.late -= 1
                held = self.containers[name]
                status = "IN_PROGRESS" if self.late >= 0 else held["status"]
                return 200, {"id": name, "status": status}, {}
            case [name] if not self._hidden(name):
                return self._shown(call, [self.posts[name]], "post")
            case [name, "conversation" | "replies" as edge] if not self._hidden(name):
                above = "root_post" if edge == "conversation" else "replied_to"
                return self._listed(call, [one for one in self._newest() if one.get(above) == {"id": name}], "below")
        return refusal(100, 33)

    def _write(self, edge: str, form: dict[str, str]) -> Answer:
        if edge == "threads":
            assert set(form) == {"media_type", "text", "reply_to_id"}
            if form["reply_to_id"] not in self.posts:
                return refusal(100, 33)
            name = f"1799{len(self.containers):013d}"
            self.containers[name] = {**form, "status": self.fate}
            return 200, {"id": name}, {}
        assert edge == "threads_publish"
        held, lost = self.containers[form["creation_id"]], self.lose.pop(0) if self.lose else None
        if held["status"] != "FINISHED":
            return refusal(100, 2_207_008)
        if lost == "before":
            return 200, None, {}
        held["status"] = "PUBLISHED"
        made = self.say(NAME, held["text"], held["reply_to_id"], ago=0)
        return 200, (None if lost else {"id": made}), {}

    def _hidden(self, name: str) -> bool:
        return name not in self.posts or (self.closed and self.posts[name]["username"] != NAME)

    def _newest(self) -> list[dict[str, Any]]:
        return sorted(self.posts.values(), key=lambda one: str(one["timestamp"]), reverse=True)

    def _listed(self, call: Call, found: list[Any], edge: str) -> Answer:
        since = float(call.query.get("since", 0))
        found = [one for one in found if datetime.fromisoformat(one["timestamp"]).timestamp() >= since]
        start, size = (
            int(call.query.get("after", "0")),
            min(int(call.query.get("limit", "25")), 100 if edge == "below" else 3),
        )
        status, said, more = self._shown(call, found[start : start + size], edge)
        if status != 200:
            return status, said, more
        many = said if isinstance(said, list) else [said]
        paging = {"paging": {"cursors": {"before": "0", "after": str(start + size)}}} if found[start:] else {}
        return 200, {"data": many if found[start:] else [], **paging}, {}

    def _shown(self, call: Call, found: list[Any], edge: str) -> Answer:
        asked = set(call.query.get("fields", "id").split(","))
        if not asked <= FIELDS[edge]:
            return refusal(100)
        below = {one["replied_to"]["id"] for one in self.posts.values() if "replied_to" in one}
        shown = [{**one, "has_replies": one["id"] in below} for one in found]
        said = [{name: one[name] for name in asked | {"id"} if name in one} for one in shown]
        return 200, said[0] if edge == "post" else said, {}


def _of(edge: str, one: dict[str, Any]) -> bool:
    """Whether an edge of ours lists a post."""
    if edge == "mentions":
        return f"@{NAME}" in str(one["text"])
    return bool(one["username"] == NAME and one["is_reply"] == (edge == "replies"))
