"""From a written pattern to a `Pattern`, or everything that is wrong with it.

Our limits, each refused in a sentence: a pattern is nested at most `DEEPEST` deep; `$or` multiplies out to at most
`MOST_BRANCHES` alternatives; the operands of `numeric` lie within ±5e9 (EventBridge's).
What EventBridge would take and mean otherwise than it reads is refused too: a field written twice for the same
alternative, of which EventBridge lets the later one win.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from ipaddress import ip_network
from math import isfinite
from typing import NoReturn

from connectors.core.pattern import Branch, Key, Pattern
from connectors.core.pattern_operators import (
    Absent,
    AnythingBut,
    Check,
    Cidr,
    Equals,
    Exists,
    IgnoreCase,
    Numeric,
    Prefix,
    PrefixIgnoreCase,
    Suffix,
    SuffixIgnoreCase,
    Wildcard,
    is_number,
    show,
)
from connectors.core.plan_settings import Finding

DEEPEST = 32
MOST_BRANCHES = 1_000
FARTHEST = 5e9
OPERATORS = ("anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard")
_RESERVED = frozenset((*OPERATORS, "exactly", "regex", "=", "<", "<=", ">", ">="))
_SPELLINGS = "List the spellings: [{wildcard: '*crash*'}, {wildcard: '*Crash*'}]."
_INSTEAD = {
    "contains": "Write {wildcard: '*text*'}.",
    "equals": "Write the value itself, without an operator.",
    "exactly": "Write the value itself, without an operator.",
    "in": "Write the values themselves in the list; any of them fits.",
    "not": "Write {anything-but: …}.",
    "regex": "There are no regular expressions; write {wildcard: 'be*end'}, or several of prefix and suffix.",
    "wildcard-ignore-case": f"A wildcard tells capitals apart. {_SPELLINGS}",
    "null": "Write null itself; in a template, give When as a JSON text.",
}


class PatternError(ValueError):
    """A pattern that is wrong; `findings` has all of it."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = tuple(findings)


def parse(pattern: Mapping[str, object] | str, root: str = "When") -> Pattern:
    """Check and compile a pattern, given as a mapping or as JSON text. Raises `PatternError`.

    Paths of findings begin with `root` and read like `When.author.followers[0].numeric`."""
    findings: list[Finding] = []
    given = read(pattern, root) if isinstance(pattern, str) else pattern
    branches = _Parser(findings).fields(given, root, "", 1, in_or=False)
    if findings:
        raise PatternError(findings)
    return Pattern(tuple(Branch(tuple(keys)) for keys in branches))


def read(text: str, root: str = "When") -> Mapping[str, object]:
    """A JSON text as a mapping. Raises `PatternError`, also for a name that is written twice in one object."""
    twice: list[str] = []

    def pairs(given: list[tuple[str, object]]) -> dict[str, object]:
        made = dict(given)
        if len(made) != len(given):
            twice.extend(name for name in made if sum(name == other for other, _ in given) > 1)
        return made

    try:
        given = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        _refuse(root, f"is not JSON: {error.msg} ({where}).", "Correct it there, or write a mapping instead.")
    except ValueError:  # Python reads no whole numbers of thousands of digits
        _refuse(root, "holds a number of thousands of digits.", "Write a number that somebody could have.")
    except RecursionError:
        _refuse(root, "is nested too deeply.", f"Nest at most {DEEPEST} deep.")
    if twice:
        raise PatternError([Finding(f"{root}.{name}", "is written twice.", "Keep one.") for name in twice])
    if not isinstance(given, dict):
        _refuse(root, "is not an object.", 'Write {"field": ["value"]}.')
    return given


def _refuse(path: str, sentence: str, remedy: str) -> NoReturn:
    raise PatternError([Finding(path, sentence, remedy)])


class _Wrong(Exception):  # noqa: N818 - it never leaves this file
    """One value is wrong; the rest is still looked at."""


class _Parser:
    def __init__(self, findings: list[Finding]) -> None:
        self._findings = findings

    def _note(self, path: str, sentence: str, remedy: str) -> None:
        self._findings.append(Finding(path, sentence, remedy))

    def _wrong(self, path: str, sentence: str, remedy: str) -> NoReturn:
        self._note(path, sentence, remedy)
        raise _Wrong

    # ---- fields

    def fields(self, given: object, where: str, path: str, depth: int, *, in_or: bool) -> list[list[Key]]:
        """The alternatives that an object of fields comes to, each a list of keys in the order written."""
        branches: list[list[Key]] = [[]]
        if not isinstance(given, Mapping):
            self._note(where, "is not an object of fields.", "Write {field: [value]}.")
            return branches
        if not given:
            self._note(where, "is empty.", "Name a field in it, or remove it.")
        if depth > DEEPEST:
            self._note(where, f"is nested deeper than {DEEPEST}.", "Flatten it.")
            return branches
        for name, value in given.items():
            inner = f"{where}.{name}"
            if not isinstance(name, str):
                self._note(inner, "is not a text.", "Quote the field's name.")
            elif name == "$or":
                branches = self._multiply(branches, list(self._alternatives(value, inner, path, depth)), inner)
            elif in_or and name in _RESERVED:
                self._note(inner, "is an operator, not a field.", "Write $or: [{field: [{operator: value}]}, …].")
            else:
                branches = self._multiply(branches, self._field(name, value, inner, path, depth, in_or), inner)
        return branches

    def _field(self, name: str, value: object, where: str, path: str, depth: int, in_or: bool) -> list[list[Key]]:
        path = f"{path}.{name}" if path else name
        if isinstance(value, Mapping):
            return self.fields(value, where, path, depth + 1, in_or=in_or)
        if isinstance(value, list | tuple):
            return [[Key(path, tests)]] if (tests := self._tests(list(value), where)) else [[]]
        if name in OPERATORS:
            remedy = f"An operator stands in a list: [{{{name}: …}}]."
            self._note(where, "is neither a list nor an object of fields.", remedy)
        else:
            self._note(where, "is not a list.", f"Write [{_named(value) if _scalar(value) else '…'}].")
        return [[]]

    def _alternatives(self, value: object, where: str, path: str, depth: int) -> Iterator[list[Key]]:
        if not isinstance(value, list | tuple) or len(value) < 2:
            self._note(
                where, "is not a list of at least two alternatives.", "Write [{field: [value]}, {other: [value]}]."
            )
            yield []
            return
        for index, alternative in enumerate(value):
            yield from self.fields(alternative, f"{where}[{index}]", path, depth + 1, in_or=True)

    def _multiply(self, branches: list[list[Key]], more: list[list[Key]], where: str) -> list[list[Key]]:
        if len(branches) * len(more) > MOST_BRANCHES:
            count = len(branches) * len(more)
            sentence = f"multiplies out to {count} alternatives, over the limit of {MOST_BRANCHES}."
            self._note(where, sentence, "Split the route in two.")
            return branches
        if branches == [[]]:
            return more
        twice = {one.path for keys in branches for one in keys} & {one.path for keys in more for one in keys}
        for path in sorted(twice):
            self._note(
                where,
                f"says again what {path} has to be; EventBridge would take one of the two and drop the other.",
                "Write the field once, with all its values in one list.",
            )
        return [[*keys, *added] for keys in branches for added in more] if not twice else branches

    # ---- values and operators

    def _tests(self, values: list[object], where: str) -> tuple[Check, ...]:
        if not values:
            self._note(where, "is an empty list, which nothing fits.", "Write a value in it, or remove the field.")
        made: list[Check] = []
        for index, value in enumerate(values):
            try:
                made.append(self._test(value, f"{where}[{index}]"))
            except _Wrong:
                continue
        return tuple(made)

    def _test(self, value: object, where: str) -> Check:
        if isinstance(value, Mapping):
            name, operand = self._single(value, where, "operator")
            if name not in OPERATORS:
                self._wrong(where, f"'{_short(name)}' is not an operator.", _meant(name, OPERATORS))
            return self._operator(name, operand, f"{where}.{name}")
        if isinstance(value, list | tuple):
            self._wrong(where, "is a list within a list.", "Write the values in one list; any of them fits.")
        if not _scalar(value):
            self._wrong(where, "is not a text, a number, true, false or null.", "Write one of these, or an operator.")
        return Equals(self._finite(value, where))  # type: ignore[arg-type]

    def _single(self, value: Mapping[object, object], where: str, what: str) -> tuple[str, object]:
        if len(value) != 1:
            remedy = "Write each in an object of its own; any of them fits."
            self._wrong(where, f"holds {len(value)} {what}s instead of one.", remedy)
        name, operand = next(iter(value.items()))
        return str(name), operand

    def _operator(self, name: str, operand: object, where: str) -> Check:
        if name == "exists":
            if not isinstance(operand, bool):
                self._wrong(where, f"{_named(operand)} is not true or false.", "Write true or false, without quotes.")
            return Exists() if operand else Absent()
        if name == "numeric":
            return self._numeric(operand, where)
        if name == "anything-but":
            return self._anything_but(operand, where)
        if name in {"prefix", "suffix"} and isinstance(operand, Mapping):
            inner, text = self._single(operand, where, "operator")
            if inner != "equals-ignore-case":
                self._wrong(where, f"'{_short(inner)}' cannot stand in {name}.", "Only equals-ignore-case can.")
            caseless = PrefixIgnoreCase if name == "prefix" else SuffixIgnoreCase
            return caseless(self._text(text, f"{where}.{inner}"))
        return self._of_text(name, self._text(operand, where), where)

    def _of_text(self, name: str, text: str, where: str) -> Check:
        if name == "cidr":
            return self._cidr(text, where)
        if name == "wildcard":
            return self._wildcard(text, where)
        if name == "equals-ignore-case":
            return IgnoreCase(text)
        return Prefix(text) if name == "prefix" else Suffix(text)

    def _text(self, value: object, where: str) -> str:
        if isinstance(value, Mapping) and (where.endswith(".wildcard") or "wildcard" in value):
            self._wrong(where, "has no form for any case: capitals matter in a wildcard.", _SPELLINGS)
        if not isinstance(value, str):
            self._wrong(where, f"{_named(value)} is not a text.", "Write one text, in quotes.")
        return value

    def _finite(self, value: object, where: str) -> object:
        if isinstance(value, float) and not isfinite(value):
            self._wrong(where, f"{value} is not a number of JSON.", "Write a finite number.")
        return value

    def _cidr(self, text: str, where: str) -> Cidr:
        try:
            if "%" in text or not text.rpartition("/")[2].isdecimal() or "/" not in text:
                network = None
            else:
                network = ip_network(text, strict=False)
        except ValueError:
            network = None
        if network is None:
            self._wrong(where, f"{show(text)} is not a range of IP addresses.", "Write 10.0.0.0/24 or 2001:db8::/32.")
        return Cidr(network)

    def _wildcard(self, text: str, where: str) -> Wildcard | Equals:
        pieces, escaped, starred = [""], False, False
        for character in text:
            if escaped and character not in "*\\":
                remedy = "A backslash stands only before * and \\; write \\\\ for a backslash."
                self._wrong(where, f"has a backslash before '{character}'.", remedy)
            if not escaped and character == "*":
                if starred:
                    self._wrong(where, "has two asterisks in a row.", "Write one; it stands for any text, also none.")
                pieces.append("")
                starred = True
                continue
            starred = False
            if not escaped and character == "\\":
                escaped = True
                continue
            escaped = False
            pieces[-1] += character
        if escaped:
            self._wrong(where, "ends with a single backslash.", "Write \\\\ for a backslash.")
        return Wildcard(tuple(pieces)) if len(pieces) > 1 else Equals(pieces[0])

    def _number(self, value: object, where: str) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            remedy = "Write it without quotes." if _numeral(value) else "Write a number."
            self._wrong(where, f"{_named(value)} is not a number.", remedy)
        if not isfinite(value) or abs(value) > FARTHEST:
            self._wrong(where, f"{value} is outside -5e9 to 5e9.", "EventBridge compares no numbers beyond that.")
        return value

    def _numeric(self, operand: object, where: str) -> Numeric:
        example = "Write ['>', 0] or ['>=', 0, '<', 10]."
        if not isinstance(operand, list | tuple) or len(operand) not in {2, 4}:
            self._wrong(where, "is not a list of a comparison and a number, or of two of each.", example)
        signs = operand[::2]
        for sign in signs:
            if sign not in ("=", "<", "<=", ">", ">="):
                self._wrong(where, f"{_named(sign)} is not a comparison.", "Write one of =, <, <=, > and >=.")
        numbers = [self._number(value, f"{where}[{2 * index + 1}]") for index, value in enumerate(operand[1::2])]
        if len(signs) == 1:
            [sign], [number] = signs, numbers
            low = number if sign in ("=", ">", ">=") else None
            return Numeric(low, sign == ">", number if sign in ("=", "<", "<=") else None, sign == "<")
        if signs[0] not in (">", ">=") or signs[1] not in ("<", "<="):
            self._wrong(where, "is not a range: the lower end comes first, then the upper.", example)
        if numbers[0] >= numbers[1]:
            self._wrong(where, f"{numbers[0]} is not below {numbers[1]}.", "The lower end comes first.")
        return Numeric(numbers[0], signs[0] == ">", numbers[1], signs[1] == "<")

    def _anything_but(self, operand: object, where: str) -> AnythingBut:
        if isinstance(operand, Mapping):
            name, inner = self._single(operand, where, "operator")
            able = ("prefix", "suffix", "equals-ignore-case", "wildcard")
            if name not in able:
                self._wrong(where, f"'{_short(name)}' cannot stand in anything-but.", _meant(name, able))
            where = f"{where}.{name}"
            texts = [self._text(one, where) for one in self._listed(inner, where)]
            if name in {"prefix", "suffix"} and "" in texts:
                self._wrong(where, "is empty, so that no text would fit.", "Write at least one character.")
            return AnythingBut(tuple(self._of_text(name, text, where) for text in texts))
        values = self._listed(operand, where)
        if not (all(isinstance(one, str) for one in values) or all(is_number(one) for one in values)):
            self._wrong(where, "is neither texts only nor numbers only.", "Write only texts, or only numbers.")
        return AnythingBut(tuple(Equals(self._finite(one, where)) for one in values))  # type: ignore[arg-type]

    def _listed(self, value: object, where: str) -> list[object]:
        values = list(value) if isinstance(value, list | tuple) else [value]
        if not values:
            self._wrong(where, "is an empty list.", "Write what the field must not be.")
        return values


def _scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _numeral(value: object) -> bool:
    try:
        return isinstance(value, str) and isfinite(float(value))
    except ValueError:
        return False


def _named(value: object) -> str:
    if value is None or isinstance(value, str | int | float):
        return show(value)
    return "an object" if isinstance(value, Mapping) else "a list"


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:40]}…"


def _meant(name: str, able: tuple[str, ...]) -> str:
    plain = name.lower().replace("_", "-").replace(" ", "-")
    if plain in _INSTEAD:
        return _INSTEAD[plain]
    close = get_close_matches(plain, able, n=1, cutoff=0.6) or get_close_matches(
        plain.replace("-", ""), [one.replace("-", "") for one in able], n=1, cutoff=0.6
    )
    known = {one.replace("-", ""): one for one in able}
    if close:
        return f"Did you mean '{known[close[0].replace('-', '')]}'?"
    return f"Use one of: {', '.join(able)}."
