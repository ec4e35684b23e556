"""Look-ups that the index of patterns is made of: which of many prefixes, ranges or literal pieces a value has.

Each is filled once, settles itself at its first question and answers with the things that were put under what fits.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Generic, Literal, TypeVar

S = TypeVar("S")
T = TypeVar("T")
_Form = Literal["Q", "I", "H", "B"]
Range = tuple[int | float | None, bool, int | float | None, bool]
"""Low, whether the low end itself is left out, high, whether the high end itself is left out."""


class Prefixes(Generic[T]):
    """Texts, each with a thing; finds those that a value begins with.

    The prefixes are sorted. The last one not after the value either is a prefix of it or leads there: every prefix of
    the value is a prefix of that one, so only the chain of its prefixes is walked."""

    def __init__(self) -> None:
        self.things: dict[str, T] = {}
        self._sorted: list[str] | None = None
        self._longer: list[int] = []

    def find(self, value: str) -> Iterator[T]:
        texts = self._sorted
        if texts is None:
            texts = self._settle()
        at = bisect_right(texts, value) - 1
        while at >= 0 and not value.startswith(texts[at]):
            at = self._longer[at]
        while at >= 0:
            yield self.things[texts[at]]
            at = self._longer[at]

    def _settle(self) -> list[str]:
        texts = sorted(self.things)
        chain: list[int] = []
        for index, text in enumerate(texts):
            while chain and not text.startswith(texts[chain[-1]]):
                chain.pop()
            self._longer.append(chain[-1] if chain else -1)
            chain.append(index)
        self._sorted = texts
        return texts


class Ranges(Generic[S, T]):
    """Ranges of numbers, each with a thing; finds those that a number lies in.

    A segment tree over the ends: every range is kept in a logarithmic number of nodes, a number asks one path. The
    ends cut the line into gaps (even places) and the ends themselves (odd places), so open and closed both work.
    `gather` makes one answer of the things that are kept in one node."""

    def __init__(self, gather: Callable[[list[S]], T]) -> None:
        self.given: list[tuple[Range, S]] = []
        self._gather = gather
        self._ends: list[int | float] | None = None
        self._tree: dict[int, T] = {}

    def find(self, value: int | float) -> Iterator[T]:
        """Each range that the value lies in is in exactly one of the answers."""
        ends = self._ends
        if ends is None:
            ends = self._settle()
        at = bisect_left(ends, value)
        node = 2 * at + (at < len(ends) and ends[at] == value) + 2 * len(ends) + 1
        tree = self._tree
        while node:
            found = tree.get(node)
            if found is not None:
                yield found
            node >>= 1

    def _settle(self) -> list[int | float]:
        ends = sorted({end for (low, _, high, _), _ in self.given for end in (low, high) if end is not None})
        places = {end: 2 * index + 1 for index, end in enumerate(ends)}
        size = 2 * len(ends) + 1
        tree: dict[int, list[S]] = {}
        for (low, low_open, high, high_open), thing in self.given:
            left = size + (0 if low is None else places[low] + low_open)
            right = size + (size - 1 if high is None else places[high] - high_open) + 1
            while left < right:
                if left & 1:
                    tree.setdefault(left, []).append(thing)
                    left += 1
                if right & 1:
                    right -= 1
                    tree.setdefault(right, []).append(thing)
                left >>= 1
                right >>= 1
        self._tree = {node: self._gather(things) for node, things in tree.items()}
        self._ends = ends
        return ends


def _number(gram: bytes) -> int:
    return int.from_bytes(gram, sys.byteorder)


class Pieces(Generic[T]):
    """Literal texts, each with a thing; finds those that a value contains.

    Looking for each costs more with every piece, and walking an automaton costs Python a step per character. So where
    there are many, the value's UTF-8 is read as a row of numbers, of eight or fewer bytes each, and compared with the
    numbers of all pieces in one set operation. A piece of fifteen bytes contains an aligned number of eight wherever it
    stands, so for such pieces an eighth of the positions is enough; shorter ones need more. Hits are looked at exactly.
    """

    # Bytes that a piece needs, format of a number, its size, at which offsets the value is read, numbers of a piece.
    _GRAINS: tuple[tuple[int, _Form, int, tuple[int, ...], int], ...] = (
        (15, "Q", 8, (0,), 8),
        (11, "Q", 8, (0, 4), 4),
        (7, "I", 4, (0,), 4),
        (5, "I", 4, (0, 2), 2),
        (4, "I", 4, (0, 1, 2, 3), 1),
        (3, "H", 2, (0,), 2),
        (2, "H", 2, (0, 1), 1),
        (1, "B", 1, (0,), 1),
    )
    FEW = 40
    """Up to this many are looked for one by one, which is as fast."""

    def __init__(self) -> None:
        self.things: dict[str, T] = {}
        self._tables: list[tuple[_Form, int, tuple[int, ...], dict[int, list[tuple[str, T]]]]] | None = None

    def find(self, value: str) -> list[T]:
        """May give a thing twice."""
        if len(self.things) <= self.FEW:
            return [thing for piece, thing in self.things.items() if piece in value]
        found: list[T] = []
        raw = value.encode("utf-8", "surrogatepass")
        for form, size, offsets, table in self._tables or self._settle():
            keys = table.keys()
            hits: set[int] = set()
            for offset in offsets:
                end = len(raw) - (len(raw) - offset) % size
                if end > offset:
                    hits |= keys & memoryview(raw)[offset:end].cast(form)
            found += [thing for hit in hits for piece, thing in table[hit] if piece in value]
        return found

    def _settle(self) -> list[tuple[_Form, int, tuple[int, ...], dict[int, list[tuple[str, T]]]]]:
        tables = []
        left = [(piece.encode("utf-8", "surrogatepass"), piece) for piece in self.things]
        for least, form, size, offsets, width in self._GRAINS:
            here = [one for one in left if len(one[0]) >= least]
            left = [one for one in left if len(one[0]) < least]
            if not here:
                continue
            common = Counter(raw[at : at + size] for raw, _ in here for at in range(len(raw) - size + 1))
            table: dict[int, list[tuple[str, T]]] = {}
            for raw, piece in here:
                # The numbers of the piece that the fewest others share.
                starts = range(len(raw) - size - width + 2)
                best = min(
                    starts, key=lambda start: sum(common[raw[start + i : start + i + size]] for i in range(width))
                )
                for index in range(width):
                    number = _number(raw[best + index : best + index + size])
                    table.setdefault(number, []).append((piece, self.things[piece]))
            tables.append((form, size, offsets, table))
        self._tables = tables
        return tables
