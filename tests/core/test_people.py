"""Who is one person: what live links connect, and nobody else."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.core.models import Author, Mention
from connectors.core.people import Evidence, Link, handle_of, person, person_key, read_handle

HANDLES = [f"x::{number}" for number in range(8)]
PAIRS = st.tuples(st.sampled_from(HANDLES), st.sampled_from(HANDLES)).filter(lambda pair: pair[0] != pair[1])


def evidence(what: str, at: int) -> Evidence:
    return Evidence.model_validate({"id": f"{at}", "what": what, "at": at, "by": "mia", "because": "She said so."})


class Book:
    """Links as they are written: on both sides."""

    def __init__(self) -> None:
        self.said: dict[tuple[str, str], tuple[Evidence, ...]] = {}

    def write(self, one: str, other: str, what: str, at: int) -> None:
        for pair in ((one, other), (other, one)):
            self.said[pair] = (*self.said.get(pair, ()), evidence(what, at))

    def links(self, handle: str) -> Iterable[Link]:
        return [Link(one, other, said) for (one, other), said in self.said.items() if one == handle]


def connected(edges: set[frozenset[str]], first: str) -> set[str]:
    """The same, found the slow way: grow until nothing is added."""
    found = {first}
    while grown := {handle for edge in edges if edge & found for handle in edge} - found:
        found |= grown
    return found


@given(st.lists(st.tuples(st.sampled_from(["linked", "ended"]), PAIRS), max_size=40))
def test_in_whatever_order_links_are_made_and_ended_a_person_is_what_they_connect(
    steps: list[tuple[str, tuple[str, str]]],
) -> None:
    book, live = Book(), set[frozenset[str]]()
    for at, (what, (one, other)) in enumerate(steps):
        book.write(one, other, what, at)
        (live.add if what == "linked" else live.discard)(frozenset((one, other)))
    for handle in HANDLES:
        found = person(handle, book.links)
        assert set(found.handles) == connected(live, handle)
        for other, way in found.ways.items():
            steps_taken = [handle, *(link.other for link in way)]
            assert steps_taken[-1] == other
            assert all(frozenset(pair) in live for pair in itertools.pairwise(steps_taken))


def test_the_shortest_way_is_the_one_that_is_told() -> None:
    book = Book()
    for one, other in (("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")):
        book.write(one, other, "linked", 1)
    assert [link.other for link in person("a", book.links).ways["d"]] == ["d"]


def test_more_handles_than_a_person_has_are_not_looked_at() -> None:
    book = Book()
    for number in range(200):
        book.write("tel:+4989123456", f"x::{number}", "linked", number)
    found = person("tel:+4989123456", book.links)
    assert (len(found.handles), found.whole) == (50, False)


def said(author: Author | None) -> Mention:
    return Mention(connector="x", native_id="1", conversation_id="1", author=author)


def test_a_handle_is_the_number_that_a_channel_vouches_for_else_the_account() -> None:
    assert handle_of(said(None)) is None
    assert handle_of(said(Author(native_id="42"))) == "x::42"
    assert handle_of(said(Author(native_id="+4970", identity="tel:+491701234567"))) == "tel:+491701234567"
    for wrong in ("tel:anonymous", "tel:+0", "tel:", "+491701234567", "x::43", "tel:+491701234567;ext=1"):
        assert handle_of(said(Author(native_id="42", identity=wrong))) == "x::42", wrong


@pytest.mark.parametrize(
    ("handle", "complaint"),
    [
        ("x:42", "x::ID"),
        ("x::", "x::ID"),
        ("bird::42", "begins with a connector's name"),
        ("tel:0170 1234567", "international form"),
        ("+491701234567", "begins with a connector's name"),
        ("", "begins with a connector's name"),
    ],
)
def test_a_handle_that_is_none_is_refused_in_a_sentence(handle: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_handle(handle, {"x"})


@pytest.mark.parametrize("ids", [("x", None, "42"), ("x", "forum.acme.com", "42"), ("x", None, "ж" * 3_000)])
def test_every_handle_that_is_written_down_can_be_said(ids: tuple[str, str | None, str]) -> None:
    handle = person_key(*ids)
    assert read_handle(handle, {"x"}) == handle
    assert len(handle.encode()) <= 2_000
