"""What the properties of a template's resources come to, as far as that can be told without deploying it.

What cannot be told becomes an `Unknown`, a placeholder of the right shape that remembers what it waits for. Parameters
stand at what is given, else at their defaults. Every value of the outcome keeps its place in the file.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.tool.cfn_text import Fields, Items, Leaf, Node, Place, Text
from connectors.tool.cfn_unknown import Unknown, guess

__all__ = ["OURS", "Around", "Path", "Problem", "Resource", "Unknown", "Values"]

Path = tuple[str | int, ...]
"""Steps into a resource's properties: field names and indexes."""
OURS = {"Custom::Source": "Custom::Source", "Custom::System": "Custom::System", "Custom::Plan": "Custom::Plan"}
_MISSING = object()
_OCTAL = re.compile(r"[+-]?0[0-7]+")
_HOLE = re.compile(r"\$\{(!?)([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Around:
    """What the template is deployed into. `given` are parameters; `physical` is what `Ref` of a resource gave when the
    stack was deployed, by logical name: texts, where that is known."""

    stack: str = "hailback-routes"
    region: str = "eu-central-1"
    account: str = "123456789012"
    given: Mapping[str, str] = field(default_factory=dict)
    physical: Mapping[str, str] = field(default_factory=dict)
    unset: frozenset[str] = frozenset()
    """Parameters that count as given, by a value that is not known."""
    known: bool = False
    """Whether region and account are those of the deployment, and not just any."""
    asked: bool = False
    """Whether the account is asked for what other stacks have, so that nothing of it is left open here."""
    exports: Mapping[str, str] | None = None
    """What other stacks export, by name; None where nobody was asked."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What CloudFormation itself would refuse."""

    path: Path
    place: Place
    sentence: str
    remedy: str


@dataclass(slots=True)
class Resource:
    """One resource of ours. `places` and `unknown` are by path into `properties`."""

    name: str
    kind: str
    place: Place
    properties: dict[str, Any]
    places: dict[Path, Place] = field(default_factory=dict)
    unknown: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    written: dict[Path, str] = field(default_factory=dict)
    """What stands in the file where CloudFormation makes another text of it, such as `no`."""


class Values:
    """Evaluates one template under one set of parameters."""

    def __init__(self, text: Text, around: Around) -> None:
        self._text, self.around = text, around
        self._conditions: dict[str, bool] = {}
        self._open: set[str] = set()
        self._at: Resource | None = None

    def kind(self, logical: str) -> str | None:
        """The type of a resource of the file; None where there is none of that name."""
        node = self._text.section("Resources").get(logical)
        found = node.values.get("Type") if isinstance(node, Fields) else None
        return found.text if isinstance(found, Leaf) else None

    def exists(self, logical: str) -> bool:
        """Whether the resource's condition holds."""
        node = self._text.section("Resources").get(logical)
        named = node.values.get("Condition") if isinstance(node, Fields) else None
        return not isinstance(named, Leaf) or self.condition(named.text or "")

    def resources(self, prefix: str = "Custom::") -> Iterator[Resource]:
        """The resources of a kind that would be deployed, evaluated, in the order of the file."""
        section = self._text.root.values["Resources"]
        for name, node in section.values.items() if isinstance(section, Fields) else ():
            kind = self.kind(name)
            if kind is None or not kind.startswith(prefix) or not self.exists(name) or not isinstance(node, Fields):
                continue
            at = section.keys[name] if isinstance(section, Fields) else node.place
            found = Resource(name, kind, at, {})
            self._at = found
            given = node.values.get("Properties")
            if isinstance(given, Fields):
                value = self._value(given, ())
                found.properties = value if isinstance(value, dict) else {}
            found.places[()] = node.keys.get("Properties", at)
            self._at = None
            yield found

    def made(self, one: Resource) -> str:
        """What `Ref` of a topic of the file gives, deployed or not."""
        return str(self._resource(one.name, one.kind, one.place, ()))

    def condition(self, name: str) -> bool:
        """Whether a condition holds, unknown parameters taken as given and different from all that they are compared
        to."""
        if name in self._conditions:
            return self._conditions[name]
        node = self._text.section("Conditions").get(name)
        if node is None or name in self._open:
            return True  # said by `cfn_names`
        self._open.add(name)
        self._conditions[name] = self._truth(node)
        self._open.discard(name)
        return self._conditions[name]

    def _truth(self, node: Node) -> bool:
        name, operand = _function(node)
        several = operand.values if isinstance(operand, Items) else ()
        match name:
            case "Condition" if isinstance(operand, Leaf):
                return self.condition(operand.text or "")
            case "Fn::Not":
                return not all(self._truth(one) for one in several)
            case "Fn::And":
                return all(self._truth(one) for one in several)
            case "Fn::Or":
                return any(self._truth(one) for one in several)
            case "Fn::Equals" if len(several) == 2:
                left, right = (self._plain(one) for one in several)
                return left == right and not isinstance(left, Unknown) and not isinstance(right, Unknown)
            case _:
                return isinstance(node, Leaf) and node.text == "true"

    def _value(self, node: Node, path: Path) -> Any:
        """The value, noted with its place; `_MISSING` for AWS::NoValue."""
        if self._at is not None:
            self._at.places.setdefault(path, node.place)
        name, operand = _function(node)
        if name is not None and operand is not None:
            value = self._call(name, operand, path)
            if isinstance(value, Unknown) and self._at is not None:
                self._at.unknown[path] = value.why
            return value
        if isinstance(node, Leaf):
            return self._scalar(node, path)
        return self._list(node, path) if isinstance(node, Items) else self._fields(node, path)

    def _list(self, node: Items, path: Path) -> list[Any]:
        values: list[Any] = []
        for one in node.values:
            value = self._value(one, (*path, len(values)))
            if value is not _MISSING:
                values.append(value)
            elif self._at is not None:
                self._at.places.pop((*path, len(values)), None)
        return values

    def _fields(self, node: Fields, path: Path) -> dict[str, Any]:
        found = {}
        for key, inner in node.values.items():
            if self._at is not None:
                self._at.places[(*path, key)] = node.keys[key]
            value = self._value(inner, (*path, key))
            if value is not _MISSING:
                found[key] = value
        return found

    def _scalar(self, node: Leaf, path: Path) -> str:
        if node.text is None:
            remedy = "CloudFormation takes none: write a value, or remove the field."
            return self._refused(path, node.place, "is null.", remedy)
        if _OCTAL.fullmatch(node.plain or ""):
            remedy = f"Quote it, '{node.plain}', or leave the zero off."
            return self._refused(
                path, node.place, f"is {node.text} to YAML, which reads {node.plain} as octal.", remedy
            )
        if node.plain is not None and self._at is not None:
            self._at.written[path] = node.plain
        return node.text

    def _plain(self, node: Node) -> Any:
        """A value that belongs to no property."""
        at, self._at = self._at, None
        value = self._value(node, ())
        self._at = at
        return "" if value is _MISSING else value

    def _call(self, name: str, operand: Node, path: Path) -> Any:
        several = operand.values if isinstance(operand, Items) else ()
        match name:
            case "Ref" if isinstance(operand, Leaf):
                return self._ref(operand.text or "", operand.place, path)
            case "Fn::If" if len(several) == 3 and isinstance(several[0], Leaf):
                return self._value(several[1] if self.condition(several[0].text or "") else several[2], path)
            case "Fn::GetAtt" if len(several) == 2:
                return self._attribute(str(self._plain(several[0])), str(self._plain(several[1])), operand.place, path)
            case "Fn::Sub":
                return self._sub(operand, path)
            case "Fn::FindInMap" if len(several) >= 3:
                return self._in_map([self._plain(one) for one in several], path, operand.place)
            case "Fn::ImportValue":
                return self._import(self._plain(operand), operand.place, path)
            case _:
                return self._of_texts(name, [self._plain(one) for one in several], path)

    def _import(self, name: object, place: Place, path: Path) -> str:
        exports = self.around.exports
        if exports is None or isinstance(name, Unknown):
            return self._unknown(path, f"elsewhere/{name}", f"the export {name} of another stack")
        if str(name) not in exports:
            return self._refused(path, place, f"no stack exports {str(name)[:80]} here.", "Deploy that stack first.")
        return exports[str(name)]

    def _of_texts(self, name: str, given: list[Any], path: Path) -> Any:
        match name, given:
            case "Fn::Join", [by, list() as parts]:
                return _joined(str(by), parts)
            case "Fn::Split", [by, whole] if str(by):
                return [whole] if isinstance(whole, Unknown) else str(whole).split(str(by))
            case "Fn::Select", [str() as index, list() as values] if index.isdecimal() and int(index) < len(values):
                return values[int(index)]
            case _:
                return self._unknown(path, "Computed", f"{name}, which only CloudFormation computes")

    def _ref(self, name: str, place: Place, path: Path) -> Any:
        around = self.around
        pseudo: dict[str, Any] = {
            "AWS::Region": around.region,
            "AWS::AccountId": around.account,
            "AWS::Partition": "aws",
            "AWS::StackName": around.stack,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NotificationARNs": [],
            "AWS::StackId": f"arn:aws:cloudformation:{around.region}:{around.account}:stack/{around.stack}/0",
        }
        if name == "AWS::NoValue":
            return _MISSING
        if name in pseudo:
            return pseudo[name]
        if name in self._text.section("Parameters"):
            return self._parameter(name, path)
        if (kind := self.kind(name)) is not None:
            return self._resource(name, kind, place, path)
        # CloudFormation may make it up; else `cfn_names` says that it is missing.
        return self._unknown(path, "Nothing", f"{name[:80]}, which is not in this file" if self._text.generated else "")

    def _parameter(self, name: str, path: Path) -> Any:
        node = self._text.section("Parameters")[name]
        said = {key: self._plain(value) for key, value in node.values.items()} if isinstance(node, Fields) else {}
        kind = str(said.get("Type", "String"))
        many = kind == "CommaDelimitedList" or kind.startswith("List<")
        given = self.around.given.get(name)
        why = f"the parameter {name}, which has no default"
        if name in self.around.unset:
            given, why = None, f"the parameter {name}"
        elif given is None and not kind.startswith("AWS::SSM::"):
            given = said.get("Default")
        elif given is None:
            why = f"the parameter {name}, which Systems Manager holds"
        if given is None:
            first = next(iter(said.get("AllowedValues") or []), None)
            value = Unknown(str(first), why) if first is not None else self._unknown(path, name, why)
            if many and self._at is not None:
                self._at.unknown[path] = why
            return [value] if many else value
        return [one.strip() for one in str(given).split(",")] if many else str(given)

    def _resource(self, name: str, kind: str, place: Place, path: Path) -> Any:
        if not self.exists(name):
            remedy = "Write !If with the same condition around it."
            self._problem(path, place, f"{name} is not deployed here: its condition does not hold.", remedy)
        if kind in OURS:
            return f"{self.around.stack}/{name}"
        if name in self.around.physical:
            return self.around.physical[name]
        properties = self._properties(name)
        if kind == "AWS::SNS::Topic":
            # A name that CloudFormation makes up is the stack's, the resource's and twelve signs.
            fifo = ".fifo" if properties.get("FifoTopic") == "true" else ""
            topic = properties.get("TopicName") or f"{self.around.stack}-{name}-0000AAAA1111{fifo}"
            if isinstance(topic, Unknown):
                return Unknown(f"arn:aws:sns:{self.around.region}:{self.around.account}:hailback-{name}", topic.why)
            return f"arn:aws:sns:{self.around.region}:{self.around.account}:{topic}"
        if kind == "AWS::SecretsManager::Secret":
            secret = properties.get("Name") or name
            return f"arn:aws:secretsmanager:{self.around.region}:{self.around.account}:secret:{secret}-AAAA11"
        return self._unknown(path, name, f"what !Ref {name} gives")

    def _properties(self, name: str) -> Mapping[str, Any]:
        node = self._text.section("Resources").get(name)
        given = node.values.get("Properties") if isinstance(node, Fields) else None
        value = self._plain(given) if given is not None else {}
        return value if isinstance(value, dict) else {}

    def _attribute(self, name: str, attribute: str, place: Place, path: Path) -> Any:
        kind = self.kind(name)
        if kind is None:
            return self._ref(name, place, path)
        if kind == "AWS::SNS::Topic" and attribute in {"TopicArn", "TopicName"}:
            arn = self._resource(name, kind, place, path)
            return arn if attribute == "TopicArn" else str(arn).rpartition(":")[2]
        if not self.exists(name):
            self._resource(name, kind, place, path)
        return self._unknown(path, name, f"what !GetAtt {name}.{attribute} gives")

    def _sub(self, operand: Node, path: Path) -> Any:
        extra: dict[str, Any] = {}
        text: Node = operand
        if isinstance(operand, Items) and len(operand.values) == 2:
            text, more = operand.values
            extra = self._plain(more) if isinstance(more, Fields) else {}
        if not isinstance(text, Leaf):
            return self._of_texts("Fn::Sub", [], path)
        missing: list[str] = []

        def fill(match: re.Match[str]) -> str:
            literal, name = match[1], match[2].strip()
            if literal:
                return f"${{{name}}}"
            resource, _, attribute = name.partition(".")
            if name in extra:
                value = extra[name]
            elif attribute:
                value = self._attribute(resource, attribute, text.place, path)
            else:
                value = self._ref(name, text.place, path)
            if isinstance(value, Unknown):
                missing.append(value.why)
            return ",".join(value) if isinstance(value, list) else str(value)

        made = _HOLE.sub(fill, text.text or "")
        return Unknown(made, missing[0]) if missing else made

    def _in_map(self, keys: list[Any], path: Path, place: Place) -> Any:
        node: Node | None = self._text.section("Mappings").get(str(keys[0]))
        for key in keys[1:3]:
            if isinstance(key, Unknown):
                return self._unknown(path, "Mapped", key.why)
            node = node.values.get(str(key)) if isinstance(node, Fields) else None
        if node is None:
            self._problem(path, place, f"the mapping {keys[0]} has no {keys[1]}, {keys[2]}.", "Add it to Mappings.")
            return self._unknown(path, "Mapped", "")
        return self._plain(node)

    def _unknown(self, path: Path, name: str, why: str) -> Unknown:
        around = self.around
        return guess(path, name, why, stack=around.stack, region=around.region, account=around.account)

    def _refused(self, path: Path, place: Place, sentence: str, remedy: str) -> Unknown:
        """For a value that CloudFormation would not take, or not as it is meant: nothing else is said about it."""
        self._problem(path, place, sentence, remedy)
        if self._at is not None:
            self._at.unknown[path] = ""
        return Unknown("", "")

    def _problem(self, path: Path, place: Place, sentence: str, remedy: str) -> None:
        if self._at is not None:
            self._at.problems.append(Problem(path, place, sentence, remedy))


def _function(node: Node) -> tuple[str | None, Node | None]:
    if isinstance(node, Fields) and len(node.values) == 1:
        [(name, operand)] = node.values.items()
        if name in {"Ref", "Condition"} or name.startswith("Fn::"):
            return name, operand
    return None, None


def _joined(by: str, parts: list[Any]) -> str:
    made = by.join(str(part) for part in parts)
    why = next((part.why for part in parts if isinstance(part, Unknown)), None)
    return made if why is None else Unknown(made, why)
