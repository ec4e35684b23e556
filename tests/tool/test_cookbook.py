"""The plans in docs/cookbook are right, and do what docs/plan-cookbook.md says of them."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from connectors.core.models import Author, Mention
from connectors.core.pattern_parse import parse
from connectors.tool.catalogues import DEFAULTS
from connectors.tool.cfn_text import load
from connectors.tool.cfn_values import Around
from connectors.tool.checking import compile_file
from connectors.tool.heard import Heard
from connectors.tool.main import app
from connectors.tool.routing import Router

DOCS = Path(__file__).resolve().parents[2] / "docs"
PLANS = sorted((DOCS / "cookbook").glob("*.yaml"))


@pytest.mark.parametrize("file", PLANS, ids=lambda file: file.stem)
def test_each_plan_passes_the_check(file: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(file), "--json"])
    report = json.loads(done.stdout)
    assert (report["findings"], report["warnings"]) == ([], [])
    assert done.exit_code == 0


def test_each_plan_is_in_the_cookbook_and_no_other() -> None:
    named = re.findall(r"cookbook/([a-z-]+\.yaml)\)", (DOCS / "plan-cookbook.md").read_text(encoding="utf-8"))
    assert sorted(set(named)) == [file.name for file in PLANS]
    assert len(PLANS) == 4


def taken(plan: str, intent: str, words: str = "words", seen: int | None = None, **more: Any) -> tuple[str, bool]:
    """The route that takes a post, and whether that opens a case."""
    compiled, findings = compile_file(load(DOCS / "cookbook" / f"{plan}.yaml"), Around(stack="r"), DEFAULTS)
    assert findings == []
    author = Author(native_id="7")
    source = more.pop("source", "r/Forum")
    given = {"connector": "discourse", "native_id": "1", "conversation_id": "1", "created_at": datetime(2026, 1, 1)}  # noqa: DTZ001
    mention = Mention.model_validate({**given, "text": words, "author": author, **more})
    route = Router(compiled.to_plan()).route(Heard(mention, source, 0.0, intent, 0.9).facts(seen))
    assert route is not None
    return route.name, route.opens


@pytest.mark.parametrize(
    ("asked", "route", "opens"),
    [
        (("small-company", "churn_risk"), "about-to-leave", True),
        (("small-company", "praise"), "thanks", False),
        (("small-company", "uncertain"), "everything-else", True),
        (("sales-and-care", "complaint", "Where is the price list?"), "leaving-or-complaining", True),
        (("sales-and-care", "purchase_intent"), "buying", True),
        (("sales-and-care", "question", "May I have a quote for 40 seats?"), "buying", True),
        (("sales-and-care", "praise"), "everything-else", True),
        (("product-ideas", "idea"), "idea", True),
        (("product-ideas", "idea", "words", 5), "idea-of-a-regular", True),
        (("product-ideas", "question"), "everything-else", True),
        (("product-ideas", "other"), "chatter", False),
        (("two-regions", "complaint"), "urgent", True),
        (("two-regions", "question"), "everything-else", True),
    ],
)
def test_posts_take_the_routes_that_the_cookbook_says(asked: tuple[Any, ...], route: str, opens: bool) -> None:
    assert taken(*asked) == (route, opens)


def test_what_only_some_posts_have() -> None:
    assert taken("sales-and-care", "praise", source="r/AcmeOnX") == ("thanks-on-x", False)


@pytest.mark.parametrize(
    ("intent", "words", "fits"),
    [("question", "Tell me how", True), ("uncertain", "Hoe gaat dat?\nDank", True), ("uncertain", "Hm", False)],
)
def test_the_recipe_for_questions_takes_them(intent: str, words: str, fits: bool) -> None:
    page = (DOCS / "plan-cookbook.md").read_text(encoding="utf-8")
    recipe = page.partition("### Questions")[2].partition("```yaml")[2].partition("```")[0]
    [route] = yaml.safe_load(recipe.replace("!Ref ", ""))
    given = {"connector": "x", "native_id": "1", "conversation_id": "1", "text": words}
    asked = Heard(Mention.model_validate(given), "r/X", 0.0, intent, 0.9).facts()
    assert parse(route["When"]).matches(asked) is fits
