"""Which of many literal texts a value contains: the look-up that wildcards are found by.

A few are looked for one after the other. Many are looked for in one walk over the value, by an automaton of the library
`ahocorasick_rs` (Apache-2.0, https://github.com/G-Research/ahocorasick_rs): some nanoseconds for a byte, however many
there are. Where it has no wheel, `pattern_grams` finds the same, more slowly.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from connectors.core.pattern_grams import Grams

try:
    import ahocorasick_rs
except ImportError:  # pragma: no cover - which of the two is there depends on the machine; both are tested
    AUTOMATON = False
else:
    AUTOMATON = True

T = TypeVar("T")
_QUICKEST = 60_000
"""Bytes of all texts together, up to which the automaton is a table of every state and byte. It is walked twice as
fast as the other form, and takes ten times the memory: some 3 MB for this much."""


def encode(text: str) -> bytes:
    """UTF-8, in which a text contains another one exactly where its bytes do; also for halves of surrogate pairs."""
    return text.encode("utf-8", "surrogatepass")


class Pieces(Generic[T]):
    """Literal texts, each with a thing; finds those that a value contains."""

    FEW = 6
    """Up to this many are looked for one by one, which is as fast."""

    def __init__(self) -> None:
        self.things: dict[str, T] = {}
        self._row: list[T] = []
        self._machine: ahocorasick_rs.BytesAhoCorasick | None = None
        self._grams: Grams[T] | None = None

    def find(self, value: str) -> Iterable[T]:
        """May give a thing twice."""
        if self._machine is None:
            if len(self.things) <= self.FEW:
                return [thing for piece, thing in self.things.items() if piece in value]
            if not AUTOMATON:
                self._grams = self._grams or Grams(self.things)
                return self._grams.find(value)
            self._settle()
        hits = self._machine.find_matches_as_indexes(encode(value), overlapping=True)  # type: ignore[union-attr]
        if not hits:
            return ()
        row = self._row
        return [row[at] for at in {at for at, _, _ in hits}]

    def _settle(self) -> None:
        texts = [encode(piece) for piece in self.things]
        kinds = ahocorasick_rs.Implementation
        kind = kinds.DFA if sum(map(len, texts)) <= _QUICKEST else kinds.ContiguousNFA
        self._row = list(self.things.values())
        self._machine = ahocorasick_rs.BytesAhoCorasick(texts, implementation=kind)
