"""Wakes workers: messages that say where to look, not what to do. A lost one is made up for by the *due* index."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from connectors.core.case import Effect, EffectKind, shard
from connectors.core.identity import digest

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsBells:
    """One FIFO queue to sync records, one queue to notify people, one to carry answers out.

    `concurrency` caps how many cases of one system are worked on at once: it is the number of message groups a system
    has, and a case always falls into the same one.
    """

    def __init__(
        self, sqs: SQSClient, sync_url: str, notify_url: str, concurrency: int, reply_url: str = "", poll_url: str = ""
    ) -> None:
        self._sqs, self._sync_url, self._notify_url, self._concurrency = sqs, sync_url, notify_url, concurrency
        self._reply_url, self._poll_url = reply_url, poll_url
        self.lost = 0

    def ring(self, effects: Iterable[Effect]) -> None:
        """Wake whoever carries these out. Never raises: what is not woken now is due later."""
        cases: dict[tuple[str, str], None] = {}
        notices: dict[tuple[str, str], None] = {}
        replies: dict[tuple[str, str], None] = {}
        for effect in effects:
            if effect.kind is EffectKind.NOTIFY:
                notices[effect.case, effect.id] = None
            elif effect.kind is EffectKind.REPLY:
                replies[effect.case, effect.id] = None
            else:
                cases[effect.case, effect.target] = None
        self._send(self._sync_url, [self._sync(case, system) for case, system in cases])
        self._send(self._notify_url, [_message({"case": case, "effect": effect}) for case, effect in notices])
        self._send(self._reply_url, [_message({"case": case, "effect": effect}) for case, effect in replies])

    def ask(self, names: Iterable[str]) -> None:
        """Have these places polled. Never raises, as `ring`."""
        self._send(self._poll_url, [_message({"poll": name}) for name in dict.fromkeys(names)])

    def _sync(self, case: str, system: str) -> dict[str, Any]:
        return {
            **_message({"case": case, "system": system}),
            "MessageGroupId": f"{digest(system)}-{shard(case, self._concurrency)}",
            "MessageDeduplicationId": uuid.uuid4().hex,
        }

    def _send(self, url: str, entries: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(entries), 10):
            self.lost += self._send_batch(url, entries[start : start + 10])

    def _send_batch(self, url: str, entries: Sequence[dict[str, Any]]) -> int:
        """How many were lost. A batch needs `sqs:SendMessage` alone, but MiniStack wants a permission of a name that
        AWS does not have; what is denied as a batch is therefore sent one by one."""
        if len(entries) > 1:
            batch: list[Any] = [{"Id": str(n), **entry} for n, entry in enumerate(entries)]
            try:
                return len(self._sqs.send_message_batch(QueueUrl=url, Entries=batch).get("Failed", []))
            except ClientError as error:
                if "AccessDenied" not in error.response["Error"]["Code"]:
                    return len(entries)
            except BotoCoreError:
                return len(entries)
        return sum(not self._send_one(url, entry) for entry in entries)

    def _send_one(self, url: str, entry: dict[str, Any]) -> bool:
        try:
            self._sqs.send_message(QueueUrl=url, **entry)
        except (BotoCoreError, ClientError):
            return False
        return True


def _message(body: dict[str, str]) -> dict[str, Any]:
    return {"MessageBody": json.dumps(body)}
