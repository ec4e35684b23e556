"""A DynamoDB client that fails when told to, and that keeps AWS's limits where the local ones do not.

    FaultyClient(client, [Fault("transact_write_items", 2, "TransactionCanceledException", ["TransactionConflict"])])

fails the second transaction. A fault without a code fails nothing but runs `before`: a way to let another writer in
between. Faults fire once each; calls are counted from 1 per operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

ITEM_LIMIT = 400 * 1024
TRANSACTION_ITEMS = 100
TRANSACTION_LIMIT = 4 * 1024 * 1024


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


@dataclass
class FaultyClient:
    """Wraps a boto3 DynamoDB client; `calls` counts what was asked for."""

    client: Any
    rules: Sequence[Fault] = ()
    calls: dict[str, int] = field(default_factory=dict)

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
            answer = method(**request)
            for rule in due:
                if rule.code and rule.after:
                    raise failure(operation, rule.code, rule.reasons)
            return answer

        return call


def failure(operation: str, code: str, reasons: Sequence[str] = ()) -> ClientError:
    """The ClientError that botocore would raise."""
    response: Any = {"Error": {"Code": code, "Message": f"{code}, injected"}}
    if reasons:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(response, "".join(part.title() for part in operation.split("_")))


def _keep_limits(operation: str, request: dict[str, Any]) -> None:
    if operation == "put_item" and size(request["Item"]) > ITEM_LIMIT:
        raise failure(operation, "ValidationException")
    if operation == "transact_write_items":
        actions = [next(iter(action.items())) for action in request["TransactItems"]]
        items = [body["Item"] for verb, body in actions if verb == "Put"]
        keys = [str(_key(body)) for _, body in actions]
        if len(actions) > TRANSACTION_ITEMS or len(set(keys)) < len(keys):
            raise failure(operation, "ValidationException")
        if any(size(item) > ITEM_LIMIT for item in items) or sum(map(size, items)) > TRANSACTION_LIMIT:
            raise failure(operation, "TransactionCanceledException", ["ValidationError"])


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
