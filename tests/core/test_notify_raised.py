"""Whoever is told that a case was raised, or instead of topics that are gone: other topics than those of the case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectors.core.case import Effect, EffectKind, EffectState, Happening, notify_id
from connectors.core.errors import MisconfiguredError, UnavailableError
from connectors.core.notify import Notifier
from connectors.core.plan import Plan, Route
from connectors.core.routing import topics_in_force
from tests.core.notify_bench import CARE, CASE, DESK, FAR, PACE, Audience, Bench, Letters
from tests.doubles import Clock, MemoryLedger, Words

LEADS = "arn:aws:sns:eu-central-1:000000000000:hailback-leads"
RAISED = CASE.model_copy(
    update={"topics": (CARE, LEADS, DESK, FAR), "route": "churn", "priority": "urgent", "labels": ("vip", "care")}
)
LINE = Effect(
    case=CASE.id,
    id=notify_id(LEADS, Happening.RAISED, "churn"),
    kind=EffectKind.NOTIFY,
    target=LEADS,
    planned_at=1,
    due_at=1,
    audience=(LEADS, FAR),
)


class Heard(Audience):
    """Remembers what was said."""

    def publish(self, topic: str, subject: str, message: Mapping[str, str], attributes: Any) -> str:
        name = super().publish(topic, subject, message, attributes)
        self.last = (subject, json.loads(message["default"]), dict(attributes))
        return name


def told(audience: Audience) -> list[Effect]:
    clock, ledger = Clock(), MemoryLedger()
    ledger.plan(LINE)
    notifier = Notifier(ledger, Words(), audience, Letters(), PACE, now=clock.now)
    return notifier.run(RAISED, LINE.id)


def test_it_says_that_the_case_was_raised_how_urgent_it_is_and_its_labels() -> None:
    audience = Heard()
    (line,) = told(audience)
    assert line.state is EffectState.DONE
    subject, facts, attributes = audience.last
    assert subject.startswith("Raised case case-1: ")
    assert (facts["kind"], facts["route"], facts["priority"], facts["labels"]) == (
        "case_raised",
        "churn",
        "urgent",
        ["vip", "care"],
    )
    assert (attributes["kind"], attributes["priority"]) == ("case_raised", "urgent")


def test_its_stand_by_is_that_of_its_route() -> None:
    audience = Audience()
    audience.fault = lambda topic: UnavailableError("no answer") if topic == LEADS else None
    told(audience)
    assert [topic for topic, _ in audience.sent] == [FAR], "not the next topic of the case, which has heard of it"


def gone(topic: str) -> Exception | None:
    return None if topic == LEADS else MisconfiguredError("NotFound: the topic does not exist")


def test_where_all_topics_are_gone_the_plan_in_force_says_who_is_told() -> None:
    bench = Bench()
    bench.audience.fault = gone
    notifier = Notifier(
        bench.ledger, Words(), bench.audience, bench.letters, PACE, bench.clock.now, elsewhere=lambda case: (FAR, LEADS)
    )
    notifier.run(bench.case, bench.first)
    assert bench.told() == [LEADS]
    assert bench.turns() == []
    assert [event.detail.get("plan") for event in bench.ledger.events] == [None, None, "in force", None]
    assert all(line.state.final for line in bench.ledger.effects.values())
    notifier.run(bench.case, bench.first)
    assert bench.told() == [LEADS], "once"


def test_a_topic_that_is_only_out_of_reach_keeps_its_turn() -> None:
    bench = Bench()
    bench.audience.fault = lambda topic: UnavailableError("no answer") if topic == FAR else gone(topic)
    Notifier(
        bench.ledger, Words(), bench.audience, bench.letters, PACE, bench.clock.now, elsewhere=lambda case: (LEADS,)
    ).run(bench.case, bench.first)
    assert bench.told() == []
    assert [line.target for line in bench.turns()] == [CARE], "the first has the next round"


def test_who_is_told_by_the_plan_in_force() -> None:
    churn = Route(name="churn", when={"intent": ["churn_risk"]}, systems=(), topics=(LEADS,))
    rest = Route(name="rest", topics=(CARE,))
    assert topics_in_force(RAISED, Plan.of((churn, rest), {})) == (LEADS,)
    assert topics_in_force(RAISED, Plan.of((rest,), {})) == (CARE,)
    assert topics_in_force(RAISED, None) == ()
