"""The front door's checks, driven by data: who may come in, and how a vendor's handshake is answered.

Each source keeps a `door.json` in its folder; this module reads it and nothing of the vendor's code is imported.
Standard library only: `receive_webhook` imports it, and its cold start is bounded.

    {
      "signature": {
        "headers": ["x-acme-signature"],   any of these, lower case; first one present and right wins
        "algorithm": "sha256",             hashlib's name
        "encoding": "hex",                 or "base64"
        "prefix": "sha256=",               in front of the digest, may be ""
        "signed": "{body}",                what the digest covers; also {timestamp}
        "timestamp": {"header": "x-acme-timestamp", "tolerance": 300}    optional; in seconds since the epoch, or as
                                           "format": "iso8601" says, like 2026-01-02T03:04:05Z
      },
      "body": "json",                      what a body must be; "any" checks nothing
      "keep": ["x-acme-event"],            headers that `parse` needs, lower case
      "challenge": {                       optional: the GET with which a vendor tries the address out
        "query": "crc_token",              the parameter to answer; one of the two follows
        "hmac": {"field": "response_token", "prefix": "sha256="},    JSON with its HMAC, by the first secret, base64
        "echo": {"where": {"hub.mode": "subscribe"}, "token": "hub.verify_token"}    the value itself, as plain text,
                                           if the token is the secret's "verify_token"
      }
    }
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from connectors.core.delivery import Request

_FOLDER = Path(__file__).resolve().parents[1]
_DOORS: dict[str, Mapping[str, Any]] = {}
_UNIX = re.compile(r"[0-9]{1,11}", re.ASCII)
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_ECHOED = re.compile(r"[\w.~+/=-]{1,512}", re.ASCII)
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


def verify(door: Mapping[str, Any], request: Request, secrets: Iterable[str], now: float | None = None) -> bool:
    """Whether one of the secrets signed these raw bytes.

    Constant time in the comparison. No rule, no secret, no header or no digest of the right shape means False. `now`
    is in unix seconds and only matters to vendors that sign a timestamp.
    """
    rule = door.get("signature")
    if not rule:
        return False
    stamp = ""
    if timestamp := rule.get("timestamp"):
        stamp = request.headers.get(timestamp["header"], "")
        said = _seconds(stamp, timestamp)
        if said is None or abs((time.time() if now is None else now) - said) > timestamp["tolerance"]:
            return False
    given = [_decode(rule, request.headers[name]) for name in rule["headers"] if name in request.headers]
    signed = _signed(rule["signed"], stamp, request.body)
    valid = False
    for secret in secrets:
        if not secret:
            continue
        expected = _hmac(rule, secret, signed)
        for digest in given:
            valid |= digest is not None and hmac.compare_digest(expected, digest)
    return valid


def sign(door: Mapping[str, Any], body: bytes, secret: str, now: float | None = None) -> dict[str, str]:
    """The headers with which the vendor would send this body: the other half of `verify`, for tests and the tool."""
    rule = door["signature"]
    headers: dict[str, str] = {}
    stamp = ""
    if timestamp := rule.get("timestamp"):
        seconds = int(time.time() if now is None else now)
        iso = timestamp.get("format") == "iso8601"
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if iso else str(seconds)
        headers[timestamp["header"]] = stamp
    digest = _hmac(rule, secret, _signed(rule["signed"], stamp, body))
    coded = digest.hex() if rule["encoding"] == "hex" else base64.b64encode(digest).decode()
    headers[rule["headers"][0]] = rule.get("prefix", "") + coded
    return headers


def challenge(
    door: Mapping[str, Any], query: Mapping[str, str], secrets: Sequence[str], verify_token: str | None
) -> tuple[str, str] | None:
    """The answer to a vendor's handshake, as content type and body; None where there is none to give.

    Fails closed: no rule, no value, no secret, a wrong token. What is echoed is what vendors send, and no markup."""
    rule = door.get("challenge")
    value = query.get(rule["query"]) if rule else None
    if not rule or not value or len(value) > 512 or not value.isascii() or not value.isprintable():
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


def body_fault(door: Mapping[str, Any], body: bytes) -> str | None:
    """Why this body cannot be what the vendor documents, in words for the vendor; None where it can."""
    if door.get("body", "json") != "json":
        return None
    try:
        value = read_json(body)
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


def _seconds(stamp: str, rule: Mapping[str, Any]) -> float | None:
    """A signed timestamp in unix seconds; None where it does not have the shape that the rule names."""
    if rule.get("format") != "iso8601":
        return int(stamp) if _UNIX.fullmatch(stamp) else None
    if not _ISO.fullmatch(stamp):
        return None
    from datetime import datetime

    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError):
        return None


def _hmac(rule: Mapping[str, Any], secret: str, signed: bytes) -> bytes:
    return hmac.new(secret.encode("utf-8", "surrogatepass"), signed, rule["algorithm"]).digest()


def _signed(template: str, stamp: str, body: bytes) -> bytes:
    before, _, after = template.replace("{timestamp}", stamp).partition("{body}")
    return before.encode() + body + after.encode()


def _decode(rule: Mapping[str, Any], header: str) -> bytes | None:
    prefix = rule.get("prefix", "")
    if not header.startswith(prefix):
        return None
    try:
        coded = header[len(prefix) :].strip().encode("ascii")
        digest = bytes.fromhex(coded.decode()) if rule["encoding"] == "hex" else base64.b64decode(coded, validate=True)
    except (ValueError, binascii.Error):
        return None
    return digest if len(digest) == hashlib.new(rule["algorithm"]).digest_size else None
