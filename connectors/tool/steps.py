"""Progress on the terminal: each step as it ends, with its time, and what is still going on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


class Steps:
    """Names steps that run, also several at once from several threads. Without a console it says nothing."""

    def __init__(self, console: Console | None = None) -> None:
        self._console, self._lock = console, threading.Lock()
        self._running: list[str] = []
        self._status = console.status("") if console and console.is_terminal else None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step; says how long it took, or that it failed."""
        begun = time.monotonic()
        self._enter(name)
        try:
            yield
        except BaseException:
            self._leave(name, f"[red]✗[/] {name}")
            raise
        self._leave(name, f"[green]✓[/] {name} [dim]{time.monotonic() - begun:.1f} s[/]")

    def say(self, line: str) -> None:
        """A line of its own, in rich's markup."""
        if self._console:
            self._console.print(line, highlight=False)

    def _enter(self, name: str) -> None:
        with self._lock:
            self._running.append(name)
            self._show()

    def _leave(self, name: str, line: str) -> None:
        with self._lock:
            self._running.remove(name)
            self.say(line)
            self._show()

    def _show(self) -> None:
        if self._status is None:
            return
        if self._running:
            self._status.update(", ".join(self._running))
            self._status.start()
        else:
            self._status.stop()
