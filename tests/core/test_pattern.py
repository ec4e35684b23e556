"""Matching, explaining and proving wider, beyond the documented examples."""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.core import pattern_pieces
from connectors.core.pattern import Branch, Pattern, View
from connectors.core.pattern_covers import covers
from connectors.core.pattern_index import Index
from connectors.core.pattern_operators import IgnoreCase, Leaf, PrefixIgnoreCase, SuffixIgnoreCase, Wildcard, fold
from connectors.core.pattern_parse import parse
from tests.bench.routing import event as mention
from tests.bench.routing import usual
from tests.core import naive_matcher
from tests.core.pattern_generator import Generator


def test_two_independent_matchers_the_index_and_the_explanation_agree() -> None:
    generator, matched = Generator(2026), 0
    for _ in range(3_000):
        pattern, event = generator.pair()
        checked = parse(json.dumps(pattern))
        expected = naive_matcher.matches(pattern, event)
        matched += expected
        said = (checked.matches(event), checked.explain(event) is None, Index([checked]).first(event) == 0)
        assert said == (expected,) * 3, (pattern, event)
    assert 600 < matched < 2_400, "the generator makes near misses as well as matches"


def test_the_index_says_what_trying_each_says() -> None:
    generator, dice, found = Generator(77), random.Random(3), set()
    for size in (3, 10, 40, 200) * 4:
        written = [generator.pattern() for _ in range(size)]
        index = Index([parse(one) for one in written])
        for _ in range(30):
            event = generator.event(dice.choice(written))
            expected = next((at for at, one in enumerate(written) if naive_matcher.matches(one, event)), None)
            assert index.first(event) == expected, event
            found.add((size, expected))
    assert len(found) > 40


def test_many_that_share_a_place_are_filed_again_and_stay_in_order() -> None:
    routes = [
        {"a": ["same"], "b": [{"numeric": [">", at]}], "c": [{"wildcard": f"*x{at % 50}y*"}]} for at in range(300)
    ]
    index = Index([*(parse(one) for one in routes), None])
    for b, c in ((400, "..x7y.."), (150, "x49y x3y"), (0, "x1y"), (260, "x200y"), (301, "nothing")):
        event = {"a": "same", "b": b, "c": c}
        expected = next((at for at, one in enumerate(routes) if naive_matcher.matches(one, event)), 300)
        assert index.first(event) == expected


@pytest.mark.parametrize("automaton", [True, False])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 7, 10, 11, 14, 15, 20])
def test_a_piece_is_found_wherever_it_stands(length: int, automaton: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the automaton, and without it where a machine has none."""
    assert pattern_pieces.AUTOMATON, "it is installed with all else"
    monkeypatch.setattr(pattern_pieces, "AUTOMATON", automaton)
    dice = random.Random(length)
    pieces = ["".join(dice.choices("abcdeö😀", k=length)) for _ in range(300)]
    index = Index([parse({"t": [{"wildcard": f"*{piece}*"}]}) for piece in pieces])
    for shift in range(20):
        piece = dice.choice(pieces)
        text = "-" * shift + piece + "." * (shift % 3)
        assert index.first({"t": text}) == min(at for at, one in enumerate(pieces) if one in text)


texts = st.text(st.sampled_from("ab*ß\ud800😀"), max_size=7)


@given(st.sets(texts.filter(bool), min_size=1, max_size=60), st.lists(texts, min_size=1, max_size=12), st.booleans())
def test_a_text_has_the_pieces_that_it_contains(pieces: set[str], words: list[str], automaton: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pattern_pieces, "AUTOMATON", automaton)
        found: pattern_pieces.Pieces[str] = pattern_pieces.Pieces()
        found.things.update((one, one) for one in sorted(pieces))
        for value in ("".join(words), *words):
            assert set(found.find(value)) == {one for one in pieces if one in value}


def test_a_catch_all_ends_the_search_and_without_one_nothing_is_found() -> None:
    de = parse({"language": ["de"]})
    assert Index([None, de]).first({"language": "de"}) == 0
    assert Index([de, None]).first({"language": "en"}) == 1
    assert Index([de]).first({"language": "en"}) is None
    assert Index([]).first({}) is None


def test_the_index_tells_what_earlier_routes_missed() -> None:
    index = Index([parse({"a": [1], "b": [2]}), parse({"c": [{"exists": True}]}), None])
    event = {"a": 1, "b": 3}
    assert index.first(event) == 2
    told = [(at, str(miss)) for at, miss in index.misses(event, 2)]
    assert told == [(0, "b: expected 2, found 3"), (1, "c: expected any value, found no value")]


EXPLAINED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"b": ["x"], "a": [1]}, {"a": 2, "b": "y"}, "b: expected 'x', found 'y'"),
    ({"a": {"b": [1, 2, 3, 4, 5]}}, {"a": {"b": 6}}, "a.b: expected 1, 2, 3 or one of 2 more, found 6"),
    (
        {"a": [{"prefix": "in"}, {"suffix": "x"}]},
        {},
        "a: expected a text that begins with 'in' or a text that ends with 'x', found no value",
    ),
    ({"a": [{"numeric": [">=", 10, "<", 20]}]}, {"a": "12"}, "a: expected a number >= 10 and < 20, found '12'"),
    ({"a": [{"exists": False}]}, {"a": None}, "a: expected no value, found null"),
    (
        {"a": [{"exists": True}]},
        {"a": {"b": 1}},
        "a: expected any value, found fields inside it, but no value of its own",
    ),
    (
        {"a": [{"anything-but": {"wildcard": "*\\**"}}]},
        {"a": "5*"},
        "a: expected anything but a text like '*\\**', found '5*'",
    ),
    ({"a": ["x"]}, {"a": [1, 2, 3, 4, 5]}, "a: expected 'x', found 1, 2, 3 and 2 more"),
    ({"$or": [{"a": [1], "b": [1]}, {"a": [1], "c": [1]}]}, {"a": 1, "b": 2}, "b: expected 1, found 2"),
    ({"a": [{"cidr": "10.0.0.0/8"}]}, {"a": True}, "a: expected an IP address in 10.0.0.0/8, found true"),
    (
        {"l": {"a": [1], "b": [1]}},
        {"l": [{"a": 1, "b": 2}, {"a": 2, "b": 1}]},
        "l.b: expected 1 in the same element of a list as the other fields, found 2, 1",
    ),
]


@pytest.mark.parametrize(("pattern", "event", "said"), EXPLAINED)
def test_an_explanation_names_field_expectation_and_finding(pattern: Any, event: Any, said: str) -> None:
    assert str(parse(pattern).explain(event)) == said


def test_an_explanation_shows_little_of_what_a_customer_wrote() -> None:
    miss = parse({"text": [{"prefix": "Hello"}]}).explain(
        {"text": "My name is Jane Doe and my card is 4111 1111\n" * 20}
    )
    assert miss is not None
    assert miss.found == "'My name is Jane Doe and my card is 4111 …'"


def test_upper_and_lower_case_are_taken_character_by_character() -> None:
    """As Event Ruler does: no ß for ss, the Kelvin sign is no K."""
    assert IgnoreCase("straße").fits("STRASSE")
    assert not IgnoreCase("strasse").fits("straße")
    assert not IgnoreCase("k").fits("\u212a")
    assert SuffixIgnoreCase("ß").fits("GROSS")
    assert PrefixIgnoreCase("é").fits("École")


def test_what_is_filed_under_folded_texts_is_found_for_every_character_there_is() -> None:
    """The index looks up case-folded texts, so a character's two cases have to fold alike."""
    for number in range(sys.maxunicode + 1):
        one = chr(number)
        assert fold(one.lower()) == fold(one.upper()) == fold(one), hex(number)
    for one in "ıſßİςǅ":
        index = Index([parse({"a": [{"equals-ignore-case": one}]})])
        for form in (one, one.lower(), one.upper()):
            assert index.first({"a": form}) == 0


def test_an_event_that_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError, match=r"a\.b holds a set"):
        parse({"x": [1]}).matches({"a": {"b": {1}}})


COVERED: list[tuple[Any, Any]] = [
    ({"a": ["x", "y"]}, {"a": ["x"], "b": [1]}),
    ({"a": [{"exists": True}]}, {"a": [{"anything-but": "x"}]}),
    ({"a": [{"prefix": "ab"}]}, {"a": [{"prefix": "abc"}, "abx", {"wildcard": "ab*c"}]}),
    ({"a": [{"suffix": "c"}]}, {"a": [{"suffix": "bc"}, {"wildcard": "*bc"}]}),
    ({"a": [{"numeric": [">", 0]}]}, {"a": [5, {"numeric": [">", 0, "<=", 10]}]}),
    ({"a": [{"cidr": "10.0.0.0/8"}]}, {"a": [{"cidr": "10.1.0.0/16"}, "10.0.0.1"]}),
    ({"a": [{"wildcard": "*b*"}]}, {"a": [{"wildcard": "a*b*c"}, {"prefix": "abc"}, "b"]}),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": ["z", {"anything-but": ["x", "y", "z"]}, {"prefix": "w"}]}),
    ({"$or": [{"a": [1]}, {"b": [1]}]}, {"$or": [{"a": [1], "c": [1]}, {"b": [1]}]}),
    ({"a": [{"exists": False}]}, {"a": [{"exists": False}], "b": [1]}),
    ({"a": [{"exists": True}, {"exists": False}]}, {"b": [1]}),
    ({"a": [{"equals-ignore-case": "no"}]}, {"a": ["NO", "no"]}),
    ({"a": [{"equals-ignore-case": "no"}, "x"]}, {"a": [{"equals-ignore-case": "NO"}]}),
    ({"a": [{"prefix": {"equals-ignore-case": "Re"}}]}, {"a": [{"prefix": {"equals-ignore-case": "rEF"}}]}),
    ({"a": [{"suffix": {"equals-ignore-case": "nd"}}]}, {"a": [{"equals-ignore-case": "REFUND"}]}),
    ({"a": [5, 6]}, {"a": [{"numeric": ["=", 5]}], "b": [1]}),
]


@pytest.mark.parametrize(("wide", "narrow"), COVERED)
def test_a_wider_pattern_is_proven_wider(wide: Any, narrow: Any) -> None:
    assert covers(parse(wide), parse(narrow))


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        *((narrow, wide) for wide, narrow in COVERED),
        ({"a": [0]}, {"a": [False]}),
        ({"a": [{"prefix": "a"}]}, {"a": [{"prefix": {"equals-ignore-case": "ab"}}]}),
        ({"a": [{"prefix": {"equals-ignore-case": "ss"}}]}, {"a": [{"prefix": {"equals-ignore-case": "ß"}}]}),
        ({"a": [{"prefix": {"equals-ignore-case": "a"}}]}, {"a": [{"suffix": {"equals-ignore-case": "a"}}]}),
        ({"a": [{"numeric": [">", 0]}]}, {"a": [{"numeric": [">=", 0]}]}),
        ({"l": {"b": [{"exists": False}]}}, {"l": {"a": [1], "b": [{"exists": False}]}}),
        ({"a": [{"anything-but": {"prefix": "wx"}}]}, {"a": [{"prefix": "w"}]}),
    ],
)
def test_what_is_not_proven_is_not_said(wide: Any, narrow: Any) -> None:
    assert not covers(parse(wide), parse(narrow))


def test_a_proof_holds_for_generated_events() -> None:
    generator, dice, proven = Generator(11), random.Random(3), 0
    for _ in range(2_000):
        narrow, _ = generator.pair()
        wide = json.loads(json.dumps(narrow))
        if len(wide) > 1 and dice.random() < 0.6:
            wide.pop(dice.choice(sorted(wide)))
        for name, values in wide.items():
            if name != "$or" and isinstance(values, list) and dice.random() < 0.5:
                values[dice.randrange(len(values))] = generator._value()
        checked: tuple[Pattern, Pattern] = parse(wide), parse(narrow)
        if not covers(*checked):
            continue
        for event in (generator.event(narrow) for _ in range(4)):
            if naive_matcher.matches(narrow, event):
                proven += 1
                assert naive_matcher.matches(wide, event), (wide, narrow, event)
    assert proven > 1_000


def test_few_of_many_routes_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What decides how long a decision takes; tests/bench/routing.py measures the time itself."""
    dice, tried = random.Random(8), 0
    routes = [parse(usual(dice, at)) for at in range(3_000)]
    index = Index([*routes, None])
    events = [mention(dice) for _ in range(60)]
    views = [View(event) for event in events]
    expected = [next((at for at, one in enumerate(routes) if one.matches_view(view)), 3_000) for view in views]
    plain = Branch.matches

    def counting(branch: Branch, view: View) -> bool:
        nonlocal tried
        tried += 1
        return plain(branch, view)

    monkeypatch.setattr(Branch, "matches", counting)
    assert [index.first(event) for event in events] == expected
    assert tried / len(events) < 20


def test_of_many_wildcards_only_those_are_tried_whose_words_a_text_has(monkeypatch: pytest.MonkeyPatch) -> None:
    dice, tried = random.Random(9), 0
    routes = [parse({"text": [{"wildcard": f"*return-{at:04}*"}]}) for at in range(2_000)]
    index = Index([*routes, None])
    events = [mention(dice, 2_000) for _ in range(20)]
    events = [{**one, "text": f"{one['text']} return-{at * 150:04}!"} for at, one in enumerate(events)]
    plain = Wildcard.fits

    def counting(check: Wildcard, value: Leaf) -> bool:
        nonlocal tried
        tried += 1
        return plain(check, value)

    monkeypatch.setattr(Wildcard, "fits", counting)
    assert [index.first(event) for event in events] == [min(at * 150, 2_000) for at in range(20)]
    assert tried <= 3 * len(events)
