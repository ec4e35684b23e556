"""A CloudFormation template as written, JSON or YAML: every value with its line and column.

Scalars are read as CloudFormation hands them to a custom resource: as texts, YAML's `no` as `false`. Short tags become
their long form (`!Ref X` is `{Ref: X}`). Nothing is evaluated here; see `cfn_values`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

LARGEST = 5_000_000
"""Bytes of a file that is read at all; CloudFormation takes 1 MB, from S3."""
DEEPEST = 80
_PLAIN = "tag:yaml.org,2002:"


class TemplateError(ValueError):
    """A file is no template: one sentence, with the place."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar as text; None for null. `plain` is what was written where that is something else."""

    text: str | None
    place: Place
    plain: str | None = None


@dataclass(frozen=True, slots=True)
class Items:
    values: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Fields:
    """`keys` says where each field's name stands."""

    values: Mapping[str, Node]
    keys: Mapping[str, Place]
    place: Place


Node = Leaf | Items | Fields


@dataclass(frozen=True, slots=True)
class Slip:
    """Something that CloudFormation would not take, whatever it means."""

    place: Place
    sentence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Text:
    """A whole template."""

    root: Fields
    size: int
    slips: tuple[Slip, ...] = field(default=())

    def section(self, name: str) -> Mapping[str, Node]:
        """A top-level section such as `Resources`; empty where it is not there or no mapping."""
        found = self.root.values.get(name)
        return found.values if isinstance(found, Fields) else {}


def load(path: Path) -> Text:
    """Read a file. Raises `TemplateError`."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TemplateError(f"{path}: {error.strerror or 'cannot be read'}") from error
    try:
        return read(raw)
    except TemplateError as error:
        raise TemplateError(f"{path}: {error}") from None


def read(raw: bytes) -> Text:
    """Read a template. Raises `TemplateError`."""
    if len(raw) > LARGEST:
        raise TemplateError(f"is {len(raw)} bytes; CloudFormation takes at most 1,000,000")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateError(f"is not UTF-8 at byte {error.start}") from None
    if text.lstrip().startswith("{"):
        text = _tabs_to_blanks(text)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader if len(text) < 4096 else _FAST)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise TemplateError(f"is not YAML: {error.problem or error.context}{where}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise TemplateError(f"is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise TemplateError("is nested too deeply") from None
    made = _Reader()
    tree = made.node(root, 0) if root is not None else None
    if not isinstance(tree, Fields) or "Resources" not in tree.values:
        raise TemplateError("is no CloudFormation template: it has no Resources")
    return Text(tree, len(raw), tuple(made.slips))


_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _tabs_to_blanks(text: str) -> str:
    """JSON may be indented with tabs, YAML may not; in JSON a tab never stands inside a text."""
    try:
        json.loads(text)
    except ValueError:
        return text
    return text.replace("\t", " ")


class _Reader:
    def __init__(self) -> None:
        self.slips: list[Slip] = []
        self._seen: set[int] = set()

    def node(self, node: yaml.Node, depth: int) -> Node:
        place = Place(node.start_mark.line + 1, node.start_mark.column + 1)
        if depth > DEEPEST:
            raise TemplateError(f"is nested deeper than {DEEPEST} (line {place.line})")
        if id(node) in self._seen:
            self.slips.append(Slip(place, "is named by a YAML alias.", "CloudFormation takes none: write it out."))
            return Leaf("", place)
        self._seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            made: Node = self._leaf(node, place)
        elif isinstance(node, yaml.SequenceNode):
            made = Items(tuple(self.node(one, depth + 1) for one in node.value), place)
        elif isinstance(node, yaml.MappingNode):
            made = self._fields(node, place, depth)
        else:
            raise TemplateError(f"holds what is no YAML (line {place.line})")
        return self._tagged(node.tag, made, place) if not node.tag.startswith(_PLAIN) else made

    def _fields(self, node: yaml.MappingNode, place: Place, depth: int) -> Fields:
        values: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        for key, value in node.value:
            at = Place(key.start_mark.line + 1, key.start_mark.column + 1)
            if not isinstance(key, yaml.ScalarNode):
                self.slips.append(Slip(at, "is a field whose name is no text.", "Quote the name."))
                continue
            if key.tag == f"{_PLAIN}merge":
                self.slips.append(Slip(at, "is a YAML merge.", "CloudFormation takes none: write the fields out."))
                continue
            name = self._leaf(key, at).text or ""
            if name in values:
                self.slips.append(Slip(at, f"{name} is written twice.", "Keep one."))
                continue
            values[name], keys[name] = self.node(value, depth + 1), at
        return Fields(values, keys, place)

    def _leaf(self, node: yaml.ScalarNode, place: Place) -> Leaf:
        value = str(node.value)
        # A JSON text may write a sign outside the basic plane as two escapes.
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        match node.tag.removeprefix(_PLAIN):
            case "null":
                return Leaf(None, place)
            case "bool":
                said = "true" if value.lower() in {"yes", "true", "on", "y"} else "false"
                return Leaf(said, place, value if value.lower() != said else None)
            case "int" if ":" not in value:
                number = value.replace("_", "").lower()
                octal = number.lstrip("+-").startswith("0") and number.lstrip("+-").isdecimal()
                said = str(int(number, 8) if octal else int(number, 0))
                return Leaf(said, place, value if said != value else None)
            case _:
                return Leaf(value, place)

    def _tagged(self, tag: str, made: Node, place: Place) -> Node:
        name = tag.removeprefix("!")
        if name == "GetAtt" and isinstance(made, Leaf):
            resource, _, attribute = (made.text or "").partition(".")
            made = Items((Leaf(resource, made.place), Leaf(attribute, made.place)), made.place)
        long = name if name in {"Ref", "Condition"} else f"Fn::{name}"
        return Fields({long: made}, {long: place}, place)
