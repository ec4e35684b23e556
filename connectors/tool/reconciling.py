"""One run of `hailback reconcile`: the ledger against a system of record, mended under the ledger's rules.

Speaks to the system itself, with its credentials from Secrets Manager and the operator's own AWS credentials.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.aws.cases import effect_item, event_item
from connectors.aws.config import ConfigStore
from connectors.aws.ledger import TableLedger
from connectors.aws.secrets import Credentials
from connectors.aws.systems import Systems
from connectors.aws.table import Item
from connectors.core.case import SHARDS, Case, Effect, EffectState, record_id
from connectors.core.errors import ConflictError, UnavailableError
from connectors.core.ledger import Pace
from connectors.core.ports import RecordSystem, Reference
from connectors.core.reconcile import (
    Difference,
    Fault,
    Mending,
    ask,
    close,
    compare,
    expected_notes,
    mending,
    record_keys,
    strangers,
    twin_id,
)
from connectors.tool.deployment import Deployment, DeploymentError

if TYPE_CHECKING:
    from connectors.core.case import Record

T = TypeVar("T")
STATES = ("open", "pending", "solved")
"""Whose records are compared; a case that is only counted has none, and there may be very many."""
_ENDS = 24 * 3600.0
_REMEDIES = {
    Fault.MISSING: "looked up once more and written again with its notes",
    Fault.UNKNOWN_HERE: "looked up by its worker and adopted",
    Fault.DUPLICATE: "linked to the one that stays, and closed",
    Fault.WRONG_LIVE: "named as the live record",
    Fault.NOTE_MISSING: "looked up once more and written again",
    Fault.REFUSED: "tried once more with its notes; mend first what the system refused",
    Fault.NOTE_REFUSED: "tried once more",
    Fault.STRANGER: "left to you: it is no case of this deployment",
}


@dataclass
class Found:
    """What a run found and did. `done` says it per difference."""

    system: str
    cases: int = 0
    listed: bool = False
    """Whether the system showed all its records, so that those of no case were seen."""
    twins: bool = False
    """Whether duplicates would have been seen."""
    differences: list[tuple[Difference, str]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As plain values."""
        rows = [_row(one, done) for one, done in self.differences]
        return {
            "system": self.system,
            "cases": self.cases,
            "listed": self.listed,
            "twins": self.twins,
            "differences": rows,
        }


class Reconciler:
    """One run over one system. `notes` says whether each note is looked for, which costs a call each; `there` is the
    system, built from the deployment's configuration and secrets unless it is given."""

    def __init__(
        self,
        deployment: Deployment,
        name: str,
        *,
        notes: bool = True,
        pace: Pace | None = None,
        there: RecordSystem | None = None,
        pause: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._deployment, self._notes, self._pace, self._sleep = deployment, notes, pace or Pace(), pause
        self._say, self.at, self._how = say or _silent, "", ""
        self._ledger = TableLedger(deployment.table)
        self._config = ConfigStore(deployment.client("dynamodb"), deployment.outputs["TableName"])
        self.system = self._named(name)
        self._there = there or self._built()

    def run(self, dry_run: bool = False, since: str = "") -> Found:
        """Compare, and mend unless `dry_run`; cases in the order of their ids, from `since` on.

        A busy system is waited for. Raises a RemoteError where it does not answer: what was mended until then stays
        mended, `found` has it, and `at` is the case to go on with."""
        found = self.found = Found(self.system)
        listed = self._listed()
        found.listed = listed is not None and not since
        found.twins = listed is not None or hasattr(self._there, "find_all")
        keys: set[str] = set()
        for case in self._cases(since):
            self.at = case.id
            effects = self._deployment.cases.effects(case.id)
            known = record_keys(case.id, self.system, effects)
            keys.update(known)
            if self.system not in (*case.systems, *case.engaged, *case.retired) and not (listed or {}).get(known[-1]):
                continue
            there = self._standing(effects, listed.get(known[-1], []) if listed is not None else self._found(known[-1]))
            noted = self._noted(case, effects, there)
            now = _now()
            for one in compare(self.system, case, effects, there, noted, now, self._there.settle):
                found.differences.append((one, "would be " + _REMEDIES[one.fault] if dry_run else self._mend(one)))
            found.cases += 1
        pairs = [(one, key) for key, references in (listed or {}).items() for one in references if not since]
        found.differences += [(one, _REMEDIES[Fault.STRANGER]) for one in strangers(self.system, pairs, keys)]
        return found

    def _ask(self, question: Callable[[], T]) -> T:
        def asked() -> T:
            try:
                return question()
            except UnavailableError as error:
                self._how = "does not answer" if error.retry_after is None else "is busy"
                raise

        return ask(asked, self._pause)

    def _pause(self, seconds: float) -> None:
        self._say(f"{self.system} {self._how}; waiting {seconds:.0f} s, then on with {self.at or 'the first case'}")
        self._sleep(seconds)

    def _named(self, name: str) -> str:
        plan = self._config.active_plan()
        known = sorted(plan.systems) if plan else []
        fitting = [one for one in known if name in {one, one.split("/")[-1]}]
        if len(fitting) == 1:
            return fitting[0]
        if "/" in name and self._config.system(name, with_deleted=True):
            return name
        raise DeploymentError(f"there is no system {name} in the plan; there are: {', '.join(known) or 'none yet'}")

    def _built(self) -> RecordSystem:
        credentials = Credentials(self._deployment.client("secretsmanager"))
        systems = Systems(self._config, credentials, allow_private=self._private(), call_seconds=20.0)
        return systems.system(self.system, time.monotonic() + _ENDS)

    def _private(self) -> bool:
        """As the machine itself is deployed."""
        answer = self._deployment.client("lambda").get_function_configuration(
            FunctionName=self._deployment.functions["SyncRecord"]
        )
        said = answer.get("Environment", {}).get("Variables", {})
        return str(said.get("ALLOW_PRIVATE_SYSTEMS", "false")).lower() == "true"

    def _cases(self, since: str) -> Iterator[Case]:
        """All of them, whatever their state, in an order that stays; from an index, so one that was just opened may be
        missing."""
        names: set[str] = set()
        for state in STATES:
            for shard in range(SHARDS):
                values = {":s": f"{state}#{shard}"}
                entries = self._deployment.table.query_index("state", "state_shard = :s", values)
                names.update(entry["id"] for entry in entries)
        for name in sorted(names):
            case = self._deployment.cases.case(name) if name >= since else None
            if case is not None:
                yield case

    def _listed(self) -> dict[str, list[Reference]] | None:
        """All records there by their key, oldest first; None where the connector cannot list them."""
        records = getattr(self._there, "records", None)
        if records is None:
            return None
        found: dict[str, list[Reference]] = defaultdict(list)
        for reference, key in self._ask(lambda: list(records())):
            found[key].append(reference)
        return found

    def _found(self, key: str) -> list[Reference]:
        """Asked of each case, also where the ledger has no line: that may be what is wrong."""
        if (find_all := getattr(self._there, "find_all", None)) is not None:
            return list(self._ask(lambda: find_all(key)))
        found = self._ask(lambda: self._there.find(key))
        return [found] if found else []

    def _standing(self, effects: list[Effect], there: list[Reference]) -> list[Reference]:
        """With the record that the ledger knows of, should it only be left out of what the system lists."""
        line = next((one for one in effects if one.id == record_id(self.system)), None)
        stands = getattr(self._there, "stands", None)
        if stands is None or line is None or line.state is not EffectState.DONE or not line.reference:
            return there
        known = Reference(line.reference, line.url or "")
        if any(one.id == known.id for one in there) or not self._ask(lambda: stands(known)):
            return there
        return sorted([known, *there], key=lambda one: (len(one.id), one.id))

    def _noted(self, case: Case, effects: list[Effect], there: list[Reference]) -> set[str]:
        """Asked in a way that changes nothing, where the connector has one."""
        wanted = expected_notes(case, effects, self.system)
        line = next((one for one in effects if one.id == record_id(self.system)), None)
        kept = next((one for one in there if line is not None and one.id == line.reference), None)
        if kept is None or not self._notes or not wanted:
            return {one.id for one in wanted}
        if (look := getattr(self._there, "noted", None)) is not None:
            keys = self._ask(lambda: look(kept, [one.key for one in wanted]))
            return {one.id for one in wanted if one.key in keys}
        return {one.id for one in wanted if self._ask(partial(self._there.find_note, kept, one.key)) is not None}

    def _mend(self, difference: Difference) -> str:
        """Write it on the ledger as it is now; what was done."""
        if difference.case is None:
            return _REMEDIES[difference.fault]
        effects = self._deployment.cases.effects(difference.case)
        change = mending(difference, effects, _now())
        if change is None:
            return "left: somebody was faster"
        try:
            self._write(change)
            if difference.fault is Fault.DUPLICATE and difference.reference and difference.live:
                return self._close(difference.case, difference.reference, difference.live)
        except ConflictError:
            return "left: a worker is at it; run this again"
        return _REMEDIES[difference.fault]

    def _close(self, case: str, reference: Reference, live: Record) -> str:
        effect = self._ledger.effect(case, twin_id(self.system, reference.id))
        if effect is None:
            return "left: somebody was faster"
        after = close(self._ledger, self._there, effect, live, self._pace, _now)
        return _REMEDIES[Fault.DUPLICATE] if after.state is EffectState.DONE else f"{after.state}: {after.error}"

    def _write(self, change: Mending) -> None:
        if change.added:
            table = self._deployment.table
            actions: list[Item] = [
                table.put_action(effect_item(one), "attribute_not_exists(pk)") for one in change.added
            ]
            actions += [table.put_action(event_item(change.event))] if change.event else []
            table.transact(actions)
        elif change.changes or change.event:
            self._ledger.settle(change.changes, change.event, change.record)


def _silent(words: str) -> None:
    """Where nobody looks on."""
    del words


def _now() -> int:
    return int(time.time() * 1000)


def _row(one: Difference, done: str) -> dict[str, Any]:
    return {
        "fault": one.fault.value,
        "case": one.case,
        "reference": one.reference.id if one.reference else None,
        "url": one.reference.url if one.reference else None,
        "effect": one.effect,
        "live": one.live.model_dump() if one.live else None,
        "done": done,
    }
