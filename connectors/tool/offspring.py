"""The processes that this one started, and theirs: ended by id when a start is broken off."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

_PATIENCE = 20.0


def offspring() -> set[int]:
    """Process ids of all descendants that are alive."""
    with subprocess.Popen(["ps", "-eo", "pid=,ppid="], stdout=subprocess.PIPE, text=True) as listing:
        lines = listing.communicate()[0].splitlines()
    children: dict[int, list[int]] = {}
    for line in lines:
        pid, parent = map(int, line.split())
        if pid != listing.pid:
            children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    queue = [os.getpid()]
    while queue:
        for pid in children.get(queue.pop(), []):
            if pid not in found:
                found.add(pid)
                queue.append(pid)
    return found


def end_since(before: set[int], until: Callable[[], bool]) -> None:
    """End descendants that were not there `before`, again and again (an installer may try another way) `until` the
    threads that wait for them are through. After half the patience they are killed."""
    begun = time.monotonic()
    while not until() and time.monotonic() - begun < _PATIENCE:
        number = signal.SIGTERM if time.monotonic() - begun < _PATIENCE / 2 else signal.SIGKILL
        for pid in offspring() - before:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        time.sleep(0.1)
