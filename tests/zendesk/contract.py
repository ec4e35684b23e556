"""What the contract needs to know of Zendesk."""

from __future__ import annotations

from connectors.core.ports import Reference
from tests.contract.registered import Given

GIVEN = Given(
    settings={"BaseUrl": "https://acme.zendesk.com", "Account": "900001"},
    credentials={"email": "hailback@acme.com", "token": "invented"},
    address="BaseUrl",
    accounts=("900001",),
    authority="acme.zendesk.com",
    quiet={"ticket_events": [], "end_of_stream": True},
    reference=Reference("5158", "https://acme.zendesk.com/agent/tickets/5158"),
)
