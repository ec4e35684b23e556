"""`hailback connectors`: what the registry and the manifests say, on the screen, as JSON, and in README.md."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import connectors
from connectors.core import manifest
from connectors.tool.main import app

CHECKOUT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["connectors", *arguments])


def test_every_registered_connector_is_listed_with_what_it_does() -> None:
    done = run("--json")
    assert done.exit_code == 0
    found = {row["name"]: row for row in json.loads(done.stdout)}
    assert set(found) == {*connectors.SOURCES, *connectors.SYSTEMS}
    does = ("receives", "asked", "answers", "keeps_cases")
    assert [found["discourse"][key] for key in does] == [True, True, True, False]
    assert [found["roundup"][key] for key in does] == [False, True, False, True]
    assert [found["zendesk"][key] for key in does] == [True, True, False, True]
    assert found["discourse"]["events"]["post_destroyed"] == "deletion"
    assert found["roundup"]["status"] == "real"


def test_the_screen_names_proof_and_events() -> None:
    shown = run().stdout
    for name in connectors.SOURCES:
        told = manifest.load(name)
        assert told.proof in shown
        assert all(event in shown for event in told.events)


def test_the_readme_has_this_table() -> None:
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    _, _, rest = text.partition("<!-- hailback connectors --markdown -->\n")
    held, end, _ = rest.partition("<!-- end of the table -->")
    assert end
    assert held == run("--markdown").stdout, "put the output of `hailback connectors --markdown` into README.md"
    for name in connectors.SOURCES:
        assert f"(connectors/{name}/README.md)" in held


def test_the_page_of_patterns_says_what_each_connector_tells() -> None:
    text = (CHECKOUT / "docs" / "patterns.md").read_text(encoding="utf-8")
    _, _, rest = text.partition("<!-- hailback connectors --fields -->\n")
    held, end, _ = rest.partition("<!-- end of the table -->")
    assert end
    assert held == run("--fields").stdout, "put the output of `hailback connectors --fields` into docs/patterns.md"
    names = sorted(connectors.SOURCES)
    rows = {line.split("`")[1]: line.split(" | ")[1:] for line in held.splitlines() if line.startswith("| `")}
    told = {field: dict(zip(names, (cell.strip(" |") for cell in row), strict=True)) for field, row in rows.items()}
    assert (told["place"]["discourse"], told["place"]["x"]) == ("told", "never")
    assert (told["author.followers"]["discourse"], told["author.followers"]["x"]) == ("never", "told")


def test_what_is_private_is_shown_and_does_not_count_as_acted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    load = manifest.load
    told = load("discourse")
    more = told.model_copy(update={"events": {**told.events, "whisper": "private"}})
    monkeypatch.setattr(manifest, "load", lambda name: more if name == "discourse" else load(name))
    assert "\n  private: whisper\n" in run().stdout
    (row,) = [line for line in run("--markdown").stdout.splitlines() if line.startswith("| [Discourse]")]
    assert f"| 4 of {len(told.events) + 1} |" in row


def test_a_manifest_that_is_wrong_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connectors.SOURCES, "acme", "connectors.discourse.connector:Discourse")
    done = run()
    assert done.exit_code == 1
    assert "connectors/acme/connector.json is missing" in done.stderr
    assert done.stdout == ""


def test_it_needs_no_aws() -> None:
    code = (
        "import sys; from connectors.tool.main import app\n"
        "try: app(['connectors', '--json'])\n"
        "except SystemExit as stop: print(stop.code, [name for name in ('boto3', 'tweepy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
