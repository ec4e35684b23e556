"""A topic is told once, and rather twice than not at all."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.core.case import Effect, EffectKind, EffectState, Happening, notify_id
from connectors.core.errors import RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.ledger import Pace
from connectors.core.notify import Notifier
from tests.core.sync_bench import CASE
from tests.doubles import Clock, MemoryLedger, Words

TOPIC = "arn:aws:sns:eu-central-1:000000000000:hailback-care"
ID = notify_id(TOPIC, Happening.OPENED)


class Audience:
    """SNS that fails as told, then takes everything."""

    def __init__(self, *faults: Exception) -> None:
        self.faults, self.told = list(faults), []

    def publish(self, topic: str, subject: str, message: Any, attributes: Any) -> str:
        if self.faults and (fault := self.faults.pop(0)):
            raise fault
        self.told.append(attributes["notification_id"])
        return f"id-{len(self.told)}"


class Bench:
    def __init__(self, *faults: Exception) -> None:
        self.clock, self.ledger, self.audience = Clock(), MemoryLedger(), Audience(*faults)
        self.ledger.plan(Effect(case=CASE.id, id=ID, kind=EffectKind.NOTIFY, target=TOPIC, planned_at=self.clock.now()))

    def run(self) -> Effect | None:
        return Notifier(self.ledger, Words(), self.audience, Pace(), self.clock.now).run(CASE, ID)


def test_a_topic_is_told_once() -> None:
    bench = Bench()
    after = bench.run()
    assert after is not None
    assert (after.state, after.reference) == (EffectState.DONE, "id-1")
    assert bench.run() is None
    assert [event.kind for event in bench.ledger.events] == [Happening.NOTIFIED]


@pytest.mark.parametrize("error", [UnavailableError("throttled"), UnknownOutcomeError("no answer")])
def test_what_failed_or_is_unknown_is_told_again_under_the_same_id(error: Exception) -> None:
    bench = Bench(error)
    bench.run()
    assert bench.run() is None, "not before its time"
    bench.clock.advance(20)
    after = bench.run()
    assert after is not None
    assert after.state is EffectState.DONE
    assert bench.audience.told == [after.key]


def test_a_message_that_is_refused_is_written_on_the_case_and_not_repeated() -> None:
    bench = Bench(RejectedError("InvalidParameter"))
    bench.run()
    bench.clock.advance(10_000)
    assert bench.run() is None
    assert [event.kind for event in bench.ledger.events] == [Happening.REFUSED]


def test_a_worker_that_died_is_followed_by_another_when_its_lease_is_over() -> None:
    bench = Bench(KeyboardInterrupt())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert bench.run() is None
    bench.clock.advance(66)
    assert bench.run() is not None
    assert len(bench.audience.told) == 1


def test_of_two_workers_one_tells() -> None:
    bench = Bench()

    def other() -> None:
        bench.ledger.before_write = lambda: None
        bench.run()

    bench.ledger.before_write = other
    assert bench.run() is None
    assert len(bench.audience.told) == 1
