"""A letter in the dead-letter queue is a wake-up that begins anew, wherever it is moved from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from connectors.aws.undelivered import UndeliveredQueue
from connectors.core.errors import UnavailableError
from tests.faults import failure


class Sqs:
    def __init__(self, fault: Exception | None = None) -> None:
        self.fault, self.sent = fault, list[dict[str, Any]]()

    def send_message(self, **given: Any) -> None:
        if self.fault:
            raise self.fault
        self.sent.append(given)


def test_a_letter_is_a_wake_up_that_begins_anew() -> None:
    sqs = Sqs()
    UndeliveredQueue(sqs, "https://queue").keep("case-1", "notify#opened#x", "nobody hears it")  # type: ignore[arg-type]
    (sent,) = sqs.sent
    assert sent["QueueUrl"] == "https://queue"
    letter = json.loads(sent["MessageBody"])
    assert letter == {"case": "case-1", "effect": "notify#opened#x", "again": True, "why": "nobody hears it"}


@pytest.mark.parametrize("fault", [failure("send", "AccessDenied"), EndpointConnectionError(endpoint_url="https://q")])
def test_a_queue_that_does_not_take_it_says_so(fault: Exception) -> None:
    with pytest.raises(UnavailableError, match="undelivered"):
        UndeliveredQueue(Sqs(fault), "https://queue").keep("case-1", "e", "w")  # type: ignore[arg-type]
