"""Asks a place that does not tell: one wake-up, one poll, its events into the inbox. So with what a delivery only hints
at: one hint, one look.

Interprets nothing and decides nothing about cases. A vendor's failure never leaves this function: it becomes the time
of the next poll. Each place has its own messages and its own lease, so that a slow one keeps nobody waiting. A source
whose budget is used up is not asked until the month ends or a deployment gives it more; a place that is held
(`Hold: true`) is not asked until it is deployed without that, and then from where it was read to.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import BotoCoreError, ClientError

import connectors
from connectors.aws import clients
from connectors.aws.config import ConfigStore
from connectors.aws.cursors import TableCursors
from connectors.aws.hold import hold
from connectors.aws.inbox import SqsInbox, of_events
from connectors.aws.pollers import Pollers, resolves
from connectors.aws.secrets import Credentials
from connectors.aws.settings import Settings
from connectors.aws.spending import TableSpending, WatchedSpending
from connectors.aws.systems import Systems
from connectors.aws.table import Table
from connectors.aws.tokens import Care
from connectors.core.budget import Prices, Spending, Standing, budget_of, month_of, next_month, prices, standing
from connectors.core.hints import Errand, Followed, follow, given_up, held
from connectors.core.models import EVENTS, AnyEvent
from connectors.core.plan import SourceConfig, SystemConfig
from connectors.core.polling import Cursor, Purse, poll

logger = Logger()
LONGEST_DELAY = 900
"""Seconds for which a message may be delayed; longer waits are left to `wake_due`."""
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False, logger=logger)  # type: ignore[arg-type]


class _Outbox:
    """What a poll brings goes the way of every delivery."""

    def __init__(self, inbox: SqsInbox, connector: str) -> None:
        self._inbox, self._connector = inbox, connector

    def put(self, name: str, events: Sequence[AnyEvent], now: int) -> None:
        self._inbox.put(of_events(name, self._connector, EVENTS.dump_json(list(events)).decode(), now))


class _Purse:
    """What one source may still spend: its `Budget` as deployed at this moment, and what this month has cost."""

    def __init__(self, source: SourceConfig, priced: Prices, config: ConfigStore, spending: TableSpending) -> None:
        self._source, self._prices, self._config, self._spending = source, priced, config, spending

    def closed(self, now: int) -> tuple[int, str] | None:
        """See `connectors.core.polling.Purse`."""
        found = self._standing(now)
        return (next_month(now), f"Budget: {found.sentence()}") if found.over else None

    def spend(self, units: Mapping[str, int], now: int) -> None:
        """Count, and say so when the money runs low."""
        self._spending.add(self._source.id, month_of(now), units)
        if unknown := self._prices.unpriced(units):
            logger.error("units without a price", extra={"source": self._source.id, "units": unknown})
        found = self._standing(now)
        if found.low:
            logger.warning("a budget runs low", extra={"source": self._source.id, "spent": found.sentence()})

    def _standing(self, now: int) -> Standing:
        month = month_of(now)
        source = self._config.source(self._source.id) or self._source
        return standing(self._prices, budget_of(source.settings), self._spending.spent(source.id, month), month)


class _Held:
    """In the place of a purse: a place that is held is not asked, and says so."""

    def __init__(self, name: str, config: ConfigStore) -> None:
        self._name, self._config = name, config

    def closed(self, now: int) -> tuple[int, str] | None:
        """See `connectors.core.polling.Purse`. Read again: a deployment that ends the hold takes the claim away."""
        place = self._config.system(self._name) or self._config.source(self._name)
        if place is None or not place.hold:
            return now + 1_000, "Held: the hold has just ended"
        return now + LONGEST_DELAY * 1000, "Held: administrators hold it (Hold: true)"

    def spend(self, units: Mapping[str, int], now: int) -> None:
        """Nothing is asked, so nothing is spent."""


@dataclass(frozen=True)
class _Adapters:
    settings: Settings
    config: ConfigStore
    systems: Systems
    pollers: Pollers
    cursors: TableCursors
    spending: TableSpending
    inbox: SqsInbox
    sqs: Any


@cache
def _adapters() -> _Adapters:
    settings = Settings.read()
    client, sqs = clients.make("dynamodb"), clients.make("sqs")
    # Nothing is kept: a budget that was raised a second ago must not be taken for used up until the month ends.
    config = ConfigStore(client, settings.table, ttl=0)
    credentials = Credentials(clients.make("secretsmanager"))
    bounds: Any = {"allow_private": settings.allow_private, "call_seconds": settings.call_seconds}
    table = Table(client, settings.table)
    return _Adapters(
        settings,
        config,
        Systems(config, credentials, **bounds),
        Pollers(config, credentials, **bounds, care=Care(table, credentials, _now)),
        TableCursors(table, settings.pace.doorbell),
        TableSpending(table),
        SqsInbox(sqs, settings.inbox_url, lambda: clients.make("s3"), settings.bucket),
        sqs,
    )


def handler(event: dict[str, Any], context: Any) -> Any:
    """A batch of wake-ups, `{"poll": id}`, and hints, `{"resolve": id, …}`, to the ids of those that failed."""
    left = context.get_remaining_time_in_millis() / 1000
    ends = time.monotonic() + left
    adapters = _adapters()
    hold(adapters.sqs, adapters.settings.poll_url, event["Records"], left)

    def ask(record: SQSRecord) -> None:
        message = json.loads(record.body)
        if "resolve" in message:
            _follow(Errand.of(message), ends)
        else:
            _ask(str(message["poll"]), ends)

    return process_partial_response(event=event, record_handler=ask, processor=processor, context=context)


def _follow(errand: Errand, ends: float) -> None:
    """Fetch what a hint is about, or have it fetched later."""
    on, now = _adapters(), _now()
    place: SourceConfig | SystemConfig | None = on.config.system(errand.source) or on.config.source(errand.source)
    about: dict[str, Any] = {"source": errand.source, "hint": errand.hint.id, "tries": errand.tries}
    if place is None:
        logger.info("a hint is dropped: its source was deleted", extra=about)
        return
    if place.hold or errand.not_before > now:
        _follow_later(held(errand, now, LONGEST_DELAY) if place.hold else errand)
        logger.info("a hint waits", extra=about)
        return
    done = _fetch(errand, place, ends)
    if done.spent:
        _spending(place).add(place.id, month_of(now), done.spent)
    if done.events:
        body = EVENTS.dump_json(list(done.events)).decode()
        on.inbox.put(of_events(place.id, place.connector, body, now, fetched=True))
    if done.again is not None:
        _follow_later(done.again)
    about["error"] = done.error
    if done.again is not None:
        (logger.info if errand.tries or done.error is None else logger.warning)("a hint is followed later", extra=about)
    elif done.error is None:
        logger.info("a hint was followed", extra={**about, "events": len(done.events)})
    else:  # the template has an alarm on this line
        logger.warning("a hint could not be followed", extra=about)


def _fetch(errand: Errand, place: SourceConfig | SystemConfig, ends: float) -> Followed:
    on = _adapters()
    is_source = isinstance(place, SourceConfig)
    if not (resolves(place.connector) if is_source else hasattr(connectors.system(place.connector), "resolve")):
        return given_up(errand, f"the connector {place.connector} has nothing that fetches it")
    resolver: Any = on.pollers.poller(place.id, ends) if is_source else on.systems.system(place.id, ends)
    return follow(errand, resolver, on.settings.pace, _now())


def _follow_later(errand: Errand) -> None:
    """What cannot be queued is not deleted from the queue either: it comes again."""
    on = _adapters()
    delay = min(LONGEST_DELAY, max(0, -(-(errand.not_before - _now()) // 1000)))
    on.sqs.send_message(QueueUrl=on.settings.poll_url, MessageBody=json.dumps(errand.message()), DelaySeconds=delay)


def _spending(place: SourceConfig | SystemConfig) -> Spending:
    """Where it is counted what hints cost. No budget stops that, docs/adr/0080."""
    on, priced = _adapters(), prices(place.connector)

    def low(found: Standing) -> None:
        logger.warning("a budget runs low", extra={"source": place.id, "spent": found.sentence()})

    return WatchedSpending(on.spending, on.config, priced, low) if priced else on.spending


def _ask(name: str, ends: float) -> None:
    on = _adapters()
    place: SourceConfig | SystemConfig | None = on.config.system(name) or on.config.source(name)
    if place is None or place.poll is None:
        on.cursors.end(name)
        logger.info("no longer polled", extra={"place": name})
        return
    poller: Any
    purse: Purse | None = None
    if isinstance(place, SourceConfig):
        poller, priced = on.pollers.poller(name, ends), prices(place.connector)
        purse = _Purse(place, priced, on.config, on.spending) if priced else None
    else:
        poller = on.systems.system(name, ends)
    if place.hold:
        purse = _Held(name, on.config)
    outbox = _Outbox(on.inbox, place.connector)
    polled = poll(name, poller, on.cursors, outbox, on.settings.pace, _now, purse)
    if polled is None:
        return
    _wake_again(on.sqs, on.settings.poll_url, polled.cursor)
    if polled.begun:
        logger.info("polling begins here; what happened before is not fetched", extra={"place": name})
    if polled.stopped:
        about = {"place": name, "error": polled.cursor.error}
        if place.hold:
            logger.info("held", extra=about)
        else:
            logger.warning("a budget is used up", extra=about)
        return
    log = logger.warning if polled.cursor.error else logger.info
    log("polled", extra={"place": name, "events": polled.events, "error": polled.cursor.error})


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
        logger.warning("a wake-up was lost; the place stays due", extra={"place": cursor.id})
