"""`!GetAtt` of our resources anywhere in a template: an attribute that one does not have fails the deployment."""

from __future__ import annotations

import re
from collections.abc import Iterator

from connectors.core import door
from connectors.core.plan_grammar import closest
from connectors.tool.cfn_text import Fields, Items, Leaf, Node, Place, Text
from connectors.tool.cfn_values import OURS

_HOLE = re.compile(r"\$\{([A-Za-z0-9]+)\.([A-Za-z0-9.]+)\}")
_OF_PLANS = ("Version", "Warnings")
_OF_PLACES = ("WebhookUrl", "Version", "Connector", "Warnings")


def wrong_attributes(text: Text) -> Iterator[tuple[Place, str, str, str, str]]:
    """Place, resource, attribute, what is wrong, and the remedy."""
    resources = text.section("Resources")
    for place, name, attribute in _named(text.root):
        node = resources.get(name)
        kind = _leaf(node, "Type")
        if kind not in OURS or not isinstance(node, Fields):
            continue
        connector = _leaf(node.values.get("Properties"), "Connector")
        known = _OF_PLANS if kind == "Custom::Plan" else _OF_PLACES
        if attribute == "WebhookUrl" and kind != "Custom::Plan" and connector and not _tells(connector):
            sentence = f"{connector} tells nothing by webhook, so {name} has no WebhookUrl."
            yield place, name, attribute, sentence, "Remove it."
        elif attribute not in known:
            near = closest(attribute, known)
            remedy = f"Did you mean {near}?" if near else f"Use one of: {', '.join(known)}."
            yield place, name, attribute, f"{name} has no attribute {attribute[:80]}.", remedy


def _tells(connector: str) -> bool:
    import connectors

    return connector not in {**connectors.SOURCES, **connectors.SYSTEMS} or door.load(connector) is not None


def _leaf(node: Node | None, name: str) -> str | None:
    found = node.values.get(name) if isinstance(node, Fields) else None
    return found.text if isinstance(found, Leaf) else None


def _named(node: Node) -> Iterator[tuple[Place, str, str]]:
    if isinstance(node, Items):
        for one in node.values:
            yield from _named(one)
    if not isinstance(node, Fields):
        return
    match node.values.get("Fn::GetAtt"):
        case Items(values=(Leaf(text=str() as name), Leaf(text=str() as attribute))):
            yield node.place, name, attribute
    sub = node.values.get("Fn::Sub")
    text = sub.values[0] if isinstance(sub, Items) and sub.values else sub
    if isinstance(text, Leaf):
        for name, attribute in _HOLE.findall(text.text or ""):
            yield text.place, name, attribute
    for inner in node.values.values():
        yield from _named(inner)
