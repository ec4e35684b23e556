"""`hailback check`: all mistakes of a template at once, each with its line, and no AWS."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from connectors.tool.catalogues import DEFAULTS
from connectors.tool.main import app

CHECKOUT = Path(__file__).resolve().parents[2]
ROUTES = CHECKOUT / "infra" / "routes.yaml"
GOOD = """\
Parameters:
  Configure: {Type: String}
Resources:
  Care: {Type: 'AWS::SNS::Topic', Properties: {TopicName: hailback-care}}
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
  Plan:
    Type: Custom::Plan
    Properties:
      ServiceToken: !Ref Configure
      ServiceTimeout: 120
      Routes:
        - Name: everything-else
          Case: [!Ref Tracker]
          Notify: [!Ref Care]
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def look(folder: Path, text: str, *arguments: object) -> dict[str, Any]:
    """The report on a template; the exit code has to fit it."""
    file = folder / "routes.yaml"
    file.write_text(text, encoding="utf-8")
    done = run(file, "--json", *arguments)
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == (0 if found["ok"] else 1), done.output
    return found


def line(text: str, part: str) -> int:
    return 1 + text[: text.index(part)].count("\n")


def test_the_shipped_routes_are_right_and_say_what_is_not_known() -> None:
    done = run(ROUTES)
    assert done.exit_code == 0, done.output
    assert "nothing wrong" in done.output
    assert "Forum.BaseUrl: waits for the parameter ForumUrl" in done.output
    assert "the secret hailback/forum/verification exists" in done.output


def test_a_right_template_has_nothing_to_say(tmp_path: Path) -> None:
    found = look(tmp_path, GOOD, "--parameter-overrides", "Configure=arn:aws:lambda:eu-central-1:1:function:c")
    assert (found["findings"], found["warnings"], found["unknown"]) == ([], [], [])
    assert found["resources"] == {"Custom::Source": 1, "Custom::System": 1, "Custom::Plan": 1}


def test_all_mistakes_of_all_resources_come_at_once_with_their_lines(tmp_path: Path) -> None:
    text = (
        GOOD.replace("BaseUrl: https://forum", "BaseUlr: https://forum")
        .replace("Connector: roundup", "Connector: roundap")
        .replace("Secret: hailback/tracker", "Secret: acme/tracker")
        .replace("Notify: [!Ref Care]", "Notfy: [!Ref Care]")
    )
    found = look(tmp_path, text)
    shown = {(one["resource"], one["path"], one["line"]) for one in found["findings"]}
    assert {
        ("Forum", "BaseUlr", line(text, "BaseUlr")),
        ("Tracker", "Connector", line(text, "roundap")),
        ("Tracker", "Secret", line(text, "acme/tracker")),
        ("Plan", "Routes[0].Notfy", line(text, "Notfy")),
    } == shown, "and none twice: a field that is there under a wrong name is not missing as well"
    remedies = {one["path"]: one["remedy"] for one in found["findings"]}
    assert remedies["BaseUlr"] == "Did you mean BaseUrl?"
    assert "SecretsPrefix" in remedies["Secret"]


@pytest.mark.parametrize(
    ("old", "new", "path", "said"),
    [
        ("Name: everything-else", "Name: no", "Routes[0].Name", "'false'"),
        ("Case: [!Ref Tracker]", "Case: [!Ref Forum]", "Routes[0].Case[0]", "is a Custom::Source"),
        ("Case: [!Ref Tracker]", "Case: [!Ref Traker]", "Routes[0].Case[0]", "Did you mean Tracker?"),
        ("Case: [!Ref Tracker]", "Case: [!Ref Care]", "Routes[0].Case[0]", "not the id of a Custom::System"),
        ("Notify: [!Ref Care]", "Notify: [hailback-care]", "Routes[0].Notify[0]", "ARN"),
        ("TopicName: hailback-care", "TopicName: care", "Routes[0].Notify[0]", "TopicsPrefix"),
        (
            "ServiceTimeout: 120\n      Connector: discourse",
            "ServiceTimeout: 2m\n      Connector: discourse",
            "ServiceTimeout",
            "whole number",
        ),
        (
            "ServiceToken: !Ref Configure\n      ServiceTimeout: 120\n      Routes",
            "ServiceTimeout: 120\n      Routes",
            "ServiceToken",
            "missing",
        ),
        ("Type: Custom::Plan", "Type: Custom::Plans", "Type", "Did you mean Custom::Plan?"),
        ("BaseUrl: https://tracker.acme.com", "BaseUrl: http://127.0.0.1", "BaseUrl", "private"),
        ("Secret: hailback/forum", "Secret: ", "Secret", "null"),
        ("Secret: hailback/forum", "Secret: hailback/forum\n      Secret: hailback/f", "Secret", "written twice"),
        ("Secret: hailback/forum", "Secret: hailback/forum\n      Poll: 1s", "Poll", ""),
    ],
)
def test_each_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, path: str, said: str) -> None:
    text = GOOD.replace(old, new)
    assert text != GOOD
    found = look(tmp_path, text)
    hits = [one for one in found["findings"] if one["path"] == path and said in one["sentence"] + one["remedy"]]
    assert hits, found["findings"]
    assert hits[0]["line"] > 1


def test_a_word_that_yaml_reads_as_false_is_shown_as_it_was_written(tmp_path: Path) -> None:
    found = look(tmp_path, GOOD.replace("Secret: hailback/forum", "Secret: hailback/forum\n      Hold: maybe"))
    assert [one["path"] for one in found["findings"]] == ["Hold"]
    assert look(tmp_path, GOOD.replace("Secret: hailback/forum", "Secret: hailback/forum\n      Hold: yes"))["ok"]


@pytest.mark.parametrize(
    ("when", "path", "said"),
    [
        ("{language: [no]}", "When.language[0]", "quote"),
        ("{langage: [en]}", "When.langage", "Did you mean language?"),
        ("{author: {followers: [{numeric: ['>', many]}]}}", "When.author.followers[0].numeric[1]", "not a number"),
        ('\'{"intent": ["idea"], "intent": ["praise"]}\'', "When.intent", "written twice"),
        ("{intent: [complain]}", "When.intent", "Did you mean complaint?"),
    ],
)
def test_what_a_route_asks_for_is_checked_as_it_arrives(tmp_path: Path, when: str, path: str, said: str) -> None:
    first = f"- Name: first\n          When: {when}\n          Open: count\n        - Name: everything-else"
    text = GOOD.replace("- Name: everything-else", first)
    found = look(tmp_path, text)
    hits = [one for one in found["findings"] if one["path"] == f"Routes[0].{path}"]
    assert hits, found["findings"]
    assert said.lower() in (hits[0]["sentence"] + hits[0]["remedy"]).lower()
    assert hits[0]["line"] == line(text, "When:")


def test_a_route_that_nothing_can_reach_and_a_missing_catch_all(tmp_path: Path) -> None:
    more = GOOD + "        - {Name: late, When: {kind: [post]}, Case: [!Ref Tracker], Notify: [!Ref Care]}\n"
    found = look(tmp_path, more)
    assert any("never reached" in one["sentence"] for one in found["findings"])
    lost = look(tmp_path, GOOD.replace("- Name: everything-else", "- Name: some\n          When: {kind: [post]}"))
    assert any("no catch-all" in one["sentence"] for one in lost["findings"])


def test_what_only_cloudformation_works_out_is_said_to_be_unknown(tmp_path: Path) -> None:
    loop = "  Fn::ForEach::Forums: [Name, [a, b], {X: {Type: Custom::Source}}]\n"
    found = look(tmp_path, GOOD.replace("  Forum:\n", f"{loop}  Forum:\n"))
    assert found["ok"]
    assert "Fn::ForEach::Forums" in {one["resource"] for one in found["unknown"]}
    away = GOOD[: GOOD.index("      Routes:")] + "      Definition: s3://plans/a.json?versionId=7\n"
    stored = look(tmp_path, away, "--granted", "DefinitionsBucket=plans/")
    assert stored["ok"], stored["findings"]
    assert "Definition" in {one["path"] for one in stored["unknown"]}
    assert look(tmp_path, away)["findings"][0]["path"] == "Definition"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("!GetAtt Forum.WebhookUlr", "Did you mean WebhookUrl?"),
        ("!GetAtt Plan.WebhookUrl", "Use one of: Version, Warnings."),
        ("!Sub 'at ${Tracker.WebhookUrl}'", "roundup tells nothing by webhook"),
    ],
)
def test_an_attribute_that_a_resource_does_not_have(tmp_path: Path, value: str, said: str) -> None:
    text = f"{GOOD}Outputs:\n  Right: {{Value: !GetAtt Forum.WebhookUrl}}\n  Wrong: {{Value: {value}}}\n"
    [hit] = look(tmp_path, text)["findings"]
    assert said in f"{hit['sentence']} {hit['remedy']}"
    assert hit["line"] == line(text, "Wrong:")


def test_a_topic_that_a_condition_leaves_out_is_left_out(tmp_path: Path) -> None:
    text = GOOD.replace("Resources:\n", "Conditions: {Never: !Equals [a, b]}\nResources:\n", 1)
    text = text.replace("Notify: [!Ref Care]", "Notify: [!Ref Care, !If [Never, nonsense, !Ref AWS::NoValue]]")
    assert look(tmp_path, text)["findings"] == []


def test_what_is_not_known_is_not_called_wrong(tmp_path: Path) -> None:
    text = GOOD.replace("  Configure: {Type: String}", "  Configure: {Type: String}\n  Where: {Type: String}")
    text = text.replace("BaseUrl: https://forum.acme.com", "BaseUrl: !Sub 'https://${Where}'")
    text = text.replace("Notify: [!Ref Care]", "Notify: [!ImportValue topic]")
    found = look(tmp_path, text)
    assert found["findings"] == []
    assert {"BaseUrl", "Routes[0].Notify[0]"} <= {one["path"] for one in found["unknown"]}
    wrong = look(tmp_path, text, "--parameter-overrides", "Where=user:word@forum.acme.com")
    assert [one["path"] for one in wrong["findings"]] == ["BaseUrl"]


def test_a_mistake_behind_a_condition_that_does_not_hold_is_found_too(tmp_path: Path) -> None:
    text = ROUTES.read_text(encoding="utf-8").replace("Connector: zendesk", "Connector: zendesc")
    found = look(tmp_path, text)
    [hit] = found["findings"]
    assert (hit["resource"], hit["path"], hit["when"]) == ("Zendesk", "Connector", "ZendeskUrl given")
    assert hit["line"] == line(text, "zendesc")


def test_a_reference_that_only_sometimes_exists_is_a_finding(tmp_path: Path) -> None:
    text = ROUTES.read_text(encoding="utf-8").replace(
        "Case: !If [HasZendesk, [!Ref Tracker, !Ref Zendesk], [!Ref Tracker]]", "Case: [!Ref Tracker, !Ref Zendesk]"
    )
    found = look(tmp_path, text)
    assert any("its condition does not hold" in one["sentence"] for one in found["findings"])


def test_a_system_that_no_route_names_is_a_warning(tmp_path: Path) -> None:
    more = GOOD.replace(
        "  Plan:\n",
        "  Spare:\n    Type: Custom::System\n    Properties: {ServiceToken: !Ref Configure, ServiceTimeout: 9, "
        "Connector: roundup, BaseUrl: 'https://spare.acme.com/', Secret: hailback/spare}\n  Plan:\n",
    )
    found = look(tmp_path, more)
    assert found["ok"]
    assert [(one["resource"], one["line"]) for one in found["warnings"]] == [("Spare", line(more, "  Spare:"))]


def test_json_is_read_as_well_as_yaml(tmp_path: Path) -> None:
    plain = re.sub(r"!Ref (\w+)", r"{Ref: \1}", GOOD).replace("Connector: discourse", "Connector: discours")
    found = look(tmp_path, json.dumps(yaml.safe_load(plain), indent="\t"))
    assert [(one["resource"], one["path"]) for one in found["findings"]] == [("Forum", "Connector")]
    assert found["findings"][0]["remedy"] == "Did you mean discourse?"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"Resources: [", "line"),
        (b"just words", "no Resources"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"Resources:\n" + b"".join(b" " * n + b"a:\n" for n in range(1, 200)), "nested"),
    ],
)
def test_what_is_no_template_ends_with_one_sentence(tmp_path: Path, body: bytes, said: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(body)
    done = run(file)
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert run(tmp_path / "none.yaml").exit_code == 2
    assert run(file, "--parameter-overrides", "Where").exit_code == 2


def test_a_finding_repeats_no_password(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    for word in ("hunter2", "0x7DB"):
        text = GOOD.replace("Secret: hailback/forum", f"Secret: hailback/forum\n      Password: {word}")
        file.write_text(text, encoding="utf-8")
        shown = run(file)
        assert "Password" in shown.output
        assert word not in shown.output
        assert "2011" not in shown.output


def test_the_defaults_are_those_of_the_template() -> None:
    text = (CHECKOUT / "template.yaml").read_text(encoding="utf-8")
    for name, default in DEFAULTS.items():
        written = re.search(rf"^  {name}:\n    Type: String\n    Default: (.*)$", text, re.MULTILINE)
        assert written is not None, name
        assert written[1].strip("'") == default


def test_no_aws_is_imported() -> None:
    code = (
        "import sys; from connectors.tool.main import app\n"
        f"try: app(['check', {str(ROUTES)!r}])\nexcept SystemExit as end: assert end.code == 0, end.code\n"
        "assert 'boto3' not in sys.modules, 'boto3'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=CHECKOUT)
    assert done.returncode == 0, done.stderr
