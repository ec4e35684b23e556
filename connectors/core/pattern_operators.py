"""What one field's value is compared with: the operators of EventBridge's pattern language.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html

Values are JSON leaves as Python has them: str, int, float, bool, None. `true` is never 1 and `"5"` is never 5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address
from math import isnan
from typing import Any, Protocol

Leaf = str | int | float | bool | None
SHOWN = 40
"""Characters of a found value that an explanation may show; what customers write does not belong in logs."""


class Check(Protocol):
    """One comparison. `fits` is asked about leaves that are there; `words` completes "expected …"."""

    def fits(self, value: Leaf) -> bool: ...

    @property
    def words(self) -> str: ...


def show(value: Leaf) -> str:
    """A value in words: texts quoted and cut to `SHOWN` characters, control characters replaced."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)[:SHOWN]
    clean = "".join(character if character.isprintable() else " " for character in value[:SHOWN])
    return f"'{clean}'" if len(value) <= SHOWN else f"'{clean}…'"


def key(value: Leaf) -> object:
    """The value as a key of a dictionary in which 5 equals 5.0, but not true, and null is something."""
    return (value,) if value is None or isinstance(value, bool) else value


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def caseless(text: str) -> re.Pattern[str]:
    """Each character of the pattern stands for its own lower and upper case, as in Event Ruler: not ß for ss."""
    forms = ((one, one.lower(), one.upper()) for one in text)
    return re.compile(
        "".join(
            re.escape(one) if one == low == high else f"(?:{'|'.join(map(re.escape, dict.fromkeys((one, low, high))))})"
            for one, low, high in forms
        ),
        re.DOTALL,
    )


_DOTLESS = "\u0131"
"""The one character whose upper case (I) folds to something else than it does itself."""


def fold(text: str) -> str:
    """The same for all that `caseless` takes for one another, and for more: good for looking up, not for deciding."""
    return text.casefold().replace(_DOTLESS, "i")


@dataclass(frozen=True, eq=False)
class Equals:
    """Exactly this value, character by character; numbers by their value."""

    value: Leaf

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equals) and key(self.value) == key(other.value)

    def __hash__(self) -> int:
        return hash(key(self.value))

    def fits(self, value: Leaf) -> bool:
        return key(value) == key(self.value)

    @property
    def words(self) -> str:
        return show(self.value)


@dataclass(frozen=True)
class IgnoreCase:
    text: str

    def fits(self, value: Leaf) -> bool:
        return isinstance(value, str) and self._form.fullmatch(value) is not None

    @cached_property
    def _form(self) -> re.Pattern[str]:
        return caseless(self.text)

    @property
    def words(self) -> str:
        return f"{show(self.text)} in any case"


@dataclass(frozen=True)
class Prefix:
    text: str

    def fits(self, value: Leaf) -> bool:
        return isinstance(value, str) and value.startswith(self.text)

    @property
    def words(self) -> str:
        return f"a text that begins with {show(self.text)}"


@dataclass(frozen=True)
class Suffix:
    text: str

    def fits(self, value: Leaf) -> bool:
        return isinstance(value, str) and value.endswith(self.text)

    @property
    def words(self) -> str:
        return f"a text that ends with {show(self.text)}"


@dataclass(frozen=True)
class PrefixIgnoreCase:
    text: str

    def fits(self, value: Leaf) -> bool:
        return isinstance(value, str) and self._form.match(value) is not None

    @cached_property
    def _form(self) -> re.Pattern[str]:
        return caseless(self.text)

    @property
    def words(self) -> str:
        return f"a text that begins with {show(self.text)} in any case"


@dataclass(frozen=True)
class SuffixIgnoreCase:
    text: str

    def fits(self, value: Leaf) -> bool:
        # Folded characters may be longer or shorter, so the cut is searched for among the few lengths there can be.
        if not isinstance(value, str):
            return False
        longest = min(len(value), 3 * len(self.text))
        return any(self._form.fullmatch(value, len(value) - size) is not None for size in self._sizes(longest))

    def _sizes(self, longest: int) -> range | tuple[int, ...]:
        if self.text.isascii():
            return (len(self.text),) if len(self.text) <= longest else ()
        return range(longest + 1)

    @cached_property
    def _form(self) -> re.Pattern[str]:
        return caseless(self.text)

    @property
    def words(self) -> str:
        return f"a text that ends with {show(self.text)} in any case"


@dataclass(frozen=True)
class Wildcard:
    """`pieces` are the literal texts between the asterisks, escapes undone: at least two, the outer ones may be ''."""

    pieces: tuple[str, ...]

    def fits(self, value: Leaf) -> bool:
        """The leftmost place for each piece is as good as any, so this takes one walk and never backtracks."""
        if not isinstance(value, str):
            return False
        first, *middle, last = self.pieces
        end = len(value) - len(last)
        if end < len(first) or not value.startswith(first) or not value.endswith(last):
            return False
        at = len(first)
        for piece in middle:
            at = value.find(piece, at, end)
            if at < 0:
                return False
            at += len(piece)
        return True

    @property
    def text(self) -> str:
        """The wildcard as it is written."""
        return "*".join(piece.replace("\\", "\\\\").replace("*", "\\*") for piece in self.pieces)

    @property
    def words(self) -> str:
        return f"a text like {show(self.text)}"


@dataclass(frozen=True)
class Numeric:
    """A range of numbers; `low` or `high` is None where it has no such end. `=` is a range of one."""

    low: int | float | None
    low_open: bool
    high: int | float | None
    high_open: bool

    def fits(self, value: Leaf) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool) or isnan(value):
            return False
        if self.low is not None and (value <= self.low if self.low_open else value < self.low):
            return False
        return self.high is None or (value < self.high if self.high_open else value <= self.high)

    @property
    def words(self) -> str:
        if self.low is not None and self.low == self.high:
            return f"a number = {self.low}"
        ends = []
        if self.low is not None:
            ends.append(f"{'>' if self.low_open else '>='} {self.low}")
        if self.high is not None:
            ends.append(f"{'<' if self.high_open else '<='} {self.high}")
        return f"a number {' and '.join(ends)}"


def address(value: object) -> Any:
    """The IP address that a text spells, or None. No zone (`%eth0`), and no plain numbers."""
    if not isinstance(value, str) or "%" in value or len(value) > 45:
        return None
    try:
        return ip_address(value)
    except ValueError:
        return None


@dataclass(frozen=True)
class Cidr:
    network: IPv4Network | IPv6Network

    def fits(self, value: Leaf) -> bool:
        found = address(value)
        return found is not None and found.version == self.network.version and found in self.network

    @property
    def words(self) -> str:
        return f"an IP address in {self.network}"


@dataclass(frozen=True)
class Exists:
    def fits(self, value: Leaf) -> bool:  # noqa: ARG002 - whatever it is, null too
        return True

    @property
    def words(self) -> str:
        return "any value"


@dataclass(frozen=True)
class Absent:
    """No leaf at all: not null, not ''. An object or an empty list has no leaf of its own."""

    def fits(self, value: Leaf) -> bool:  # noqa: ARG002 - it is there
        return False

    @property
    def words(self) -> str:
        return "no value"


@dataclass(frozen=True)
class AnythingBut:
    """Fits what is there and fits none of `tests`, whatever its type."""

    tests: tuple[Check, ...]
    exact: frozenset[object] = field(init=False, compare=False, repr=False)
    others: tuple[Check, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        exact = frozenset(key(test.value) for test in self.tests if isinstance(test, Equals))
        object.__setattr__(self, "exact", exact)
        object.__setattr__(self, "others", tuple(test for test in self.tests if not isinstance(test, Equals)))

    def fits(self, value: Leaf) -> bool:
        return key(value) not in self.exact and not any(test.fits(value) for test in self.others)

    @property
    def words(self) -> str:
        return f"anything but {one_of(self.tests)}"


def one_of(tests: tuple[Check, ...]) -> str:
    """ "a, b or c", the first few of them."""
    shown = [test.words for test in tests[:3]]
    if len(tests) > 3:
        return f"{', '.join(shown)} or one of {len(tests) - 3} more"
    return " or ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
