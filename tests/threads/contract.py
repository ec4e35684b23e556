"""What the contract needs to know of Threads."""

from __future__ import annotations

import json

from tests.contract.registered import Given


def _many(count: int) -> bytes:
    values = [
        {"field": "mentions", "value": {"id": f"1800{number}", "username": "ines.brandt", "text": "@acme.heating ☹"}}
        for number in range(count)
    ]
    return json.dumps({"topic": "interaction", "time": 1_795_075_441, "values": values}).encode()


GIVEN = Given(
    settings={"Account": ["acme.heating", "26000000000000042"]},
    credentials={"access_token": "invented"},
    accounts=("acme.heating", "26000000000000042"),
    many=_many,
    quiet={"data": [], "id": "26000000000000042", "username": "acme.heating"},
)
