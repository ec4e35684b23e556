"""Tells people: one wake-up, one case, its topics in turn. A failure is parked in the ledger, not left in the queue."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from connectors.aws import clients
from connectors.aws.blobs import Blobs
from connectors.aws.brakes import Brakes
from connectors.aws.cases import Cases
from connectors.aws.config import ConfigStore
from connectors.aws.ledger import TableLedger
from connectors.aws.settings import Settings
from connectors.aws.table import Table
from connectors.aws.topics import SnsTopics
from connectors.aws.undelivered import UndeliveredQueue
from connectors.core.case import Case, EffectState
from connectors.core.notify import Notifier
from connectors.core.pause import brake
from connectors.core.routing import topics_in_force

logger = Logger()
metrics = Metrics(namespace="Hailback")
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False, logger=logger)  # type: ignore[arg-type]


@cache
def _adapters() -> tuple[Cases, Notifier, Callable[[Case, str], str | None]]:
    settings = Settings.read()
    client = clients.make("dynamodb")
    table = Table(client, settings.table)
    ledger = TableLedger(table)
    cases = Cases(table, Blobs(lambda: clients.make("s3"), settings.bucket))
    config = ConfigStore(client, settings.table)
    notifier = Notifier(
        ledger,
        cases,
        SnsTopics(),
        UndeliveredQueue(clients.make("sqs"), settings.undelivered_url),
        settings.pace,
        now=_now,
        rounds=settings.notify_rounds,
        elsewhere=lambda case: topics_in_force(case, config.active_plan()),
    )
    brakes = Brakes(config)

    def held(case: Case, effect: str) -> str | None:
        """Why nobody may be told now; what was planned in a shadow run is ended, what waits is parked."""
        kept = brakes.of(case)
        if kept.waits or kept.shadows:
            brake(ledger, ledger.lines(case.id, effect.rpartition("#")[0] + "#"), kept, _now())
        return kept.waits

    return cases, notifier, held


def _now() -> int:
    return int(time.time() * 1000)


def _notify(record: SQSRecord, remaining: Callable[[], float]) -> None:
    wake_up = json.loads(record.body)
    cases, notifier, held = _adapters()
    case = cases.case(wake_up["case"])
    if case is None:
        logger.warning("woken for a case that is not there", extra={"case": wake_up["case"]})
        return
    if why := held(case, wake_up["effect"]):
        logger.info("held", extra={"case": case.id, "why": why, "redrive_again": bool(wake_up.get("again"))})
        return
    for effect in notifier.run(case, wake_up["effect"], again=bool(wake_up.get("again")), remaining=remaining):
        about = {"case": case.id, "topic": effect.target, "state": effect.state, "error": effect.error}
        if effect.state is EffectState.DONE:
            logger.info("notified", extra=about)
        else:
            logger.error("a topic failed", extra=about)
            metrics.add_metric(name="TopicFailed", unit=MetricUnit.Count, value=1)


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """A batch of wake-ups to the ids of those that failed."""

    def notify(record: SQSRecord) -> None:
        _notify(record, lambda: context.get_remaining_time_in_millis() / 1000)

    try:
        return process_partial_response(event=event, record_handler=notify, processor=processor, context=context)
    finally:
        if metrics.metric_set:
            metrics.flush_metrics()
