"""Waiting for a condition instead of sleeping for a while."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float, what: str, every: float = 0.3) -> None:
    """Returns when the condition holds; fails, saying what was waited for, when it does not within `seconds`."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(every)
