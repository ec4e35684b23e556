"""What the contract needs to know of X."""

from __future__ import annotations

import json

from tests.contract.registered import Given

ACCOUNT = "1530000000000000042"


def _many(count: int) -> bytes:
    """The deprecated Account Activity shape, which is a list."""
    posts = [
        {
            "id_str": str(2_109_547_386_106_800_000 + number),
            "created_at": "Mon Oct 12 08:02:10 +0000 2026",
            "text": "@acme_support still cold here",
            "lang": "en",
            "user": {"id_str": "1601000000000000007", "screen_name": "ines_d_home", "followers_count": 12},
            "entities": {"user_mentions": [{"id_str": ACCOUNT, "screen_name": "acme_support"}]},
        }
        for number in range(count)
    ]
    return json.dumps({"for_user_id": ACCOUNT, "tweet_create_events": posts}).encode()


GIVEN = Given(
    settings={"Account": ACCOUNT, "Handle": "acme_support"},
    credentials={
        "api_key": "invented",
        "api_secret": "invented",
        "access_token": "invented",
        "access_token_secret": "invented",
    },
    accounts=(ACCOUNT, "acme_support"),
    many=_many,
    quiet={"meta": {"result_count": 0}},
)
