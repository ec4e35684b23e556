"""Dead letters: what lies there, said without anybody's words, and how it goes back to where it came from.

A queue's own dead letters go back to that queue; a function's, which Lambda puts there when a call or a stream came to
nothing, are called again. Receive, send, delete: a letter is never lost, at worst it is delivered twice, which the
ledger takes care of.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from connectors.tool.deployment import Deployment, DeploymentError

_HIDDEN = 60
"""Seconds for which a letter is ours alone while it is moved."""
_COUNTED = "ApproximateNumberOfMessages"
_PURGE = "look at it, mend the cause, deploy that stack again, then delete the letter"


@dataclass(frozen=True, slots=True)
class DeadQueue:
    """A queue of dead letters. `source` is the queue that its letters fell out of; None for a function's."""

    name: str
    url: str
    source: str | None
    waiting: int


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. `what` says what it was; `sent_at` is in milliseconds, when it first went on its way."""

    id: str
    body: str
    receipt: str
    sent_at: int
    group: str | None
    attributes: Mapping[str, Any]

    @property
    def what(self) -> str:
        """What it was, by ids and names alone."""
        return describe(self.body)


class DeadLetters:
    """The dead letters of one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment, self._sqs = deployment, deployment.client("sqs")

    @cached_property
    def queues(self) -> list[DeadQueue]:
        """All of them, in pipeline order, also empty ones. Raises DeploymentError."""
        outputs = self._deployment.outputs
        working = [url for name, url in outputs.items() if name.endswith("QueueUrl")]
        sources = dict(filter(None, (self._dead_of(url) for url in working)))
        found = []
        for url in filter(None, outputs["DeadLetterQueueUrls"].split(",")):
            had = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn", _COUNTED])["Attributes"]
            found.append(DeadQueue(_name(url), url, sources.get(had["QueueArn"]), int(had.get(_COUNTED, 0))))
        return found

    def queue(self, name: str) -> DeadQueue:
        """One by its name, or by a part of it that no other has, such as `SyncDead`. Raises DeploymentError."""
        exact = [one for one in self.queues if one.name == name]
        known = {str(self._deployment.stack.resources.get(name))}
        found = exact or [one for one in self.queues if one.url in known or name.lower() in one.name.lower()]
        if len(found) != 1:
            names = ", ".join(one.name for one in self.queues)
            raise DeploymentError(f"{name} names {len(found)} queues of dead letters; there are: {names}")
        return found[0]

    def peek(self, queue: DeadQueue, most: int = 10) -> list[Letter]:
        """Some of the letters, left where they are."""
        found = list(self.take(queue, most))
        for letter in found:
            self._sqs.change_message_visibility(QueueUrl=queue.url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)
        return found

    def take(self, queue: DeadQueue, most: int) -> Iterator[Letter]:
        """Up to `most` letters, hidden from others for a minute. Fewer may come: a FIFO group gives ten at a time."""
        seen: set[str] = set()
        while len(seen) < most:
            answer = self._sqs.receive_message(
                QueueUrl=queue.url,
                MaxNumberOfMessages=min(10, most - len(seen)),
                VisibilityTimeout=_HIDDEN,
                WaitTimeSeconds=0,
                AttributeNames=["SentTimestamp", "MessageGroupId"],
                MessageAttributeNames=["All"],
            )
            fresh = [one for one in answer.get("Messages", []) if one["MessageId"] not in seen]
            if not fresh:
                return
            seen |= {one["MessageId"] for one in fresh}
            yield from map(_letter, fresh)

    def put_back(self, queue: DeadQueue, letter: Letter) -> str:
        """Send a letter on its way again, then delete it here; what was done with it. One that has nowhere to go
        stays. Raises ClientError where the letter could not be sent: it comes into sight again after a minute."""
        source = queue.source or self._home(letter)
        done = self._resend(source, letter) if source else self._call_again(letter)
        if done is None:
            self._sqs.change_message_visibility(QueueUrl=queue.url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)
            return f"left where it is: {_PURGE}"
        self._sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=letter.receipt)
        return done

    def _home(self, letter: Letter) -> str | None:
        """Where a letter begins anew that did not fall out of a queue: a notification that no topic took was written by
        a worker, an event by EventBridge, which could not put it into the Inbox."""
        told = _read(letter.body)
        if told.keys() >= {"source", "detail-type", "detail"}:
            return self._deployment.outputs.get("InboxQueueUrl")
        return self._deployment.outputs.get("NotifyQueueUrl") if {"case", "effect"} <= told.keys() else None

    def _resend(self, source: str, letter: Letter) -> str:
        given: dict[str, Any] = {"QueueUrl": source, "MessageBody": letter.body}
        if letter.attributes:
            given["MessageAttributes"] = dict(letter.attributes)
        if source.endswith(".fifo"):
            # The group keeps a case's order. The deduplication id is new: within five minutes SQS would drop the old.
            given |= {"MessageGroupId": letter.group or letter.id, "MessageDeduplicationId": uuid.uuid4().hex}
        self._sqs.send_message(**given)
        return f"back in {_name(source)}"

    def _call_again(self, letter: Letter) -> str | None:
        told = _read(letter.body)
        function = self._function(told)
        client = self._deployment.client("lambda")
        if "DDBStreamBatchInfo" in told or function == "WakeDue":
            for shard in range(8):  # what the stream did not bring is due; looking at it is what wakes it
                payload = json.dumps({"shard": shard}).encode()
                name = self._deployment.stack.resources["WakeDue"]
                client.invoke(FunctionName=name, InvocationType="Event", Payload=payload)
            return "all that is due is looked at again"
        if function is None or function == "ConfigureStack" or "requestPayload" not in told:
            return None
        client.invoke(
            FunctionName=self._deployment.stack.resources[function],
            InvocationType="Event",
            Payload=json.dumps(told["requestPayload"]).encode(),
        )
        return f"{function} is called again"

    def _function(self, told: Mapping[str, Any]) -> str | None:
        """The logical name of the function of this stack that a letter is from."""
        arn = str((told.get("requestContext") or {}).get("functionArn", ""))
        parts = arn.split(":")
        name = parts[6] if len(parts) > 6 else ""
        return next((logical for logical, known in self._deployment.functions.items() if known == name), None)

    def _dead_of(self, url: str) -> tuple[str, str] | None:
        """The ARN of a queue's dead-letter queue, and the queue."""
        said = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"]).get("Attributes", {})
        policy = json.loads(said.get("RedrivePolicy") or "{}")
        return (str(policy["deadLetterTargetArn"]), url) if "deadLetterTargetArn" in policy else None


def describe(body: str) -> str:
    """What a letter was: ids and names, nothing that anybody wrote."""
    told = _read(body)
    context = told.get("requestContext")
    if isinstance(context, dict):
        arn = str(context.get("functionArn", "")).split(":")
        where = arn[6] if len(arn) > 6 else "a function"
        what = "a batch of the table's stream" if "DDBStreamBatchInfo" in told else "a call"
        return f"{what} for {where} ({context.get('condition') or 'failed'})"
    match told:
        case {"connector": str(connector), "source": str(source)}:
            return f"a delivery of {connector} from {source}"
        case {"case": str(case), "system": str(system)}:
            return f"a wake-up to bring {case} into {system}"
        case {"case": str(case), "effect": str(effect)}:
            return f"a wake-up for {effect.split('#')[0]} of {case}"
        case {"resolve": str(source)}:
            return f"a hint from {source}"
        case {"source": str(source), "detail-type": str()}:
            return f"an event of {source}"
        case {"source": str(source)} | {"system": str(source)} | {"poll": str(source)}:
            return f"a wake-up to ask {source}"
        case {"RequestType": str(kind), "LogicalResourceId": str(name)}:
            return f"CloudFormation's {kind.lower()} of {name}"
        case _:
            return f"something else with the fields {', '.join(sorted(told)[:6])}" if told else "not JSON"


def _read(body: str) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _letter(message: Mapping[str, Any]) -> Letter:
    system = message.get("Attributes") or {}
    return Letter(
        id=message["MessageId"],
        body=message["Body"],
        receipt=message["ReceiptHandle"],
        sent_at=int(system.get("SentTimestamp", 0)),
        group=system.get("MessageGroupId"),
        attributes={name: _attribute(value) for name, value in (message.get("MessageAttributes") or {}).items()},
    )


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    """As sending takes it: receiving adds empty lists that sending refuses."""
    return {name: value[name] for name in ("DataType", "StringValue", "BinaryValue") if name in value}


def _name(url: str) -> str:
    return url.rsplit("/", 1)[-1]
