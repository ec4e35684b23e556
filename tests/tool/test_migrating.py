"""docs/migrating.md is right: each template passes the check, and each post takes the route that the page says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.core.pattern_parse import OPERATORS
from connectors.core.plan_routes import ROUTE_FIELDS
from connectors.tool.main import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "migrating.md"
ROW = re.compile(r"^\| `(\{.*\})` \| `([a-z-]+)` \| (.*) ?\|$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """One vendor's section."""

    title: str
    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    posts: tuple[tuple[str, str, str], ...]


def examples() -> list[Example]:
    found = []
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        fences = re.findall(r"^```(json|yaml)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        if fences:
            theirs, ours = (tuple(text for kind, text in fences if kind == wanted) for wanted in ("json", "yaml"))
            found.append(Example(section.partition("\n")[0], theirs, ours, tuple(ROW.findall(section))))
    return found


EXAMPLES = examples()


def test_each_vendor_has_a_rule_a_template_and_posts() -> None:
    assert [one.title.split()[0] for one in EXAMPLES] == ["Chatwoot", "Zammad", "PagerDuty"]
    for one in EXAMPLES:
        assert all(json.loads(text) for text in one.theirs), one.title
        assert (len(one.ours), len(one.posts) >= 4) == (1, True), one.title
        assert PAGE.read_text(encoding="utf-8").count(one.title) >= 2, "the list at the top names it"


@pytest.fixture(params=EXAMPLES, ids=[one.title.split()[0] for one in EXAMPLES])
def example(request: pytest.FixtureRequest) -> Example:
    found: Example = request.param
    return found


def test_the_template_passes_the_check(example: Example, tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(example.ours[0], encoding="utf-8")
    done = CliRunner().invoke(app, ["check", str(file), "--json"])
    report = json.loads(done.stdout)
    assert (done.exit_code, report["findings"], report["warnings"]) == (0, [], [])


def test_each_post_takes_the_route_and_misses_the_others_as_it_says(example: Example, tmp_path: Path) -> None:
    template = tmp_path / "routes.yaml"
    template.write_text(example.ours[0], encoding="utf-8")
    for post, route, because in example.posts:  # pasted as they stand
        done = CliRunner().invoke(app, ["explain", str(template), post, "--json"])
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        passed = [(one["route"], one["field"]) for one in found["passed"]]
        assert (found["route"], passed) == (route, re.findall(r"`([a-z-]+)`: `([a-z.]+)`", because)), post


def test_what_the_page_names_exists() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for operator in OPERATORS:
        assert operator in text or operator == "cidr", operator
    for name in ROUTE_FIELDS:
        assert f"`{name}`" in text or f"{name}:" in text or name == "FailOverAfter", name
    for link, anchor in re.findall(r"\]\(([a-z-]+\.md)(?:#([a-z-]+))?\)", text):
        page = (PAGE.parent / link).read_text(encoding="utf-8")
        heads = {
            re.sub(r"[^a-z -]", "", head.lower()).replace(" ", "-")
            for head in re.findall(r"^#+ (.*)$", page, re.MULTILINE)
        }
        assert not anchor or anchor in heads, f"{link}#{anchor}"
