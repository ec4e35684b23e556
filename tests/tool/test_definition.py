"""A template whose routes lie elsewhere, in explain, rehearse and plan diff: from a file beside it, or from S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from connectors.core.case import Case
from connectors.core.plan_options import Address
from connectors.tool.definition import bodies
from connectors.tool.deployment import Deployment
from connectors.tool.main import app
from connectors.tool.stranded import stranded, told
from tests.tool.small_plan import PLAN

CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLE = CHECKOUT / "events" / "discourse" / "post_created__heating.json"
GRANTED = ("--granted", "DefinitionsBucket=acme-plans/")
TOPIC = "arn:aws:sns:eu-central-1:123456789012:hailback-care"
THERE = {"Case": ["hailback-routes/Tracker"], "Notify": [TOPIC]}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    file = tmp_path / "routes.yaml"
    start = PLAN.index("      Routes:")
    file.write_text(f"{PLAN[:start]}      Definition: s3://acme-plans/plan.json?versionId=v1\n", encoding="utf-8")
    return file


def definition(tmp_path: Path, name: str = "plan.json", **more: object) -> Path:
    routes = [{"Name": "cold", "When": {"text": [{"wildcard": "*thermostat*"}]}, **THERE, **more}]
    file = tmp_path / name
    file.write_text(json.dumps({"Routes": [*routes, {"Name": "everything-else", **THERE}]}), encoding="utf-8")
    return file


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_explain_reads_the_file_that_is_given(template: Path, tmp_path: Path) -> None:
    done = run("explain", template, SAMPLE, "--definition", definition(tmp_path), *GRANTED)
    assert done.exit_code == 0, done.output
    assert "route cold (1 of 2)" in done.output


def test_rehearse_reads_the_file_that_is_given(template: Path, tmp_path: Path) -> None:
    posts = tmp_path / "posts.jsonl"
    said = {"type": "mention", "connector": "discourse", "native_id": "1", "conversation_id": "1"}
    posts.write_text(json.dumps({**said, "text": "My thermostat is off."}) + "\n", encoding="utf-8")
    given = ("--alone", "--mentions", posts, "--definition", definition(tmp_path), "--json")
    done = run("rehearse", template, *given, *GRANTED)
    assert done.exit_code == 0, done.output
    assert '"cold"' in done.output


def test_two_definitions_are_compared_in_their_order(template: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(template.read_text(encoding="utf-8"), encoding="utf-8")
    first, second = definition(tmp_path), definition(tmp_path, "second.json", Labels=["cold"])
    done = run("plan", "diff", template, other, "--definition", first, "--definition", second, *GRANTED)
    assert done.exit_code == 0, done.output
    assert '~ route cold: Labels: nothing → ["cold"]' in done.output


def test_without_the_file_it_says_so_in_one_sentence(template: Path) -> None:
    done = run("explain", template, SAMPLE, *GRANTED)
    assert done.exit_code == 1
    assert done.output.strip() == "the routes lie in s3://acme-plans/plan.json; give that file with --definition"


def test_what_is_wrong_in_a_definition_is_told_with_its_remedy(template: Path, tmp_path: Path) -> None:
    done = run("explain", template, SAMPLE, "--definition", definition(tmp_path, Lables=["a"]), *GRANTED)
    assert done.exit_code == 1
    assert "Routes[0].Lables: is not a field. Did you mean Labels?" in done.output


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="acme-plans")
        boto3.client("s3").put_bucket_versioning(Bucket="acme-plans", VersioningConfiguration={"Status": "Enabled"})
        yield Deployment("hailback", (), boto3.client)


def test_who_reads_the_deployment_reads_that_very_version(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    s3 = deployment.client("s3")
    old = s3.put_object(Bucket="acme-plans", Key="plan.json", Body=b"old")["VersionId"]
    s3.put_object(Bucket="acme-plans", Key="plan.json", Body=b"new")
    assert bodies(None, deployment)(Address("acme-plans", "plan.json", old)) == b"old"
    with pytest.raises(BaseException, match="1"):
        bodies(None, deployment)(Address("acme-plans", "none.json", old))
    assert "which does not exist in that version; give that file with --definition" in capsys.readouterr().err


class _Config:
    """Knows one system."""

    def system(self, name: str) -> str | None:
        return name if name == "r/Here" else None


def test_the_doctor_names_systems_that_are_gone_and_have_open_cases() -> None:
    fields = {"conversation": "c", "connector": "x", "source": "r/F", "first_mention": "m", "updated_at": ""}
    cases = [
        Case.model_validate(
            {**fields, "id": f"case-{n}", "opened_at": n, "record": {"system": s, "id": "1", "url": ""}}
        )
        for n, s in enumerate(["r/Here", "r/Gone", "r/Gone"])
    ]
    found = stranded(cases, _Config())  # type: ignore[arg-type]
    assert found == [{"system": "r/Gone", "cases": 2}]
    assert told(found)[0].startswith("2 open cases have their record in r/Gone, which is no longer deployed: ")
