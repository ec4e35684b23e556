"""A pattern as a template delivers it, turned back into what was written.

CloudFormation makes a text of every number and boolean, and YAML makes a boolean of `no`, before we see either:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html (ResourceProperties).
The type of the *field* decides what a text stands for. A pattern given as JSON text has exact types and needs none of
this.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from math import isfinite
from typing import Literal

from connectors.core.pattern_operators import show
from connectors.core.pattern_parse import OPERATORS, PatternError
from connectors.core.plan_settings import Finding

FieldType = Literal["text", "number", "boolean"]
_TEXT_OPERATORS = frozenset(("prefix", "suffix", "wildcard", "equals-ignore-case", "cidr"))
_MEANT = {"text": "a text", "number": "a number", "boolean": "true or false"}


def coerce(pattern: Mapping[str, object], types: Mapping[str, FieldType], root: str = "When") -> dict[str, object]:
    """The pattern with numbers and booleans where the fields have them. Raises `PatternError` with all findings.

    `types` has every field's path (`author.followers`); a path that ends in `.*` stands for any one name there
    (`metrics.*`). A field that is not in it is a finding. Grammar is left to `parse`: what is not understood here is
    passed on as it is."""
    work = _Coercion(types)
    made = work.fields(pattern, root, "")
    if work.findings:
        raise PatternError(work.findings)
    return made


class _Coercion:
    def __init__(self, types: Mapping[str, FieldType]) -> None:
        self._types = types
        self.findings: list[Finding] = []

    def fields(self, given: Mapping[str, object], where: str, path: str) -> dict[str, object]:
        made: dict[str, object] = {}
        for name, value in given.items():
            inner = f"{path}.{name}" if path else str(name)
            if name == "$or" and isinstance(value, list):
                made[name] = [
                    self.fields(one, f"{where}.$or[{index}]", path) if isinstance(one, Mapping) else one
                    for index, one in enumerate(value)
                ]
            elif isinstance(value, Mapping) and self._inside(inner):
                made[name] = self.fields(value, f"{where}.{name}", inner)
            else:
                made[name] = self._field(value, f"{where}.{name}", inner)
        return made

    def _inside(self, path: str) -> bool:
        return any(known.startswith(f"{path}.") for known in self._types)

    def _field(self, value: object, where: str, path: str) -> object:
        kind = self._types.get(path) or self._types.get(f"{path.rpartition('.')[0]}.*")
        if kind is None:
            self.findings.append(Finding(where, "is not a field of a mention.", self._closest(path)))
            return value
        if isinstance(value, Mapping):
            operator = next((name for name in value if name in OPERATORS), None)
            remedy = f"Write {path.rpartition('.')[2]}: [{{{operator}: …}}]." if operator else "Write a list of values."
            self.findings.append(Finding(where, f"is {_MEANT[kind]} and has no fields inside.", remedy))
            return value
        if not isinstance(value, list):
            return value
        return [self._value(one, kind, f"{where}[{index}]") for index, one in enumerate(value)]

    def _closest(self, path: str) -> str:
        names = [name for name in self._types if not name.endswith(".*")]
        inside = [name for name in self._types if name.startswith(f"{path}.")]
        if inside:
            return f"Name a field in it: {', '.join(inside)}."
        lasts = {name.rpartition(".")[2]: name for name in names}
        close = get_close_matches(path.lower(), names, n=1, cutoff=0.6)
        last = get_close_matches(path.rpartition(".")[2].lower(), list(lasts), n=1, cutoff=0.75)
        if close or last:
            return f"Did you mean {close[0] if close else lasts[last[0]]}?"
        return f"Use one of: {', '.join(self._types)}."

    def _value(self, value: object, kind: FieldType, where: str) -> object:
        if not isinstance(value, Mapping):
            return self._scalar(value, kind, where)
        return {name: self._operand(str(name), operand, kind, f"{where}.{name}") for name, operand in value.items()}

    def _operand(self, name: str, operand: object, kind: FieldType, where: str) -> object:
        if name == "exists":
            return self._scalar(operand, "boolean", where)
        if name == "numeric":
            if kind != "number":
                self._unfit(where, "compares numbers", kind)
            if not isinstance(operand, list):
                return operand
            return [
                self._scalar(one, "number", f"{where}[{index}]") if index % 2 else one
                for index, one in enumerate(operand)
            ]
        if name in _TEXT_OPERATORS or isinstance(operand, Mapping):
            if kind != "text" and name in _TEXT_OPERATORS:
                self._unfit(where, "compares texts", kind)
                return operand
            return self._inner(operand, kind, where)
        return self._inner(operand, kind, where) if name == "anything-but" else operand

    def _inner(self, operand: object, kind: FieldType, where: str) -> object:
        if isinstance(operand, Mapping):
            return {name: self._operand(str(name), one, kind, f"{where}.{name}") for name, one in operand.items()}
        if isinstance(operand, list):
            return [self._scalar(one, kind, where) for one in operand]
        return self._scalar(operand, kind, where)

    def _unfit(self, where: str, does: str, kind: FieldType) -> None:
        self.findings.append(Finding(where, f"{does}, but the field is {_MEANT[kind]}.", "Compare it otherwise."))

    def _scalar(self, value: object, kind: FieldType, where: str) -> object:
        if value is None:
            remedy = "Give When as a JSON text, in which null stays null."
            self.findings.append(Finding(where, "is null, which a template cannot carry.", remedy))
            return None
        if isinstance(value, Mapping | list):
            return value
        if kind == "text":
            return self._text(value, where)
        written = str(value).lower() if isinstance(value, bool) else str(value)
        if kind == "boolean":
            if written in {"true", "false"}:
                return written == "true"
        elif (number := _number(written)) is not None:
            return number
        self.findings.append(Finding(where, f"{show(written)} is not {_MEANT[kind]}.", f"Write {_EXAMPLE[kind]}."))
        return value

    def _text(self, value: object, where: str) -> str:
        written = str(value).lower() if isinstance(value, bool) else str(value)
        if written in {"true", "false"}:
            meant = "yes, on or true" if written == "true" else "no, off or false"
            sentence = f"arrived as '{written}': YAML reads {meant} as a boolean."
            remedy = (
                f"Quote it: ['{'no' if written == 'false' else 'yes'}']; to mean the text {written}, give When as JSON."
            )
            self.findings.append(Finding(where, sentence, remedy))
        return written


_EXAMPLE = {"number": "a number such as 5 or 0.25", "boolean": "true or false"}


def _number(written: str) -> int | float | None:
    if "_" in written or not written.isascii():  # which Python would read, and nobody else
        return None
    try:
        return int(written)
    except ValueError:
        pass
    try:
        number = float(written)
    except ValueError:
        return None
    return number if isfinite(number) else None
