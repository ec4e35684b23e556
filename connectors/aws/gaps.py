"""What a source's webhook missed, counted when a poll has found it and the webhook has had its time.

A post, or an edit, that a poll tells of first is taken in at once and marked (`polled_first`, see `intake`). When the
webhook tells of it as well, the mark goes. Who still carries it after its time was missed; taking the mark away is what
counts it, so it is counted once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from connectors.aws.cases import mention_key
from connectors.aws.cursors import TableCursors
from connectors.aws.inbox import Parcel, of_events
from connectors.aws.table import Table
from connectors.core.errors import ConflictError
from connectors.core.ingest import Ingested, on_trial
from connectors.core.models import AnyEvent, Mention

COMPARE = "hailback-compare"
"""The header of a message of our own to the inbox: these mentions, by id, have had their time."""
HEARD_EVERY = 600.0
"""Seconds between two notes that a source's webhook works, in each process."""
_LONGEST_DELAY = 900
"""Seconds for which SQS delays a message; who set a longer chance gets this one."""


class Gaps:
    """`chance` is in seconds: within that time of a post its webhook should have told of it. `put` queues a message for
    the inbox with a delay in seconds."""

    def __init__(
        self,
        table: Table,
        cursors: TableCursors,
        put: Callable[[dict[str, Any], int], None],
        *,
        chance: float,
        now: Callable[[], int],
    ) -> None:
        self._table, self._cursors, self._put, self._chance, self._now = table, cursors, put, chance, now
        self._heard: dict[str, int] = {}

    def pushed(self, source: str, at: int) -> None:
        """The webhook of a source that is polled too has delivered something (`at` in milliseconds)."""
        if at - self._heard.get(source, 0) >= HEARD_EVERY * 1000:
            self._cursors.heard(source, at)
            self._heard[source] = at

    def polled(self, parcel: Parcel, done: Ingested) -> int:
        """A poll's parcel was taken in: how much of it the webhook has missed for certain. What it may still tell of is
        looked at again later. Should this function end in between, that is not counted."""
        if not done.news:
            return 0
        since, now = self._cursors.pushed_since(parcel.source), self._now()
        news = [(event, taken) for event, taken in done.news if not _unpushed(event)]
        trial = on_trial(news, since, parcel.delivery.received_at, self._chance)
        early = {mention: at for mention, at in trial.items() if at > now}
        if early:
            wait = min(_LONGEST_DELAY, -(-(max(early.values()) - now) // 1000))
            body = json.dumps(sorted(early))
            message = of_events(parcel.source, parcel.connector, body, now)
            self._put({**message, "headers": {COMPARE: "1"}}, wait)
        return self._count(parcel.source, [mention for mention in trial if mention not in early])

    def due(self, parcel: Parcel) -> int:
        """Their time is up: how many of these were missed."""
        return self._count(parcel.source, json.loads(parcel.delivery.body))

    def _count(self, source: str, mentions: Sequence[str]) -> int:
        count = sum(self._unheard(mention) for mention in mentions)
        if count:
            self._cursors.missed(source, count, self._now())
        return count

    def _unheard(self, mention: str) -> bool:
        """Take the mark away; whether it was there. `rev` moves with every write of a mention."""
        try:
            self._table.update(
                *mention_key(mention),
                "SET rev = rev + :one REMOVE polled_first",
                {":one": 1},
                "attribute_exists(polled_first)",
            )
        except ConflictError:
            return False
        return True


def _unpushed(event: AnyEvent) -> bool:
    """What no webhook tells of: somebody's post that does not speak to us, which only a search has found."""
    return isinstance(event, Mention) and event.reply_capability == "summoned_only" and not event.own
