"""`hailback init`: what it writes passes `hailback check`, and nothing that is there is lost."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from itertools import permutations, product
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

import connectors
from connectors.tool.main import app
from tests.tool.test_schema_command import Editor, faults

CHECKOUT = Path(__file__).resolve().parents[2]


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


SYSTEMS = [systems for more in (1, 2) for systems in permutations(connectors.SYSTEMS, more)]
SOME = [((one,), SYSTEMS[0]) for one in connectors.SOURCES] + [(tuple(connectors.SOURCES), many) for many in SYSTEMS]
"""Each source alone, and all of them at once; a source does not see the others."""


@pytest.mark.parametrize(("sources", "systems"), SOME, ids=[f"{len(a)}-{a[0]}-{'+'.join(b)}" for a, b in SOME])
def test_what_is_chosen_passes_the_check_and_the_schema_and_says_what_is_next(
    tmp_path: Path, sources: tuple[str, ...], systems: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_flags, by_answers = tmp_path / "flags.yaml", tmp_path / "answers.yaml"
    flags = [word for one in sources for word in ("--source", one)] + [w for one in systems for w in ("--system", one)]
    done = run("init", by_flags, *flags)
    assert done.exit_code == 0, done.output
    monkeypatch.setattr("connectors.tool.init._on_terminal", lambda: True)
    asked = run("init", by_answers, stdin=f"{', '.join(sources)}\n{' '.join(systems)}\n" + "\n" * 80)
    assert asked.exit_code == 0, asked.output
    text = by_flags.read_text(encoding="utf-8")
    assert by_answers.read_text(encoding="utf-8") == text
    report = json.loads(run("check", by_flags, "--json").stdout)
    assert (report["findings"], report["warnings"]) == ([], [])
    assert report["resources"] == {"Custom::Source": len(sources), "Custom::System": len(systems), "Custom::Plan": 1}
    assert list(faults(yaml.load(text, Loader=Editor))) == []
    for line in ("1. Make these secrets", "2. hailback check", "3. Deploy it", "4. Subscribe people"):
        assert line in done.stdout
    parameters = yaml.load(text, Loader=Editor)["Parameters"]
    open_ones = {name for name, one in parameters.items() if "Default" not in one}
    assert set(re.findall(r"(\w+)=…", done.stdout)) == open_ones
    for name in systems:
        assert f"hailback/{name}/credentials" in done.stdout


def test_several_of_one_kind_have_names_and_secrets_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    sources = ("--source", "discourse", "--source", "discourse", "--source", "x")
    done = run("init", file, *sources, "--system", "roundup", "--system", "zendesk")
    assert done.exit_code == 0, done.output
    for secret in ("discourse/verification", "discourse2/verification", "roundup/credentials", "zendesk/credentials"):
        assert f"hailback/{secret}" in done.output
    _, _, later = done.output.partition("6. Make these secrets too")
    named = ("discourse/credentials", "discourse2/credentials", "x/credentials", "zendesk/verification")
    assert [line.split(":")[0].strip() for line in later.splitlines()[1:]] == [f"hailback/{one}" for one in named]
    text = file.read_text(encoding="utf-8")
    assert "Case: [!Ref Roundup, !Ref Zendesk]" in text
    assert json.loads(run("check", file, "--json").stdout)["resources"]["Custom::Source"] == 3


def test_secrets_are_asked_for_where_they_are_needed(tmp_path: Path) -> None:
    sources = ("--source", "trustpilot", "--source", "slack", "--source", "mastodon", "--source", "amazon_connect")
    done = run("init", tmp_path / "routes.yaml", *sources, "--system", "roundup")
    assert done.exit_code == 0, done.output
    wanted = {"trustpilot/credentials", "slack/verification", "mastodon/credentials", "roundup/credentials"}
    assert set(re.findall(r"^ +hailback/(\S+)$", done.output, re.MULTILINE)) == wanted


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
        (("--source", "discourse", "--system", "roundup", "--set", "DiscourseUrl=1"), "Did you mean DiscourseBaseUrl?"),
        (
            ("--source", "roundup", "--system", "roundup"),
            "'roundup' is none of amazon_connect, app_store",
        ),
        (("--source", "discourse", "--system", "jira"), "'jira' is none of roundup, zendesk"),
        ((), "say --source"),
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


def test_what_is_wrong_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.tool.init._on_terminal", lambda: True)
    file = tmp_path / "routes.yaml"
    answers = ("discours", ",", "discourse", "roundup", "ftp://acme", "https://forum.acme.com", "", "")
    done = run("init", file, stdin="\n".join(answers))
    assert done.exit_code == 0, done.output
    assert "Did you mean discourse?" in done.output
    assert "name at least one" in done.output
    assert "Discourse.BaseUrl" in done.output
    assert "Default: 'https://forum.acme.com'" in file.read_text(encoding="utf-8")


def test_whoever_breaks_off_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.tool.init._on_terminal", lambda: True)
    done = run("init", tmp_path / "routes.yaml", stdin="discourse\n")
    assert done.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_in_a_checkout_the_first_line_names_the_schema(tmp_path: Path) -> None:
    plain = ("--source", "x", "--system", "zendesk")
    inside = CHECKOUT / ".hailback" / f"init-{tmp_path.name}" / "routes.yaml"
    try:
        assert run("init", inside, *plain).exit_code == 0
        first = inside.read_text(encoding="utf-8").splitlines()[0]
        assert first == "# yaml-language-server: $schema=../../docs/schema/routes.schema.json"
        assert (inside.parent / first.partition("=")[2]).is_file()
    finally:
        inside.unlink(missing_ok=True)
        inside.parent.rmdir()
    assert run("init", tmp_path / "routes.yaml", *plain).exit_code == 0
    assert "$schema" not in (tmp_path / "routes.yaml").read_text(encoding="utf-8")


def test_on_a_real_terminal(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    ours, theirs = pty.openpty()
    words = [sys.executable, "-c", "from connectors.tool.main import app; app()", "init", str(file)]
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=CHECKOUT) as running:
        os.close(theirs)
        seen = ""
        for awaited, answer in (
            ("people talk?", "x, discourse"),
            ("cases go?", "zendesk"),
            ("Account of x", "42,43"),
            ("BaseUrl of discourse", ""),
            ("BaseUrl of zendesk", "https://acme.zendesk.com"),
            ("Account of zendesk", "900001"),
        ):
            seen += _until(ours, awaited)
            os.write(ours, f"{answer}\n".encode())
        seen += _until(ours, "5. Enter the addresses")
        assert running.wait(20) == 0, seen
    os.close(ours)
    assert "Default: '42,43'" in file.read_text(encoding="utf-8")
    assert json.loads(run("check", file, "--json").stdout)["ok"]


def _until(terminal: int, words: str) -> str:
    """What the terminal shows up to these words."""
    seen, ends = "", time.monotonic() + 30
    while words not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, ends - time.monotonic()))
        assert ready, f"{words!r} was not shown: {seen}"
        seen += os.read(terminal, 4096).decode()
    return seen
