"""Looks again at posts whose source does not tell of removals: what was taken back there is forgotten here.

Each run gives every such source its share of the time, and goes on where the last one stopped. What it finds, removals
and edits, goes through the inbox like everybody's. No budget stops this, docs/adr/0057. Shows nobody's words to anyone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

import connectors
from connectors.aws import clients
from connectors.aws.config import ConfigStore
from connectors.aws.health import TableHealth, registered
from connectors.aws.inbox import SqsInbox, of_events
from connectors.aws.pollers import Pollers
from connectors.aws.secrets import Credentials
from connectors.aws.settings import Settings
from connectors.aws.spending import TableSpending, WatchedSpending
from connectors.aws.sweeps import TableBook, TableShelf
from connectors.aws.table import Table
from connectors.aws.tokens import Care
from connectors.core.budget import Spending, Standing, month_of, prices
from connectors.core.health import TokenState, Use
from connectors.core.models import EVENTS, AnyEvent
from connectors.core.plan import SourceConfig
from connectors.core.privacy import GONE_WITHIN, Sweeper, Swept

logger = Logger()
RESERVE = 20.0
"""Seconds of a run that are kept for saying how things stand."""
_BLIND = frozenset({TokenState.REVOKED, TokenState.EXPIRED, TokenState.SCOPE_MISSING})


@dataclass(frozen=True)
class _Adapters:
    settings: Settings
    config: ConfigStore
    table: Table
    book: TableBook
    health: TableHealth
    pollers: Pollers
    spending: TableSpending
    inbox: SqsInbox


@cache
def _adapters() -> _Adapters:
    settings = Settings.read()
    client = clients.make("dynamodb")
    table, config = Table(client, settings.table), ConfigStore(client, settings.table)
    credentials = Credentials(clients.make("secretsmanager"))
    care = Care(table, credentials, _now)
    return _Adapters(
        settings,
        config,
        table,
        TableBook(table),
        care.health,
        Pollers(
            config, credentials, allow_private=settings.allow_private, call_seconds=settings.call_seconds, care=care
        ),
        TableSpending(table),
        SqsInbox(clients.make("sqs"), settings.inbox_url, lambda: clients.make("s3"), settings.bucket),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - the clock has nothing to say
    """One run over all sources that have to be looked at again; what it came to for each. Raises, at its end, what
    broke the turn of one of them off."""
    ends = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - RESERVE
    on = _adapters()
    known = _known(on)
    able = {name: found for name, found in known.items() if _able(on, name)}
    shelf = TableShelf(on.table, _connectors(able), _connectors(known))
    order = sorted(known, key=lambda name: min((day.began_at for day in on.book.days(name).values()), default=0))
    done: dict[str, Any] = {}
    broken: Exception | None = None
    for number, name in enumerate(order):
        share = (ends - time.monotonic()) / (len(order) - number)
        try:
            done[name] = _sweep(on, known[name], shelf, time.monotonic() + share)
        except Exception as error:
            logger.exception("a source could not be swept", extra={"source": name})
            broken = broken or error
    late = {name: _late(on, shelf, name) for name in order}
    if broken is not None:  # after all the others had their turn: the alarm for a function that fails hears it
        raise broken
    return {"swept": done, "late": {name: count for name, count in late.items() if count}}


def _known(on: _Adapters) -> dict[str, SourceConfig]:
    """The sources that do not tell of removals; those that were deleted too, for their posts are still here."""
    found = (on.config.source(name, with_deleted=True) for name in registered(on.table))
    return {one.id: one for one in found if one is not None and kind_of(one.connector) is not None}


def kind_of(connector: str) -> Any:
    """The class that looks at posts of this kind of source again; None for one that has no need of it."""
    kind: Any = connectors.poller(connector) if connector in connectors.POLLERS else None
    return kind if hasattr(kind, "recheck") else None


def _able(on: _Adapters, name: str) -> bool:
    """Whether it can look now, as far as is known: another of the same vendor takes over otherwise."""
    if on.config.source(name) is None:
        return False
    known = on.health.known(name)
    last = known.uses.get(Use.RECHECK)
    return known.unusable is None and (last is None or last.health.state not in _BLIND)


def _connectors(sources: Mapping[str, SourceConfig]) -> dict[str, str]:
    return {name: source.connector for name, source in sources.items()}


def _sweep(on: _Adapters, source: SourceConfig, shelf: TableShelf, ends: float) -> dict[str, Any]:
    attempt = on.book.claim(source.id, _now(), on.settings.pace.lease)
    if attempt is None:
        return {"skipped": True}
    kind, done, spending = kind_of(source.connector), Swept(error="the run broke off"), _spending(on, source)
    try:
        sweeper = Sweeper(
            source.id,
            on.pollers.poller(source.id, ends + 2.0),
            on.book,
            shelf,
            _outbox(on, source),
            lambda units: spending.add(source.id, month_of(_now()), units),
            _now,
        )
        need = min(on.settings.call_seconds, 5.0)
        done = sweeper.run(
            kind.recheck_within,
            kind.recheck_batch,
            on.settings.text_days,
            lambda: ends - time.monotonic() > need,
        )
    finally:
        on.book.release(source.id, attempt, done.not_before, done.error, on.settings.text_days)
    said = {"source": source.id, "posts": done.posts, "gone": done.gone, "days_left": done.left, "error": done.error}
    (logger.warning if done.error else logger.info)("looked at posts again", extra=said)
    if done.unjudged:
        logger.warning("posts that the source refuses to be asked about", extra={"posts": done.unjudged[:20]})
    return said


def _spending(on: _Adapters, source: SourceConfig) -> Spending:
    """Where what a run costs is counted. A budget does not stop it; where it runs low an alarm hears of it."""

    def low(found: Standing) -> None:
        logger.warning("a budget runs low", extra={"source": source.id, "spent": found.sentence()})

    priced = prices(source.connector)
    return WatchedSpending(on.spending, on.config, priced, low) if priced else on.spending


def _outbox(on: _Adapters, source: SourceConfig) -> Callable[[Sequence[AnyEvent]], None]:
    def put(news: Sequence[AnyEvent]) -> None:
        body = EVENTS.dump_json(list(news)).decode()
        on.inbox.put(of_events(source.id, source.connector, body, _now(), fetched=True))

    return put


def _late(on: _Adapters, shelf: TableShelf, name: str) -> int:
    """How many posts wait longer than they may; an alarm looks for what is said here."""
    late = shelf.late(name, on.book.days(name), _now(), on.settings.text_days, GONE_WITHIN)
    count = sum(one.posts for one in late)
    if late:
        extra = {"source": name, "posts": count, "oldest_day": late[0].day}
        logger.error("posts wait too long to be looked at again", extra=extra)
    return count


def _now() -> int:
    return int(time.time() * 1000)
