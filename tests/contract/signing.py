"""Deliveries signed as a `door.json` says, worked out here and not by the door: what the contract and the million
mutations hold the door against. And one door for each thing that the grammar can say."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from connectors.core import door
from connectors.core.delivery import Request
from connectors.tool.samples import Sample

PUBLIC = "https://hooks.acme.com"
MESSAGE = "msg_2KWPBgLlAfxdpX2AI54pPJ85f4W"

EXAMPLES: dict[str, dict[str, Any]] = {
    "like_slack": {
        "signature": {
            "headers": ["x-slack-signature"],
            "algorithm": "sha256",
            "encoding": "hex",
            "prefix": "v0=",
            "signed": "v0:{timestamp}:{body}",
            "timestamp": {"header": "x-slack-request-timestamp", "tolerance": 300, "format": "unix"},
        },
        "body": "any",
        "keep": ["x-slack-retry-num"],
        "challenge": {"body": {"where": {"type": "url_verification"}, "field": "challenge"}},
    },
    "like_twilio": {
        "signature": {
            "headers": ["x-twilio-signature"],
            "algorithm": "sha1",
            "encoding": "base64",
            "prefix": "",
            "signed": "{url}{form}",
            "body_hash": {"query": "bodySHA256", "algorithm": "sha256"},
        },
        "body": "any",
        "keep": ["content-type"],
        "answer": {"type": "text/xml", "body": "<Response/>"},
    },
    "like_standard_webhooks": {
        "signature": {
            "headers": ["webhook-signature"],
            "algorithm": "sha256",
            "encoding": "base64",
            "prefix": "v1,",
            "separator": " ",
            "signed": "{header:webhook-id}.{timestamp}.{body}",
            "timestamp": {"header": "webhook-timestamp", "tolerance": 300},
            "secret": {"prefix": "whsec_", "encoding": "base64"},
        },
        "body": "json",
        "keep": ["webhook-id"],
    },
    "like_hubspot": {
        "signature": {
            "headers": ["x-hubspot-signature-v3"],
            "algorithm": "sha256",
            "encoding": "base64",
            "prefix": "",
            "signed": "{method}{url}{body}{timestamp}",
            "timestamp": {"header": "x-hubspot-request-timestamp", "tolerance": 300, "format": "ms"},
        },
        "body": "json",
        "keep": [],
    },
    "like_pagerduty": {
        "signature": {
            "headers": ["x-pagerduty-signature"],
            "algorithm": "sha256",
            "encoding": "hex",
            "prefix": "v1=",
            "separator": ",",
            "signed": "{body}",
        },
        "body": "json",
        "keep": [],
    },
    "like_intercom": {
        "signature": {
            "headers": ["x-hub-signature"],
            "algorithm": "sha1",
            "encoding": "hex",
            "prefix": "sha1=",
            "signed": "{body}",
        },
        "body": "json",
        "keep": [],
    },
    "like_linear": {
        "signature": {
            "headers": ["linear-signature"],
            "algorithm": "sha256",
            "encoding": "hex",
            "prefix": "",
            "signed": "{body}",
        },
        "body": "json",
        "keep": [],
    },
    "like_gitlab": {"token": {"header": "x-gitlab-token"}, "body": "json", "keep": ["x-gitlab-event"]},
    "like_trustpilot": {"unsigned": True, "body": "json", "keep": []},
}


def rules(name: str) -> Mapping[str, Any]:
    """The door of a connector, or of an example."""
    found = EXAMPLES.get(name) or door.load(name)
    assert found is not None
    return found


def secret_for(rule: Mapping[str, Any], words: str) -> str:
    """A secret of these words, in the vendor's shape."""
    shape = rule.get("signature", {}).get("secret")
    if not shape:
        return words
    coded = words.encode().hex() if shape["encoding"] == "hex" else base64.b64encode(words.encode()).decode()
    return str(shape["prefix"]) + coded


def delivered(
    rule: Mapping[str, Any], sample: Sample, secret: str, now: float, url: str = PUBLIC + "/acme/token"
) -> Request:
    """A delivery as the vendor sends it, with the sample's headers."""
    if "signature" not in rule:
        signature = {rule["token"]["header"]: secret} if "token" in rule else {}
        return Request("POST", {**sample.headers, **signature}, sample.body, url=url)
    how = rule["signature"]
    if "body_hash" in how and not _is_form(sample):
        digest = hashlib.new(how["body_hash"]["algorithm"], sample.body).hexdigest()
        url += f"{'&' if '?' in url else '?'}{how['body_hash']['query']}={digest}"
    headers = dict(sample.headers)
    if clock := how.get("timestamp"):
        headers[clock["header"]] = stamp(clock, now)
    if "{header:webhook-id}" in how["signed"]:
        headers["webhook-id"] = MESSAGE
    request = Request("POST", headers, sample.body, url=url)
    digests = _digests(how, request, [secret], [url])
    headers[how["headers"][0]] = how["prefix"] + _coded(how, digests[0] if digests else b"-" * 32)
    return request


def is_signed(rule: Mapping[str, Any], request: Request, secrets: Iterable[str], stamps: Iterable[str]) -> bool:
    """Whether the vendor might have sent it. `stamps`: the times that are near enough, as the vendor writes them."""
    known = [secret for secret in secrets if secret]
    if "signature" not in rule:
        return "token" not in rule or request.headers.get(rule["token"]["header"]) in known
    how = rule["signature"]
    if "timestamp" in how and request.headers.get(how["timestamp"]["header"]) not in set(stamps):
        return False
    digests = _digests(how, request, known, [request.url, *_with_and_without_port(request.url)])
    return any(given in digests for header in how["headers"] for given in _read(how, request.headers.get(header)))


def stamp(clock: Mapping[str, Any], now: float) -> str:
    """A time as the vendor writes it."""
    match clock.get("format", "unix"):
        case "iso8601":
            return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case "ms":
            return str(int(now) * 1000)
    return str(int(now))


def asked(rule: Mapping[str, Any], body: bytes) -> bool:
    """Whether a delivery is a handshake."""
    where = rule.get("challenge", {}).get("body", {}).get("where")
    try:
        said = json.loads(body.decode("utf-8"))  # bytes alone would let half surrogate pairs through
    except (ValueError, RecursionError):
        return False
    return bool(where) and isinstance(said, dict) and all(said.get(name) == value for name, value in where.items())


def _is_form(sample: Sample) -> bool:
    kind = sample.headers.get("content-type")
    return kind.startswith("application/x-www-form-urlencoded") if kind else b"=" in sample.body[:40]


def _with_and_without_port(url: str) -> list[str]:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    name, colon, port = host.rpartition(":")
    if colon and port.isascii() and port.isdigit():
        host = name
    return [f"{scheme}://{host}{port}{slash}{path}" for port in ("", ":443" if scheme == "https" else ":80")]


def _form(body: bytes) -> bytes | None:
    """By hand: each name once, its different values in order."""
    fields: dict[str, set[str]] = {}
    try:
        for pair in filter(None, body.split(b"&")):
            name, _, value = pair.replace(b"+", b" ").partition(b"=")
            fields.setdefault(unquote_to_bytes(name).decode(), set()).add(unquote_to_bytes(value).decode())
        body.decode()
    except UnicodeDecodeError:
        return None
    return "".join(name + value for name in sorted(fields) for value in sorted(fields[name])).encode()


def _digests(how: Mapping[str, Any], request: Request, secrets: Iterable[str], urls: Iterable[str]) -> list[bytes]:
    forms: list[bytes | None] = [_form(request.body)] if "{form}" in how["signed"] else [b""]
    if hashed := how.get("body_hash"):
        query = request.url.partition("?")[2]
        said = [pair.partition("=")[2] for pair in query.split("&") if pair.partition("=")[0] == hashed["query"]]
        right = said == [hashlib.new(hashed["algorithm"], request.body).hexdigest()]
        forms = [b""] if right else forms if not said and (forms[0] or not request.body) else []
    made = []
    for form in forms:
        for url in urls:
            covered = _fill(how, request, url, form)
            made += [hmac.digest(_key(how, one), covered, how["algorithm"]) for one in secrets if covered is not None]
    return made


def _fill(how: Mapping[str, Any], request: Request, url: str, form: bytes | None) -> bytes | None:
    """The template, filled in from the left."""
    clock = request.headers.get(how["timestamp"]["header"], "") if "timestamp" in how else ""
    values = {
        "{body}": request.body,
        "{timestamp}": clock.encode(),
        "{method}": request.method.encode(),
        "{url}": url.encode(),
        "{form}": form,
        "{header:webhook-id}": request.headers.get("webhook-id", "").encode("utf-8", "surrogatepass"),
    }
    filled, template = b"", how["signed"]
    while template:
        part = next((part for part in values if template.startswith(part)), None)
        value = values[part] if part else template[:1].encode()
        if value is None:
            return None
        filled, template = filled + value, template[len(part or "-") :]
    return filled


def _key(how: Mapping[str, Any], secret: str) -> bytes:
    shape = how.get("secret")
    if not shape:
        return secret.encode("utf-8", "surrogatepass")
    coded = secret.removeprefix(shape["prefix"])
    return bytes.fromhex(coded) if shape["encoding"] == "hex" else base64.b64decode(coded)


def _coded(how: Mapping[str, Any], digest: bytes) -> str:
    return digest.hex() if how["encoding"] == "hex" else base64.b64encode(digest).decode()


def _read(how: Mapping[str, Any], header: str | None) -> list[bytes]:
    found = []
    pieces = (header or "").split(how["separator"])[:20] if "separator" in how else [header or ""]
    for piece in (one.strip() if "separator" in how else one for one in pieces):
        if not piece.startswith(how["prefix"]):
            continue
        coded = piece.removeprefix(how["prefix"]).strip()
        try:
            digest = bytes.fromhex(coded) if how["encoding"] == "hex" else base64.b64decode(coded.encode("ascii"))
        except ValueError:
            continue
        if _coded(how, digest) == coded:  # no blanks, no capitals in what is hexadecimal, no bits to spare
            found.append(digest)
    return found
