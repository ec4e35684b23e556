"""Whether a request is its vendor's: the half of the front door that `door.json` describes under "signature", "token"
and "unsigned"; `connectors/core/door.py` has the grammar.

Standard library only: `receive_webhook` imports it, and its cold start is bounded. Everything fails closed: what a rule
names and a request does not have lets nobody in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from connectors.core.delivery import Request

MOST_FIELDS = 1000
"""Fields that a form-encoded body may have. Vendors send fewer than a hundred."""
MOST_SIGNATURES = 20
"""Signatures in one header that are looked at. Vendors send one for each secret in force."""
_PART = re.compile(r"(\{[a-z]+(?::[a-z0-9-]+)?\})")
_UNIX = re.compile(r"[0-9]{1,11}", re.ASCII)
_MILLISECONDS = re.compile(r"[0-9]{1,14}", re.ASCII)
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_URL = re.compile(r"(https?)://((?:[^/?#@]*@)?(?:\[[^]/?#]*\]|[^][/?#:@]+))(?::([0-9]{1,5}))?([/?#].*)?", re.DOTALL)
_PORTS = {"https": "443", "http": "80"}


def verify(door: Mapping[str, Any], request: Request, secrets: Iterable[str], now: float | None = None) -> bool:
    """Whether its vendor sent these raw bytes, as one of the secrets shows.

    Constant time in the comparison. No rule, no secret, no header or no digest of the right shape means False. `now`
    is in unix seconds and only matters to vendors that sign a timestamp. A door that is "unsigned" lets everyone in
    who knows the address; it is asked last, so that nothing opens a door that also has a lock.
    """
    if "signature" in door:
        rule = door["signature"]
        return _is_signed(rule, _renamed(rule, request), secrets, time.time() if now is None else now)
    if "token" in door:
        given = request.headers.get(door["token"]["header"], "").encode("utf-8", "surrogatepass")
        found = False
        for secret in secrets:
            found |= bool(secret) and hmac.compare_digest(secret.encode("utf-8", "surrogatepass"), given)
        return found
    return door.get("unsigned") is True


def sign(
    door: Mapping[str, Any],
    body: bytes,
    secret: str,
    now: float | None = None,
    url: str = "",
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The headers with which the vendor would send this body: the other half of `verify`, for tests and the tool.

    `url` is the address as called (`called_at`), for vendors that sign it. A header that is signed too is taken from
    `headers`, else made up, always the same for the same body. Raises ValueError where nothing can be signed: a secret
    that has not the vendor's shape, no address.
    """
    if "signature" not in door:
        return {door["token"]["header"]: secret} if "token" in door else {}
    rule = door["signature"]
    made: dict[str, str] = {}
    if timestamp := rule.get("timestamp"):
        made[timestamp["header"]] = _stamp(timestamp, time.time() if now is None else now)
    for part in _PART.findall(rule["signed"]):
        if part.startswith("{header:") and (name := part[8:-1]) not in made:
            made[name] = (headers or {}).get(name) or f"msg_{hashlib.sha256(body).hexdigest()[:24]}"
    key = _key(rule, secret)
    if key is None:
        raise ValueError("the secret does not have the shape that this vendor's secrets have")
    signed = next(_messages(rule, Request(method, made, body, url=url)), None)
    if signed is None:
        raise ValueError("this delivery cannot be signed: its address, or what covers its body, is missing")
    digest = hmac.new(key, signed, rule["algorithm"]).digest()
    return {**made, rule["headers"][0]: rule.get("prefix", "") + _coded(rule["encoding"], digest)}


def called_at(door: Mapping[str, Any], url: str, body: bytes, headers: Mapping[str, str]) -> str:
    """The address as the vendor calls it to deliver this body: with the body's hash, where that covers what is no
    form. Without a content type, what begins like JSON is no form."""
    rule = door.get("signature", {}).get("body_hash")
    kind = headers.get("content-type", "application/json" if body.lstrip()[:1] in (b"{", b"[") else "")
    if not rule or not kind.startswith("application/json"):
        return url
    return f"{url}{'&' if '?' in url else '?'}{rule['query']}={hashlib.new(rule['algorithm'], body).hexdigest()}"


def fresh_secret(door: Mapping[str, Any]) -> str:
    """A random secret in the shape that this vendor's have."""
    import secrets

    shape = door.get("signature", {}).get("secret")
    if not shape:
        return secrets.token_urlsafe(32)
    return str(shape.get("prefix", "")) + _coded(shape["encoding"], secrets.token_bytes(24))


def form_fields(body: bytes) -> list[tuple[str, str]]:
    """The names and values of a form-encoded body, in order, empty values too. Raises ValueError with a sentence that
    carries nothing of the body."""
    from urllib.parse import parse_qsl

    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("the body is not UTF-8") from None
    if text.count("&") >= MOST_FIELDS:
        raise ValueError(f"the body has more than {MOST_FIELDS} fields")
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict")
    except ValueError:
        raise ValueError("the body is not form-encoded UTF-8") from None


def _renamed(rule: Mapping[str, Any], request: Request) -> Request:
    """The request with its headers by the rule's names, where it has none of its signatures but uses other names."""
    other, headers = rule.get("other_names"), request.headers
    if not other or any(name in headers for name in rule["headers"]):
        return request
    known = {name: value for name, value in headers.items() if name not in other.values()}
    return replace(request, headers=known | {name: headers[one] for one, name in other.items() if one in headers})


def _is_signed(rule: Mapping[str, Any], request: Request, secrets: Iterable[str], now: float) -> bool:
    if timestamp := rule.get("timestamp"):
        said = _seconds(request.headers.get(timestamp["header"], ""), timestamp)
        if said is None or abs(now - said) > timestamp["tolerance"]:
            return False
    given = [digest for digest in _given(rule, request.headers) if digest is not None]
    messages = list(_messages(rule, request)) if given else []
    valid = False
    for secret in secrets:
        key = _key(rule, secret)
        if key is None:
            continue
        for message in messages:
            expected = hmac.new(key, message, rule["algorithm"]).digest()
            for digest in given:
                valid |= hmac.compare_digest(expected, digest)
    return valid


def _given(rule: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[bytes | None]:
    for name in rule["headers"]:
        if name not in headers:
            continue
        if not (separator := rule.get("separator")):
            yield _decode(rule, headers[name])
            continue
        for piece in headers[name].split(separator, MOST_SIGNATURES)[:MOST_SIGNATURES]:
            yield _decode(rule, piece.strip())


def _decode(rule: Mapping[str, Any], header: str) -> bytes | None:
    """The digest, where it is written as signers write it: only one text stands for it."""
    prefix = rule.get("prefix", "")
    if not header.startswith(prefix):
        return None
    text = header[len(prefix) :].strip()
    digest = _decoded(rule["encoding"], text)
    if digest is None or len(digest) != hashlib.new(rule["algorithm"]).digest_size:
        return None
    return digest if _coded(rule["encoding"], digest) == text else None


def _coded(encoding: str, digest: bytes) -> str:
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


def _decoded(encoding: str, text: str) -> bytes | None:
    try:
        coded = text.encode("ascii")
        return bytes.fromhex(coded.decode()) if encoding == "hex" else base64.b64decode(coded, validate=True)
    except (ValueError, binascii.Error):
        return None


def _key(rule: Mapping[str, Any], secret: str) -> bytes | None:
    """What the HMAC is keyed with; None where the secret is empty or has not the shape that the rule names."""
    if not (shape := rule.get("secret")):
        return secret.encode("utf-8", "surrogatepass") or None
    prefix = shape.get("prefix", "")
    return (_decoded(shape["encoding"], secret[len(prefix) :]) or None) if secret.startswith(prefix) else None


def _messages(rule: Mapping[str, Any], request: Request) -> Iterator[bytes]:
    """What may have been signed: the template filled in, once for each way in which signers write the address. Nothing
    where a part is missing, or where the body would not be covered."""
    parts = _PART.split(rule["signed"])
    stamp = request.headers.get(rule["timestamp"]["header"], "") if "timestamp" in rule else ""
    known: dict[str, bytes | None] = {
        "{body}": request.body,
        "{timestamp}": _text(stamp),
        "{method}": _text(request.method.upper()),
    }
    known |= {f"{{header:{name}}}": _text(value) for name, value in request.headers.items()}
    for form in _forms(rule, request):
        for url in _addresses(request.url) if "{url}" in parts else [""]:
            values = {**known, "{form}": form, "{url}": _text(url)}
            found = [values.get(part) if number % 2 else part.encode() for number, part in enumerate(parts)]
            if not any(value is None for value in found):
                yield b"".join(value for value in found if value is not None)


def _text(value: str) -> bytes | None:
    """None for an empty one: what is signed is there."""
    return value.encode("utf-8", "surrogatepass") or None


def _forms(rule: Mapping[str, Any], request: Request) -> list[bytes | None]:
    """What may stand for {form}. Without {body} in the template, nothing where the body would not be covered.

    A hash in the address covers any body; it must be right where it is there, and then signers leave out the fields of
    what is no form. Without it the body is covered by its fields, so it must have some, unless it is empty."""
    fields = _form(request.body) if "{form}" in rule["signed"] else None
    if "{body}" in rule["signed"]:
        return [fields]
    if (hashed := rule.get("body_hash")) and (said := _parameters(request.url, hashed["query"])):
        digest = hashlib.new(hashed["algorithm"], request.body).hexdigest().encode()
        right = all(hmac.compare_digest(digest, one.lower().encode("utf-8", "surrogatepass")) for one in said)
        return [b"", fields] if right else []
    return [fields] if fields or (fields is not None and not request.body) else []


def _form(body: bytes) -> bytes | None:
    """The names and values of a form, by name, each name before each of its different values, with nothing between;
    None for what is no form. Twilio documents it so, and its libraries count a repeated value once:
    https://www.twilio.com/docs/usage/security#validating-requests"""
    try:
        fields = sorted(set(form_fields(body)))
    except ValueError:
        return None
    return "".join(name + value for name, value in fields).encode()


def _parameters(url: str, name: str) -> list[str]:
    from urllib.parse import parse_qsl

    query = url.partition("#")[0].partition("?")[2]
    return [value for key, value in parse_qsl(query, keep_blank_values=True) if key == name]


def _addresses(url: str) -> list[str]:
    """An address as signers may write it: as called, without its port, with the standard one. Twilio's libraries try
    all three, since its own servers differ."""
    if not (found := _URL.fullmatch(url)):
        return []
    scheme, host, port, rest = found.groups()
    bare = f"{scheme}://{host}{rest or ''}"
    standard = [f"{scheme}://{host}:{_PORTS[scheme]}{rest or ''}"] if port in {None, _PORTS[scheme]} else []
    return list(dict.fromkeys([url, bare, *standard]))


def _seconds(stamp: str, rule: Mapping[str, Any]) -> float | None:
    """A signed timestamp in unix seconds; None where it does not have the shape that the rule names."""
    match rule.get("format", "unix"):
        case "unix":
            return int(stamp) if _UNIX.fullmatch(stamp) else None
        case "ms":
            return int(stamp) / 1000 if _MILLISECONDS.fullmatch(stamp) else None
    if not _ISO.fullmatch(stamp):
        return None
    from datetime import datetime

    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError):
        return None


def _stamp(rule: Mapping[str, Any], now: float) -> str:
    match rule.get("format", "unix"):
        case "unix":
            return str(int(now))
        case "ms":
            return str(int(now * 1000))
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(now)))
