"""Deliveries on their way: whole, parked in the bucket, or in pieces, and never larger than a message."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from connectors.aws.blobs import Blobs, expand, squeeze
from connectors.aws.inbox import CHUNK, SqsInbox, opened
from connectors.core.reception import LARGEST, BusyError, message

MESSAGE = 256 * 1024


class Cloud:
    """A queue and a bucket that keep what they get; `down` names what does not answer."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.objects: dict[str, bytes] = {}
        self.down = ""

    def send_message(self, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803
        self._check("queue")
        assert len(MessageBody.encode()) <= MESSAGE
        self.messages.append(MessageBody)

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self._check("bucket")
        self.objects[Key] = Body

    def _check(self, what: str) -> None:
        if self.down == what:
            raise EndpointConnectionError(endpoint_url="https://aws")


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def inbox(cloud: Any) -> SqsInbox:
    return SqsInbox(cloud, "inbox", lambda: cloud, "bucket")


def body(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("size", [0, 1, 1000, 170_000, 179_000, 181_000, 200_000, LARGEST])
def test_a_delivery_of_any_size_comes_out_as_it_went_in(cloud: Cloud, size: int) -> None:
    sent = body(size)
    inbox(cloud).put(message("stack/Forum", "discourse", {"x-event": "é\u2028"}, sent, 5))
    parcel = opened(cloud.messages[0], cloud.objects.__getitem__)
    assert parcel.delivery.body == sent
    assert parcel.delivery.headers == {"x-event": "é\u2028"}
    assert parcel.delivery.received_at == 5
    assert all(key.startswith("inbox/") for key in cloud.objects)


@pytest.mark.parametrize("down", ["queue", "bucket"])
def test_what_does_not_answer_is_busy(cloud: Cloud, down: str) -> None:
    cloud.down = down
    with pytest.raises(BusyError):
        inbox(cloud).put(message("s", "discourse", {}, body(500_000), 5))
    assert cloud.messages == []


def test_pieces_cover_every_event_once() -> None:
    whole = opened(json.dumps(message("s", "discourse", {}, b"[]", 5)), lambda key: b"")
    pieces = [opened(json.dumps(piece), lambda key: b"").piece for piece in whole.in_pieces(CHUNK * 2 + 1)]
    events = list(range(CHUNK * 2 + 1))
    assert [event for piece in pieces if piece for event in events[slice(*piece)]] == events
    assert whole.piece is None


def test_packing_is_the_same_for_the_same_body() -> None:
    assert squeeze(b"words") == squeeze(b"words")
    assert expand(squeeze(b"words")) == b"words"


def test_a_bucket_is_not_called_before_it_is_needed() -> None:
    def never() -> Any:
        pytest.fail("no client was needed")

    assert Blobs(never, "bucket").bucket == "bucket"
    cloud = Cloud()
    SqsInbox(cloud, "inbox", never, "bucket").put(message("s", "c", {}, b"small", 5))  # type: ignore[arg-type]
    assert len(cloud.messages) == 1
