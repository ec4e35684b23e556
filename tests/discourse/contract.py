"""What the contract needs to know of Discourse."""

from __future__ import annotations

from tests.contract.registered import Given

GIVEN = Given(
    settings={"BaseUrl": "https://forum.acme.com", "Account": ["7", "acme_support"]},
    credentials={"api_key": "invented", "api_username": "acme_support"},
    address="BaseUrl",
    accounts=("7", "acme_support"),
    quiet={"latest_posts": []},
)
