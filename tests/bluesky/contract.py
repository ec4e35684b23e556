"""What the contract needs to know of Bluesky."""

from __future__ import annotations

import json

from connectors.bluesky.account import record_key
from tests.contract.registered import Given

DID, HANDLE = "did:plc:acmeacmeacmeacmeacme2345", "acme.example"


def _many(count: int) -> bytes:
    author = {"did": "did:plc:inesbrandtinesbrandt2345", "handle": "ines.example"}
    posts = [
        {
            "uri": f"at://{author['did']}/app.bsky.feed.post/3lq2{number}",
            "author": author,
            "reason": "mention",
            "record": {"$type": "app.bsky.feed.post", "text": "still cold", "createdAt": "2026-11-19T08:00:00.000Z"},
            "indexedAt": "2026-11-19T08:00:00.000Z",
        }
        for number in range(count)
    ]
    return json.dumps({"notifications": posts}).encode()


GIVEN = Given(
    settings={"Account": [HANDLE, DID], "Search": "acme kettle"},
    credentials={
        "identifier": HANDLE,
        "app_password": "invented-password",
        "access_token": "invented",
        "did": DID,
        "expires_at": 2**52,
    },
    accounts=(HANDLE, DID),
    many=_many,
    sought={"posts": [{"uri": "at://did:plc:inesbrandtinesbrandt2345/app.bsky.feed.post/3lq2", "cid": "bafy"}]},
    key=record_key,
    quiet={"notifications": [], "feed": [], "posts": []},
)
