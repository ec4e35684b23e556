"""`hailback explain` says what really became of a mention, and where it cannot know by which source one came in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.tool import explain as command
from connectors.tool.main import app
from tests.tool.conftest import Small
from tests.tool.small_plan import PLAN
from tests.tool.test_rehearse_command import take_in

POST = "discourse:forum.acme.com:1"


def explain(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["explain", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


def test_of_a_mention_that_was_taken_in_the_route_of_its_case_is_told(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "target", lambda *_: small.deployment)
    small.plan()
    take_in(small, 1, "Hm", datetime.now(UTC))
    assert "in fact" not in explain(POST), "it has no case yet"
    small.case("case-abcdefgh", route="thanks", plan_version="before")
    table = small.deployment.table
    table.update(f"MENTION#{POST}", "META", "SET #case = :case", {":case": "case-abcdefgh"}, names={"#case": "case"})
    shown = explain(POST)
    assert f"{POST}: route all (1 of 1)" in shown
    assert "in fact its case case-abcdefgh is with the route thanks, by the plan before" in shown
    assert json.loads(explain(POST, "--json"))["taken"]["route"] == "thanks"


def test_a_post_of_a_place_that_the_plan_has_no_source_for_is_said_to_be_so(tmp_path: Path) -> None:
    file, mention = tmp_path / "routes.yaml", tmp_path / "mention.json"
    file.write_text(PLAN, encoding="utf-8")
    said = {"type": "mention", "connector": "x", "native_id": "1", "conversation_id": "1", "text": "Thanks a lot"}
    mention.write_text(json.dumps(said), encoding="utf-8")
    shown = explain(file, mention)
    assert "no source here is of x: which one it came in by is not known; say --source" in shown
    assert "not thanks: source should be 'hailback-routes/Forum', is not known" in shown
    assert "is 'x'" not in shown
    assert json.loads(explain(file, mention, "--json"))["source"] is None
    assert "is not known" not in explain(file, mention, "--source", "Forum")
