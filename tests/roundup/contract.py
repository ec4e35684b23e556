"""What the contract needs to know of Roundup."""

from __future__ import annotations

from connectors.core.ports import Reference
from tests.contract.registered import Given

GIVEN = Given(
    settings={"BaseUrl": "https://tracker.acme.com/support/"},
    credentials={"username": "hailback", "password": "invented"},
    address="BaseUrl",
    quiet={"data": {"collection": []}},
    reference=Reference("issue7", "https://tracker.acme.com/support/issue7"),
)
