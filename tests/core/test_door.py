"""The front door's checks: who is let in, who is not, and that nothing a stranger sends raises."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core import door as front
from connectors.core.delivery import Request

CHECKOUT = Path(__file__).resolve().parents[2]
HEX = {
    "signature": {
        "headers": ["x-first", "x-second"],
        "algorithm": "sha256",
        "encoding": "hex",
        "prefix": "sha256=",
        "signed": "{body}",
    }
}
BASE64 = {"signature": {**HEX["signature"], "encoding": "base64", "headers": ["x-first"]}}
STAMPED = {
    "signature": {
        "headers": ["x-sig"],
        "algorithm": "sha256",
        "encoding": "hex",
        "prefix": "v0=",
        "signed": "v0:{timestamp}:{body}",
        "timestamp": {"header": "x-time", "tolerance": 300},
    }
}
DOORS = sorted(path.parent.name for path in (CHECKOUT / "connectors").glob("*/door.json"))


def request(body: bytes, headers: dict[str, str]) -> Request:
    return Request(method="POST", headers=headers, body=body)


def test_known_answer_of_hmac_sha256() -> None:
    # RFC 4231, test case 2: key "Jefe", data "what do ya want for nothing?".
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    body = b"what do ya want for nothing?"
    assert front.sign(HEX, body, "Jefe") == {"x-first": f"sha256={digest}"}
    assert front.verify(HEX, request(body, {"x-first": f"sha256={digest}"}), ["Jefe"])
    coded = base64.b64encode(bytes.fromhex(digest)).decode()
    assert front.verify(BASE64, request(body, {"x-first": f"sha256={coded}"}), ["Jefe"])


def _vectors() -> Path:
    folder = Path(os.environ.get("HAILBACK_SHARED") or CHECKOUT.parent / "shared") / "payloads" / "signature_vectors"
    if not folder.is_dir():
        pytest.skip("published signature vectors: set HAILBACK_SHARED to the folder that holds payloads/")
    return folder


def test_published_vector_over_the_body() -> None:
    vector = json.loads((_vectors() / "github_sha256.json").read_text(encoding="utf-8"))
    body = vector["body"].encode()
    assert front.verify(HEX, request(body, {"x-first": vector["expected"]}), [vector["secret"]])
    assert not front.verify(HEX, request(body + b" ", {"x-first": vector["expected"]}), [vector["secret"]])


def test_published_vector_over_time_and_body() -> None:
    vector = json.loads((_vectors() / "slack_v0_slash_command.json").read_text(encoding="utf-8"))
    stamp = vector["headers"]["X-Slack-Request-Timestamp"]
    sent = request(vector["body"].encode(), {"x-sig": vector["expected"], "x-time": stamp})
    assert front.verify(STAMPED, sent, [vector["secret"]], now=int(stamp) + 300)
    assert not front.verify(STAMPED, sent, [vector["secret"]], now=int(stamp) + 301)
    assert not front.verify(STAMPED, sent, [vector["secret"]], now=int(stamp) - 301)


@settings(deadline=None)
@given(st.binary(max_size=200), st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4), st.data())
def test_every_secret_of_the_list_is_accepted_and_no_other(body: bytes, secrets: list[str], data: Any) -> None:
    for rule in (HEX, BASE64, STAMPED):
        chosen = data.draw(st.sampled_from(secrets))
        sent = request(body, front.sign(rule, body, chosen, now=1_000_000))
        assert front.verify(rule, sent, secrets, now=1_000_000)
        # HMAC pads a short key with NUL bytes and hashes a long one, so compare keys as it sees them.
        others = [one for one in secrets if one.encode("utf-8", "surrogatepass").rstrip(b"\0") != _key(chosen)]
        assert not front.verify(rule, sent, others, now=1_000_000)


def _key(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogatepass").rstrip(b"\0")


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=100), st.data())
def test_one_flipped_bit_anywhere_is_refused(body: bytes, data: Any) -> None:
    for rule in (HEX, BASE64):
        headers = front.sign(rule, body, "secret")
        bit = data.draw(st.integers(0, len(body) * 8 - 1))
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not front.verify(rule, request(bytes(flipped), headers), ["secret"])
    digest = bytearray(hmac.new(b"secret", body, hashlib.sha256).digest())
    bit = data.draw(st.integers(0, 255))
    digest[bit // 8] ^= 1 << bit % 8
    assert not front.verify(HEX, request(body, {"x-first": f"sha256={digest.hex()}"}), ["secret"])


@pytest.mark.parametrize(("seconds", "fresh"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_a_signed_timestamp_is_good_for_five_minutes_either_way(seconds: int, fresh: bool) -> None:
    sent = request(b"body", front.sign(STAMPED, b"body", "secret", now=1_000_000))
    assert front.verify(STAMPED, sent, ["secret"], now=1_000_000 + seconds) is fresh
    moved = request(b"body", {**sent.headers, "x-time": "1000001"})
    assert not front.verify(STAMPED, moved, ["secret"], now=1_000_000)


def test_a_second_header_lets_in_what_the_first_does_not() -> None:
    right = front.sign(HEX, b"body", "secret")["x-first"]
    wrong = front.sign(HEX, b"body", "other")["x-first"]
    assert front.verify(HEX, request(b"body", {"x-first": wrong, "x-second": right}), ["secret"])
    assert not front.verify(HEX, request(b"body", {"x-first": wrong, "x-second": wrong}), ["secret"])


@pytest.mark.parametrize("secrets", [[], [""], ["", ""]])
def test_without_a_secret_nobody_is_let_in(secrets: list[str]) -> None:
    digest = hmac.new(b"", b"body", hashlib.sha256).hexdigest()
    assert not front.verify(HEX, request(b"body", {"x-first": f"sha256={digest}"}), secrets)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "sha256=",
        "sha1=00",
        "sha256=zz",
        "sha256=" + "0" * 63,
        "sha256=" + "0" * 66,
        "sha256=" + "\N{ARABIC-INDIC DIGIT ZERO}" * 64,
        "sha256=\ud800",
        "\x00" * 90,
        "SHA256=" + "00" * 32,
        "sha256=" + "a" * 1_000_000,
    ],
)
def test_a_header_of_the_wrong_shape_is_refused(value: str) -> None:
    for rule in (HEX, BASE64):
        assert not front.verify(rule, request(b"body", {"x-first": value}), ["secret"])


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["x-sig", "x-time", "x-first"]), st.text()), st.binary(max_size=50))
def test_arbitrary_headers_never_raise_and_never_pass(headers: dict[str, str], body: bytes) -> None:
    for rule in (HEX, BASE64, STAMPED, {}):
        assert front.verify(rule, request(body, headers), ["secret"]) is False


@pytest.mark.parametrize("stamp", ["", "-1", "1e9", "1000000.0", "\N{SUPERSCRIPT ONE}", "9" * 12, "nan", " 1000000"])
def test_a_timestamp_of_the_wrong_shape_is_refused(stamp: str) -> None:
    digest = hmac.new(b"secret", f"v0:{stamp}:".encode() + b"body", hashlib.sha256).hexdigest()
    sent = request(b"body", {"x-sig": f"v0={digest}", "x-time": stamp})
    assert not front.verify(STAMPED, sent, ["secret"], now=1_000_000)


def test_a_secret_with_half_a_surrogate_pair_does_not_raise() -> None:
    assert front.verify(HEX, request(b"body", front.sign(HEX, b"body", "\ud800")), ["\ud800"])


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"\xff\xfe{}", "not UTF-8"),
        (b"", "not JSON"),
        (b'{"a": ', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": -Infinity}', "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "nested deeper"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper"),
        (b"[" * 65 + b"]" * 65, "nested deeper"),
        (b'"text"', "not a JSON object"),
        (b"null", "not a JSON object"),
    ],
)
def test_a_body_that_no_vendor_sends_is_named(body: bytes, fault: str) -> None:
    assert fault in (front.body_fault({"body": "json"}, body) or "")
    assert front.body_fault({"body": "any"}, body) is None


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"[" * 64 + b"]" * 64, b'{"a": "\\ud800 \\u0000"}', b'{"a": ' + b"9" * 4000 + b"}"]
)
def test_odd_but_lawful_bodies_pass(body: bytes) -> None:
    assert front.body_fault({"body": "json"}, body) is None


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_get_an_answer(body: bytes) -> None:
    assert front.body_fault({}, body) is None or "body" in str(front.body_fault({}, body))


@pytest.mark.parametrize("name", DOORS)
def test_every_door_in_the_repository_works(name: str) -> None:
    door = front.load(name)
    assert door is not None
    secret = front.fresh_secret(door)
    url = front.called_at(door, "https://hooks.acme.com/acme/token", b"{}", {})
    sent = Request("POST", front.sign(door, b"{}", secret, url=url), b"{}", url=url)
    assert front.verify(door, sent, [secret])
    assert door.get("unsigned") or not front.verify(door, sent, [front.fresh_secret(door)])


HANDSHAKE = {
    **HEX,
    "body": "json",
    "challenge": {"body": {"where": {"type": "url_verification"}, "field": "challenge"}},
}


@pytest.mark.parametrize(
    ("body", "echoed"),
    [
        (b'{"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRN"}', "3eZbrw1aBm2rZgRN"),
        (b'{"type": "url_verification", "challenge": "<b>"}', ""),
        (b'{"type": "url_verification", "challenge": 7}', ""),
        (b'{"type": "url_verification"}', ""),
        (b'{"type": "event_callback", "challenge": "3eZbrw1aBm2rZgRN"}', None),
        (b'[{"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRN"}]', None),
        (b'{"type": "url_verification", "challenge": "x"}' + b" " * 10_000, None),
        (b"type=url_verification&challenge=x", None),
        (b"[" * 5000, None),
    ],
)
def test_a_handshake_that_comes_as_a_delivery_is_told_from_the_others(body: bytes, echoed: str | None) -> None:
    assert front.challenge_in(HANDSHAKE, body) == echoed
    assert front.challenge_in(HEX, body) is None
    unsigned = {"unsigned": True, "challenge": HANDSHAKE["challenge"]}
    assert front.challenge_in(unsigned, body) is None, "nobody signed it"


def test_a_get_is_no_handshake_where_vendors_post_theirs() -> None:
    assert front.challenge(HANDSHAKE, {"challenge": "x", "type": "url_verification"}, ["secret"], "word") is None


@pytest.mark.parametrize("name", ["", "core", "nobody", "../discourse", "discourse/", "Discourse", "a" * 500, "\x00"])
def test_there_is_no_door_by_that_name(name: str) -> None:
    assert front.load(name) is None


def test_names_that_strangers_try_are_not_remembered() -> None:
    before = len(front._DOORS)
    for number in range(200):
        assert front.load(f"stranger{number}") is None
    assert len(front._DOORS) == before


def test_only_the_headers_that_the_door_keeps_come_through() -> None:
    assert front.kept_headers({"keep": ["x-event"]}, {"x-event": "1", "cookie": "2"}) == {"x-event": "1"}


def test_the_front_door_is_standard_library_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import connectors.core.door, connectors.core.token;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(new - set(sys.stdlib_module_names) - {'connectors'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
