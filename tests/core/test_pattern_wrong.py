# ruff: noqa: E501 - each sentence stands whole
"""Wrong patterns: each names the place and the remedy, all at once; and what templates do to values."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.core.pattern_coerce import FieldType, coerce
from connectors.core.pattern_parse import PatternError, parse

WRONG: list[tuple[Any, str]] = [
    ({"a": [{"anythingbut": 1}]}, "When.a[0]: 'anythingbut' is not an operator. Did you mean 'anything-but'?"),
    ({"a": [{"anything_but": 1}]}, "When.a[0]: 'anything_but' is not an operator. Did you mean 'anything-but'?"),
    ({"a": [{"Prefix": "x"}]}, "When.a[0]: 'Prefix' is not an operator. Did you mean 'prefix'?"),
    ({"a": [{"contains": "x"}]}, "When.a[0]: 'contains' is not an operator. Write {wildcard: '*text*'}."),
    ({"a": "x"}, "When.a: is not a list. Write ['x']."),
    ({"a": []}, "When.a: is an empty list, which nothing fits. Write a value in it, or remove the field."),
    ({"a": [["x"]]}, "When.a[0]: is a list within a list. Write the values in one list; any of them fits."),
    ({"a": {"prefix": "x"}}, "When.a.prefix: is neither a list nor an object of fields. An operator stands in a list: [{prefix: …}]."),
    ({}, "When: is empty. Name a field in it, or remove it."),
    ({"a": {}}, "When.a: is empty. Name a field in it, or remove it."),
    ("{", "When: is not JSON: Expecting property name enclosed in double quotes (line 1, column 2). Correct it there, or write a mapping instead."),
    ("[1]", 'When: is not an object. Write {"field": ["value"]}.'),
    ('{"a": [' + "9" * 5_000 + "]}", "When: holds a number of thousands of digits. Write a number that somebody could have."),
    ('{"a": [1], "a": [2]}', "When.a: is written twice. Keep one."),
    ('{"a": [NaN]}', "When.a[0]: nan is not a number of JSON. Write a finite number."),
    ({"a": [{"numeric": [">", "5"]}]}, "When.a[0].numeric[1]: '5' is not a number. Write it without quotes."),
    ({"a": [{"numeric": ["=>", 5]}]}, "When.a[0].numeric: '=>' is not a comparison. Write one of =, <, <=, > and >=."),
    ({"a": [{"numeric": [">", 5, "<", 5]}]}, "When.a[0].numeric: 5 is not below 5. The lower end comes first."),
    ({"a": [{"numeric": ["<", 5, ">", 1]}]}, "When.a[0].numeric: is not a range: the lower end comes first, then the upper. Write ['>', 0] or ['>=', 0, '<', 10]."),
    ({"a": [{"numeric": [">", 6e9]}]}, "When.a[0].numeric[1]: 6000000000.0 is outside -5e9 to 5e9. EventBridge compares no numbers beyond that."),
    ({"a": [{"numeric": [">", True]}]}, "When.a[0].numeric[1]: true is not a number. Write a number."),
    ({"a": [{"exists": "true"}]}, "When.a[0].exists: 'true' is not true or false. Write true or false, without quotes."),
    ({"a": [{"wildcard": "a**b"}]}, "When.a[0].wildcard: has two asterisks in a row. Write one; it stands for any text, also none."),
    ({"a": [{"wildcard": "a\\b"}]}, "When.a[0].wildcard: has a backslash before 'b'. A backslash stands only before * and \\; write \\\\ for a backslash."),
    ({"a": [{"wildcard": "a\\"}]}, "When.a[0].wildcard: ends with a single backslash. Write \\\\ for a backslash."),
    ({"a": [{"cidr": "10.0.0.0"}]}, "When.a[0].cidr: '10.0.0.0' is not a range of IP addresses. Write 10.0.0.0/24 or 2001:db8::/32."),
    ({"a": [{"cidr": "10.0.0.0/33"}]}, "When.a[0].cidr: '10.0.0.0/33' is not a range of IP addresses. Write 10.0.0.0/24 or 2001:db8::/32."),
    ({"a": [{"prefix": 5}]}, "When.a[0].prefix: 5 is not a text. Write one text, in quotes."),
    ({"a": [{"prefix": {"wildcard": "x"}}]}, "When.a[0].prefix: 'wildcard' cannot stand in prefix. Only equals-ignore-case can."),
    ({"a": [{"prefix": "a", "suffix": "b"}]}, "When.a[0]: holds 2 operators instead of one. Write each in an object of its own; any of them fits."),
    ({"a": [{"anything-but": ["x", 1]}]}, "When.a[0].anything-but: is neither texts only nor numbers only. Write only texts, or only numbers."),
    ({"a": [{"anything-but": []}]}, "When.a[0].anything-but: is an empty list. Write what the field must not be."),
    ({"a": [{"anything-but": None}]}, "When.a[0].anything-but: is neither texts only nor numbers only. Write only texts, or only numbers."),
    ({"a": [{"anything-but": {"prefix": ""}}]}, "When.a[0].anything-but.prefix: is empty, so that no text would fit. Write at least one character."),
    ({"a": [{"anything-but": {"numeric": [">", 1]}}]}, "When.a[0].anything-but: 'numeric' cannot stand in anything-but. Use one of: prefix, suffix, equals-ignore-case, wildcard."),
    ({"$or": [{"a": [1]}]}, "When.$or: is not a list of at least two alternatives. Write [{field: [value]}, {other: [value]}]."),
    ({"$or": [{"numeric": [1]}, {"a": [1]}]}, "When.$or[0].numeric: is an operator, not a field. Write $or: [{field: [{operator: value}]}, …]."),
    ({"a": [1], "$or": [{"a": [2]}, {"b": [3]}]}, "When.$or: says again what a has to be; EventBridge would take one of the two and drop the other. Write the field once, with all its values in one list."),
    ({"a.b": [1], "a": {"b": [2]}}, "When.a: says again what a.b has to be; EventBridge would take one of the two and drop the other. Write the field once, with all its values in one list."),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "sentence"), WRONG)
def test_a_wrong_pattern_is_refused_with_place_and_remedy(pattern: Any, sentence: str) -> None:
    with pytest.raises(PatternError) as caught:
        parse(pattern)
    assert [str(finding) for finding in caught.value.findings] == [sentence]


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(PatternError) as caught:
        parse({"a": "x", "b": [{"exist": True}, {"numeric": [">", "1"]}], "c": {"d": []}}, root="Routes[2].When")
    assert [finding.path for finding in caught.value.findings] == [
        "Routes[2].When.a",
        "Routes[2].When.b[0]",
        "Routes[2].When.b[1].numeric[1]",
        "Routes[2].When.c.d",
    ]


def test_too_many_alternatives_and_too_deep_a_nesting_are_refused() -> None:
    many = {f"f{at}": {"$or": [{"x": [1]}, {"y": [2]}]} for at in range(10)}
    with pytest.raises(PatternError, match="multiplies out to 1024 alternatives, over the limit of 1000"):
        parse(many)
    assert len(parse(dict(list(many.items())[:9])).branches) == 512
    deep: Any = [1]
    for _ in range(40):
        deep = {"a": deep}
    with pytest.raises(PatternError, match="nested deeper than 32"):
        parse(deep)
    with pytest.raises(PatternError, match="nested too deeply"):
        parse('{"a":' * 100_000)


TYPES: dict[str, FieldType] = {
    "source": "text",
    "text": "text",
    "language": "text",
    "author.followers": "number",
    "author.handle": "text",
    "own": "boolean",
    "metrics.*": "number",
    "sentiment": "number",
}


def test_a_templates_texts_become_what_the_field_is() -> None:
    given = {
        "author": {"followers": ["5", {"numeric": [">", "1000", "<=", "2e6"]}, {"anything-but": ["7", "8.5"]}]},
        "own": ["false", {"exists": "true"}],
        "text": ["5", {"prefix": "10"}, {"anything-but": {"wildcard": ["*1*", "2"]}}, {"exists": "false"}],
        "$or": [{"metrics": {"likes": [{"numeric": ["=", "3"]}]}}, {"sentiment": ["-0.5"]}],
    }
    assert coerce(given, TYPES) == {
        "author": {"followers": [5, {"numeric": [">", 1000, "<=", 2e6]}, {"anything-but": [7, 8.5]}]},
        "own": [False, {"exists": True}],
        "text": ["5", {"prefix": "10"}, {"anything-but": {"wildcard": ["*1*", "2"]}}, {"exists": False}],
        "$or": [{"metrics": {"likes": [{"numeric": ["=", 3]}]}}, {"sentiment": [-0.5]}],
    }


def test_what_yaml_reads_itself_ends_up_the_same() -> None:
    assert coerce({"author": {"followers": [5], "handle": [42]}, "own": [True]}, TYPES) == {
        "author": {"followers": [5], "handle": ["42"]},
        "own": [True],
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"language": ["false"]}, "When.language[0]: arrived as 'false': YAML reads no, off or false as a boolean. Quote it: ['no']; to mean the text false, give When as JSON."),
        ({"language": [False]}, "When.language[0]: arrived as 'false': YAML reads no, off or false as a boolean. Quote it: ['no']; to mean the text false, give When as JSON."),
        ({"language": [{"anything-but": ["true"]}]}, "When.language[0].anything-but: arrived as 'true': YAML reads yes, on or true as a boolean. Quote it: ['yes']; to mean the text true, give When as JSON."),
        ({"langauge": ["de"]}, "When.langauge: is not a field of a mention. Did you mean language?"),
        ({"followers": ["5"]}, "When.followers: is not a field of a mention. Did you mean author.followers?"),
        ({"author": ["x"]}, "When.author: is not a field of a mention. Name a field in it: author.followers, author.handle."),
        ({"text": {"prefix": ["x"]}}, "When.text: is a text and has no fields inside. Write text: [{prefix: …}]."),
        ({"author": {"followers": ["1_000"]}}, "When.author.followers[0]: '1_000' is not a number. Write a number such as 5 or 0.25."),
        ({"author": {"followers": ["many"]}}, "When.author.followers[0]: 'many' is not a number. Write a number such as 5 or 0.25."),
        ({"author": {"followers": [{"prefix": "1"}]}}, "When.author.followers[0].prefix: compares texts, but the field is a number. Compare it otherwise."),
        ({"text": [{"numeric": [">", "1"]}]}, "When.text[0].numeric: compares numbers, but the field is a text. Compare it otherwise."),
        ({"own": ["maybe"]}, "When.own[0]: 'maybe' is not true or false. Write true or false."),
        ({"text": [None]}, "When.text[0]: is null, which a template cannot carry. Give When as a JSON text, in which null stays null."),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_field_is_refused(given: Any, said: str) -> None:
    with pytest.raises(PatternError) as caught:
        coerce(given, TYPES)
    assert [str(finding) for finding in caught.value.findings] == [said]
