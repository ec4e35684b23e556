"""The grammar of sources, systems and plans: every mistake is named with its field and its remedy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core.plan_grammar import (
    PLAN_NOT_BUILT,
    ROUTE_NOT_BUILT,
    SYSTEM_NOT_BUILT,
    check_plan,
    check_source,
    check_system,
)
from tests.core.plan_world import FORUM, GRANTS, PLAN, ROUTE, SOURCES, SYSTEMS, TOPIC, TRACKER


def source(properties: dict[str, Any]) -> list[str]:
    return [str(finding) for finding in check_source("routes/Forum", properties, SOURCES, GRANTS)[1]]


def system(properties: dict[str, Any]) -> list[str]:
    return [str(finding) for finding in check_system("routes/Tracker", properties, SYSTEMS, GRANTS)[1]]


def plan(properties: dict[str, Any]) -> list[str]:
    return [str(finding) for finding in check_plan(properties, GRANTS)[1]]


def route(**changes: Any) -> list[str]:
    return plan({"Routes": [{**ROUTE, **changes}]})


def test_a_source_keeps_its_settings_under_the_connectors_names() -> None:
    config, findings = check_source("routes/Forum", {**FORUM, "Account": ["acme", "42"]}, SOURCES, GRANTS)
    assert findings == []
    assert config is not None
    assert (config.id, config.connector, config.secret) == ("routes/Forum", "forum", "hailback/forum")
    assert SOURCES.settings_model("forum").model_validate(config.settings).model_dump() == {
        "base_url": "https://forum.example",
        "account": ("acme", "42"),
    }


def test_scalars_come_as_strings_and_are_read_by_the_fields_type() -> None:
    config, findings = check_system("routes/Tracker", {**TRACKER, "Batch": "25", "Strict": "true"}, SYSTEMS, GRANTS)
    assert findings == []
    assert config is not None
    assert config.settings == {"base_url": "https://tracker.example", "batch": 25, "strict": True}


def test_what_cloudformation_adds_and_revision_are_no_part_of_the_version() -> None:
    plain, _ = check_source("routes/Forum", FORUM, SOURCES, GRANTS)
    extra = {"ServiceToken": "arn", "ServiceTimeout": "120", "Revision": "7"}
    same, findings = check_source("routes/Forum", {**FORUM, **extra}, SOURCES, GRANTS)
    assert findings == []
    assert plain == same


def test_another_setting_is_another_version() -> None:
    one, _ = check_source("routes/Forum", FORUM, SOURCES, GRANTS)
    other, _ = check_source("routes/Forum", {**FORUM, "BaseUrl": "https://other.example"}, SOURCES, GRANTS)
    assert one is not None
    assert other is not None
    assert one.hash != other.hash


@pytest.mark.parametrize("field", SYSTEM_NOT_BUILT)
def test_a_system_field_that_is_not_built_is_refused_with_its_remedy(field: str) -> None:
    assert system({**TRACKER, field: "5"}) == [f"{field}: is not built yet. {SYSTEM_NOT_BUILT[field]}"]


@pytest.mark.parametrize("field", PLAN_NOT_BUILT)
def test_a_plan_field_that_is_not_built_is_refused_with_its_remedy(field: str) -> None:
    assert plan({**PLAN, field: {"care": {}}}) == [f"{field}: is not built yet. {PLAN_NOT_BUILT[field]}"]


@pytest.mark.parametrize("field", ROUTE_NOT_BUILT)
def test_a_route_field_that_is_not_built_is_refused_with_its_remedy(field: str) -> None:
    assert route(**{field: "x"}) == [f"Routes[0].{field}: is not built yet. {ROUTE_NOT_BUILT[field]}"]


@pytest.mark.parametrize("field", [*SYSTEM_NOT_BUILT, *PLAN_NOT_BUILT, *ROUTE_NOT_BUILT])
def test_every_remedy_is_a_sentence(field: str) -> None:
    remedy = {**SYSTEM_NOT_BUILT, **PLAN_NOT_BUILT, **ROUTE_NOT_BUILT}[field]
    assert remedy[0].isupper()
    assert remedy.endswith(".")


def read_route(**changes: Any) -> Any:
    routes, findings = check_plan({"Routes": [{**ROUTE, **changes}]}, GRANTS)
    assert findings == []
    assert routes is not None
    return routes[0]


def test_a_case_may_have_stand_bys_and_so_may_whoever_is_told() -> None:
    read = read_route(Case=["routes/A", "routes/B"], Notify=[TOPIC, TOPIC + "-2"])
    assert (read.systems, read.topics) == (("routes/A", "routes/B"), (TOPIC, TOPIC + "-2"))


def test_what_is_named_twice_is_refused() -> None:
    assert route(Case=["routes/A", "routes/A"]) == ["Routes[0].Case[1]: 'routes/A' is named twice. Remove one of them."]
    assert route(Case=[f"routes/A{n}" for n in range(6)]) == [
        "Routes[0].Case: 6 are written, over the limit of 5. Keep the 5 that matter most."
    ]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("2m", 120), ("1h", 3600), ("1d", 86400), ("1m30s", 90), ("0s", 0)]
)
def test_fail_over_after_is_a_length_of_time(text: object, seconds: float) -> None:
    assert read_route(FailOverAfter=text).fail_over_after == seconds


def test_fail_over_after_is_two_minutes_unless_written() -> None:
    assert read_route().fail_over_after == 120


@pytest.mark.parametrize("text", ["soon", "30", "-1s", "1.5m", "m", "true", ["2m"], "", "9" * 9])
def test_what_is_no_length_of_time_is_refused(text: object) -> None:
    (said,) = route(FailOverAfter=text)
    assert said.startswith("Routes[0].FailOverAfter: ")
    assert said.endswith(("Write a whole number with s, m, h or d, such as 90s or 2m.", "Write a time such as 90s."))


def test_a_stand_by_after_more_than_a_day_is_refused() -> None:
    assert route(FailOverAfter="25h") == ["Routes[0].FailOverAfter: '25h' is longer than a day. Write 1d or less."]


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"BaseURL": "https://x"}, "BaseURL: is not a field. Did you mean BaseUrl?"),
        ({"base_url": "https://x"}, "base_url: is not a field. Did you mean BaseUrl?"),
        ({"Secrets": "hailback/x"}, "Secrets: is not a field. Did you mean Secret?"),
        ({"Revison": "1"}, "Revison: is not a field. Did you mean Revision?"),
        ({"poll": "5m"}, "poll: is not a field. Did you mean Poll?"),
    ],
)
def test_a_misspelt_field_is_told_what_was_probably_meant(properties: dict[str, Any], said: str) -> None:
    assert source({**FORUM, **properties}) == [said]


def test_a_misspelt_field_of_a_plan_and_a_route() -> None:
    assert plan({**PLAN, "Route": []}) == ["Route: is not a field. Did you mean Routes?"]
    assert route(Notfy=[TOPIC]) == ["Routes[0].Notfy: is not a field. Did you mean Notify?"]
    assert route(lead="x") == [
        (
            "Routes[0].lead: is not a field; Lead would be, but is not built yet. "
            "Write Case; no registered system of record takes leads yet."
        )
    ]
    assert route(labels="x") == ["Routes[0].labels: is not a field. Did you mean Labels?"]


def test_an_unknown_field_is_told_which_there_are() -> None:
    assert source({**FORUM, "Zzz": "1"}) == [
        "Zzz: is not a field. Remove it, or use one of: Connector, Secret, Poll, Hold, BaseUrl, Account."
    ]


def test_a_password_in_a_template_is_refused_and_never_repeated() -> None:
    said = source({**FORUM, "AdminPassword": "hunter2"})
    assert said == [
        (
            "AdminPassword: is not a field. "
            "Never write secrets into a template; keep them in Secrets Manager and name them in Secret."
        )
    ]
    said = source({**FORUM, "BaseUrl": "https://admin:hunter2@forum.example"})
    assert said == ["BaseUrl: carries a user name or password. Leave that out; secrets belong in Secrets Manager."]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("Connector", "", "Connector: is missing. Name one of: discourse, forum."),
        ("Connector", "Forum", "Connector: 'Forum' is not a connector of this kind. Did you mean forum?"),
        ("Connector", "x", "Connector: 'x' is not a connector of this kind. Name one of: discourse, forum."),
        ("Secret", "", "Secret: is missing. Write the name of a secret under hailback/."),
        ("Secret", ["a"], "Secret: is a list instead of one text. Write the name of a secret under hailback/."),
        (
            "Secret",
            "other/forum",
            (
                "Secret: is outside the names that Hailback was granted, hailback/*. "
                "Rename the secret, or deploy Hailback with another SecretsPrefix."
            ),
        ),
        (
            "Secret",
            "hailback/forum/verification",
            "Secret: ends in /verification. Leave that off; /verification is added where it is needed.",
        ),
        (
            "Secret",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hailback/forum-AbCdEf",
            "Secret: is an ARN. Write the secret's name, such as hailback/forum.",
        ),
        (
            "Secret",
            "hailback/a\nb",
            "Secret: is not a secret's name. Use letters, digits and /_+=.@-, such as hailback/forum.",
        ),
        ("BaseUrl", "ftp://x", "BaseUrl: an address begins with https://. Correct it."),
        ("BaseUrl", {"a": "b"}, "BaseUrl: is a mapping. Write one text, or texts in brackets."),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(field: str, value: Any, said: str) -> None:
    assert source({**FORUM, field: value}) == [said]


def test_a_missing_setting() -> None:
    assert system({"Connector": "tracker", "Secret": "hailback/t"}) == [
        "BaseUrl: is missing. Write BaseUrl; this connector needs it."
    ]


def test_a_number_that_is_none() -> None:
    (said,) = system({**TRACKER, "Batch": "many"})
    assert said.startswith("Batch: is not a whole number. Write one such as 50")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Name": ""}, "Routes[0].Name: is missing. Give the route a name, such as everything-else."),
        (
            {"Name": "false"},
            "Routes[0].Name: arrived as 'false'. YAML reads yes, no, on and off as that: quote it.",
        ),
        (
            {"Name": "a b"},
            "Routes[0].Name: is not a route's name. Use up to 64 letters, digits, hyphens and underscores.",
        ),
        ({"Case": []}, "Routes[0].Case: is empty. Write Case: [!Ref YourSystem]."),
        (
            {"Case": "routes/Tracker"},
            "Routes[0].Case: is one text instead of a list of texts. Write Case: [!Ref YourSystem].",
        ),
        (
            {"Case": ["Tracker"]},
            "Routes[0].Case[0]: 'Tracker' is not the id of a Custom::System. Write !Ref and the resource's name.",
        ),
        ({"Notify": None}, "Routes[0].Notify: is missing. Write Notify: [!Ref YourTopic]."),
        (
            {"Notify": ["care@acme.example"]},
            "Routes[0].Notify[0]: 'care@acme.example' is not the ARN of an SNS topic. Write !Ref and the topic's name.",
        ),
        (
            {"Notify": ["arn:aws:sns:eu-west-1:123456789012:pager"]},
            (
                "Routes[0].Notify[0]: topic 'pager' is outside the names that Hailback was granted, hailback-*. "
                "Rename the topic, or deploy Hailback with another TopicsPrefix."
            ),
        ),
        (
            {"Notify": [TOPIC + ".fifo"]},
            "Routes[0].Notify[0]: a FIFO topic is not built yet. Use a standard topic.",
        ),
    ],
)
def test_a_wrong_route_is_named_with_its_remedy(changes: dict[str, Any], said: str) -> None:
    assert route(**changes) == [said]


@pytest.mark.parametrize("value", [None, "x", [], {}])
def test_a_plan_without_routes(value: Any) -> None:
    (said,) = plan({"Routes": value})
    assert said.startswith("Routes: is ")
    assert said.endswith("Write one route with Name, Case and Notify.")


def test_a_plan_that_is_too_large_is_told_so() -> None:
    assert any("over the limit of 200000" in said for said in plan({"Routes": [ROUTE], "Chains": "x" * 200_001}))


def test_all_findings_come_at_once() -> None:
    said = plan({"Chains": {}, "Routes": [{"Name": "x", "When": {}, "Case": [], "Notify": ["nope"]}, {}]})
    assert len(said) >= 6
    assert len({one.split(": ")[0] for one in said}) == len(said)


_names = st.sampled_from([*FORUM, *PLAN, *ROUTE, *PLAN_NOT_BUILT, *ROUTE_NOT_BUILT, "Poll", "Revision", "Account"])
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(["forum", "tracker", "hailback/x", "https://x.example", TOPIC, "routes/Tracker"]),
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names | st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
_documents = st.dictionaries(_names | st.text(max_size=12), _values, max_size=6)


@settings(max_examples=150, deadline=None)
@given(_documents)
def test_any_document_gives_findings_or_a_result_never_both_and_never_an_exception(document: dict[str, Any]) -> None:
    for value, findings in (
        check_source("routes/A", document, SOURCES, GRANTS),
        check_system("routes/A", document, SYSTEMS, GRANTS),
        check_plan(document, GRANTS),
        check_plan({"Routes": [document]}, GRANTS),
    ):
        assert (value is None) == bool(findings)
        assert all(finding.sentence.endswith(".") for finding in findings)
        assert all("\n" not in str(finding) for finding in findings)
