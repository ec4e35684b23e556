"""A route that asks for what its sources never tell is warned of; one that may be met is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.core.plan import Route
from connectors.tool.main import app
from connectors.tool.never_told import never_told, why_untold
from tests.tool.small_plan import PLAN

SOURCES = {"r/Forum": "discourse", "r/Page": "facebook", "r/AcmeOnX": "x"}
LOUD = {"author": {"followers": [{"numeric": [">", 1000]}]}}


def said(when: dict[str, Any] | None, sources: dict[str, str] | None = None, **more: Any) -> list[str]:
    routes = (Route(name="asks", when=when), Route(name="everything-else"))
    return [f"{one.path} {one.sentence}" for one in never_told(routes, SOURCES if sources is None else sources, **more)]


def test_a_field_that_no_source_tells_leaves_the_route_nothing() -> None:
    [found] = said(LOUD, {"r/Forum": "discourse"})
    asked = "Routes[0].When.author.followers"
    assert found == f"{asked} is never told by discourse (Discourse has no followers): the route takes nothing."
    [both] = said(LOUD, {"r/Forum": "discourse", "r/Page": "facebook"})
    assert "discourse (Discourse has no followers) and facebook (Facebook does not tell)" in both


@pytest.mark.parametrize(
    "when",
    [
        LOUD,  # X tells it
        {"source": ["r/Forum", "r/AcmeOnX"], **LOUD},
        {"source": ["other/Forum"], **LOUD},  # another stack's: not known
        {"source": [{"prefix": "r/"}], **LOUD},  # which these are is not known here
        {"connector": ["x"], **LOUD},
        {"kind": ["reply"]},
        {"intent": ["praise"], "person": {"mentions": [{"numeric": [">", 3]}]}},
        {"metrics": {"like_count": [{"numeric": [">", 3]}]}},
        None,
    ],
)
def test_what_may_be_told_is_not_warned_of(when: dict[str, Any] | None) -> None:
    assert said(when) == []


@pytest.mark.parametrize(
    "when",
    [
        {"source": ["r/Forum"], **LOUD},
        {"connector": ["discourse"], **LOUD},
        {"connector": [{"anything-but": "x"}], **LOUD},
        {"source": ["r/Forum", "r/AcmeOnX"], "connector": ["discourse"], **LOUD},
    ],
)
def test_a_route_for_some_sources_is_held_against_these(when: dict[str, Any]) -> None:
    [found] = said(when)
    assert found.startswith("Routes[0].When.author.followers is never told by discourse")


def test_of_a_plan_for_all_stacks_only_what_names_its_sources_is_known() -> None:
    assert said(LOUD, {"r/Forum": "discourse"}, everywhere=True) == []
    assert len(said({"connector": ["discourse"], **LOUD}, {}, everywhere=True)) == 1


def test_an_alternative_is_named_where_it_stands() -> None:
    when = {"source": ["r/AcmeOnX"], "$or": [{"intent": ["idea"]}, {"title": [{"wildcard": "*idea*"}]}]}
    assert said(when) == [
        "Routes[0].When.$or[1].title is never told by x (a post has none): this alternative takes nothing."
    ]
    nested = {"author": {"$or": [{"handle": ["ada"]}, {"followers": [5]}]}}
    [found] = said(nested, {"r/Forum": "discourse"})
    assert found.startswith("Routes[0].When.author.$or[1].followers")


def test_a_condition_that_null_meets_asks_nothing() -> None:
    [found] = said({"title": [{"anything-but": "Test"}]}, {"r/AcmeOnX": "x"})
    assert found.endswith("every post meets this.")
    [null] = said({"title": [None]}, {"r/AcmeOnX": "x"})
    assert null.endswith("every post meets this.")


def test_fields_have_the_names_that_routes_know_them_by() -> None:
    gone = {"author": "Nobody is named there.", "conversation_id": "There are none.", "metrics": "It counts nothing."}
    for path in ("author.id", "author.handle", "conversation", "metrics.like_count"):
        assert why_untold(path, "acme", lambda _: gone), path
    assert why_untold("text", "acme", lambda _: gone) is None
    assert why_untold("text", "not-a-connector") is None


def check(tmp_path: Path, text: str) -> dict[str, Any]:
    file = tmp_path / "routes.yaml"
    file.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["check", str(file), "--json"])
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == 0, "a warning fails nothing"
    return found


def test_the_check_warns_with_the_line(tmp_path: Path) -> None:
    [found] = check(tmp_path, PLAN)["warnings"]
    assert (found["resource"], found["path"]) == ("Plan", "Routes[0].When.author.followers")
    assert "followers" in PLAN.splitlines()[found["line"] - 1]
    assert "Discourse has no followers" in found["sentence"]


def test_explain_says_that_the_field_can_never_be_there(tmp_path: Path) -> None:
    file, mention = tmp_path / "routes.yaml", tmp_path / "mention.json"
    file.write_text(PLAN, encoding="utf-8")
    given = {"type": "mention", "connector": "discourse", "authority": "forum.acme.com", "native_id": "1"}
    mention.write_text(json.dumps({**given, "conversation_id": "1", "text": "Hm"}), encoding="utf-8")
    done = CliRunner().invoke(app, ["explain", str(file), str(mention)])
    assert "not loud: author.followers should be a number > 1000, is null, as always (Discourse has no followers)" in (
        done.output
    )
    found = json.loads(CliRunner().invoke(app, ["explain", str(file), str(mention), "--json"]).stdout)
    assert found["passed"][0]["never_told"] == "Discourse has no followers"
    assert found["passed"][1]["never_told"] is None
