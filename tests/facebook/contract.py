"""What the contract needs to know of Facebook."""

from __future__ import annotations

import json

from tests.contract.registered import Given

PAGE = "100200300400500"


def _many(count: int) -> bytes:
    """Up to a thousand changes come in one delivery."""
    changes = [
        {
            "field": "feed",
            "value": {
                "item": "comment",
                "verb": "add",
                "comment_id": f"9001_{number}",
                "post_id": f"{PAGE}_9001",
                "parent_id": f"{PAGE}_9001",
                "from": {"id": f"77{number}", "name": "Ines"},
                "message": "Still cold here ☹",
                "created_time": 1_795_075_000 + number,
            },
        }
        for number in range(count)
    ]
    return json.dumps({"object": "page", "entry": [{"id": PAGE, "time": 1_795_075_441, "changes": changes}]}).encode()


GIVEN = Given(
    settings={"Account": PAGE},
    credentials={"page_access_token": "invented"},
    accounts=(PAGE,),
    many=_many,
    quiet={"data": []},
)
