"""What people did on records, taken in once each and read again: their words lie in one place, as mentions' do.

Only a record that stands for a case is of interest. Whose record it is says `RECORD#<system>#<reference>`, which is
written when the record is known to exist; an update may be faster than that, so the caller waits and asks again.
"""

from __future__ import annotations

from collections.abc import Callable

from connectors.aws.blobs import INLINE, Blobs, expand, squeeze
from connectors.aws.cases import event_item, keep_until
from connectors.aws.table import Item, Table
from connectors.core.case import Case, CaseEvent, Happening, shard
from connectors.core.compose import UpdateWords, moment
from connectors.core.identity import digest
from connectors.core.ingest import Taken
from connectors.core.models import RecordUpdate

_HAPPENINGS = {"note": Happening.REMARKED, "reply": Happening.ANSWERED, "status": Happening.MOVED}
_TAKEN = {"note": Taken.REMARKED, "reply": Taken.ANSWERED, "status": Taken.MOVED}


def update_id(system: str, update: RecordUpdate) -> str:
    """The name of an update: two systems of one kind may well have records of the same number."""
    return f"{system}:{update.reference}/{update.native_id}"


def record_key(system: str, reference: str) -> tuple[str, str]:
    """Where it says which case a record stands for."""
    return f"RECORD#{system}#{reference}", "META"


class Updates:
    """Record updates in the table. `grace` is in milliseconds, as in `Intake`."""

    def __init__(
        self, table: Table, blobs: Blobs, *, now: Callable[[], int], grace: int = 60_000, text_days: int = 90
    ) -> None:
        self._table, self._blobs, self._now = table, blobs, now
        self._grace, self._text_days = grace, text_days

    def take_in(self, update: RecordUpdate, system: str) -> Taken:
        """Keep one update. Raises ConflictError where a writer of the same case was faster: read again."""
        if update.own:
            return Taken.OWN
        name = update_id(system, update)
        if self._table.get(f"UPDATE#{name}", "META") is not None:
            return Taken.DUPLICATE
        holder = self._table.get(*record_key(system, update.reference))
        row = self._table.get(f"CASE#{holder['case']}", "META") if holder else None
        if row is None:
            return Taken.UNKNOWN_RECORD
        case = Case.model_validate(row)
        now = self._now()
        actions = [
            self._table.put_action(self._meta(update, name, system, case.id, now), "attribute_not_exists(pk)"),
            self._table.put_action(self._text(update, name, now)),
            self._table.put_action(event_item(self._event(update, name, system, case.id, now))),
        ]
        if update.status is not None and system not in case.retired:
            actions += self._moves(row, update, now)
        self._table.transact(actions)
        return _TAKEN[update.kind]

    def words(self, update_id: str) -> UpdateWords | None:
        """What somebody wrote, as known now; None for an update that was never taken in."""
        pk = f"UPDATE#{update_id}"
        meta = self._table.get(pk, "META")
        if meta is None:
            return None
        update = self._said(self._table.get(pk, "TEXT") or {})
        at = meta.get("at")
        return UpdateWords(
            author=(update.author.name or update.author.handle) if update and update.author else None,
            text=update.text if update and update.kind != "status" else None,
            url=meta.get("url"),
            system=meta["system"],
            at=f"{moment(at)[:16].replace('T', ' ')} UTC" if at else None,
        )

    def _said(self, text: Item) -> RecordUpdate | None:
        if "body" in text:
            return RecordUpdate.model_validate_json(expand(text["body"]))
        if "blob" in text:
            return RecordUpdate.model_validate_json(expand(self._blobs.get(text["blob"])))
        return None

    def _moves(self, row: Item, update: RecordUpdate, now: int) -> list[Item]:
        """The case follows its records' status. Of two changes that overtook each other the later one counts."""
        at = _milliseconds(update, now)
        before = row.get("state_at")
        if before is not None and at < before:
            return []
        known = "attribute_not_exists(state_at)" if before is None else "state_at = :before"
        change = self._table.update_action(
            row["pk"],
            row["sk"],
            "SET #state = :state, state_shard = :shard, state_at = :at, updated_at = :now",
            {
                ":state": update.status,
                ":shard": f"{update.status}#{shard(row['id'])}",
                ":at": at,
                ":now": moment(now),
                **({} if before is None else {":before": before}),
            },
            f"attribute_exists(pk) AND {known}",
        )
        change["Update"]["ExpressionAttributeNames"] = {"#state": "state"}  # a word that DynamoDB keeps to itself
        return [change]

    def _meta(self, update: RecordUpdate, name: str, system: str, case: str, now: int) -> Item:
        return {
            "pk": f"UPDATE#{name}",
            "sk": "META",
            "type": "update",
            "id": name,
            "case": case,
            "system": system,
            "reference": update.reference,
            "native_id": update.native_id,
            "kind": update.kind,
            "status": update.status,
            "url": update.url,
            "at": _milliseconds(update, now),
            "expires_at": keep_until(now, 400),
        }

    def _text(self, update: RecordUpdate, name: str, now: int) -> Item:
        row: Item = {"pk": f"UPDATE#{name}", "sk": "TEXT", "type": "text"}
        row["expires_at"] = keep_until(now, self._text_days)
        body = squeeze(update.model_dump_json().encode())
        if len(body) <= INLINE:
            return {**row, "body": body}
        row["blob"] = f"text/update/{digest(name, length=32)}"
        self._blobs.put(row["blob"], body)
        return row

    def _event(self, update: RecordUpdate, name: str, system: str, case: str, now: int) -> CaseEvent:
        detail = {"system": system, "update": name, "at": str(_milliseconds(update, now))}
        if update.status is not None:
            detail["status"] = update.status
        return CaseEvent(
            case=case,
            id=digest(name, update.kind),
            kind=_HAPPENINGS[update.kind],
            at=now,
            detail=detail,
            due_at=now + self._grace,
        )


def _milliseconds(update: RecordUpdate, now: int) -> int:
    """When it was done there; our own clock where the system does not say."""
    return int(update.at.timestamp() * 1000) if update.at else now
