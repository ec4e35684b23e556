"""Asks a place that does not tell: one wake-up, one poll, its events into the inbox.

Interprets nothing and decides nothing about cases. A vendor's failure never leaves this function: it becomes the time
of the next poll. Each place has its own messages and its own lease, so that a slow one keeps nobody waiting.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter

from connectors.aws import clients
from connectors.aws.config import ConfigStore
from connectors.aws.cursors import TableCursors
from connectors.aws.hold import hold
from connectors.aws.inbox import SqsInbox, of_events
from connectors.aws.secrets import Credentials
from connectors.aws.settings import Settings
from connectors.aws.systems import Systems
from connectors.aws.table import Table
from connectors.core.models import AnyEvent, Event
from connectors.core.polling import Cursor, poll

logger = Logger()
LONGEST_DELAY = 900
"""Seconds for which a message may be delayed; longer waits are left to `wake_due`."""
_EVENTS: TypeAdapter[list[AnyEvent]] = TypeAdapter(list[Event])
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False, logger=logger)  # type: ignore[arg-type]


class _Outbox:
    """What a poll brings goes the way of every delivery."""

    def __init__(self, inbox: SqsInbox, connector: str) -> None:
        self._inbox, self._connector = inbox, connector

    def put(self, name: str, events: Sequence[AnyEvent], now: int) -> None:
        self._inbox.put(of_events(name, self._connector, _EVENTS.dump_json(list(events)).decode(), now))


@cache
def _adapters() -> tuple[Settings, ConfigStore, Systems, TableCursors, SqsInbox, Any]:
    settings = Settings.read()
    client, sqs = clients.make("dynamodb"), clients.make("sqs")
    config = ConfigStore(client, settings.table)
    systems = Systems(
        config,
        Credentials(clients.make("secretsmanager")),
        allow_private=settings.allow_private,
        call_seconds=settings.call_seconds,
    )
    cursors = TableCursors(Table(client, settings.table), settings.pace.doorbell)
    inbox = SqsInbox(sqs, settings.inbox_url, lambda: clients.make("s3"), settings.bucket)
    return settings, config, systems, cursors, inbox, sqs


def handler(event: dict[str, Any], context: Any) -> Any:
    """A batch of wake-ups, `{"poll": id}`, to the ids of those that failed."""
    left = context.get_remaining_time_in_millis() / 1000
    ends = time.monotonic() + left
    settings, *_, sqs = _adapters()
    hold(sqs, settings.poll_url, event["Records"], left)

    def ask(record: SQSRecord) -> None:
        _ask(str(json.loads(record.body)["poll"]), ends)

    return process_partial_response(event=event, record_handler=ask, processor=processor, context=context)


def _ask(name: str, ends: float) -> None:
    settings, config, systems, cursors, inbox, sqs = _adapters()
    place = config.system(name)
    if place is None or place.poll is None:
        cursors.end(name)
        logger.info("no longer polled", extra={"system": name})
        return
    poller: Any = systems.system(name, ends)
    polled = poll(name, poller, cursors, _Outbox(inbox, place.connector), settings.pace, _now)
    if polled is None:
        return
    _wake_again(sqs, settings.poll_url, polled.cursor)
    if polled.begun:
        logger.info("polling begins here; what happened before is not fetched", extra={"system": name})
    log = logger.warning if polled.cursor.error else logger.info
    log("polled", extra={"system": name, "events": polled.events, "error": polled.cursor.error})


def _now() -> int:
    return int(time.time() * 1000)


def _wake_again(sqs: Any, url: str, cursor: Cursor) -> None:
    """The minute's wake-up is too coarse for short waits. A lost message is made up for by it all the same."""
    delay = max(0, -(-(cursor.next_at - _now()) // 1000))
    if delay > LONGEST_DELAY:
        return
    try:
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"poll": cursor.id}), DelaySeconds=delay)
    except (BotoCoreError, ClientError):
        logger.warning("a wake-up was lost; the place stays due", extra={"system": cursor.id})
