"""The ledger of effects in the table. Every write is conditional on the attempt that it was decided on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from connectors.aws.cases import effect_item, effect_key, event_item
from connectors.aws.open_notes import OpenNotes, marks, open_still
from connectors.aws.table import Item, Table
from connectors.core.case import Case, CaseEvent, Effect, EffectKind, EffectState, Record, shard
from connectors.core.compose import moment
from connectors.core.errors import ConflictError
from connectors.core.ledger import Shift

REFUSED = "refused#"
"""With a shard's number, where the *due* index keeps what was refused, by when: no sweep looks there, `doctor` does."""
_UNCHANGED = "attempt = :a AND #state = :s"
_ELSEWHERE = frozenset({EffectKind.NOTIFY, EffectKind.REPLY})
"""Their refusals are told to people: the next topic, whoever wrote the answer."""


class TableLedger:
    """See `connectors.core.ledger.Ledger`."""

    def __init__(self, table: Table) -> None:
        self._table, self._open = table, OpenNotes(table, _effect)

    def effect(self, case: str, effect_id: str) -> Effect | None:
        """One line of the ledger, or None."""
        item = self._table.get(*effect_key(case, effect_id))
        return _effect(item) if item else None

    def case(self, case: str) -> Case | None:
        """A case as it is now, or None."""
        item = self._table.get(f"CASE#{case}", "META")
        return Case.model_validate(item) if item else None

    def lines(self, case: str, prefix: str) -> list[Effect]:
        """Effects whose id begins with `prefix`, final or not, oldest plan first."""
        found = (_effect(item) for item in self._table.query(*effect_key(case, prefix)))
        return sorted(found, key=lambda effect: (effect.planned_at, effect.id))

    def plan(self, effect: Effect) -> bool:
        """Write one line, unless there is one of that id already; whether it was written."""
        try:
            self._table.transact(self._written([], [effect]))
        except ConflictError:
            return False
        return True

    def pending(self, case: str, prefix: str, limit: int) -> list[Effect]:
        """Up to `limit` effects whose id begins with `prefix` and that may still be worked on, oldest plan first.

        A note's wish that a batch has taken over is not among them: its batch is."""
        if self._open.covers(prefix):
            return self._open.oldest(case, prefix, limit)
        return list(islice(filter(open_still, self.lines(case, prefix)), limit))

    def claim(self, before: Effect, after: Effect) -> None:
        """Replace `before` by `after`. Raises ConflictError when somebody wrote it since it was read."""
        self._table.transact(self._written([(before, after)]))

    def settle(
        self,
        changes: Sequence[tuple[Effect, Effect]],
        event: CaseEvent | None = None,
        record: Record | None = None,
        shift: Shift | None = None,
    ) -> None:
        """See `connectors.core.ledger.Ledger.settle`."""
        actions = self._written(changes, shift.planned if shift is not None else ())
        if event is not None:
            actions.append(self._table.put_action(event_item(event)))
            if record is not None:
                actions.append(self._lead_back(event.case, record))
                if shift is None:
                    actions.append(self._name_record(event, record))
        if shift is not None:
            actions += [self._table.put_action(event_item(more)) for more in shift.events]
            actions.append(self._shift(shift))
        self._table.transact(actions)

    def hand_on(
        self, changes: Sequence[tuple[Effect, Effect]], planned: Sequence[Effect], event: CaseEvent | None = None
    ) -> None:
        """Replace effects and plan new ones in one transaction. Raises ConflictError when another did either."""
        actions = self._written(changes, planned)
        if event is not None:
            actions.append(self._table.put_action(event_item(event)))
        self._table.transact(actions)

    def batch(self, batch: Effect, members: Sequence[tuple[Effect, Effect]]) -> None:
        """Plan one note for several wishes. Raises ConflictError when another took one of them."""
        self._table.transact(self._written(members, [batch]))

    def _written(self, changes: Sequence[tuple[Effect, Effect]], planned: Sequence[Effect] = ()) -> list[Item]:
        """Lines that change, each if nobody else changed it, and lines that are new; with the names of open notes."""
        actions = [self._replace(before, after) for before, after in changes]
        actions += [self._table.put_action(effect_item(new), "attribute_not_exists(pk)") for new in planned]
        return actions + marks(self._table, planned, changes)

    def _replace(self, before: Effect, after: Effect) -> Item:
        put = self._table.put_action(
            {**effect_item(after), **_refused(after)},
            _UNCHANGED,
            {":a": before.attempt, ":s": before.state.value},
        )
        put["Put"]["ExpressionAttributeNames"] = {"#state": "state"}
        return put

    def _lead_back(self, case: str, record: Record) -> Item:
        """What tells whose record it is, when its system speaks of it."""
        key = {"pk": f"RECORD#{record.system}#{record.id}", "sk": "META"}
        return self._table.put_action({**key, "type": "record", "case": case, "system": record.system})

    def _shift(self, shift: Shift) -> Item:
        before, after = shift.before, shift.after
        values: Item = {":e": list(after.engaged), ":r": list(after.retired)}
        change = "SET engaged = :e, retired = :r"
        if after.record is not None:
            values[":record"] = after.record.model_dump()
            change += ", #record = :record"
        condition = "attribute_exists(pk)"
        for name, was in (("engaged", list(before.engaged)), ("retired", list(before.retired))):
            if was:
                values[f":was_{name}"] = was
                condition += f" AND {name} = :was_{name}"
            else:
                values[":none"] = []
                condition += f" AND (attribute_not_exists({name}) OR {name} = :none)"
        if before.record is None:
            condition += " AND attribute_not_exists(#record)"
        else:
            values[":was_record"] = before.record.model_dump()
            condition += " AND #record = :was_record"
        action = self._table.update_action(f"CASE#{before.id}", "META", change, values, condition)
        action["Update"]["ExpressionAttributeNames"] = {"#record": "record"}  # a word that DynamoDB keeps to itself
        return action

    def _name_record(self, event: CaseEvent, record: Record) -> Item:
        named = self._table.update_action(
            f"CASE#{event.case}",
            "META",
            "SET #record = :record, updated_at = :at",
            {":record": record.model_dump(), ":at": moment(event.at)},
            "attribute_exists(pk)",
        )
        named["Update"]["ExpressionAttributeNames"] = {"#record": "record"}  # a word that DynamoDB keeps to itself
        return named


def _effect(item: Item) -> Effect:
    effect = Effect.model_validate(item)
    return effect.model_copy(update={"due_at": None}) if effect.state is EffectState.REJECTED else effect


def _refused(effect: Effect) -> Item:
    """What keeps a refusal upon a record where it can be found. A note's posts are found with the note."""
    if effect.state is not EffectState.REJECTED or effect.batch is not None or effect.kind in _ELSEWHERE:
        return {}
    return {"due_shard": f"{REFUSED}{shard(effect.case)}", "due_at": effect.done_at}
