"""The first of many patterns that an event matches, without trying each.

Every alternative of every pattern is filed under one of its fields: the one that the fewest others share. An event is
looked up by its fields; what is filed there is a candidate. Where many alternatives are filed in one place, they are
filed again there by their other fields, when the place is first looked at. A candidate is then matched in full, so
filing decides about speed only, never about the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from math import inf
from typing import Any, NamedTuple

from connectors.core.pattern import Branch, Key, Miss, Pattern, View
from connectors.core.pattern_lookup import Prefixes, Ranges
from connectors.core.pattern_operators import (
    Absent,
    Check,
    Cidr,
    Equals,
    IgnoreCase,
    Leaf,
    Numeric,
    Prefix,
    PrefixIgnoreCase,
    Suffix,
    SuffixIgnoreCase,
    Wildcard,
    address,
    fold,
    key,
)
from connectors.core.pattern_pieces import Pieces

FEW = 12
"""Up to this many candidates are tried one by one."""

Slot = tuple[str, Any]
"""Where a comparison can be filed: a kind of look-up, and the key there."""


class Index:
    """Patterns in order; None is a catch-all. Immutable; safe to ask from several threads."""

    def __init__(self, patterns: Sequence[Pattern | None]) -> None:
        self._patterns = tuple(patterns)
        self._catch_all = next((at for at, one in enumerate(patterns) if one is None), len(patterns))
        reachable = enumerate(self._patterns[: self._catch_all])
        self._root = _Node(
            [_Entry(at, branch, branch.keys) for at, one in reachable if one is not None for branch in one.branches]
        )

    def first(self, event: Mapping[str, object]) -> int | None:
        """The lowest position whose pattern matches; None where none does and there is no catch-all."""
        found = self._root.first(View(event), self._catch_all)
        return found if found < len(self._patterns) else None

    def misses(self, event: Mapping[str, object], before: int | None = None) -> Iterator[tuple[int, Miss]]:
        """Each pattern at a position below `before` that does not match, and why, one by one as they are asked for."""
        view = View(event)
        for at, one in enumerate(islice(self._patterns, before)):
            miss = one.explain_view(view) if one is not None else None
            if miss is not None:
                yield at, miss


class _Entry(NamedTuple):
    at: int
    branch: Branch
    left: tuple[Key, ...]
    """The keys under which it is not filed yet."""


class _Posting:
    """What is filed in one place, by position."""

    __slots__ = ("_node", "entries")

    def __init__(self, entries: list[_Entry]) -> None:
        self.entries = entries
        self._node: _Node | None = None

    def first(self, view: View, best: int) -> int:
        entries = self.entries
        if entries[0].at >= best:
            return best
        if len(entries) > FEW:
            if self._node is None:
                self._node = _Node(entries)
            return self._node.first(view, best)
        return _try(entries, view, best)


def _try(entries: Iterable[_Entry], view: View, best: int) -> int:
    """What is left to file says no most quickly; but beside objects in lists a field says nothing by itself."""
    leaves, nested = view.leaves, view.nested
    for at, branch, left in entries:
        if at >= best:
            return best
        if not nested:
            for one in left:
                if not one.fits(leaves):
                    break
            else:
                if branch.matches(view):
                    return at
        elif branch.matches(view):
            return at
    return best


class _Node:
    """Alternatives, each filed under one of its fields; `_loose` has those without a field left to file under."""

    def __init__(self, entries: Iterable[_Entry]) -> None:
        self._fields: dict[str, _Field] = {}
        self._loose: list[_Entry] = []
        for entry, filed, slots in _choose(list(entries)):
            if filed is None:
                self._loose.append(entry)
                continue
            field = self._fields.setdefault(filed.path, _Field())
            filed_entry = _Entry(entry.at, entry.branch, tuple(one for one in entry.left if one is not filed))
            for slot in slots:
                field.file(slot, filed_entry)

    def first(self, view: View, best: int) -> int:
        if self._loose:
            best = _try(self._loose, view, best)
        leaves = view.leaves
        for path, field in self._fields.items():
            values = leaves.get(path)
            if field.absent is not None and (values is None or view.nested):
                best = field.absent.first(view, best)
            if values is not None:
                for value in values:
                    best = field.first(value, view, best)
        return best


_TEXTS = {
    IgnoreCase: ("~", True, False),
    Prefix: ("prefix", False, False),
    Suffix: ("suffix", False, True),
    PrefixIgnoreCase: ("prefix~", True, False),
    SuffixIgnoreCase: ("suffix~", True, True),
}
"""Comparisons with one text: the kind of look-up, whether the text is folded, whether it is reversed."""


def _slots(check: Check) -> list[Slot]:
    """Where a comparison can be filed: whatever it fits is found in each of these places."""
    if isinstance(check, Equals):
        return [("=", key(check.value))]
    if isinstance(check, IgnoreCase | Prefix | Suffix | PrefixIgnoreCase | SuffixIgnoreCase):
        kind, folded, reverse = _TEXTS[type(check)]
        text = fold(check.text) if folded else check.text
        return [(kind, text[::-1] if reverse else text)] if text or kind == "~" else [("any", None)]
    if isinstance(check, Wildcard):
        first, *middle, last = check.pieces
        places: list[Slot] = [("prefix", first), ("suffix", last[::-1]), *(("piece", piece) for piece in middle)]
        return [slot for slot in places if slot[1]] or [("any", None)]
    if isinstance(check, Numeric):
        if check.low is not None and check.low == check.high:
            return [("=", check.low)]
        return [("range", (check.low, check.low_open, check.high, check.high_open))]
    if isinstance(check, Cidr):
        network = check.network
        bits = network.max_prefixlen - network.prefixlen
        return [("cidr", (network.version, bits, int(network.network_address) >> bits))]
    return [("absent" if isinstance(check, Absent) else "any", None)]


_Counts = Counter[tuple[str, Slot]]
_Choice = tuple[_Entry, Key | None, list[Slot]]
_WEIGHTS = (20.0, 20.0, 8.0, 3.0, 1.6, 1.4, 1.3, 1.2, 1.2, 1.2, 1.2)
"""By the length of a text: the shorter, the more values have it, and the more it costs to look for it."""
_BROAD = frozenset(("any", "absent", "range", "piece"))
"""Kinds of which a value has many at once."""


def _choose(entries: list[_Entry]) -> list[_Choice]:
    """For each alternative the field that brings the fewest candidates along, and the places there.

    What is left for a broad kind is looked at once more: beside a rare wildcard even a common source is a good place
    to file, if few of those that are filed there would have come by wildcards."""
    places: dict[int, list[list[Slot]]] = {}
    counts: _Counts = Counter()
    for entry in entries:
        for one in entry.left:
            choices_of = places.get(id(one))
            if choices_of is None:
                choices_of = places[id(one)] = [_slots(check) for check in one.tests]
            for choices in choices_of:
                counts[one.path, ("all", None)] += 1
                for slot in choices:
                    counts[one.path, slot] += 1
                    if slot[0] == "piece":
                        counts[one.path, ("pieces", None)] += 1
    chosen = [_cheapest(entry, entry.left, places, counts) for entry in entries]
    broad = [at for at, (_, _, slots) in enumerate(chosen) if any(kind in _BROAD for kind, _ in slots)]
    among: _Counts = Counter()
    for at in broad:
        among.update((one.path, slot) for one in chosen[at][0].left for slots in places[id(one)] for slot in slots)
    for at in broad:
        entry, filed, slots = chosen[at]
        others = [one for one in entry.left if not any(_broad(choices) for choices in places[id(one)])]
        other = _cheapest(entry, others, places, among)
        if filed and other[1] and _cost(other[1].path, other[2], among) < _cost(filed.path, slots, counts):
            chosen[at] = other
    return chosen


def _broad(choices: list[Slot]) -> bool:
    return all(kind in _BROAD for kind, _ in choices)


def _cheapest(entry: _Entry, keys: Iterable[Key], places: dict[int, list[list[Slot]]], counts: _Counts) -> _Choice:
    least: float = inf
    choice: _Choice = (entry, None, [])
    for one in keys:
        path = one.path
        slots = [
            choices[0] if len(choices) == 1 else min(choices, key=lambda slot: _slot_cost(path, slot, counts))
            for choices in places[id(one)]
        ]
        cost = _cost(path, slots, counts)
        if cost < least:
            least, choice = cost, (entry, one, slots)
    return choice


def _cost(path: str, slots: list[Slot], counts: _Counts) -> float:
    return sum(_slot_cost(path, slot, counts) for slot in slots)


def _slot_cost(path: str, slot: Slot, counts: _Counts) -> float:
    """About how many candidates an event brings along that has what the slot asks for."""
    kind, wanted = slot
    if kind == "range":
        # Ranges overlap: of all on this field, about so many are found at once.
        return counts[path, ("all", None)] * (0.5 if None in wanted else 0.2)
    if kind in {"any", "absent"}:
        return float(counts[path, ("all", None)])
    if kind in {"=", "~", "cidr"}:
        return float(counts[path, slot])
    # Short texts are found in much; and a text contains many pieces at once, each of which is looked for again.
    weight = _WEIGHTS[len(wanted)] if len(wanted) < len(_WEIGHTS) else 1.0
    return counts[path, slot] * weight + (0.02 * counts[path, ("pieces", None)] if kind == "piece" else 0.0)


class _Field:
    """What is filed under one field, by kind of comparison."""

    def __init__(self) -> None:
        self._of_text = False
        self.absent: _Posting | None = None
        self._any: _Posting | None = None
        self._equal: dict[object, _Posting] = {}
        self._fold: dict[str, _Posting] = {}
        self._texts: dict[str, Prefixes[_Posting]] = {}
        self._folds: dict[str, Prefixes[_Posting]] = {}
        self._pieces: Pieces[_Posting] | None = None
        self._ranges: Ranges[_Entry, _Posting] | None = None
        self._cidrs: dict[tuple[int, int], dict[int, _Posting]] = {}

    def file(self, slot: Slot, entry: _Entry) -> None:
        kind, wanted = slot
        if kind == "range":
            self._ranges = self._ranges or Ranges(_Posting)
            self._ranges.given.append((wanted, entry))
            return
        posting = self._posting(kind, wanted)
        if not posting.entries or posting.entries[-1] is not entry:
            posting.entries.append(entry)

    def _posting(self, kind: str, wanted: Any) -> _Posting:
        new = _Posting([])
        if kind == "any":
            self._any = self._any or new
            return self._any
        if kind == "absent":
            self.absent = self.absent or new
            return self.absent
        if kind == "=":
            return self._equal.setdefault(wanted, new)
        self._of_text = True
        if kind == "cidr":
            version, bits, network = wanted
            return self._cidrs.setdefault((version, bits), {}).setdefault(network, new)
        if kind == "~":
            return self._fold.setdefault(wanted, new)
        if kind == "piece":
            self._pieces = self._pieces or Pieces()
            return self._pieces.things.setdefault(wanted, new)
        kinds = self._folds if kind.endswith("~") else self._texts
        return kinds.setdefault(kind.rstrip("~"), Prefixes()).things.setdefault(wanted, new)

    def first(self, value: Leaf, view: View, best: int) -> int:
        if self._any is not None:
            best = self._any.first(view, best)
        text = isinstance(value, str)
        if self._equal:
            posting = self._equal.get(value if text else key(value))
            if posting is not None:
                best = posting.first(view, best)
        if text:
            return self._first_of_text(str(value), view, best) if self._of_text else best
        if self._ranges is not None and isinstance(value, int | float) and not isinstance(value, bool):
            for posting in self._ranges.find(value):
                best = posting.first(view, best)
        return best

    def _first_of_text(self, value: str, view: View, best: int) -> int:
        for kind, prefixes in self._texts.items():
            for posting in prefixes.find(value if kind == "prefix" else value[::-1]):
                best = posting.first(view, best)
        if self._pieces is not None:
            for posting in self._pieces.find(value):
                best = posting.first(view, best)
        if self._fold or self._folds:
            for posting in self._folded(fold(value)):
                best = posting.first(view, best)
        if self._cidrs and (found := address(value)) is not None:
            for (version, bits), networks in self._cidrs.items():
                network = networks.get(int(found) >> bits) if found.version == version else None
                if network is not None:
                    best = network.first(view, best)
        return best

    def _folded(self, folded: str) -> Iterator[_Posting]:
        posting = self._fold.get(folded)
        if posting is not None:
            yield posting
        for kind, prefixes in self._folds.items():
            yield from prefixes.find(folded if kind == "prefix" else folded[::-1])
