"""A DynamoDB client that fails when told to, and that keeps AWS's limits where the local ones do not.

    FaultyClient(client, [Fault("transact_write_items", 2, "TransactionCanceledException", ["TransactionConflict"])])

fails the second transaction. A fault without a code fails nothing but runs `before`: a way to let another writer in
between. Faults fire once each; calls are counted from 1 per operation.

    FaultyClient(client, dice=Dice(seed=1, rate=0.2))

fails one call in five: refused before it happened, or carried out with the answer lost.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

ITEM_LIMIT = 400 * 1024
TRANSACTION_ITEMS = 100
TRANSACTION_LIMIT = 4 * 1024 * 1024
BATCH_KEYS = 100
INDEX_KEYS = {"due_shard", "state_shard", "author_key", "day_shard", "updated_at", "seen_at"}


@dataclass
class Fault:
    """What happens at the `nth` call of an operation (0: at every call)."""

    operation: str
    nth: int
    code: str = ""
    reasons: Sequence[str] = ()
    before: Callable[[], object] | None = None
    after: bool = False
    """Fail only after the call was carried out: an answer that got lost."""


class Killed(BaseException):
    """The worker's process ends here; nobody catches this."""


@dataclass
class Dice:
    """Random faults, the same for the same seed. `rate` is the share of calls that fail, `deaths` that kill."""

    seed: int
    rate: float = 0.2
    deaths: float = 0.0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def throw(self, operation: str) -> tuple[BaseException | None, BaseException | None]:
        """What goes wrong before the call, and what after it was carried out."""
        roll = self._random.random()
        if roll < self.deaths:
            died = Killed(operation)
            return (died, None) if self._random.random() < 0.5 else (None, died)
        if roll >= self.deaths + self.rate:
            return None, None
        if self._random.random() < 0.4:
            lost = [ReadTimeoutError(endpoint_url="https://dynamodb"), failure(operation, "InternalServerError")]
            return None, self._random.choice(lost)
        if operation == "transact_write_items" and self._random.random() < 0.6:
            reasons = self._random.choice([["None", "TransactionConflict"], ["ThrottlingError", "None"]])
            return failure(operation, "TransactionCanceledException", reasons), None
        refused = [
            failure(operation, "ProvisionedThroughputExceededException"),
            failure(operation, "InternalServerError"),
            EndpointConnectionError(endpoint_url="https://dynamodb"),
        ]
        return self._random.choice(refused), None


@dataclass
class FaultyClient:
    """Wraps a boto3 DynamoDB client; `calls` counts what was asked for."""

    client: Any
    rules: Sequence[Fault] = ()
    calls: dict[str, int] = field(default_factory=dict)
    dice: Dice | None = None

    def __getattr__(self, operation: str) -> Any:
        method = getattr(self.client, operation)
        if operation.startswith("_") or operation in {"get_paginator", "meta", "exceptions"}:
            return method

        def call(**request: Any) -> Any:
            number = self.calls[operation] = self.calls.get(operation, 0) + 1
            _keep_limits(operation, request)
            due = [rule for rule in self.rules if rule.operation == operation and rule.nth in {0, number}]
            for rule in due:
                if rule.before:
                    rule.before()
                if rule.code and not rule.after:
                    raise failure(operation, rule.code, rule.reasons)
            early, late = self.dice.throw(operation) if self.dice else (None, None)
            if early:
                raise early
            answer = method(**request)
            for rule in due:
                if rule.code and rule.after:
                    raise failure(operation, rule.code, rule.reasons)
            if late:
                raise late
            return answer

        return call


def failure(operation: str, code: str, reasons: Sequence[str] = ()) -> ClientError:
    """The ClientError that botocore would raise."""
    response: Any = {"Error": {"Code": code, "Message": f"{code}, injected"}}
    if reasons:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(response, "".join(part.title() for part in operation.split("_")))


def _keep_limits(operation: str, request: dict[str, Any]) -> None:
    if operation == "batch_get_item":
        for wanted in request["RequestItems"].values():
            keys = [str(sorted(key.items())) for key in wanted["Keys"]]
            if len(keys) > BATCH_KEYS or len(set(keys)) < len(keys):
                raise failure(operation, "ValidationException")
    if operation == "put_item" and (size(request["Item"]) > ITEM_LIMIT or _unfit(request["Item"])):
        raise failure(operation, "ValidationException")
    if operation == "transact_write_items":
        actions = [next(iter(action.items())) for action in request["TransactItems"]]
        items = [body["Item"] for verb, body in actions if verb == "Put"]
        keys = [str(_key(body)) for _, body in actions]
        if len(actions) > TRANSACTION_ITEMS or len(set(keys)) < len(keys) or any(map(_unfit, items)):
            raise failure(operation, "ValidationException")
        if any(size(item) > ITEM_LIMIT for item in items) or sum(map(size, items)) > TRANSACTION_LIMIT:
            raise failure(operation, "TransactionCanceledException", ["ValidationError"])


def _unfit(item: dict[str, Any]) -> bool:
    """Whether a key is empty or longer than DynamoDB takes."""
    keys = {name: next(iter(item[name].values())) for name in item.keys() & (INDEX_KEYS | {"pk", "sk"})}
    return any(not 0 < len(str(key).encode()) <= (1024 if name == "sk" else 2048) for name, key in keys.items())


def _key(body: dict[str, Any]) -> tuple[Any, Any]:
    key = body.get("Key") or body["Item"]
    return key["pk"], key["sk"]


def size(value: Any) -> int:
    """About the bytes that DynamoDB counts for an item in its typed form."""
    if isinstance(value, dict):
        return sum(len(name.encode()) + size(inner) for name, inner in value.items())
    if isinstance(value, list):
        return sum(1 + size(inner) for inner in value)
    return len(value) if isinstance(value, bytes) else len(str(value).encode())
