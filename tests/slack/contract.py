"""What the contract needs to know of Slack."""

from __future__ import annotations

import json

from tests.contract.registered import Given

TEAM, CHANNEL, OURS = "T0ACME001", "C0SUPPORT", "U0HAILBCK"


def _many(count: int) -> bytes:
    said = [
        {"type": "message", "user": "U0INES001", "text": f"kettle <@{OURS}> {one}", "ts": f"1795340523.{one:06d}"}
        for one in range(count)
    ]
    return json.dumps({"ok": True, "channel": CHANNEL, "messages": said, "has_more": False}).encode()


GIVEN = Given(
    settings={"Team": TEAM, "Channels": [CHANNEL]},
    credentials={"bot_token": "invented"},
    accounts=(OURS, "B0HAILBCK"),
    many=_many,
    quiet={"ok": True, "messages": [], "has_more": False},
)
