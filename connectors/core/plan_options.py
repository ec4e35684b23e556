"""What a `Custom::Plan` says beside its routes: which place it has among other plans, whether anything goes out, and
where its routes lie if they are too many for a template. Pure; returns all findings and never raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.core.plan_settings import Finding

OPTIONS = ("Priority", "Sources", "Effects", "Definition")
LARGEST_DEFINITION = 5_000_000
"""Bytes of a plan that lies in S3."""
PRIORITY_MOST = 1_000_000

_ADDRESS = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>[^?]{1,1024})(\?(?P<query>.*))?")
_VERSION = re.compile(r"versionId=(?P<version>[^&\s]{1,1024})")
_EXAMPLE = "Write s3://bucket/key?versionId=… with the version of the object."


@dataclass(frozen=True, slots=True)
class Address:
    """One version of one object in S3."""

    bucket: str
    key: str
    version: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Options:
    """`priority`: None for the base plan. See `plan_merge.PlanPart`."""

    priority: int | None = None
    everywhere: bool = False
    effects: bool = True
    definition: Address | None = None


def read_options(properties: Mapping[str, object], bucket: str) -> tuple[Options, list[Finding]]:
    """The options. `bucket` is what Hailback was granted, `name/` or `name/prefix`; '' where nothing was."""
    findings: list[Finding] = []
    priority = _priority(properties, findings)
    everywhere = _one_of(properties, "Sources", {"own": False, "all": True}, False, findings)
    effects = _one_of(properties, "Effects", {"on": True, "true": True, "off": False, "false": False}, True, findings)
    if "Sources" in properties and "Priority" not in properties:
        remedy = "Remove it, or give this plan a Priority if another one owns the catch-all."
        findings.append(Finding("Sources", "is for plans with a Priority; the base plan takes all.", remedy))
    definition = _definition(properties, bucket, findings)
    return Options(priority, everywhere, effects, definition), findings


def read_definition(body: bytes) -> tuple[dict[str, object] | None, list[Finding]]:
    """The object that holds `Routes`, from the text of a definition."""
    if len(body) > LARGEST_DEFINITION:
        sentence = f"is larger than the limit of {LARGEST_DEFINITION} bytes."
        return None, [Finding("Definition", sentence, "Shorten or remove routes.")]
    try:
        said = json.loads(body.decode("utf-8"), object_pairs_hook=_unique)
    except _TwiceError as error:
        return None, [Finding("Definition", f"'{error}' is written twice in one object.", "Keep one of them.")]
    except json.JSONDecodeError as error:
        where = f"is no JSON: {error.msg} in line {error.lineno}, column {error.colno}."
        return None, [Finding("Definition", where, "Correct it.")]
    except (UnicodeDecodeError, RecursionError):
        return None, [Finding("Definition", "is no JSON in UTF-8.", "Correct it.")]
    if not isinstance(said, dict) or "Routes" not in said:
        return None, [
            Finding("Definition", "has no Routes.", 'Write {"Routes": […]} with the routes as in a template.')
        ]
    more = [
        Finding(f"Definition.{key[:80]}", "is not a field of a definition.", "Write it in the template.")
        for key in said
        if key != "Routes"
    ]
    return (None, more) if more else (said, [])


class _TwiceError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _TwiceError("".join(letter if letter.isprintable() else "?" for letter in key[:80]))
        found[key] = value
    return found


def _priority(properties: Mapping[str, object], findings: list[Finding]) -> int | None:
    given = properties.get("Priority")
    if given is None:
        return None
    text = str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""
    if not re.fullmatch(r"[0-9]{1,7}", text) or int(text) > PRIORITY_MOST:
        sentence = f"is not a whole number from 0 to {PRIORITY_MOST}."
        findings.append(Finding("Priority", sentence, "Write one such as 100; the lowest comes first."))
        return None
    return int(text)


def _one_of(
    properties: Mapping[str, object], field: str, values: Mapping[str, bool], default: bool, findings: list[Finding]
) -> bool:
    given = properties.get(field)
    if given is None:
        return default
    found = values.get(str(given).lower()) if isinstance(given, str | bool) else None
    if found is None:
        words = " or ".join(word for word in values if word not in {"true", "false"})
        findings.append(Finding(field, f"is neither {words.replace(' or ', ' nor ')}.", f"Write {words}."))
        return default
    return found


def _definition(properties: Mapping[str, object], granted: str, findings: list[Finding]) -> Address | None:
    given = properties.get("Definition")
    if given is None:
        return None
    if "Routes" in properties:
        findings.append(Finding("Definition", "stands beside Routes.", "Keep one of the two."))
    match = _ADDRESS.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        findings.append(Finding("Definition", "is not the address of an object in S3.", _EXAMPLE))
        return None
    version = _VERSION.fullmatch(match["query"] or "")
    if version is None or version["version"] == "null":
        sentence = "names no version of the object, so it could change without a deployment."
        findings.append(Finding("Definition", sentence, _EXAMPLE))
        return None
    bucket, _, prefix = granted.partition("/")
    if match["bucket"] != bucket or not match["key"].startswith(prefix):
        inside = f"s3://{granted}" if granted else "no bucket at all"
        sentence = f"lies outside of what Hailback was granted, which is {inside}."
        remedy = "Deploy Hailback with DefinitionsBucket set to its bucket, or put the definition there."
        findings.append(Finding("Definition", sentence, remedy))
        return None
    return Address(match["bucket"], match["key"], version["version"])
