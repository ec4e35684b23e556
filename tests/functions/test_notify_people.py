"""What `notify_people` shows of a topic that fails is what the template's alarm looks at."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import notify_people
import pytest

from connectors.core.case import Effect, EffectKind, EffectState
from tests.template import resources

FAILED = Effect(
    case="case-1",
    id="notify#opened#a",
    kind=EffectKind.NOTIFY,
    target="arn:aws:sns:eu-central-1:000000000000:hailback-care",
    planned_at=0,
    state=EffectState.PARKED,
    error="Misconfigured: NotFound",
)


class Notifier:
    """Tells of what was tried; remembers how it was asked."""

    def __init__(self, *tried: Effect) -> None:
        self.tried, self.asked = tried, dict[str, Any]()

    def run(self, case: Any, effect: str, **given: Any) -> list[Effect]:
        self.asked = given
        return list(self.tried)


def handle(notifier: Notifier, monkeypatch: pytest.MonkeyPatch, **wake_up: object) -> Any:
    cases = SimpleNamespace(case=lambda name: SimpleNamespace(id=name))
    monkeypatch.setattr(notify_people, "_adapters", lambda: (cases, notifier, lambda *_: None))
    monkeypatch.setattr(notify_people.metrics.provider, "service", "hailback")
    body = json.dumps({"case": "case-1", "effect": FAILED.id, **wake_up})
    record = {"messageId": "m", "receiptHandle": "r", "body": body, "eventSource": "aws:sqs", "attributes": {}}
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 12_000)
    return notify_people.handler({"Records": [record]}, context)  # type: ignore[arg-type]


def metrics(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines() if '"_aws"' in line]


def test_each_failed_try_counts_towards_the_alarm(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = FAILED.model_copy(update={"state": EffectState.DONE, "error": None})
    assert handle(Notifier(FAILED, FAILED, told), monkeypatch) == {"batchItemFailures": []}
    (shown,) = metrics(capsys.readouterr().out)
    (directive,) = shown["_aws"]["CloudWatchMetrics"]
    alarm = resources()["TopicFailedAlarm"]["Properties"]
    assert directive["Namespace"] == alarm["Namespace"]
    assert [one["Name"] for one in directive["Metrics"]] == [alarm["MetricName"]]
    assert directive["Dimensions"] == [[one["Name"] for one in alarm["Dimensions"]]]
    assert shown["service"] == "hailback", "the stack's name, POWERTOOLS_SERVICE_NAME"
    assert sum(shown[alarm["MetricName"]]) == 2


def test_where_nothing_fails_nothing_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handle(Notifier(FAILED.model_copy(update={"state": EffectState.DONE, "error": None})), monkeypatch)
    assert metrics(capsys.readouterr().out) == []


@pytest.mark.parametrize("again", [True, False])
def test_a_redriven_letter_begins_anew_and_time_is_handed_on(again: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    notifier = Notifier()
    handle(notifier, monkeypatch, **({"again": True, "why": "nobody hears it"} if again else {}))
    assert notifier.asked["again"] is again
    assert notifier.asked["remaining"]() == 12.0
