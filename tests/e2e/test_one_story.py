"""A story that begins on the phone and goes on in public: one case, one record, answered in public."""

from __future__ import annotations

import json
import time

import pytest
from typer.testing import CliRunner, Result

from connectors.aws.inbox import of_events
from connectors.core.case import EffectKind
from connectors.core.identity import case_id
from connectors.core.models import Author, Mention
from connectors.tool.local import EXTRAS, RunningStack
from connectors.tool.main import app
from tests.e2e.test_answer import PATIENCE, Desk, _sweeping, desk
from tests.e2e.wait import until

__all__ = ["_sweeping", "desk"]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def test_a_call_and_a_post_of_one_person_are_one_story(
    machine: RunningStack, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: str) -> str:
        done: Result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
        assert done.exit_code == 0, done.output
        return done.output

    for module in ("people", "cases"):
        monkeypatch.setattr(f"connectors.tool.{module}.target", lambda *_: machine)
    number = f"tel:+4917{time.time_ns() % 10**8:08d}"
    earlier = str(machine.forum.say("lena", "My radiator hums", title="My radiator hums")["id"])
    authority = machine.forum.base_url.removeprefix("http://")
    until(lambda: machine.cases.mention(f"discourse:{authority}:{earlier}")[0], PATIENCE, "an earlier case")
    meta, _ = machine.cases.mention(f"discourse:{authority}:{earlier}")
    assert meta is not None

    # The phone rings; any source will do for what a telephone's connector makes of it.
    call = Mention(
        connector="x",
        native_id=f"call-{number}",
        conversation_id=f"call-{number}",
        author=Author(native_id=number, identity=number),
        text="It is cold in here.",
    )
    message = json.dumps(of_events(f"{EXTRAS}/AcmeOnX", "x", f"[{call.model_dump_json()}]", time.time_ns() // 10**6))
    machine.client("sqs").send_message(QueueUrl=machine.outputs["InboxQueueUrl"], MessageBody=message)
    case = case_id(call.conversation)
    until(lambda: desk._record(case), PATIENCE, "the call's record")
    told = run("people", "link", number, meta["author_key"], "--because", "Gave her forum name on the phone.")
    assert "2 cases are open and stay apart" in told
    assert case in told
    assert str(meta["case"]) in told

    post = machine.forum.say("lena", "Nobody came", title="Nobody came")
    name = f"discourse:{authority}:{post['id']}"
    until(lambda: machine.cases.mention(name)[0], PATIENCE, "the post")
    assert (machine.cases.mention(name)[0] or {})["case"] == case
    shown = run("case", case)
    assert f"{name} joined because somebody linked who wrote them:" in shown
    assert "Gave her forum name on the phone." in shown

    desk.answer(case, "We are on our way.")
    until(lambda: desk.answers(int(post["topic_id"])), PATIENCE, "the answer in public")
    (raw,) = desk.answers(int(post["topic_id"]))
    assert raw.startswith("We are on our way.")
    (reply,) = [effect for effect in machine.cases.effects(case) if effect.kind is EffectKind.REPLY]
    assert reply.target == f"{EXTRAS}/Square"
    assert len([effect for effect in machine.cases.effects(case) if effect.kind is EffectKind.RECORD]) == 1
    assert "forgot" in run("people", "forget", number, "--yes")
