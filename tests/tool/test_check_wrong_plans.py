"""Templates as administrators get them wrong: each has one mistake, which is one finding with its place and remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.tool.cfn_text import TemplateError, load, read
from connectors.tool.cfn_values import Around
from connectors.tool.checking import Report, examine

ARN = "arn:aws:sns:eu-central-1:123456789012:hailback"
BASE = """\
Parameters:
  Configure: {Type: String, Default: 'arn:aws:lambda:eu-central-1:123456789012:function:configure'}
Resources:
  Care: {Type: AWS::SNS::Topic, Properties: {TopicName: hailback-care}}
  Forum:
    Type: Custom::Source
    Properties:
      ServiceToken: !Ref Configure
      ServiceTimeout: 120
      Connector: discourse
      BaseUrl: https://forum.acme.com
      Secret: hailback/forum
  Tracker:
    Type: Custom::System
    Properties:
      ServiceToken: !Ref Configure
      ServiceTimeout: 120
      Connector: roundup
      BaseUrl: https://tracker.acme.com/support/
      Secret: hailback/tracker
  Desk:
    Type: Custom::System
    Properties:
      ServiceToken: !Ref Configure
      ServiceTimeout: 120
      Connector: zendesk
      BaseUrl: https://acme.zendesk.com
      Account: '900001'
      Secret: hailback/desk
  Plan:
    Type: Custom::Plan
    Properties:
      ServiceToken: !Ref Configure
      ServiceTimeout: 120
      Routes:
        - Name: leaving
          When: {intent: [churn_risk]}
          Case: [!Ref Tracker, !Ref Desk]
          Notify: [!Ref Care]
          FailOverAfter: 90s
          Labels: [retention]
          Priority: urgent
        - Name: thanks
          When: {intent: [praise]}
          Open: count
        - Name: everything-else
          Case: [!Ref Tracker]
          Notify: [!Ref Care]
"""
CASE, NOTIFY, WHEN = "Case: [!Ref Tracker, !Ref Desk]", "Notify: [!Ref Care]", "When: {intent: [churn_risk]}"
FIRST = "Plan.Routes[0]"


def look(text: str, **granted: str) -> Report:
    return examine(read(text.encode()), Around(), granted)


def changed(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new, 1)


def test_the_template_itself_is_right() -> None:
    report = look(BASE)
    assert (report.findings, report.warnings, report.unknown) == ([], [], [])


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        # a field under another name is one mistake, and not missing as well
        ("Case: [!Ref T", "Systems: [!Ref T", f"{FIRST}.Systems", "is not a field. Did you mean Case?"),
        ("When: {i", "If: {i", f"{FIRST}.If", "is not a field. Did you mean When?"),
        ("When: {i", "when: {i", f"{FIRST}.when", "is not a field. Did you mean When?"),
        ("Labels:", "Tags:", f"{FIRST}.Tags", "is not a field. Did you mean Labels?"),
        ("Routes:", "Route:", "Plan.Route", "is not a field. Did you mean Routes?"),
        ("BaseUrl: https://f", "BaseURL: https://f", "Forum.BaseURL", "Did you mean BaseUrl?"),
        ("Connector: roundup", "connector: roundup", "Tracker.connector", "Did you mean Connector?"),
        (WHEN, "intent: [churn_risk]", f"{FIRST}.intent", "is not a field of a route. Write it below When"),
        (NOTIFY, "Notify: ['arn:aws:sns:${AWS::Region}:1:a']", f"{FIRST}.Notify[0]", "Write !Sub before it"),
        (CASE, "Case: !Ref Tracker, !Ref Desk", f"{FIRST}.Case", "is neither a parameter nor a resource of this file."),
        ("ServiceToken: !Ref C", "ServiceTokn: !Ref C", "Forum.ServiceTokn", "Did you mean ServiceToken?"),
        ("Priority: urgent", "Chain: [!Ref Care]", f"{FIRST}.Chain", "Escalate would be, but is not built yet."),
        ("Case: [!Ref T", "Lead: [!Ref T", f"{FIRST}.Lead", "is not built yet. Write Case"),
        # values of the wrong kind
        ("Open: count", "Open: cout", "Plan.Routes[1].Open", "is neither case nor count. Did you mean count?"),
        ("Open: count", "Open: no", "Plan.Routes[1].Open", "(written as no). Write case or count."),
        (CASE, "Case: !Ref Tracker", f"{FIRST}.Case", "is one text instead of a list of texts. Write Case: ["),
        (CASE, "Case: {First: !Ref Tracker}", f"{FIRST}.Case", "is a mapping instead of a list of texts."),
        ("[retention]", "[[retention]]", f"{FIRST}.Labels[0]", "is a list instead of one text."),
        ("[retention]", "[]", f"{FIRST}.Labels", "is empty. Write Labels: ["),
        ("90s", "[90s]", f"{FIRST}.FailOverAfter", "is a list instead of one text. Write a time such as 90s."),
        ("90s", "", f"{FIRST}.FailOverAfter", "is null. CloudFormation takes none"),
        (WHEN, "When:", f"{FIRST}.When", "is null. CloudFormation takes none"),
        ("Account: '900001'", "Account: [1, 2]", "Desk.Account", "is not one text. Write one text, in quotes"),
        ("Account: '900001'", "Account: {a: b}", "Desk.Account", "is a mapping. Write one text"),
        ("Account: '900001'", "Account: 0123", "Desk.Account", "is 83 to YAML, which reads 0123 as octal. Quote it"),
        (
            "Secret: hailback/tracker",
            "Secret: hailback/tracker\n      StatusSolved: [done, chatting]",
            "Tracker.StatusSolved",
            "'chatting' is in StatusOpen too, as written or by default. Name it in one of the two.",
        ),
        # addresses
        ("https://acme.z", "http://acme.z", "Desk.BaseUrl", "begins with http: credentials"),
        ("https://forum", "http://forum", "Forum.BaseUrl", "Write https."),
        ("https://tracker", "https://${Host}", "Tracker.BaseUrl", "holds ${Host}, which nothing fills in. Write !Sub"),
        ("forum.acme.com", "forum.acme.com?a=b", "Forum.BaseUrl", "an address ends before ? and #."),
        # names that are nowhere
        (CASE, "Case: [!Ref Traker]", f"{FIRST}.Case[0]", "Did you mean Tracker?"),
        (CASE, "Case: ['!Ref Tracker']", f"{FIRST}.Case[0]", "Take the quotes off !Ref"),
        (CASE, "Case: [!ref Tracker]", f"{FIRST}.Case[0]", "is not a function of CloudFormation. Did you mean Ref?"),
        (CASE, "Case: [!If [A, !Ref Desk, !Ref Desk]]", f"{FIRST}.Case[0]", "'A' is no condition of this file."),
        (
            NOTIFY,
            "Notify: [!GetAtt Care.Arn]",
            f"{FIRST}.Notify[0]",
            "Care has no attribute Arn. Use one of: TopicArn",
        ),
        ("https://tracker", "!GetAtt Forum.Url #", "Tracker.BaseUrl", "Forum has no attribute Url. Use one of"),
        (
            "    Type: Custom::Plan",
            "    DependsOn: Trackr\n    Type: Custom::Plan",
            "Plan.DependsOn",
            "Did you mean Tracker?",
        ),
        ("    Type: Custom::Plan", "    Condition: Live\n    Type: Custom::Plan", "Plan.Condition", "is no condition"),
        (WHEN, "When: {source: [!Ref Foram]}", f"{FIRST}.When.source[0]", "Did you mean Forum?"),
        (
            WHEN,
            "When: {source: [!Ref Tracker]}",
            f"{FIRST}.When.source[0]",
            "is a Custom::System. Name a Custom::Source.",
        ),
        # topics that nobody may tell
        (NOTIFY, f"Notify: ['{ARN}-a'.fifo]".replace("'.fifo", ".fifo'"), f"{FIRST}.Notify[0]", "a FIFO topic"),
        (
            NOTIFY,
            f"Notify: ['{ARN.replace('eu-central', 'us-east')}-a']",
            f"{FIRST}.Notify[0]",
            "TopicRegions=eu-central-1,",
        ),
        (NOTIFY, f"Notify: ['{ARN.replace('1234', '9999')}-a']", f"{FIRST}.Notify[0]", "topic is in account 9999"),
        # what no mention ever says
        (WHEN, "When: {created_at: [2026-12-24]}", f"{FIRST}.When.created_at", "Write {prefix: '2026-12-24'}."),
        (WHEN, "When: {author: {handle: ['@ada']}}", f"{FIRST}.When.author.handle", "has no @. Write ada."),
        (WHEN, "When: {confidence: [{numeric: ['>', 1]}]}", f"{FIRST}.When.confidence", "can never be true"),
        (WHEN, "When: {or: [{intent: [idea]}]}", f"{FIRST}.When.or", "Did you mean $or?"),
        (WHEN, "When: {$and: [{intent: [idea]}]}", f"{FIRST}.When.$and", "Write its fields without it"),
        (WHEN, "When: {$or: {intent: [idea]}}", f"{FIRST}.When.$or", "is not a list of at least two alternatives."),
        # the outside of a resource
        ("Custom::Plan", "Custom::Route", "Plan.Type", "Did you mean Custom::Plan?"),
        ("Custom::Source", "Hailback::Forum", "Forum.Type", "Did you mean Custom::Source?"),
        ("    Type: Custom::Plan\n", "", "Plan.Type", "is missing. Write Type: Custom::Plan."),
        (
            "    Type: Custom::Plan\n    Properties:",
            "    Type: Custom::Plan\n    Property:",
            "Plan.Property",
            "Properties?",
        ),
        (
            "ServiceToken: !Ref Configure\n      ServiceTimeout: 120\n      Routes",
            "ServiceToken: configure\n      ServiceTimeout: 120\n      Routes",
            "Plan.ServiceToken",
            "is not the ARN of a function.",
        ),
        ("  Forum:\n", "  Forum2:\n  Forum:\n", "Forum2", "is no resource. Write Type and Properties under it"),
        (
            "Secret: hailback/forum",
            "Secret: hailback/a\n      Secret: hailback/forum",
            "Forum.Secret",
            "is written twice",
        ),
    ],
)
def test_one_mistake_is_one_finding(old: str, new: str, where: str, said: str) -> None:
    text = changed(old, new)
    report = look(text)
    assert len(report.findings) == 1, [str(one) for one in report.findings]
    [hit] = report.findings
    assert f"{hit.resource}.{hit.path}".rstrip(".") == where
    assert said in f"{hit.sentence} {hit.remedy}"
    assert hit.remedy, "every sentence says what to do"
    odd = next(n for n, (a, b) in enumerate(zip(BASE.splitlines(), text.splitlines(), strict=False), 1) if a != b)
    assert abs(hit.line - odd) <= 1
    assert report.warnings == [], "nothing follows from a mistake that is named already"
    assert not any("is not in this file" in str(one) for one in report.unknown)


@pytest.mark.parametrize(
    ("output", "said"),
    [("!Ref Frum", "Did you mean Forum?"), ("!Sub '${Plan.Versoin}'", "Did you mean Version?"), ("!If [A, b]", "of 3")],
)
def test_outputs_are_looked_at_too(output: str, said: str) -> None:
    report = look(f"{BASE}Outputs:\n  U: {{Value: {output}}}\n")
    assert any(one.path == "Outputs.U.Value" and said in f"{one.sentence} {one.remedy}" for one in report.findings)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "is empty"),
        ("Resource:\n  A: {}\n", "Resource should be Resources."),
        ("Resources:\n  - Plan\n", "without a hyphen"),
        ("Resources:\n", "has no resource under Resources"),
        ("Resources:\n  A:\n\tB: c\n", "Indent with blanks, not with tabs."),
        ("Resources:\n    A: b\n  C: d\n", "Indent the line as its neighbours are."),
        ("Resources: {A: *b}\n", "Quote a text that begins with an asterisk."),
        (f"{BASE}---\na: b\n", "remove the line ---"),
    ],
)
def test_what_is_no_template_says_what_to_do(body: str, said: str) -> None:
    with pytest.raises(TemplateError) as refused:
        read(body.encode())
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_called_json_has_to_be_json(tmp_path: Path) -> None:
    file = tmp_path / "routes.json"
    file.write_text('{"Resources": {"A": {"Type": "AWS::SNS::Topic"},}}')
    with pytest.raises(TemplateError, match=r"is not JSON: .* \(line 1, column 49\)"):
        load(file)
    file.write_text(json.dumps({"Resources": {"A": {"Type": "AWS::SNS::Topic"}}}))
    assert load(file).section("Resources")


DESK = (
    "Resources:\n",
    "  Use: {Type: String, Default: 'no'}\nConditions: {Has: !Equals [!Ref Use, 'yes']}\nResources:\n",
)
MAP = (
    "Resources:\n",
    "  At: {Type: String, Default: live}\nMappings: {M: {live: {Wait: 30s, Tags: [vip], Min: 7}}}\nResources:\n",
)


@pytest.mark.parametrize(
    "changes",
    [
        [DESK, (CASE, "Case: [!Ref Tracker, !If [Has, !Ref Desk, !Ref 'AWS::NoValue']]")],
        [
            DESK,
            (CASE, "Case: !If [Has, [!Ref Desk, !Ref Tracker], [{Ref: Tracker}]]"),
            ("urgent", "!If [Has, low, high]"),
        ],
        [MAP, ("90s", "!FindInMap [M, !Ref At, Wait]"), ("[retention]", "!FindInMap [M, !Ref At, Tags]")],
        [
            MAP,
            (WHEN, "When: {author: {id: ['a', !Sub '${AWS::Region}']}, metrics: {n: [!FindInMap [M, !Ref At, Min]]}}"),
        ],
        [("https://tracker", "!Sub\n        - https://${A}.acme.com/${B}/\n        - {A: t, B: !Ref AWS::Region} #")],
        [(NOTIFY, "Notify: [!Join [':', [arn, aws, sns, !Ref AWS::Region, !Ref AWS::AccountId, hailback-a]]]")],
        [(NOTIFY, "Notify: [!ImportValue a, !ImportValue b]")],
        [
            (
                WHEN,
                """When: '{"person": {"known": [false]}, "$or": [{"intent": [null]}, {"text": [{"prefix": "@"}]}]}'""",
            )
        ],
        [(WHEN, "When: {metrics: {n: ['5', 6, {numeric: ['>', '10', '<=', 1e3]}]}, person: {known: ['true']}}")],
        [
            ("Resources:\n", "  I: {Type: String}\nResources:\n"),
            (WHEN, "When: {intent: [!Ref I], source: [!ImportValue s]}"),
        ],
        [("Resources:\n", "  T: {Type: CommaDelimitedList}\nResources:\n"), (NOTIFY, "Notify: !Ref T")],
        [("      Routes:", "      Priority: '0'\n      Effects: off\n      Revision: 2\n      Routes:")],
        [("Account: '900001'", "Account: 900001\n      Hold: no\n      Poll: 90s")],
        [("Resources:\n", "Resources:\n  Other: {Type: Custom::Cleaner, Properties: {ServiceToken: a, Any: b}}\n")],
        [("Open: count", "Open: count\n          Labels: [grün, '2024', a_b-c]")],
        [("Resources:\n", "Transform: AWS::Serverless-2016-10-31\nResources:\n"), (NOTIFY, "Notify: [!Ref MadeTopic]")],
        [
            (
                "    Type: Custom::Plan",
                "    DependsOn: [Tracker, Care]\n    DeletionPolicy: Delete\n    Type: Custom::Plan",
            )
        ],
    ],
)
def test_unusual_but_right_writing_is_not_refused(changes: list[tuple[str, str]]) -> None:
    text = BASE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    assert [str(one) for one in look(text).findings] == []


def test_the_region_may_have_been_granted() -> None:
    far = changed(NOTIFY, f"Notify: [!Ref Care, '{ARN.replace('eu-central', 'us-east')}-a']")
    assert not look(far).ok
    assert look(far, TopicRegions="eu-central-1,us-east-1").ok
    elsewhere = far.replace("Default: 'arn:aws:lambda:eu-central-1:123456789012:function:configure'", "MinLength: 1")
    report = look(elsewhere)
    assert report.ok, "whose region nobody can know here"
    assert any("TopicRegions" in one.sentence for one in report.unknown)


def test_http_is_for_private_systems() -> None:
    inside = changed("https://tracker.acme.com", "http://10.0.0.5:8080")
    assert not look(inside).ok
    assert look(inside, AllowPrivateSystems="true").ok
