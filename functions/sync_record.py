"""Brings cases into systems of record: one wake-up, one case, one system, all that is planned.

A vendor's failure never leaves this function: the effect is parked with the time of the next try and the message is
deleted. Waiting out an outage in a queue would end in the dead letters, which are for our own defects.
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
from aws_lambda_powertools.utilities.typing import LambdaContext

from connectors.aws import clients
from connectors.aws.bells import SqsBells
from connectors.aws.blobs import Blobs
from connectors.aws.brakes import Brakes
from connectors.aws.breakers import TableBreakers
from connectors.aws.cases import Cases
from connectors.aws.config import ConfigStore
from connectors.aws.hold import hold
from connectors.aws.ledger import TableLedger
from connectors.aws.secrets import Credentials
from connectors.aws.settings import Settings
from connectors.aws.systems import Systems
from connectors.aws.table import Table
from connectors.aws.updates import Updates
from connectors.core.breaker import Gate
from connectors.core.case import record_id
from connectors.core.pause import brake, lines_of, revive
from connectors.core.sync import OutOfTimeError, RecordSync

logger = Logger()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False, logger=logger)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Adapters:
    settings: Settings
    cases: Cases
    ledger: TableLedger
    updates: Updates
    breakers: TableBreakers
    systems: Systems
    brakes: Brakes
    bells: SqsBells
    sqs: Any


@cache
def _adapters() -> _Adapters:
    settings = Settings.read()
    client = clients.make("dynamodb")
    table = Table(client, settings.table)
    sqs = clients.make("sqs")
    blobs = Blobs(lambda: clients.make("s3"), settings.bucket)
    config, cases = ConfigStore(client, settings.table), Cases(table, blobs)
    return _Adapters(
        settings=settings,
        cases=cases,
        ledger=TableLedger(table),
        updates=Updates(table, blobs, now=_now),
        breakers=TableBreakers(table),
        systems=Systems(
            config,
            Credentials(clients.make("secretsmanager")),
            allow_private=settings.allow_private,
            call_seconds=settings.call_seconds,
        ),
        brakes=Brakes(config),
        bells=SqsBells(sqs, settings.sync_url, settings.notify_url, settings.concurrency, settings.reply_url),
        sqs=sqs,
    )


def _now() -> int:
    return int(time.time() * 1000)


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """A batch of wake-ups to the ids of those that failed."""
    left = context.get_remaining_time_in_millis() / 1000
    ends = time.monotonic() + left
    to = _adapters()
    hold(to.sqs, to.settings.sync_url, event["Records"], left)

    def sync(record: SQSRecord) -> None:
        wake_up = json.loads(record.body)
        _sync(to, wake_up["case"], wake_up["system"], ends)

    return process_partial_response(event=event, record_handler=sync, processor=processor, context=context)


def _sync(to: _Adapters, case_id: str, name: str, ends: float) -> None:
    case = to.cases.case(case_id)
    if case is None:
        logger.warning("woken for a case that is not there", extra={"case": case_id})
        return
    about = {"case": case.id, "system": name}
    kept = to.brakes.of(case, name)
    if (kept.waits or kept.shadows) and brake(to.ledger, lines_of(to.ledger, case, name), kept, _now()):
        logger.info("held", extra={**about, "why": kept.waits})
        return
    if kept.shadows and revive(to.ledger, case, name, kept, _now(), to.settings.pace, to.bells):
        logger.info("a case of the shadow run goes on", extra=about)
    run = RecordSync(
        to.ledger,
        to.cases,
        to.systems.system(name, ends),
        to.settings.pace,
        now=_now,
        remaining=lambda: ends - time.monotonic(),
        need=min(to.settings.call_seconds, 5.0),
        gate=Gate(to.breakers, name, to.settings.pace, _now),
        updates=to.updates,
        bells=to.bells,
    )
    try:
        outcome = run.run(case, name)
    except OutOfTimeError:
        if (effect := to.ledger.effect(case.id, record_id(name))) is not None:
            to.bells.ring([effect])
        logger.info("out of time; woken again", extra=about)
        return
    for fault in outcome.to_mend:  # the template has an alarm on this line
        logger.error("an administrator has to act", extra={**about, "error": fault})
    logger.info("synced", extra={**about, "done": outcome.done, "later": outcome.later})
