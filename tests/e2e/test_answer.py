"""An agent's answer, from the record back into the forum's thread: once, though its receipt is lost and workers die.

On the deployed machine, with the stand-in forum that keeps what is said.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from connectors.aws.inbox import of_events
from connectors.core.case import EffectKind, EffectState
from connectors.core.models import Author, RecordUpdate
from connectors.core.ports import Reference
from connectors.tool.local import ROUTES, RunningStack
from connectors.tool.story import sweeping
from tests.e2e.wait import until
from tests.roundup.tracker import connect_to

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

PATIENCE = 60
LONG = 200
NUMBERS = itertools.count(1)


@pytest.fixture(autouse=True)
def _sweeping(machine: RunningStack) -> Iterator[None]:
    """Minutes pass in seconds."""
    with sweeping(machine):
        yield


class Desk:
    """A customer in the forum and an agent at the tracker."""

    def __init__(self, machine: RunningStack) -> None:
        self.machine = machine
        self.tracker = f"{ROUTES}/Tracker"

    def ask(self, words: str) -> tuple[int, str]:
        """A customer opens a topic; the topic and its case, once the case has a record."""
        post = self.machine.forum.say("ada", words, title=words)
        authority = self.machine.forum.base_url.removeprefix("http://")
        name = f"discourse:{authority}:{post['id']}"
        until(lambda: self.machine.cases.mention(name)[0], PATIENCE, f"the case of {name}")
        case = str((self.machine.cases.mention(name)[0] or {})["case"])
        until(lambda: self._record(case), PATIENCE, "its record")
        return int(post["topic_id"]), case

    def answer(self, case: str, words: str) -> None:
        """The agent's public reply, twice, as overlapping polls of the tracker bring it."""
        update = RecordUpdate(
            connector="roundup",
            reference=self._record(case),
            native_id=f"msg{900_000 + next(NUMBERS)}",
            kind="reply",
            author=Author(native_id="9", name="Ben Quist"),
            text=words,
        )
        body = f"[{update.model_dump_json()}]"
        message = json.dumps(of_events(self.tracker, "roundup", body, 1_795_000_000_000))
        for _ in range(2):
            self.machine.client("sqs").send_message(QueueUrl=self.machine.outputs["InboxQueueUrl"], MessageBody=message)

    def work(self, case: str) -> None:
        """The agent writes a note and a public reply in the tracker, and closes the issue."""
        person = connect_to(self.machine.tracker.base_url, self.machine.tracker.admin_password, "admin")
        issue = Reference(self._record(case), "")
        for words in ("Spare valves are on shelf three.", "reply: Please fetch a new valve."):
            fields = {"content": words, "author": "admin", "date": "."}
            message = str(person._data(person._call("POST", "rest/data/msg", json=fields))["id"])
            person._attach(issue, message)
        person.set_status(issue, "solved")

    def status(self, case: str) -> str:
        """What the tracker shows."""
        person = connect_to(self.machine.tracker.base_url, self.machine.tracker.admin_password, "admin")
        path = f"rest/data/issue/{self._record(case)[5:]}?@fields=status&@verbose=2"
        return str(person._data(person._call("GET", path))["attributes"]["status"]["name"])

    def answers(self, topic: int) -> list[str]:
        return [post["raw"] for post in self.machine.forum.posts(topic) if post["username"] == "hailback"]

    def state(self, case: str) -> EffectState | None:
        found = [effect for effect in self.machine.cases.effects(case) if effect.kind is EffectKind.REPLY]
        assert len(found) <= 1
        return found[0].state if found else None

    def sweep(self) -> None:
        """What wake_due does each minute."""
        self.machine.invoke("WakeDue", {})

    def echoed(self, topic: int) -> bool:
        """Whether the forum's own webhook about the answer was taken in."""
        authority = self.machine.forum.base_url.removeprefix("http://")
        ours = [post["id"] for post in self.machine.forum.posts(topic) if post["username"] == "hailback"]
        return all(self.machine.cases.mention(f"discourse:{authority}:{number}")[0] for number in ours)

    def _record(self, case: str) -> str:
        found = self.machine.cases.case(case)
        return found.record.id if found and found.record else ""


@pytest.fixture
def desk(machine: RunningStack) -> Iterator[Desk]:
    yield Desk(machine)
    machine.forum.fail([])


def swept(desk: Desk, case: str, seconds: int = LONG) -> None:
    def settled() -> bool:
        if desk.state(case) is EffectState.DONE:
            return True
        desk.sweep()
        return False

    until(settled, seconds, "the answer to be settled", every=2.0)


def test_an_answer_reaches_the_thread_and_the_timeline_says_so_once(desk: Desk) -> None:
    topic, case = desk.ask("The heating hums all night")
    desk.answer(case, "Please turn the valve to the left.")
    until(lambda: desk.state(case) is EffectState.DONE, PATIENCE, "the answer to be done")
    (raw,) = desk.answers(topic)
    assert raw.startswith("Please turn the valve to the left.")
    until(lambda: desk.echoed(topic), PATIENCE, "the forum's own webhook")
    happened = [event.kind.value for event in desk.machine.cases.timeline(case)]
    assert happened.count("answered") == happened.count("replied") == 1
    assert happened.count("said") == 0, "our own post is not told again"
    assert [case for case in desk.machine.cases.newest(500) if case.first_mention.endswith(f":{topic}")] == []


def test_what_an_agent_does_in_the_tracker_is_seen_and_the_customer_gets_the_reply(desk: Desk) -> None:
    topic, case = desk.ask("The valve is broken")
    desk.work(case)
    until(lambda: desk.state(case) is EffectState.DONE, LONG, "the answer to be done")
    (raw,) = desk.answers(topic)
    assert raw.startswith("Please fetch a new valve.")

    def closed() -> bool:
        found = desk.machine.cases.case(case)
        return found is not None and found.state == "solved"

    until(closed, PATIENCE, "the case to be solved")
    happened = [event.kind.value for event in desk.machine.cases.timeline(case)]
    assert {kind: happened.count(kind) for kind in ("remarked", "answered", "moved", "replied")} == {
        "remarked": 1,
        "answered": 1,
        "moved": 1,
        "replied": 1,
    }
    desk.machine.forum.say("ada", "It leaks again, sorry.", topic_id=topic)
    until(lambda: desk.status(case) == "chatting", LONG, "the issue to be open again")
    found = desk.machine.cases.case(case)
    assert found is not None
    assert found.state == "open"


def test_an_answer_whose_receipt_is_lost_stands_once(desk: Desk) -> None:
    topic, case = desk.ask("The radiator drips since Monday")
    desk.machine.forum.fail(["429:2", "drop"])
    desk.answer(case, "A plumber comes tomorrow.")
    until(lambda: desk.answers(topic), PATIENCE, "the answer in the thread")
    swept(desk, case)
    assert len(desk.answers(topic)) == 1
    assert desk.machine.dead_letters() == {}


@contextmanager
def dying(machine: RunningStack) -> Iterator[list[int]]:
    """Kills the workers of send_reply as soon as the answer stands in the forum, which still holds its receipt back."""
    ended, killed = threading.Event(), list[int]()

    def kill() -> None:
        while not ended.wait(0.05):
            if not any("restarted the boiler" in post["raw"] for post in machine.forum.posts()):
                continue
            for pid in machine.aws.workers(machine.functions["SendReply"]):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
            return

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


def test_a_worker_that_dies_with_the_answer_on_its_way_leaves_one(desk: Desk) -> None:
    topic, case = desk.ask("The boiler is cold again")
    desk.machine.forum.fail(["late:3"])
    with dying(desk.machine) as killed:
        desk.answer(case, "We restarted the boiler.")
        until(lambda: killed, PATIENCE, "a worker to be killed", every=0.05)
    assert desk.state(case) is EffectState.CLAIMED
    swept(desk, case)
    assert len(desk.answers(topic)) == 1
    assert [event.kind.value for event in desk.machine.cases.timeline(case)].count("replied") == 1
