"""What the template tells the functions. The one place where the workers read the environment.

`receive_webhook` and `configure_stack` need little of it and read that themselves.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.core.ledger import Pace


@dataclass(frozen=True, slots=True)
class Settings:
    """Names of the machine's parts and its waits. A part that a function has no business with is empty."""

    table: str
    bucket: str
    inbox_url: str
    sync_url: str
    notify_url: str
    reply_url: str
    poll_url: str
    undelivered_url: str
    concurrency: int
    text_days: int
    allow_private: bool
    call_seconds: float
    notify_rounds: int
    gap_seconds: float
    pace: Pace

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """From the environment; numbers are checked here so that a wrong one is named."""

        def number(name: str, default: float) -> float:
            text = environment.get(name) or str(default)
            try:
                return float(text)
            except ValueError:
                raise ValueError(f"{name} must be a number, not {text!r}") from None

        backoff = number("BACKOFF_SECONDS", 15)
        pace = Pace(
            doorbell=number("DOORBELL_SECONDS", 60),
            lease=number("LEASE_SECONDS", 65),
            backoff=backoff,
            longest=number("LONGEST_SECONDS", 900),
            trip=int(number("BREAKER_TRIP", 5)),
            open=number("BREAKER_SECONDS", 2 * backoff),
            open_longest=number("BREAKER_LONGEST_SECONDS", 10 * backoff),
            turn=number("TURN_SECONDS", 1),
        )
        return cls(
            table=environment.get("TABLE_NAME", ""),
            bucket=environment.get("BUCKET_NAME", ""),
            inbox_url=environment.get("INBOX_QUEUE_URL", ""),
            sync_url=environment.get("SYNC_QUEUE_URL", ""),
            notify_url=environment.get("NOTIFY_QUEUE_URL", ""),
            reply_url=environment.get("REPLY_QUEUE_URL", ""),
            poll_url=environment.get("POLL_QUEUE_URL", ""),
            undelivered_url=environment.get("UNDELIVERED_QUEUE_URL", ""),
            concurrency=int(number("SYNC_CONCURRENCY", 4)),
            text_days=int(number("TEXT_DAYS", 90)),
            allow_private=environment.get("ALLOW_PRIVATE_SYSTEMS", "false").lower() == "true",
            call_seconds=number("CALL_SECONDS", 20),
            notify_rounds=int(number("NOTIFY_ROUNDS", 12)),
            gap_seconds=number("GAP_SECONDS", 300),
            pace=pace,
        )
