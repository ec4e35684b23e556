"""What the contract needs to know of Twilio."""

from __future__ import annotations

import json

from tests.contract.registered import Given

ACCOUNT = f"AC{'0a1b' * 8}"
OURS = "+4930901820"


def _many(count: int) -> bytes:
    name = "com.twilio.messaging.inbound-message.received"
    events = [
        {"type": name, "data": {"messageSid": f"SM{number:032x}", "body": "Hello", "from": "+491701234567", "to": OURS}}
        for number in range(count)
    ]
    return json.dumps(events).encode()


GIVEN = Given(
    settings={"AccountSid": ACCOUNT, "Account": OURS},
    credentials={"api_key": "SK0000", "api_secret": "invented"},
    accounts=(OURS, "system"),
    many=_many,
    quiet={"messages": [], "calls": [], "transcriptions": []},
    sought={"sid": f"SM{1:032x}", "from": "+491701234567", "to": OURS},
)
