"""What becomes of Instagram's deliveries and answers, in each shape that they have had."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Deletion, Hint, Mention, Unsupported
from connectors.instagram.connector import Instagram, InstagramSource

CHECKOUT = Path(__file__).resolve().parents[2]
VALUE = {
    "id": "17865799348089039",
    "text": "This is an example.",
    "from": {"id": "232323232", "username": "test", "self_ig_scoped_id": "232323232"},
    "media": {"id": "123123123", "media_product_type": "FEED"},
}


def read(said: Any, *accounts: str) -> list[AnyEvent]:
    return list(Instagram.for_parse(accounts).parse(Delivery({}, json.dumps(said).encode(), 1_795_000_000_000)))


def one(said: Any, *accounts: str) -> Mention:
    (event,) = read(said, *accounts)
    assert isinstance(event, Mention), event
    return event


def entry(**more: Any) -> dict[str, Any]:
    return {"object": "instagram", "entry": [{"id": "17841400000000042", "time": 1_520_622_968, **more}]}


@pytest.mark.parametrize(
    "said",
    [
        entry(changes=[{"field": "comments", "value": VALUE}]),
        entry(field="comments", value=VALUE),
        [entry(field="comments", value=VALUE)],
        entry(changes=[{"field": "comments", "value": [VALUE]}]),
        {"field": "comments", "value": VALUE},
        {"sample": {"field": "comments", "value": VALUE}},
        entry(changes=[{"field": "comments", "value": {**VALUE, "id": None, "comment_id": VALUE["id"]}}]),
        entry(time=1_520_622_968_000, changes=[{"field": "comments", "value": VALUE}]),
    ],
)
def test_a_comment_is_the_same_in_each_shape_of_a_delivery(said: Any) -> None:
    mention = one(said)
    assert mention.author is not None
    assert (mention.native_id, mention.conversation_id, mention.parent_id) == ("17865799348089039", "123123123", None)
    assert (mention.author.native_id, mention.author.handle, mention.text) == ("232323232", "test", VALUE["text"])
    assert (mention.own, mention.version, mention.reply_capability) == (False, 0, "allowed")
    assert mention.order in {0, 1_520_622_968_000}


def test_our_own_comment_is_known_by_the_account_that_was_told_and_by_name() -> None:
    ours = {**VALUE, "from": {"id": "17841400000000042", "username": "acme"}}
    assert one(entry(changes=[{"field": "comments", "value": ours}])).own
    assert one({"field": "comments", "value": VALUE}, "@Test").own
    assert not one({"field": "comments", "value": VALUE}, "testy").own


def test_who_is_only_called_like_our_id_is_not_us() -> None:
    said = {"id": "1", "text": "Hi", "username": "17841400000000042"}
    assert not one(said, "17841400000000042").own
    assert one(said, "@17841400000000042").own


def test_a_live_comment_takes_no_answer_in_public() -> None:
    assert one({"field": "live_comments", "value": VALUE}).reply_capability == "none"


def test_a_mention_is_a_hint_though_both_ids_are_alike() -> None:
    for value, name, about in (
        ({"media_id": "7", "comment_id": "8"}, "mentions.comment", "7"),
        ({"media_id": "7", "comment_id": "7"}, "mentions.comment", "7"),
        ({"media_id": "7", "comment_id": None}, "mentions.media", "7"),
        ({"comment_id": "8"}, "mentions.comment", None),
    ):
        (hint,) = read(entry(changes=[{"field": "mentions", "value": value}]))
        assert isinstance(hint, Hint)
        assert (hint.event, hint.native_id, hint.about) == (name, value.get("comment_id") or "7", about)
    assert isinstance(read(entry(changes=[{"field": "mentions", "value": {}}]))[0], Unsupported)


@pytest.mark.parametrize(
    ("said", "event"),
    [
        (entry(messaging=[{"message": {"mid": "1", "text": "private"}}]), "messaging"),
        (entry(standby=[{"message": {"mid": "1"}}]), "standby"),
        ({"field": "message_reactions", "value": {}}, "message_reactions"),
        ({"object": "page", "entry": [{"id": "1", "changes": [{"field": "feed", "value": {"item": "post"}}]}]}, "feed"),
        ({"topic": "moderate", "values": {"field": "replies", "value": {"id": "1", "text": "x"}}}, "replies"),
        ({"object": "threads", "entry": [{"changes": [{"field": "mentions", "value": {"id": "1"}}]}]}, "mentions"),
    ],
)
def test_what_is_private_or_anothers_is_not_kept(said: Any, event: str) -> None:
    (found,) = read(said)
    assert isinstance(found, Unsupported)
    assert (found.event, found.keep_raw) == (event, False)


def test_a_delivery_without_entries_is_counted_and_what_is_no_delivery_is_set_aside() -> None:
    for said in ({"object": "instagram", "entry": []}, {"object": "instagram"}):
        assert [event.type for event in read(said)] == ["unsupported"]
    bare = {"id": "0", "time": 1_520_622_968, "changed_fields": ["comments"]}
    both = [*entry(changes=[{"field": "comments", "value": VALUE}])["entry"], bare]
    assert [event.type for event in read({"object": "instagram", "entry": both})] == ["mention", "unsupported"]
    assert read({"data": []}) == []
    junk: Any
    for junk in ({}, [], 17, {"hello": "world"}):
        with pytest.raises(PayloadError):
            read(junk)


def test_answers_of_the_api_in_their_shapes() -> None:
    reply = {"id": "3", "text": "yeah", "timestamp": "2018-02-24T16:33:06+0000"}
    comment = {"id": "2", "text": "Great!", "user": {"id": "9"}, "media": {"id": "1"}, "hidden": False}
    said = read({**comment, "timestamp": "2018-02-23T21:32:16+0000", "replies": {"data": [reply]}}, "9")
    assert [(e.native_id, e.conversation_id, e.parent_id, e.own) for e in said if isinstance(e, Mention)] == [
        ("2", "1", None, True),
        ("3", "1", "2", False),
    ]
    by_id = read({"5": {"id": "5", "text": "nine"}, "6": {"id": "6", "text": "eight"}})
    assert [e.conversation_id for e in by_id if isinstance(e, Mention)] == ["5", "6"]
    media = {"id": "7", "caption": "Look", "media_type": "IMAGE", "username": "mia", "comments": {"data": [reply]}}
    found = [e for e in read({"media": {"data": [media]}, "id": "42"}) if isinstance(e, Mention)]
    assert {(e.native_id, e.conversation_id, e.kind) for e in found} == {("7", "7", "post"), ("3", "7", "reply")}
    for other in ({"id": "42", "biography": "…"}, {"id": "1", "status_code": "FINISHED"}, {"id": "17"}):
        assert [event.type for event in read(other)] == ["unsupported"]
    assert not any(isinstance(event, Deletion) for event in read({"error": {"code": 100, "error_subcode": 33}}))


def _recorded(name: str) -> list[AnyEvent]:
    folder = Path(os.environ.get("HAILBACK_SHARED") or CHECKOUT.parent / "shared") / "payloads" / "instagram"
    if not folder.is_dir():
        pytest.skip("recorded payloads: set HAILBACK_SHARED to the folder that holds payloads/")
    return read(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")), "ikroskun")


def test_recorded_deliveries_and_answers() -> None:
    (comment,), (mention,), (shown,) = (
        _recorded(name) for name in ("webhook_comments_2021", "webhook_mentions", "graph_mentioned_comment")
    )
    assert isinstance(comment, Mention)
    assert (comment.native_id, comment.parent_id, comment.conversation_id) == ("123456789", "987654321", "76543987")
    assert isinstance(mention, Hint)
    assert (mention.event, mention.native_id) == ("mentions.comment", "17887498072083520")
    assert isinstance(shown, Mention)
    assert (shown.native_id, shown.text, shown.own) == ("17967008497439572", "@ikroskun good", True)
    assert shown.created_at is not None
    assert shown.created_at.isoformat() == "2021-08-19T09:14:16+00:00"


def test_a_delivery_is_read_by_the_settings_of_its_source() -> None:
    """As `ingest_event` builds the receiver."""
    receiver = Instagram(InstagramSource.model_validate({"Account": ["1", "test"], "Login": "instagram"}))
    delivery = Delivery({}, json.dumps({"field": "comments", "value": VALUE}).encode(), 1_795_000_000_000)
    assert [event.own for event in receiver.parse(delivery) if isinstance(event, Mention)] == [True]
