"""A ticket that is closed for good takes nothing more: the case lives on in one new ticket that names the old one."""

from __future__ import annotations

import re
import time
from contextlib import suppress

import pytest

from connectors.core.case import Effect, EffectKind, EffectState, Happening, note_id, record_id, status_id
from connectors.core.errors import RecordClosedError, RecordGoneError, RejectedError
from connectors.core.ports import NoteDraft, Reference
from connectors.core.reconcile import compare, mending
from connectors.core.sync import Outcome, RecordSync
from connectors.tool.zendesk import AGENT
from connectors.zendesk import payloads
from connectors.zendesk.connector import Zendesk
from tests.core.sync_bench import CASE, PACE, SYSTEM
from tests.doubles import Clock, MemoryLedger, Words
from tests.zendesk.standin import BASE_URL, TOKEN, Desk, Faults, Inside, connect

KINDS = ("drop", "timeout", "lost", "409", "412", "429", "500", "503", "500 after commit")


class Died(BaseException):
    """The worker's process is gone."""


class World:
    """One case in one Zendesk."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.ledger, self.words = clock, MemoryLedger(), Words()
        self.desk = Desk(TOKEN, BASE_URL, now=lambda: clock.seconds)
        self.agent = connect(Inside(self.desk), email=AGENT)
        self.system = connect(Inside(self.desk))
        self.ledger.meta = CASE.model_copy(update={"engaged": (SYSTEM,)})
        self.plan(record_id(SYSTEM), EffectKind.RECORD)

    def plan(self, name: str, kind: EffectKind, **more: object) -> None:
        now = self.clock.now()
        line = {"case": CASE.id, "id": name, "kind": kind, "target": SYSTEM, "planned_at": now, "due_at": now, **more}
        self.ledger.plan(Effect.model_validate(line))

    def say(self, *numbers: int, happening: Happening = Happening.SAID) -> None:
        for number in numbers:
            self.clock.advance(0.01)
            name = note_id(SYSTEM, f"post:{number}", happening, 1)
            self.plan(name, EffectKind.NOTE, mention=f"post:{number}", version=1, happening=happening)

    def move(self, status: str) -> None:
        self.clock.advance(0.01)
        self.plan(status_id(SYSTEM, f"{self.clock.seconds}"), EffectKind.STATUS, status=status)

    def run(self) -> Outcome:
        born = self.clock.seconds
        return RecordSync(
            self.ledger,
            self.words,
            self.system,
            PACE,
            now=self.clock.now,
            remaining=lambda: born + 60.0 - self.clock.seconds,
            need=5.0,
        ).run(self.ledger.meta or CASE, SYSTEM)

    def finish(self, most: int = 300) -> None:
        for _ in range(most):
            if all(line.state.final for line in self.ledger.effects.values()):
                return
            self.clock.advance(60)
            with suppress(Died):
                self.run()
        raise AssertionError([line for line in self.ledger.effects.values() if not line.state.final])

    def close(self) -> str:
        """As Zendesk does some weeks after a ticket was solved."""
        number = self.record.reference or ""
        fields = {"status": "closed", "assignee_id": 900002}
        self.agent._call("PUT", f"/api/v2/tickets/{number}", body=payloads.packed({"ticket": fields}))
        self.clock.advance(5)
        return number

    @property
    def record(self) -> Effect:
        return self.ledger.effects[record_id(SYSTEM)]

    def told(self, number: str | int) -> list[int]:
        words = "\n".join(comment["body"] for comment in self.desk.comments(str(number)))
        return [int(post) for post in re.findall(r"^Post: post:(\d+)$", words, re.MULTILINE)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    clock = Clock()
    monkeypatch.setattr(time, "time", lambda: clock.seconds)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return World(clock)


def test_a_new_post_on_a_closed_ticket_opens_one_follow_up_that_is_the_live_record(world: World) -> None:
    world.say(1, 2)
    world.run()
    tags = payloads.packed({"ticket": {"tags": ["hailback", "vip"]}})
    world.agent._call("PUT", f"/api/v2/tickets/{world.record.reference}", body=tags)
    old = world.close()
    world.say(3, 4)
    world.move("open")
    assert world.run().to_mend == ()
    world.finish()
    first, second = world.desk.tickets()
    assert (str(first["id"]), first["status"]) == (old, "closed")
    assert second["via"]["source"]["from"] == {"ticket_id": first["id"]}
    assert (second["status"], second["tags"]) == ("new", ["hailback", "vip"]), "what agents sorted it by stays"
    assert (world.told(old), world.told(second["id"])) == ([1, 2], [3, 4])
    assert first["external_id"] != second["external_id"]
    assert world.ledger.record is not None
    assert world.ledger.record.id == str(second["id"]), "the live record"
    assert world.ledger.led_back == {(SYSTEM, old): CASE.id, (SYSTEM, str(second["id"])): CASE.id}
    assert world.record.follows == old
    assert f"ticket {old}" in world.desk.comments(str(second["id"]))[0]["body"]
    assert [event.kind for event in world.ledger.events].count(Happening.FOLLOWED_UP) == 1


def test_a_follow_up_that_was_closed_too_is_followed_in_turn(world: World) -> None:
    world.run()
    for number in (1, 2, 3):
        world.close()
        world.say(number)
        world.finish()
    tickets = world.desk.tickets()
    assert [world.told(ticket["id"]) for ticket in tickets] == [[], [1], [2], [3]]
    assert len({ticket["external_id"] for ticket in tickets}) == 4
    assert [ticket["via"]["source"]["from"]["ticket_id"] for ticket in tickets[1:]] == [
        ticket["id"] for ticket in tickets[:-1]
    ]


def test_a_case_that_is_open_again_is_followed_up_without_a_post(world: World) -> None:
    world.run()
    world.close()
    world.move("open")
    world.finish()
    assert [ticket["status"] for ticket in world.desk.tickets()] == ["closed", "new"]


def test_what_asks_for_nobody_opens_no_ticket(world: World) -> None:
    """A clean-up of old topics must not become a thousand tickets."""
    world.say(1)
    world.run()
    world.close()
    world.words.posts["post:2"] = None  # removed before it came here
    world.say(1, happening=Happening.DELETED)
    world.say(2)
    world.move("solved")
    outcome = world.run()
    world.finish()
    assert len(world.desk.tickets()) == 1
    assert outcome.to_mend == ()
    ends = {line.state for line in world.ledger.effects.values() if line.kind is EffectKind.NOTE}
    assert ends == {EffectState.DONE, EffectState.SUPERSEDED}
    assert any(event.kind is Happening.REFUSED for event in world.ledger.events), "the case's history says so"


def test_a_follow_up_that_is_refused_leaves_nothing_waiting_in_silence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Reference:
        raise RejectedError("422: a field is missing")

    world.say(1)
    world.run()
    world.close()
    world.say(2, 3)
    world.move("open")
    monkeypatch.setattr(world.system, "upsert", refuse)
    world.run()
    assert world.run().to_mend == ("Rejected: 422: a field is missing",)
    assert all(line.state.final for line in world.ledger.effects.values())
    monkeypatch.undo()
    lines = list(world.ledger.effects.values())
    (only,) = compare(SYSTEM, world.ledger.meta or CASE, lines, [], (), world.clock.now())
    change = mending(only, lines, world.clock.now())
    assert change is not None
    world.ledger.settle(change.changes)
    world.finish()
    assert world.told(world.record.reference or "") == [2, 3]
    assert len(world.desk.tickets()) == 2


@pytest.mark.parametrize("seed", range(30))
def test_one_follow_up_and_each_post_once_whatever_fails(world: World, seed: int) -> None:
    """Requests fail, answers get lost, workers die between writes of the ledger."""
    world.say(1, 2)
    world.run()
    old = world.close()
    world.say(3, 4, 5)
    world.move("open")
    world.desk.faults = Faults(rates=dict.fromkeys(KINDS, 0.35 / len(KINDS)), seed=seed)
    writes = iter(range(1, 10_000))

    def perhaps_die() -> None:
        if next(writes) in {seed % 11 + 1, seed % 7 + 9}:
            raise Died

    world.ledger.after_write = perhaps_die
    world.finish()
    assert [ticket["status"] for ticket in world.desk.tickets()] == ["closed", "new"]
    assert world.told(old) == [1, 2]
    assert world.told(world.record.reference or "") == [3, 4, 5]


def test_a_deleted_ticket_is_no_closed_one(world: World) -> None:
    """That is for `reconcile`, which an administrator is told to run."""
    world.say(1)
    world.run()
    world.system._call("DELETE", f"/api/v2/tickets/{world.record.reference}")
    world.say(2, 3)
    (why,) = world.run().to_mend
    assert why.startswith("RecordGone:")
    assert world.desk.tickets()[0]["status"] == "deleted"
    assert len(world.desk.tickets()) == 1


@pytest.fixture
def ticket(world: World) -> Reference:
    world.run()
    return Reference(world.record.reference or "", "")


def test_closed_and_gone_are_told_apart_also_where_it_happens_in_between(world: World, ticket: Reference) -> None:
    closing = [True]

    def close_first(method: str, *_: object) -> None:
        if method == "PUT" and closing.pop() if closing else False:
            world.desk._state["ticket"][ticket.id]["status"] = "closed"

    inside = Inside(world.desk)
    inside.watch = close_first
    late = connect(inside)
    with pytest.raises(RecordClosedError):
        late.add_note(ticket, NoteDraft("Hello"), "hailback-" + "b" * 24, None)
    with pytest.raises(RecordGoneError):
        world.system.set_status(Reference("999999", ""), "open")


def test_an_archived_ticket_stands_though_no_list_shows_it(world: World, ticket: Reference) -> None:
    system: Zendesk = world.system
    assert system.stands(ticket)
    world.desk.setting("archived", [ticket.id])
    assert system.find(world.record.key) is None
    assert system.stands(ticket)
    system._call("DELETE", f"/api/v2/tickets/{ticket.id}")
    assert not system.stands(ticket)


def test_a_new_note_on_a_long_ticket_costs_three_requests_and_a_look_up_ends_in_time(
    world: World, ticket: Reference
) -> None:
    body = payloads.packed({"ticket": {"comment": {"body": "me too", "public": False}}})
    for _ in range(1_200):
        world.agent._call("PUT", f"/api/v2/tickets/{ticket.id}", body=body)
    world.clock.advance(3_600)
    planned = world.clock.now()
    for _ in range(120):
        world.agent._call("PUT", f"/api/v2/tickets/{ticket.id}", body=body)
    world.desk.requests.clear()
    key = "hailback-" + "c" * 24
    assert world.system.find_note_since(ticket, key, planned) is None
    assert len(world.desk.requests) == 2, "pages, of fourteen"
    world.desk.requests.clear()
    written = world.system.add_note(ticket, NoteDraft("Hello"), key, None)
    assert [method for method, _ in world.desk.requests] == ["GET", "GET", "PUT"]
    assert world.system.find_note_since(ticket, key, planned) == written
    world.desk.requests.clear()
    assert world.system.noted(ticket, [key, world.record.key]) == {key, world.record.key}
    assert len(world.desk.requests) == 14, "one reading for all keys"
