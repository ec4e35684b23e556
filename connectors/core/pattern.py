"""EventBridge's pattern language: whether an event is meant, and if not, which field says so.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html; where that is silent, what Amazon's
own open-source matcher does decides (https://github.com/aws/event-ruler). docs/patterns.md is for administrators.

    parse(text or mapping) → Pattern        pattern_parse.py: everything wrong at once, in a PatternError
    coerce(mapping, types) → mapping        pattern_coerce.py: texts of a template to the field's type
    covers(wider, narrower) → bool          pattern_covers.py
    Index(patterns).first(event) → int      pattern_index.py: the same answer without trying each

An event is a nested mapping of JSON values. It is seen as leaves: a path joined with dots → values. A field named
`a.b` and a field `b` in an object `a` are the same path. A list gives each of its elements; an object inside a list
keeps its place, and all fields of a pattern have to fit in the same element of a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from connectors.core.pattern_operators import Absent, Check, Exists, Leaf, one_of, show

Place = frozenset[tuple[int, int]]
"""In which element of which list a leaf stands: pairs of a list's number in its event and an index."""
NOWHERE: Place = frozenset()


class View:
    """An event's leaves by path. `nested` says whether any stands in an object or list inside a list."""

    __slots__ = ("_lists", "leaves", "memo", "nested", "places")

    def __init__(self, event: Mapping[str, object]) -> None:
        self.leaves: dict[str, list[Leaf]] = {}
        self.places: dict[str, list[Place]] = {}
        self.memo: dict[object, object] = {}
        self.nested = False
        self._lists = 0
        for name, value in event.items():
            kind = type(value)
            if kind is str or kind is int:
                self.leaves.setdefault(name, []).append(value)  # type: ignore[arg-type]
            else:
                self._add(name, value, NOWHERE)
        if not self.nested:
            self.places.clear()

    def _add(self, path: str, value: object, place: Place) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                self._add(f"{path}.{name}", inner, place)
        elif isinstance(value, list | tuple):
            self._add_list(path, value, place)
        elif value is None or isinstance(value, str | int | float):
            self.leaves.setdefault(path, []).append(value)
            if place:
                # Leaves of this path that were added before stand nowhere; the two lists must stay in step.
                kept = self.places.setdefault(path, [])
                kept.extend([NOWHERE] * (len(self.leaves[path]) - 1 - len(kept)))
                kept.append(place)
        else:
            raise TypeError(f"{path} holds a {type(value).__name__}, which is not JSON")

    def _add_list(self, path: str, values: list[object] | tuple[object, ...], place: Place) -> None:
        number = self._lists
        self._lists += 1
        for index, value in enumerate(values):
            if isinstance(value, Mapping | list | tuple):
                self.nested = True
                self._add(path, value, place | {(number, index)})
            else:
                self._add(path, value, place)

    def placed(self, path: str) -> Iterator[tuple[Leaf, Place]]:
        """The path's leaves, each with its place."""
        leaves, places = self.leaves.get(path, ()), self.places.get(path, ())
        for index, leaf in enumerate(leaves):
            yield leaf, places[index] if index < len(places) else NOWHERE


@dataclass(frozen=True, slots=True)
class Key:
    """One field of a pattern: it fits where any of `tests` fits any leaf of `path`."""

    path: str
    tests: tuple[Check, ...]
    absent: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "absent", any(type(test) is Absent for test in self.tests))

    def fits(self, leaves: Mapping[str, list[Leaf]]) -> bool:
        """Whether it fits by itself, places aside."""
        values = leaves.get(self.path)
        if values is None:
            return self.absent
        for test in self.tests:
            for value in values:
                if test.fits(value):
                    return True
        return False

    @property
    def always(self) -> bool:
        """Whether it fits every event: `[{exists: true}, {exists: false}]`."""
        return self.absent and any(isinstance(test, Exists) for test in self.tests)

    @property
    def words(self) -> str:
        return one_of(self.tests)


def _by_name(one: Key) -> bytes:
    """As Java sorts texts, and so Event Ruler the fields."""
    return one.path.encode("utf-16-be", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Branch:
    """Fields that all have to fit, in the order written."""

    keys: tuple[Key, ...]

    def matches(self, view: View) -> bool:
        if view.nested:
            return bool(self._agreeing(view)[0])
        leaves = view.leaves
        for one in self.keys:  # noqa: SIM110 - a generator would cost half of the time again
            if not one.fits(leaves):
                return False
        return True

    def _agreeing(self, view: View) -> tuple[set[Place], Key | None]:
        """The ways in which all keys fit in the same elements of lists; none, and the key at which they ran out.

        Event Ruler looks at the fields by name. A field that may not exist is looked for in the elements that the
        fields before it fitted in, so `exists: false` asks about those elements only.
        """
        states: set[Place] = {NOWHERE}
        for one in sorted(self.keys, key=_by_name):
            fitting: set[Place] = set()
            all_places: set[Place] = set()
            for leaf, place in view.placed(one.path):
                all_places.add(place)
                if place not in fitting and any(test.fits(leaf) for test in one.tests):
                    fitting.add(place)
            after: set[Place] = set()
            for state in states:
                after.update(state | place for place in fitting if _agree(state, place))
                if one.absent and not any(_agree(state, place) for place in all_places):
                    after.add(state)
            if not after:
                return set(), one
            states = after
        return states, None

    def misses(self, view: View) -> list[tuple[Key, bool]]:
        """The keys that do not fit; True with a key that fits, but in no element of a list in which the others do."""
        if not view.nested:
            return [(one, False) for one in self.keys if not one.fits(view.leaves)]
        agreeing, stopped = self._agreeing(view)
        if agreeing or stopped is None:
            return []
        # A field that may not exist fits, or not, only beside the others.
        alone = [(one, False) for one in self.keys if not one.absent and not one.fits(view.leaves)]
        return alone or [(stopped, stopped.fits(view.leaves))]


def _agree(one: Place, other: Place) -> bool:
    if not one or not other:
        return True
    taken = dict(one)
    return all(taken.get(number, index) == index for number, index in other)


@dataclass(frozen=True, slots=True)
class Miss:
    """Why an event is not meant: the field, what it should have been and what it was, in words.

    `found` shows at most 40 characters of a text."""

    path: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A checked pattern: it matches where any of `branches` does (`$or` is multiplied out)."""

    branches: tuple[Branch, ...]

    def matches(self, event: Mapping[str, object]) -> bool:
        return self.matches_view(View(event))

    def matches_view(self, view: View) -> bool:
        return any(branch.matches(view) for branch in self.branches)

    def explain(self, event: Mapping[str, object]) -> Miss | None:
        """The first field, in the order written, that does not fit; None where the event matches.

        Of a `$or`, the alternative that came closest (fewest fields do not fit; the first of these) is explained."""
        return self.explain_view(View(event))

    def explain_view(self, view: View) -> Miss | None:
        closest: list[tuple[Key, bool]] | None = None
        for branch in self.branches:
            misses = branch.misses(view)
            if not misses:
                return None
            if closest is None or len(misses) < len(closest):
                closest = misses
        if closest is None:
            raise ValueError("a pattern has at least one branch")
        one, apart = closest[0]
        expected = f"{one.words} in the same element of a list as the other fields" if apart else one.words
        return Miss(one.path, expected, _found(view, one.path))


def _found(view: View, path: str) -> str:
    values = view.leaves.get(path, [])
    if not values:
        inside = any(name.startswith(f"{path}.") for name in view.leaves)
        return "fields inside it, but no value of its own" if inside else "no value"
    shown = ", ".join(show(value) for value in values[:3])
    return f"{shown} and {len(values) - 3} more" if len(values) > 3 else shown
