"""Signatures as vendors document them: their published vectors, and what a rule refuses."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest

from connectors.core import door as front
from connectors.core.delivery import Request
from connectors.tool.samples import Sample
from tests.bench.tampering import damaged
from tests.contract.signing import EXAMPLES, delivered, is_signed, secret_for, stamp

NOW = 1_795_000_000

TWILIO = EXAMPLES["like_twilio"]
STANDARD = EXAMPLES["like_standard_webhooks"]
PAGERDUTY = EXAMPLES["like_pagerduty"]
HUBSPOT = EXAMPLES["like_hubspot"]

MYCOMPANY = "https://mycompany.com/myapp.php?foo=1&bar=2"
CALL = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
TWILIO_JSON = b'{"property": "value", "boolean": true}'
TWILIO_HASH = "bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
RIGHT = "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def twilio(url: str, body: bytes | dict[str, Any], signature: str, token: str = "12345") -> bool:
    raw = body if isinstance(body, bytes) else urlencode(body, doseq=True).encode()
    return front.verify(TWILIO, Request("POST", {"x-twilio-signature": signature}, raw, url=url), [token])


TWILIO_VECTORS: dict[str, tuple[str, bytes | dict[str, Any], str]] = {
    "documented": (MYCOMPANY, CALL, RIGHT),
    "another order": (MYCOMPANY, dict(reversed(CALL.items())), RIGHT),
    "https, a port that was not signed": (MYCOMPANY.replace(".com", ".com:1234"), CALL, RIGHT),
    "https, the standard port signed": (MYCOMPANY, CALL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
    "https, another port signed": (MYCOMPANY.replace(".com", ".com:1234"), CALL, "CYn1h0gLBdNxDGkKJg6hYohgeD8="),
    "http, the port signed": (
        MYCOMPANY.replace(".com", ".com:1234").replace("https", "http"),
        CALL,
        "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
    ),
    "http, the standard port signed": (MYCOMPANY.replace("https", "http"), CALL, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
    "with user and password": (MYCOMPANY.replace("//", "//user:pass@"), CALL, "CukzLTc1tT5dXEDIHm/tKBanW10="),
    "with those and the port": (MYCOMPANY.replace("//", "//user:pass@"), CALL, "ZQFR1PTIZXF2MXB8ZnKCvnnA+rI="),
    "a name repeated": (
        MYCOMPANY,
        {"Sid": "CA123", "SidAccount": "AC123", "Digits": ["5678", "1234", "1234"]},
        "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
    ),
    "one name begins another": (
        MYCOMPANY,
        {**CALL, "ReasonConferenceEnded": "test", "Reason": "Participant"},
        "vOEb5UThFn24KEfnOFLQY2AE5FY=",
    ),
    "JSON, by its hash": (f"{MYCOMPANY}&{TWILIO_HASH}", TWILIO_JSON, "a9nBmqA0ju/hNViExpshrM61xv4="),
    "JSON, nothing but its hash": (
        f"https://mycompany.com/myapp.php?{TWILIO_HASH}",
        TWILIO_JSON,
        "y77kIzt2vzLz71DgmJGsen2scGs=",
    ),
}


@pytest.mark.parametrize("case", TWILIO_VECTORS)
def test_twilios_published_vectors(case: str) -> None:
    """https://www.twilio.com/docs/usage/security, and the tests of Twilio's own libraries, token 12345."""
    url, body, signature = TWILIO_VECTORS[case]
    assert twilio(url, body, signature)
    assert not twilio(url, body, signature, "12346")
    assert not twilio(url + "&more=1", body, signature)
    assert not twilio(url, body + b" " if isinstance(body, bytes) else {**body, "Digits": "9999"}, signature)


def test_twilios_published_refusals() -> None:
    assert not twilio(MYCOMPANY, TWILIO_JSON, RIGHT), "JSON that no hash covers"
    assert not twilio(MYCOMPANY, {**CALL, "Reason": "Participant"}, RIGHT)
    sorted_wrong = "95+Bu0JVPi0r/SsESZCVf0dWAjw="
    assert not twilio(MYCOMPANY, {**CALL, "ReasonConferenceEnded": "test", "Reason": "Participant"}, sorted_wrong)


def url_only(url: str) -> str:
    return base64.b64encode(hmac.digest(b"12345", url.encode(), hashlib.sha1)).decode()


def test_a_body_that_is_no_form_needs_its_hash_in_the_address() -> None:
    hashed = f"{MYCOMPANY}&{TWILIO_HASH}"
    assert twilio(hashed, TWILIO_JSON, url_only(hashed))
    assert not twilio(MYCOMPANY, TWILIO_JSON, url_only(MYCOMPANY)), "missing"
    assert not twilio(hashed, TWILIO_JSON.replace(b"true", b"null"), url_only(hashed)), "wrong"
    for other in (f"{MYCOMPANY}&bodySHA256=", f"{hashed}&bodySHA256=00", f"{MYCOMPANY}&BODYsha256={TWILIO_HASH[11:]}"):
        assert not twilio(other, TWILIO_JSON, url_only(other)), other


@pytest.mark.parametrize("body", [b"&", b"=", b"&=&", b"%00%ff", b"\xff"])
def test_a_body_of_which_nothing_is_signed_is_refused(body: bytes) -> None:
    """A signature of the address alone, as for JSON, must not let in a form that adds nothing to it."""
    assert not twilio(MYCOMPANY, body, url_only(MYCOMPANY))
    hashed = f"{MYCOMPANY}&{TWILIO_HASH}"
    assert not twilio(hashed, body, url_only(hashed))


def test_an_empty_form_is_covered_by_its_address() -> None:
    assert twilio(MYCOMPANY, b"", url_only(MYCOMPANY))


def test_empty_values_and_spaces_and_umlauts_of_a_form_are_signed() -> None:
    signed = MYCOMPANY + "Body" + "Grüße & mehr" + "MediaUrl" + "NumMedia0"
    body = b"NumMedia=0&Body=Gr%C3%BC%C3%9Fe+%26%20mehr&MediaUrl="
    assert twilio(MYCOMPANY, body, base64.b64encode(hmac.digest(b"12345", signed.encode(), "sha1")).decode())


def test_an_address_that_is_not_known_lets_nobody_in() -> None:
    for url in ("", "mycompany.com", "ftp://mycompany.com/", "https://", "https://[", "https://a:b:c/"):
        assert not twilio(url, CALL, url_only(url + "".join(name + value for name, value in sorted(CALL.items()))))


def test_slacks_published_vector() -> None:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack"""
    body = (
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "x-slack-request-timestamp": "1531420618",
    }
    secret, rule = "8f742231b10e8888abcd99yyyzzz85a5", EXAMPLES["like_slack"]
    sent = Request("POST", headers, body.encode())
    assert front.verify(rule, sent, [secret], 1531420618 + 300)
    assert not front.verify(rule, sent, [secret], 1531420618 + 301)
    assert not front.verify(rule, replace(sent, body=sent.body + b"&"), [secret], 1531420618)
    assert front.sign(rule, sent.body, secret, 1531420618) == headers
    assert front.body_fault({"body": "form"}, sent.body) is None


STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_SENT = Request(
    "POST",
    {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    },
    b'{"test": 2432232314}',
)


def standard(secret: str = STANDARD_SECRET, now: float = 1614265330, **headers: str) -> bool:
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    request = replace(STANDARD_SENT, headers={**STANDARD_SENT.headers, **changed})
    return front.verify(STANDARD, request, [secret], now)


def test_the_vector_of_standard_webhooks() -> None:
    """https://github.com/standard-webhooks/standard-webhooks"""
    assert standard()
    assert not standard(webhook_id="msg_another")
    assert not standard(webhook_id="")
    assert not standard(now=1614265330 + 301)
    made = front.sign(STANDARD, STANDARD_SENT.body, STANDARD_SECRET, 1614265330, headers=STANDARD_SENT.headers)
    assert made == STANDARD_SENT.headers


def test_a_signed_header_that_is_empty_or_missing_lets_nobody_in() -> None:
    key = base64.b64decode(STANDARD_SECRET.removeprefix("whsec_"))
    digest = base64.b64encode(hmac.digest(key, b".1614265330." + STANDARD_SENT.body, "sha256")).decode()
    headers = {"webhook-timestamp": "1614265330", "webhook-signature": f"v1,{digest}"}
    for more in ({}, {"webhook-id": ""}):
        sent = replace(STANDARD_SENT, headers={**headers, **more})
        assert not front.verify(STANDARD, sent, [STANDARD_SECRET], 1614265330)


def test_one_right_signature_of_several_is_enough() -> None:
    right = STANDARD_SENT.headers["webhook-signature"]
    wrong = "v1," + base64.b64encode(bytes(32)).decode()
    for value in (
        f"{wrong} {right}",
        f"{right} {wrong}",
        f"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== {right}",
    ):
        assert standard(webhook_signature=value)
    assert standard(webhook_signature=" ".join([wrong] * 19 + [right]))
    assert not standard(webhook_signature=" ".join([wrong] * 20 + [right])), "only twenty are looked at"
    assert not standard(webhook_signature=right.replace("v1,", "v2,"))
    assert not standard(webhook_signature=right.removeprefix("v1,"))


@pytest.mark.parametrize(
    "secret",
    [
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
        "whsec_!!!!",
        "whsec_ü",
        "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "",
    ],
)
def test_a_secret_of_another_shape_verifies_nothing(secret: str) -> None:
    for key in (secret.encode(), b"", base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")):
        signed = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + STANDARD_SENT.body
        digest = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        assert not standard(secret, webhook_signature=f"v1,{digest}")
    with pytest.raises(ValueError, match="shape"):
        front.sign(STANDARD, b"{}", secret)


def test_a_digest_is_taken_in_the_vendors_spelling_alone() -> None:
    """Else a delivery whose signature was changed on its way would come in, though what it says was not."""
    right = STANDARD_SENT.headers["webhook-signature"]
    assert right.endswith("OE=")
    assert not standard(webhook_signature=right.replace("OE=", "OF=")), "the same bytes, with bits to spare"
    door, body = EXAMPLES["like_slack"], b"{}"
    sent = front.sign(door, body, "invented", 1_531_420_618)
    digest = sent["x-slack-signature"].removeprefix("v0=")
    for spelled in (digest.upper(), f"{digest[:2]} {digest[2:]}"):
        changed = Request("POST", {**sent, "x-slack-signature": f"v0={spelled}"}, body)
        assert not front.verify(door, changed, ["invented"], 1_531_420_618)
    assert front.verify(door, Request("POST", sent, body), ["invented"], 1_531_420_618)


def test_githubs_published_vector() -> None:
    """https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""
    rule = {"signature": {**EXAMPLES["like_intercom"]["signature"], "algorithm": "sha256", "prefix": "sha256="}}
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    sent = Request("POST", {"x-hub-signature": f"sha256={digest}"}, b"Hello, World!")
    assert front.verify(rule, sent, ["It's a Secret to Everybody"])
    assert not front.verify(rule, replace(sent, body=b"Hello, World"), ["It's a Secret to Everybody"])
    linear = {"linear-signature": digest}
    assert front.verify(EXAMPLES["like_linear"], replace(sent, headers=linear), ["It's a Secret to Everybody"])


def test_intercoms_sha1_is_that_of_rfc_2202() -> None:
    """Intercom publishes no vector; this is test case 2 of RFC 2202."""
    sent = Request(
        "POST", {"x-hub-signature": "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"}, b"what do ya want for nothing?"
    )
    assert front.verify(EXAMPLES["like_intercom"], sent, ["Jefe"])
    assert not front.verify(EXAMPLES["like_intercom"], sent, ["Jef"])


def test_hubspots_published_vector() -> None:
    """From the tests of HubSpot's own libraries: method, address, body and milliseconds."""
    headers = {
        "x-hubspot-signature-v3": "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw=",
        "x-hubspot-request-timestamp": "15000000",
    }
    url, secret = "https://www.example.com/webhook_uri", "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
    sent = Request("POST", headers, b"{'example_field':'example_value'}", url=url)
    assert front.verify(HUBSPOT, sent, [secret], 15_000 + 300)
    assert front.sign(HUBSPOT, sent.body, secret, 15_000, url) == headers
    assert not front.verify(HUBSPOT, sent, [secret], 15_000 + 300.001)
    for other in (replace(sent, method="PUT"), replace(sent, url=url + "?a=1"), replace(sent, url="")):
        assert not front.verify(HUBSPOT, other, [secret], 15_000)


INCIDENT = (
    b'{"event":{"id":"01BWDWL3NYY7LUFPZCC28QUCMK","event_type":"incident.priority_updated","resource_type":"incident",'
    b'"occurred_at":"2021-04-26T17:36:27.458Z","agent":{"html_url":"https://acme.pagerduty.com/users/PLH1HKV",'
    b'"id":"PLH1HKV","self":"https://api.pagerduty.com/users/PLH1HKV","summary":"Tenex Engineer",'
    b'"type":"user_reference"},"client":null,"data":{"id":"PGR0VU2","type":"incident",'
    b'"self":"https://api.pagerduty.com/incidents/PGR0VU2","html_url":"https://acme.pagerduty.com/incidents/PGR0VU2",'
    b'"number":2,"status":"triggered","title":"A little bump in the road","service":{'
    b'"html_url":"https://acme.pagerduty.com/services/PF9KMXH","id":"PF9KMXH",'
    b'"self":"https://api.pagerduty.com/services/PF9KMXH","summary":"API Service","type":"service_reference"},'
    b'"assignees":[{"html_url":"https://acme.pagerduty.com/users/PTUXL6G","id":"PTUXL6G",'
    b'"self":"https://api.pagerduty.com/users/PTUXL6G","summary":"User 123","type":"user_reference"}],'
    b'"escalation_policy":{"html_url":"https://acme.pagerduty.com/escalation_policies/PUS0KTE","id":"PUS0KTE",'
    b'"self":"https://api.pagerduty.com/escalation_policies/PUS0KTE","summary":"Default",'
    b'"type":"escalation_policy_reference"},"teams":[{"html_url":"https://acme.pagerduty.com/teams/PFCVPS0",'
    b'"id":"PFCVPS0","self":"https://api.pagerduty.com/teams/PFCVPS0","summary":"Engineering",'
    b'"type":"team_reference"}],"priority":{"html_url":"https://acme.pagerduty.com/account/incident_priorities",'
    b'"id":"PSO75BM","self":"https://api.pagerduty.com/priorities/PSO75BM","summary":"P1",'
    b'"type":"priority_reference"},"urgency":"high","conference_bridge":{"conference_number":1000,'
    b'"conference_url":"https://example.com"},"resolve_reason":null}}}'
)


def test_pagerdutys_published_vector() -> None:
    """From the tests of PagerDuty's own library; several signatures while a secret is changed, as it documents."""
    secret = "lDQHScfUeXUKaQRNF+8XIiDKZ7XX3itBAYzwU0TARw8lJqRnkKl2iB1anSb0Z+IK"
    right = "v1=0c0b9495b893a39e70d1fea2fe11fbe0a825f88b9f67846f6cc07dd2bc5476cd"
    wrong = "v1=7020c8a7ec668a9b7012bc3dd82e483394b038f4230acc6785efbf2a7d8bcaf5"
    for value in (right, f"{wrong},{right}", f"{right}, {wrong}", f"v2={'a' * 64},{right}", f"v1=zz,,{right}"):
        assert front.verify(PAGERDUTY, Request("POST", {"x-pagerduty-signature": value}, INCIDENT), [secret]), value
    for value in ("", wrong, f"{wrong},{wrong}", right.removeprefix("v1="), f"v2={right.removeprefix('v1=')}"):
        assert not front.verify(PAGERDUTY, Request("POST", {"x-pagerduty-signature": value}, INCIDENT), [secret]), value


def test_what_a_stranger_writes_into_a_signed_header_stays_there() -> None:
    """A value that looks like a part of the template is not filled in."""
    for name in ("{body}", "{timestamp}", "{header:webhook-id}"):
        made = front.sign(STANDARD, b"{}", STANDARD_SECRET, NOW, headers={"webhook-id": name})
        signed = f"{name}.{NOW}.{{}}".encode()
        key = base64.b64decode(STANDARD_SECRET.removeprefix("whsec_"))
        digest = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        assert made["webhook-signature"] == f"v1,{digest}"


def test_a_door_that_has_a_lock_is_not_open_besides() -> None:
    for name in ("like_linear", "like_gitlab"):
        rule = {**EXAMPLES[name], "unsigned": True}
        assert not front.verify(rule, Request("POST", {}, b"{}"), ["secret"])
    assert not front.verify({"unsigned": "true"}, Request("POST", {}, b"{}"), [])
    assert front.verify({"unsigned": True}, Request("POST", {}, b"{}"), [])


@pytest.mark.parametrize("template", ["{timestamp}", "{url}", "{unknown}{body}", "{header:x-none}{body}", "plain"])
def test_a_rule_that_does_not_cover_the_body_lets_nobody_in(template: str) -> None:
    rule = {"signature": {**EXAMPLES["like_linear"]["signature"], "signed": template}}
    for signed in ("", "plain", "https://a.example/", "{}", "{unknown}{}"):
        digest = hmac.digest(b"secret", signed.encode(), "sha256").hex()
        sent = Request("POST", {"linear-signature": digest}, b"{}", url="https://a.example/")
        assert not front.verify(rule, sent, ["secret"])


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"a=\xff", "not UTF-8"),
        (b"a=%ff", "not form-encoded"),
        (b"&".join([b"a=1"] * 1001), "more than 1000"),
        (b"&" * 4_000_000, "more than 1000"),
    ],
)
def test_a_form_that_no_vendor_sends_is_named(body: bytes, fault: str) -> None:
    assert fault in (front.body_fault({"body": "form"}, body) or "")
    assert front.body_fault({"body": "any"}, body) is None


@pytest.mark.parametrize("body", [b"", b"a=", b"a", b"a=%F0%9F%98%80+b", b"&".join([b"a=1"] * 1000), b"a=b=c;d"])
def test_odd_but_lawful_forms_pass(body: bytes) -> None:
    assert front.body_fault({"body": "form"}, body) is None


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_door_and_a_second_reading_of_its_rule_always_agree(name: str) -> None:
    """Deliveries changed anywhere: body, address, each header. One in ten is left whole."""
    random, rule = Random(name), EXAMPLES[name]
    secrets = [secret_for(rule, words) for words in ("the new one", "the old one ☂")]
    clock = rule.get("signature", {}).get("timestamp", {"tolerance": 0})
    stamps = {stamp(clock, NOW + late) for late in range(-clock["tolerance"], clock["tolerance"] + 1)}
    whole = [b'{"text": "gr\\u00fc\xc3\x9f", "n": [1, 2.5]}', b"Body=Gr%C3%BC%C3%9Fe+%26&From=%2B49&MediaUrl=", b""]
    agreed = {True: 0, False: 0}
    for _ in range(3000):
        sample = Sample(random.choice(whole))
        secret = random.choice([*secrets, secret_for(rule, "another")])
        request = delivered(rule, sample, secret, NOW + random.choice([0, 0, 0, -300, 300, -301, 301]))
        headers = dict(request.headers)
        match random.randrange(10):
            case 0 | 1 | 2:
                request = replace(request, body=damaged(request.body, random))
            case 3 | 4:
                request = replace(request, url=damaged(request.url.encode(), random).decode("latin-1"))
            case 5 | 6 | 7 if headers:
                header = random.choice(sorted(headers))
                headers[header] = damaged(headers[header].encode(), random).decode("latin-1")
                request = replace(request, headers=headers)
            case 8 if headers:
                del headers[random.choice(sorted(headers))]
                request = replace(request, headers=headers)
        taken = front.verify(rule, request, secrets, NOW)
        assert taken == is_signed(rule, request, secrets, stamps), request
        agreed[taken] += 1
    assert agreed[True] > 100
    assert agreed[False] > 100 or "unsigned" in rule
