"""What a poll finds that the webhook beside it should have told: judged in time, counted once."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import ingest_event
import pytest

from connectors.aws.inbox import SqsInbox, of_events
from connectors.core.models import Mention
from connectors.core.reception import message
from tests.functions.test_answers import parts
from tests.functions.test_polled_sources import DONE, FORUM, Deployed, deployed
from tests.functions.test_workers import Context, machine, sqs_event
from tests.posts import said

__all__ = ["deployed", "machine", "parts"]
HOUR = 3_600_000


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def pushed(*mentions: Mention, at: int) -> list[str]:
    """Deliveries of the webhook, taken at a time in milliseconds."""
    found = []
    for mention in mentions:
        post = {"id": int(mention.native_id), "topic_id": 7, "username": "ada", "user_id": 9, "post_number": 1}
        post |= {
            "raw": mention.text,
            "version": mention.version,
            "created_at": (mention.created_at or NOON).isoformat(),
        }
        headers = {"x-discourse-event": "post_created", "x-discourse-event-id": "5"}
        found.append(json.dumps(message(FORUM, "discourse", headers, json.dumps({"post": post}).encode(), at)))
    return found


def polled(*mentions: Mention, at: int) -> str:
    body = f"[{','.join(mention.model_dump_json() for mention in mentions)}]"
    return json.dumps(of_events(FORUM, "discourse", body, at))


NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def post(number: int, created: int, **more: Any) -> Mention:
    given = {"native_id": str(number), "conversation_id": "7", "authority": "forum.acme.com", "version": 1, **more}
    return said().model_copy(update={**given, "created_at": datetime.fromtimestamp(created / 1000, UTC)})


def take_in(*bodies: str) -> None:
    assert ingest_event.handler(sqs_event(*bodies), Context()) == DONE


class Compared:
    """A source that is polled beside its webhook, which was first heard two hours ago. Times in milliseconds."""

    def __init__(self, deployed: Deployed, patch: pytest.MonkeyPatch) -> None:
        self.deployed, self.now = deployed, ms(NOON)
        self.first = post(1, self.now - 2 * HOUR)
        patch.setattr(ingest_event, "_now", lambda: self.now)
        deployed.source({"BaseUrl": "https://forum.acme.com"})
        ingest_event._adapters.cache_clear()
        take_in(*pushed(self.first, at=self.now - 2 * HOUR))

    def poll(self, *mentions: Mention) -> None:
        take_in(polled(self.first, *mentions, at=self.now))

    def push(self, *mentions: Mention) -> None:
        take_in(*pushed(*mentions, at=self.now))

    def later(self, seconds: int) -> None:
        """What was put back until then is delivered; SQS's delay is not waited for."""
        self.now += seconds * 1000
        take_in(*self.put_back)
        self.put_back.clear()

    put_back: list[str]

    def said(self) -> list[str]:
        """What the timeline of the conversation tells."""
        cases = self.deployed.machine.shop.cases
        meta, _ = cases.mention(self.first.id)
        assert meta is not None
        return sorted(event.kind.value for event in cases.timeline(meta["case"]))

    @property
    def missed(self) -> int:
        return int(self.deployed.row().get("missed", 0))


@pytest.fixture
def compared(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Compared:
    put_back: list[str] = []
    monkeypatch.setattr(SqsInbox, "put", lambda self, message, delay=0: put_back.append(json.dumps(message)))
    found = Compared(deployed, monkeypatch)
    found.put_back = put_back
    return found


def test_what_the_webhook_missed_is_counted_once_however_often_it_is_polled(compared: Compared) -> None:
    missed = [post(number, compared.now - 600_000) for number in (2, 3, 4)]
    for _ in range(2):
        compared.poll(*missed)
    assert compared.missed == 3, "not what the webhook brought"
    assert compared.put_back == []
    assert compared.deployed.row()["last_missed_at"] == compared.now
    lines = compared.deployed.machine.lines.getvalue()
    assert "the poll found what the webhook missed" in lines
    assert '"missed":3' in lines.replace(" ", "")


def test_what_only_a_search_finds_is_not_held_against_the_webhook(compared: Compared) -> None:
    unasked = {"reply_capability": "summoned_only"}
    old, young = post(2, compared.now - HOUR, **unasked), post(3, compared.now, **unasked)
    ours = post(4, compared.now - HOUR, own=True, **unasked)
    compared.poll(old, young)
    assert (compared.missed, compared.put_back) == (0, [])
    compared.poll(old, young, ours, post(5, compared.now - HOUR))
    assert compared.missed == 2, "our own post, and one that spoke to us"
    assert [compared.said().count(kind) for kind in ("said", "answered there")] == [3, 1], (
        "they are taken in all the same"
    )


def test_a_young_post_is_taken_in_at_once_and_judged_when_its_webhook_has_had_its_time(compared: Compared) -> None:
    both, alone = post(2, compared.now - 20_000), post(3, compared.now - 20_000)
    compared.poll(both, alone)
    assert compared.said() == ["opened", "said", "said"]
    assert compared.missed == 0
    compared.push(both)
    (waits,) = compared.put_back
    for _ in range(2):  # a message may come twice
        compared.put_back[:] = [waits]
        compared.later(300)
    assert compared.missed == 1
    assert compared.said() == ["opened", "said", "said"], "one mention each"


def test_an_edit_is_judged_as_well_and_an_older_delivery_does_not_excuse_it(compared: Compared) -> None:
    known = [post(2, compared.now - HOUR), post(3, compared.now - HOUR)]
    compared.push(*known)
    edited = [one.model_copy(update={"version": 2, "text": "Edited."}) for one in known]
    compared.poll(*edited)
    compared.push(edited[0], known[1])
    compared.later(300)
    assert compared.missed == 1


def test_what_was_said_before_the_webhook_was_first_heard_it_could_not_tell(compared: Compared) -> None:
    compared.poll(post(2, compared.now - 3 * HOUR))
    assert compared.missed == 0


def test_a_webhook_that_was_never_heard_has_missed_nothing(deployed: Deployed) -> None:
    deployed.source({"BaseUrl": "https://forum.acme.com"})
    now = int(time.time() * 1000)
    take_in(polled(post(2, now - HOUR), at=now))
    assert "missed" not in deployed.row()


def test_a_source_that_is_not_polled_keeps_no_such_books(deployed: Deployed) -> None:
    deployed.source({"BaseUrl": "https://forum.acme.com"}, poll=None)
    take_in(*pushed(post(1, ms(NOON)), at=ms(NOON)))
    assert deployed.row() == {}
