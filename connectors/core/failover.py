"""Which systems of record hold a case: when the next one is asked as well, and when the stand-by may rest.

Pure. A case is engaged in its route's first system, and in later ones once an earlier one did not take it. The record
of the earliest system that has one is the live one; later ones are then retired: linked to it and closed.
"""

from __future__ import annotations

from connectors.core.case import (
    Case,
    CaseEvent,
    Effect,
    EffectKind,
    EffectState,
    Happening,
    Record,
    close_id,
    link_id,
    record_id,
    retire_id,
)
from connectors.core.identity import digest
from connectors.core.ledger import Pace, Shift, misconfigured

_DOUBTFUL = frozenset({EffectState.UNKNOWN, EffectState.CLAIMED})


def engaged(case: Case) -> tuple[str, ...]:
    """The systems that are to hold this case now, in the order of the route."""
    return case.engaged or case.systems[:1]


def rank(case: Case, system: str) -> int:
    """A system's place in the route; the last for one that is not in it."""
    return case.systems.index(system) if system in case.systems else len(case.systems)


def peers(case: Case, system: str) -> tuple[str, ...]:
    """The systems that stand in for one another, this one among them: those of one route, in its order. A case that was
    raised is held by one of each such set."""
    found: list[str] = []
    for name in case.systems:
        if name in case.joined:
            if system in found:
                break
            found = []
        found.append(name)
    return tuple(found) if system in found else (system,)


def successor(case: Case, system: str) -> str | None:
    """The system to ask next should this one not take the case; None where a later one is asked already."""
    others = peers(case, system)
    rest = others[others.index(system) + 1 :]
    if system in case.retired or any(name in rest for name in engaged(case)):
        return None
    return next((name for name in rest if name not in case.retired), None)


def deadline(case: Case, record: Effect) -> int | None:
    """When the next system is asked, should nothing change (milliseconds); None where there is none or no need."""
    if record.state is EffectState.DONE or record.first_refused_at is None or successor(case, record.target) is None:
        return None
    return record.first_refused_at + int(case.fail_over_after * 1000)


def must_move_on(case: Case, record: Effect, now: int, *, closed: bool) -> bool:
    """Whether the next system is to be asked now. `closed`: whether this one's breaker is.

    While it is unknown whether a record was made, an open breaker alone is no reason: a look-up may still tell."""
    if successor(case, record.target) is None:
        return False
    if record.state in {EffectState.DONE, EffectState.SUPERSEDED}:
        return False
    if record.state is EffectState.CLAIMED and now < (record.lease_until or 0):
        return False  # whoever holds it decides
    if record.state is EffectState.REJECTED or misconfigured(record):
        return True
    if not closed and record.state not in _DOUBTFUL:
        return True
    latest = deadline(case, record)
    return latest is not None and now >= latest


def planned_record(case: Case, system: str, now: int, due_at: int, *, provisional: bool = False) -> Effect:
    """A line of the ledger for the record of a case in one system."""
    return Effect(
        case=case.id,
        id=record_id(system),
        kind=EffectKind.RECORD,
        target=system,
        planned_at=now,
        due_at=due_at,
        provisional=provisional,
    )


def moved_on(case: Case, record: Effect, now: int, pace: Pace) -> Shift | None:
    """The next system joins. What happened so far is planned for it when the timeline's new line is dispatched."""
    name = successor(case, record.target)
    if name is None:
        return None
    due = now + int(pace.doorbell * 1000)
    doubtful = record.state in _DOUBTFUL
    event = CaseEvent(
        case=case.id,
        id=digest("failed over", record.target, name),
        kind=Happening.FAILED_OVER,
        at=now,
        detail={
            "system": name,
            "from": record.target,
            "error": record.error or "its breaker is open",
            "provisional": "true" if doubtful else "false",
        },
        due_at=due,
    )
    return Shift(
        before=case,
        after=case.model_copy(update={"engaged": (*engaged(case), name)}),
        events=(event,),
        planned=(planned_record(case, name, now, due, provisional=doubtful),),
    )


def taken(case: Case, record: Record, now: int, pace: Pace) -> Shift:
    """A system has a record now: it becomes the live one unless an earlier system has one; later systems retire."""
    if record.system in case.retired:
        return Shift(case, case)
    place = rank(case, record.system)
    others = peers(case, record.system)
    later = tuple(name for name in engaged(case) if name in others and rank(case, name) > place)
    live = case.record
    if live is None or rank(case, live.system) >= place:
        live = record
    after = case.model_copy(
        update={
            "engaged": tuple(name for name in engaged(case) if name not in later),
            "retired": (*case.retired, *later),
            "record": live,
        },
    )
    events = tuple(
        CaseEvent(
            case=case.id,
            id=digest("handed back", record.system, name),
            kind=Happening.HANDED_BACK,
            at=now,
            detail={"system": name, "to": record.system, "reference": record.id, "url": record.url},
        )
        for name in later
    )
    planned = tuple(effect for name in later for effect in retirement(case, name, now, pace))
    return Shift(case, after, events, planned)


def retirement(case: Case, system: str, now: int, pace: Pace) -> tuple[Effect, Effect]:
    """What is planned for a stand-by's record that is no longer needed: it is linked, then closed."""
    due = now + int(pace.doorbell * 1000)
    link = Effect(case=case.id, id=retire_id(system), kind=EffectKind.RETIRE, target=system, planned_at=now, due_at=due)
    close = link.model_copy(update={"id": close_id(system), "kind": EffectKind.STATUS, "status": "solved"})
    return link, close


def cross_link(case: Case, retired: Effect, now: int, pace: Pace) -> Effect | None:
    """The wish to tell the live record where the stand-by's record is."""
    if case.record is None or case.record.system == retired.target:
        return None
    return Effect(
        case=case.id,
        id=link_id(case.record.system, retired.target),
        kind=EffectKind.NOTE,
        target=case.record.system,
        planned_at=now,
        due_at=now + int(pace.doorbell * 1000),
        happening=Happening.HANDED_BACK,
        url=retired.url or f"{retired.target}: {retired.reference}",
    )
