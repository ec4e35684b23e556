"""`hailback explain`: which route takes a mention, and on which field the earlier ones did not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from connectors.tool.main import app
from tests.tool.small_plan import PLAN

CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLE = CHECKOUT / "events" / "discourse" / "post_created__heating.json"


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    file = tmp_path / "routes.yaml"
    file.write_text(PLAN, encoding="utf-8")
    return file


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, arguments)])


def verdicts(*arguments: object) -> list[dict[str, Any]]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def parsed(tmp_path: Path, **more: Any) -> Path:
    event = {"type": "mention", "connector": "discourse", "authority": "forum.acme.com", "native_id": "1"}
    file = tmp_path / "mention.json"
    file.write_text(json.dumps({**event, "conversation_id": "1", **more}), encoding="utf-8")
    return file


def test_a_delivery_is_read_as_its_connector_reads_it(plan: Path) -> None:
    [found] = verdicts(plan, SAMPLE)
    assert (found["mention"], found["route"], found["position"]) == (
        "discourse:forum.acme.com:9001",
        "everything-else",
        3,
    )
    assert found["source"] == "hailback-routes/Forum"
    assert [(one["route"], one["field"]) for one in found["passed"]] == [
        ("loud", "author.followers"),
        ("thanks", "text"),
    ]
    assert found["passed"][1]["found"].startswith("'Since the thermostat")


def test_the_screen_says_what_was_expected_and_what_was_found(plan: Path) -> None:
    done = run(plan, SAMPLE)
    assert "route everything-else (3 of 3): a case in hailback-routes/Tracker; told: arn:aws:sns:" in done.output
    assert "not loud: author.followers should be a number > 1000, is null" in done.output


def test_a_post_in_short_is_enough(plan: Path, tmp_path: Path) -> None:
    [found] = verdicts(plan, '{"text": "Thanks a lot"}')
    assert (found["route"], found["source"]) == ("thanks", "hailback-routes/Forum")
    assert found["facts"]["authority"] == "forum.acme.com"
    file = tmp_path / "short.json"
    file.write_text('{\n "title": "Cold",\n "text": "It is cold."}', encoding="utf-8")
    assert [one["route"] for one in verdicts(plan, file)] == ["everything-else"]
    assert run(plan, '{"words": "Hi"}').exit_code == 1


def test_parameters_may_follow_as_they_do_for_aws(plan: Path) -> None:
    named = PLAN.replace("'https://forum.acme.com'", "!Ref Address")
    new = "Parameters:\n  Address: {Type: String}\n  Other: {Type: String}\n"
    plan.write_text(named.replace("Parameters:\n", new), encoding="utf-8")
    given = ("--parameter-overrides", "Other=1", "Address=https://forum.acme.com")
    assert [one["route"] for one in verdicts(plan, *given, SAMPLE)] == ["everything-else"]


def test_what_is_known_of_a_person_is_not_known_here(plan: Path) -> None:
    asked = PLAN.replace("{author: {followers: [{numeric: ['>', 1000]}]}}", "{person: {known: [true]}}")
    plan.write_text(asked, encoding="utf-8")
    assert "not loud: person.known should be true, is not known here (" in run(plan, SAMPLE).output


def test_of_a_plan_beside_the_base_it_says_who_comes_next(plan: Path) -> None:
    beside = PLAN.replace("      Routes:", "      Priority: 100\n      Routes:")
    beside = beside[: beside.index("        - Name: everything-else")]
    plan.write_text(beside, encoding="utf-8")
    assert "no route of this plan takes it: those of the base plan come next" in run(plan, SAMPLE).output


def test_each_alternative_of_a_choice_is_explained(plan: Path, tmp_path: Path) -> None:
    choice = "{kind: [post], $or: [{text: [Hi]}, {author: {$or: [{handle: [ada]}, {name: [Ada]}]}}]}"
    plan.write_text(PLAN.replace("{author: {followers: [{numeric: ['>', 1000]}]}}", choice), encoding="utf-8")
    [found] = verdicts(plan, SAMPLE)
    [loud, _] = found["passed"]
    assert (loud["field"], [one["field"] for one in loud["others"]]) == ("text", ["author.handle", "author.name"])
    lines = run(plan, SAMPLE).output.splitlines()
    assert lines[1].startswith("  not loud: text should be 'Hi', is 'Since the")
    assert lines[2] == "      nor: author.handle should be 'ada', is 'mara_lind'"
    assert lines[3].startswith("      nor: author.name should be 'Ada', is")
    many = f"{{$or: [{', '.join(f'{{title: [t{number}]}}' for number in range(8))}]}}"
    plan.write_text(PLAN.replace("{author: {followers: [{numeric: ['>', 1000]}]}}", many), encoding="utf-8")
    assert "      nor 2 more" in run(plan, SAMPLE).output.splitlines()


def test_what_parse_prints_is_taken_and_says_more(plan: Path, tmp_path: Path) -> None:
    [loud] = verdicts(plan, parsed(tmp_path, text="Hm", author={"native_id": "7", "followers": 2000}))
    assert (loud["route"], loud["opens"], loud["passed"]) == ("loud", True, [])
    [quiet] = verdicts(plan, parsed(tmp_path, text="Thanks a lot"))
    assert (quiet["route"], quiet["opens"], quiet["systems"]) == ("thanks", False, [])
    [elsewhere] = verdicts(plan, parsed(tmp_path, text="Thanks a lot"), "--source", "other/Forum")
    assert (elsewhere["route"], elsewhere["passed"][1]["field"]) == ("everything-else", "source")


def test_what_the_machine_would_read_into_it_is_read_here_too(tmp_path: Path, plan: Path) -> None:
    text = "I am so angry, the app crashed again and nobody at support answers. Terrible service!"
    [found] = verdicts(plan, parsed(tmp_path, text=text))
    assert found["facts"]["intent"] == "complaint"
    [told] = verdicts(plan, parsed(tmp_path, text=text, intent="praise", confidence=1))
    assert told["facts"]["intent"] == "praise"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "name a mention"),
        (("nothing.json",), 2, "neither a file nor the id"),
        (("{sample}",), 1, "--connector"),
    ],
)
def test_mistakes_end_with_a_sentence(
    plan: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    lost = tmp_path / "body.json"
    lost.write_bytes(SAMPLE.read_bytes())
    done = run(plan, *(str(lost) if one == "{sample}" else one for one in arguments))
    assert (done.exit_code, said in done.stderr) == (code, True), done.output


def test_a_template_with_mistakes_is_not_explained(plan: Path) -> None:
    plan.write_text(PLAN.replace("Open: count", "Opens: count"), encoding="utf-8")
    done = run(plan, SAMPLE)
    assert done.exit_code == 1
    assert "Opens" in done.stderr


def test_no_aws_is_imported(plan: Path) -> None:
    code = (
        "import sys; from connectors.tool.main import app\n"
        f"try: app(['explain', {str(plan)!r}, {str(SAMPLE)!r}])\nexcept SystemExit as end: assert not end.code\n"
        "assert 'boto3' not in sys.modules, 'boto3'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=CHECKOUT)
    assert done.returncode == 0, done.stderr
