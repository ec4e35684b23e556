"""A case is open again when its customer says something after it was closed, in whatever order the two are heard of.

Looks after the fact: whoever writes second, the post or the change of status, sees what the other wrote. Looking again
changes nothing.
"""

from __future__ import annotations

from contextlib import suppress

from connectors.aws.cases import event_item, mention_key
from connectors.aws.table import Item, Table
from connectors.core.case import COUNTED, CaseEvent, Happening, shard
from connectors.core.compose import moment
from connectors.core.errors import ConflictError
from connectors.core.identity import digest


class Reopening:
    """`now` and `grace` are in milliseconds, as in `Updates`."""

    def __init__(self, table: Table, *, grace: int) -> None:
        self._table, self._grace = table, grace

    def after_post(self, mention: str, now: int) -> bool:
        """A post was taken in, or is known already; whether its case is open again. Edits open nothing."""
        post = self._table.get(*mention_key(mention)) or {}
        row = self._table.get(f"CASE#{post['case']}", "META") if post.get("case") and not _mute(post) else None
        if row is None or not _closed(row) or post["first_seen"] < row.get("state_at", 0):
            return False
        return self._open(row, mention, post["first_seen"], now)

    def after_move(self, update: str, now: int) -> bool:
        """A record's status was changed; whether its customer had said more by then than whoever changed it saw."""
        move = self._table.get(f"UPDATE#{update}", "META") or {}
        row = self._table.get(f"CASE#{move['case']}", "META") if move.get("case") else None
        if row is None or not _closed(row):
            return False
        for event in self._table.query(f"CASE#{row['id']}#0", "EVENT#", newest=True):
            if event["at"] < row.get("state_at", 0):
                break
            if event["kind"] == Happening.SAID and self.after_post(event["mention"], now):
                return True
        return False

    def _open(self, row: Item, mention: str, seen: int, now: int) -> bool:
        event = CaseEvent(
            case=row["id"],
            id=digest("reopened", mention),
            kind=Happening.REOPENED,
            at=now,
            detail={"mention": mention, "at": str(seen), "status": "open"},
            due_at=now + self._grace,
        )
        before = row.get("state_at")
        known = "attribute_not_exists(state_at)" if before is None else "state_at = :before"
        change = self._table.update_action(
            row["pk"],
            row["sk"],
            "SET #state = :state, state_shard = :shard, state_at = :at, updated_at = :now",
            {
                ":state": "open",
                ":shard": f"open#{shard(row['id'])}",
                ":at": seen,
                ":now": moment(now),
                **({} if before is None else {":before": before}),
            },
            f"attribute_exists(pk) AND {known}",
        )
        change["Update"]["ExpressionAttributeNames"] = {"#state": "state"}  # a word that DynamoDB keeps to itself
        with suppress(ConflictError):  # it was opened, or moved, by another meanwhile, who looks as well
            self._table.transact([change, self._table.put_action(event_item(event), "attribute_not_exists(pk)")])
            return True
        return False


def _closed(row: Item) -> bool:
    """Solved, or waiting for the customer. One that is only counted is not: dispatching opens it, or does not."""
    return row.get("state", "open") not in {"open", COUNTED}


def _mute(post: Item) -> bool:
    """Our own, or removed since."""
    return bool(post.get("own")) or post.get("removed") is not None
