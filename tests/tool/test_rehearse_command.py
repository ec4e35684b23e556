"""`hailback rehearse`: over a file without AWS, and over a deployment's table without writing a single item."""

from __future__ import annotations

import itertools
import json
import random
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from typer.testing import CliRunner, Result

from connectors.aws.config import ConfigStore
from connectors.aws.intake import Intake
from connectors.core.ingest import Origin
from connectors.core.models import Author, Mention
from connectors.tool import heard, rehearse
from connectors.tool.main import app
from connectors.tool.reading import ReadOnlyError
from connectors.tool.rehearsal import Rehearsal
from tests.tool.conftest import FORUM, Small
from tests.tool.small_plan import PLAN

CHANGED = PLAN.replace("Open: count", "Case: [!Ref Tracker]\n          Notify: [!Ref Care]")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["rehearse", *map(str, arguments)])


def files(folder: Path, *texts: str) -> list[Path]:
    made = []
    for number, text in enumerate(texts):
        made.append(folder / f"plan{number}.yaml")
        made[-1].write_text(text, encoding="utf-8")
    return made


def jsonl(folder: Path, count: int) -> Path:
    file = folder / "mentions.jsonl"
    event = {"type": "mention", "connector": "discourse", "authority": "forum.acme.com"}
    with file.open("w", encoding="utf-8") as out:
        for n in range(count):
            words = "Thanks!" if n % 5 == 0 else "It broke"
            said = (datetime(2026, 11, 20, tzinfo=UTC) + timedelta(minutes=n)).isoformat()
            one = {**event, "native_id": str(n), "conversation_id": str(n), "text": words, "created_at": said}
            out.write(json.dumps({**one, "id": "x", "intent": "complaint"}) + "\n")
        out.write(json.dumps({"type": "deletion", "connector": "discourse", "native_id": "1"}) + "\n")
    return file


def test_a_file_of_posts_against_another_template(tmp_path: Path) -> None:
    old, new = files(tmp_path, PLAN, CHANGED)
    done = run(new, "--against", old, "--mentions", jsonl(tmp_path, 600), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["summary"].startswith("This change would open 120 cases.")
    assert (told["mentions"], told["would_open"], told["before"]["cases"], told["after"]["cases"]) == (
        600,
        120,
        480,
        600,
    )
    assert told["after"]["systems"]["hailback-routes/Tracker"]["peak_hour"] == 60
    shown = run(new, "--against", old, "--mentions", jsonl(tmp_path, 600))
    assert shown.output.startswith("This change would open 120 cases.")
    assert "480 → 600" in shown.output


def test_alone_it_says_what_the_plan_comes_to(tmp_path: Path) -> None:
    (new,) = files(tmp_path, PLAN)
    done = run(new, "--alone", "--mentions", jsonl(tmp_path, 10))
    assert "This plan would open 8 cases." in done.output


BESIDE = CHANGED[: CHANGED.index("        - Name: everything-else")]


def test_a_shadow_is_rehearsed_as_if_it_were_on_and_says_that_it_is_not(tmp_path: Path) -> None:
    """Otherwise whoever rehearses it learns nothing: as it is, it makes no difference."""
    off = BESIDE.replace("      Routes:", "      Priority: 1\n      Effects: off\n      Routes:")
    (new,) = files(tmp_path, off)
    shown = run(new, "--alone", "--mentions", jsonl(tmp_path, 10)).output
    assert "As a shadow (Effects: off) it changes nothing. Switched on: This plan would open 2 cases." in shown
    assert "The figures are those of Effects: on." in shown


def test_a_base_plan_without_effects_says_that_nothing_would_go_out(tmp_path: Path) -> None:
    on, off = files(tmp_path, PLAN, PLAN.replace("      Routes:", "      Effects: off\n      Routes:"))
    posts = jsonl(tmp_path, 10)
    assert run(off, "--against", on, "--mentions", posts).output.startswith(
        "This change would route everything as before. With Effects: off in the base plan NOTHING of it would go out."
    )
    assert "It would switch effects on" in run(on, "--against", off, "--mentions", posts).output.splitlines()[0]


@pytest.mark.parametrize(
    ("line", "said"), [("{", "line 2 is not JSON"), ('{"a": 1}', "no event"), ('{"type": "mention"}', "no mention")]
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str, said: str) -> None:
    (new,) = files(tmp_path, PLAN)
    posts = tmp_path / "posts.jsonl"
    posts.write_text(f"\n{line}\n", encoding="utf-8")
    done = run(new, "--alone", "--mentions", posts)
    assert done.exit_code == 1
    assert said in done.stderr
    assert "line 2" in done.stderr


def test_a_wrong_time_and_a_plan_with_mistakes_are_sentences(tmp_path: Path) -> None:
    new, wrong = files(tmp_path, PLAN, PLAN.replace("Notify:", "Notfy:"))
    assert run(new, "--alone", "--since", "seven").exit_code == 2
    done = run(wrong, "--alone", "--mentions", jsonl(tmp_path, 1))
    assert done.exit_code == 1
    assert "Did you mean Notify?" in done.stderr


def take_in(small: Small, number: int, words: str, when: datetime) -> None:
    deployment = small.deployment
    intake = Intake(deployment.table, deployment.blobs, now=lambda: int(when.timestamp() * 1000))
    mention = Mention(
        connector="discourse",
        authority="forum.acme.com",
        native_id=str(number),
        conversation_id=str(number),
        author=Author(native_id="7"),
        text=words,
    )
    intake.take_in(mention, Origin(FORUM, "discourse"), b"{}")


def everything() -> list[Any]:
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName="table")
    return sorted((item for page in pages for item in page["Items"]), key=str)


def test_the_stored_posts_of_the_last_days_are_read_in_order_and_nothing_is_written(small: Small) -> None:
    now = datetime.now(UTC)
    for n in range(60):
        take_in(small, n, "Thanks " + "x" * (900_000 if n == 3 else 1), now - timedelta(hours=n))
    before = everything()
    small.deployment.__dict__.pop("watched", None)
    found = list(
        heard.stored(small.deployment.watched, small.deployment.blobs, now - timedelta(hours=40, minutes=1), now)
    )
    assert [int(one.mention.native_id) for one in found] == list(range(40, -1, -1))
    assert {one.source for one in found} == {(FORUM,)}
    assert found[0].mention.text.startswith("Thanks")
    small.plan()
    before = everything()
    plan = small.deployment.config.active_plan()
    assert plan is not None
    rehearsal = Rehearsal(plan, plan)
    for _ in rehearsal.run(found):
        pass
    assert rehearsal.told()["summary"] == "This change would make no difference."
    assert rehearsal.told()["after"]["cases"] == 41
    assert everything() == before


def deployed(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `target` would find it."""
    topic = json.dumps({"Resources": {"T": {"Type": "AWS::SNS::Topic"}}})
    boto3.client("cloudformation").create_stack(StackName="hailback", TemplateBody=topic)
    monkeypatch.setattr(rehearse, "target", lambda *_: small.deployment)


WRITES = re.compile(r"(?!Get|List|Query|BatchGet|Describe|Scan|Head).*")


def test_the_command_makes_no_call_that_could_change_anything(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call to AWS is seen on its way out, whichever service it is for; one that writes is refused."""
    now = datetime.now(UTC)
    for n in range(50):
        take_in(small, n, "Thanks" if n % 2 else "It broke", now - timedelta(hours=n))
    large = random.Random(1).randbytes(500_000).hex()  # too large for the table, however it is packed
    take_in(small, 99, f"It broke {large}", now - timedelta(hours=1))
    small.plan()
    deployed(small, monkeypatch)
    for name in ("table", "watched", "blobs", "cases", "config"):
        small.deployment.__dict__.pop(name, None)
    (new,) = files(tmp_path, PLAN)
    before, queues, asked = everything(), [small.waiting(name) for name in ("InboxQueue", "NotifyQueue")], list[str]()
    send = BaseClient._make_api_call  # type: ignore[attr-defined]

    def watched(self: BaseClient, operation: str, given: dict[str, Any]) -> Any:
        asked.append(operation)
        assert not WRITES.fullmatch(operation), f"{operation} writes"
        return send(self, operation, given)

    with monkeypatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", watched)
        done = run(new, "--since", "7d", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["mentions"], told["before"]["cases"], told["after"]["cases"]) == (51, 51, 26)
    assert told["summary"].startswith("This change would leave 25 cases unopened.")
    assert {"Query", "BatchGetItem", "GetObject"} <= set(asked)
    assert everything() == before
    assert [small.waiting(name) for name in ("InboxQueue", "NotifyQueue")] == queues
    assert small.functions.called == []


def test_without_a_plan_in_force_there_is_nothing_to_compare_with(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(small, 1, "It broke", datetime.now(UTC))
    deployed(small, monkeypatch)
    (new,) = files(tmp_path, PLAN)
    told = json.loads(run(new, "--json").stdout)
    assert told["summary"] == "This plan would open 1 case."
    assert told["notes"][0] == "No plan is in force, so there is nothing to compare with."


def test_a_list_of_events_over_several_lines_is_read_too(tmp_path: Path) -> None:
    (new,) = files(tmp_path, PLAN)
    lines = jsonl(tmp_path, 10).read_text(encoding="utf-8").splitlines()
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps([json.loads(line) for line in lines], indent=2), encoding="utf-8")
    assert "This plan would open 8 cases." in run(new, "--alone", "--mentions", listed).output


def test_a_long_run_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (new,) = files(tmp_path, PLAN)
    clock = itertools.count(0, 11)
    monkeypatch.setattr("connectors.tool.rehearse.time.monotonic", lambda: next(clock))
    done = run(new, "--alone", "--mentions", jsonl(tmp_path, 1200))
    assert "500 mentions, up to 2026-11-20 08:19\n1000 mentions, up to 2026-11-20 16:39" in done.stderr


def test_the_client_that_looks_cannot_write(small: Small) -> None:
    with pytest.raises(ReadOnlyError):
        small.deployment.watched.put({"pk": "a", "sk": "b"})
    with pytest.raises(ReadOnlyError):
        small.deployment.watched.transact([])
    store: ConfigStore = small.deployment.config
    assert store.plan_pointer() is None


def test_a_mention_is_found_by_its_id_until_its_words_are_gone(small: Small) -> None:
    take_in(small, 1, "Hm", datetime.now(UTC))
    deployment = small.deployment
    found = heard.one_stored(deployment.watched, deployment.blobs, "discourse:forum.acme.com:1")
    assert found is not None
    assert (found.mention.text, found.source) == ("Hm", (FORUM,))
    assert heard.one_stored(deployment.watched, deployment.blobs, "discourse:forum.acme.com:2") is None


def test_a_hundred_thousand_posts_of_a_file_in_well_under_a_minute(tmp_path: Path) -> None:
    old, new = files(tmp_path, PLAN, CHANGED)
    posts = jsonl(tmp_path, 100_000)
    begun = time.process_time()
    done = run(new, "--against", old, "--mentions", posts, "--json")
    assert json.loads(done.stdout)["mentions"] == 100_000
    assert time.process_time() - begun < 50
