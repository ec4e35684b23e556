"""What its vendor signed comes in, whichever of the secrets in force it was signed with; nothing else does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

import connectors
from connectors.core import door, reception, token
from connectors.core.delivery import Request
from tests.contract.registered import CHALLENGED, DOORS, RECEIVED, RECEIVERS, sample_paths

NOW = RECEIVED / 1000
OLD, NEW = "an old secret of twelve", "ein neues Geheimnis ☂ %"
SALT, SECRET = "salt", "hailback/acme"
ESCAPED = (
    '{"text": "gr\\u00fc\\u00dfe \\ud83d\\ude24", "raw": "grüße 😤", "n": [1, 2.50, -0, 1e3], "t": "a\\/b"}'.encode()
)

each_door = pytest.mark.parametrize("name", DOORS)
each_challenge = pytest.mark.parametrize("name", CHALLENGED)


def rules(name: str) -> Mapping[str, Any]:
    found = door.load(name)
    assert found is not None
    return found


def signed(name: str, body: bytes, secret: str, now: float = NOW) -> dict[str, str]:
    """The headers that the vendor would send, worked out here and not by the door."""
    rule = rules(name)["signature"]
    headers = {}
    stamp = ""
    if clock := rule.get("timestamp"):
        iso = clock.get("format") == "iso8601"
        stamp = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if iso else str(int(now))
        headers[clock["header"]] = stamp
    covered = b"".join(
        {"{body}": body, "{timestamp}": stamp.encode()}.get(part, part.encode()) for part in _parts(rule["signed"])
    )
    digest = hmac.new(secret.encode(), covered, getattr(hashlib, rule["algorithm"])).digest()
    coded = digest.hex() if rule["encoding"] == "hex" else base64.b64encode(digest).decode()
    return {**headers, rule["headers"][0]: rule.get("prefix", "") + coded}


def _parts(template: str) -> list[str]:
    return template.replace("{body}", "\n{body}\n").replace("{timestamp}", "\n{timestamp}\n").split("\n")


def accepted(name: str, headers: Mapping[str, str], body: bytes, secrets: list[str], now: float = NOW) -> bool:
    return door.verify(rules(name), Request("POST", headers, body), secrets, now)


def test_every_source_is_heard_and_every_door_leads_to_somebody_who_reads() -> None:
    assert set(DOORS) <= set(RECEIVERS)
    assert set(connectors.SOURCES) <= {*DOORS, *connectors.POLLERS}


@each_door
def test_the_door_names_lower_case_headers_and_a_digest_that_is_still_safe(name: str) -> None:
    rule = rules(name)["signature"]
    assert rule["headers"]
    named = [*rule["headers"], *rules(name)["keep"], rule.get("timestamp", {"header": "-"})["header"]]
    assert [header for header in named if header != header.lower()] == []
    assert rule["algorithm"] in {"sha256", "sha384", "sha512", "sha1"}
    assert "{body}" in rule["signed"]
    assert not set(rules(name)["keep"]) & {*rule["headers"], "authorization"}, "a signature is kept nowhere"


@each_door
def test_a_signed_body_is_taken_byte_for_byte(name: str) -> None:
    """Escapes and raw UTF-8 are different bytes; what was signed is what came, not what it means."""
    for body in (ESCAPED, b"{}", b"", b"\xff\xfe", *(path.read_bytes() for path in sample_paths(name))):
        assert accepted(name, signed(name, body, NEW), body, [NEW])
    again = json.dumps(json.loads(ESCAPED)).encode()
    assert not accepted(name, signed(name, ESCAPED, NEW), again, [NEW])


@each_door
def test_while_a_secret_is_changed_both_count_and_no_third(name: str) -> None:
    old, new = signed(name, ESCAPED, OLD), signed(name, ESCAPED, NEW)
    for secrets in ([NEW, OLD], [OLD, NEW]):
        assert accepted(name, old, ESCAPED, secrets)
        assert accepted(name, new, ESCAPED, secrets)
        assert not accepted(name, signed(name, ESCAPED, "a third"), ESCAPED, secrets)
    assert accepted(name, old, ESCAPED, [OLD])
    assert not accepted(name, old, ESCAPED, [NEW])
    assert not accepted(name, new, ESCAPED, [OLD])


@each_door
def test_every_header_that_a_vendor_may_sign_in_is_enough(name: str) -> None:
    first, *others = rules(name)["signature"]["headers"]
    headers = signed(name, ESCAPED, NEW)
    value = headers.pop(first)
    for other in (first, *others):
        wrong = {one: value[:-6] + "AAAAA=" for one in (first, *others) if one != other}
        assert accepted(name, {**headers, other: value}, ESCAPED, [NEW])
        assert accepted(name, {**headers, **wrong, other: value}, ESCAPED, [NEW])
    assert not accepted(name, {**headers, "x-somebody-elses-signature": value}, ESCAPED, [NEW])
    assert not accepted(name, headers, ESCAPED, [NEW])


@each_door
def test_without_a_secret_nothing_comes_in(name: str) -> None:
    headers = signed(name, ESCAPED, "")
    for secrets in ([], [""], ["", ""]):
        assert not accepted(name, headers, ESCAPED, secrets)
    assert not accepted(name, signed(name, ESCAPED, NEW), ESCAPED, [])


@each_door
def test_a_byte_changed_anywhere_is_noticed(name: str) -> None:
    headers = signed(name, ESCAPED, NEW)
    for place in range(len(ESCAPED)):
        for flip in (1, 32, 128):
            changed = ESCAPED[:place] + bytes([ESCAPED[place] ^ flip]) + ESCAPED[place + 1 :]
            assert not accepted(name, headers, changed, [NEW, OLD]), place
        assert not accepted(name, headers, ESCAPED[:place], [NEW, OLD]), place
    for longer in (ESCAPED + b" ", ESCAPED + b"\n", b" " + ESCAPED, b"\xef\xbb\xbf" + ESCAPED, ESCAPED * 2):
        assert not accepted(name, headers, longer, [NEW, OLD])


@each_door
def test_a_signature_changed_anywhere_is_noticed(name: str) -> None:
    """But for how its digest is spelled: capitals in hexadecimal, spaces around it."""
    rule = rules(name)["signature"]
    header, prefix = rule["headers"][0], rule.get("prefix", "")
    headers = signed(name, ESCAPED, NEW)
    value = headers[header]
    forged = ["", prefix, prefix + "0" * 64, value[len(prefix) :] if prefix else "x" + value, value * 2, value + "ü"]
    forged += [value[:place] for place in range(len(value) - 1)]
    forged += [f"{value[:place]}{'1' if value[place] == '0' else '0'}{value[place + 1 :]}" for place in range(20)]
    for given in forged:
        assert not accepted(name, {**headers, header: given}, ESCAPED, [NEW, OLD]), given


@each_door
def test_a_time_out_of_tolerance_is_refused(name: str) -> None:
    clock = rules(name)["signature"].get("timestamp")
    headers = signed(name, ESCAPED, NEW)
    if clock is None:
        assert accepted(name, headers, ESCAPED, [NEW], NOW + 86_400)  # its vendor signs no time: ids tell repetitions
        return
    tolerance = clock["tolerance"]
    assert 0 < tolerance <= 600
    for late in (-tolerance + 1, 0, tolerance - 1):
        assert accepted(name, headers, ESCAPED, [NEW], NOW + late)
    for late in (-tolerance - 2, tolerance + 2, 86_400, -86_400):
        assert not accepted(name, headers, ESCAPED, [NEW], NOW + late)
    moved = signed(name, ESCAPED, NEW, NOW + 60)[clock["header"]]
    for stamp in ("", "soon", moved, headers[clock["header"]] + " ", "9" * 30):
        assert not accepted(name, {**headers, clock["header"]: stamp}, ESCAPED, [NEW])
    del headers[clock["header"]]
    assert not accepted(name, headers, ESCAPED, [NEW])


@each_door
def test_the_door_signs_as_its_vendor_does(name: str) -> None:
    """What `hailback send` and the demo sign with."""
    assert door.sign(rules(name), ESCAPED, NEW, NOW) == signed(name, ESCAPED, NEW)


class Kept:
    """Secrets of which the old one is already gone from what was read last: `again` has it."""

    def __init__(self, *values: str, verify_token: str | None = None, again: list[str] | None = None) -> None:
        self._values, self._token, self._again = list(values), verify_token, again

    def verification(self, secret: str) -> list[str]:
        assert secret == SECRET
        return self._values

    def verification_again(self, secret: str) -> list[str] | None:
        return self._again

    def verify_token(self, secret: str) -> str | None:
        return self._token


class Waiting:
    """An inbox."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def put(self, message: dict[str, Any]) -> None:
        self.messages.append(message)


def come(name: str, request: Request, secrets: Kept) -> tuple[reception.Answer, list[dict[str, Any]]]:
    inbox = Waiting()
    address = token.make(SALT, name, token.Address("stack/acme", SECRET))
    return reception.receive(name, address, request, secrets, inbox, SALT, RECEIVED), inbox.messages


@each_door
def test_the_front_door_takes_what_is_signed_and_queues_nothing_else(name: str) -> None:
    for path in sample_paths(name):
        body = path.read_bytes()
        answer, taken = come(name, Request("POST", signed(name, body, OLD), body), Kept(NEW, OLD))
        assert (answer.status, len(taken)) == (200, 1)
        answer, taken = come(name, Request("POST", signed(name, body, OLD), body), Kept(NEW, again=[NEW, OLD]))
        assert (answer.status, len(taken)) == (200, 1), "a secret that was changed a moment ago"
        for request in (
            Request("POST", {}, body),
            Request("POST", signed(name, body, "guessed"), body),
            Request("POST", signed(name, body, OLD), body[:-1]),
        ):
            answer, taken = come(name, request, Kept(NEW, OLD))
            assert (answer.status, taken) == (401, [])
        assert come(name, Request("POST", signed(name, body, OLD), body), Kept())[0].status == 401


@each_challenge
def test_the_handshake_is_answered_and_fails_closed(name: str) -> None:
    rule = rules(name)["challenge"]
    secrets = Kept(NEW, OLD, verify_token="our word")
    query = {rule["query"]: "1158201444"}
    echo = rule.get("echo")
    if echo:
        query |= {**echo["where"], echo["token"]: "our word"}
    answer, taken = come(name, Request("GET", {}, b"", query), secrets)
    assert answer.status == 200
    assert answer.body is not None
    assert taken == []
    if echo:
        assert answer.body == ("text/plain", "1158201444")
        refused = [{**query, echo["token"]: wrong} for wrong in ("", "Our word", "our word ", "ü")]
        refused += [{key: value for key, value in query.items() if key != gone} for gone in query]
        refused += [{**query, rule["query"]: markup} for markup in ("<script>", "a b", "x" * 600, "\u0661")]
        nobody = Kept(NEW)
    else:
        hashed = rule["hmac"]
        digest = hmac.new(NEW.encode(), b"1158201444", hashlib.sha256).digest()
        said = json.loads(answer.body[1])
        assert said == {hashed["field"]: hashed.get("prefix", "") + base64.b64encode(digest).decode()}
        refused = [{}, {rule["query"]: ""}, {rule["query"]: "x" * 600}, {rule["query"]: "ü"}, {rule["query"]: "a\nb"}]
        nobody = Kept()
    assert [one for one in refused if come(name, Request("GET", {}, b"", one), secrets)[0].status != 403] == []
    assert come(name, Request("GET", {}, b"", query), nobody)[0].status == 403


@each_door
def test_an_address_of_another_source_or_connector_is_none(name: str) -> None:
    body = sample_paths(name)[0].read_bytes()
    request = Request("POST", signed(name, body, NEW), body)
    for salt, connector in (("pepper", name), (SALT, "somebody")):
        address = token.make(salt, connector, token.Address("stack/acme", SECRET))
        assert reception.receive(name, address, request, Kept(NEW), Waiting(), SALT, RECEIVED).status == 404
