"""The doorbell: new events on cases, from the table's stream, become planned effects and wake-ups.

The stream may lose, repeat and reorder; the *due* index makes up for it. So a record that fails is logged and left to
`wake_due`, and the batch never fails: a failing batch would hold up every later event.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from connectors.aws import clients
from connectors.aws.bells import SqsBells
from connectors.aws.blobs import Blobs
from connectors.aws.cases import Cases
from connectors.aws.config import ConfigStore
from connectors.aws.settings import Settings
from connectors.aws.table import Table, unpack
from connectors.core.case import CaseEvent
from connectors.core.dispatch import MOST, Dispatcher

logger = Logger()


@cache
def bells() -> SqsBells:
    """What wakes this deployment's workers."""
    settings = Settings.read()
    sqs = clients.make("sqs")
    return SqsBells(sqs, settings.sync_url, settings.notify_url, settings.concurrency, settings.reply_url)


@cache
def dispatcher() -> Dispatcher:
    """The dispatcher over this deployment's table and queues."""
    settings = Settings.read()
    client = clients.make("dynamodb")
    cases = Cases(Table(client, settings.table), Blobs(lambda: clients.make("s3"), settings.bucket))
    return Dispatcher(cases, ConfigStore(client, settings.table), bells(), settings.pace)


def handler(event: dict[str, Any], _context: object) -> dict[str, list[object]]:
    """A batch of stream records. Always succeeds."""
    cases: dict[str, list[CaseEvent]] = defaultdict(list)
    for record in event.get("Records", []):
        try:
            if record.get("eventName") != "INSERT":
                continue
            happened = CaseEvent.model_validate(unpack(record["dynamodb"]["NewImage"]))
            cases[happened.case].append(happened)
        except Exception:
            logger.exception("a stream record could not be read; wake_due will see to its event")
    planned = dispatch(cases)
    logger.info("dispatched", extra={"cases": len(cases), "effects": planned})
    return {"batchItemFailures": []}


def dispatch(cases: dict[str, list[CaseEvent]], has_time: Callable[[], bool] = lambda: True) -> int:
    """Dispatch events, case by case; how many effects were planned. A case that fails, or for which there is no time
    any more, is left to `wake_due`."""
    planned = 0
    for case, events in cases.items():
        if not has_time():
            logger.warning("no time for all of them; wake_due will see to the rest", extra={"cases": len(cases)})
            break
        for start in range(0, len(events), MOST):
            try:
                planned += dispatcher().dispatch(events[start : start + MOST], int(time.time() * 1000))
            except Exception:
                logger.exception("dispatching failed; wake_due will see to it", extra={"case": case})
    if bells().lost:
        logger.warning("wake-ups lost; their effects stay due", extra={"lost": bells().lost})
        bells().lost = 0
    return planned
