"""All that one walk through a source's lists brings, however many polls it takes."""

from __future__ import annotations

from connectors.core.models import Mention
from connectors.core.ports import Poller


def polled(account: Poller, cursor: str | None) -> tuple[list[Mention], str]:
    """The mentions, and where the next walk begins. Fails on a walk that does not end."""
    found: list[Mention] = []
    for _ in range(20):
        page = account.poll(cursor)
        cursor = page.cursor
        found += [event for event in page.events if isinstance(event, Mention)]
        if page.again > 1:
            return found, cursor
    raise AssertionError("the walk does not end")
