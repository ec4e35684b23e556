"""The front door's checks, driven by data: who may come in, and how a vendor's handshake is answered.

Each source keeps a `door.json` in its folder; this module reads it and nothing of the vendor's code is imported.
Standard library only: `receive_webhook` imports it, and its cold start is bounded.

    {
      "signature": {
        "headers": ["x-acme-signature"],   any of these, lower case; first one present and right wins
        "algorithm": "sha256",             hashlib's name
        "encoding": "hex",                 or "base64"
        "prefix": "sha256=",               in front of the digest, may be ""
        "separator": ",",                  optional: a header holds several signatures, each with the prefix
        "signed": "{body}",                what the digest covers; also {timestamp}, {method}, {header:x-acme-id},
                                           {url}, the public address with its query as called, {form}, the names and
                                           values of a form-encoded body, by name, with nothing between
        "timestamp": {"header": "x-acme-timestamp", "tolerance": 300}    optional; tolerance in seconds. Seconds since
                                           the epoch, or as "format" says: "ms", "iso8601" (2026-01-02T03:04:05Z)
        "secret": {"prefix": "whsec_", "encoding": "base64"}    optional: how the secret's text becomes the key, where
                                           it is not the text itself; "hex" too
        "other_names": {"svix-id": "webhook-id"},    optional: headers' other names, where none of "headers" is there
        "body_hash": {"query": "bodySHA256", "algorithm": "sha256"}    optional: the address has the hash, in
                                           hexadecimal, of a body that is not a form
      },
      "token": {"header": "x-acme-token"}, instead of "signature": the header is the secret itself
      "unsigned": true,                    instead of both, where a vendor signs nothing: the address alone lets in, so
                                           `parse` may answer with Hint and Unsupported only
      "body": "json",                      what a body must be, also "form"; "any" checks nothing
      "keep": ["x-acme-event"],            headers that `parse` needs, lower case
      "challenge": {                       optional: the GET with which a vendor tries the address out
        "query": "crc_token",              the parameter to answer; one of the two follows
        "hmac": {"field": "response_token", "prefix": "sha256="},    JSON with its HMAC, by the first secret, base64
        "echo": {"where": {"hub.mode": "subscribe"}, "token": "hub.verify_token"}    the value itself, as plain text,
                                           if the token is the secret's "verify_token"
        "body": {"where": {"type": "url_verification"}, "field": "challenge"}    or a delivery, signed like any other:
                                           this field of its JSON is echoed as plain text, and it goes no further
      },
      "answer": {"type": "text/xml", "body": "<Response/>"}    optional: what is said to a delivery that was taken
    }
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from connectors.core.signature import called_at, form_fields, fresh_secret, sign, verify

__all__ = [
    "MAX_DEPTH",
    "body_fault",
    "called_at",
    "challenge",
    "challenge_in",
    "fresh_secret",
    "kept_headers",
    "load",
    "read_json",
    "sign",
    "verify",
]
_FOLDER = Path(__file__).resolve().parents[1]
_DOORS: dict[str, Mapping[str, Any]] = {}
_ECHOED = re.compile(r"[\w.~+/=-]{1,512}", re.ASCII)
_HANDSHAKE = 10_000
"""Bytes of a delivery that may still be a handshake. Vendors send fewer than 500."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
MAX_DEPTH = 64
"""Levels of nesting that a JSON body may have. Vendors use fewer than ten; deeper ones exhaust a parser's stack."""
_TOO_DEEP = f"the body is nested deeper than {MAX_DEPTH} levels"


def load(connector: str) -> Mapping[str, Any] | None:
    """The door of a connector, or None where there is none by that name. Strangers choose the names, so only doors
    that exist are remembered."""
    if connector in _DOORS:
        return _DOORS[connector]
    if not _NAME.fullmatch(connector):
        return None
    try:
        text = (_FOLDER / connector / "door.json").read_text(encoding="utf-8")
    except OSError:
        return None
    door: dict[str, Any] = json.loads(text)
    return _DOORS.setdefault(connector, door)


def kept_headers(door: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that the connector's `parse` asked for."""
    return {name: headers[name] for name in door.get("keep", ()) if name in headers}


def challenge(
    door: Mapping[str, Any], query: Mapping[str, str], secrets: Sequence[str], verify_token: str | None
) -> tuple[str, str] | None:
    """The answer to a vendor's handshake, as content type and body; None where there is none to give.

    Fails closed: no rule, no value, no secret, a wrong token. What is echoed is what vendors send, and no markup."""
    rule = door.get("challenge", {})
    value = query.get(rule["query"]) if "query" in rule else None
    if not value or len(value) > 512 or not value.isascii() or not value.isprintable():
        return None
    if hashed := rule.get("hmac"):
        # What is signed here is signed as a delivery is: nothing that could be one may be.
        if not secrets or any(mark in value for mark in '{["'):
            return None
        digest = hmac.new(secrets[0].encode("utf-8", "surrogatepass"), value.encode(), "sha256").digest()
        answer = hashed.get("prefix", "") + base64.b64encode(digest).decode()
        return "application/json", json.dumps({hashed["field"]: answer})
    echo = rule["echo"]
    given = query.get(echo["token"], "")
    right = hmac.compare_digest(given.encode("utf-8", "surrogatepass"), (verify_token or "").encode("utf-8"))
    if not (verify_token and right and all(query.get(name) == said for name, said in echo["where"].items())):
        return None
    return ("text/plain", value) if _ECHOED.fullmatch(value) else None


def challenge_in(door: Mapping[str, Any], body: bytes) -> str | None:
    """What to echo to a delivery that is a vendor's handshake: None where it is none, "" where it is one, but what it
    wants echoed is nothing that a vendor sends. For verified deliveries only."""
    rule = door.get("challenge", {}).get("body")
    if not rule or len(body) > _HANDSHAKE or not ("signature" in door or "token" in door):
        return None
    try:
        said = read_json(body)
    except ValueError:
        return None
    if not isinstance(said, dict) or any(said.get(name) != value for name, value in rule["where"].items()):
        return None
    value = said.get(rule["field"])
    return value if isinstance(value, str) and _ECHOED.fullmatch(value) else ""


def body_fault(door: Mapping[str, Any], body: bytes) -> str | None:
    """Why this body cannot be what the vendor documents, in words for the vendor; None where it can."""
    kind = door.get("body", "json")
    if kind == "any":
        return None
    try:
        value = read_json(body) if kind == "json" else form_fields(body)
    except ValueError as error:
        return str(error)
    if not isinstance(value, dict | list):
        return "the body is not a JSON object"
    return None


def read_json(body: bytes) -> object:
    """The value in a body, by the strict rules: UTF-8, no NaN, at most `MAX_DEPTH` levels. Raises ValueError with a
    sentence that carries nothing of the body."""
    try:
        value: object = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise ValueError("the body is not UTF-8") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError:
        raise ValueError("the body is not JSON") from None
    if _deeper_than(value, MAX_DEPTH):
        raise ValueError(_TOO_DEEP)
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _deeper_than(value: object, limit: int) -> bool:
    layer = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        layer = [
            child
            for parent in layer
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not layer:
            return False
    return True
