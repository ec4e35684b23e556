"""Answers at a source that charges and cannot tell what became of one, through the handler over moto."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any, ClassVar

import pytest
import send_reply
import wake_due
from pydantic import BaseModel

from connectors.aws.repliers import Repliers
from connectors.aws.spending import TableSpending
from connectors.core.budget import Prices, month_of
from connectors.core.case import EffectKind, EffectState
from connectors.core.errors import RejectedError, UnknownOutcomeError
from connectors.core.models import Mention
from connectors.core.ports import Reference, Tier
from tests.functions.test_answers import WORDS, answer, parts
from tests.functions.test_workers import Context, Machine, machine, sqs_event
from tests.store.shop import CASE

__all__ = ["machine", "parts"]
SOURCE = "stack/Forum"
PRICES = Prices("2026-10-01", "USD", "https://vendor.example", {"create": Decimal("0.015")})


class Killed(BaseException):
    """The worker's process is gone."""


class Place:
    """Takes answers, and says nothing of them afterwards. `fault` comes before it is kept, `late` after."""

    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = False
    settle: ClassVar[float] = 0.0
    replier_credentials_model: ClassVar[type[BaseModel]] = BaseModel

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.fault: BaseException | None = None
        self.late: BaseException | None = None

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        if self.fault is not None:
            raise self.fault
        self.kept.append(text)
        if self.late is not None:
            raise self.late
        return Reference("p1", "https://x.example/p1")

    def find_reply(self, mention: Mention, key: str) -> Reference | None:
        raise AssertionError("it cannot be looked for")

    def units(self, mention: Mention, text: str) -> dict[str, int]:
        return {"create": 1}


class Desk:
    """One answer, planned."""

    def __init__(self, machine: Machine, place: Place, patch: pytest.MonkeyPatch) -> None:
        self.machine, self.place = machine, place
        self.effect = answer(machine, "https://forum.acme.com", {"api_key": "k", "api_username": "u"}, patch)

    def wake(self) -> None:
        body = json.dumps({"case": CASE, "effect": self.effect.id})
        assert send_reply.handler(sqs_event(body), Context()) == {"batchItemFailures": []}

    def expire(self) -> None:
        """The lease of whoever held it has run out."""
        key = (f"CASE#{CASE}", f"EFFECT#{self.effect.id}")
        self.machine.shop.table.update(*key, "SET lease_until = :then, due_at = :then", {":then": 1_000})

    @property
    def state(self) -> EffectState:
        found = self.machine.shop.ledger.effect(CASE, self.effect.id)
        assert found is not None
        return found.state

    def spent(self) -> dict[str, int]:
        month = month_of(int(time.time() * 1000))
        return {k: v for k, v in TableSpending(self.machine.shop.table).spent(SOURCE, month).items() if v}

    def notes(self) -> list[Any]:
        found = self.machine.shop.ledger.lines(CASE, "note#")
        return [one for one in found if one.kind is EffectKind.NOTE and one.error]


@pytest.fixture
def desk(parts: Machine, monkeypatch: pytest.MonkeyPatch) -> Desk:
    place = Place()
    monkeypatch.setattr(Repliers, "_build", lambda self, config, ends: place)
    monkeypatch.setattr(send_reply, "prices", lambda connector: PRICES)
    return Desk(parts, place, monkeypatch)


def test_an_answer_that_was_kept_and_not_confirmed_is_left_to_a_person(desk: Desk) -> None:
    desk.place.late = UnknownOutcomeError("no answer came")
    for _ in range(3):
        desk.wake()
        wake_due.handler({}, Context())
    assert desk.place.kept == [WORDS]
    assert desk.state is EffectState.REJECTED
    (line,) = [event for event in desk.machine.shop.timeline() if event.kind == "uncertain"]
    assert "it is not known whether your answer went out; look at " in line.detail["error"]
    assert line.detail["cost"] == "0.015 USD"
    (note,) = desk.notes()
    assert note.happening == "uncertain"
    assert "answer there if it did not" in note.error
    assert desk.spent() == {"create": 1}, "it may have been paid for"


@pytest.mark.parametrize("kept", [True, False])
def test_a_worker_that_dies_between_claim_and_receipt_leaves_it_to_a_person(desk: Desk, kept: bool) -> None:
    desk.place.late, desk.place.fault = (Killed(), None) if kept else (None, Killed())
    with pytest.raises(Killed):
        desk.wake()
    assert desk.state is EffectState.CLAIMED
    desk.wake()
    assert desk.state is EffectState.CLAIMED, "somebody may still be at it"
    desk.place.late = desk.place.fault = None
    desk.expire()
    assert wake_due.handler({}, Context())["effects"] >= 1
    desk.wake()
    assert desk.place.kept == ([WORDS] if kept else [])
    assert desk.machine.shop.happened()[-1] == "uncertain"
    assert len(desk.notes()) == 1


def test_what_the_source_does_not_allow_comes_back_as_a_note_and_costs_nothing(desk: Desk) -> None:
    desk.place.fault = RejectedError("X lets an app answer only where the author mentioned or quoted us")
    desk.wake()
    assert desk.machine.shop.happened()[-1] == "refused"
    (note,) = desk.notes()
    assert "only where the author mentioned" in note.error
    assert desk.spent() == {}
    assert "cost" not in desk.machine.shop.timeline()[-1].detail


def test_an_answer_says_what_it_cost(desk: Desk) -> None:
    desk.wake()
    desk.wake()
    line = desk.machine.shop.timeline()[-1]
    assert (line.kind, line.detail["cost"]) == ("replied", "0.015 USD")
    assert desk.spent() == {"create": 1}
