"""Brings cases into systems of record: one wake-up, one case, one system, all that is planned.

A vendor's failure never leaves this function: the effect is parked with the time of the next try and the message is
deleted. Waiting out an outage in a queue would end in the dead letters, which are for our own defects.
"""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from connectors.aws import clients
from connectors.aws.bells import SqsBells
from connectors.aws.blobs import Blobs
from connectors.aws.cases import Cases
from connectors.aws.config import ConfigStore
from connectors.aws.hold import hold
from connectors.aws.ledger import TableLedger
from connectors.aws.secrets import Credentials
from connectors.aws.settings import Settings
from connectors.aws.systems import Systems
from connectors.aws.table import Table
from connectors.core.case import record_id
from connectors.core.sync import OutOfTimeError, RecordSync

logger = Logger()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False, logger=logger)  # type: ignore[arg-type]


@cache
def _adapters() -> tuple[Settings, Cases, TableLedger, Systems, SqsBells, Any]:
    settings = Settings.read()
    client = clients.make("dynamodb")
    table = Table(client, settings.table)
    systems = Systems(
        ConfigStore(client, settings.table),
        Credentials(clients.make("secretsmanager")),
        allow_private=settings.allow_private,
        call_seconds=settings.call_seconds,
    )
    sqs = clients.make("sqs")
    bells = SqsBells(sqs, settings.sync_url, settings.notify_url, settings.concurrency)
    blobs = Blobs(lambda: clients.make("s3"), settings.bucket)
    return settings, Cases(table, blobs), TableLedger(table), systems, bells, sqs


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """A batch of wake-ups to the ids of those that failed."""
    left = context.get_remaining_time_in_millis() / 1000
    ends = time.monotonic() + left
    settings, *_, sqs = _adapters()
    hold(sqs, settings.sync_url, event["Records"], left)

    def sync(record: SQSRecord) -> None:
        wake_up = json.loads(record.body)
        settings, cases, ledger, systems, bells, _ = _adapters()
        case = cases.case(wake_up["case"])
        if case is None:
            logger.warning("woken for a case that is not there", extra={"case": wake_up["case"]})
            return
        name = wake_up["system"]
        run = RecordSync(
            ledger,
            cases,
            systems.system(name, ends),
            settings.pace,
            now=lambda: int(time.time() * 1000),
            remaining=lambda: ends - time.monotonic(),
            need=min(settings.call_seconds, 5.0),
        )
        try:
            outcome = run.run(case, name)
        except OutOfTimeError:
            if (effect := ledger.effect(case.id, record_id(name))) is not None:
                bells.ring([effect])
            logger.info("out of time; woken again", extra={"case": case.id, "system": name})
            return
        for fault in outcome.to_mend:  # the template has an alarm on this line
            logger.error("an administrator has to act", extra={"case": case.id, "system": name, "error": fault})
        logger.info("synced", extra={"case": case.id, "system": name, "done": outcome.done, "later": outcome.later})

    return process_partial_response(event=event, record_handler=sync, processor=processor, context=context)
