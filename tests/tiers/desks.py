"""What three kinds of systems of record keep, and what they say to a request: one desk per idempotency tier.

No sockets here; `site.py` puts a desk on a port and lets it fail. Times are those of the clock it is given. A write may
take effect *late*: the request is still being worked on after its caller has gone away.
"""

from __future__ import annotations

import json
import re
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.doubles import Clock

KEY_LIFE = 240.0
"""Seconds for which the desk of the middle tier remembers an idempotency key: short, so that keys are outlived."""
KEY_LAG = 130.0
"""Seconds after which the same desk shows the slowest of what was written: while the key is remembered."""
LAG = 150.0
"""Seconds after which the desk without keys shows the slowest of its records."""
MARK = "Hailback key: "


@dataclass
class Note:
    """A comment on a record. It is there from `born` on; a list of comments shows it from `shown` on."""

    id: int
    key: str
    text: str
    born: float
    shown: float


@dataclass
class Row:
    """A record. It is there from `born` on; a search shows it from `shown` on."""

    id: int
    key: str
    title: str
    born: float
    shown: float
    status: str = "open"
    notes: list[Note] = field(default_factory=list)

    def lines(self, what: str) -> list[str]:
        """The values of lines `what: …` in all notes, in order."""
        pattern = re.compile(rf"^{what}: (.*)$", re.MULTILINE)
        return [line for note in self.notes for line in pattern.findall(note.text)]


@dataclass(frozen=True)
class Answer:
    """A status, a JSON body, headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Used:
    """An idempotency key: the bytes that it came with, what was answered, until when it is worked on and remembered."""

    sent: tuple[str, bytes]
    answer: Answer
    until: float
    forgotten: float


class Desk:
    """One system's records. `late` of a request: seconds until what it writes takes effect."""

    safe_503 = False
    """Whether a 503 of this system promises that nothing was written."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows: dict[int, Row] = {}
        self.by_key: dict[str, list[Row]] = defaultdict(list)
        self._lock = threading.Lock()
        self._notes = 0

    def handle(self, method: str, target: str, headers: Mapping[str, str], body: bytes, late: float) -> Answer:
        """Answer one request. Header names are lower case."""
        parts = urlsplit(target)
        way = [part for part in parts.path.split("/") if part]
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self._lock:
            if method == "PATCH" and len(way) == 2:
                return self._patch(way[1], json.loads(body))
            return self._route(method, way, query, headers, body, late)

    def _route(
        self,
        method: str,
        way: list[str],
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        late: float,
    ) -> Answer:
        raise NotImplementedError

    def _lag(self, row: int) -> float:
        """Seconds until a search shows a new record."""
        del row
        return 0.0

    def _note_lag(self, note: int) -> float:
        """Seconds until a list of comments shows a new one."""
        del note
        return 0.0

    def _open(self, key: str, body: bytes, late: float) -> Row:
        number = len(self.rows) + 1
        born = self.clock.seconds + late
        title = str(json.loads(body)["title"])
        row = Row(number, key, title, born, born + self._lag(number))
        self.rows[number] = row
        self.by_key[key].append(row)
        return row

    def _note(self, row: Row, key: str, text: str, late: float) -> Note:
        self._notes += 1
        born = self.clock.seconds + late
        note = Note(self._notes, key, text, born, born + self._note_lag(self._notes))
        row.notes.append(note)
        return note

    def _row(self, number: str) -> Row | None:
        row = self.rows.get(int(number)) if number.isdecimal() else None
        return row if row and row.born <= self.clock.seconds else None

    def _patch(self, number: str, change: Mapping[str, str]) -> Answer:
        row = self._row(number)
        if row is None:
            return Answer(404)
        row.status = change["status"]
        return Answer(200, {"id": row.id, "status": row.status})

    def _shown(self, row: Row) -> dict[str, Any]:
        return {"id": row.id, "external_id": row.key, "title": row.title, "status": row.status}

    def _comments(self, row: Row) -> list[dict[str, Any]]:
        now = self.clock.seconds
        return [{"id": note.id, "text": note.text, "key": note.key} for note in row.notes if note.shown <= now]


class UpsertDesk(Desk):
    """`PUT` by an external key, which is unique: for records, and for notes on a record. While a write of the same key
    is still being worked on, it answers 409 and changes nothing."""

    def _route(
        self,
        method: str,
        way: list[str],
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        late: float,
    ) -> Answer:
        match method, way:
            case "PUT" | "GET", ["by-key", key]:
                return self._record(method, key, body, late)
            case "PUT" | "GET", ["records", number, "notes", key]:
                row = self._row(number)
                return self._one_note(method, row, key, body, late) if row else Answer(404)
        return Answer(405)

    def _record(self, method: str, key: str, body: bytes, late: float) -> Answer:
        kept = next(iter(self.by_key.get(key, ())), None)
        there = kept is not None and kept.born <= self.clock.seconds
        if method == "GET":
            return Answer(200, self._shown(kept)) if kept and there else Answer(404)
        if kept is None:
            return Answer(201, self._shown(self._open(key, body, late)))
        if not there:
            return Answer(409, {"error": "locked: another request for this key is being worked on"})
        kept.title = str(json.loads(body)["title"])
        return Answer(200, self._shown(kept))

    def _one_note(self, method: str, row: Row, key: str, body: bytes, late: float) -> Answer:
        kept = next((note for note in row.notes if note.key == key), None)
        there = kept is not None and kept.born <= self.clock.seconds
        if method == "GET":
            return Answer(200, {"id": kept.id}) if kept and there else Answer(404)
        if kept is None:
            return Answer(201, {"id": self._note(row, key, str(json.loads(body)["text"]), late).id})
        return Answer(200, {"id": kept.id}) if there else Answer(409, {"error": "locked"})


class KeyDesk(Desk):
    """`POST` under an `Idempotency-Key`, remembered for a while with the bytes that came first: the same again gets the
    same answer; 409 while the first is worked on, and for other bytes. External ids can be looked up, for some records
    after a lag, and are *not* unique: once a key is forgotten, the same request makes a second record."""

    safe_503 = True

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._used: dict[str, _Used] = {}
        self.replayed = self.differed = self.forgot = 0

    def _lag(self, row: int) -> float:
        return KEY_LAG if row % 3 == 2 else 0.0

    def _note_lag(self, note: int) -> float:
        return self._lag(note)

    def _route(
        self,
        method: str,
        way: list[str],
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        late: float,
    ) -> Answer:
        match method, way:
            case "GET", ["records"]:
                rows = [row for row in self.by_key.get(query["external_id"], ()) if row.shown <= self.clock.seconds]
                return Answer(200, {"records": [self._shown(row) for row in rows]})
            case "GET", ["records", number, "notes"] if row := self._row(number):
                return Answer(200, {"notes": self._comments(row)})
            case "POST", _:
                return self._once("/".join(way), headers.get("idempotency-key", ""), body, late)
        return Answer(404)

    def _once(self, path: str, key: str, body: bytes, late: float) -> Answer:
        now = self.clock.seconds
        used = self._used.get(key)
        if used is not None and now < used.forgotten:
            if used.sent != (path, body):
                self.differed += 1
                return Answer(409, {"error": "this key was used with another request"})
            if now < used.until:
                return Answer(409, {"error": "the first request under this key is in progress"})
            self.replayed += 1
            return used.answer
        self.forgot += used is not None
        answer = self._write(path, body, late)
        self._used[key] = _Used((path, body), answer, now + late, now + KEY_LIFE)
        return answer

    def _write(self, path: str, body: bytes, late: float) -> Answer:
        said, way = json.loads(body), path.split("/")
        if way == ["records"]:
            return Answer(201, self._shown(self._open(str(said["external_id"]), body, late)))
        row = self._row(way[1]) if len(way) == 3 else None
        return Answer(201, {"id": self._note(row, said["key"], said["text"], late).id}) if row else Answer(404)


class NoneDesk(Desk):
    """Neither: each `POST` writes. All that can be searched for is a mark in the text, and a search shows a new record
    after a lag: a few seconds for most, minutes for some. A record's own notes can be read at once."""

    def _lag(self, row: int) -> float:
        return LAG if row % 3 == 2 else float(row % 15)

    def _route(
        self,
        method: str,
        way: list[str],
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        late: float,
    ) -> Answer:
        match method, way:
            case "GET", ["search"]:
                rows = [row for row in self.by_key.get(query["text"], ()) if row.shown <= self.clock.seconds]
                return Answer(200, {"records": [self._shown(row) for row in rows]})
            case "GET", ["records", number, "notes"] if row := self._row(number):
                return Answer(200, {"notes": [{**one, "key": None} for one in self._comments(row)]})
            case "POST", ["records"]:
                mark = str(json.loads(body)["text"]).rpartition(MARK)[2]
                return Answer(201, self._shown(self._open(mark, body, late)))
            case "POST", ["records", number, "notes"] if row := self._row(number):
                text = str(json.loads(body)["text"])
                return Answer(201, {"id": self._note(row, text.rpartition(MARK)[2], text, late).id})
        return Answer(404)
