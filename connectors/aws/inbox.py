"""The inbox: deliveries in SQS, and in S3 those that are larger than a message. Imports no pydantic."""

from __future__ import annotations

import base64
import gzip
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

import connectors
from connectors.core.delivery import Delivery
from connectors.core.reception import BusyError
from connectors.core.reception import message as packed_message

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

LARGEST_MESSAGE = 240_000
"""Bytes of a message that are sent whole; SQS takes 256 KiB with its attributes, more only where it was raised."""
CHUNK = 50
"""Events of one delivery that one invocation takes in; a delivery of more is put back in pieces."""


class SqsInbox:
    """See `connectors.core.reception.Inbox`. The S3 client is made when it is first needed."""

    def __init__(self, sqs: SQSClient, queue_url: str, s3: Callable[[], S3Client], bucket: str) -> None:
        self._sqs, self._queue_url, self._s3, self._bucket = sqs, queue_url, s3, bucket

    def put(self, message: dict[str, Any], delay: int = 0) -> None:
        """Queue a delivery, to be taken in after `delay` seconds. Raises BusyError; then nothing was taken."""
        try:
            text = json.dumps(message)
            if len(text) > LARGEST_MESSAGE:
                text = json.dumps(self._parked(message))
            later: Any = {"DelaySeconds": delay} if delay else {}
            self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=text, **later)
        except (BotoCoreError, ClientError) as error:
            raise BusyError("the inbox does not answer") from error

    def _parked(self, message: dict[str, Any]) -> dict[str, Any]:
        key = f"inbox/{uuid.uuid4().hex}"
        body = base64.b64decode(message["body"])
        self._s3().put_object(Bucket=self._bucket, Key=key, Body=body)
        return {**{name: value for name, value in message.items() if name != "body"}, "blob": key}


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message of the inbox, opened. `piece` says which of its events this message is for; None for all."""

    source: str
    connector: str
    delivery: Delivery
    piece: tuple[int, int] | None
    message: dict[str, Any]
    parsed: bool = False
    """Whether the body is a list of our own events, as a poll brings them, and no vendor's."""
    tries: int = 0
    """How often its events came too early, before the record that they are about was known."""
    fetched: bool = False
    """Whether somebody asked for just these events, such as those that a hint led to: no poll brought them."""

    def told_to(self, source: str) -> Parcel:
        """What came by an event bus, which names no source, as a delivery to one of the administrators'."""
        delivery = self.delivery
        message = packed_message(source, self.connector, delivery.headers, delivery.body, delivery.received_at)
        return replace(self, source=source, message=message)

    def in_pieces(self, count: int) -> list[dict[str, Any]]:
        """The same delivery as messages of `CHUNK` events each."""
        return [{**self.message, "piece": [start, start + CHUNK]} for start in range(0, count, CHUNK)]


def opened(text: str, fetch: Callable[[str], bytes], sent_at: int = 0) -> Parcel:
    """Read a message. `fetch` gets the body of one that was parked; `sent_at`: when it was queued (milliseconds).

    An event of EventBridge is its own message. It has no `source` of the administrators' yet: that is empty."""
    message = json.loads(text)
    if message.keys() >= _BUS_EVENT:
        return _from_bus(text, message, sent_at)
    packed = base64.b64decode(message["body"]) if "body" in message else fetch(message["blob"])
    delivery = Delivery(
        headers=message["headers"],
        body=gzip.decompress(packed),
        received_at=int(message["received_at"]),
    )
    piece = message.get("piece")
    return Parcel(
        message["source"],
        message["connector"],
        delivery,
        (piece[0], piece[1]) if piece else None,
        message,
        parsed=bool(message.get("parsed")),
        tries=int(message.get("tries", 0)),
        fetched=bool(message.get("fetched")),
    )


_BUS_EVENT = frozenset({"source", "detail-type", "detail"})
"""Fields of every event of EventBridge (EventBridge User Guide, "AWS service event metadata"); none of our own
messages has the last two."""


def _from_bus(text: str, message: dict[str, Any], sent_at: int) -> Parcel:
    connector = connectors.of_bus(str(message["source"]))
    if connector is None:
        # Not lost: after its last delivery it waits in the dead-letter queue.
        raise LookupError(f"no connector reads events of {message['source']}")
    return Parcel("", connector, Delivery(headers={}, body=text.encode(), received_at=sent_at), None, {})


def of_events(
    source: str, connector: str, events: str, now: int, tries: int = 0, *, fetched: bool = False
) -> dict[str, Any]:
    """Events that were read already, as a message. `events` is a JSON list of them; `fetched`: see `Parcel`."""
    marks = {"parsed": True, "tries": tries, **({"fetched": True} if fetched else {})}
    return {**packed_message(source, connector, {}, events.encode(), now), **marks}
