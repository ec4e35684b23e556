"""Tells people: one wake-up, one case, one topic. A failure is parked in the ledger, never left in the queue."""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from connectors.aws import clients
from connectors.aws.blobs import Blobs
from connectors.aws.cases import Cases
from connectors.aws.ledger import TableLedger
from connectors.aws.settings import Settings
from connectors.aws.table import Table
from connectors.aws.topics import SnsTopics
from connectors.core.errors import ConflictError
from connectors.core.ledger import to_mend
from connectors.core.notify import Notifier

logger = Logger()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False, logger=logger)  # type: ignore[arg-type]


@cache
def _adapters() -> tuple[Cases, Notifier]:
    settings = Settings.read()
    table = Table(clients.make("dynamodb"), settings.table)
    cases = Cases(table, Blobs(lambda: clients.make("s3"), settings.bucket))
    notifier = Notifier(
        TableLedger(table),
        cases,
        SnsTopics(),
        settings.pace,
        now=lambda: int(time.time() * 1000),
    )
    return cases, notifier


def _notify(record: SQSRecord) -> None:
    wake_up = json.loads(record.body)
    cases, notifier = _adapters()
    case = cases.case(wake_up["case"])
    if case is None:
        logger.warning("woken for a case that is not there", extra={"case": wake_up["case"]})
        return
    try:
        effect = notifier.run(case, wake_up["effect"])
    except ConflictError:
        logger.info("another worker tells this topic", extra={"case": case.id})
        return
    if effect is not None:
        told = {"case": case.id, "topic": effect.target, "state": effect.state, "error": effect.error}
        if to_mend(effect):  # the template has an alarm on this line
            logger.error("an administrator has to act", extra=told)
        log = logger.info if effect.error is None else logger.error
        log("notified", extra=told)


def handler(event: dict[str, Any], context: Any) -> Any:
    """A batch of wake-ups to the ids of those that failed."""
    return process_partial_response(event=event, record_handler=_notify, processor=processor, context=context)
