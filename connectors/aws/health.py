"""How the credentials of each source are, in the table: `HEALTH#<source>`, written only when that changes.

Also which sources there are: `SOURCES / <id>`, written when one is deployed; `config` says whether it still is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws.table import Item, Table
from connectors.core.errors import ConflictError
from connectors.core.health import Health, Seen, TokenHealth, TokenState, Use
from connectors.core.watched import Note

_LOG = logging.getLogger(__name__)
_TRIES = 4
SOURCES = "SOURCES"
_NAMES = frozenset(use.value for use in Use)


def health_key(source: str) -> tuple[str, str]:
    """Where it says how a source's credentials are."""
    return f"HEALTH#{source}", "META"


def register_action(table: Table, source: str, connector: str | None = None) -> Item:
    """A source joins the list, as part of the transaction that deploys it. Repeatable."""
    said = {"connector": connector} if connector else {}
    return table.put_action({"pk": SOURCES, "sk": source, "type": "source", **said})


def registered(table: Table, connector: str | None = None) -> list[str]:
    """The ids of all sources that were ever deployed; those of one connector, and those that do not say of which."""
    rows = table.query(SOURCES)
    return [str(item["sk"]) for item in rows if connector is None or item.get("connector", connector) == connector]


class TableHealth:
    """Health in the table. `now` is in milliseconds."""

    def __init__(self, table: Table, now: Callable[[], int]) -> None:
        self._table, self._now = table, now

    def known(self, source: str) -> Health:
        """What is known; nothing yet where there is no row."""
        return _read(source, self._table.get(*health_key(source)) or {})

    def note(self, source: str, use: Use, seen: TokenHealth) -> None:
        """Keep what a use met. Never raises: what got lost is seen again at the next call."""
        self._keep(source, lambda known: known.after(use, seen, self._now()))

    def notes_of(self, source: str) -> Note:
        """`note` for one source."""
        return lambda use, seen: self.note(source, use, seen)

    def forget(self, source: str, use: Use) -> None:
        """What a use met was about credentials that are no longer there. Never raises."""
        self._keep(source, lambda known: known.without(use))

    def unusable(self, source: str, why: str | None) -> None:
        """Keep why nothing can be called with these credentials, or that it can again. Never raises."""
        self._keep(source, lambda known: Health(known.source, known.uses, known.checked_at, why))

    def claim_check(self, source: str, every: float) -> bool:
        """Whether it is time to try the credentials out, and this worker the one to do it. `every` is in seconds."""
        now = self._now()
        row = self._table.get(*health_key(source)) or {}
        known = _read(source, row)
        if known.checked_at > now - int(every * 1000):
            return False
        try:
            self._save(row, Health(source, known.uses, now, known.unusable))
        except ConflictError:
            return False  # another does, or will
        return True

    def _keep(self, source: str, change: Callable[[Health], Health]) -> None:
        try:
            for _ in range(_TRIES):
                row = self._table.get(*health_key(source)) or {}
                known = _read(source, row)
                after = change(known)
                if after == known:
                    return
                with suppress(ConflictError):
                    self._save(row, after)
                    return
        except (ClientError, BotoCoreError):
            _LOG.warning("how the credentials of %s are could not be kept", source)

    def _save(self, row: Item, after: Health) -> None:
        pk, sk = health_key(after.source)
        rev = int(row.get("rev", 0))
        item = {"pk": pk, "sk": sk, "type": "health", "id": after.source, "rev": rev + 1}
        item |= {"checked_at": after.checked_at, "unusable": after.unusable}
        item["uses"] = {use.value: _row(seen) for use, seen in after.uses.items()}
        condition = "rev = :rev" if rev else "attribute_not_exists(pk)"
        self._table.put(item, condition, {":rev": rev} if rev else None)


def _row(seen: Seen) -> Item:
    health = seen.health
    row = {"state": health.state.value, "detail": health.detail, "since": seen.since}
    return row if health.until is None else {**row, "until": health.until}


def _read(source: str, row: Item) -> Health:
    uses: dict[Use, Seen] = {}
    for name, said in row.get("uses", {}).items():
        if name in _NAMES:
            uses[Use(name)] = _seen(said)
    return Health(source, uses, int(row.get("checked_at", 0)), row.get("unusable"))


def _seen(said: dict[str, Any]) -> Seen:
    health = TokenHealth(TokenState(said["state"]), str(said.get("detail", "")), said.get("until"))
    return Seen(health, int(said["since"]))
