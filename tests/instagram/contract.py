"""What the contract needs to know of Instagram."""

from __future__ import annotations

import json

from tests.contract.registered import Given

ACCOUNT = "17841400000000042"


def _many(count: int) -> bytes:
    """Up to a thousand changes come in one delivery."""
    changes = [
        {
            "field": "comments",
            "value": {
                "from": {"id": f"64{number}", "username": f"ines{number}"},
                "media": {"id": "17900000000000001", "media_product_type": "FEED"},
                "id": f"1787{number}",
                "text": "Still cold here ☹",
            },
        }
        for number in range(count)
    ]
    entry = {"id": ACCOUNT, "time": 1_795_075_441, "changes": changes}
    return json.dumps({"object": "instagram", "entry": [entry]}).encode()


GIVEN = Given(
    settings={"Account": [ACCOUNT, "acme.heating"], "ApiUrl": "https://graph.facebook.com/v25.0"},
    credentials={"access_token": "invented"},
    accounts=(ACCOUNT, "acme.heating"),
    many=_many,
    quiet={"data": [], "id": ACCOUNT, "username": "acme.heating"},
)
