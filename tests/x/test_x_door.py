"""The front door for X: who may come in, and how X's challenge is answered."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from connectors.core import door as front
from connectors.core.delivery import Request

FIRST, SECOND = "x-twitter-webhooks-signature", "x-twitter-webhooks-signature-oauth2"
BODY = '{"data":{"event_type":"post.mention.create","payload":{"id":"1","text":"Grüße 👋"}}}'.encode()


def door() -> object:
    found = front.load("x")
    assert found is not None
    return found


def signature(secret: str, body: bytes = BODY) -> str:
    return "sha256=" + base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def verify(headers: dict[str, str], secrets: list[str], body: bytes = BODY) -> bool:
    return front.verify(door(), Request("POST", headers, body), secrets)  # type: ignore[arg-type]


def test_a_delivery_that_openssl_signed() -> None:
    # printf %s '{"for_user_id":"42"}' | openssl dgst -sha256 -hmac consumer-secret -binary | base64
    given = {FIRST: "sha256=FnpJqTPWnCP+dScyfGybONs6SKy1iuwCaG/bURa/lkM="}
    assert verify(given, ["consumer-secret"], b'{"for_user_id":"42"}')
    assert not verify(given, ["consumer-secret"], b'{"for_user_id":"43"}')


@pytest.mark.parametrize("header", [FIRST, SECOND])
@pytest.mark.parametrize("secret", ["consumer", "oauth2 client", "old consumer"])
def test_both_headers_and_every_secret_of_a_rotation(header: str, secret: str) -> None:
    secrets = ["consumer", "oauth2 client", "old consumer"]
    assert verify({header: signature(secret)}, secrets)
    assert not verify({header: signature(secret)}, [one for one in secrets if one != secret])


def test_one_right_header_of_two_is_enough_and_none_is_not() -> None:
    assert verify({FIRST: signature("gone"), SECOND: signature("here")}, ["here"])
    assert verify({FIRST: signature("here"), SECOND: "sha256=rubbish"}, ["here"])
    assert not verify({FIRST: signature("gone"), SECOND: signature("gone")}, ["here"])
    assert not verify({}, ["here"])
    assert not verify({FIRST: signature("here")}, [])
    assert not verify({FIRST: signature("")}, [""])


@pytest.mark.parametrize(
    "given",
    [
        signature("s").removeprefix("sha256="),
        signature("s").replace("sha256", "sha1"),
        "sha256=" + hmac.new(b"s", BODY, hashlib.sha256).hexdigest(),
        signature("s")[:-4],
        "sha256=",
        "",
    ],
)
def test_a_signature_of_another_shape_is_refused(given: str) -> None:
    assert verify({FIRST: signature("s")}, ["s"])
    assert not verify({FIRST: given}, ["s"])


def test_not_a_byte_of_the_body_may_change() -> None:
    escaped = json.dumps(json.loads(BODY)).encode()
    assert not verify({FIRST: signature("s")}, ["s"], escaped)


def test_x_s_challenge() -> None:
    """Secret and token of X's own example (gist of its developer team); the answer was computed with OpenSSL."""
    secret, token = "z3ZX4v7mAAUGykl3EcmkqbartmuW8VFOOzCloLx9Q45P0hLrFu", "9b4507b3-9040-4669-9ca3-6b94edb50553"
    answer = front.challenge(door(), {"crc_token": token}, [secret, "newer"], None)  # type: ignore[arg-type]
    assert answer is not None
    kind, body = answer
    assert kind == "application/json"
    assert json.loads(body) == {"response_token": "sha256=Cytd4Sq+NvEcV3MMrXxWJGJx5A+y/lXzzU2Maartkx8="}


@pytest.mark.parametrize(("query", "secrets"), [({}, ["s"]), ({"crc_token": ""}, ["s"]), ({"crc_token": "t"}, [])])
def test_no_challenge_or_no_secret_is_no_answer(query: dict[str, str], secrets: list[str]) -> None:
    assert front.challenge(door(), query, secrets, "token") is None  # type: ignore[arg-type]


@pytest.mark.parametrize("mark", ["{", "["])
def test_what_could_be_a_delivery_is_never_signed_for_a_challenge(mark: str) -> None:
    """X signs its deliveries with the very secret that a challenge is answered with."""
    token = mark + '"data": 1' + ("}" if mark == "{" else "]")
    assert front.challenge(door(), {"crc_token": token}, ["secret"], None) is None
    assert front.body_fault(door(), b"7") is not None, "and nothing else is a delivery"
