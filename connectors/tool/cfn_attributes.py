"""Attributes that `!GetAtt` asks of our resources and of topics: one that they do not have fails the deployment."""

from __future__ import annotations

from connectors.core import door
from connectors.core.plan_grammar import closest
from connectors.tool.cfn_text import Fields, Leaf, Node, Text
from connectors.tool.cfn_values import OURS

_OF_PLANS = ("Version", "Warnings")
_OF_PLACES = ("WebhookUrl", "Version", "Connector", "Warnings")
_OF_TOPICS = ("TopicArn", "TopicName")
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sns-topic.html"""


def wrong_attribute(text: Text, name: str, attribute: str) -> tuple[str, str] | None:
    """What is wrong with asking this resource for this attribute, and the remedy; None where nothing is known to be."""
    node = text.section("Resources").get(name)
    kind = _leaf(node, "Type")
    if not isinstance(node, Fields) or (kind not in OURS and kind != "AWS::SNS::Topic"):
        return None
    known = _OF_TOPICS if kind == "AWS::SNS::Topic" else _OF_PLANS if kind == "Custom::Plan" else _OF_PLACES
    connector = _leaf(node.values.get("Properties"), "Connector")
    if attribute == "WebhookUrl" and known is _OF_PLACES and connector and not _tells(connector):
        return f"{connector} tells nothing by webhook, so {name} has no WebhookUrl.", "Remove it."
    if attribute in known:
        return None
    if not attribute:
        return f"asks for no attribute of {name}.", f"Write !Ref {name}, or one of: {', '.join(known)}."
    near = closest(attribute, known)
    remedy = f"Did you mean {near}?" if near else f"Use one of: {', '.join(known)}."
    return f"{name} has no attribute {attribute[:80]}.", remedy


def _tells(connector: str) -> bool:
    import connectors

    return connector not in {**connectors.SOURCES, **connectors.SYSTEMS} or door.load(connector) is not None


def _leaf(node: Node | None, name: str) -> str | None:
    found = node.values.get(name) if isinstance(node, Fields) else None
    return found.text if isinstance(found, Leaf) else None
