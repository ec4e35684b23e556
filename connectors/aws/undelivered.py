"""The dead-letter queue of notifications that no topic took.

A letter is a wake-up for the Notify queue: moved there, it makes `notify_people` begin anew. It names no customer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from connectors.core.errors import UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class UndeliveredQueue:
    """See `connectors.core.notify.Undelivered`."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        self._sqs, self._url = sqs, url

    def keep(self, case: str, effect: str, why: str) -> None:
        """Keep a notification for a redrive. Raises UnavailableError where the queue does not take it."""
        letter = {"case": case, "effect": effect, "again": True, "why": why}
        try:
            self._sqs.send_message(QueueUrl=self._url, MessageBody=json.dumps(letter))
        except (BotoCoreError, ClientError) as error:
            raise UnavailableError(f"the queue of undelivered notifications: {type(error).__name__}") from error
