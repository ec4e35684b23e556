"""Facebook's front door: its signature and its handshake."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from connectors.core import door
from connectors.core.delivery import Request

DOOR: Any = door.load("facebook")
SAMPLES = sorted((Path(__file__).resolve().parents[2] / "events" / "facebook").glob("*.json"))
SECRET = "1f6c0b0f5ac1f0d1a2b3c4d5e6f70819"


def request(body: bytes, **headers: str) -> Request:
    return Request("POST", {name.replace("_", "-"): value for name, value in headers.items()}, body)


def signed(body: bytes, secret: str = SECRET) -> Request:
    return request(body, x_hub_signature_256="sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest())


def test_a_known_answer() -> None:
    # RFC 4231, test case 2, under Facebook's header.
    value = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert door.verify(DOOR, request(b"what do ya want for nothing?", x_hub_signature_256=value), ["Jefe"])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_each_sample_passes_signed_and_no_other_way(sample: Path) -> None:
    body = sample.read_bytes()
    assert door.verify(DOOR, signed(body), [SECRET])
    assert door.body_fault(DOOR, body) is None
    assert not door.verify(DOOR, request(body), [SECRET])
    assert not door.verify(DOOR, signed(body), [])
    assert not door.verify(DOOR, signed(body, "another"), [SECRET])


def test_the_escaped_body_is_signed_as_it_was_sent() -> None:
    body = b'{"object":"page","entry":[{"id":"1","changes":[{"value":{"message":"\\u00e4\\u00f6\\/\\ud83e\\udd76"}}]}]}'
    assert door.verify(DOOR, signed(body), [SECRET])
    sent = signed(body).headers["x-hub-signature-256"]
    for written_anew in (
        json.dumps(json.loads(body)).encode(),
        json.dumps(json.loads(body), ensure_ascii=False).encode(),
    ):
        assert not door.verify(DOOR, request(written_anew, x_hub_signature_256=sent), [SECRET])


def test_while_the_secret_is_changed_both_are_good() -> None:
    body = SAMPLES[0].read_bytes()
    for secret in ("old", "new"):
        assert door.verify(DOOR, signed(body, secret), ["new", "old"])
    assert not door.verify(DOOR, signed(body, "old"), ["new"])


def test_the_old_sha1_header_is_not_enough() -> None:
    body = SAMPLES[0].read_bytes()
    weak = hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()
    assert not door.verify(DOOR, request(body, x_hub_signature=f"sha1={weak}"), [SECRET])
    assert not door.verify(DOOR, request(body, x_hub_signature_256=f"sha1={weak}"), [SECRET])
    strong = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert not door.verify(DOOR, request(body, x_hub_signature=f"sha256={strong}"), [SECRET])
    assert not door.verify(DOOR, request(body, x_hub_signature_256=strong), [SECRET])


ASKED = {"hub.mode": "subscribe", "hub.verify_token": "meatyhamhock", "hub.challenge": "1158201444"}


def test_the_handshake_gives_the_challenge_back_as_plain_text() -> None:
    assert door.challenge(DOOR, ASKED, [SECRET], "meatyhamhock") == ("text/plain", "1158201444")


@pytest.mark.parametrize(
    "changes",
    [
        {"hub.mode": "unsubscribe"},
        {"hub.verify_token": "wrong"},
        {"hub.verify_token": ""},
        {"hub.challenge": ""},
        {"hub.challenge": "<script>"},
    ],
)
def test_the_handshake_tells_a_stranger_nothing(changes: dict[str, str]) -> None:
    assert door.challenge(DOOR, ASKED | changes, [SECRET], "meatyhamhock") is None
    assert door.challenge(DOOR, ASKED, [SECRET], None) is None
    assert door.challenge(DOOR, ASKED | {"hub.verify_token": ""}, [SECRET], "") is None
