"""The outside of each resource: its type, what stands beside its properties, and the fields that every one has."""

from __future__ import annotations

import re
from collections.abc import Iterator

import connectors
from connectors.core.plan_grammar import closest
from connectors.tool.cfn_names import WrongName
from connectors.tool.cfn_text import Fields, Leaf, Node, Text
from connectors.tool.cfn_values import OURS, Resource, Unknown

_ATTRIBUTES = (
    *("Type", "Properties", "DependsOn", "Condition", "Metadata", "DeletionPolicy", "UpdateReplacePolicy"),
    *("CreationPolicy", "UpdatePolicy"),
)
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-product-attribute-reference.html"""
_TOKEN = re.compile(
    r"arn:aws[a-z0-9-]*:(?P<service>lambda|sns):(?P<region>[a-z0-9-]+):(?P<account>[0-9]+):(function:)?[A-Za-z0-9_.:$-]+"
)
_FOREIGN = ("AWS::", "Alexa::", "Custom::")
Wrong = tuple[str, str, str]
"""Field, sentence, remedy."""


def wrong_resources(text: Text) -> list[WrongName]:
    """Resources that cannot be what they are meant to be; what is wrong inside of these is not looked for."""
    found: list[WrongName] = []
    section = text.root.values["Resources"]
    for name, node in section.values.items() if isinstance(section, Fields) else ():
        if name.startswith("Fn::"):
            continue
        at, steps = section.keys[name] if isinstance(section, Fields) else node.place, ("Resources", name)
        if not isinstance(node, Fields):
            found.append(
                WrongName(at, steps, "is no resource.", "Write Type and Properties under it, two blanks further in.")
            )
            continue
        for field, sentence, remedy in _wrong_resource(node):
            found.append(WrongName(node.keys.get(field, at), (*steps, field), sentence, remedy))
    return found


def _wrong_resource(node: Fields) -> Iterator[Wrong]:
    kind = node.values.get("Type")
    beside = [name for name in node.values if name not in _ATTRIBUTES and not name.startswith("Fn::")]
    meant = _meant(node)
    if kind is None:
        near = next((name for name in beside if closest(name, ("Type",))), None)
        if near is None:
            yield "Type", "is missing.", f"Write Type: {meant}." if meant else "Write what kind of resource it is."
    elif not isinstance(kind, Leaf) or not kind.text:
        yield "Type", "is not one text.", f"Write {meant or 'Custom::Plan'}, or another type."
    elif kind.text not in OURS and (right := _right(kind.text, node)):
        yield "Type", f"{kind.text[:80]} is not a type of Hailback's.", f"Did you mean {right}?"
    ours = isinstance(kind, Leaf) and kind.text in OURS
    for name in beside if ours or kind is None else ():
        near = closest(name, _ATTRIBUTES)
        remedy = f"Did you mean {near}?" if near else "Move it under Properties."
        yield name[:80], "stands beside Properties, where no such field is.", remedy
    if ours and "Properties" not in node.values and not any(closest(name, ("Properties",)) for name in beside):
        yield "Properties", "is missing.", "Write Properties, and the fields under it."
    elif ours and "Properties" in node.values and not isinstance(node.values["Properties"], Fields):
        yield "Properties", "is no mapping of fields.", "Write each field under it by its name, without a hyphen."


def _right(kind: str, node: Fields) -> str | None:
    """The type of ours that was meant; None for one that is somebody else's, as far as can be told."""
    meant = _meant(node)
    if kind.startswith(_FOREIGN) and meant is None:
        return None
    near = closest(kind.rpartition("::")[2], [one.rpartition("::")[2] for one in OURS])
    return meant or (f"Custom::{near}" if near and not kind.startswith(_FOREIGN) else None)


def _meant(node: Fields) -> str | None:
    """The type that fields like these belong to."""
    for given in (node.values.get("Properties"), *(node.values.get(name) for name in ("Property", "properties")), node):
        if not isinstance(given, Fields):
            continue
        if "Routes" in given.values or "Definition" in given.values:
            return "Custom::Plan"
        connector = _text(given.values.get("Connector"))
        if connector:
            return "Custom::System" if connector in connectors.SYSTEMS else "Custom::Source"
    return None


def _text(node: Node | None) -> str:
    return (node.text or "") if isinstance(node, Leaf) else ""


def wrong_envelope(one: Resource) -> Iterator[Wrong]:
    """`ServiceToken` and `ServiceTimeout` of a resource of ours."""
    token = one.properties.get("ServiceToken")
    if token is None:
        if not any(closest(name, ("ServiceToken",)) for name in one.properties if name != "ServiceTimeout"):
            yield "ServiceToken", "is missing.", "Write !Ref Configure, the ARN of configure_stack."
    elif not isinstance(token, Unknown) and ("ServiceToken",) not in one.unknown and not _is_token(token):
        remedy = "Write !Ref Configure, the output ConfigureArn of Hailback's own stack."
        yield "ServiceToken", "is not the ARN of a function.", remedy
    timeout = one.properties.get("ServiceTimeout")
    if timeout is not None and ("ServiceTimeout",) not in one.unknown and not _is_timeout(timeout):
        yield "ServiceTimeout", "is no whole number from 1 to 3600.", "Write 120."


def home_of(one: Resource) -> tuple[str, str] | None:
    """Region and account of the machine that a resource is for, which its own stack is in too; None where not known."""
    token = one.properties.get("ServiceToken")
    match = _TOKEN.fullmatch(token) if isinstance(token, str) and not isinstance(token, Unknown) else None
    return (match["region"], match["account"]) if match and len(match["account"]) == 12 else None


def _is_token(value: object) -> bool:
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def _is_timeout(value: object) -> bool:
    return isinstance(value, str) and value.isdecimal() and 1 <= int(value) <= 3600
