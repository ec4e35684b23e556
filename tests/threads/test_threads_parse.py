"""What becomes of Threads' deliveries and answers, as documented and as others have met them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Deletion, Mention, Unsupported
from connectors.threads.connector import Threads, ThreadsSource

POST = {
    "id": "8901234",
    "username": "test_username",
    "text": "Reply",
    "media_type": "TEXT_POST",
    "permalink": "https://www.threads.net/@test_username/post/Pp",
    "timestamp": "2024-08-07T10:33:16+0000",
}
REPLY = {**POST, "replied_to": {"id": "567890"}, "root_post": {"id": "123456", "owner_id": "1", "username": "two"}}


def read(said: Any, *accounts: str) -> list[AnyEvent]:
    return list(Threads.for_parse(accounts).parse(Delivery({}, json.dumps(said).encode(), 1_795_000_000_000)))


def one(said: Any, *accounts: str) -> Mention:
    (event,) = read(said, *accounts)
    assert isinstance(event, Mention), event
    return event


def flat(field: str, value: Any, *, many: bool = False) -> dict[str, Any]:
    told = {"value": value, "field": field}
    said = {"app_id": "123456", "topic": "moderate", "target_id": "78901", "time": 1_723_226_877}
    return {**said, "subscription_id": "234567", "has_uid_field": False, "values": [told] if many else told}


@pytest.mark.parametrize(
    "said",
    [
        flat("replies", REPLY),
        flat("replies", REPLY, many=True),
        [flat("replies", REPLY)],
        flat("replies", {**REPLY, "replied_to": "567890", "root_post": "123456"}),
        {"field": "replies", "value": REPLY},
        {"object": "threads", "entry": [{"id": "1", "time": 1, "changes": [{"field": "replies", "value": REPLY}]}]},
        {"data": [REPLY]},
        REPLY,
    ],
)
def test_a_reply_is_the_same_in_each_shape(said: Any) -> None:
    mention = one(said)
    assert mention.author is not None
    assert (mention.native_id, mention.conversation_id, mention.parent_id) == ("8901234", "123456", "567890")
    assert (mention.author.handle, mention.text, mention.kind, mention.own) == (
        "test_username",
        "Reply",
        "reply",
        False,
    )
    assert mention.version == 0
    assert mention.url == POST["permalink"]


def test_a_quote_a_repost_and_an_attached_text() -> None:
    quote = one(flat("mentions", {**POST, "is_quote_post": True, "quoted_post": {"id": "7"}}))
    assert (quote.kind, quote.quoted_id, quote.conversation_id, quote.keep_raw) == ("quote", "7", "8901234", True)
    assert not one({**POST, "quoted_post": {"id": "7", "text": "theirs"}}).keep_raw
    assert one({**POST, "text_attachment": {"plaintext": "A story."}}).text == "Reply\n\nA story."
    for said in ({**POST, "media_type": "REPOST_FACADE"}, {**POST, "hide_status": "HIDDEN"}):
        (event,) = read(said)
        assert isinstance(event, Unsupported)
        assert not event.keep_raw
    assert one({**REPLY, "hide_status": "UNHUSHED"}).kind == "reply"


def test_what_we_say_ourselves_is_our_own() -> None:
    assert one(flat("replies", REPLY), "@Test_Username").own
    assert one(flat("publish", {"id": "8901234", "media_type": "TEXT_POST", "username": "test_username"})).own
    assert one({**REPLY, "is_reply_owned_by_me": True}).own
    assert one({**POST, "owner": {"id": "42"}}, "42").own
    assert not one({**POST, "username": "42"}, "42").own


def test_a_removal_is_pushed() -> None:
    value = {"id": "8901234", "owner": {"owner_id": "78901"}, "deleted_at": "2024-08-07T10:33:16+0000"}
    (gone,) = read(flat("delete", value))
    assert isinstance(gone, Deletion)
    assert (gone.id, gone.order) == ("threads:8901234", 1_723_226_877_000)
    assert gone.deleted_at is not None
    assert gone.deleted_at.isoformat() == "2024-08-07T10:33:16+00:00"


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ({"object": "instagram", "entry": [{"changes": [{"field": "comments", "value": {"id": "1"}}]}]}, "comments"),
        ({"object": "page", "entry": [{"messaging": [{}]}]}, "messaging"),
        (flat("insights", {"id": "1"}), "insights"),
        (flat("delete", {}), "delete"),
        ({"app_id": "1", "topic": "moderate", "values": []}, "unnamed"),
        (flat("replies", {"id": "1"}), "replies"),
        ({"id": "1", "username": "acme", "threads_biography": "…"}, "answer"),
        ({"id": "1", "status": "FINISHED"}, "answer"),
        ({"error": {"code": 100, "error_subcode": 33}}, "error"),
    ],
)
def test_what_is_not_acted_on_is_counted(said: Any, event: str) -> None:
    (found,) = read(said)
    assert isinstance(found, Unsupported)
    assert found.event == event


def test_what_is_no_delivery_is_set_aside() -> None:
    assert read({"data": [], "paging": {}}) == []
    junk: Any
    for junk in ({}, [], 17, {"hello": "world"}):
        with pytest.raises(PayloadError):
            read(junk)


def test_a_delivery_is_read_by_the_settings_of_its_source() -> None:
    """As `ingest_event` builds the receiver."""
    receiver = Threads(ThreadsSource.model_validate({"Account": "test_username"}))
    events = receiver.parse(Delivery({}, json.dumps(flat("replies", REPLY)).encode(), 1_795_000_000_000))
    assert [event.own for event in events if isinstance(event, Mention)] == [True]
