"""More pollers of the Sync queue, as AWS has them: the local one serves a FIFO queue with one worker at a time.

Each takes a message, calls the function as an event source mapping does, and deletes the message if it was done. The
queue itself sees to it that of one group no two are out at once.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from connectors.tool.local import RunningStack


@contextmanager
def more_pollers(machine: RunningStack, count: int) -> Iterator[None]:
    """`count` workers more, until the end of the block."""
    ended = threading.Event()
    threads = [threading.Thread(target=_poll, args=(machine, ended), daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _poll(machine: RunningStack, ended: threading.Event) -> None:
    sqs, caller = machine.client("sqs"), machine.client("lambda")
    queue, function = machine.outputs["SyncQueueUrl"], machine.functions["SyncRecord"]
    while not ended.is_set():
        with suppress(ClientError, BotoCoreError):  # the message is then seen again
            answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, AttributeNames=["All"])
            for message in answer.get("Messages", []):
                called = caller.invoke(FunctionName=function, Payload=json.dumps({"Records": [_record(message)]}))
                said = json.loads(called["Payload"].read() or b"null")
                if not called.get("FunctionError") and not (said or {}).get("batchItemFailures"):
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def _record(message: dict[str, Any]) -> dict[str, Any]:
    """A message as Lambda hands it over."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {},
        "md5OfBody": message.get("MD5OfBody", ""),
        "eventSource": "aws:sqs",
        "eventSourceARN": "",
        "awsRegion": "",
    }
