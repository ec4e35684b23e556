"""What its vendor signed comes in, whichever of the secrets in force it was signed with; nothing else does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

import connectors
from connectors.core import door, reception, token
from connectors.core.delivery import Delivery, Request
from connectors.core.errors import PayloadError
from connectors.core.ports import Receiver
from connectors.tool.samples import Sample, load_sample
from tests.contract.registered import (
    CHALLENGED,
    DOORS,
    RECEIVED,
    RECEIVERS,
    as_delivered,
    given,
    reader,
    sample_paths,
)
from tests.contract.shapes import replaced
from tests.contract.signing import EXAMPLES, PUBLIC, asked, delivered, rules, secret_for, stamp

NOW = RECEIVED / 1000
OLD, NEW = "an old secret of twelve", "ein neues Geheimnis ☂ %"
SALT, SECRET = "salt", "hailback/acme"
ESCAPED = (
    '{"text": "gr\\u00fc\\u00dfe \\ud83d\\ude24", "raw": "grüße 😤", "n": [1, 2.50, -0, 1e3], "t": "a\\/b"}'.encode()
)
FORM = Sample(
    b"Body=Gr%C3%BC%C3%9Fe+%26+mehr&From=%2B491701234567&MediaUrl=",
    {"content-type": "application/x-www-form-urlencoded"},
)

ALL = [*DOORS, *EXAMPLES]
LOCKED = [name for name in ALL if not rules(name).get("unsigned")]
SIGNED = [name for name in ALL if "signature" in rules(name)]
UNSIGNED = [name for name in DOORS if rules(name).get("unsigned")]
each_door = pytest.mark.parametrize("name", ALL)
each_locked = pytest.mark.parametrize("name", LOCKED)
each_signed = pytest.mark.parametrize("name", SIGNED)


def comes(name: str, body: bytes | Sample, words: str, now: float = NOW) -> Request:
    """A delivery as its vendor signs it, worked out without the door."""
    sample = body if isinstance(body, Sample) else Sample(body)
    return delivered(rules(name), sample, secret_for(rules(name), words), now)


def accepted(name: str, request: Request, words: Iterable[str], now: float = NOW) -> bool:
    secrets = [secret_for(rules(name), one) if one else one for one in words]
    return door.verify(rules(name), request, secrets, now)


def samples(name: str) -> list[Sample]:
    """The connector's own; for an example two that fit it."""
    if name not in EXAMPLES:
        return [load_sample(path) for path in sample_paths(name)]
    return [Sample(ESCAPED), Sample(b"[]"), *([FORM] if rules(name)["body"] == "any" else [])]


def without(headers: Mapping[str, str], gone: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != gone}


def test_every_source_is_heard_and_every_door_leads_to_somebody_who_reads() -> None:
    assert set(DOORS) <= set(RECEIVERS)
    assert set(connectors.SOURCES) <= {*DOORS, *connectors.POLLERS}


@each_door
def test_the_door_says_in_one_way_who_may_come_in(name: str) -> None:
    rule = rules(name)
    assert len({"signature", "token", "unsigned"} & set(rule)) == 1
    assert rule["body"] in {"json", "form", "any"}
    secret = rule.get("signature", {}).get("headers", []) or [rule.get("token", {}).get("header")]
    assert not set(rule["keep"]) & {*secret, "authorization"}, "a signature is kept nowhere"
    assert [header for header in rule["keep"] if header != header.lower()] == []


@each_signed
def test_the_signature_covers_the_body_and_its_digest_is_still_safe(name: str) -> None:
    rule = rules(name)["signature"]
    assert rule["headers"]
    named = [*rule["headers"], rule.get("timestamp", {"header": "-"})["header"]]
    assert [header for header in named if header != header.lower()] == []
    assert rule["algorithm"] in {"sha256", "sha384", "sha512", "sha1"}, "SHA-1 is still safe in an HMAC, MD5 is not"
    assert "{body}" in rule["signed"] or "{form}" in rule["signed"]
    assert "{form}" not in rule["signed"] or rules(name)["body"] == "form" or "body_hash" in rule
    assert "body_hash" not in rule or "{url}" in rule["signed"], "the hash stands in the address"
    assert ("timestamp" in rule) == ("{timestamp}" in rule["signed"])


@each_signed
def test_a_signed_body_is_taken_byte_for_byte(name: str) -> None:
    """Escapes and raw UTF-8 are different bytes; what was signed is what came, not what it means."""
    some: list[bytes | Sample] = [ESCAPED, b"{}", b"", b"\xff\xfe", FORM, *samples(name)]
    for body in some:
        assert accepted(name, comes(name, body, NEW), [NEW]), body
    again = json.dumps(json.loads(ESCAPED)).encode()
    assert not accepted(name, replace(comes(name, ESCAPED, NEW), body=again), [NEW])


@each_locked
def test_while_a_secret_is_changed_both_count_and_no_third(name: str) -> None:
    old, new = comes(name, ESCAPED, OLD), comes(name, ESCAPED, NEW)
    for secrets in ([NEW, OLD], [OLD, NEW]):
        assert accepted(name, old, secrets)
        assert accepted(name, new, secrets)
        assert not accepted(name, comes(name, ESCAPED, "a third"), secrets)
    assert accepted(name, old, [OLD])
    assert not accepted(name, old, [NEW])
    assert not accepted(name, new, [OLD])


@each_signed
def test_every_header_that_a_vendor_may_sign_in_is_enough(name: str) -> None:
    first, *others = rules(name)["signature"]["headers"]
    request = comes(name, ESCAPED, NEW)
    value, headers = request.headers[first], without(request.headers, first)
    for other in (first, *others):
        wrong = {one: value[:-6] + "AAAAA=" for one in (first, *others) if one != other}
        assert accepted(name, replace(request, headers={**headers, other: value}), [NEW])
        assert accepted(name, replace(request, headers={**headers, **wrong, other: value}), [NEW])
    assert not accepted(name, replace(request, headers={**headers, "x-somebody-elses-signature": value}), [NEW])
    assert not accepted(name, replace(request, headers=headers), [NEW])


@each_locked
def test_without_a_secret_nothing_comes_in(name: str) -> None:
    for secrets in ([], [""], ["", ""]):
        assert not accepted(name, comes(name, ESCAPED, ""), secrets)
    assert not accepted(name, comes(name, ESCAPED, NEW), [])
    assert not accepted(name, Request("POST", {}, ESCAPED, url=PUBLIC), [NEW])


@each_signed
def test_a_byte_changed_anywhere_is_noticed(name: str) -> None:
    request = comes(name, ESCAPED, NEW)
    for place in range(len(ESCAPED)):
        for flip in (1, 32, 128):
            changed = ESCAPED[:place] + bytes([ESCAPED[place] ^ flip]) + ESCAPED[place + 1 :]
            assert not accepted(name, replace(request, body=changed), [NEW, OLD]), place
        assert not accepted(name, replace(request, body=ESCAPED[:place]), [NEW, OLD]), place
    for longer in (ESCAPED + b" ", ESCAPED + b"\n", b" " + ESCAPED, b"\xef\xbb\xbf" + ESCAPED, ESCAPED * 2):
        assert not accepted(name, replace(request, body=longer), [NEW, OLD])


@each_signed
def test_a_signature_changed_anywhere_is_noticed(name: str) -> None:
    """But for how its digest is spelled: capitals in hexadecimal, spaces around it."""
    rule = rules(name)["signature"]
    header, prefix = rule["headers"][0], rule.get("prefix", "")
    request = comes(name, ESCAPED, NEW)
    value = request.headers[header]
    forged = ["", prefix, prefix + "0" * 64, value[len(prefix) :] if prefix else "x" + value, value * 2, value + "ü"]
    forged += [value[:place] for place in range(len(value) - 1)]
    forged += [f"{value[:place]}{'1' if value[place] == '0' else '0'}{value[place + 1 :]}" for place in range(20)]
    for one in forged:
        assert not accepted(name, replace(request, headers={**request.headers, header: one}), [NEW, OLD]), one


@each_signed
def test_a_time_out_of_tolerance_is_refused(name: str) -> None:
    clock = rules(name)["signature"].get("timestamp")
    request = comes(name, ESCAPED, NEW)
    if clock is None:
        assert accepted(name, request, [NEW], NOW + 86_400)  # its vendor signs no time: ids tell repetitions
        return
    tolerance = clock["tolerance"]
    assert 0 < tolerance <= 600
    for late in (-tolerance + 1, 0, tolerance - 1):
        assert accepted(name, request, [NEW], NOW + late)
    for late in (-tolerance - 2, tolerance + 2, 86_400, -86_400):
        assert not accepted(name, request, [NEW], NOW + late)
    right = request.headers[clock["header"]]
    for one in ("", "soon", stamp(clock, NOW + 60), right + " ", "9" * 30):
        assert not accepted(name, replace(request, headers={**request.headers, clock["header"]: one}), [NEW])
    assert not accepted(name, replace(request, headers=without(request.headers, clock["header"])), [NEW])


@each_door
def test_the_door_signs_as_its_vendor_does(name: str) -> None:
    """What `hailback send` and the demo sign with."""
    for sample in (Sample(ESCAPED), FORM, *samples(name)):
        request = comes(name, sample, NEW)
        url = door.called_at(rules(name), PUBLIC + "/acme/token", sample.body, sample.headers)
        assert url == request.url
        secret = secret_for(rules(name), NEW)
        made = door.sign(rules(name), sample.body, secret, NOW, url, headers={**sample.headers, **request.headers})
        assert {**sample.headers, **made} == request.headers
    assert accepted(name, Request("POST", made, sample.body, url=url), [NEW])


@each_locked
def test_a_secret_that_is_made_up_fits_the_vendor(name: str) -> None:
    secret = door.fresh_secret(rules(name))
    assert secret != door.fresh_secret(rules(name))
    made = door.sign(rules(name), ESCAPED, secret, NOW, url := door.called_at(rules(name), PUBLIC, ESCAPED, {}))
    assert door.verify(rules(name), Request("POST", made, ESCAPED, url=url), [secret], NOW)


def test_a_header_that_is_the_secret_says_nothing_of_the_body() -> None:
    request = comes("like_gitlab", ESCAPED, NEW)
    assert accepted("like_gitlab", replace(request, body=b"{}"), [NEW])
    for wrong in ("", NEW[:-1], NEW + " ", NEW.upper()):
        assert not accepted("like_gitlab", replace(request, headers={"x-gitlab-token": wrong}), [NEW])


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


def come(name: str, request: Request, secrets: Any, address: str = "") -> tuple[reception.Answer, list[dict[str, Any]]]:
    inbox = Waiting()
    address = address or token.make(SALT, name, token.Address("stack/acme", SECRET))
    return reception.receive(name, address, request, secrets, inbox, SALT, RECEIVED), inbox.messages


@pytest.fixture(autouse=True)
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rule in EXAMPLES.items():
        monkeypatch.setitem(door._DOORS, name, rule)


@each_locked
def test_the_front_door_takes_what_is_signed_and_queues_nothing_else(name: str) -> None:
    old, new = (secret_for(rules(name), words) for words in (OLD, NEW))
    said = rules(name).get("answer")
    for sample in samples(name):
        request = comes(name, sample, OLD)
        expected = 0 if asked(rules(name), sample.body) else 1
        answer, taken = come(name, request, Kept(new, old))
        assert (answer.status, len(taken)) == (200, expected)
        assert not said or answer.body == (said["type"], said["body"])
        answer, taken = come(name, request, Kept(new, again=[new, old]))
        assert (answer.status, len(taken)) == (200, expected), "a secret that was changed a moment ago"
        cut = [] if "token" in rules(name) else [replace(request, body=sample.body[1:])]
        for other in (replace(request, headers=sample.headers), comes(name, sample, "guessed"), *cut):
            answer, taken = come(name, other, Kept(new, old))
            assert (answer.status, taken) == (401, [])
        assert come(name, request, Kept())[0].status == 401


class Closed:
    """Nobody may ask for a secret."""

    def verification(self, secret: str) -> list[str]:
        pytest.fail("a secret was asked for")

    verification_again = verify_token = verification


@pytest.mark.parametrize("name", [*UNSIGNED, "like_trustpilot"])
def test_what_nobody_signs_comes_in_by_its_address_alone(name: str) -> None:
    for sample in samples(name):
        answer, taken = come(name, comes(name, sample, ""), Closed())
        assert (answer.status, len(taken)) == (200, 1)
        address = token.make(SALT, name, token.Address("stack/acme", SECRET))
        assert come(name, comes(name, sample, ""), Closed(), address[:-2] + "xx")[0].status == 404


def more_than_hints(connector: Receiver, deliveries: Iterable[Delivery]) -> list[str]:
    """What a delivery that anyone may have made would be believed."""
    believed: list[str] = []
    for delivery in deliveries:
        try:
            events = connector.parse(delivery)
        except PayloadError:
            continue
        believed += [event.type for event in events if event.type not in {"hint", "unsupported"}]
    return believed


@pytest.mark.parametrize("name", UNSIGNED)
def test_what_nobody_signs_is_a_hint_at_most(name: str) -> None:
    """Read as `ingest_event` reads a delivery, and not as `hailback parse` does: that is trusted, and may read answers
    of the vendor's API too."""
    kind: Any = connectors.receiver(name)
    connector = kind(kind.settings_model.model_validate(dict(given(name).settings)))
    changed = (Delivery(as_delivered(name, path).headers, raw, RECEIVED) for path, raw in replaced(name))
    assert more_than_hints(connector, (as_delivered(name, path) for path in sample_paths(name))) == []
    assert more_than_hints(connector, changed) == []


def test_a_connector_that_believes_what_nobody_signs_is_seen() -> None:
    everything = [as_delivered("discourse", path) for path in sample_paths("discourse")]
    assert "mention" in more_than_hints(reader("discourse"), everything)


HANDSHAKES = [name for name in ALL if "body" in rules(name).get("challenge", {})]


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_handshake_that_comes_as_a_delivery_is_answered_if_it_is_signed(name: str) -> None:
    rule, secrets = rules(name)["challenge"]["body"], Kept(secret_for(rules(name), NEW))
    said = {**rule["where"], rule["field"]: "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P", "token": "old"}
    body = json.dumps(said).encode()
    answer, taken = come(name, comes(name, body, NEW), secrets)
    assert (answer.status, answer.body, taken) == (200, ("text/plain", said[rule["field"]]), [])
    for other in (comes(name, body, "guessed"), replace(comes(name, body, NEW), headers={})):
        assert come(name, other, secrets)[0].status == 401
    for value in ("<script>", "a b", "x" * 600, "", None, ["x"], "\u0661", "a\nb"):
        body = json.dumps({**said, rule["field"]: value}).encode()
        answer, taken = come(name, comes(name, body, NEW), secrets)
        assert (answer.status, answer.body, taken) == (403, None, [])
    body = json.dumps({**said, next(iter(rule["where"])): "something else"}).encode()
    answer, taken = come(name, comes(name, body, NEW), secrets)
    assert (answer.status, len(taken)) == (200, 1), "no handshake: a delivery like any other"
    assert come(name, Request("GET", {}, b"", {rule["field"]: "1158201444"}), secrets)[0].status == 405


@pytest.mark.parametrize("name", CHALLENGED)
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
    request = comes(name, samples(name)[0], NEW)
    for salt, connector in (("pepper", name), (SALT, "somebody")):
        address = token.make(salt, connector, token.Address("stack/acme", SECRET))
        assert reception.receive(name, address, request, Kept(NEW), Waiting(), SALT, RECEIVED).status == 404
