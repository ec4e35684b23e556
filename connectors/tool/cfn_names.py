"""Names that a template uses and that are nowhere in it, and functions written wrongly: CloudFormation refuses both.

Looks at the whole text, outputs and other resources included, whatever the conditions come to. Names that a loop or a
macro makes up are not known here, so a template with one is not searched for missing names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from connectors.core.plan_grammar import closest
from connectors.tool.cfn_attributes import wrong_attribute
from connectors.tool.cfn_text import Fields, Items, Leaf, Node, Place, Text

_PSEUDO = (
    *("AWS::AccountId", "AWS::NoValue", "AWS::NotificationARNs", "AWS::Partition", "AWS::Region"),
    *("AWS::StackId", "AWS::StackName", "AWS::URLSuffix"),
)
_FUNCTIONS = {
    "Ref": 0,
    "Condition": 0,
    **{f"Fn::{name}": 2 for name in ("Equals", "GetAtt", "Join", "Select", "Split")},
    "Fn::If": 3,
    "Fn::Not": 1,
    **{f"Fn::{name}": 0 for name in ("Base64", "Cidr", "GetAZs", "ImportValue", "Length", "Sub", "ToJsonString")},
    **{f"Fn::{name}": 0 for name in ("And", "Or", "FindInMap", "Transform")},
    **{
        f"Fn::{name}": 0 for name in ("Contains", "EachMemberEquals", "EachMemberIn", "RefAll", "ValueOf", "ValueOfAll")
    },
}
"""Every function, and how many values it takes in a list; 0 where that differs.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html"""
_HOLE = re.compile(r"\$\{(!?)\s*([^}!]*?)\s*\}")
Steps = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrongName:
    """Where, and what. `steps` lead from the template's root."""

    place: Place
    steps: Steps
    sentence: str
    remedy: str


def wrong_names(text: Text) -> list[WrongName]:
    """Everything of the kind, in the order of the file, each once."""
    found = [*_Search(text).all()]
    return sorted(dict.fromkeys(found), key=lambda one: (one.place, one.sentence))


class _Search:
    def __init__(self, text: Text) -> None:
        self._text = text
        self._parameters, self._resources = text.section("Parameters"), text.section("Resources")
        self._conditions = text.section("Conditions")

    def all(self) -> Iterator[WrongName]:
        for section in ("Conditions", "Resources", "Outputs"):
            node = self._text.root.values.get(section)
            if node is not None:
                yield from self._node(node, (section,), frozenset())
        for section in ("Resources", "Outputs"):
            for name, node in self._text.section(section).items():
                if isinstance(node, Fields) and not name.startswith("Fn::"):
                    yield from self._attributes(node, (section, name))

    def _attributes(self, node: Fields, steps: Steps) -> Iterator[WrongName]:
        """`Condition` and `DependsOn`."""
        condition, after = node.values.get("Condition"), node.values.get("DependsOn")
        if isinstance(condition, Leaf):
            yield from self._condition(condition, (*steps, "Condition"))
        for one in after.values if isinstance(after, Items) else (after,):
            if isinstance(one, Leaf) and not self._text.generated and one.text not in self._resources:
                yield self._missing(one, one.text or "", (*steps, "DependsOn"), "no resource", tuple(self._resources))

    def _node(self, node: Node, steps: Steps, local: frozenset[str]) -> Iterator[WrongName]:
        if isinstance(node, Items):
            for index, one in enumerate(node.values):
                yield from self._node(one, (*steps[:-1], f"{steps[-1]}[{index}]"), local)
        if not isinstance(node, Fields):
            return
        if len(node.values) == 1:
            [(name, operand)] = node.values.items()
            if name == "Ref" or name.startswith("Fn::") or (name == "Condition" and steps[0] == "Conditions"):
                yield from self._function(name, operand, steps, local, node.place)
                return
        for name, inner in node.values.items():
            if not name.startswith("Fn::ForEach"):
                yield from self._node(inner, (*steps, name), local)

    def _function(
        self, name: str, operand: Node, steps: Steps, local: frozenset[str], place: Place
    ) -> Iterator[WrongName]:
        if name.startswith(("Fn::ForEach", "Fn::Transform")):
            return
        if name not in _FUNCTIONS:
            near = closest(name.removeprefix("Fn::"), [known.removeprefix("Fn::") for known in _FUNCTIONS])
            remedy = f"Did you mean {near}?" if near else "Use one that CloudFormation has."
            yield WrongName(place, steps, f"{name[:80]} is not a function of CloudFormation.", remedy)
            return
        several = operand.values if isinstance(operand, Items) else ()
        wanted = _FUNCTIONS[name]
        if wanted and len(several) != wanted:
            example = " Write [condition, value, other value]." if name == "Fn::If" else ""
            sentence = f"{name} takes a list of {wanted}, and has {len(several)}."
            yield WrongName(place, steps, sentence, example.strip() or "Complete it.")
        if name == "Fn::ImportValue" and isinstance(operand, Leaf) and not operand.text:
            yield WrongName(
                place, steps, "Fn::ImportValue names no export.", "Write the name of another stack's export."
            )
        if name == "Fn::Split" and several and isinstance(several[0], Leaf) and not several[0].text:
            yield WrongName(place, steps, "Fn::Split has nothing to split at.", "Write what stands between the parts.")
        yield from self._named(name, operand, several, steps, local)
        if name == "Fn::Sub" and len(several) == 2 and isinstance(several[1], Fields):
            yield from self._node(several[1], steps, local)
        else:
            yield from self._node(operand, steps, local)

    def _named(
        self, name: str, operand: Node, several: tuple[Node, ...], steps: Steps, local: frozenset[str]
    ) -> Iterator[WrongName]:
        match name, operand, several:
            case "Ref", Leaf(), _:
                yield from self._ref(operand, operand.text or "", steps)
            case "Condition", Leaf(), _:
                yield from self._condition(operand, steps)
            case "Fn::If", _, (Leaf() as condition, *_):
                yield from self._condition(condition, steps)
            case "Fn::GetAtt", _, (Leaf(text=str() as resource), attribute):
                said = attribute.text if isinstance(attribute, Leaf) else None
                yield from self._get(operand, resource, said, steps)
            case "Fn::Sub", _, _:
                yield from self._sub(operand, several, steps, local)

    def _sub(
        self, operand: Node, several: tuple[Node, ...], steps: Steps, local: frozenset[str]
    ) -> Iterator[WrongName]:
        text = several[0] if several else operand
        given = several[1] if len(several) == 2 else None
        known = local | set(given.values if isinstance(given, Fields) else ())
        if not isinstance(text, Leaf):
            return
        for literal, name in _HOLE.findall(text.text or ""):
            resource, dot, attribute = name.partition(".")
            if literal or name in known:
                continue
            yield from self._get(text, resource, attribute, steps) if dot else self._ref(text, name, steps)

    def _ref(self, node: Node, name: str, steps: Steps) -> Iterator[WrongName]:
        known = (*self._parameters, *self._resources)
        if name in known or name in _PSEUDO or self._text.generated:
            return
        among = _PSEUDO if name.startswith("AWS::") else known
        yield self._missing(node, name, steps, "neither a parameter nor a resource", among)

    def _get(self, node: Node, resource: str, attribute: str | None, steps: Steps) -> Iterator[WrongName]:
        if resource not in self._resources:
            if not self._text.generated:
                yield self._missing(node, resource, steps, "no resource", tuple(self._resources))
        elif attribute is not None and (wrong := wrong_attribute(self._text, resource, attribute)):
            yield WrongName(node.place, steps, *wrong)

    def _condition(self, node: Leaf, steps: Steps) -> Iterator[WrongName]:
        if node.text not in self._conditions and not any(name.startswith("Fn::") for name in self._conditions):
            yield self._missing(node, node.text or "", steps, "no condition", tuple(self._conditions))

    def _missing(self, node: Node, name: str, steps: Steps, kind: str, known: tuple[str, ...]) -> WrongName:
        near = closest(name, known)
        what = kind.removeprefix("neither ").removeprefix("no ").replace(" nor a ", " or a ").removeprefix("a ")
        remedy = f"Did you mean {near}?" if near else f"Name a {what} of this file."
        if not near and any(step.startswith("Case[") for step in steps):
            remedy = "Name a system of this file; one of another stack by its id, such as hailback-routes/Tracker."
        return WrongName(node.place, steps, f"'{name[:80]}' is {kind} of this file.", remedy)
