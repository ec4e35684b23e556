"""The ledger against a system of record: what differs, and what mends it. Pure, but for `close`, which uses ports.

Nothing is mended behind the ledger's back. A record or note that is gone, and a record that the ledger does not know
of, become *unknown* again, so that the machine's own worker looks them up and writes them only where they are not
there. A second record of one case gets a line of its own, a note with the address of the first, and is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from connectors.core.case import (
    Case,
    CaseEvent,
    Effect,
    EffectKind,
    EffectState,
    Happening,
    Record,
    close_id,
    record_id,
)
from connectors.core.errors import RemoteError, UnavailableError
from connectors.core.identity import digest
from connectors.core.ledger import Ledger, Next, Pace, claimed, done, doubtful, failed, next_step
from connectors.core.ports import NoteDraft, RecordSystem, Reference

MOST = 90
"""Lines that one mending changes: it must fit into one transaction. Comparing again finds the notes that are left."""
ASKED = 6
"""How often one question is put to a system that says that it is busy."""
_LONGEST_PAUSE = 120.0


T = TypeVar("T")


class Listing(Protocol):
    """A system of record that can show all that Hailback ever opened there."""

    def records(self) -> Iterator[tuple[Reference, str]]:
        """Each record that carries a key of ours, with the key, oldest first."""
        ...


class Finder(Protocol):
    """A system of record that can show all records of one case, should there be more than one."""

    def find_all(self, key: str) -> Sequence[Reference]:
        """Those that carry this key, oldest first."""
        ...


class Fault(StrEnum):
    """How the ledger and a system can differ."""

    MISSING = "missing there"
    """The ledger says that the record is written; the system does not have it."""
    UNKNOWN_HERE = "unknown here"
    """The system has the record; the ledger does not know that it was written."""
    DUPLICATE = "a duplicate"
    """The system has a further record of the same case."""
    WRONG_LIVE = "not the live record"
    """The case names another record than the first of its route that is written."""
    NOTE_MISSING = "a note is missing"
    """The ledger says that the note is written; the record does not have it."""
    REFUSED = "the record was refused"
    """The system refused the record for good, and no other system holds the case."""
    NOTE_REFUSED = "a note was refused"
    """The ledger says that the note was refused: those posts are not told."""
    STRANGER = "of no case here"
    """The record carries a key of Hailback's that no case here has: another deployment's, or a lost table's."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One of them. `reference` is the record in the system; `effect` the line of the ledger that it is about."""

    fault: Fault
    system: str
    case: str | None = None
    reference: Reference | None = None
    effect: str | None = None
    live: Record | None = None
    """The record that stands for the case instead (duplicates), or should (the live record)."""


@dataclass(frozen=True, slots=True)
class Mending:
    """What to write, in one transaction: lines that are new, lines that change, an event, the case's record."""

    added: tuple[Effect, ...] = ()
    changes: tuple[tuple[Effect, Effect], ...] = ()
    event: CaseEvent | None = None
    record: Record | None = None


def record_key(case: str, system: str, effects: Sequence[Effect] = ()) -> str:
    """The key that a case's record in this system carries, whether or not it was ever planned. With the ledger's lines
    it is that of the newest record, where earlier ones were closed for good."""
    line = _line(effects, system)
    return (line or _record_line(case, system, 0)).key


def record_keys(case: str, system: str, effects: Sequence[Effect]) -> list[str]:
    """The keys of all records that the case ever had in this system, oldest first."""
    line = _line(effects, system) or _record_line(case, system, 0)
    return [line.model_copy(update={"generation": number}).key for number in range(line.generation + 1)]


def twin_id(system: str, reference: str) -> str:
    """The ledger's name for closing a record that is one too many."""
    return f"twin#{system}#{reference}"


def expected_notes(case: Case, effects: Sequence[Effect], system: str) -> list[Effect]:
    """The notes that the record must have: those that the ledger says are written on it, and not on one before it that
    was closed for good."""
    if system in case.retired:
        return []
    line = _line(effects, system)
    generation = line.generation if line is not None else 0
    return [one for one in effects if _told(one, system) and one.generation == generation]


def _refused(effects: Sequence[Effect], system: str) -> list[Effect]:
    """Notes that were refused, and wishes that ended before they came into one."""
    kinds = {EffectKind.BATCH, EffectKind.NOTE}
    refused = [one for one in effects if one.target == system and one.state is EffectState.REJECTED]
    return [one for one in refused if one.kind in kinds and one.batch is None]


def _newest_status(effects: Sequence[Effect], system: str) -> list[Effect]:
    """The last change of status, where it came to an end; a record that is written again has none yet."""
    moves = [one for one in effects if one.kind is EffectKind.STATUS and one.target == system]
    moves = [one for one in moves if one.id != close_id(system)]
    newest = max(moves, key=lambda one: (one.planned_at, one.id), default=None)
    ended = {EffectState.DONE, EffectState.REJECTED}
    return [newest] if newest is not None and newest.state in ended else []


def rightful(case: Case, effects: Sequence[Effect]) -> Record | None:
    """The record that should be the live one: the first of the route that is written and was not handed back."""
    written = {
        one.target: Record(system=one.target, id=one.reference, url=one.url or "")
        for one in effects
        if one.kind is EffectKind.RECORD and one.state is EffectState.DONE and one.reference
    }
    order = [name for name in case.systems if name in written]
    standing = [name for name in order if name not in case.retired]
    return next((written[name] for name in [*standing, *order]), None)


def ask(question: Callable[[], T], pause: Callable[[float], None]) -> T:
    """Put a question that changes nothing, again where the system is busy, after as many seconds as it asks for.

    A run over thousands of cases meets its limit of requests. Raises the RemoteError of a system that stays away."""
    for attempt in range(1, ASKED):
        try:
            return question()
        except UnavailableError as error:
            wait = 2.0 ** (attempt - 1) if error.retry_after is None else error.retry_after
            pause(min(wait, _LONGEST_PAUSE))
    return question()


def compare(
    system: str,
    case: Case,
    effects: Sequence[Effect],
    found: Sequence[Reference],
    noted: Collection[str],
    now: int,
    settle: float = 0.0,
) -> list[Difference]:
    """How one case differs. `found` are the records there that carry its key, oldest first; `noted` the ids of those
    `expected_notes` that the record has; `settle` as in `RecordSystem`: what was written since is not missed."""
    line = _line(effects, system)
    if line is not None and line.state is EffectState.CLAIMED and now < (line.lease_until or 0):
        return []  # a worker is at it
    fresh = {one.id for one in effects if one.done_at is not None and now < one.done_at + int(settle * 1000)}
    if line is not None and line.id in fresh and _kept(line, found) is None:
        return []  # it may not be shown yet: written again, there would be two
    noted = {*noted, *fresh}
    closed = {one.reference for one in effects if one.id.startswith(f"twin#{system}#") and one.state.final}
    adopted = line.reference if line is not None else None  # a closed one that was looked up when the other was gone
    standing = [one for one in found if one.id not in closed or one.id == adopted]
    return [
        *_record(system, case, line, standing, effects),
        *_notes(system, case, line, standing, effects, noted),
        *_live(system, case, line, standing, effects),
    ]


def _record(
    system: str, case: Case, line: Effect | None, found: Sequence[Reference], effects: Sequence[Effect]
) -> Iterator[Difference]:
    kept, live = _kept(line, found), rightful(case, effects)
    elsewhere = live if live is not None and live.system != system else None
    if line is not None and line.state is EffectState.DONE:
        if kept is None and elsewhere and system in case.retired:
            yield from (Difference(Fault.DUPLICATE, system, case.id, one, live=elsewhere) for one in found)
        elif kept is None:
            gone = Reference(line.reference or "", line.url or "")
            yield Difference(Fault.MISSING, system, case.id, gone, line.id)
    elif found:
        if elsewhere and (line is None or line.state is EffectState.SUPERSEDED):
            yield from (Difference(Fault.DUPLICATE, system, case.id, one, live=elsewhere) for one in found)
            return
        kept = found[0]
        yield Difference(Fault.UNKNOWN_HERE, system, case.id, kept, record_id(system))
    elif line is not None and line.state is EffectState.REJECTED and live is None and system not in case.retired:
        yield Difference(Fault.REFUSED, system, case.id, effect=line.id)
    if kept is not None:
        first = Record(system=system, id=kept.id, url=kept.url)
        yield from (Difference(Fault.DUPLICATE, system, case.id, one, live=first) for one in found if one.id != kept.id)


def _notes(
    system: str,
    case: Case,
    line: Effect | None,
    found: Sequence[Reference],
    effects: Sequence[Effect],
    noted: Collection[str],
) -> Iterator[Difference]:
    kept = _kept(line, found)
    if kept is None:
        return
    for note in expected_notes(case, effects, system):
        if note.id not in noted:
            yield Difference(Fault.NOTE_MISSING, system, case.id, kept, note.id)
    for note in _refused(effects, system) if system not in case.retired else ():
        yield Difference(Fault.NOTE_REFUSED, system, case.id, kept, note.id)


def _live(
    system: str, case: Case, line: Effect | None, found: Sequence[Reference], effects: Sequence[Effect]
) -> Iterator[Difference]:
    right = rightful(case, effects)
    if right is None or right.system != system or _kept(line, found) is None:
        return
    named = case.record
    if named is None or (named.system, named.id) != (right.system, right.id):
        yield Difference(Fault.WRONG_LIVE, system, case.id, Reference(right.id, right.url), live=right)


def _kept(line: Effect | None, found: Sequence[Reference]) -> Reference | None:
    """The record there that the ledger knows of."""
    if line is None or line.state is not EffectState.DONE:
        return None
    return next((one for one in found if one.id == line.reference), None)


def strangers(system: str, listed: Iterable[tuple[Reference, str]], known: Collection[str]) -> list[Difference]:
    """Records whose key no case here has."""
    return [Difference(Fault.STRANGER, system, reference=one) for one, key in listed if key not in known]


def mending(difference: Difference, effects: Sequence[Effect], now: int) -> Mending | None:
    """What to write in order to mend it; None where a person has to decide, or somebody was faster."""
    lines = {one.id: one for one in effects}
    case, system, about = difference.case, difference.system, lines.get(difference.effect or "")
    written = about is not None and about.state is EffectState.DONE
    match difference.fault:
        case Fault.MISSING | Fault.REFUSED if about and about.state in {EffectState.DONE, EffectState.REJECTED}:
            # What was said while it was gone was refused; that, and the status, are to be there as well.
            told = [one for one in effects if _told(one, system) and one.generation == about.generation]
            again = [about, *_newest_status(effects, system), *_refused(effects, system), *told][:MOST]
            return Mending(changes=tuple((one, _unknown(one, now)) for one in again))
        case Fault.NOTE_REFUSED if about and about.state is EffectState.REJECTED:
            return Mending(changes=((about, _unknown(about, now)),))
        case Fault.UNKNOWN_HERE if case and not written:
            if about is None:
                return Mending(added=(_unknown(_record_line(case, system, now), now),))
            return Mending(changes=((about, _unknown(about, now)),))
        case Fault.NOTE_MISSING if about and written:
            return Mending(changes=((about, _unknown(about, now)),))
        case Fault.DUPLICATE if case and difference.reference:
            name, line = twin_id(system, difference.reference.id), lines.get(record_id(system))
            if line is not None and line.reference == difference.reference.id:
                return None
            return Mending() if name in lines else Mending(added=(_twin(case, system, difference.reference, now),))
        case Fault.WRONG_LIVE if case and (live := difference.live):
            detail = {"system": system, "reference": live.id, "url": live.url, "by": "reconcile"}
            name = digest("reconcile", case, live.system, live.id, str(now))
            event = CaseEvent(case=case, id=name, kind=Happening.RECORDED, at=now, detail=detail)
            return Mending(event=event, record=live)
        case _:
            return None


def _told(effect: Effect, system: str) -> bool:
    return effect.kind is EffectKind.BATCH and effect.target == system and effect.state is EffectState.DONE


def _unknown(effect: Effect, now: int) -> Effect:
    """The effect, to be looked up at once and carried out where it is not there. Its attempts count on. A wish is only
    open again: a note is begun for it."""
    return effect.model_copy(
        update={
            "state": EffectState.PLANNED if effect.kind is EffectKind.NOTE else EffectState.UNKNOWN,
            "due_at": now,
            "retry_at": None,
            "lease_until": None,
            "permit": None,
            "reference": None,
            "url": None,
            "done_at": None,
            "held": False,
            "first_refused_at": None,
            "error": "reconcile: to be looked up again",
        },
    )


def _line(effects: Sequence[Effect], system: str) -> Effect | None:
    return next((one for one in effects if one.id == record_id(system)), None)


def _record_line(case: str, system: str, now: int) -> Effect:
    return Effect(case=case, id=record_id(system), kind=EffectKind.RECORD, target=system, planned_at=now)


def _twin(case: str, system: str, reference: Reference, now: int) -> Effect:
    """Not due: only `reconcile` carries it out, and comparing again finds it."""
    return Effect(
        case=case,
        id=twin_id(system, reference.id),
        kind=EffectKind.RETIRE,
        target=system,
        planned_at=now,
        reference=reference.id,
        url=reference.url,
    )


def close(
    ledger: Ledger, there: RecordSystem, effect: Effect, live: Record, pace: Pace, now: Callable[[], int]
) -> Effect:
    """Carry out the closing of a duplicate: one note with the live record's address, then its status. The effect
    afterwards. Raises ConflictError where another is at it."""
    step = next_step(effect, now(), there.settle)
    if step is Next.WAIT:
        return effect
    held = claimed(effect, now(), pace.lease)
    ledger.claim(effect, held)
    reference, open_question = Reference(effect.reference or "", effect.url or ""), step is Next.LOOK_UP
    try:
        if step is not Next.LOOK_UP or there.find_note(reference, held.key) is None:
            open_question = False
            permit = there.reserve("note")
            text = f"Closed as a duplicate: this conversation is handled in {live.url or live.id}."
            there.add_note(reference, NoteDraft(text), held.key, permit)
        open_question = True  # the note is there: nobody may send it again without looking
        there.set_status(reference, "solved")
    except RemoteError as error:
        fail = doubtful(held, error, now(), pace) if open_question else failed(held, error, now(), pace, there.settle)
        after = fail.model_copy(update={"due_at": None})
    else:
        after = done(held, now(), reference.id, reference.url)
    ledger.settle([(held, after)], _closed(effect, after, live, now()))
    return after


def _closed(effect: Effect, after: Effect, live: Record, at: int) -> CaseEvent:
    detail = {"system": effect.target, "reference": effect.reference or "", "live": live.url or live.id}
    kinds = {EffectState.DONE: Happening.HANDED_BACK, EffectState.REJECTED: Happening.REFUSED}
    if after.error:
        detail["error"] = after.error
    name = digest(effect.id, str(after.attempt), "closed")
    kind = kinds.get(after.state, Happening.DELAYED)
    return CaseEvent(case=effect.case, id=name, kind=kind, at=at, detail=detail)
