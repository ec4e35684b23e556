"""The inbox: a verified delivery, or what a poll brought, becomes mentions, cases and events in the table.

Plans no effects and calls no vendor: what a delivery only hints at goes on to `poll_source`, which may ask. A message
that fails is delivered again, the others of its batch are not. What came too early comes back a few times: an update of
a record may be faster than whoever writes the record down, and the echo of an answer faster than its receipt.
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

import connectors
from connectors.aws import clients
from connectors.aws.blobs import Blobs
from connectors.aws.config import ConfigStore
from connectors.aws.cursors import TableCursors
from connectors.aws.gaps import COMPARE, Gaps
from connectors.aws.heard import TableHeard, signs_of_life
from connectors.aws.hold import hold
from connectors.aws.inbox import CHUNK, Parcel, SqsInbox, of_events, opened
from connectors.aws.intake import Intake
from connectors.aws.listeners import Listeners, place_of
from connectors.aws.settings import Settings
from connectors.aws.spending import TableSpending, WatchedSpending
from connectors.aws.table import Table
from connectors.core.budget import Standing, month_of, prices
from connectors.core.hints import Errand
from connectors.core.identity import digest
from connectors.core.ingest import UNREAD, Ingested, Origin, ingest, read
from connectors.core.models import EVENTS, AnyEvent, Deletion, Mention, Unsupported
from connectors.core.plan import SourceConfig, SystemConfig
from connectors.core.understanding import Understanding

logger = Logger()
AGAIN = (60, 120, 240, 480, 900)
"""Seconds after which what came too early is looked at again: an update of an unknown record, which is then none of
ours; a post of ours that may be an answer of ours, which is then a person's."""
NOBODY = "nobody/"
"""In the place of a source: what is counted of events that no source listens to."""
_SAID: set[str] = set()
_MOST_SAID = 1000
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False, logger=logger)  # type: ignore[arg-type]


@cache
def _adapters() -> tuple[Settings, ConfigStore, Intake, Blobs, Gaps, Any]:
    settings = Settings.read()
    client, sqs = clients.make("dynamodb"), clients.make("sqs")
    blobs = Blobs(lambda: clients.make("s3"), settings.bucket)
    table = Table(client, settings.table)
    inbox = SqsInbox(sqs, settings.inbox_url, lambda: clients.make("s3"), settings.bucket)
    cursors = TableCursors(table, settings.pace.doorbell)
    gaps = Gaps(table, cursors, inbox.put, chance=settings.gap_seconds, now=_now)
    intake = Intake(
        table,
        blobs,
        now=_now,
        grace=settings.pace.doorbell,
        text_days=settings.text_days,
        understanding=_understanding(),
    )
    return settings, ConfigStore(client, settings.table), intake, blobs, gaps, sqs


def _understanding() -> Understanding | None:
    """What reads the posts. A broken model must not keep a single one of them out."""
    try:
        from connectors.understanding.model import load

        return load()
    except (ImportError, OSError, ValueError):
        logger.exception("posts are not understood; they are taken in all the same")
        return None


@cache
def _counts() -> TableHeard:
    return TableHeard(Table(clients.make("dynamodb"), Settings.read().table))


def _inbox() -> SqsInbox:
    settings, *_, sqs = _adapters()
    return SqsInbox(sqs, settings.inbox_url, lambda: clients.make("s3"), settings.bucket)


def _open(record: SQSRecord) -> None:
    """A message for one source, or an event of a bus for all that it concerns."""
    _, config, _, blobs, _, _ = _adapters()
    sent_at = int(record.raw_event["attributes"].get("SentTimestamp") or _now())
    parcel = opened(record.body, blobs.get, sent_at)
    if parcel.source:
        _take_in(parcel)
        return
    found = Listeners(config).of(parcel)
    for name in found.by:
        _take_in(parcel.told_to(name))
    if found.broken:  # the event comes again, and in the end waits in the dead-letter queue
        raise LookupError(f"the settings of {', '.join(found.broken)} do not fit this version: deploy it anew")
    if not found.by:
        _unheard(parcel)


def _unheard(parcel: Parcel) -> None:
    """Nobody deployed a source for it. Said once for each place and worker, counted each time."""
    place = place_of(parcel)
    if place not in _SAID and len(_SAID) < _MOST_SAID:
        _SAID.add(place)
        logger.info("nobody listens to an event bus", extra={"connector": parcel.connector, "place": place})
    _counted(f"{NOBODY}{parcel.connector}", 1, parcel.delivery.received_at)


def _take_in(parcel: Parcel) -> None:
    settings, config, intake, _, gaps, sqs = _adapters()
    if parcel.parsed and COMPARE in parcel.delivery.headers:
        _report(parcel.source, gaps.due(parcel))
        return
    live = config.source(parcel.source) or config.system(parcel.source)
    place = live or config.source(parcel.source, with_deleted=True)
    if place is None and config.system(parcel.source, with_deleted=True) is not None:
        logger.info("a deleted system says something; nobody listens", extra={"source": parcel.source})
        return
    if place is None:
        # Not lost: after its last delivery the message waits in the dead-letter queue, and can be sent again.
        raise LookupError(f"no source {parcel.source}: it was never deployed, or this deployment is another's")
    events = _events(parcel, place)
    if len(events) > CHUNK and parcel.piece is None:
        for message in parcel.in_pieces(len(events)):
            sqs.send_message(QueueUrl=settings.inbox_url, MessageBody=json.dumps(message))
        logger.info("delivery put back in pieces", extra={"source": parcel.source, "events": len(events)})
        return
    whole = len(events) == 1 and parcel.piece is None
    if parcel.piece is not None:
        events = events[slice(*parcel.piece)]
    _warn(parcel.source, events)
    if live is None:  # a webhook outlives its source: nothing new comes in by it, but what people remove still goes
        logger.info("only removals are obeyed: the source was deleted", extra={"source": parcel.source})
        events = [event for event in events if isinstance(event, Deletion)]
    polled = parcel.parsed and not parcel.fetched and isinstance(live, SourceConfig)
    last = parcel.tries >= len(AGAIN)
    origin = Origin(parcel.source, place.connector, polled, last=last, fetched=parcel.fetched)
    _charge(live, parcel, events)
    done = ingest(events, origin, parcel.delivery, intake, whole=whole)
    logger.info("taken in", extra={"source": parcel.source, "events": dict(done.counts), "tries": parcel.tries})
    _pass_on(parcel, origin, done)
    if isinstance(live, SourceConfig):
        _observe(live, parcel, done)


def _pass_on(parcel: Parcel, origin: Origin, done: Ingested) -> None:
    """What is not done with: hints go to whoever may ask, what came too early comes again."""
    settings, _, _, _, _, sqs = _adapters()
    for hint in done.hints:
        message = Errand(parcel.source, hint, first=_now()).message()
        sqs.send_message(QueueUrl=settings.poll_url, MessageBody=json.dumps(message))
    if done.early and not origin.last:
        body = EVENTS.dump_json(done.early).decode()
        at, tries = parcel.delivery.received_at, parcel.tries + 1
        again = of_events(parcel.source, origin.connector, body, at, tries, fetched=not origin.polled)
        _inbox().put(again, AGAIN[parcel.tries])


def _warn(source: str, events: Sequence[AnyEvent]) -> None:
    """The template has an alarm on this line."""
    for event in events:
        if isinstance(event, Unsupported) and event.event == UNREAD:
            logger.warning("a delivery could not be read", extra={"source": source, "reason": event.reason})


def _observe(source: SourceConfig, parcel: Parcel, done: Ingested) -> None:
    """What a delivery tells of its source, besides what was said. What was fetched, we asked for ourselves."""
    if parcel.fetched:
        return
    _count(parcel, done)
    if source.poll is None:
        return
    _, _, _, _, gaps, _ = _adapters()
    if parcel.parsed:
        _report(source.id, gaps.polled(parcel, done))
    else:
        gaps.pushed(source.id, parcel.delivery.received_at)


def _count(parcel: Parcel, done: Ingested) -> None:
    """Every hour's signs of life are what a source's silence is measured against. Nothing fails because of it."""
    if count := signs_of_life(done.counts):
        _counted(parcel.source, count, parcel.delivery.received_at)


def _counted(source: str, count: int, at: int) -> None:
    try:
        _counts().add(source, count, at)
    except (BotoCoreError, ClientError):
        logger.warning("not counted", extra={"source": source, "count": count})


def _charge(source: SourceConfig | SystemConfig | None, parcel: Parcel, events: Sequence[AnyEvent]) -> None:
    """What a vendor charges for mentions that it pushes, counted before they are taken in, and once for a delivery that
    is worked on again. Posts matter more than sums, so nothing fails because of it."""
    if not isinstance(source, SourceConfig) or parcel.parsed:
        return
    pushed = sum(isinstance(event, Mention) and not event.own for event in events)
    priced = prices(source.connector) if pushed else None
    if priced is None or priced.pushed is None:
        return

    def low(found: Standing) -> None:
        logger.warning("a budget runs low", extra={"source": source.id, "spent": found.sentence()})

    settings, config, *_ = _adapters()
    table = Table(clients.make("dynamodb"), settings.table)
    try:
        till = WatchedSpending(TableSpending(table), config, priced, low)
        till.add_once(source.id, month_of(_now()), {priced.pushed: pushed}, _name_of(parcel), _now())
    except (BotoCoreError, ClientError):
        logger.warning("its cost was not counted", extra={"source": source.id, "count": pushed})


def _name_of(parcel: Parcel) -> str:
    """The same each time that a delivery is brought, by the queue or by its vendor."""
    body = parcel.delivery.body.decode("utf-8", "replace")
    return digest(body, str(parcel.piece), length=32)


def _report(source: str, missed: int) -> None:
    if missed:
        logger.warning("the poll found what the webhook missed", extra={"source": source, "missed": missed})


def _now() -> int:
    return int(time.time() * 1000)


def _events(parcel: Parcel, place: SourceConfig | SystemConfig) -> Sequence[AnyEvent]:
    if parcel.parsed:
        return EVENTS.validate_json(parcel.delivery.body)
    kind: Any = connectors.receiver(place.connector)
    receiver = kind(kind.settings_model.model_validate(place.settings))
    return read(receiver, place.connector, parcel.delivery)


def handler(event: dict[str, Any], context: Any) -> Any:
    """A batch of SQS messages to the ids of those that failed."""
    settings, *_, sqs = _adapters()
    hold(sqs, settings.inbox_url, event["Records"], context.get_remaining_time_in_millis() / 1000)
    return process_partial_response(event=event, record_handler=_open, processor=processor, context=context)
