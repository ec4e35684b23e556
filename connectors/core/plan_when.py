"""A route's `When`: read by the types of a mention's fields, and refused where it can never, or must always, be true.

In a template every scalar arrives as a text, so a mapping is read by the type of each field; a JSON text carries exact
types. What the language itself forbids, `pattern_parse` says; here is what only mentions know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from connectors.core.facts import (
    CLOSED,
    ELSEWHERE,
    FIELDS,
    LANGUAGES,
    MOST_COUNTED,
    NOT_BUILT,
    FieldType,
    field_type,
)
from connectors.core.pattern import Key, Pattern
from connectors.core.pattern_coerce import FieldType as Written
from connectors.core.pattern_coerce import coerce
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
)
from connectors.core.pattern_parse import OPERATORS, PatternError, parse, read
from connectors.core.plan_reading import SYSTEM_ID, closest, short
from connectors.core.plan_settings import Finding

_TYPES: dict[str, Written] = {
    **{path: "text" if kind == "time" else kind for path, kind in FIELDS.items()},
    "metrics.*": "number",
}
_METRICS = "metrics.<name>"
_COUNTS = {"author.followers", "person.mentions"}
_LIKE = (IgnoreCase, Prefix, PrefixIgnoreCase, Suffix, SuffixIgnoreCase)
_LOGIC = {
    **dict.fromkeys(("or", "any"), "Did you mean $or?"),
    **dict.fromkeys(("and", "all"), "Write its fields without it: all fields of a When have to fit."),
    **dict.fromkeys(("not", "none"), "Write {anything-but: …} in the list of the field that it is about."),
}
"""What other languages join conditions with."""


def check_when(
    given: object, path: str, connectors: Collection[str] | None = None
) -> tuple[dict[str, Any] | None, Pattern | None, list[Finding]]:
    """A `When`, with exact types and compiled; or everything that is wrong with it.

    `connectors`: the names of the registered sources; None where they are not known here."""
    findings: list[Finding] = []
    if isinstance(given, str):
        try:
            when = dict(read(given, path))
        except PatternError as error:
            return None, None, list(error.findings)
        findings += _unknown(when, path, "")
    elif isinstance(given, Mapping):
        findings += _unknown(given, path, "")
        when = _exact(given, path, findings)
    else:
        example = "Write a field and a list of values, such as intent: [complaint]."
        return None, None, [Finding(path, "is neither a mapping nor a JSON text.", example)]
    try:
        pattern = parse(when, path) if when or not findings else Pattern(())
    except PatternError as error:
        _add(findings, error.findings)
        return None, None, findings
    findings += _never(pattern, path, connectors)
    return (None, None, findings) if findings else (when, pattern, [])


def _exact(given: Mapping[str, object], path: str, findings: list[Finding]) -> dict[str, object]:
    """The fields that can be read, with the types that they have."""
    when: dict[str, object] = {}
    for name, value in given.items():
        try:
            when |= coerce({name: value}, _TYPES, path)
        except PatternError as error:
            _add(findings, error.findings)
    return when


def _add(findings: list[Finding], more: Sequence[Finding]) -> None:
    """What is wrong with a field besides; one that does not exist is named once."""
    known = [finding.path for finding in findings]
    findings += [one for one in more if not any(_inside(one.path, name) for name in known)]


def _inside(path: str, name: str) -> bool:
    return path == name or path.startswith((f"{name}.", f"{name}["))


def _unknown(given: object, where: str, path: str) -> Iterator[Finding]:
    """Fields that mentions do not have."""
    for name, value in given.items() if isinstance(given, Mapping) else ():
        at = f"{where}.{short(str(name))}"
        if name == "$or":
            if not isinstance(value, list):
                example = "Write [{field: [value]}, {other: [value]}]."
                yield Finding(at, "is not a list of at least two alternatives.", example)
            for number, one in enumerate(value if isinstance(value, list) else ()):
                yield from _unknown(one, f"{at}[{number}]", path)
            continue
        field = f"{path}.{name}" if path else str(name)
        if remedy := NOT_BUILT.get(field):
            yield Finding(at, "is not built yet.", remedy)
        elif isinstance(value, Mapping) and any(known.startswith(f"{field}.") for known in (*FIELDS, _METRICS)):
            yield from _unknown(value, at, field)
        elif isinstance(value, Mapping) and (kind := field_type(field)) is not None:
            if inner := [str(key) for key in value if key not in OPERATORS]:
                near = closest(inner[0], OPERATORS)
                remedy = f"Did you mean [{{{near}: …}}]?" if near else "Write a list of values."
                yield Finding(at, f"is a {kind} and has no fields inside.", remedy)
        elif field_type(field) is None:
            yield Finding(at, *_meant(field))


def _meant(field: str) -> tuple[str, str]:
    parts = [known for known in (*FIELDS, _METRICS) if known.startswith(f"{field}.")]
    if parts:
        return f"is no value: it has the fields {', '.join(part.rpartition('.')[2] for part in parts)}.", (
            f"Write {parts[0]}, as {field}: {{{parts[0].rpartition('.')[2]}: […]}}."
        )
    if logic := _LOGIC.get(field.rpartition(".")[2].lower().lstrip("$")):
        return "is not a field of a mention.", logic
    if elsewhere := ELSEWHERE.get(field.rpartition(".")[2].lower()):
        return "is not a field of a mention.", elsewhere
    short_names = {known.rpartition(".")[2]: known for known in reversed(FIELDS)}
    near = closest(field, [*FIELDS, *NOT_BUILT]) or short_names.get(
        closest(field.rpartition(".")[2], list(short_names)) or ""
    )
    if near in NOT_BUILT:
        return f"is not a field of a mention; {near} would be, but is not built yet.", NOT_BUILT[near]
    return "is not a field of a mention.", (
        f"Did you mean {near}?" if near else f"Use one of: {', '.join(FIELDS)}, {_METRICS}."
    )


def _never(pattern: Pattern, root: str, connectors: Collection[str] | None) -> list[Finding]:
    """What no mention fits, and what every one does."""
    closed = {**CLOSED, **({} if connectors is None else {"connector": tuple(connectors)})}
    keys = dict.fromkeys(key for branch in pattern.branches for key in branch.keys if field_type(key.path) is not None)
    found = [finding for key in keys for test in key.tests for finding in _odd(key, test, f"{root}.{key.path}", closed)]
    return list(dict.fromkeys(found))


def _odd(key: Key, test: Check, where: str, closed: Mapping[str, tuple[object, ...]]) -> Iterator[Finding]:
    kind = field_type(key.path)
    if isinstance(test, AnythingBut):
        for inner in test.tests:
            yield from _odd(key, inner, where, closed)
    elif isinstance(test, Exists | Absent):
        if not key.path.startswith("metrics."):
            yield _there(test, where, kind)
    elif not isinstance(test, Equals) and (
        isinstance(test, Cidr) or isinstance(test, Numeric) is not (kind == "number")
    ):
        sentence = f"{test.words} can never be true: it is a {kind}."
        remedy = "Compare it with numeric." if kind == "number" else "Write true or false."
        yield Finding(where, sentence, remedy if kind != "text" else "Write a text, or prefix, suffix or wildcard.")
    elif isinstance(test, Equals) and not _of_kind(test.value, kind):
        yield Finding(where, f"{test.words} can never be true: it is a {kind}.", f"Write a {kind}.")
    else:
        yield from _outside(key.path, test, where, closed)


def _outside(path: str, test: Check, where: str, closed: Mapping[str, tuple[object, ...]]) -> Iterator[Finding]:
    """Values that this field never has."""
    known = closed.get(path)
    if known is not None and not any(test.fits(one) for one in known):  # type: ignore[arg-type]
        yield Finding(where, f"{test.words} can never be true.", _instead(test, known))
    elif field_type(path) in {"text", "time"}:
        yield from _no_such_text(path, test, where)
    elif path in _COUNTS and isinstance(test, Numeric) and _below(test, 0):
        yield Finding(where, f"{test.words} can never be true: it is counted from 0.", "Ask for 0 or more.")
    elif path == "person.mentions" and _beyond(test):
        yield Finding(where, f"{test.words} can never be true: it is counted to {MOST_COUNTED}.", "Ask for less.")
    elif path == "confidence" and not (isinstance(test, Equals) and test.value is None) and not _share(test):
        yield Finding(where, f"{test.words} can never be true: it lies between 0 and 1.", "Write a share such as 0.8.")


def _no_such_text(path: str, test: Check, where: str) -> Iterator[Finding]:
    """Texts that a field is never spelt as."""
    if path == "source" and isinstance(test, Equals) and not SYSTEM_ID.fullmatch(str(test.value)):
        yield Finding(where, f"{test.words} is not the id of a Custom::Source.", "Write !Ref and the resource's name.")
    elif path == "source" and isinstance(test, _LIKE) and "/" not in test.text and _wrongly_cut(test):
        sentence = f"{test.words} can never be true: a source is called stack/name."
        yield Finding(where, sentence, f"Write !Ref and the resource's name, or {{suffix: '/{short(test.text)}'}}.")
    elif path == "authority" and "://" in (said := _spelt(test)):
        remedy = f"Write {short(host)}." if (host := urlsplit(said).netloc) else "Write a host such as forum.acme.com."
        yield Finding(where, f"{test.words} can never be true: it is a host, not an address.", remedy)
    elif path == "language" and (code := LANGUAGES.get(_spelt(test).strip().lower())):
        sentence = f"{test.words} can never be true: a language is told by its code, in small letters."
        yield Finding(where, sentence, f"Write {code}.")
    elif path == "created_at" and isinstance(test, Equals) and "T" not in str(test.value or "T"):
        remedy = f"Write {{prefix: '{short(str(test.value))}'}}."
        yield Finding(where, f"{test.words} can never be true: it is a moment, such as 2026-12-24T09:30:00Z.", remedy)
    elif path == "author.handle" and (said := _spelt(test)).startswith("@"):
        yield Finding(where, f"{test.words} can never be true: a handle has no @.", f"Write {short(said[1:])}.")


def _wrongly_cut(test: IgnoreCase | Prefix | PrefixIgnoreCase | Suffix | SuffixIgnoreCase) -> bool:
    """Whether no `stack/name` is, begins or ends so. What begins with a word may be a stack, what ends with one a
    resource; but no resource's name holds a hyphen."""
    return isinstance(test, IgnoreCase) or (isinstance(test, Suffix | SuffixIgnoreCase) and "-" in test.text)


def _spelt(test: Check) -> str:
    """The text that something has to be, or to begin with."""
    if isinstance(test, Equals):
        return test.value if isinstance(test.value, str) else ""
    return test.text if isinstance(test, IgnoreCase | Prefix | PrefixIgnoreCase) else ""


def _below(test: Numeric, least: float) -> bool:
    return test.high is not None and (test.high < least or (test.high == least and test.high_open))


def _beyond(test: Check) -> bool:
    """Whether it asks for more than is counted."""
    if isinstance(test, Numeric):
        low = test.low or 0
        return low > MOST_COUNTED or (low == MOST_COUNTED and test.low_open)
    return isinstance(test, Equals) and isinstance(test.value, int | float) and test.value > MOST_COUNTED


def _there(test: Exists | Absent, where: str, kind: FieldType | None) -> Finding:
    """Every mention has every field, null where its source does not tell."""
    if isinstance(test, Absent):
        remedy = "For what its source does not tell, give When as a JSON text and write [null]."
        return Finding(where, "'exists: false' can never be true: every mention has it.", remedy)
    told = {"number": "{numeric: ['>=', 0]}", "boolean": "[true, false]"}.get(kind or "", "{wildcard: '*'}")
    return Finding(where, "'exists: true' is true of every mention.", f"Remove it, or write {told}: what is known.")


def _share(test: Check) -> bool:
    """Whether a share of one can fit, as far as the ends of the range tell."""
    if isinstance(test, Numeric):
        above = test.low is not None and (test.low > 1 or (test.low == 1 and test.low_open))
        return not above and not _below(test, 0)
    return not isinstance(test, Equals) or (isinstance(test.value, int | float) and 0 <= test.value <= 1)


def _of_kind(value: object, kind: FieldType | None) -> bool:
    if value is None:
        return True
    if isinstance(value, bool):
        return kind == "boolean"
    return (kind == "number") if isinstance(value, int | float) else kind in {"text", "time"}


_RENAMED = {"twitter": "x", "fb": "facebook"}
"""What a kind of source is called elsewhere, or was."""


def _instead(test: Check, known: tuple[object, ...]) -> str:
    names = [one for one in known if isinstance(one, str)]
    renamed = _RENAMED.get(_spelt(test).strip().lower())
    if renamed in names:
        return f"Write {renamed}."
    near = closest(str(test.value), names) if isinstance(test, Equals) and isinstance(test.value, str) else None
    if near:
        return f"Did you mean {near}?"
    shown = names or [str(one).lower() for one in known if one is not None]
    return f"Use one of: {', '.join(shown)}." if shown else "There is none."
