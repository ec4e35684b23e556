"""The JSON Schema for editors: current, takes what deploys, refuses what is misspelt."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from typer.testing import CliRunner

from connectors.tool.main import app
from connectors.tool.schema import TAGS, text
from tests.tool.small_plan import PLAN

CHECKOUT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads(text())
TEMPLATES = [CHECKOUT / "infra" / "routes.yaml", *sorted((CHECKOUT / "docs" / "cookbook").glob("*.yaml"))]


class Editor(yaml.SafeLoader):
    """Reads a template as VS Code does with the tags: they are not there."""


class Long(yaml.SafeLoader):
    """Reads it with the functions in their long form."""


def _bare(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    return loader.construct_sequence(node, deep=True)  # type: ignore[arg-type]


def _long(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    return {suffix if suffix == "Ref" else f"Fn::{suffix}": _bare(loader, node)}


for _tag in TAGS:
    Editor.add_constructor(_tag.split()[0], _bare)
Long.add_multi_constructor("!", _long)


def faults(document: Any) -> Iterator[str]:
    for error in Draft202012Validator(SCHEMA).iter_errors(document):
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message}"


def test_it_is_a_schema_and_the_one_that_is_checked_in() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    kept = (CHECKOUT / "docs" / "schema" / "routes.schema.json").read_text(encoding="utf-8")
    assert kept == f"{text()}\n", "run: hailback schema --write"


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.stem)
@pytest.mark.parametrize("loader", [Editor, Long])
def test_it_takes_what_deploys(file: Path, loader: type[yaml.SafeLoader]) -> None:
    document = yaml.load(file.read_text(encoding="utf-8"), Loader=loader)
    assert list(faults(document)) == []


def renamed(name: str, key: str, other: str, *path: str | int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        at = document["Resources"][name]["Properties"]
        for step in path:
            at = at[step]
        at[other] = at.pop(key)

    return change


def given(name: str, key: str, value: Any, *path: str | int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        at = document["Resources"][name]["Properties"]
        for step in path:
            at = at[step]
        at[key] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        renamed("Forum", "BaseUrl", "BaseUlr"),
        renamed("Forum", "Secret", "Secrets"),
        renamed("Tracker", "Connector", "Conector"),
        renamed("Plan", "Routes", "Route"),
        renamed("Plan", "Notify", "Notfy", "Routes", 0),
        renamed("Plan", "Open", "Opens", "Routes", 1),
        renamed("Plan", "followers", "folowers", "Routes", 0, "When", "author"),
        given("Forum", "Connector", "discours"),
        given("Forum", "Poll", "5 minutes"),
        given("Tracker", "StatusOpne", "chatting"),
        given("Plan", "Priority", "hihg", "Routes", 0),
        given("Plan", "FailOverAfter", "2 min", "Routes", 0),
        given("Plan", "When", {"intent": ["complain"]}, "Routes", 0),
        given("Plan", "When", {"text": [{"starts-with": "a"}]}, "Routes", 0),
        given("Plan", "When", {"text": "fire"}, "Routes", 0),
        given("Plan", "Routes", []),
    ],
)
def test_it_refuses_what_is_misspelt(change: Callable[[Any], None]) -> None:
    document = yaml.load(PLAN, Loader=Editor)
    assert list(faults(document)) == []
    changed = copy.deepcopy(document)
    change(changed)
    assert list(faults(changed))


def test_everything_that_the_pattern_language_has_is_taken() -> None:
    document = yaml.load(PLAN, Loader=Editor)
    when = {
        "author": {"followers": [{"numeric": [">", 0, "<=", "5"]}], "name": [{"exists": False}]},
        "text": [{"wildcard": "*a*"}, {"anything-but": {"prefix": "b"}}, {"prefix": {"equals-ignore-case": "c"}}],
        "metrics": {"likes": [{"numeric": [">", 9]}]},
        "$or": [{"intent": ["complaint", None]}, {"language": [{"anything-but": ["en"]}]}],
    }
    document["Resources"]["Plan"]["Properties"]["Routes"][0]["When"] = when
    assert list(faults(document)) == []
    document["Resources"]["Plan"]["Properties"]["Routes"][0]["When"] = json.dumps(when)
    assert list(faults(document)) == []


def test_the_command_prints_writes_and_names_the_tags(tmp_path: Path) -> None:
    runner, file = CliRunner(), tmp_path / "deep" / "x.json"
    assert json.loads(runner.invoke(app, ["schema"]).stdout) == SCHEMA
    assert runner.invoke(app, ["schema", "--write", str(file)]).exit_code == 0
    assert json.loads(file.read_text(encoding="utf-8")) == SCHEMA
    assert "!Ref scalar" in json.loads(runner.invoke(app, ["schema", "--tags"]).stdout)["yaml.customTags"]
