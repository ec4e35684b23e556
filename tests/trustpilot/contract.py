"""What the contract needs to know of Trustpilot."""

from __future__ import annotations

import json

from tests.contract.registered import Given


def _many(count: int) -> bytes:
    reviews = [
        {
            "id": f"5f0c6d2a86dd2a0a7b{number:06x}",
            "consumer": {"id": f"5f0c6d2a00006400{number:08x}", "displayName": "Ines"},
            "stars": 1,
            "title": "Kalt",
            "text": "Still cold here ☹",
            "createdAt": "2026-11-18T07:12:03Z",
        }
        for number in range(count)
    ]
    return json.dumps({"reviews": reviews}).encode()


GIVEN = Given(
    settings={"BusinessUnit": "46d6a890000064000500e0c3"},
    credentials={
        "client_id": "app",
        "client_secret": "invented",
        "business_user": "507f191e810c19729de860ea",
        "access_token": "invented",
        "expires_at": 4_000_000_000_000,
    },
    placed=True,
    many=_many,
    quiet={"reviews": []},
)
