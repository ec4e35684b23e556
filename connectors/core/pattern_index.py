"""The first of many patterns that an event matches, without trying each.

Every alternative of every pattern is filed under one of its fields: the one that the fewest others share. An event is
looked up by its fields; what is filed there is a candidate. Where many alternatives are filed in one place, they are
filed again there by their other fields, when the place is first looked at. A candidate is then matched in full, so
filing decides about speed only, never about the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from connectors.core.pattern import Branch, Key, Miss, Pattern, View
from connectors.core.pattern_lookup import Pieces, Prefixes, Ranges
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
    key,
)

FEW = 8
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
        for at, one in enumerate(self._patterns[:before]):
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

    __slots__ = ("_node", "_path", "entries")

    def __init__(self, path: str) -> None:
        self.entries: list[_Entry] = []
        self._path = path
        self._node: _Node | None = None

    def first(self, view: View, best: int) -> int:
        entries = self.entries
        if entries[0].at >= best:
            return best
        if len(entries) > FEW:
            if self._node is None:
                self._node = _Node(
                    one._replace(left=tuple(key for key in one.left if key.path != self._path)) for one in entries
                )
            return self._node.first(view, best)
        return _try(entries, view, best)


def _try(entries: Iterable[_Entry], view: View, best: int) -> int:
    for at, branch, _ in entries:
        if at >= best:
            return best
        if branch.matches(view):
            return at
    return best


class _Node:
    """Alternatives, each filed under one of its fields; `_loose` has those without a field left to file under."""

    def __init__(self, entries: Iterable[_Entry]) -> None:
        entries = list(entries)
        self._fields: dict[str, _Field] = {}
        self._loose: list[_Entry] = []
        counts: Counter[tuple[str, Slot]] = Counter()
        slots: dict[int, list[list[Slot]]] = {}
        for entry in entries:
            for one in entry.left:
                choices_of = slots.get(id(one))
                if choices_of is None:
                    choices_of = slots[id(one)] = [_slots(check) for check in one.tests]
                for choices in choices_of:
                    counts.update((one.path, slot) for slot in choices)
                    counts[one.path, ("paths", None)] += 1
        for entry in entries:
            if not entry.left:
                self._loose.append(entry)
                continue
            filed = min(entry.left, key=lambda one: _cost(one.path, slots[id(one)], counts))
            field = self._fields.setdefault(filed.path, _Field(filed.path))
            for choices in slots[id(filed)]:
                field.file(min(choices, key=lambda slot: _slot_cost(filed.path, slot, counts)), entry)

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
        text = check.text.casefold() if folded else check.text
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


def _slot_cost(path: str, slot: Slot, counts: Counter[tuple[str, Slot]]) -> float:
    """About how many candidates an event brings in that has what the slot asks for."""
    kind, wanted = slot
    if kind == "range":
        # Ranges overlap: of all on this field, about so many are found at once.
        return counts[path, ("paths", None)] * (0.5 if None in wanted else 0.2)
    if kind in {"any", "absent"}:
        return float(counts[path, ("paths", None)])
    weight = 1.0
    if isinstance(wanted, str) and kind not in {"=", "~"}:
        # Short texts are found in much, and what is found anywhere has to be looked at once more.
        weight = (20.0, 20.0, 8.0, 3.0)[len(wanted)] if len(wanted) < 4 else 1.0 + (kind == "piece")
    return counts[path, slot] * weight


def _cost(path: str, tests: list[list[Slot]], counts: Counter[tuple[str, Slot]]) -> float:
    return sum(min(_slot_cost(path, slot, counts) for slot in choices) for choices in tests)


class _Field:
    """What is filed under one field, by kind of comparison."""

    __slots__ = ("_any", "_cidrs", "_equal", "_fold", "_folds", "_path", "_pieces", "_ranges", "_texts", "absent")

    def __init__(self, path: str) -> None:
        self._path = path
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
            self._ranges = self._ranges or Ranges(self._gather)
            self._ranges.given.append((wanted, entry))
            return
        posting = self._posting(kind, wanted)
        if not posting.entries or posting.entries[-1] is not entry:
            posting.entries.append(entry)

    def _gather(self, entries: list[_Entry]) -> _Posting:
        posting = _Posting(self._path)
        posting.entries = entries
        return posting

    def _posting(self, kind: str, wanted: Any) -> _Posting:
        new = _Posting(self._path)
        if kind == "any":
            self._any = self._any or new
            return self._any
        if kind == "absent":
            self.absent = self.absent or new
            return self.absent
        if kind == "=":
            return self._equal.setdefault(wanted, new)
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
        if self._equal:
            posting = self._equal.get(key(value))
            if posting is not None:
                best = posting.first(view, best)
        if isinstance(value, str):
            for posting in self._of_text(value):
                best = posting.first(view, best)
        elif self._ranges is not None and isinstance(value, int | float) and not isinstance(value, bool):
            for posting in self._ranges.find(value):
                best = posting.first(view, best)
        return best

    def _of_text(self, value: str) -> Iterator[_Posting]:
        for kind, prefixes in self._texts.items():
            yield from prefixes.find(value if kind == "prefix" else value[::-1])
        if self._fold or self._folds:
            folded = value.casefold()
            posting = self._fold.get(folded)
            if posting is not None:
                yield posting
            for kind, prefixes in self._folds.items():
                yield from prefixes.find(folded if kind == "prefix" else folded[::-1])
        if self._pieces is not None:
            yield from self._pieces.find(value)
        if self._cidrs and (found := address(value)) is not None:
            for (version, bits), networks in self._cidrs.items():
                posting = networks.get(int(found) >> bits) if found.version == version else None
                if posting is not None:
                    yield posting
