"""Clients of AWS for the workers, with time limits that fit into a worker's own."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

_LIMITS = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})


def make(service: str) -> Any:
    """A client. It gives up after seconds, not after the minute that is the SDK's default: the message comes again."""
    return boto3.client(service, config=_LIMITS)  # type: ignore[call-overload]
