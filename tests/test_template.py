"""What the template and the lock files promise, as they stand; `tests/e2e/test_deployed_template.py` tries it out."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = {
    "ReceiveWebhook": "Receive",
    "PollSource": "Poll",
    "IngestEvent": "Ingest",
    "DispatchCase": "Dispatch",
    "SyncRecord": "Sync",
    "NotifyPeople": "Notify",
    "SendReply": "Reply",
    "WakeDue": "Wake",
    "CheckSources": "Check",
    "SweepPrivacy": "Sweep",
    "ConfigureStack": "Configure",
}
LOCKS = [ROOT / "requirements.lock", *sorted((ROOT / "infra").rglob("*.lock"))]


class Loader(yaml.SafeLoader):
    """Short forms become a one-item mapping: `!Ref X` is {"Ref": "X"}."""


def _short(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {suffix: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", _short)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(encoding="utf-8"), Loader)
    return loaded


@pytest.fixture(scope="module")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"]
    return found


def statements(resources: dict[str, Any], role: str) -> list[dict[str, Any]]:
    own = [row for policy in resources[role]["Properties"]["Policies"] for row in policy["PolicyDocument"]["Statement"]]
    shared = resources[role]["Properties"].get("ManagedPolicyArns", [])
    assert all(arn == {"Ref": "TableAccess"} for arn in shared), f"{role} takes a policy that is not ours"
    return own + [row for _ in shared for row in resources["TableAccess"]["Properties"]["PolicyDocument"]["Statement"]]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_function_has_a_role_a_log_a_dead_letter_queue_and_alarms_of_its_own(resources: dict[str, Any]) -> None:
    deployed = {name for name, row in resources.items() if row["Type"] == "AWS::Serverless::Function"}
    assert deployed == set(FUNCTIONS)
    for function, short in FUNCTIONS.items():
        properties = resources[function]["Properties"]
        assert properties["Role"] == {"GetAtt": f"{short}Role.Arn"}
        assert properties["LoggingConfig"] == {"LogGroup": {"Ref": f"{short}Log"}}
        assert (ROOT / "functions" / properties["Handler"].replace(".handler", ".py")).is_file()
        assert {"GetAtt": f"{short}Dead.Arn"} in _targets_of_dead_letters(resources, function)
        dead, errors = (resources[f"{short}{kind}Alarm"]["Properties"]["Dimensions"] for kind in ("Dead", "Error"))
        assert dead == [{"Name": "QueueName", "Value": {"GetAtt": f"{short}Dead.QueueName"}}]
        assert errors == [{"Name": "FunctionName", "Value": {"Ref": function}}]


def _targets_of_dead_letters(resources: dict[str, Any], function: str) -> list[Any]:
    properties = resources[function]["Properties"]
    asynchronous = properties.get("EventInvokeConfig", {}).get("DestinationConfig", {}).get("OnFailure", {})
    found = [asynchronous.get("Destination")]
    for event in properties.get("Events", {}).values():
        given = event["Properties"]
        found.append(given.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"))
        if event["Type"] == "SQS":
            queue = resources[given["Queue"]["GetAtt"].removesuffix(".Arn")]["Properties"]
            found.append(queue["RedrivePolicy"]["deadLetterTargetArn"])
    return found


@pytest.mark.parametrize(
    ("function", "kind"),
    [("SyncRecord", "SyncMend"), ("CheckSources", "CheckMend"), ("CheckSources", "Silent"), ("SweepPrivacy", "Late")],
)
def test_what_an_administrator_has_to_mend_raises_an_alarm(resources: dict[str, Any], function: str, kind: str) -> None:
    """The failure itself is parked and never shows as an error of the function."""
    short = FUNCTIONS[function]
    metric, alarm = (resources[f"{kind}{part}"]["Properties"] for part in ("Metric", "Alarm"))
    (phrase,) = re.findall(r'\$\.message = "(.*)"', metric["FilterPattern"])
    handler = resources[function]["Properties"]["Handler"].replace(".handler", ".py")
    assert f'logger.error("{phrase}"' in (ROOT / "functions" / handler).read_text(encoding="utf-8")
    assert metric["LogGroupName"] == {"Ref": f"{short}Log"}
    (written,) = metric["MetricTransformations"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (written["MetricNamespace"], written["MetricName"])


@pytest.mark.parametrize(
    ("metric", "function"), [("WebhookMissedMetric", "ingest_event"), ("BudgetMetric", "poll_source")]
)
def test_what_a_poll_found_out_raises_an_alarm(resources: dict[str, Any], metric: str, function: str) -> None:
    given, source = resources[metric]["Properties"], (ROOT / "functions" / f"{function}.py").read_text(encoding="utf-8")
    phrases = re.findall(r'\$\.message = "([^"]*)"', given["FilterPattern"])
    assert phrases
    assert [phrase for phrase in phrases if f'logger.warning("{phrase}"' not in source] == []
    (written,) = given["MetricTransformations"]
    alarm = resources[metric.replace("Metric", "Alarm")]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (written["MetricNamespace"], written["MetricName"])


@pytest.mark.parametrize(("metric", "function"), [("BudgetReply", "SendReply"), ("BudgetSweep", "SweepPrivacy")])
def test_a_budget_runs_low_by_answers_and_sweeps_too(resources: dict[str, Any], metric: str, function: str) -> None:
    given, alarm = (resources[name]["Properties"] for name in (f"{metric}Metric", "BudgetAlarm"))
    handler = resources[function]["Properties"]["Handler"].replace(".handler", ".py")
    (phrase,) = re.findall(r'\$\.message = "([^"]*)"', given["FilterPattern"])
    assert f'logger.warning("{phrase}"' in (ROOT / "functions" / handler).read_text(encoding="utf-8")
    assert given["LogGroupName"] == resources[function]["Properties"]["LoggingConfig"]["LogGroup"]
    (written,) = given["MetricTransformations"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (written["MetricNamespace"], written["MetricName"])


def test_a_slow_place_delays_no_other(resources: dict[str, Any]) -> None:
    """One message a place, one place an invocation, and more workers than a company has places."""
    (event,) = resources["PollSource"]["Properties"]["Events"].values()
    assert event["Properties"]["BatchSize"] == 1
    assert event["Properties"]["ScalingConfig"]["MaximumConcurrency"] >= 100


@pytest.mark.parametrize("short", FUNCTIONS.values())
def test_no_role_is_granted_everything(resources: dict[str, Any], short: str) -> None:
    for row in statements(resources, f"{short}Role"):
        actions, where = as_list(row["Action"]), as_list(row["Resource"])
        assert not [action for action in actions if "*" in action]
        assert "*" not in where
        assert "dynamodb:DeleteItem" not in actions
        assert "dynamodb:Scan" not in actions


def test_who_may_read_which_secrets(resources: dict[str, Any]) -> None:
    readers = {
        short: [where["Sub"].rpartition("/")[2] for where in row["Resource"]]
        for short in FUNCTIONS.values()
        for row in statements(resources, f"{short}Role")
        if "secretsmanager:GetSecretValue" in as_list(row["Action"])
    }
    assert readers == {
        "Receive": ["verification-??????", "verification"],
        "Poll": ["credentials-??????", "credentials"],
        "Sync": ["credentials-??????", "credentials"],
        "Reply": ["credentials-??????", "credentials"],
        "Check": ["credentials-??????", "credentials"],
        "Sweep": ["credentials-??????", "credentials"],
    }
    writers = {
        short: [where["Sub"].rpartition("/")[2] for where in row["Resource"]]
        for short in FUNCTIONS.values()
        for row in statements(resources, f"{short}Role")
        if "secretsmanager:PutSecretValue" in as_list(row["Action"])
    }
    assert writers == {short: readers[short] for short in ("Poll", "Reply", "Check", "Sweep")}


def test_functions_are_told_what_they_ask_for_and_nothing_secret(resources: dict[str, Any]) -> None:
    for function in FUNCTIONS:
        properties = resources[function]["Properties"]
        told = set(properties["Environment"]["Variables"])
        source = (ROOT / "functions" / properties["Handler"].replace(".handler", ".py")).read_text(encoding="utf-8")
        asked = set(re.findall(r'os\.environ(?:\.get\(|\[)"([A-Z_]+)"', source))
        assert asked <= told, f"{function} reads {asked - told}, which the template does not set"
        if "Settings.read()" in source:
            offered = _names_in_settings()
            assert told <= offered, f"{function} is told {told - offered}, which nothing reads"
        else:
            assert told == asked
        assert "resolve:" not in str(properties["Environment"])
        assert not [name for name in told if re.search(r"PASSWORD|TOKEN|API_KEY|CREDENTIAL", name)]


def _names_in_settings() -> set[str]:
    tree = ast.parse((ROOT / "connectors" / "aws" / "settings.py").read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if re.fullmatch(r"[A-Z][A-Z_]+", text)}


@pytest.mark.parametrize("pace", ["steady", "brisk"])
def test_queues_outwait_their_workers(template: dict[str, Any], resources: dict[str, Any], pace: str) -> None:
    def seconds(value: Any) -> int:
        return int(template["Mappings"]["Pace"][pace][value["FindInMap"][2]])

    for function in ("PollSource", "IngestEvent", "SyncRecord", "NotifyPeople", "SendReply"):
        for event in resources[function]["Properties"]["Events"].values():
            assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
            queue = resources[event["Properties"]["Queue"]["GetAtt"].removesuffix(".Arn")]["Properties"]
            limit = seconds(resources[function]["Properties"]["Timeout"])
            assert seconds(queue["VisibilityTimeout"]) >= 6 * limit
            assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
            told = resources[function]["Properties"]["Environment"]["Variables"]
            assert "LEASE_SECONDS" not in told or seconds(told["LEASE_SECONDS"]) > limit


def test_each_due_shard_is_woken_every_minute(resources: dict[str, Any]) -> None:
    rules = [resources[name]["Properties"] for name in ("MinuteLow", "MinuteHigh")]
    assert {rule["ScheduleExpression"] for rule in rules} == {"rate(1 minute)"}
    assert all(len(rule["Targets"]) <= 5 for rule in rules)
    woken = [target["Input"] for rule in rules for target in rule["Targets"]]
    assert woken == [f'{{"shard": {number}}}' for number in range(8)]


def test_what_holds_customers_words_outlives_the_stack(resources: dict[str, Any]) -> None:
    for name in ("Table", "Bucket"):
        assert resources[name]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resources[name]["UpdateReplacePolicy"] == "Retain"
    table = resources["Table"]["Properties"]
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert all(resources["Bucket"]["Properties"]["PublicAccessBlockConfiguration"].values())


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_locks_pin_by_hash_and_name_no_registry(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[a-z0-9.-]+==)", text, flags=re.MULTILINE)[1:]
    assert blocks
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert "://" not in text
    assert "index-url" not in text


def test_a_deployment_installs_with_the_pip_that_make_set_up() -> None:
    """The machine's own python3 may have none, as on Debian."""
    said = subprocess.run(["make", "-n", "deploy"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f'LAYER_INSTALL=\'"{ROOT}/.venv/bin/python" -m pip install' in said


def test_a_deployment_runs_what_was_tested() -> None:
    layer, tested = pins(ROOT / "infra" / "layers" / "requirements.lock"), pins(ROOT / "requirements.lock")
    assert {"boto3", "pydantic", "aws-lambda-powertools", "urllib3"} <= set(layer)
    assert {name: tested.get(name) for name in layer} == layer
    assert not {"typer", "rich", "pyyaml"} & set(layer)


def test_definitions_may_be_read_only_where_a_bucket_is_named_and_only_there(template: dict[str, Any]) -> None:
    parameter = template["Parameters"]["DefinitionsBucket"]
    policy = template["Resources"]["ConfigureDefinitions"]
    assert parameter["Default"] == ""
    assert policy["Condition"] == "HasDefinitionsBucket"
    assert policy["Properties"]["Roles"] == [{"Ref": "ConfigureRole"}]
    (row,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert (row["Action"], row["Resource"]["Sub"]) == (
        "s3:GetObjectVersion",
        "arn:${AWS::Partition}:s3:::${DefinitionsBucket}*",
    )
    allowed = re.compile(parameter["AllowedPattern"])
    assert all(allowed.fullmatch(good) for good in ("", "acme-plans/", "acme-plans/hailback/v"))
    # Without the slash the permission would reach into acme-plans-of-others.
    assert not any(allowed.fullmatch(bad) for bad in ("acme-plans", "*/", "acme-plans/*", "/x"))


def test_connect_may_be_called_only_for_the_instances_that_are_named(resources: dict[str, Any]) -> None:
    """Amazon Connect is asked and answered with a function's own role, without a secret."""
    granted = {"PollMayLookUpContacts": "PollRole", "ReplyMayCallBack": "ReplyRole", "CheckMayTryConnect": "CheckRole"}
    for name, role in granted.items():
        policy = resources[name]
        assert (policy["Condition"], policy["Properties"]["Roles"]) == ("HasConnect", [{"Ref": role}])
        (row,) = policy["Properties"]["PolicyDocument"]["Statement"]
        assert "ConnectInstances" in str(row["Resource"])
        assert all(
            action.startswith("connect:") and "*" not in action for action in [*row["Action"]] if len(action) > 1
        )
