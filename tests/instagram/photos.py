"""Instagram's API as far as it is called, with state: our posts, comments, what mentions or tags us elsewhere.

Fields that a kind of object does not have are refused as Meta refuses them:
https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from datetime import UTC, datetime
from typing import Any

from tests.standin import Answer, Call

ME, NAME, TOKEN, SECRET = "17841400000000042", "acme.heating", "invented", "app secret"
COMMENT = {
    "from",
    "hidden",
    "id",
    "like_count",
    "media",
    "parent_id",
    "replies",
    "text",
    "timestamp",
    "user",
    "username",
}
MEDIA = {"caption", "comments", "comments_count", "id", "like_count", "media_type", "media_url", "owner", "permalink"}
MEDIA |= {"shortcode", "timestamp", "username"}
USER = {"id", "username", "name", "mentioned_comment", "mentioned_media"}


def refusal(code: int, subcode: int = 0) -> Answer:
    return (
        400,
        {"error": {"message": "SECRET WORDS", "type": "OAuthException", "code": code, "error_subcode": subcode}},
        {},
    )


GONE = refusal(100, 33)


class _RefusedError(Exception):
    pass


class Photos:
    """`lose`: the next write is done and its answer lost. `refuse`: what every call is answered. `others`: ids that are
    seen by way of a mention only; `tagged`: those by way of the tags only. `unseen`: not even we are. `closed`: the app
    lost its access: only what we said ourselves is seen."""

    def __init__(self) -> None:
        self.things: dict[str, dict[str, Any]] = {}
        self.others: set[str] = set()
        self.tagged: set[str] = set()
        self.lose = self.unseen = self.closed = self.proof = False
        self.refuse: Answer | None = None
        self.headers: dict[str, str] = {}
        self.asked: list[Call] = []
        self.page = 2

    def post(self, who: str = NAME, text: str = "Winter", ago: float = 60) -> str:
        name = f"1790{len(self.things):013d}"
        made = {"id": name, "caption": text, "username": who, "permalink": f"https://www.instagram.com/p/{name}/"}
        self.things[name] = {**made, "timestamp": _stamp(ago), "media_type": "IMAGE", "like_count": 1}
        return name

    def say(self, who: str, text: str, post: str, parent: str | None = None, ago: float = 30) -> str:
        name = f"1787{len(self.things):013d}"
        made = {"id": name, "text": text, "username": who, "timestamp": _stamp(ago), "hidden": False, "like_count": 0}
        made |= {"from": {"id": ME if who == NAME else f"64{len(who)}", "username": who}}
        self.things[name] = {**made, "media": {"id": post}, "parent_id": parent}
        return name

    def answer(self, call: Call) -> Answer:
        self.asked.append(call)
        if self.refuse:
            return self.refuse
        if call.path == "/refresh_access_token":
            fits = call.query == {"grant_type": "ig_refresh_token", "access_token": TOKEN}
            return (
                (200, {"access_token": "fresh", "token_type": "bearer", "expires_in": 5_183_944}, {}) if fits else GONE
            )
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return refusal(190)
        proof = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
        if self.proof and call.query.get("appsecret_proof") != proof:
            return refusal(100)
        try:
            status, said, more = self._write(call) if call.method == "POST" else self._read(call)
        except _RefusedError:
            return refusal(100)
        return status, said, {**self.headers, **more}

    def _read(self, call: Call) -> Answer:
        _, version, *way = call.path.split("/")
        assert version == "v25.0"
        fields = _fields(call.query.get("fields", "id"))
        if "ids" in call.query:
            names = call.query["ids"].split(",")
            if any(self._hidden(name) for name in names):
                return refusal(803)
            return 200, {name: self._shown(self.things[name], fields) for name in names}, {}
        name, edge = way[0], way[1] if len(way) > 1 else None
        if name == ME:
            return GONE if self.unseen else self._of_us(edge, fields, call)
        if self.unseen or self._hidden(name):
            return GONE
        if edge == "replies":
            below = [one for one in self._newest() if one.get("parent_id") == name]
            return self._listed(call, [self._shown(one, fields) for one in below])
        return 200, self._shown(self.things[name], fields), {}

    def _of_us(self, edge: str | None, fields: dict[str, Any], call: Call) -> Answer:
        if edge is None:
            _known(fields, USER)
            said: dict[str, Any] = {"id": ME, "username": NAME}
            for kind in ("comment", "media"):
                if asked := fields.get(f"mentioned_{kind}"):
                    found = self.things.get(asked["of"]) if asked["of"] in self.others and not self.closed else None
                    if found is None or ("text" in found) != (kind == "comment"):
                        return GONE
                    said[f"mentioned_{kind}"] = self._shown(found, asked["fields"])
            return 200, said, {}
        ours = [one for one in self._newest() if "caption" in one and one["id"] not in self.others | self.tagged]
        shown = [self.things[name] for name in self.tagged] if edge == "tags" else ours
        return self._listed(call, [self._shown(one, fields) for one in shown])

    def _write(self, call: Call) -> Answer:
        name, edge = call.path.split("/")[2:]
        form = call.form()
        if edge == "replies":
            if self._hidden(name):
                return GONE
            above = self.things[name]
            made = self.say(NAME, form["message"], above["media"]["id"], above["parent_id"] or name, ago=0)
        elif form.get("comment_id", form["media_id"]) not in self.others:
            return refusal(100)
        else:
            made = self.say(NAME, form["message"], form["media_id"], form.get("comment_id"), ago=0)
            self.others.add(made)
        if self.lose:
            self.lose = False
            return 200, None, {}
        return 200, {"id": made}, {}

    def _hidden(self, name: str) -> bool:
        return name not in self.things or name in self.others | self.tagged or self._shut(self.things[name])

    def _shut(self, one: dict[str, Any]) -> bool:
        return self.closed and one["username"] != NAME

    def _newest(self) -> list[dict[str, Any]]:
        return sorted(self.things.values(), key=lambda one: str(one["timestamp"]), reverse=True)

    def _shown(self, one: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        _known(fields, MEDIA if "caption" in one else COMMENT)
        said = {name: one[name] for name in {"id", *fields} if one.get(name) is not None}
        for edge, key in (("comments", "media"), ("replies", "parent_id")):
            if edge in fields:
                below = [
                    self._shown(other, fields[edge]["fields"])
                    for other in self._newest()
                    if not self._shut(other)
                    and (
                        other.get(key) == one["id"] or (other.get(key) == {"id": one["id"]} and not other["parent_id"])
                    )
                ]
                said |= {edge: {"data": below}} if below else {}
        return said

    def _listed(self, call: Call, found: list[Any]) -> Answer:
        start = int(call.query.get("after", "0"))
        cursors = {"before": str(start), "after": str(start + self.page)}
        page = found[start : start + self.page]
        return 200, {"data": page, **({"paging": {"cursors": cursors}} if page else {})}, {}


def _stamp(ago: float) -> str:
    return datetime.fromtimestamp(time.time() - ago, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _known(fields: dict[str, Any], allowed: set[str]) -> None:
    if not set(fields) <= allowed:
        raise _RefusedError


def _fields(text: str) -> dict[str, Any]:
    """`a,b.limit(2){c},d.x_id(7){e}` by its names; `of`: the argument."""
    found: dict[str, Any] = {}
    while text:
        match = re.match(r"(\w+)(?:\.\w+\((\w+)\))?(\{)?", text)
        assert match, text
        name, of, opened = match.groups()
        end = match.end()
        if opened:
            depth = 1
            while depth:
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
        inner = _fields(text[match.end() : end - 1]) if opened else {}
        found[name] = {"of": of, "fields": inner}
        assert text[end : end + 1] in {"", ","}, text
        text = text[end + 1 :]
    return found
