"""Carries answers back to where customers asked: one wake-up, one case, one answer, once.

A vendor's failure never leaves this function: the effect is parked with the time of the next try, or looked for before
it is sent again.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from connectors.aws import clients
from connectors.aws.blobs import Blobs
from connectors.aws.brakes import Brakes
from connectors.aws.cases import Cases
from connectors.aws.config import ConfigStore
from connectors.aws.hold import hold
from connectors.aws.ledger import TableLedger
from connectors.aws.repliers import Repliers, StoredWords
from connectors.aws.secrets import Credentials
from connectors.aws.settings import Settings
from connectors.aws.spending import TableSpending, WatchedSpending
from connectors.aws.table import Table
from connectors.aws.tokens import Care
from connectors.aws.updates import Updates
from connectors.core.budget import Prices, Standing, Till, prices
from connectors.core.carry import OutOfTimeError
from connectors.core.pause import brake
from connectors.core.reply import Answerer

logger = Logger()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False, logger=logger)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Adapters:
    settings: Settings
    cases: Cases
    ledger: TableLedger
    words: StoredWords
    repliers: Repliers
    brakes: Brakes
    config: ConfigStore
    spending: TableSpending
    sqs: Any


@cache
def _adapters() -> _Adapters:
    settings = Settings.read()
    client = clients.make("dynamodb")
    table, config = Table(client, settings.table), ConfigStore(client, settings.table)
    blobs = Blobs(lambda: clients.make("s3"), settings.bucket)
    cases = Cases(table, blobs)
    credentials = Credentials(clients.make("secretsmanager"))
    repliers = Repliers(
        config,
        credentials,
        allow_private=settings.allow_private,
        call_seconds=settings.call_seconds,
        care=Care(table, credentials, _now),
    )
    return _Adapters(
        settings,
        cases,
        TableLedger(table),
        StoredWords(cases, Updates(table, blobs, now=_now)),
        repliers,
        Brakes(config),
        config,
        TableSpending(table),
        clients.make("sqs"),
    )


def handler(event: dict[str, Any], context: Any) -> Any:
    """A batch of wake-ups, `{"case": …, "effect": …}`, to the ids of those that failed."""
    left = context.get_remaining_time_in_millis() / 1000
    ends = time.monotonic() + left
    on = _adapters()
    hold(on.sqs, on.settings.reply_url, event["Records"], left)

    def answer(record: SQSRecord) -> None:
        wake_up = json.loads(record.body)
        _answer(wake_up["case"], wake_up["effect"], ends)

    return process_partial_response(event=event, record_handler=answer, processor=processor, context=context)


def _answer(case_id: str, effect_id: str, ends: float) -> None:
    on = _adapters()
    settings = on.settings
    case, planned = on.cases.case(case_id), on.ledger.effect(case_id, effect_id)
    if case is None or planned is None:
        logger.warning("woken for an answer that is not there", extra={"case": case_id, "effect": effect_id})
        return
    kept = on.brakes.of(case, source=planned.target)
    if (kept.waits or kept.shadows) and brake(on.ledger, [planned], kept, _now()):
        logger.info("held", extra={"case": case_id, "source": planned.target, "why": kept.waits})
        return
    there = on.config.source(planned.target, with_deleted=True)  # not the case's own where a conversation joined it
    priced = prices(there.connector if there else case.connector)
    run = Answerer(
        on.ledger,
        on.words,
        on.repliers.replier(planned.target, ends),
        settings.pace,
        now=_now,
        remaining=lambda: ends - time.monotonic(),
        need=min(settings.call_seconds, 5.0),
        till=_till(on, priced, planned.target) if priced else None,
    )
    try:
        effect = run.run(case, effect_id)
    except OutOfTimeError:
        body = json.dumps({"case": case_id, "effect": effect_id})
        on.sqs.send_message(QueueUrl=settings.reply_url, MessageBody=body)
        logger.info("out of time; woken again", extra={"case": case_id, "source": planned.target})
        return
    if effect is not None:
        log = logger.info if effect.error is None else logger.warning
        log("answered", extra={"case": case_id, "source": effect.target, "state": effect.state, "error": effect.error})


def _till(on: _Adapters, priced: Prices, source: str) -> Till:
    """Answers are not stopped by a budget; where it runs low an alarm hears of it all the same."""

    def low(found: Standing) -> None:
        logger.warning("a budget runs low", extra={"source": source, "spent": found.sentence()})

    return Till(priced, WatchedSpending(on.spending, on.config, priced, low), source)


def _now() -> int:
    return int(time.time() * 1000)
