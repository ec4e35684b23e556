"""The safety net: each minute, everything that is due is looked at again.

Events that the stream has not dispatched are dispatched here; effects that are parked, unknown, or held by a worker
that is gone get their worker woken, and places that are polled are asked. One invocation per shard of the *due* index,
`{"shard": 0}` to `{"shard": 7}`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from functools import cache
from typing import Any

import dispatch_case
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from connectors.aws import clients
from connectors.aws.bells import SqsBells
from connectors.aws.breakers import TableBreakers
from connectors.aws.cursors import TYPE as CURSOR
from connectors.aws.due import Due
from connectors.aws.settings import Settings
from connectors.aws.table import Table
from connectors.core.breaker import Watch
from connectors.core.case import SHARDS, CaseEvent, Effect

logger = Logger()
MOST = 1_000
"""Items that one invocation looks at; the rest is still due a minute later."""


@cache
def _adapters() -> tuple[Settings, Due, SqsBells, TableBreakers]:
    settings = Settings.read()
    bells = SqsBells(
        clients.make("sqs"),
        settings.sync_url,
        settings.notify_url,
        settings.concurrency,
        settings.reply_url,
        settings.poll_url,
    )
    table = Table(clients.make("dynamodb"), settings.table)
    return settings, Due(table), bells, TableBreakers(table)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Look at one shard, or at all of them where none is named; how much was found and done."""
    shards = [int(event["shard"])] if "shard" in event else range(SHARDS)
    found = {"events": 0, "effects": 0, "polls": 0, "planned": 0}
    for shard in shards:
        for name, count in _look(shard, context).items():
            found[name] += count
    logger.info("looked at what is due", extra={"shards": list(shards), **found})
    return found


def _look(shard: int, context: LambdaContext) -> dict[str, int]:
    settings, due, bells, breakers = _adapters()
    now = int(time.time() * 1000)
    watch = Watch(breakers, settings.pace, settings.concurrency)
    events: dict[str, list[CaseEvent]] = defaultdict(list)
    effects: list[Effect] = []
    polls: list[str] = []

    def has_time() -> bool:
        return context.get_remaining_time_in_millis() > 10_000

    for item in due.waiting(shard, now, MOST):
        if not has_time():
            break
        try:
            if item.get("type") == "event":
                happened = CaseEvent.model_validate(item)
                events[happened.case].append(happened)
                # Should dispatching fail, what else is due has its turn before this comes again.
                due.later(item, now + int(settings.pace.doorbell * 1000))
            elif item.get("type") == CURSOR:
                polls.append(item["id"])
                due.later(item, now + int(settings.pace.doorbell * 1000))
            else:
                effect = Effect.model_validate(item)
                wake, again = watch.judge(effect, now)
                effects += [effect] if wake else []
                due.later(item, again)
        except Exception:
            logger.exception("something due could not be read", extra={"key": f"{item['pk']} / {item['sk']}"})
            due.later(item, now + int(settings.pace.longest * 1000))
    bells.ring(effects)
    bells.ask(polls)
    planned = dispatch_case.dispatch(events, has_time)
    if watch.held:
        logger.info("left alone: their systems' breakers are open", extra={"shard": shard, "effects": watch.held})
    if bells.lost:
        logger.warning("wake-ups lost; their effects stay due", extra={"lost": bells.lost})
        bells.lost = 0
    return {
        "events": sum(map(len, events.values())),
        "effects": len(effects),
        "polls": len(polls),
        "planned": planned,
    }
