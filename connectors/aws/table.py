"""The one DynamoDB table: keys, items, and what its errors mean.

A conditional write that loses raises ConflictError; one that DynamoDB did not carry out because somebody was writing
the same item, or because it is throttling, is tried again with jitter inside the invocation. Says nothing about what
the items mean: `intake`, `cases`, `ledger` and `config` do.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from connectors.core.errors import ConflictError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA = 1
"""Written on every item, so that a later version can tell how to read it."""

Item = dict[str, Any]

_BUSY = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
        "InternalServerError",
    },
)
_BUSY_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_TRIES = 8

_serializer, _deserializer = TypeSerializer(), TypeDeserializer()


def pack(item: Mapping[str, Any]) -> Item:
    """Plain values to DynamoDB's; None is left out."""
    return {name: _serializer.serialize(value) for name, value in item.items() if value is not None}


def unpack(item: Mapping[str, Any]) -> Item:
    """DynamoDB's values to plain ones: whole numbers as int, binary as bytes."""
    return {name: _plain(_deserializer.deserialize(value)) for name, value in item.items()}


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case Binary():
            return bytes(value)  # type: ignore[call-overload]
        case _ if hasattr(value, "as_integer_ratio") and not isinstance(value, int | float):
            return int(value) if value == value.to_integral_value() else float(value)
        case _:
            return value


class Table:
    """Reads and writes of one table. All reads are consistent, but for those of an index."""

    def __init__(self, client: DynamoDBClient, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.client, self.name, self._sleep = client, name, sleep

    def get(self, pk: str, sk: str) -> Item | None:
        """One item, or None."""
        answer = self._call(self.client.get_item, Key=_key(pk, sk), ConsistentRead=True)
        return unpack(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[tuple[str, str]]) -> list[Item]:
        """Those of the items that exist, in no order."""
        found: list[Item] = []
        for start in range(0, len(keys), 100):
            found += self._get_batch([_key(*key) for key in keys[start : start + 100]])
        return found

    def _get_batch(self, keys: list[Item]) -> Iterator[Item]:
        wanted: Item = {self.name: {"Keys": keys, "ConsistentRead": True}}
        for attempt in range(_TRIES):
            answer = self._retry(partial(self.client.batch_get_item, RequestItems=wanted))
            yield from (unpack(item) for item in answer["Responses"].get(self.name, []))
            wanted = answer.get("UnprocessedKeys") or {}
            if not wanted:
                return
            self._wait(attempt)
        raise ConflictError("DynamoDB left keys of a batch unread")

    def query(self, pk: str, prefix: str = "", *, newest: bool = False, limit: int | None = None) -> Iterator[Item]:
        """The items of a partition whose sort key begins with `prefix`, in order of it; page by page."""
        values: dict[str, Any] = {":pk": pk}
        condition = "pk = :pk"
        if prefix:
            values[":prefix"] = prefix
            condition += " AND begins_with(sk, :prefix)"
        yield from self._pages(
            limit,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=pack(values),
            ConsistentRead=True,
            ScanIndexForward=not newest,
        )

    def query_index(
        self,
        index: str,
        condition: str,
        values: Mapping[str, Any],
        *,
        newest: bool = False,
        limit: int | None = None,
    ) -> Iterator[Item]:
        """The items of an index; eventually consistent, so whoever acts on one re-reads it."""
        yield from self._pages(
            limit,
            IndexName=index,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=pack(values),
            ScanIndexForward=not newest,
        )

    def put(self, item: Item, condition: str | None = None, values: Mapping[str, Any] | None = None) -> None:
        """Write an item. Raises ConflictError where the condition does not hold."""
        self._call(self.client.put_item, Item=pack({"schema": SCHEMA, **item}), **_condition(condition, values))

    def update(
        self,
        pk: str,
        sk: str,
        expression: str,
        values: Mapping[str, Any] | None = None,
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Change an item. Raises ConflictError where the condition does not hold."""
        given: Item = {"ConditionExpression": condition} if condition else {}
        if values:
            given["ExpressionAttributeValues"] = pack(values)
        if names:
            given["ExpressionAttributeNames"] = dict(names)
        self._call(self.client.update_item, Key=_key(pk, sk), UpdateExpression=expression, **given)

    def transact(self, actions: Sequence[Any]) -> None:
        """All of these or none. Raises ConflictError where a condition does not hold.

        The token makes a repetition of one that DynamoDB did carry out, though it answered otherwise, succeed too."""
        token = uuid.uuid4().hex
        self._retry(partial(self.client.transact_write_items, TransactItems=list(actions), ClientRequestToken=token))

    def put_action(self, item: Item, condition: str | None = None, values: Mapping[str, Any] | None = None) -> Item:
        """A write, as part of a transaction."""
        return {
            "Put": {
                "TableName": self.name,
                "Item": pack({"schema": SCHEMA, **item}),
                **_condition(condition, values),
            },
        }

    def update_action(
        self,
        pk: str,
        sk: str,
        expression: str,
        values: Mapping[str, Any] | None = None,
        condition: str | None = None,
    ) -> Item:
        """A change, as part of a transaction."""
        given: Item = {"ConditionExpression": condition} if condition else {}
        if values:
            given["ExpressionAttributeValues"] = pack(values)
        return {"Update": {"TableName": self.name, "Key": _key(pk, sk), "UpdateExpression": expression, **given}}

    def check_action(self, pk: str, sk: str, condition: str, values: Mapping[str, Any]) -> Item:
        """A condition on an item that the transaction does not write."""
        return {"ConditionCheck": {"TableName": self.name, "Key": _key(pk, sk), **_condition(condition, values)}}

    def _pages(self, limit: int | None, **request: Any) -> Iterator[Item]:
        left = limit
        while left is None or left > 0:
            if left is not None:
                request["Limit"] = left
            answer = self._call(self.client.query, **request)
            for item in answer["Items"]:
                yield unpack(item)
            if left is not None:
                left -= len(answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _call(self, operation: Callable[..., Any], **request: Any) -> Any:
        return self._retry(partial(operation, TableName=self.name, **request))

    def _retry(self, call: Callable[[], Any]) -> Any:
        for attempt in range(_TRIES):
            try:
                return call()
            except ClientError as error:
                if _lost(error):
                    raise ConflictError("a conditional write lost") from error
                if not _busy(error) or attempt == _TRIES - 1:
                    raise
            self._wait(attempt)
        raise AssertionError("unreachable")

    def _wait(self, attempt: int) -> None:
        self._sleep(random.uniform(0, min(1.6, 0.05 * 2**attempt)))  # noqa: S311 - spreads retries; not a secret


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _condition(condition: str | None, values: Mapping[str, Any] | None) -> Item:
    given: Item = {"ConditionExpression": condition} if condition else {}
    if condition and values:
        given["ExpressionAttributeValues"] = pack(values)
    return given


def _reasons(error: ClientError) -> set[str]:
    reasons = error.response.get("CancellationReasons") or []
    return {str(reason.get("Code")) for reason in reasons} - {"None"}


def _lost(error: ClientError) -> bool:
    code = error.response["Error"]["Code"]
    return code == "ConditionalCheckFailedException" or (
        code == "TransactionCanceledException" and "ConditionalCheckFailed" in _reasons(error)
    )


def _busy(error: ClientError) -> bool:
    code = error.response["Error"]["Code"]
    return code in _BUSY or (code == "TransactionCanceledException" and bool(_reasons(error) & _BUSY_REASONS))
