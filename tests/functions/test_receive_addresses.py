"""The front door for vendors that sign the address they call, or nothing at all: what the API hands over, and what it
answers. Secrets and inbox in memory."""

from __future__ import annotations

import base64
import gzip
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
import receive_webhook

from connectors.core import door, token
from connectors.core.reception import LARGEST_UNSIGNED
from tests.contract.signing import EXAMPLES

SALT, SECRET = "0b7e2a52-0000-4000-8000-3c9d5cbd4f00", "correct-horse-battery-staple"
TWILIO = token.make(SALT, "like_twilio", token.Address("stack/Forum", "hailback/forum"))
FORM = b"From=%2B491701234567&Body=Gr%C3%BC%C3%9Fe+%26+mehr&MediaUrl="
ADDRESSED = {
    "by the API's own address": ("", "https://abc.execute-api.eu-central-1.amazonaws.com/like_twilio/"),
    "by a domain of one's own": ("https://hooks.acme.com/", "https://hooks.acme.com/like_twilio/"),
    "by one with a prefix": ("https://acme.com/hooks", "https://acme.com/hooks/like_twilio/"),
}


def called(body: bytes, signature: str, query: str = "") -> dict[str, Any]:
    """An HTTP API event, payload version 2.0; bodies that are not JSON come in base64."""
    headers = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}
    context = {"http": {"method": "POST"}, "domainName": "abc.execute-api.eu-central-1.amazonaws.com"}
    path = {"connector": "like_twilio", "token": TWILIO}
    return {
        "version": "2.0",
        "headers": headers,
        "pathParameters": path,
        "requestContext": context,
        "rawPath": f"/like_twilio/{TWILIO}",
        "rawQueryString": query,
        "isBase64Encoded": True,
        "body": base64.b64encode(body).decode(),
    }


class Memory:
    """Secrets and inbox of every source. Without secrets nobody may ask for one."""

    def __init__(self, *secrets: str) -> None:
        self._secrets, self.bodies = list(secrets), []  # type: tuple[list[str], list[bytes]]

    def verification(self, secret: str) -> list[str]:
        return self._secrets or pytest.fail("a stranger caused a look-up")

    def verification_again(self, secret: str) -> list[str] | None:
        return None

    def put(self, message: dict[str, Any]) -> None:
        self.bodies.append(gzip.decompress(base64.b64decode(message["body"])))


Behind = Callable[..., Memory]


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> Behind:
    monkeypatch.setenv("WEBHOOK_SALT", SALT)
    for name, rule in EXAMPLES.items():
        monkeypatch.setitem(door._DOORS, name, rule)

    def stand(*secrets: str) -> Memory:
        memory = Memory(*secrets)
        monkeypatch.setattr(receive_webhook, "_adapters", lambda: (memory, memory))
        return memory

    return stand


def knock(event: dict[str, Any]) -> tuple[int, str, str]:
    answer = receive_webhook.handler(event, None)
    return answer["statusCode"], answer["headers"]["content-type"], answer["body"]


@pytest.mark.parametrize("case", ADDRESSED)
@pytest.mark.parametrize("query", ["", "a=%20b+c&d="])
def test_a_signed_address_is_the_one_that_was_given_out(
    behind: Behind, case: str, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Worked out by hand: HMAC-SHA1 of the address, and of each name and value by name."""
    public, address = ADDRESSED[case]
    memory = behind(SECRET)
    monkeypatch.setenv("PUBLIC_URL", public)
    url = address + TWILIO + (f"?{query}" if query else "")
    signed = f"{url}BodyGrüße & mehrFrom+491701234567MediaUrl".encode()
    signature = base64.b64encode(hmac.digest(SECRET.encode(), signed, "sha1")).decode()
    assert knock(called(FORM, signature, query)) == (200, "text/xml", "<Response/>")
    assert memory.bodies == [FORM], "as it came, empty values and all"
    refused = (401, "application/json", json.dumps({"error": "the signature does not match"}))
    assert knock(called(FORM, signature, query + "&x=1")) == refused
    assert knock(called(FORM + b"&x=1", signature, query)) == refused
    monkeypatch.setenv("PUBLIC_URL", "https://elsewhere.example")
    assert knock(called(FORM, signature, query)) == refused
    assert memory.bodies == [FORM]


def test_without_a_domain_and_without_a_public_address_none_is_guessed(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PUBLIC_URL", raising=False)
    memory = behind(SECRET)
    signed = f"https://None/like_twilio/{TWILIO}".encode()
    request = called(b"", base64.b64encode(hmac.digest(SECRET.encode(), signed, "sha1")).decode())
    del request["requestContext"]["domainName"]
    assert knock(request)[0] == 401
    assert memory.bodies == []


def test_a_handshake_that_comes_as_a_delivery_is_echoed_as_plain_text(behind: Behind) -> None:
    memory = behind(SECRET)
    challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
    body = json.dumps({"token": "old", "challenge": challenge, "type": "url_verification"}).encode()
    request = called(body, "")
    address = token.make(SALT, "like_slack", token.Address("stack/Chat", "hailback/chat"))
    request["pathParameters"] = {"connector": "like_slack", "token": address}
    request["headers"] = door.sign(EXAMPLES["like_slack"], body, SECRET)
    assert knock(request) == (200, "text/plain", challenge)
    request["headers"] = door.sign(EXAMPLES["like_slack"], body, "guessed")
    assert knock(request)[0] == 401
    assert memory.bodies == []


def test_a_vendor_that_signs_nothing_needs_no_secret(behind: Behind) -> None:
    memory = behind()
    address = token.make(SALT, "like_trustpilot", token.Address("stack/Shop", "hailback/shop"))
    request = called(b'{"events": []}', "")
    request["pathParameters"] = {"connector": "like_trustpilot", "token": address}
    assert knock(request)[0] == 200
    broken = {**request, "body": base64.b64encode(b"not JSON").decode()}
    assert knock(broken)[0] == 400
    request["pathParameters"] = {"connector": "like_trustpilot", "token": address[:-1] + "-"}
    assert knock(request)[0] == 404
    assert memory.bodies == [b'{"events": []}']


def test_what_nobody_vouches_for_is_small(behind: Behind) -> None:
    """Each hint in it costs a call at the vendor: one delivery of megabytes would cost tens of thousands."""
    memory = behind()
    address = token.make(SALT, "like_trustpilot", token.Address("stack/Shop", "hailback/shop"))
    request = called(b"[" + b" " * (LARGEST_UNSIGNED - 2) + b"]", "")
    request["pathParameters"] = {"connector": "like_trustpilot", "token": address}
    assert knock(request)[0] == 200
    request["body"] = base64.b64encode(b"[" + b" " * (LARGEST_UNSIGNED - 1) + b"]").decode()
    assert knock(request)[0] == 413
    assert len(memory.bodies) == 1
