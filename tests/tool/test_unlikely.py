"""Conditions that are allowed and probably not meant so: warned of, with what to write; what may be meant is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.core.plan import Route
from connectors.tool.main import app
from connectors.tool.unlikely import unlikely
from tests.tool.small_plan import PLAN

SOURCES = {"r/Forum": "discourse", "r/AcmeOnX": "x"}


def said(when: dict[str, Any] | None, sources: dict[str, str] | None = None) -> list[str]:
    routes = (Route(name="asks", when=when), Route(name="everything-else"))
    return [str(one) for one in unlikely(routes, SOURCES if sources is None else sources)]


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        (
            {"text": [{"wildcard": "*[Cc]rash*"}]},
            (
                "Routes[0].When.text: asks for the very signs [Cc]: a wildcard knows * only. List the spellings: "
                "[{wildcard: '*Crash*'}, {wildcard: '*crash*'}]."
            ),
        ),
        (
            {"title": [{"wildcard": "*ticket [0-9]*"}]},
            (
                "Routes[0].When.title: asks for the very signs [0-9]: a wildcard knows * only. Leave the sign open: "
                "{wildcard: '*ticket *'}."
            ),
        ),
        (
            {"$or": [{"intent": ["idea"]}, {"text": [{"wildcard": "crash"}]}]},
            (
                "Routes[0].When.$or[1].text: has no asterisk, so it fits only where that is the whole text. Write "
                "{wildcard: '*crash*'}."
            ),
        ),
        (
            {"intent": ["complaint"], "language": ["de", "fr"]},
            (
                "Routes[0].When.intent: is read in English only, and uncertain for the languages beside it: this takes "
                "nothing. Ask for words of the text instead, such as text: [{wildcard: '*kündig*'}]."
            ),
        ),
        ({"language": ["DE"]}, "Routes[0].When.language: 'DE' is no code of a language as sources tell it. Write de."),
        (
            {"language": ["Germanic"]},
            "Routes[0].When.language: 'Germanic' is no code of a language as sources tell it. Write a code such as de.",
        ),
        (
            {"source": [{"prefix": "Forum"}]},
            (
                "Routes[0].When.source: fits no source of this file (r/AcmeOnX, r/Forum). Write !Ref and the source's "
                "name; those of other stacks are not known here."
            ),
        ),
        (
            {"connector": ["facebook"]},
            (
                "Routes[0].When.connector: fits no source of this file: they are of discourse, x. Take it out, or add "
                "such a source; those of other stacks are not known here."
            ),
        ),
    ],
)
def test_what_is_probably_not_meant_is_said_once_with_what_to_write(when: dict[str, Any], sentence: str) -> None:
    assert said(when) == [sentence]


@pytest.mark.parametrize(
    "when",
    [
        None,
        {"text": [{"wildcard": "*crash*"}, "crash"]},
        {"text": [{"wildcard": "*[see the picture of it]*"}]},
        {"title": [{"wildcard": "*[Bug]*"}, {"wildcard": "[EN] *"}, {"wildcard": "*[SPAM] sale*"}]},
        {"intent": ["complaint"], "language": ["en-AU"]},
        {"intent": ["complaint"], "language": [{"equals-ignore-case": "en_ca"}, "eng"]},
        {"author": {"handle": [{"wildcard": "ada"}]}},
        {"intent": ["complaint"], "language": ["de", "en"]},
        {"intent": ["uncertain"], "language": ["de"]},
        {"intent": ["complaint"], "language": [{"anything-but": "en"}]},
        {"language": ["de", "pt_BR", "zh-Hant", "und", {"equals-ignore-case": "DE"}]},
        {"source": [{"prefix": "r/"}]},
        {"source": ["other/Forum"]},
        {"connector": ["x", "facebook"]},
        {"connector": [{"anything-but": "x"}]},
    ],
)
def test_what_may_be_meant_is_not_warned_of(when: dict[str, Any] | None) -> None:
    assert said(when) == []


def test_without_sources_in_the_file_nothing_is_known_of_them() -> None:
    assert said({"connector": ["facebook"], "source": [{"prefix": "Forum"}]}, {}) == []


def warnings(tmp_path: Path, text: str) -> list[dict[str, Any]]:
    file = tmp_path / "routes.yaml"
    file.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["check", str(file), "--json"])
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)["warnings"]
    return found


def test_the_check_warns_with_the_line(tmp_path: Path) -> None:
    text = PLAN.replace("{author: {followers: [{numeric: ['>', 1000]}]}}", "{intent: [idea], language: [de]}")
    intent = next(one for one in warnings(tmp_path, text) if one["path"] == "Routes[0].When.intent")
    assert "intent: [idea]" in text.splitlines()[intent["line"] - 1]


def test_one_forum_under_two_names_is_warned_of_and_two_forums_are_not(tmp_path: Path) -> None:
    forum = PLAN[PLAN.index("  Forum:") : PLAN.index("  Tracker:")]
    twin = forum.replace("  Forum:", "  Beta:").replace("forum.acme.com'", "Forum.acme.com/'")
    (found,) = [one for one in warnings(tmp_path, PLAN.replace(forum, forum + twin)) if one["path"] == "BaseUrl"]
    assert found["resource"] == "Beta"
    assert found["sentence"].startswith("is the same place as Forum: ")
    assert "place" in found["remedy"]
    other = twin.replace("Forum.acme.com/'", "beta.acme.com'")
    assert [one for one in warnings(tmp_path, PLAN.replace(forum, forum + other)) if one["path"] == "BaseUrl"] == []


def test_a_plan_for_the_sources_of_all_stacks_may_ask_for_what_is_not_in_its_file(tmp_path: Path) -> None:
    when = "{connector: [facebook], source: [{prefix: other/}]}"
    text = PLAN.replace("{author: {followers: [{numeric: ['>', 1000]}]}}", when)
    text = text[: text.index("        - Name: everything-else")]
    own = text.replace("      Routes:", "      Priority: 5\n      Routes:").replace(", source: [{prefix: other/}]", "")
    assert [one["path"] for one in warnings(tmp_path, own)] == ["Routes[0].When.connector"]
    everyone = text.replace("      Routes:", "      Priority: 5\n      Sources: all\n      Routes:")
    assert warnings(tmp_path, everyone) == []
