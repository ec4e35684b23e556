"""Tries out the credentials of each source, and listens whether it has gone silent against its own past.

Says what an administrator has to mend: alarms look for these lines in its log. Changes nothing at a source; renews an
access token that is due.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

import connectors
from connectors.aws import clients
from connectors.aws.config import ConfigStore
from connectors.aws.health import TableHealth, registered
from connectors.aws.heard import TableHeard, hour_of
from connectors.aws.pollers import Pollers, resolves
from connectors.aws.secrets import Credentials
from connectors.aws.settings import Settings
from connectors.aws.table import Table
from connectors.aws.tokens import Tokens
from connectors.core.errors import MisconfiguredError, RemoteError
from connectors.core.health import REMEDY, Use, current, needs_people, renewable
from connectors.core.plan import SourceConfig
from connectors.core.silence import Hearing, judge

logger = Logger()
EVERY = 3_500.0
"""Seconds between two trials of a source's credentials: about each hour, whatever the schedule."""


@dataclass(frozen=True)
class _Adapters:
    settings: Settings
    config: ConfigStore
    table: Table
    health: TableHealth
    heard: TableHeard
    tokens: Tokens
    pollers: Pollers


@cache
def _adapters() -> _Adapters:
    settings = Settings.read()
    client = clients.make("dynamodb")
    table, config = Table(client, settings.table), ConfigStore(client, settings.table)
    credentials, health = Credentials(clients.make("secretsmanager")), TableHealth(table, _now)
    return _Adapters(
        settings,
        config,
        table,
        health,
        TableHeard(table),
        Tokens(table, credentials, health, now=_now),
        Pollers(config, credentials, allow_private=settings.allow_private, call_seconds=settings.call_seconds),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """All sources once, or only `{"source": id}` and at once; how each is."""
    on, only = _adapters(), event.get("source")
    ends = time.monotonic() + context.get_remaining_time_in_millis() / 1000
    names = [only] if only else registered(on.table)
    live = [source for name in names if (source := on.config.source(name)) is not None]
    found = {}
    for number, source in enumerate(live):
        share = (ends - time.monotonic()) / (len(live) - number)
        try:
            found[source.id] = _look(on, source, time.monotonic() + share, EVERY if only is None else 0.0)
        except Exception:
            logger.exception("a source could not be looked at", extra={"source": source.id})
            found[source.id] = {"state": None, "hearing": None}
    logger.info("looked at sources", extra={"sources": found})
    return found


def _look(on: _Adapters, source: SourceConfig, ends: float, every: float) -> dict[str, Any]:
    checked = on.health.claim_check(source.id, every)
    renews = _try_out(on, source, ends) if checked else _renews(source)
    state = _say_what_to_mend(on, source, renews)
    silence = judge(on.heard.hours(source.id), hour_of(_now()))
    unasked = source.hold and source.poll is not None  # administrators want it so
    if silence.hearing is Hearing.SILENT and not unasked:
        logger.error("a source has gone silent", extra={"source": source.id, "hours": silence.gap})
    return {"state": state, "hearing": silence.hearing.value, "checked": checked}


def _try_out(on: _Adapters, source: SourceConfig, ends: float) -> bool:
    """Whether its access token is renewed by us; notes how a trial went."""

    def build() -> Any:
        return on.pollers.build(source.id, ends)

    if source.connector not in connectors.POLLERS:
        return False
    try:
        on.tokens.reconsider(source)
        account: Any = on.tokens.fresh(source, build(), build)
    except MisconfiguredError as error:
        # A source that only pushes may well have no credentials at all, unless it pushes hints.
        spared = _absent(error) and source.poll is None and not resolves(source.connector)
        on.health.unusable(source.id, None if spared else str(error))
        return False
    except RemoteError:
        return False
    on.health.unusable(source.id, None)
    if hasattr(account, "check"):
        on.health.note(source.id, Use.CHECK, account.check())
    return renewable(account, _now())


def _renews(source: SourceConfig) -> bool:
    """Between two trials: whether this kind of source may renew by itself."""
    return source.connector in connectors.POLLERS and hasattr(connectors.poller(source.connector), "refresh_due")


def _absent(error: MisconfiguredError) -> bool:
    cause = error.__cause__
    return isinstance(cause, ClientError) and cause.response["Error"]["Code"] == "ResourceNotFoundException"


def _say_what_to_mend(on: _Adapters, source: SourceConfig, renews: bool) -> str | None:
    """The worst that is known; each thing that needs a person is said in the log."""
    known, now = on.health.known(source.id), _now()
    if known.unusable:
        logger.error("an administrator has to act", extra={"source": source.id, "error": known.unusable})
    for use, seen in known.uses.items():
        health = current(seen.health, now)
        if needs_people(use, health, renewable=renews):
            said = {"source": source.id, "use": use.value, "state": health.state.value, "error": health.detail}
            logger.error("an administrator has to act", extra={**said, "remedy": REMEDY[health.state]})
    worst = known.worst(now)
    return worst[1].health.state.value if worst else None


def _now() -> int:
    return int(time.time() * 1000)
