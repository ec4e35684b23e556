"""What the contract needs to know of YouTube."""

from __future__ import annotations

import json

from tests.contract.registered import Given

CHANNEL = "UCacmeHeatingSupport0001"


def _many(count: int) -> bytes:
    items = [
        {
            "kind": "youtube#comment",
            "id": f"Ugx{number}AaABAg",
            "snippet": {
                "authorDisplayName": "@ines",
                "authorChannelId": {"value": f"UCines{number}"},
                "textOriginal": "Still cold here ☹",
                "videoId": "kEtTl3V1dE0",
                "publishedAt": "2026-11-18T07:12:03Z",
                "updatedAt": "2026-11-18T07:12:03Z",
            },
        }
        for number in range(count)
    ]
    return json.dumps({"kind": "youtube#commentListResponse", "items": items}).encode()


GIVEN = Given(
    settings={"Account": CHANNEL},
    credentials={
        "client_id": "hailback.apps.example",
        "client_secret": "invented",
        "refresh_token": "invented",
        "access_token": "invented",
        "expires_at": 4_000_000_000_000,
    },
    accounts=(CHANNEL,),
    many=_many,
    quiet={"kind": "youtube#commentThreadListResponse", "items": []},
)
