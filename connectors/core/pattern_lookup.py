"""Look-ups that the index of patterns is made of: which of many prefixes a value begins with, which ranges it lies in.

Each is filled once, settles itself at its first question and answers with the things that were put under what fits.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")
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

    def find(self, value: str) -> Sequence[T]:
        texts = self._sorted
        if texts is None:
            texts = self._settle()
        at = bisect_right(texts, value) - 1
        while at >= 0 and not value.startswith(texts[at]):
            at = self._longer[at]
        if at < 0:
            return ()
        found = []
        while at >= 0:
            found.append(self.things[texts[at]])
            at = self._longer[at]
        return found

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
