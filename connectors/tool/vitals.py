"""What `hailback doctor` says of each source's health: its credentials, whether it has gone silent, and which of its
posts wait to be looked at again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import connectors
from connectors.aws.config import ConfigStore
from connectors.aws.health import TableHealth, registered
from connectors.aws.heard import TableHeard, hour_of
from connectors.aws.sweeps import TableBook, TableShelf
from connectors.core.compose import moment
from connectors.core.health import REMEDY, TokenState, Use, current, needs_people
from connectors.core.ingest import UNREAD
from connectors.core.plan import SourceConfig
from connectors.core.privacy import GONE_WITHIN
from connectors.core.silence import judge
from connectors.tool.deployment import Deployment
from connectors.tool.plain import many

Document = dict[str, Any]
_RECENT = 7 * 86_400_000
_HEARD = {"as usual": "heard as usual", "silent": "silent", "learning": "too new, or too seldom heard, to be judged"}


def vitals(deployment: Deployment, config: ConfigStore, now: int) -> list[Document]:
    """One row a source that is in force; one that was deleted only while posts of it wait. `now` in milliseconds."""
    table = deployment.table
    found = {name: config.source(name, with_deleted=True) for name in registered(table)}
    known = {name: one for name, one in found.items() if one is not None}
    rechecked = {name: one.connector for name, one in known.items() if _has(one, "recheck")}
    able = {name: connector for name, connector in rechecked.items() if config.source(name) is not None}
    shelf, rows = TableShelf(table, able, rechecked), []
    for name in sorted(known):
        waits = _waits(TableBook(table), shelf, known[name], now) if name in rechecked else None
        if config.source(name) is not None or (waits and waits["posts"]):
            about = {"rechecks": waits, "unread": _unread(deployment, name, now)}
            rows.append({"id": name, **_credentials(deployment, known[name], now), **about})
    return rows


def _unread(deployment: Deployment, source: str, now: int) -> Document | None:
    """Deliveries of the last days that were signed and not what their vendor documents."""
    rows = deployment.table.query(f"UNSUPPORTED#{source}", f"{UNREAD}#")
    recent = sorted((row for row in rows if row.get("at", 0) > now - _RECENT), key=lambda row: int(row["at"]))
    if not recent:
        return None
    return {"count": len(recent), "since": moment(int(recent[0]["at"])), "reason": recent[-1]["reason"]}


def _credentials(deployment: Deployment, source: SourceConfig, now: int) -> Document:
    health = TableHealth(deployment.table, lambda: now).known(source.id)
    silence = judge(TableHeard(deployment.table).hours(source.id), hour_of(now))
    uses = [_use(use, seen.since, current(seen.health, now), source) for use, seen in sorted(health.uses.items())]
    worst = health.worst(now)
    return {
        "state": worst[1].health.state.value if worst else None,
        "uses": uses,
        "unusable": health.unusable,
        "checked_at": moment(health.checked_at) if health.checked_at else None,
        "hearing": silence.hearing.value,
        "silent_hours": silence.gap,
        "unasked": source.hold and source.poll is not None,  # administrators want it so
    }


def _use(use: Use, since: int, health: Any, source: SourceConfig) -> Document:
    state: TokenState = health.state
    return {
        "use": use.value,
        "state": state.value,
        "since": moment(since),
        "until": None if health.until is None else moment(health.until),
        "detail": health.detail,
        "to_mend": needs_people(use, health, renewable=_has(source, "refresh_due")),
        "remedy": REMEDY.get(state),
    }


def _waits(book: TableBook, shelf: TableShelf, source: SourceConfig, now: int) -> Document:
    kind: Any = connectors.poller(source.connector)
    days, kept = book.days(source.id), book.kept_days(source.id)
    over = shelf.late(source.id, days, now, kept, kind.recheck_within)
    late = shelf.late(source.id, days, now, kept, GONE_WITHIN) if over else []
    return {
        "within_seconds": kind.recheck_within,
        "posts": sum(one.posts for one in over),
        "late": sum(one.posts for one in late),
        "more": any(one.more for one in over),
        "oldest_day": over[0].day if over else None,
    }


def _has(source: SourceConfig, name: str) -> bool:
    return source.connector in connectors.POLLERS and hasattr(connectors.poller(source.connector), name)


def vital_signs(rows: Sequence[Document]) -> list[str]:
    """What is wrong, one sentence each: what an administrator has to mend first."""
    said = []
    for one in rows:
        if one["unusable"]:
            said.append(f"the credentials of {one['id']} cannot be used: {one['unusable']}")
        said += [
            f"the credentials of {one['id']}: {_state(use)} ({use['use']}); {use['remedy']}"
            for use in one["uses"]
            if use["to_mend"]
        ]
    for one in rows:
        if (waits := one["rechecks"]) and waits["late"]:
            more = "at least " if waits["more"] else ""
            said.append(
                f"{more}{many(waits['late'], 'post')} of {one['id']} {'was' if waits['late'] == 1 else 'were'} not "
                "looked at for more than 24 hours: one that was "
                "removed there may still be here"
            )
        if unread := one["unread"]:
            said.append(
                f"{unread['count']} deliveries of {one['id']} could not be read since {unread['since']}: "
                f"{unread['reason']}; compare what was kept with the samples of its connector, and report it"
            )
        if one["hearing"] == "silent" and not one["unasked"]:
            said.append(f"{one['id']} has been silent for {many(one['silent_hours'], 'hour')}, which is not its way")
    return said


def lines(one: Document) -> list[str]:
    """A source's health on the screen."""
    state = one["unusable"] or one["state"] or "nothing known yet"
    tried = f", tried out {one['checked_at']}" if one["checked_at"] else ""
    waits = one["rechecks"]
    again = f"; {many(waits['posts'], 'post')} to be looked at again" if waits and waits["posts"] else ""
    head = f"{one['id']}: {state}{tried}; {_HEARD[one['hearing']]}{again}"
    return [head, *(f"  {use['use']}: {_state(use)} since {use['since']}{_why(use)}" for use in one["uses"])]


def _state(use: Document) -> str:
    return f"{use['state']} until {use['until']}" if use["until"] and use["state"] != "ok" else str(use["state"])


def _why(use: Document) -> str:
    return f" ({use['detail']})" if use["detail"] else ""
