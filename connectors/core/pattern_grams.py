"""Which of many literal texts a value contains, in plain Python: for machines without the automaton.

See `pattern_pieces`, which uses this where `ahocorasick_rs` is not installed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
_Form = Literal["Q", "I", "H", "B"]
_Table = tuple[_Form, int, tuple[int, ...], dict[int, list[tuple[str, T]]]]
"""Of pieces of about one length: how the value is read, and the numbers that their pieces were filed under."""


def _number(gram: bytes) -> int:
    return int.from_bytes(gram, sys.byteorder)


class Grams(Generic[T]):
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

    def __init__(self, things: Mapping[str, T]) -> None:
        self._things = things
        self._tables = [] if len(things) <= self.FEW else self._settle()

    def find(self, value: str) -> list[T]:
        """May give a thing twice."""
        if not self._tables:
            return [thing for piece, thing in self._things.items() if piece in value]
        found: list[T] = []
        raw = value.encode("utf-8", "surrogatepass")
        for form, size, offsets, table in self._tables:
            keys = table.keys()
            hits: set[int] = set()
            for offset in offsets:
                end = len(raw) - (len(raw) - offset) % size
                if end > offset:
                    hits |= keys & memoryview(raw)[offset:end].cast(form)
            found += [thing for hit in hits for piece, thing in table[hit] if piece in value]
        return found

    def _settle(self) -> list[_Table[T]]:
        tables: list[_Table[T]] = []
        left = [(piece.encode("utf-8", "surrogatepass"), piece) for piece in self._things]
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
                    table.setdefault(number, []).append((piece, self._things[piece]))
            tables.append((form, size, offsets, table))
        return tables
