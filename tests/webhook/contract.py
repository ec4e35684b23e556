"""What the contract needs to know of the generic webhook."""

from __future__ import annotations

import json

from tests.contract.registered import Given


def _many(count: int) -> bytes:
    said = [
        {"id": f"c-{one}", "conversation": "order-9", "text": "cold", "author": {"id": "u-1"}} for one in range(count)
    ]
    return json.dumps({"events": said}).encode()


GIVEN = Given(
    settings={"Authority": "shop.acme.example", "ReplyUrl": "https://shop.acme.example/answers"},
    credentials={"reply_secret": "whsec_inventedinvented"},
    address="ReplyUrl",
    accounts=("u-1",),
    authority="shop.acme.example",
    many=_many,
)
