"""What the contract needs to know of Reddit."""

from __future__ import annotations

import json

from tests.contract.registered import Given


def _many(count: int) -> bytes:
    things = [
        {
            "kind": "t1",
            "data": {
                "name": f"t1_c{number}",
                "link_id": "t3_1acme01",
                "parent_id": "t3_1acme01",
                "author": f"ines{number}",
                "body": "Still cold here ☹",
                "created_utc": 1_794_990_000.0 + number,
            },
        }
        for number in range(count)
    ]
    return json.dumps({"kind": "Listing", "data": {"after": None, "children": things}}).encode()


GIVEN = Given(
    settings={"Account": "acme_support"},
    credentials={
        "client_id": "app",
        "client_secret": "invented",
        "refresh_token": "invented",
        "access_token": "invented",
        "expires_at": 4_000_000_000_000,
    },
    accounts=("acme_support",),
    many=_many,
    quiet={"kind": "Listing", "data": {"after": None, "children": []}},
)
