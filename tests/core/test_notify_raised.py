"""Whoever is told that a case was raised: the topics of the route that raised it, in their own turns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectors.core.case import Effect, EffectKind, EffectState, Happening, notify_id
from connectors.core.errors import UnavailableError
from connectors.core.notify import Notifier
from tests.core.notify_bench import CARE, CASE, DESK, FAR, PACE, Audience, Letters
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
