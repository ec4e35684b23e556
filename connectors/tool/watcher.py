"""Watches, while the demo delivers, what the outside world gets to see: tickets, their notes, notifications.

Times are when it was seen, so they are late by up to a look's interval, never early.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from connectors.tool.evidence import mentions
from connectors.tool.tickets import Ticket, TrackerError

if TYPE_CHECKING:
    from connectors.tool.local import Notification, RunningStack

_INTERVAL = 0.2


class Watcher:
    """Looks again and again, in a thread of its own. `say` is told each thing that is new."""

    def __init__(self, stack: RunningStack, say: Callable[[str], None]) -> None:
        self._stack, self._say = stack, say
        self.posts: list[str] = []
        """Whose notes are looked for; the demo adds to it."""
        self.tickets: list[Ticket] = []
        self.noted: dict[str, float] = {}
        """When a post's note was first seen, on the monotonic clock."""
        self.heard: dict[str, list[tuple[float, Notification]]] = defaultdict(list)
        """What was heard about each case, and when."""
        self._seen: set[str] = set()
        self._ended, self._one = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """One look. A tracker that does not answer is looked at again later."""
        with self._one:
            self._look()

    def _look(self) -> None:
        for one in self._stack.notifications():
            case = str(one.message.get("case"))
            self.heard[case].append((time.monotonic(), one))
            self._say(f"{one.topic.rsplit(':', 1)[1]} was told: {one.subject}")
        try:
            self.tickets = self._stack.tickets.all()
        except TrackerError:
            return
        for ticket in self.tickets:
            if ticket.id not in self._seen:
                self._seen.add(ticket.id)
                self._say(f"{ticket.id} opened: {ticket.title}")
            for note, text in ticket.notes.items():
                self._note(ticket, note, text)

    def _note(self, ticket: Ticket, note: str, text: str) -> None:
        brought = [post for post in list(self.posts) if mentions(text, post)]
        for post in brought:
            self.noted.setdefault(post, time.monotonic())
        if brought and note not in self._seen:
            self._seen.add(note)
            self._say(f"{note} on {ticket.id} brings {', '.join(brought)}")

    def _watch(self) -> None:
        while not self._ended.wait(_INTERVAL):
            self.look()
