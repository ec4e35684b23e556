"""What the contract needs to know of the App Store."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.contract.registered import Given


def _key() -> str:
    """A private key of the kind that App Store Connect gives out; made for this run."""
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def _many(count: int) -> bytes:
    data = [
        {
            "type": "customerReviews",
            "id": f"00000011-{number}",
            "attributes": {
                "rating": 1,
                "title": "Cold",
                "body": "Still cold here ☹",
                "reviewerNickname": "ines",
                "createdDate": "2026-11-18T07:12:03-08:00",
            },
        }
        for number in range(count)
    ]
    return json.dumps({"data": data}).encode()


GIVEN = Given(
    settings={"App": "100200300"},
    credentials={"key_id": "2X9R4HXF34", "issuer_id": "57246542-96fe-1a63-e053-0824d011072a", "private_key": _key()},
    placed=True,
    many=_many,
    quiet={"data": []},
)
