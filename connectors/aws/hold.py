"""How long a message stays with the worker that has it.

A queue hides a message for six times the worker's time limit, because Lambda may try to start the worker several
times. Once the worker runs, that is too long: after a crash, a FIFO group would stand still for all of it. So the
worker shortens it to the time that it has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_MARGIN = 2


def hold(sqs: SQSClient, queue_url: str, records: Iterable[dict[str, Any]], seconds: float) -> None:
    """Hide these records of an SQS event for `seconds` and a little more. Never raises: then they are hidden longer."""
    entries: list[Any] = [
        {"Id": str(number), "ReceiptHandle": record["receiptHandle"], "VisibilityTimeout": int(seconds) + _MARGIN}
        for number, record in enumerate(records)
    ]
    for start in range(0, len(entries), 10):
        try:
            sqs.change_message_visibility_batch(QueueUrl=queue_url, Entries=entries[start : start + 10])
        except (BotoCoreError, ClientError):
            return
