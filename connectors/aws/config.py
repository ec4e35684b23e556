"""Sources, systems and plans in the table: immutable versions, and pointers that say which are in force.

    CONFIG#<stack>/<name> / VERSION#<hash>   a source or a system, for ever
    CONFIG#<stack>/<name> / ACTIVE           the version in force, or a tombstone
    CONFIG#<stack>/<name> / ORDER            how many requests there were for this resource
    PLAN#<version>        / CHUNK#0000…      a compiled plan, for ever
    PLAN#ACTIVE           / POINTER          the plan in force, or a tombstone
    REQUEST#<id>          / REQUEST          a request of CloudFormation and its outcome, for a week

`configure_stack` reads consistently and past the cache; the other functions read pointers that are at most `ttl`
seconds old. The table's name is given, never read from the environment.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from connectors.aws.cursors import begin_action
from connectors.aws.health import register_action
from connectors.aws.table import SCHEMA, Item, Table, pack
from connectors.core.errors import ConflictError
from connectors.core.plan import Plan, SourceConfig, SystemConfig, canonical
from connectors.core.plan_ports import Begun, Change, Outcome, Pointer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CHUNK = 300_000
"""Bytes of a plan in one item; DynamoDB takes 400 KB with the names of the attributes."""
REQUEST_LIFE = 7 * 24 * 3600
"""Seconds for which the outcome of a request is kept."""
PLAN = "PLAN#ACTIVE"

_Config = TypeVar("_Config", SourceConfig, SystemConfig)


class ConfigStore:
    """The table as `configure_stack` writes it (`core.plan_ports.Store`), and a light reader for everybody else."""

    def __init__(
        self,
        client: DynamoDBClient,
        table_name: str,
        ttl: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table = Table(client, table_name, sleep)
        self._ttl = ttl
        self._clock = clock
        self._pointers: dict[str, tuple[float, Pointer]] = {}
        self._documents: dict[tuple[str, str], SourceConfig | SystemConfig | Plan] = {}

    def source(self, name: str, with_deleted: bool = False) -> SourceConfig | None:
        """The source by id (`stack/logicalId`); None for what never existed or, unless asked for, was deleted."""
        return self._active_config(name, SourceConfig, with_deleted)

    def system(self, name: str, with_deleted: bool = False) -> SystemConfig | None:
        """The system by id, as `source`. A case asks its own plan instead: `plan(version).systems[id]`."""
        return self._active_config(name, SystemConfig, with_deleted)

    def active_plan(self) -> Plan | None:
        """The plan in force; None before the first and after the last: mentions are held until there is one."""
        pointer = self._cached(PLAN, self.plan_pointer)
        return self.plan(pointer.version) if pointer and pointer.live else None

    def plan(self, version: str) -> Plan | None:
        """A compiled plan by its version, in force or not. Raises ValueError where its chunks do not fit together."""
        key = (f"PLAN#{version}", "")
        known = self._documents.get(key)
        if isinstance(known, Plan):
            return known
        chunks = list(self._table.query(key[0], "CHUNK#"))
        if not chunks or len(chunks) < chunks[0]["chunks"]:
            return None  # never written, or still being written
        plan = Plan.model_validate_json("".join(chunk["body"] for chunk in chunks))
        if plan.version != version:
            raise ValueError(f"PLAN#{version} holds plan {plan.version}")
        self._documents[key] = plan
        return plan

    def pointer(self, name: str) -> Pointer | None:
        """The pointer of a source or system, read now."""
        return _pointer(self._table.get(f"CONFIG#{name}", "ACTIVE"))

    def plan_pointer(self) -> Pointer | None:
        """The pointer of the plan, read now."""
        return _pointer(self._table.get(PLAN, "POINTER"))

    def stored_system(self, name: str, version: str) -> SystemConfig | None:
        """An immutable version of a system."""
        return self._stored(name, version, SystemConfig)

    def knows(self, document: SourceConfig | SystemConfig | Plan) -> bool:
        """Whether this very version was written before."""
        if isinstance(document, Plan):
            return self.plan(document.version) is not None
        return self._table.get(f"CONFIG#{document.id}", f"VERSION#{document.hash}") is not None

    def begin(self, request_id: str, resource: str) -> Begun:
        """Give a request its place in the order of its resource's requests; the same place if it comes again.

        Raises `ConflictError` where a twin of it is being noted at this moment.
        """
        seen = self._table.get(f"REQUEST#{request_id}", "REQUEST")
        if seen is not None:
            return Begun(seen.get("ticket", 0), _outcome(seen))
        order = self._table.get(f"CONFIG#{resource}", "ORDER")
        last = order["ticket"] if order else 0
        noted = {"resource": resource, "ticket": last + 1, "expires_at": _expiry()}
        self._table.transact(
            [
                self._table.put_action(
                    {"pk": f"CONFIG#{resource}", "sk": "ORDER", "ticket": last + 1},
                    "ticket = :last" if last else "attribute_not_exists(pk)",
                    {":last": last} if last else None,
                ),
                self._table.put_action({**_request(request_id), **noted}, "attribute_not_exists(pk)"),
            ]
        )
        return Begun(last + 1)

    def settle(self, request_id: str, outcome: Outcome) -> Outcome:
        """Keep the outcome of a request that changed nothing; the kept one where there already is one."""
        pk, sk = _request(request_id).values()
        try:
            self._table.update(
                pk,
                sk,
                f"{_SETTLE}, #schema = :schema",
                {**_settled(outcome), ":schema": SCHEMA},
                "attribute_not_exists(outcome)",
                {"#schema": "schema"},
            )
        except ConflictError:
            seen = self._table.get(pk, sk)
            return (_outcome(seen) if seen else None) or outcome
        return outcome

    def commit(self, change: Change) -> None:
        """Write the documents, then move pointers and outcome in one transaction. Raises `ConflictError`."""
        if change.config is not None:
            config = change.config
            body = {"kind": change.moves[0].kind, "body": canonical(config.model_dump(mode="json"))}
            self._put_once({"pk": f"CONFIG#{config.id}", "sk": f"VERSION#{config.hash}", **body})
        if change.plan is not None:
            text = canonical(change.plan.model_dump(mode="json"))
            parts = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
            for number, part in enumerate(parts):
                key = {"pk": f"PLAN#{change.plan.version}", "sk": f"CHUNK#{number:04}"}
                self._put_once({**key, "body": part, "chunks": len(parts)})
        pk, sk = _request(change.request_id).values()
        actions = [
            self._table.update_action(pk, sk, _SETTLE, _settled(change.outcome), "attribute_not_exists(outcome)"),
            *(self._table.put_action(_moved(pointer), *_unmoved(pointer.revision - 1)) for pointer in change.moves),
            *(self._holding(pointer) for pointer in change.holds),
        ]
        if change.poll is not None and change.config is not None:
            actions.append(begin_action(self._table, change.config.id, change.poll, int(time.time() * 1000)))
        if isinstance(change.config, SourceConfig):
            actions.append(register_action(self._table, change.config.id))
        self._table.transact(actions)
        self._pointers.clear()

    def _active_config(self, name: str, model: type[_Config], with_deleted: bool) -> _Config | None:
        pointer = self._cached(f"CONFIG#{name}", lambda: self.pointer(name))
        if pointer is None or not (pointer.live or with_deleted):
            return None
        if pointer.kind != ("source" if model is SourceConfig else "system"):
            return None
        return self._stored(name, pointer.version, model)

    def _stored(self, name: str, version: str, model: type[_Config]) -> _Config | None:
        key = (f"CONFIG#{name}", version)
        known = self._documents.get(key)
        if isinstance(known, model):
            return known
        item = self._table.get(key[0], f"VERSION#{version}")
        if item is None or item["kind"] != ("source" if model is SourceConfig else "system"):
            return None
        config = model.model_validate_json(item["body"])
        self._documents[key] = config
        return config

    def _cached(self, key: str, read: Callable[[], Pointer | None]) -> Pointer | None:
        """What is not there is not kept: a source just deployed is seen at once."""
        now = self._clock()
        at, pointer = self._pointers.get(key, (0.0, None))
        if pointer is None or now - at >= self._ttl:
            pointer = read()
            if pointer is None:
                self._pointers.pop(key, None)
            else:
                self._pointers[key] = (now, pointer)
        return pointer

    def _put_once(self, item: Item) -> None:
        """Content-addressed: what is there already is the same."""
        with suppress(ConflictError):
            self._table.put(
                {**item, "created_at": datetime.now(UTC).isoformat(timespec="seconds")}, "attribute_not_exists(pk)"
            )

    def _holding(self, pointer: Pointer) -> Item:
        pk, sk = _place(pointer)
        condition, values = _unmoved(pointer.revision)
        check: Item = {
            "TableName": self._table.name,
            "Key": pack({"pk": pk, "sk": sk}),
            "ConditionExpression": condition,
        }
        if values:
            check["ExpressionAttributeValues"] = pack(values)
        return {"ConditionCheck": check}


_SETTLE = "SET outcome = :outcome, expires_at = :expires"


def _request(request_id: str) -> dict[str, str]:
    return {"pk": f"REQUEST#{request_id}", "sk": "REQUEST"}


def _settled(outcome: Outcome) -> Item:
    return {":outcome": canonical(asdict(outcome)), ":expires": _expiry()}


def _expiry() -> int:
    return int(time.time()) + REQUEST_LIFE


def _moved(pointer: Pointer) -> Item:
    pk, sk = _place(pointer)
    return {"pk": pk, "sk": sk, **asdict(pointer)}


def _unmoved(revision: int) -> tuple[str, Item | None]:
    return ("revision = :revision", {":revision": revision}) if revision else ("attribute_not_exists(pk)", None)


def _place(pointer: Pointer) -> tuple[str, str]:
    return (PLAN, "POINTER") if pointer.kind == "plan" else (f"CONFIG#{pointer.id}", "ACTIVE")


def _pointer(item: Item | None) -> Pointer | None:
    if item is None:
        return None
    return Pointer(
        kind=item["kind"],
        id=item["id"],
        version=item["version"],
        stack_id=item["stack_id"],
        ticket=item["ticket"],
        revision=item["revision"],
        checked=item.get("checked", ""),
        deleted_at=item.get("deleted_at"),
    )


def _outcome(item: Item) -> Outcome | None:
    if "outcome" not in item:
        return None
    said = json.loads(item["outcome"])
    return Outcome(said["physical_id"], tuple(said["findings"]), tuple(said["warnings"]), said["data"])
