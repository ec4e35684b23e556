"""A message that cannot be read is not lost, and what somebody said in it is in no log."""

from __future__ import annotations

import json
from typing import Any

import ingest_event
import pytest

from connectors.aws.inbox import of_events
from connectors.core.models import Mention
from tests.functions.test_workers import WORDS, Context, Machine, machine, sqs_event

__all__ = ["machine"]
POST = Mention(connector="discourse", native_id="1", conversation_id="1", text=WORDS)


@pytest.mark.parametrize(
    "later",
    [{"type": "novel"}, {"said_by": WORDS}, {"text": [WORDS]}, {"author": WORDS}, {"metrics": {"a": WORDS}}],
)
def test_events_of_another_version_wait_and_their_words_are_in_no_log(machine: Machine, later: dict[str, Any]) -> None:
    """A deployment was rolled back while they were in the queue."""
    said = json.dumps([POST.model_dump(mode="json") | later])
    message = of_events("stack/Forum", "discourse", said, 1_795_000_000_000)
    answer = ingest_event.handler(sqs_event(json.dumps(message)), Context())
    assert len(answer["batchItemFailures"]) == 1
    assert "ValidationError" in machine.lines.getvalue()
    assert WORDS not in machine.lines.getvalue()
