"""The JSON Schema of a template with our resources, made from the grammar and the connectors' settings. Pure.

An editor does not look behind CloudFormation's tags: to it, `!Ref TrackerPoll` is the text TrackerPoll, and `!If` a
list. So a text with a fixed form may also be the name of a parameter or resource, and a list may hold lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import connectors
from connectors.core.facts import CLOSED, FIELDS
from connectors.core.pattern_parse import OPERATORS
from connectors.core.plan import PRIORITIES
from connectors.core.plan_options import OPTIONS
from connectors.core.plan_reading import MOST_STANDBYS
from connectors.core.plan_routes import MOST_LABELS, ROUTE_FIELDS
from connectors.core.plan_settings import setting_names

Schema = dict[str, Any]
_NAMED = "[A-Z][A-Za-z0-9]*|AWS::[A-Za-z]+"
"""A parameter or resource behind `!Ref`, as an editor sees it."""
_DURATION = r"([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?"
_CALL: Schema = {"$ref": "#/$defs/call"}
_KINDS = ("text", "number", "boolean")
_COMPARISON: Schema = {"enum": ["=", "<", "<=", ">", ">="]}
_OPERAND: Schema = {"type": ["number", "string"]}
_ENDS: Schema = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "required": ["equals-ignore-case"],
            "additionalProperties": False,
            "properties": {"equals-ignore-case": {"type": "string"}},
        },
    ]
}
_NONE_OF: Schema = {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1}
_COMPARED: dict[str, Schema] = {
    "exists": {"enum": [True, False, "true", "false"]},
    "numeric": {
        "type": "array",
        "minItems": 2,
        "maxItems": 4,
        "prefixItems": [_COMPARISON, _OPERAND, _COMPARISON, _OPERAND],
    },
    "anything-but": {
        "anyOf": [
            {"type": ["string", "number"]},
            {"type": "array", "minItems": 1, "items": {"type": ["string", "number"]}},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": False,
                "properties": dict.fromkeys(("prefix", "suffix", "wildcard", "equals-ignore-case"), _NONE_OF),
            },
        ]
    },
    "prefix": _ENDS,
    "suffix": _ENDS,
}
_NEARLY = "^Custom::([Ss]ources?|[Ss]ystems?|[Pp]lans?)$"
"""Types that are meant to be ours; a template may hold other people's."""


def schema() -> Schema:
    """The whole document, JSON Schema 2020-12."""
    kinds = {"Custom::Source": "source", "Custom::System": "system", "Custom::Plan": "plan"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hailback: sources, systems and a plan in a CloudFormation template",
        "type": "object",
        "required": ["Resources"],
        "properties": {
            "Resources": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "required": ["Type"],
                    "properties": {
                        "Type": {"anyOf": [{"enum": sorted(kinds)}, {"type": "string", "not": {"pattern": _NEARLY}}]}
                    },
                    "allOf": [_when_type(kind, name) for kind, name in kinds.items()],
                },
            }
        },
        "$defs": {
            "call": _call(),
            "text": _any({"type": ["string", "number", "boolean"]}),
            "texts": _texts(),
            "duration": _fixed(_DURATION, "A whole number with s, m, h or d, such as 90s or 2m."),
            "when": _when(),
            **{f"{kind}-tests": _tests(kind, None) for kind in _KINDS},
            "compared": _compared(),
            **_nested(""),
            "plan": _plan(),
            "route": _route(),
            "source": _chosen("source", connectors.SOURCES),
            "system": _chosen("system", connectors.SYSTEMS),
            **{f"source-{name}": _connected("source", name) for name in sorted(connectors.SOURCES)},
            **{f"system-{name}": _connected("system", name) for name in sorted(connectors.SYSTEMS)},
        },
    }


def _when_type(kind: str, name: str) -> Schema:
    return {
        "if": {"properties": {"Type": {"const": kind}}, "required": ["Type"]},
        "then": {"required": ["Properties"], "properties": {"Properties": {"$ref": f"#/$defs/{name}"}}},
    }


def _call() -> Schema:
    """A function of CloudFormation in its long form."""
    return {
        "description": "!Ref, !Sub, !If and the other functions of CloudFormation",
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "patternProperties": {"^(Ref|Fn::[A-Za-z0-9]+)$": {}},
        "additionalProperties": False,
    }


def _any(*schemas: Schema) -> Schema:
    return {"anyOf": [*schemas, _CALL]}


def _texts() -> Schema:
    """A list, a text where one is enough, or `!If` over lists, which looks like a list of lists."""
    one = {"type": ["string", "number", "boolean", "array"]}
    return _any({"type": "array", "items": _any(one)}, {"type": ["string", "number"]})


def _fixed(pattern: str, words: str) -> Schema:
    text = {"type": "string", "minLength": 1, "pattern": f"^({pattern}|{_NAMED})$"}
    return {"description": words, **_any(text, {"type": "array", "minItems": 3})}


def _one_of(values: tuple[str, ...], words: str) -> Schema:
    return {"description": words, **_any({"enum": list(values)})}


def _said(words: str, name: str) -> Schema:
    return {"description": words, "$ref": f"#/$defs/{name}"}


def _envelope() -> dict[str, Schema]:
    return {
        "ServiceToken": _said("The ARN of configure_stack: !Ref Configure.", "text"),
        "ServiceTimeout": {
            "description": "Seconds for which CloudFormation waits; write 120.",
            **_any({"type": "integer", "minimum": 1, "maximum": 3600}, {"type": "string", "pattern": "^[0-9A-Za-z]+$"}),
        },
        "Revision": _said("Change it to have everything checked again.", "text"),
    }


# ---- sources and systems


def _chosen(kind: str, names: Mapping[str, str]) -> Schema:
    """What is the same for all connectors, then what each takes."""
    return {
        "type": "object",
        "required": ["ServiceToken", "Connector", "Secret"],
        "properties": {"Connector": {"enum": sorted(names)}},
        "allOf": [
            {
                "if": {"properties": {"Connector": {"const": name}}, "required": ["Connector"]},
                "then": {"$ref": f"#/$defs/{kind}-{name}"},
            }
            for name in sorted(names)
        ],
    }


def _connected(kind: str, name: str) -> Schema:
    found: Any = connectors.source(name) if kind == "source" else connectors.system(name)
    model = found.settings_model
    given = model.model_json_schema(by_alias=True, mode="validation")
    taken = setting_names(model)
    properties = {shown: _setting(given["properties"][key], given.get("$defs", {})) for shown, key in taken.items()}
    polls = name in connectors.POLLERS if kind == "source" else hasattr(found, "poll")
    poll = {"Poll": _said("How often it is asked, from 5s to 1d.", "duration")} if polls else {}
    return {
        "description": " ".join((model.__doc__ or name).split()),
        "type": "object",
        "additionalProperties": False,
        "required": [shown for shown, key in taken.items() if key in given.get("required", [])],
        "properties": {
            **_envelope(),
            "Connector": {"const": name},
            "Secret": _said("The secret's name, without /verification or /credentials.", "text"),
            "Hold": _one_of_booleans("true: nothing goes out for it, and it is not asked."),
            **poll,
            **properties,
        },
    }


def _one_of_booleans(words: str) -> Schema:
    return {
        "description": words,
        **_any({"type": "boolean"}, {"type": "string", "pattern": f"^(true|false|{_NAMED})$"}),
    }


def _setting(given: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """A field of a settings model as a template takes it: everything is a text there, one may stand for a list."""
    if "$ref" in given:
        return _setting(definitions[given["$ref"].rpartition("/")[2]], definitions)
    options = [one for one in given.get("anyOf", [given]) if one.get("type") != "null"]
    one = options[0] if len(options) == 1 else {}
    default = {"default": given["default"]} if given.get("default") not in (None, []) else {}
    match one:
        case {"enum": values}:
            return {**default, **_any({"enum": values})}
        case {"type": "array"}:
            return {**default, "$ref": "#/$defs/texts"}
        case {"type": "object", "properties": members}:
            inner = {name: _setting(member, definitions) for name, member in members.items()}
            return {"type": "object", "additionalProperties": False, "properties": inner}
        case {"type": "number" | "integer"}:
            limits = {
                key: one[key] for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") if key in one
            }
            return {**default, **_any({"type": "number", **limits}, {"type": "string"})}
        case {"type": "string", "pattern": pattern}:
            text = {"type": "string", "pattern": f"{pattern}|^({_NAMED})$"}
            return {**default, **_any(text)}
        case {"type": "boolean"}:
            return {**default, **_one_of_booleans("")}
        case _:
            limits = {key: one[key] for key in ("minLength", "maxLength") if key in one}
            return {**default, **_any({"type": ["string", "number", "boolean"], **limits})}


# ---- the plan


def _plan() -> Schema:
    options = {
        "Priority": _said("The place among plans beside the base plan: the lowest comes first.", "text"),
        "Sources": _one_of(("own", "all"), "Of a plan with a Priority: whose mentions it takes; own by default."),
        "Effects": _any(
            {"enum": ["on", "off", True, False]},
            {"type": "string", "pattern": f"^({_NAMED})$"},
        ),
        "Definition": _said("Routes that lie in S3: s3://bucket/key?versionId=…", "text"),
    }
    options["Effects"]["description"] = (
        "off: with a Priority, a shadow, whose routes take nothing; in the base plan nothing goes out at all."
    )
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["ServiceToken"],
        "anyOf": [{"required": ["Routes"]}, {"required": ["Definition"]}],
        "properties": {
            **_envelope(),
            "Routes": {
                "description": "In order: the first that fits takes a mention; the last has no When.",
                "type": "array",
                "minItems": 1,
                "items": _item(),
            },
            **{name: options[name] for name in OPTIONS},
        },
    }


def _route() -> Schema:
    labels = _list(f"At most {MOST_LABELS} words that are put on the record.", MOST_LABELS, _LABEL)
    fields = {
        "Name": {
            "description": "Up to 64 letters, digits, hyphens and underscores.",
            **_any({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}),
        },
        "When": _said("What it asks of a mention, in EventBridge's pattern language; the last route has none.", "when"),
        "Case": _list("Systems: the first that takes the case, then its stand-bys.", MOST_STANDBYS),
        "Notify": _list("Topics: the first that somebody hears, then its stand-bys.", MOST_STANDBYS),
        "FailOverAfter": _said("How long a system may refuse; 2m by default.", "duration"),
        "Labels": labels,
        "Priority": _one_of(PRIORITIES, "Of the record, in the system's own words."),
        "Coalesce": _said("How long further posts are gathered into one note; at most 1h.", "duration"),
        "Open": _one_of(("case", "count"), "count: no case is opened and nobody is told."),
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["Name"],
        "properties": {name: fields[name] for name in ROUTE_FIELDS},
        "if": {"properties": {"Open": {"const": "count"}}, "required": ["Open"]},
        "then": {"properties": {name: False for name in ROUTE_FIELDS if name not in _COUNTS}},
        "else": {"required": ["Case", "Notify"]},
    }


_LABEL = "[A-Za-z0-9_-]{1,60}"
_COUNTS = ("Name", "When", "Labels", "Open")
"""What a route takes that only counts."""


def _list(words: str, most: int, pattern: str = "") -> Schema:
    """A list of texts, of at most so many; `!Ref` of a list, or `!If` over lists, as an editor sees them."""
    text: Schema = {"type": ["string", "number", "boolean"]}
    one = {**text, "pattern": f"^({pattern}|{_NAMED})$"} if pattern else text
    several = {"type": "array", "minItems": 1, "maxItems": most, "items": _any(one, {"type": "array"})}
    return {"description": words, **_any(several, {"type": "string", "pattern": f"^({_NAMED})$"})}


def _item() -> Schema:
    """A route, or a function in its place: to an editor `!If` looks like a list, `!Ref` like a text."""
    function = {"type": ["array", "string"], "minItems": 2, "pattern": f"^({_NAMED})$"}
    return {
        "if": {"type": "object"},
        "then": {"if": {"required": ["Fn::If"]}, "then": _CALL, "else": {"$ref": "#/$defs/route"}},
        "else": function,
    }


def _when() -> Schema:
    """A mapping of a mention's fields, or the same as a JSON text."""
    return {"anyOf": [{"$ref": "#/$defs/fields"}, {"type": "string"}]}


def _nested(under: str) -> dict[str, Schema]:
    """`fields` and what is nested in it, each with a `$or` of its own: `fields-author` for those below `author`."""
    found: dict[str, Schema] = {}
    here: dict[str, Schema] = {}
    for path, kind in FIELDS.items():
        name, dot, _ = path.removeprefix(under).partition(".")
        if not path.startswith(under) or name in here:
            continue
        if dot:
            found |= _nested(f"{under}{name}.")
            here[name] = {"$ref": f"#/$defs/{_fields(f'{under}{name}.')}"}
        else:
            here[name] = _tests(kind, CLOSED.get(path))
    if not under:
        here["metrics"] = {"$ref": f"#/$defs/{_fields('metrics.')}"}
        others = {"additionalProperties": {"$ref": "#/$defs/number-tests"}}
        found[_fields("metrics.")] = _alternatives({}, _fields("metrics.")) | others
    return {_fields(under): _alternatives(here, _fields(under)), **found}


def _fields(under: str) -> str:
    return "-".join(["fields", *under.split(".")[:-1]])


def _alternatives(fields: dict[str, Schema], name: str) -> Schema:
    several = {"type": "array", "minItems": 2, "items": {"$ref": f"#/$defs/{name}"}}
    properties = {**fields, "$or": several}
    return {"type": "object", "minProperties": 1, "additionalProperties": False, "properties": properties}


def _tests(kind: str, closed: tuple[object, ...] | None) -> Schema:
    """The values that a field is compared to, at least one, each a value or an operator."""
    values: Schema = {"type": ["string", "number", "boolean", "null"]}
    if closed is not None and kind == "text":
        values = {"enum": list(closed)}
    elif kind == "number":
        values = {"type": ["number", "string", "null"]}
    elif kind == "boolean":
        allowed = [one for one in closed or (True, False, None) if one is not None]
        values = {"enum": [*allowed, None, *(str(one).lower() for one in allowed)]}
    return {"type": "array", "minItems": 1, "items": _any(values, {"$ref": "#/$defs/compared"})}


def _compared() -> Schema:
    """One operator of the pattern language."""
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": {name: _COMPARED.get(name, {"type": "string"}) for name in OPERATORS},
    }
