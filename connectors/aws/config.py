"""Sources, systems and plans in the table: immutable versions, and pointers that say which are in force.

    CONFIG#<stack>/<name> / VERSION#<hash>   a source or a system, for ever
    CONFIG#<stack>/<name> / ACTIVE           the version in force, or a tombstone
    CONFIG#<stack>/<name> / ORDER            how many requests there were for this resource, and when the last was asked
    CONFIG#<stack>/<name> / SAID#<hash>      which version of a part a text with a definition came to
    PART#<stack>/<name>#<hash> / CHUNK#0000… what one Custom::Plan says, for ever
    PLAN#<version>        / CHUNK#0000…      the compiled plan of all parts, for ever
    PLAN#ACTIVE           / POINTER          the plan in force, or a tombstone
    REQUEST#<id>          / REQUEST          a request of CloudFormation and its outcome, for a week

`plan_log` has the history and what was refused.

`configure_stack` reads consistently and past the cache; the other functions read pointers that are at most `ttl`
seconds old. The table's name is given, never read from the environment.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from connectors.aws.blobs import expand, squeeze
from connectors.aws.cursors import begin_action
from connectors.aws.health import register_action, registered
from connectors.aws.plan_log import PlanLog, activation_action, expiry, settled
from connectors.aws.table import SCHEMA, Item, Table, pack
from connectors.core.errors import ConflictError
from connectors.core.plan import Plan, SourceConfig, SystemConfig, canonical
from connectors.core.plan_merge import PlanPart
from connectors.core.plan_ports import Begun, Change, Interval, Outcome, Pointer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CHUNK = 300_000
"""Bytes of a packed plan in one item; DynamoDB takes 400 KB with the names of the attributes."""
SKEW = 5
"""Seconds by which the clocks of those who ask may differ: requests that close are in the order in which they came."""
MOST_KEPT = 8
"""Plans, and as many parts, that are kept in memory: a large one takes some 20 MB there."""
PLAN = "PLAN#ACTIVE"

_Config = TypeVar("_Config", SourceConfig, SystemConfig)
_Document = TypeVar("_Document", Plan, PlanPart)


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
        self._documents: dict[tuple[str, str], SourceConfig | SystemConfig] = {}
        self._names: dict[str, tuple[float, list[str]]] = {}
        self._plans: dict[str, Plan] = {}
        self._parts: dict[str, PlanPart] = {}
        self.log = PlanLog(self._table)

    def source(self, name: str, with_deleted: bool = False) -> SourceConfig | None:
        """The source by id (`stack/logicalId`); None for what never existed or, unless asked for, was deleted."""
        return self._active_config(name, SourceConfig, with_deleted)

    def sources(self, connector: str) -> list[SourceConfig]:
        """The sources of one connector that are in force, by id."""
        now = self._clock()
        at, names = self._names.get(connector, (0.0, []))
        if not names or now - at >= self._ttl:  # as with pointers: nobody there is not kept
            names = sorted(registered(self._table, connector))
            self._names[connector] = (now, names)
        found = (self.source(name) for name in names)
        return [one for one in found if one is not None and one.connector == connector]

    def system(self, name: str, with_deleted: bool = False) -> SystemConfig | None:
        """The system by id, as `source`. A case asks its own plan instead: `plan(version).systems[id]`."""
        return self._active_config(name, SystemConfig, with_deleted)

    def active_plan(self) -> Plan | None:
        """The plan in force; None before the first and after the last: mentions are held until there is one."""
        pointer = self._cached(PLAN, self.plan_pointer)
        return self.plan(pointer.version) if pointer and pointer.live else None

    def shadows(self) -> Mapping[str, tuple[Interval, ...]]:
        """When effects were off, or since when they are, by the key of a part; '' for everything."""
        pointer = self._cached(PLAN, self.plan_pointer)
        return pointer.shadows if pointer else {}

    def plan(self, version: str) -> Plan | None:
        """A compiled plan by its version, in force or not. Raises ValueError where its chunks do not fit together."""
        if (known := self._plans.get(version)) is not None:
            return known
        text = self._text(f"PLAN#{version}")
        if text is None:
            return None
        plan = Plan.model_validate_json(text)
        if plan.version != version:
            raise ValueError(f"PLAN#{version} holds plan {plan.version}")
        return _remembered(self._plans, version, plan)

    def part(self, name: str, version: str) -> PlanPart | None:
        """What one `Custom::Plan` said in that version."""
        key = _part_key(name, version)
        if (known := self._parts.get(key)) is not None:
            return known
        text = self._text(key)
        return None if text is None else _remembered(self._parts, key, PlanPart.model_validate_json(text))

    def part_said(self, name: str, said: str) -> str | None:
        """The version of a part that this text came to when it was accepted."""
        item = self._table.get(f"CONFIG#{name}", f"SAID#{said}")
        return item["version"] if item else None

    def pointer(self, name: str) -> Pointer | None:
        """The pointer of a source, a system or a part, read now."""
        return _pointer(self._table.get(f"CONFIG#{name}", "ACTIVE"))

    def plan_pointer(self) -> Pointer | None:
        """The pointer of the compiled plan, read now."""
        return _pointer(self._table.get(PLAN, "POINTER"))

    def stored_system(self, name: str, version: str) -> SystemConfig | None:
        """An immutable version of a system."""
        return self._stored(name, version, SystemConfig)

    def knows(self, document: SourceConfig | SystemConfig | PlanPart) -> bool:
        """Whether this very version was written before."""
        if isinstance(document, PlanPart):
            return self.part(document.id, document.hash) is not None
        return self._table.get(f"CONFIG#{document.id}", f"VERSION#{document.hash}") is not None

    def begin(self, request_id: str, resource: str, asked: int = 0) -> Begun:
        """Give a request its place in the order of its resource's requests; the same place if it comes again.

        What was asked clearly before one that is known has no place: Lambda delivers again after minutes, and
        CloudFormation may have given up and gone on by then. Raises `ConflictError` where a twin of it is being noted
        at this moment.
        """
        seen = self._table.get(f"REQUEST#{request_id}", "REQUEST")
        order = self._table.get(f"CONFIG#{resource}", "ORDER")
        last, latest = (order["ticket"], order.get("asked", 0)) if order else (0, 0)
        if seen is not None:
            ticket = seen.get("ticket", 0)
            return Begun(ticket, _outcome(seen), ticket < last)
        if asked and asked + SKEW < latest:
            self._table.put({**_request(request_id), **_noted(resource, 0)}, "attribute_not_exists(pk)")
            return Begun(0, late=True)
        self._table.transact(
            [
                self._table.put_action(
                    {
                        "pk": f"CONFIG#{resource}",
                        "sk": "ORDER",
                        "ticket": last + 1,
                        "asked": max(asked, latest),
                    },
                    "ticket = :last" if last else "attribute_not_exists(pk)",
                    {":last": last} if last else None,
                ),
                self._table.put_action(
                    {**_request(request_id), **_noted(resource, last + 1)}, "attribute_not_exists(pk)"
                ),
            ]
        )
        return Begun(last + 1)

    def settle(self, request_id: str, outcome: Outcome) -> Outcome:
        """Keep the outcome of a request that changed nothing, and what was found; the kept one where there already is
        one."""
        pk, sk = _request(request_id).values()
        try:
            self._table.update(
                pk,
                sk,
                f"{_SETTLE}, #schema = :schema",
                {**settled(outcome), ":schema": SCHEMA},
                "attribute_not_exists(outcome)",
                {"#schema": "schema"},
            )
        except ConflictError:
            seen = self._table.get(pk, sk)
            return (_outcome(seen) if seen else None) or outcome
        self.log.keep(request_id, outcome)
        return outcome

    def commit(self, change: Change) -> None:
        """Write the documents, then move pointers and outcome in one transaction. Raises `ConflictError`."""
        if change.config is not None:
            config = change.config
            body = {"kind": change.moves[0].kind, "body": canonical(config.model_dump(mode="json"))}
            self._put_once({"pk": f"CONFIG#{config.id}", "sk": f"VERSION#{config.hash}", **body})
        if change.plan is not None:
            self._keep(
                f"PLAN#{change.plan.version}", canonical(change.plan.model_dump(mode="json", exclude_defaults=True))
            )
        for part in change.parts:
            self._keep(_part_key(part.id, part.hash), canonical(part.model_dump(mode="json", exclude_defaults=True)))
            if change.said is not None:
                key = {"pk": f"CONFIG#{part.id}", "sk": f"SAID#{change.said}"}
                self._table.put({**key, "version": part.hash})
        pk, sk = _request(change.request_id).values()
        actions = [
            self._table.update_action(pk, sk, _SETTLE, settled(change.outcome), "attribute_not_exists(outcome)"),
            *(self._table.put_action(_moved(pointer), *_unmoved(pointer.revision - 1)) for pointer in change.moves),
            *(self._holding(pointer) for pointer in change.holds),
        ]
        if change.poll is not None and change.config is not None:
            actions.append(begin_action(self._table, change.config.id, change.poll, int(time.time() * 1000)))
        if isinstance(change.config, SourceConfig):
            actions.append(register_action(self._table, change.config.id, change.config.connector))
        if change.activation is not None:
            actions.append(activation_action(self._table, change.activation))
        if change.order is not None:
            resource, ticket = change.order
            actions.append(
                self._table.check_action(f"CONFIG#{resource}", "ORDER", "ticket = :ticket", {":ticket": ticket})
            )
        self._table.transact(actions)
        self._pointers.clear()
        self._names.clear()

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
        """What is not there, or was deleted, is not kept: a source just deployed, or deployed anew, is heard at once.
        What is said to one that is believed to be deleted would be dropped."""
        now = self._clock()
        at, pointer = self._pointers.get(key, (0.0, None))
        if pointer is None or now - at >= self._ttl:
            pointer = read()
            if pointer is None or not pointer.live:
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

    def _keep(self, pk: str, text: str) -> None:
        """Write a document in chunks, unless it is there whole. Packing may differ between versions of zlib, so what is
        there in part is written anew."""
        if self._text(pk) == text:
            return
        packed = squeeze(text.encode())
        parts = [packed[start : start + CHUNK] for start in range(0, len(packed), CHUNK)]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for number, part in enumerate(parts):
            key = {"pk": pk, "sk": f"CHUNK#{number:04}"}
            self._table.put({**key, "packed": part, "chunks": len(parts), "created_at": now})

    def _text(self, pk: str) -> str | None:
        """A document that is kept in chunks; None where it was never written, or not to its end."""
        chunks = list(self._table.query(pk, "CHUNK#"))
        if not chunks or len(chunks) < chunks[0]["chunks"]:
            return None
        chunks = chunks[: chunks[0]["chunks"]]
        if "body" in chunks[0]:  # as they were kept before they were packed
            return "".join(chunk["body"] for chunk in chunks)
        try:
            return expand(b"".join(chunk["packed"] for chunk in chunks)).decode()
        except (OSError, EOFError, zlib.error):
            return None

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


def _noted(resource: str, ticket: int) -> Item:
    return {"resource": resource, "ticket": ticket, "expires_at": expiry()}


def _part_key(name: str, version: str) -> str:
    return f"PART#{name}#{version}"


def _remembered(kept: dict[str, _Document], key: str, document: _Document) -> _Document:
    while len(kept) >= MOST_KEPT:
        kept.pop(next(iter(kept)))
    kept[key] = document
    return document


def _moved(pointer: Pointer) -> Item:
    pk, sk = _place(pointer)
    said = asdict(pointer)
    if pointer.kind != "plan":
        said = {name: value for name, value in said.items() if name not in {"parts", "shadows"}}
    else:
        said["shadows"] = canonical(said["shadows"])  # a map of DynamoDB takes no '' for a key
    return {"pk": pk, "sk": sk, **said}


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
        parts=tuple(item.get("parts", ())),
        shadows={
            key: tuple((since, until) for since, until in past)
            for key, past in json.loads(item.get("shadows", "{}")).items()
        },
    )


def _outcome(item: Item) -> Outcome | None:
    if "outcome" not in item:
        return None
    said = json.loads(item["outcome"])
    return Outcome(said["physical_id"], tuple(said["findings"]), tuple(said["warnings"]), said["data"])
