"""`hailback check --live`: the account is asked as a deployment would ask it, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from connectors.aws.config import ConfigStore
from connectors.core.plan_configure import configure
from connectors.tool import check as command
from connectors.tool.main import app
from tests.core.plan_world import TRACKER, ask, machine
from tests.tool.conftest import Small
from tests.tool.small_plan import PLAN

SECRETS = ("hailback/forum/verification", "hailback/tracker/credentials")


@pytest.fixture
def account(small: Small, monkeypatch: pytest.MonkeyPatch) -> Small:
    """Hailback's own stack is there; the routes were never deployed."""
    cloudformation = boto3.client("cloudformation")
    parameters = {name: {"Type": "String", "Default": value} for name, value in (("SecretsPrefix", "hailback/"),)}
    parameters["TopicRegions"] = {"Type": "String", "Default": "eu-central-1"}
    template = {"Parameters": parameters, "Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}
    cloudformation.create_stack(StackName="hailback", TemplateBody=json.dumps(template))
    monkeypatch.setattr(command, "target", lambda *_: small.deployment)
    return small


def look(tmp_path: Path, text: str, *more: str) -> dict[str, Any]:
    file = tmp_path / "routes.yaml"
    file.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["check", str(file), "--live", "--json", *more])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def everything() -> list[Any]:
    return sorted(boto3.client("dynamodb").scan(TableName="table")["Items"], key=str)


def test_what_does_not_exist_is_found_with_its_line(account: Small, tmp_path: Path) -> None:
    before = everything()
    found = look(tmp_path, PLAN)
    shown = {(one["resource"], one["path"], one["sentence"]) for one in found["findings"]}
    assert any(resource == "Forum" and SECRETS[0] in sentence for resource, _, sentence in shown)
    assert any(resource == "Tracker" and SECRETS[1] in sentence for resource, _, sentence in shown)
    line = 1 + PLAN[: PLAN.index("Secret: hailback/forum")].count("\n")
    assert [one["line"] for one in found["findings"] if one["resource"] == "Forum"] == [line]
    assert everything() == before


def test_when_everything_is_there_only_the_unheard_topic_is_a_warning(account: Small, tmp_path: Path) -> None:
    for name in SECRETS:
        boto3.client("secretsmanager").create_secret(Name=name, SecretString="x")
    boto3.client("sns").create_topic(Name="hailback-care")
    before = everything()
    found = look(tmp_path, PLAN)
    assert [one["sentence"] for one in found["findings"]] == []
    assert any("no confirmed subscription" in one["sentence"] for one in found["warnings"])
    assert everything() == before


def test_a_region_that_the_machine_was_not_granted_is_a_finding(account: Small, tmp_path: Path) -> None:
    text = PLAN.replace("Notify: [!Ref Care]", "Notify: [!Ref Care, 'arn:aws:sns:eu-west-1:123456789012:hailback-b']")
    found = look(tmp_path, text)
    assert any("TopicRegions=eu-central-1,eu-west-1" in one["remedy"] for one in found["findings"])


def test_a_shadow_is_warned_of_once(account: Small, tmp_path: Path) -> None:
    ready()
    boto3.client("sns").create_topic(Name="hailback-care")
    shadow = PLAN.replace("      Routes:", "      Priority: 100\n      Effects: off\n      Routes:")
    found = look(tmp_path, shadow[: shadow.index("        - Name: everything-else")])
    assert [one["path"] for one in found["warnings"]].count("Effects") == 1


def ready() -> None:
    for name in SECRETS:
        boto3.client("secretsmanager").create_secret(Name=name, SecretString="x")


def test_a_topic_that_the_file_makes_itself_is_not_missed(account: Small, tmp_path: Path) -> None:
    ready()
    found = look(tmp_path, PLAN)
    assert [one["sentence"] for one in found["findings"]] == []
    assert found["ok"]


def test_a_topic_that_nobody_makes_is_missed(account: Small, tmp_path: Path) -> None:
    ready()
    text = PLAN.replace("Notify: [!Ref Care]", "Notify: ['arn:aws:sns:eu-central-1:123456789012:hailback-other']")
    assert {one["sentence"] for one in look(tmp_path, text)["findings"]} == {
        "topic arn:aws:sns:eu-central-1:123456789012:hailback-other does not exist in eu-central-1."
    }


def test_a_secret_that_the_file_makes_itself_is_not_missed(account: Small, tmp_path: Path) -> None:
    boto3.client("secretsmanager").create_secret(Name=SECRETS[1], SecretString="x")
    made = f"  Signing: {{Type: 'AWS::SecretsManager::Secret', Properties: {{Name: {SECRETS[0]}}}}}\n"
    assert not look(tmp_path, PLAN)["ok"]
    assert look(tmp_path, PLAN.replace("  Tracker:\n", f"{made}  Tracker:\n"))["ok"]


def export(name: str, value: str) -> None:
    template = {
        "Resources": {"Q": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"Out": {"Value": value, "Export": {"Name": name}}},
    }
    boto3.client("cloudformation").create_stack(StackName="base", TemplateBody=json.dumps(template))


BESIDE = """\
Resources:
  Care: {Type: 'AWS::SNS::Topic', Properties: {TopicName: hailback-care}}
  Plan:
    Type: Custom::Plan
    Properties:
      ServiceToken: 'arn:aws:lambda:eu-central-1:123456789012:function:c'
      ServiceTimeout: 120
      Priority: 100
      Sources: all
      Routes:
        - {Name: bugs, When: {intent: [complaint]}, Case: [CASE], Notify: [!Ref Care]}
"""


@pytest.mark.parametrize("written", ["!ImportValue base-Tracker", "routes/Tracker"])
def test_a_system_of_another_stack_is_looked_up(account: Small, tmp_path: Path, written: str) -> None:
    export("base-Tracker", "routes/Tracker")
    text = BESIDE.replace("CASE", written)
    (missing,) = look(tmp_path, text, "--stack-name", "care")["findings"]
    assert missing["sentence"] == "system 'routes/Tracker' is not deployed."
    store = ConfigStore(boto3.client("dynamodb"), "table")
    assert configure(ask("Create", "System", "Tracker", TRACKER), machine(store)).ok
    found = look(tmp_path, text, "--stack-name", "care")
    assert (found["findings"], found["unknown"]) == ([], [])


def test_an_export_that_nobody_has_is_a_finding(account: Small, tmp_path: Path) -> None:
    (found,) = look(tmp_path, BESIDE.replace("CASE", "!ImportValue base-Trakcer"))["findings"]
    assert found["sentence"] == "no stack exports base-Trakcer here."
