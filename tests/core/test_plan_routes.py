"""The grammar of routes: what a condition may say, and every sentence about one that is wrong."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core.facts import FIELDS, NOT_BUILT
from connectors.core.pattern_parse import parse
from connectors.core.plan import Route
from connectors.core.plan_grammar import LARGEST_PLAN, check_plan
from connectors.core.plan_reach import sample
from tests.core.plan_world import GRANTS, ROUTE, SOURCES, TOPIC

REST = {**ROUTE, "Name": "rest"}


def said(*routes: object, **more: Any) -> list[str]:
    return [str(finding) for finding in check_plan({"Routes": list(routes), **more}, GRANTS, SOURCES)[1]]


def when(condition: object) -> list[str]:
    return [line.removeprefix("Routes[0].") for line in said({**ROUTE, "Name": "one", "When": condition}, REST)]


def read(*routes: object, **more: Any) -> tuple[Route, ...]:
    read, findings = check_plan({"Routes": list(routes), **more}, GRANTS, SOURCES)
    assert findings == []
    assert read is not None
    return read


def condition(given: object) -> Any:
    return read({**ROUTE, "Name": "one", "When": given}, REST)[0].when


def test_a_route_says_all_that_it_may() -> None:
    fields = {"Labels": ["retention", "vip"], "Priority": "high", "Coalesce": "10m", "Open": "case"}
    one, rest = read({**ROUTE, **fields, "Name": "one", "When": {"intent": ["complaint"]}}, REST)
    assert (one.when, one.labels, one.priority, one.coalesce) == (
        {"intent": ["complaint"]},
        ("retention", "vip"),
        "high",
        600.0,
    )
    assert (rest.when, rest.labels, rest.priority, rest.coalesce, rest.opens) == (None, (), None, 0.0, True)


def test_a_route_that_counts_has_no_systems_and_no_topics() -> None:
    one, _ = read({"Name": "fans", "Open": "count", "When": {"intent": ["praise"]}, "Labels": ["fan"]}, REST)
    assert (one.opens, one.systems, one.topics, one.labels) == (False, (), (), ("fan",))


@pytest.mark.parametrize("field", ["Case", "Notify", "Priority", "Coalesce", "FailOverAfter"])
def test_a_route_that_counts_may_not_say_what_happens(field: str) -> None:
    given = {"Case": ["routes/A"], "Notify": [TOPIC], "Priority": "low", "Coalesce": "1m", "FailOverAfter": "1m"}
    (found,) = said({"Name": "fans", "Open": "count", field: given[field]})
    assert found == (
        f"Routes[0].{field}: stands in a route that only counts, which opens no case and tells nobody. "
        f"Remove {field}, or Open: count."
    )


def test_texts_of_a_template_are_read_by_the_fields_type() -> None:
    asked = {
        "author": {"followers": [{"numeric": [">", "1000"]}], "id": ["42"]},
        "metrics": {"likes": ["5"], "shares": [{"exists": "true"}]},
        "person": {"known": ["true"]},
        "$or": [{"text": ["5"]}, {"confidence": [{"numeric": [">=", "0.5", "<", "0.9"]}]}],
    }
    assert condition(asked) == {
        "author": {"followers": [{"numeric": [">", 1000]}], "id": ["42"]},
        "metrics": {"likes": [5], "shares": [{"exists": True}]},
        "person": {"known": [True]},
        "$or": [{"text": ["5"]}, {"confidence": [{"numeric": [">=", 0.5, "<", 0.9]}]}],
    }


def test_a_json_text_carries_exact_types() -> None:
    asked = {"intent": ["complaint"], "language": [None, "no"], "author": {"followers": [{"numeric": ["<", 10]}]}}
    assert condition(json.dumps(asked)) == asked


WRONG = [
    ({"intent": ["complant"]}, "When.intent: 'complant' can never be true. Did you mean complaint?"),
    ({"intent": [{"prefix": "x"}]}, "When.intent: a text that begins with 'x' can never be true. Use one of: churn_"),
    ({"intent": [{"anything-but": ["prase"]}]}, "When.intent: 'prase' can never be true. Did you mean praise?"),
    ({"intents": ["complaint"]}, "When.intents: is not a field of a mention. Did you mean intent?"),
    ({"Text": ["x"]}, "When.Text: is not a field of a mention. Did you mean text?"),
    ({"followers": ["5"]}, "When.followers: is not a field of a mention. Did you mean author.followers?"),
    ({"author": {"folowers": ["5"]}}, "When.author.folowers: is not a field of a mention. Did you mean author.follow"),
    ({"author": ["ada"]}, "When.author: is no value: it has the fields id, handle, name, followers. Write author.id"),
    ({"text": {"prefix": "x"}}, "When.text: is a text and has no fields inside. Write text: [{prefix: …}]."),
    ({"$or": [{"txt": ["a"]}, {"text": ["b"]}]}, "When.$or[0].txt: is not a field of a mention. Did you mean text?"),
    ({"connector": ["discours"]}, "When.connector: 'discours' can never be true. Did you mean discourse?"),
    ({"source": ["Forum"]}, "When.source: 'Forum' is not the id of a Custom::Source. Write !Ref and the resource's"),
    ({"kind": ["posts"]}, "When.kind: 'posts' can never be true. Did you mean post?"),
    ({"own": ["true"]}, "When.own: true can never be true."),
    ({"confidence": [{"numeric": [">", "80"]}]}, "When.confidence: a number > 80 can never be true: it lies between"),
    (
        {"person": {"mentions": [{"numeric": [">", "100"]}]}},
        "When.person.mentions: a number > 100 can never be true: it",
    ),
    ({"language": ["false"]}, "When.language[0]: arrived as 'false'"),
    ({"author": {"followers": ["many"]}}, "When.author.followers[0]: 'many' is not a number."),
    ({"text": [{"numeric": [">", "1"]}]}, "When.text[0].numeric: compares numbers, but the field is a text."),
    ({"url": [{"cidr": "10.0.0.0/8"}]}, "When.url: an IP address in 10.0.0.0/8 can never be true: it is a text."),
    ({"title": [{"exists": "false"}]}, "When.title: 'exists: false' can never be true: every mention has it. For what"),
    ({"intent": [{"exists": "true"}]}, "When.intent: 'exists: true' is true of every mention. Remove it, or write"),
    ({"text": [{"prefx": "a"}]}, "When.text[0]: 'prefx' is not an operator. Did you mean 'prefix'?"),
    ({"text": [{"contains": "a"}]}, "When.text[0]: 'contains' is not an operator. Write {wildcard: '*text*'}."),
    ({"text": "refund"}, "When.text: is not a list. Write ['refund']."),
    ({}, "When: is empty. Name a field in it, or remove it."),
    ("{", "When: is not JSON: "),
    ("[]", 'When: is not an object. Write {"field": ["value"]}.'),
    ('{"followers": [5]}', "When.followers: is not a field of a mention. Did you mean author.followers?"),
    ('{"author": {"followers": ["5"]}}', "When.author.followers: '5' can never be true: it is a number. Write a numb"),
    (["intent"], "When: is neither a mapping nor a JSON text. Write a field and a list of values, such as intent: [co"),
    (None, "When: is neither a mapping nor a JSON text."),
]


@pytest.mark.parametrize(("given", "begins"), WRONG)
def test_a_wrong_condition_is_refused_with_a_sentence_and_a_remedy(given: object, begins: str) -> None:
    (found,) = when(given)
    assert found.startswith(begins)
    assert found.endswith((".", "?"))


@pytest.mark.parametrize("field", NOT_BUILT)
def test_a_field_that_is_not_built_is_refused_with_what_to_do(field: str) -> None:
    asked: Any = ["x"]
    for part in reversed(field.split(".")):
        asked = {part: asked}
    assert when(asked) == [f"When.{field}: is not built yet. {NOT_BUILT[field]}"]


def test_every_finding_comes_at_once() -> None:
    found = said(
        {**ROUTE, "Name": "a", "When": {"intnt": ["x"], "language": ["true"], "text": [{"numeric": ["1"]}]}},
        {**ROUTE, "Name": "a", "Priority": "hihg", "Labels": ["a b", "false"], "Coalesce": "2h", "Lead": ["x"]},
        {**REST, "Open": "cout", "Escalate": "care"},
        Caledars={},
    )
    for expected in (
        "Caledars: is not a field; Calendars would be, but is not built yet.",
        "Routes[0].When.intnt: ",
        "Routes[0].When.language[0]: arrived as 'true'",
        "Routes[0].When.text[0].numeric: ",
        "Routes[1].Name: 'a' is the name of Routes[0] already.",
        "Routes[1].Priority: 'hihg' is not a priority. Did you mean high?",
        "Routes[1].Labels[0]: 'a b' is not one word.",
        "Routes[1].Labels[1]: arrived as 'false'.",
        "Routes[1].Coalesce: '2h' is longer than an hour. Write 1h or less.",
        "Routes[1].Lead: is not built yet. Write Case; no registered system of record takes leads yet.",
        "Routes[1]: takes every mention, for it has no When.",
        "Routes[2].Open: is neither case nor count. Did you mean count?",
        "Routes[2].Escalate: is not built yet.",
    ):
        assert any(line.startswith(expected) for line in found), expected


def test_a_plan_without_a_catch_all_is_refused() -> None:
    one = {**ROUTE, "When": {"intent": ["praise"]}}
    assert said(one) == [
        (
            "Routes: there is no catch-all: what no When fits would be lost. "
            "Add a last route without When, such as everything-else."
        )
    ]
    assert said(one, Priority="100") == [], "a plan beside another one needs none"


def test_a_catch_all_that_is_not_the_last_is_refused() -> None:
    assert said(REST, {**ROUTE, "Name": "b", "When": {"intent": ["praise"]}}, {**ROUTE, "Name": "c"}) == [
        (
            "Routes[0]: takes every mention, for it has no When. Routes after it are never reached (2). "
            "Move it to the end, or give it a When."
        )
    ]


def test_a_route_that_nothing_can_reach_is_refused() -> None:
    wide = {**ROUTE, "Name": "wide", "When": {"intent": ["praise", "complaint"]}}
    beside = {**ROUTE, "Name": "beside", "When": {"language": ["de"]}}
    narrow = {**ROUTE, "Name": "narrow", "When": {"intent": ["praise"], "text": [{"prefix": "x"}]}}
    assert said(wide, beside, narrow, REST) == [
        (
            "Routes[2].When: is never reached: Routes[0] (wide) takes all that it would. "
            "Move it before that route, or remove it."
        )
    ]
    assert said(narrow, beside, wide, REST) == []
    some = {**ROUTE, "Name": "some", "When": {"intent": ["praise"]}}
    assert said(some, wide, REST) == [], "what it has first is taken, the rest is not"


def test_a_route_behind_one_that_only_seems_wider_is_reached() -> None:
    """The first route that fits a made-up event need not be the one that covers."""
    routes = [
        {**ROUTE, "Name": "odd", "When": {"text": [{"prefix": "x"}], "intent": ["praise"]}},
        {**ROUTE, "Name": "wide", "When": {"intent": ["praise", "idea"]}},
        {**ROUTE, "Name": "narrow", "When": {"intent": ["praise"], "text": [{"prefix": "x"}, "a"], "language": ["de"]}},
    ]
    assert [line.partition(":")[0] for line in said(*routes, REST)] == ["Routes[2].When"]
    assert said(routes[0], routes[1], {**routes[2], "When": {"language": ["de"]}}, REST) == []


def test_ten_thousand_routes_are_checked_in_seconds() -> None:
    """CloudFormation waits two minutes, on a machine that is slower than this one."""
    routes = [
        {**ROUTE, "Name": f"r{n}", "When": {"text": [{"prefix": f"p{n}-"}], "intent": ["idea"]}} for n in range(10_000)
    ]
    dead = {**ROUTE, "Name": "dead", "When": {"text": ["p77-x"], "intent": ["idea"]}}
    begun = time.process_time()
    assert said(*routes, dead, REST, Definition="s3://bucket/key?versionId=1") == [
        (
            "Routes[10000].When: is never reached: Routes[77] (r77) takes all that it would. "
            "Move it before that route, or remove it."
        )
    ]
    assert time.process_time() - begun < 30


def test_a_large_plan_from_s3_is_taken() -> None:
    routes = [{**ROUTE, "Name": f"r{n}", "When": {"text": [f"t{n} {'x' * 300}"]}} for n in range(1_500)]
    assert len(read(*routes, REST, Definition="s3://bucket/key?versionId=1")) == 1_501


def test_a_plan_that_is_too_large_is_told_how_large_it_is() -> None:
    routes = [{**ROUTE, "Name": f"r{n}", "When": {"text": [f"t{n} {'x' * 300}"]}} for n in range(1_500)]
    size = len(json.dumps({"Routes": [*routes, REST]}, separators=(",", ":")))
    assert said(*routes, REST) == [
        (
            f"Routes: the plan is {size} bytes, over the limit of {LARGEST_PLAN}. "
            "Shorten or remove routes, or put them into S3 (Definition)."
        )
    ]


@pytest.mark.parametrize("name", ["a b", "x" * 61, "", "-a", "a,b"])
def test_a_label_is_a_word(name: str) -> None:
    assert len(said({**REST, "Labels": [name]})) == 1


def test_labels_are_bounded_and_differ() -> None:
    assert said({**REST, "Labels": [f"l{n}" for n in range(11)]}) == [
        "Routes[0].Labels: 11 are written, over the limit of 10. Keep the 10 that matter most."
    ]
    assert said({**REST, "Labels": ["a", "a"]}) == ["Routes[0].Labels[1]: 'a' is named twice. Remove one of them."]


_leaf = st.one_of(st.text(max_size=6), st.integers(), st.booleans(), st.none(), st.floats())
_names = st.one_of(
    st.sampled_from([*FIELDS, "author", "metrics", "$or", "prefix", "numeric", "exists"]), st.text(max_size=5)
)
_junk = st.recursive(_leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3))


@settings(max_examples=400, deadline=None)
@given(given=_junk)
def test_a_check_never_raises_and_what_it_takes_can_be_compiled(given: object) -> None:
    routes, findings = check_plan({"Routes": [{**ROUTE, "When": given}, REST]}, GRANTS, SOURCES)
    assert (routes is None) == bool(findings)
    for route in routes or ():
        if route.when is not None:
            pattern = parse(route.when)
            event = sample(pattern)
            assert event is None or pattern.matches(event)
