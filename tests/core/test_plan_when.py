"""What a `When` may ask of a mention: every field is documented, and one that is not there says what to use instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from connectors.core.facts import ELSEWHERE, FIELDS, NOT_BUILT
from connectors.core.plan_when import check_when

DOCS = Path(__file__).resolve().parents[2] / "docs"


def said(when: object) -> list[str]:
    return [str(one) for one in check_when(when, "Routes[0].When")[2]]


@pytest.mark.parametrize(
    ("when", "field", "instead"),
    [
        ({"sentiment": [{"numeric": ["<", "0"]}]}, "sentiment", "Use intent instead"),
        ({"sentiment": {"label": ["negative"]}}, "sentiment", "Use intent instead"),
        ({"urgency": ["high"]}, "urgency", "Use intent or words of the text instead"),
        ({"time": {"calendar": ["Office"]}}, "time", "Use created_at instead"),
        ({"time": [{"prefix": "09"}]}, "time", "Use created_at instead"),
        ({"calendar": ["Office"]}, "calendar", "Use created_at instead"),
        ({"person": {"cases": [{"numeric": [">", "1"]}]}}, "person.cases", "Use person.mentions instead"),
        ({"$or": [{"urgency": ["5"]}, {"text": ["x"]}]}, "$or[0].urgency", "Use intent or words"),
        ('{"person.cases": [1]}', "person.cases", "Use person.mentions instead"),
    ],
)
def test_a_field_that_is_not_built_is_refused_in_one_sentence(when: object, field: str, instead: str) -> None:
    (sentence,) = said(when)
    assert sentence.startswith(f"Routes[0].When.{field}: is not built yet. {instead}")


def test_all_fields_that_are_not_built_are_told_at_once() -> None:
    when = '{"sentiment": [1], "urgency": [2], "time": {"calendar": ["x"]}, "person": {"cases": [1]}}'
    assert [one.split(":")[0].rpartition("When.")[2] for one in said(when)] == [
        "sentiment",
        "urgency",
        "time",
        "person.cases",
    ]


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ({"body": ["x"]}, "Routes[0].When.body: is not a field of a mention. Use text."),
        ({"platform": ["x"]}, "Routes[0].When.platform: is not a field of a mention. Use connector for the kind"),
        ({"priority": ["high"]}, "Routes[0].When.priority: is not a field of a mention. Remove it; a route gives"),
        ({"Weekday": ["Mon"]}, "Routes[0].When.Weekday: is not a field of a mention. Use created_at instead"),
        ({"author": {"verified": ["true"]}}, "Routes[0].When.author.verified: is not a field of a mention. Remove it"),
        (
            {"person": ["x"]},
            "Routes[0].When.person: is no value: it has the fields known, mentions. Write person.known",
        ),
    ],
)
def test_a_name_that_others_use_is_led_to_ours(when: object, sentence: str) -> None:
    (found,) = said(when)
    assert found.startswith(sentence)


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ({"language": ["German"]}, "language: 'German' can never be true: a language is told by its code"),
        ({"language": [{"equals-ignore-case": "german"}]}, "language: 'german' in any case can never be true"),
        ({"authority": ["https://forum.acme.com/"]}, "authority: 'https://forum.acme.com/' can never be true: it is a"),
        ({"source": [{"equals-ignore-case": "forum"}]}, "source: 'forum' in any case can never be true: a source is"),
        ({"metrics": {"a": {"b": ["1"]}}}, "metrics.a: is a number and has no fields inside. Write a list of values."),
        ({"text": {"prefx": "x"}}, "text: is a text and has no fields inside. Did you mean [{prefix: …}]?"),
        (
            {"text": [{"wildcard": {"equals-ignore-case": "*x*"}}]},
            "text[0].wildcard: has no form for any case",
        ),
        ({"text": [{"equals-ignore-case": {"wildcard": "*x*"}}]}, "text[0].equals-ignore-case: has no form for any"),
        ({"category": ["7"]}, "category: is not a field of a mention. Use place, such as place: ['7']"),
        ({"tags": ["vip"]}, "tags: is not a field of a mention. Remove it; a source's tags are not told."),
    ],
)
def test_what_no_mention_has_is_one_sentence_with_a_remedy(when: object, sentence: str) -> None:
    (found,) = said(when)
    assert found.startswith(f"Routes[0].When.{sentence}")


@pytest.mark.parametrize(
    "when", [{"language": ["de", "und", "l7"]}, {"place": ["7"]}, {"authority": ["acme.com:8443"]}]
)
def test_what_a_mention_may_have_is_taken(when: object) -> None:
    assert said(when) == []


def test_no_field_is_refused_under_another_name() -> None:
    assert not {name.rpartition(".")[2] for name in (*FIELDS, *NOT_BUILT)} & set(ELSEWHERE)


def test_every_field_is_documented_and_every_refused_one() -> None:
    text = (DOCS / "patterns.md").read_text(encoding="utf-8")
    missing = [name for name in (*FIELDS, "metrics.<name>", *NOT_BUILT) if f"`{name}`" not in text]
    assert missing == []


def examples() -> list[str]:
    """Every `When` of the page, and every example of its table of fields."""
    text = (DOCS / "patterns.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(When:.*?)```", text, re.DOTALL)
    rows = re.findall(r"^\| `[a-z_.<>]+` \| [^|]+ \| `([a-z_]+: [^`]+)`", text, re.MULTILINE)
    assert len(blocks) >= 3
    assert len(rows) >= len(FIELDS) - 1
    return [*blocks, *(f"When: {{{row}}}" for row in rows)]


@pytest.mark.parametrize("written", examples())
def test_an_example_of_the_page_is_accepted(written: str) -> None:
    """As a template delivers it: `!Ref` is an id, and what is no JSON text holds texts only."""
    read = yaml.safe_load(re.sub(r"!Ref (\w+)", r"stack/\1", written))["When"]
    assert said(read) == []


def test_a_place_under_its_former_name_is_told_the_name_here() -> None:
    (found,) = check_when({"connector": ["Twitter"]}, "When", connectors=("discourse", "facebook", "x"))[2]
    assert str(found) == "When.connector: 'Twitter' can never be true. Write x."
