"""JSON that nobody would send, made from what a vendor does send: for hypothesis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from hypothesis import strategies as st

from tests.contract.registered import event_of, sample_paths

HOSTILE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    1e308,
    10**15,
    10**400,
    253_402_300_800,
    "",
    " ",
    "0",
    "-1",
    "9" * 40,
    "1e400",
    "x" * 3000,
    "\x00",
    "a\ud800b",
    "line\nline",
    "٣",
    "https://[",
    "https://user:word@host.example/a b",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "Mon Oct 99 25:61:61 +9999 0000",
    [],
    {},
    [[]],
    {"": ""},
)
"""Values that break mappings: out of range, of another type, not storable, nearly a number, nearly a time."""


def document(path: Path) -> Any:
    """What a sample says: its JSON, or the fields of its form."""
    raw = path.read_bytes()
    if path.suffix != ".form":
        return json.loads(raw)
    fields = parse_qs(raw.decode(), keep_blank_values=True)
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def packed_as(path: Path, value: Any) -> bytes:
    """A document as the sample is written."""
    if path.suffix != ".form":
        return packed(value)
    plain = {
        name: [_plain(one) for one in (inner if isinstance(inner, list) else [inner])] for name, inner in value.items()
    }
    return urlencode(plain, doseq=True, errors="replace").encode()


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@cache
def documents(name: str) -> tuple[tuple[Path, Any], ...]:
    """The connector's own samples. Not to be changed."""
    return tuple((path, document(path)) for path in sample_paths(name))


@cache
def names(name: str) -> tuple[str, ...]:
    """Every member name in the samples."""
    return tuple(sorted({key for _, said in documents(name) for key in _keys(said)}))


@cache
def leaves(name: str) -> tuple[Any, ...]:
    """Every short value in the samples: event types, verbs, ids, times."""
    found = {leaf for _, said in documents(name) for leaf in _leaves(said) if len(str(leaf)) < 60}
    return tuple(sorted(found, key=repr))


def anything(name: str) -> st.SearchStrategy[Any]:
    """A JSON value out of the vendor's own words."""
    scalar = st.one_of(
        st.sampled_from(HOSTILE), st.sampled_from(leaves(name)), st.text(st.characters(), max_size=12), st.integers()
    )
    return st.recursive(
        scalar,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(names(name)), inner, min_size=1, max_size=6)
        ),
        max_leaves=12,
    )


@st.composite
def mutated(draw: st.DrawFn, name: str) -> bytes:
    """A sample in which one to three values, however deep, are something else, or gone."""
    path, original = draw(st.sampled_from(documents(name)))
    sample = deepcopy(original)
    for _ in range(draw(st.integers(1, 3))):
        here = sample
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(here[key], dict | list) and here[key] and draw(st.integers(0, 3)):
                here = here[key]
                continue
            if draw(st.integers(0, 3)):
                here[key] = deepcopy(draw(st.sampled_from(HOSTILE) | st.sampled_from(leaves(name)) | anything(name)))
            else:
                del here[key]
            break
    return packed_as(path, sample)


_GONE = object()


def replaced(name: str) -> Iterator[tuple[Path, bytes]]:
    """The samples in which one value, each in turn, is gone, or each of the hostile ones. What two samples of one event
    have in the same place is replaced in the first of them only."""
    done: set[tuple[Any, ...]] = set()
    for path in sample_paths(name):
        for way in _ways(document(path)):
            if (event_of(path), *way) in done:
                continue
            done.add((event_of(path), *way))
            for value in (_GONE, *HOSTILE):
                yield path, packed_as(path, _put(document(path), way, value))


def _put(document: Any, way: tuple[Any, ...], value: object) -> Any:
    *before, last = way
    here = document
    for step in before:
        here = here[step]
    if value is _GONE:
        del here[last]
    else:
        here[last] = value
    return document


def _ways(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in a document; of a list only its first two, of an object all."""
    inner = list(value.items()) if isinstance(value, dict) else list(enumerate(value))[:2]
    for step, below in inner:
        yield (*way, step)
        if isinstance(below, dict | list):
            yield from _ways(below, (*way, step))


def packed(value: object) -> bytes:
    """As a vendor would send it whose every character beyond ASCII is escaped, broken pairs too."""
    return json.dumps(value).encode("ascii")


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(inner)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    else:
        yield value
