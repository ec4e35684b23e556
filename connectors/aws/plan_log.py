"""The plan's history, and what deployments were refused for: what `configure_stack` leaves for people to read.

PLAN#HISTORY  / AT#<time>#<number>#<request>   which version came into force, for ever
PLAN#FINDINGS / AT#<time>#<request>   all that was wrong with a deployment that was refused, for a week
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from connectors.aws.table import Item, Table
from connectors.core.plan import canonical
from connectors.core.plan_ports import Activation, Outcome, Refusal

HISTORY, FINDINGS = "PLAN#HISTORY", "PLAN#FINDINGS"
REQUEST_LIFE = 7 * 24 * 3600
"""Seconds for which the outcome of a request is kept."""
MOST_KEPT = 200_000
"""Bytes of findings in one item, which takes 400 KB. The log has those that are left out."""


class PlanLog:
    """Reads both, newest first. Parts of the table; nothing is cached."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def activations(self, limit: int | None = None) -> Iterator[Activation]:
        """Which versions were in force."""
        for item in self._table.query(HISTORY, "AT#", newest=True, limit=limit):
            names = ("version", "at", "action", "resource", "stack_id", "request_id")
            said = {name: item.get(name, "") for name in names}
            yield Activation(
                **said, parts=item.get("parts", {}), number=item.get("number", 0), off=tuple(item.get("off", ()))
            )

    def refusals(self, limit: int | None = None) -> Iterator[Refusal]:
        """Deployments that were refused."""
        for item in self._table.query(FINDINGS, "AT#", newest=True, limit=limit):
            yield Refusal(
                resource=item["resource"],
                request_id=item["request_id"],
                at=item["at"],
                findings=tuple(item["findings"]),
                left_out=item.get("left_out", 0),
            )

    def keep(self, request_id: str, outcome: Outcome) -> None:
        """Keep the findings of a request. Twice does no harm but that they are listed twice."""
        if outcome.ok:
            return
        now = datetime.now(UTC)
        findings = fitting(outcome.findings)
        self._table.put(
            {
                "pk": FINDINGS,
                "sk": f"AT#{now.isoformat(timespec='milliseconds')}#{request_id}",
                "type": "refusal",
                "resource": outcome.physical_id,
                "request_id": request_id,
                "at": now.isoformat(timespec="seconds"),
                "findings": list(findings),
                "left_out": len(outcome.findings) - len(findings),
                "expires_at": expiry(),
            }
        )


def activation_action(table: Table, line: Activation) -> Item:
    """The line of the history, in the transaction that moves the pointer."""
    key = {"pk": HISTORY, "sk": f"AT#{line.at}#{line.number:09}#{line.request_id}"}
    return table.put_action({**key, "type": "activation", **asdict(line)})


def fitting(sentences: Sequence[str], most: int = MOST_KEPT) -> tuple[str, ...]:
    """The first of these that fit into `most` bytes."""
    size = 0
    for count, sentence in enumerate(sentences):
        size += len(sentence.encode()) + 8
        if size > most:
            return tuple(sentences[:count])
    return tuple(sentences)


def settled(outcome: Outcome) -> Item:
    """The values under which a request's outcome is written, within what an item takes."""
    kept = {**asdict(outcome), "findings": fitting(outcome.findings), "warnings": fitting(outcome.warnings, 50_000)}
    return {":outcome": canonical(kept), ":expires": expiry()}


def expiry() -> int:
    """When DynamoDB may forget what is written now; in seconds."""
    return int(time.time()) + REQUEST_LIFE
