"""The published lexicons as JSON Schema, as far as requests and answers need them. https://atproto.com/specs/lexicon"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_PLAIN = {"string", "integer", "boolean"}
_HASH = "::"
"""Where a lexicon's reference has a hash, which means something else in a JSON pointer."""
_KEPT = ("minimum", "maximum", "maxLength", "minLength", "enum", "const")


def schema_of(lexicons: Sequence[Mapping[str, Any]], name: str, part: str) -> dict[str, Any]:
    """`part`: `parameters`, `input` or `output` of a method; "" for a record."""
    by_id = {one["id"]: one["defs"] for one in lexicons}
    main = by_id[name]["main"]
    asked = main.get("parameters", {"type": "params"})
    body = main["record"] if not part else asked if part == "parameters" else main[part]["schema"]
    found: dict[str, Any] = {"$defs": {}}
    _needed(by_id, name, body, found["$defs"])
    return {**found, **_schema(body, name)}


def _needed(by_id: Mapping[str, Any], name: str, body: Any, into: dict[str, Any]) -> None:
    """Everything that is referred to, from wherever it stands."""
    for ref in _refs(body):
        full = _full(ref, name)
        if full in into:
            continue
        place, _, inner = full.partition(_HASH)
        there = by_id[place][inner]
        there = there["record"] if there["type"] == "record" else there
        into[full] = {}
        into[full] = _schema(there, place)
        _needed(by_id, place, there, into)


def _refs(body: Any) -> list[str]:
    if isinstance(body, list):
        return [ref for one in body for ref in _refs(one)]
    if not isinstance(body, dict):
        return []
    own = [body["ref"]] if body.get("type") == "ref" else body.get("refs", []) if body.get("type") == "union" else []
    return [*own, *(ref for value in body.values() for ref in _refs(value))]


def _full(ref: str, name: str) -> str:
    bare = ref.removeprefix("lex:")
    full = f"{name}{bare}" if bare.startswith("#") else bare
    return (full if "#" in full else f"{full}#main").replace("#", _HASH)


def _schema(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    kind = body["type"]
    if kind in {"object", "params"}:
        inner = {key: _schema(value, name) for key, value in body.get("properties", {}).items()}
        return {"type": "object", "properties": inner, "required": body.get("required", [])}
    if kind == "array":
        return {"type": "array", "items": _schema(body["items"], name), "maxItems": body.get("maxLength", 10**6)}
    if kind == "ref":
        return {"$ref": "#/$defs/" + _full(body["ref"], name)}
    if kind == "union":
        return {"anyOf": [_tagged(_full(ref, name)) for ref in body["refs"]]} if body["refs"] else {}
    return {"type": kind, **{key: body[key] for key in _KEPT if key in body}} if kind in _PLAIN else {}


def _tagged(full: str) -> dict[str, Any]:
    tag = {
        "properties": {"$type": {"const": full.removesuffix(f"{_HASH}main").replace(_HASH, "#")}},
        "required": ["$type"],
    }
    return {"allOf": [{"$ref": f"#/$defs/{full}"}, tag]}
