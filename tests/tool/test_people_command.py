"""`hailback people`: said with evidence, shown, taken back, forgotten; what is wrong is one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from connectors.aws.intake import Intake
from connectors.core.identity import case_id
from connectors.core.ingest import Origin, Taken
from connectors.core.models import Author, Mention
from connectors.tool import people
from connectors.tool.main import app
from tests.posts import ORIGIN, gone, said, ticking
from tests.tool.conftest import Small

NUMBER, ADA = "tel:+491701234567", "discourse:forum.nimbus.example:55"
CALL = Mention(
    connector="x",
    native_id="c1",
    conversation_id="c1",
    author=Author(native_id="n", identity=NUMBER),
    text="It is cold.",
)
Run = Callable[..., Any]


@pytest.fixture
def run(small: Small, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command against a small deployment."""
    for module in ("connectors.tool.people.target", "connectors.tool.cases.target"):
        monkeypatch.setattr(module, lambda *_: small.deployment)
    return lambda *words: CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


@pytest.fixture
def intake(small: Small) -> Intake:
    import time

    ticks = ticking(int(time.time() * 1000))
    return Intake(small.deployment.table, small.deployment.blobs, now=lambda: next(ticks))


def linked(run: Run, *more: str) -> Any:
    return run("people", "link", NUMBER, ADA, "--because", "Same order number.", *more)


def test_a_link_is_said_shown_with_its_evidence_and_taken_back(run: Run) -> None:
    assert linked(run, "--reference", "https://crm.acme.com/7").exit_code == 0
    shown = run("people", "show", ADA).output
    me = boto3.client("sts").get_caller_identity()["Arn"]
    assert f"{ADA}  one person with {NUMBER}" in shown
    assert f"linked by {me}: Same order number. https://crm.acme.com/7" in shown
    assert run("people", "unlink", ADA, NUMBER, "--because", "Her brother's.").exit_code == 0
    shown = run("people", "show", NUMBER).output
    assert f"{NUMBER}  alone" in shown
    assert "(ended)" in shown
    assert "Her brother's." in shown
    assert "Same order number." in shown


def test_open_cases_of_both_are_named_and_not_merged(run: Run, intake: Intake) -> None:
    assert [intake.take_in(said(), ORIGIN, b""), intake.take_in(CALL, Origin("s/L", "x"), b"")] == [Taken.OPENED] * 2
    told = linked(run).output
    for mention in (said(), CALL):
        assert case_id(mention.conversation) in told
    assert "2 cases are open and stay apart" in told
    assert intake.take_in(said(9, topic=9), ORIGIN, b"") is Taken.SAID, "what comes next joins"


def test_a_case_that_was_open_before_is_joined(run: Run, intake: Intake) -> None:
    intake.take_in(said(), ORIGIN, b"")
    case = case_id(said().conversation)
    assert f"joins {case} while it is open" in linked(run).output
    assert intake.take_in(CALL, Origin("s/L", "x"), b"") is Taken.SAID
    shown = run("case", case).output
    assert f"{CALL.id} joined because somebody linked who wrote them:" in shown
    assert "Same order number." in shown
    assert NUMBER not in shown
    of_case: list[dict[str, Any]] = json.loads(run("people", "show", case, "--json").output)
    assert [one["handle"] for one in of_case] == [ADA, NUMBER]
    assert of_case[0]["open_cases"] == [case]


def test_why_a_second_call_is_there(run: Run, intake: Intake) -> None:
    for call in (CALL, CALL.model_copy(update={"native_id": "c2", "conversation_id": "c2"})):
        intake.take_in(call, Origin("s/L", "x"), b"")
    assert "x:c2 joined because it is the same number" in run("case", case_id(CALL.conversation)).output


def test_a_post_that_was_removed_does_not_say_who_wrote_it(run: Run, intake: Intake) -> None:
    intake.take_in(said(), ORIGIN, b"")
    intake.take_in(gone(), ORIGIN, b"")
    assert "Nobody is known in this case" in run("people", "show", case_id(said().conversation)).output


def test_what_is_forgotten_is_gone_and_asks_first(run: Run, small: Small) -> None:
    linked(run)
    asked = CliRunner().invoke(app, ["people", "forget", NUMBER], input="n\n")
    assert asked.exit_code == 1
    assert f"forgot {NUMBER}: 1 link" in run("people", "forget", NUMBER, "--yes").output
    assert boto3.client("dynamodb").scan(TableName="table")["Count"] == 1, "the other handle's own row"
    assert f"{ADA}  alone" in run("people", "show", ADA).output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("link", NUMBER, "x:42", "--because", "B."), "x::ID"),
        (("link", NUMBER, NUMBER, "--because", "B."), "same handle"),
        (("link", NUMBER, ADA, "--because", ""), "--because"),
        (("link", NUMBER, ADA, "--because", "B" * 1_001), "--because"),
        (("unlink", NUMBER, ADA, "--because", "B."), "never linked"),
        (("show", "case-nowhere"), "there is no case"),
        (("show", "+49170"), "is not a handle"),
    ],
)
def test_what_is_wrong_is_one_sentence(run: Run, words: tuple[str, ...], sentence: str) -> None:
    done = run("people", *words)
    assert done.exit_code == 1
    assert sentence in done.output
    assert "Traceback" not in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_it_explains_itself(run: Run) -> None:
    for words in ((), ("show",), ("link",), ("unlink",), ("forget",)):
        assert "Usage:" in run("people", *words, "--help").output
    assert people.people.info.help
