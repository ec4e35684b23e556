"""Wake-ups: one per case and system, in few groups, and never an error."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from connectors.aws.bells import SqsBells
from connectors.core.case import Effect, EffectKind
from tests.faults import failure

MESSAGE = 256 * 1024


class Queue:
    """SQS with its limits: ten entries and 256 KB a batch."""

    def __init__(self, single: Exception | None = None, batch: Exception | None = None) -> None:
        self.single, self.batch = single, batch
        self.sent: list[dict[str, Any]] = []

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        if self.batch:
            raise self.batch
        assert 0 < len(Entries) <= 10
        assert sum(len(entry["MessageBody"]) for entry in Entries) <= MESSAGE
        assert len({entry["Id"] for entry in Entries}) == len(Entries)
        self.sent += [{**entry, "QueueUrl": QueueUrl} for entry in Entries]
        return {}

    def send_message(self, **entry: Any) -> None:
        if self.single:
            raise self.single
        self.sent.append(entry)


def effect(case: int, kind: EffectKind = EffectKind.NOTE, number: int = 0, system: str = "stack/Tracker") -> Effect:
    return Effect(case=f"case-{case}", id=f"{kind}#{number}", kind=kind, target=system, planned_at=0)


def bells(queue: Queue) -> SqsBells:
    sqs: Any = queue
    return SqsBells(sqs, "sync", "notify", concurrency=4)


def test_many_effects_of_one_case_wake_its_worker_once() -> None:
    queue = Queue()
    bells(queue).ring([effect(1, number=number) for number in range(30)] + [effect(1, EffectKind.RECORD)])
    assert len(queue.sent) == 1
    assert queue.sent[0]["QueueUrl"] == "sync"


def test_a_hundred_cases_go_in_batches_and_few_groups_and_a_case_keeps_its_group() -> None:
    queue = Queue()
    for _ in range(2):
        bells(queue).ring([effect(case) for case in range(100)])
    assert len(queue.sent) == 200
    groups: dict[str, set[str]] = {}
    for entry in queue.sent:
        groups.setdefault(entry["MessageBody"], set()).add(entry["MessageGroupId"])
    assert {len(group) for group in groups.values()} == {1}
    assert len(set.union(*groups.values())) == 4, "as many as may be at work on one system"
    assert len({entry["MessageDeduplicationId"] for entry in queue.sent}) == 200, "a repeated wake-up is not swallowed"


def test_notifications_have_their_own_queue() -> None:
    queue = Queue()
    bells(queue).ring([effect(1, EffectKind.NOTIFY), effect(1)])
    assert {entry["QueueUrl"] for entry in queue.sent} == {"sync", "notify"}


@pytest.mark.parametrize(
    "error", [failure("send_message", "QueueDoesNotExist"), EndpointConnectionError(endpoint_url="https://sqs")]
)
def test_a_queue_that_fails_is_counted_and_raises_nothing(error: Exception) -> None:
    ringing = bells(Queue(single=error, batch=error))
    ringing.ring([effect(case) for case in range(12)] + [effect(1, EffectKind.NOTIFY)])
    assert ringing.lost == 13


def test_a_denied_batch_goes_one_by_one() -> None:
    queue = Queue(batch=failure("send_message_batch", "AccessDeniedException"))
    ringing = bells(queue)
    ringing.ring([effect(case) for case in range(12)])
    assert (len(queue.sent), ringing.lost) == (12, 0)
