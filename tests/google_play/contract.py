"""What the contract needs to know of Google Play."""

from __future__ import annotations

import json

from tests.contract.registered import Given


def _many(count: int) -> bytes:
    reviews = [
        {
            "reviewId": f"gp:{number}",
            "authorName": "Ines",
            "comments": [
                {
                    "userComment": {
                        "text": "Kalt\tStill cold here ☹",
                        "lastModified": {"seconds": str(1_794_989_523 + number)},
                        "starRating": 1,
                    }
                }
            ],
        }
        for number in range(count)
    ]
    return json.dumps({"reviews": reviews}).encode()


GIVEN = Given(
    settings={"App": "example.acme.heating"},
    credentials={
        "client_email": "hailback@acme.iam.example",
        "private_key": "invented",
        "access_token": "invented",
        "expires_at": 4_000_000_000_000,
    },
    placed=True,
    many=_many,
    quiet={"reviews": []},
)
