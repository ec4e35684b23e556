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
    SHORT = 3
    """Up to so many bytes a text is found again and again in a longer one, and soon; so these, where they are not too
    many, are looked for one by one as well."""
    FEW_SHORT = 40

    def __init__(self) -> None:
        self.things: dict[str, T] = {}
        self._short: list[tuple[str, T]] = []
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
        found = [thing for piece, thing in self._short if piece in value]
        hits = self._machine.find_matches_as_indexes(encode(value), overlapping=True)  # type: ignore[union-attr]
        if hits:
            row = self._row
            found += [row[at] for at in {at for at, _, _ in hits}]
        return found

    def _settle(self) -> None:
        coded = [(encode(piece), piece, thing) for piece, thing in self.things.items()]
        short = [(piece, thing) for raw, piece, thing in coded if len(raw) <= self.SHORT]
        if len(short) <= self.FEW_SHORT and len(short) < len(coded):
            self._short = short
            coded = [one for one in coded if len(one[0]) > self.SHORT]
        texts = [raw for raw, _, _ in coded]
        self._row = [thing for _, _, thing in coded]
        kinds = ahocorasick_rs.Implementation
        kind = kinds.DFA if sum(map(len, texts)) <= _QUICKEST else kinds.ContiguousNFA
        self._machine = ahocorasick_rs.BytesAhoCorasick(texts, implementation=kind)
