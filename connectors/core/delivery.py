"""What arrives at the front door, before anything knows what it means.

Standard library only: `receive_webhook` imports this module, and its cold start is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names are lower case; `body` is the raw bytes, as signed by the vendor. `url` is the
    public address with its query, as the vendor called it; "" where it is not known."""

    method: str
    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A verified request on its way to a connector's `parse`.

    `headers` holds only those that the connector's door keeps, lower case. `received_at` is in milliseconds since
    the epoch, by our clock.
    """

    headers: Mapping[str, str]
    body: bytes
    received_at: int = 0
