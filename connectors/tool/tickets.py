"""Reads tickets back from a Roundup tracker over its REST interface, to show what really stands there.

Not the connector: it shares none of its code, so that a fault there cannot hide itself here.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import urllib3


class TrackerError(RuntimeError):
    """The tracker does not answer as it should; one sentence."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """An issue with its notes' texts by id. `key` is what Hailback knows it by."""

    id: str
    title: str
    key: str | None
    conversation_url: str | None
    url: str
    notes: dict[str, str]


class Tickets:
    """One tracker, read as one of its accounts. `base_url` ends in a slash."""

    def __init__(self, base_url: str, username: str, password: str) -> None:
        self.base_url = base_url
        pair = b64encode(f"{username}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {pair}", "X-Requested-With": "rest"}
        self._pool = urllib3.PoolManager(retries=False, timeout=10.0)
        self._texts: dict[str, str] = {}

    def all(self) -> list[Ticket]:
        """Every ticket that is not retired, oldest first. Raises TrackerError."""
        rows = self._rows("issue?@fields=title,external_id,conversation_url,messages&@verbose=0")
        wanted = {str(note) for row in rows for note in row.get("messages") or ()}
        if wanted - self._texts.keys():  # a note is never changed once written
            for note in self._rows("msg?@fields=content&@verbose=3"):
                self._texts[str(note["id"])] = note.get("content") or ""
        return [
            Ticket(
                id=f"issue{row['id']}",
                title=row.get("title") or "",
                key=row.get("external_id"),
                conversation_url=row.get("conversation_url"),
                url=f"{self.base_url}issue{row['id']}",
                notes={f"msg{note}": self._texts.get(str(note), "") for note in row.get("messages") or ()},
            )
            for row in sorted(rows, key=lambda row: int(row["id"]))
        ]

    def note_texts(self) -> list[str]:
        """The text of every note there is, on a ticket or not. Raises TrackerError."""
        return [row.get("content") or "" for row in self._rows("msg?@fields=content&@verbose=3")]

    def _rows(self, path: str) -> list[dict[str, Any]]:
        try:
            answer = self._pool.request("GET", f"{self.base_url}rest/data/{path}", headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            raise TrackerError(f"the tracker at {self.base_url} does not answer") from error
        if answer.status != 200:
            raise TrackerError(f"the tracker at {self.base_url} answers {answer.status}")
        rows: list[dict[str, Any]] = json.loads(answer.data)["data"]["collection"]
        return rows
