"""`hailback init`: what it writes passes `hailback check`, and nothing that is there is lost."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import connectors
from connectors.tool.main import app


def run(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), input=stdin)


@pytest.mark.parametrize(("source", "system"), list(product(connectors.SOURCES, connectors.SYSTEMS)))
def test_every_pair_of_connectors_passes_the_check(tmp_path: Path, source: str, system: str) -> None:
    file = tmp_path / "routes.yaml"
    done = run("init", file, "--source", source, "--system", system)
    assert done.exit_code == 0, done.output
    report = json.loads(run("check", file, "--json").stdout)
    assert (report["findings"], report["warnings"]) == ([], [])
    assert report["resources"] == {"Custom::Source": 1, "Custom::System": 1, "Custom::Plan": 1}


def test_several_of_one_kind_have_names_and_secrets_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    sources = ("--source", "discourse", "--source", "discourse", "--source", "x")
    done = run("init", file, *sources, "--system", "roundup", "--system", "zendesk")
    assert done.exit_code == 0, done.output
    for secret in ("discourse/verification", "discourse2/verification", "roundup/credentials", "zendesk/credentials"):
        assert f"hailback/{secret}" in done.output
    text = file.read_text(encoding="utf-8")
    assert "Case: [!Ref Roundup, !Ref Zendesk]" in text
    assert json.loads(run("check", file, "--json").stdout)["resources"]["Custom::Source"] == 3


def test_an_answer_is_a_default_and_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    plain = ("init", file, "--source", "discourse", "--system", "roundup")
    done = run(*plain, "--set", "DiscourseBaseUrl=https://it's.acme.com", "--set", "RoundupBaseUrl=ftp://acme")
    assert done.exit_code == 1
    assert "BaseUrl" in done.stderr
    assert not file.exists()
    done = run(*plain, "--set", "DiscourseBaseUrl=https://forum.acme.com", "--set", "RoundupSecret=hailback/mine")
    assert done.exit_code == 0, done.output
    assert "hailback/mine/credentials" in done.output
    waiting = {one["path"] for one in json.loads(run("check", file, "--json").stdout)["unknown"]}
    assert waiting == {"ServiceToken", "BaseUrl"}


def test_a_file_that_is_there_stays_unless_forced(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text("mine", encoding="utf-8")
    plain = ("init", file, "--source", "discourse", "--system", "roundup")
    done = run(*plain)
    assert (done.exit_code, file.read_text(encoding="utf-8")) == (1, "mine")
    assert "--force" in done.stderr
    assert run(*plain, "--force").exit_code == 0
    assert "Custom::Plan" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--source", "discours", "--system", "roundup"), "Did you mean discourse?"),
        (("--source", "discourse"), "say --system"),
        (("--source", "discourse", "--system", "roundup", "--set", "Nothing=1"), "no such parameter"),
        (("--source", "discourse", "--system", "roundup", "--set", "Nothing"), "KEY=VALUE"),
    ],
)
def test_mistakes_are_sentences(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = run("init", tmp_path / "x.yaml", *options)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tmp_path / "x.yaml").exists()


def test_it_asks_for_what_no_option_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.tool.init._on_terminal", lambda: True)
    file = tmp_path / "routes.yaml"
    done = run("init", file, stdin="discourse\nroundup\nhttps://forum.acme.com\n\n")
    assert done.exit_code == 0, done.output
    text = file.read_text(encoding="utf-8")
    assert "Default: 'https://forum.acme.com'" in text
    assert "Where do people talk?" in done.output
