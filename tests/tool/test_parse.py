"""`hailback parse`: events as JSON lines, mistakes as sentences, and no AWS."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from connectors.tool.main import app

CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLES = CHECKOUT / "events" / "discourse"
BODY = json.dumps({"post": {"id": 1, "topic_id": 2, "user_id": 3, "raw": "grüße 😤"}})


def run(*arguments: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["parse", *map(str, arguments)], input=stdin)


def test_a_sample_and_its_headers_become_one_line() -> None:
    done = run("discourse", SAMPLES / "post_edited__heating.json")
    assert done.exit_code == 0
    (line,) = done.stdout.splitlines()
    event = json.loads(line)
    assert (event["type"], event["id"], event["version"]) == ("mention", "discourse:forum.acme.com:9001", 2)


def test_a_bare_body_from_standard_input_with_all_options() -> None:
    done = run(
        "discourse",
        "-",
        "--header=X-Discourse-Event: post_recovered",
        "--header=x-discourse-event-id:41",
        "--header",
        "X-Discourse-Instance: https://Forum.Acme.com",
        "--account=99",
        "--account=3",
        stdin=BODY,
    )
    assert done.exit_code == 0, done.stderr
    event = json.loads(done.stdout)
    assert event["id"] == "discourse:forum.acme.com:1"
    assert (event["restored"], event["order"], event["own"], event["text"]) == (True, 41, True, "grüße 😤")


def test_authority_stands_for_the_header() -> None:
    done = run("discourse", "-", "--authority", "forum.acme.com", stdin=BODY)
    assert json.loads(done.stdout)["authority"] == "forum.acme.com"
    done = run(
        "discourse", "-", "--authority=forum.acme.com", "-H", "X-Discourse-Instance: https://other.example", stdin=BODY
    )
    assert done.exit_code == 1
    assert "other.example" in done.stderr


def test_a_given_header_wins_over_the_file_beside() -> None:
    done = run("discourse", SAMPLES / "post_created__heating.json", "--header", "X-Discourse-Event: post_destroyed")
    assert json.loads(done.stdout)["type"] == "deletion"


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    bad, odd = tmp_path / "bad.json", tmp_path / "odd.json"
    bad.write_text("{")
    odd.write_text(BODY)
    odd.with_suffix(".headers").write_text('{"X-Discourse-Event": 5}')
    good = SAMPLES / "post_created__heating.json"
    done = run("discourse", bad, tmp_path / "missing.json", odd, good, good)
    assert done.exit_code == 1
    assert len(done.stdout.splitlines()) == 2
    first, second, third = done.stderr.splitlines()
    assert first == f"{bad}: the body is not JSON"
    assert "missing.json: No such file" in second
    assert "odd.headers" in third


def test_a_body_without_its_forum_names_the_remedy() -> None:
    done = run("discourse", "-", stdin=BODY)
    assert done.exit_code == 1
    assert "--authority HOST" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["discours", "x.json"], "There is no connector 'discours'. Did you mean discourse? Known: "),
        (["zzz", "x.json"], "There is no connector 'zzz'. Known: "),
        (["discourse", "x.json", "--header", "nonsense"], "write it as 'Name: value'"),
        (["discourse", "x.json", "--authority", "a b"], "--authority is not the address of a forum"),
        (["discourse", "x.json", "--account", ""], "an account is a user id"),
    ],
)
def test_a_mistake_in_the_command_is_a_sentence(arguments: list[str], sentence: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stdout == ""


def test_it_needs_no_aws_and_stays_out_of_the_way_of_help() -> None:
    code = (
        "import sys; from connectors.tool.main import app\n"
        "heavy = {'boto3', 'botocore', 'pydantic', 'connectors.discourse'} & set(sys.modules)\n"
        f"try: app(['parse', 'discourse', {str(SAMPLES / 'ping__address_test.json')!r}])\n"
        "except SystemExit as stop: print(stop.code, sorted(heavy), 'boto3' in sys.modules, 'botocore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 [] False False"


def test_settings_say_how_a_source_is_read(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(
        "Connector: webhook\nSecret: hailback/shop\nAuthority: shop.acme.example\nAccount: 7\n"
        "Mapping: {Id: uuid, Text: body, Author: {Id: who}}\n"
    )
    done = run("webhook", "-", "--settings", file, stdin='{"uuid": "c-1", "body": "cold", "who": 7}')
    assert done.exit_code == 0, done.stderr
    event = json.loads(done.stdout)
    assert (event["id"], event["text"], event["own"]) == ("webhook:shop.acme.example:c-1", "cold", True)
    for text, words in (
        ("Authority: a.example\nMapping: {Id: 'a('}", "Mapping.Id"),
        ("Authority: a.example\nMaping: {}", "Maping"),
        ("Mapping: {}", "Authority"),
        ("[1]", "mapping"),
        ("a: !Ref B", "!Ref"),
        ("Resources:\n  Shop:\n    Properties: {ServiceToken: !Ref Configure}", "under Properties of one source"),
        ('{"Resources": {"Shop": {"Properties": {}}}}', "under Properties of one source"),
        ("Type: Custom::Source\nProperties: {Authority: a.example}", "under Properties of one source"),
    ):
        file.write_text(text)
        done = run("webhook", "-", "--settings", file, stdin="{}")
        assert (done.exit_code, words in done.stderr) == (2, True), done.stderr
    assert run("webhook", "-", "--settings", file, "--account", "7", stdin="{}").exit_code == 2
    assert run("webhook", "-", "--settings", tmp_path / "none", stdin="{}").exit_code == 2
