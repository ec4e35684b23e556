"""A CloudFormation template as written, JSON or YAML: every value with its line and column.

Scalars are read as CloudFormation hands them to a custom resource: as texts, YAML's `no` as `false`. Short tags become
their long form (`!Ref X` is `{Ref: X}`). Nothing is evaluated here; see `cfn_values`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
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
    steps: tuple[str, ...]
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

    @property
    def generated(self) -> bool:
        """Whether CloudFormation makes up resources itself, by a loop or a macro: not all names are in the file."""
        macros = self.root.values.get("Transform")
        named = macros.values if isinstance(macros, Items) else () if macros is None else (macros,)
        plain = all(isinstance(one, Leaf) and one.text == "AWS::LanguageExtensions" for one in named)
        return not plain or any(name.startswith("Fn::") for name in self.section("Resources"))


def load(path: Path) -> Text:
    """Read a file. Raises `TemplateError`."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TemplateError(f"{path}: {error.strerror or 'cannot be read'}") from error
    try:
        if path.suffix.lower() == ".json":
            _read_json(raw)
        return read(raw)
    except TemplateError as error:
        raise TemplateError(f"{path}: {error}") from None


def _read_json(raw: bytes) -> None:
    """YAML takes what JSON does not, such as a comma at the end."""
    try:
        json.loads(raw)
    except json.JSONDecodeError as error:
        where = f"(line {error.lineno}, column {error.colno})"
        raise TemplateError(f"is not JSON: {error.msg} {where}. Correct it there, or name the file .yaml.") from None
    except (UnicodeDecodeError, RecursionError):
        return


def read(raw: bytes) -> Text:
    """Read a template. Raises `TemplateError`."""
    if len(raw) > LARGEST:
        raise TemplateError(f"is {len(raw)} bytes; CloudFormation takes at most 1,000,000")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise TemplateError(f"is not UTF-8 at byte {error.start} (line {line}). Save it as UTF-8.") from None
    if text.lstrip().startswith("{"):
        text = _tabs_to_blanks(text)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader if len(text) < 4096 else _FAST)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        said = error.problem or error.context or ""
        raise TemplateError(f"is not YAML: {said}{where}.{_hint(said)}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise TemplateError(f"is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise TemplateError("is nested too deeply") from None
    if root is None:
        raise TemplateError("is empty, and no CloudFormation template: it has no Resources. Write Resources into it.")
    made = _Reader()
    tree = made.node(root, 0)
    resources = tree.values.get("Resources") if isinstance(tree, Fields) else None
    if not isinstance(tree, Fields) or resources is None:
        near = next(iter(get_close_matches("Resources", tree.values, 1, 0.8)), "") if isinstance(tree, Fields) else ""
        meant = f"{near} should be Resources." if near else "Write Resources, and each resource under it by its name."
        raise TemplateError(f"is no CloudFormation template: it has no Resources. {meant}")
    if not isinstance(resources, Fields) or not resources.values:
        where = f"(line {resources.place.line})"
        raise TemplateError(
            f"has no resource under Resources {where}. Write each under it by its name, without a hyphen."
        )
    return Text(tree, len(raw), tuple(made.slips))


def _hint(said: str) -> str:
    """What to do, by the parser's words."""
    for sign, remedy in _HINTS.items():
        if sign in said:
            return f" {remedy}"
    return " Correct it there."


_HINTS = {
    r"'\t'": "Indent with blanks, not with tabs.",
    "block end": "Indent the line as its neighbours are.",
    "mapping values": "Check the indentation, and quote texts that hold a colon.",
    "another document": "Keep one document: remove the line ---.",
    "alias": "Quote a text that begins with an asterisk.",
    "expected ',' or": "Close the bracket or the brace.",
    "cannot start any token": "Quote texts that begin with a special character.",
}
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
        self._steps: list[str] = []

    def node(self, node: yaml.Node, depth: int) -> Node:
        place = Place(node.start_mark.line + 1, node.start_mark.column + 1)
        if depth > DEEPEST:
            raise TemplateError(f"is nested deeper than {DEEPEST} (line {place.line})")
        if id(node) in self._seen:
            self._slip(place, "is named by a YAML alias.", "CloudFormation takes none: write it out.")
            return Leaf("", place)
        self._seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            made: Node = self._leaf(node, place)
        elif isinstance(node, yaml.SequenceNode):
            made = self._items(node, place, depth)
        elif isinstance(node, yaml.MappingNode):
            made = self._fields(node, place, depth)
        else:
            raise TemplateError(f"holds what is no YAML (line {place.line})")
        return self._tagged(node.tag, made, place) if not node.tag.startswith(_PLAIN) else made

    def _slip(self, place: Place, sentence: str, remedy: str) -> None:
        self.slips.append(Slip(place, tuple(self._steps), sentence, remedy))

    def _items(self, node: yaml.SequenceNode, place: Place, depth: int) -> Items:
        above = self._steps[-1] if self._steps else ""
        values = []
        for index, one in enumerate(node.value):
            self._steps[-1:] = [f"{above}[{index}]"]
            values.append(self.node(one, depth + 1))
        self._steps[-1:] = [above]
        return Items(tuple(values), place)

    def _fields(self, node: yaml.MappingNode, place: Place, depth: int) -> Fields:
        values: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        for key, value in node.value:
            at = Place(key.start_mark.line + 1, key.start_mark.column + 1)
            if not isinstance(key, yaml.ScalarNode):
                self._slip(at, "holds a field whose name is no text.", "Quote the name.")
                continue
            if key.tag == f"{_PLAIN}merge":
                self._slip(at, "holds a YAML merge.", "CloudFormation takes none: write the fields out.")
                continue
            name = self._leaf(key, at).text or ""
            self._steps.append(name)
            if name in values:
                self._slip(at, f"is written twice, the first time in line {keys[name].line}.", "Keep one.")
            else:
                values[name], keys[name] = self.node(value, depth + 1), at
            self._steps.pop()
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
