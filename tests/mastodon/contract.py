"""What the contract needs to know of Mastodon."""

from __future__ import annotations

import json

from tests.contract.registered import Given

ACCOUNT = "110900000000000042"
HEATING = "https://garten.example/users/ines/statuses/115500000000000101"


def _many(count: int) -> bytes:
    posts = [
        {
            "id": f"{number}",
            "type": "mention",
            "created_at": "2026-11-19T08:00:00.000Z",
            "status": {
                "id": f"{number}",
                "uri": f"https://social.example/users/ines/statuses/{number}",
                "content": "<p>still cold</p>",
                "visibility": "public",
                "account": {"id": "7", "acct": "ines"},
            },
        }
        for number in range(1, count + 1)
    ]
    return json.dumps(posts).encode()


GIVEN = Given(
    settings={"ApiUrl": "https://social.example", "Account": ["acme_support", ACCOUNT]},
    credentials={"access_token": "invented"},
    accounts=(ACCOUNT, "acme_support"),
    many=_many,
    quiet=[],
    sought={"statuses": [{"id": "1", "uri": HEATING, "visibility": "public", "account": {"acct": "ines"}}]},
)
