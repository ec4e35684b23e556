"""The Graph API's own answers, in the shapes that it gives them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from connectors.core.models import Deletion, Mention
from connectors.facebook.connector import Facebook
from tests.facebook.pages import PAGE, deliver

CHECKOUT = Path(__file__).resolve().parents[2]
WALL = f"https://www.facebook.com/{PAGE}/posts/901"
COMMENT = {"id": "901_903", "message": "Cold.", "created_time": "2026-11-19T08:02:00+0000", "comment_count": 0}


def read(body: object, *accounts: str) -> list[Any]:
    return list(Facebook.for_parse(accounts).parse(deliver(body)))


def ids(found: list[Any]) -> list[tuple[str, str, str | None, str]]:
    return [(one.native_id, one.conversation_id, one.parent_id, one.kind) for one in found]


def test_a_page_of_comments_is_about_the_post_that_its_next_page_names() -> None:
    paging = {"next": f"https://graph.facebook.com/v25.0/{PAGE}_901/comments?after=x"}
    assert ids(read({"data": [COMMENT], "paging": paging})) == [("901_903", f"{PAGE}_901", None, "reply")]


def test_replies_to_a_comment_name_it() -> None:
    paging = {"next": "https://graph.facebook.com/v25.0/901_903/comments?after=x"}
    body = {"data": [COMMENT | {"id": "901_904"}], "paging": paging}
    assert ids(read(body, PAGE)) == [("901_904", f"{PAGE}_901", "901_903", "reply")]
    stream = COMMENT | {"id": "901_904", "parent": {"id": "901_903"}, "permalink_url": f"{WALL}?comment_id=903"}
    assert ids(read({"data": [stream]})) == [("901_904", f"{PAGE}_901", "901_903", "reply")]


def test_comments_without_ids_are_known_by_their_addresses() -> None:
    top = {"message": "Cold.", "permalink_url": f"{WALL}/?comment_id=903"}
    reply = {"message": "Here too.", "permalink_url": f"{WALL}/?comment_id=903&reply_comment_id=904"}
    assert ids(read({"data": [top, reply]})) == [
        ("901_903", f"{PAGE}_901", None, "reply"),
        ("901_904", f"{PAGE}_901", "901_903", "reply"),
    ]


def test_the_same_comment_has_one_id_whether_pushed_asked_for_or_written() -> None:
    pushed = {"item": "comment", "verb": "add", "comment_id": "901_903", "post_id": f"{PAGE}_901", "message": "Cold."}
    delivery = {"object": "page", "entry": [{"id": PAGE, "changes": [{"field": "feed", "value": pushed}]}]}
    address = {"permalink_url": f"{WALL}?comment_id=903", "message": "Cold."}
    bodies = [delivery, {"data": [COMMENT]}, COMMENT, {"id": "901_903"}, {"data": [address]}, address]
    found = [read(body, PAGE) for body in bodies]
    assert {(one.id, one.conversation) for (one,) in found} == {("facebook:901_903", f"facebook:{PAGE}_901")}


def test_a_feed_brings_its_posts_and_what_was_said_beneath_them_oldest_first() -> None:
    beneath = COMMENT | {
        "comments": {"data": [COMMENT | {"id": "901_904", "created_time": "2026-11-19T08:03:00+0000"}]}
    }
    post = {"id": f"{PAGE}_901", "created_time": "2026-11-19T08:00:00+0000", "comments": {"data": [beneath]}}
    later = {"id": f"{PAGE}_902", "created_time": "2026-11-19T09:00:00+0000", "message": "x"}
    paging = {"next": f"https://graph.facebook.com/v25.0/{PAGE}/feed?after=x"}
    assert ids(read({"data": [later, post], "paging": paging})) == [
        (f"{PAGE}_901", f"{PAGE}_901", None, "post"),
        ("901_903", f"{PAGE}_901", None, "reply"),
        ("901_904", f"{PAGE}_901", "901_903", "reply"),
        (f"{PAGE}_902", f"{PAGE}_902", None, "post"),
    ]


def test_a_post_with_the_default_fields_is_told_from_a_comment_by_its_id() -> None:
    bare = {"id": f"{PAGE}_901", "created_time": "2026-11-19T08:00:00+0000", "message": "Hello"}
    assert read(bare, PAGE)[0].kind == "post"
    assert read({**bare, "id": "901_903"}, PAGE)[0].kind == "reply"


def test_a_comment_s_id_of_three_numbers_begins_with_its_post() -> None:
    old = {
        "id": f"{PAGE}_901_903",
        "created_time": "2013-02-22T12:26:09+0000",
        "message": "Hello",
        "from": {"id": "77"},
    }
    for accounts in ((), (PAGE,)):
        assert ids(read(old, *accounts)) == [(f"{PAGE}_901_903", f"{PAGE}_901", None, "reply")]


def test_an_uploaded_photo_is_known_by_its_post() -> None:
    assert ids(read({"id": "88", "post_id": f"{PAGE}_901"})) == [(f"{PAGE}_901", f"{PAGE}_901", None, "post")]


def test_several_things_may_be_asked_for_at_once() -> None:
    assert [one.native_id for one in read({"901_903": COMMENT, "901_904": COMMENT | {"id": "901_904"}})] == [
        "901_903",
        "901_904",
    ]


def test_numbers_are_metrics_and_what_is_missing_is_not_zero() -> None:
    summary = {"summary": {"total_count": 4}}
    post = {"id": f"{PAGE}_901", "story": "", "shares": {"count": 2}, "reactions": summary, "comments": summary}
    assert read(post)[0].metrics == {"share_count": 2, "reaction_count": 4, "comment_count": 4}
    assert read({"id": "901_903", "message": "x", "like_count": 0})[0].metrics == {"like_count": 0}
    assert read({"id": "901_903", "message": "x"})[0].metrics == {}


def test_our_own_comment_is_ours() -> None:
    body = COMMENT | {"from": {"id": PAGE, "name": "Acme"}}
    assert read(body, PAGE)[0].own
    assert not read(body, "4242")[0].own


def test_an_answer_without_words_overwrites_none() -> None:
    said, silent = read(COMMENT)[0], read({"id": "901_903", "created_time": COMMENT["created_time"]})[0]
    assert said.order == 1_700_000_000_000
    assert silent.order == 0


@pytest.mark.parametrize(
    "body",
    [{"error": {"code": 190}}, {"success": True}, {"data": {"is_valid": True}}, {"data": [{"id": "7", "name": "A"}]}],
)
def test_answers_without_posts_are_counted(body: object) -> None:
    assert [one.type for one in read(body)] == ["unsupported"]


def test_an_empty_list_holds_nothing() -> None:
    assert read({"data": []}) == []


def _recorded(name: str) -> list[Any]:
    folder = Path(os.environ.get("HAILBACK_SHARED") or CHECKOUT.parent / "shared") / "payloads" / "facebook"
    if not folder.is_dir():
        pytest.skip("recorded payloads: set HAILBACK_SHARED to the folder that holds payloads/")
    return read(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")), PAGE)


def test_recorded_deliveries() -> None:
    own, gone = _recorded("webhook_feed_comment_add")[0], _recorded("webhook_feed_comment_remove")[0]
    visitor, elsewhere = _recorded("webhook_feed_post_add_visitor")[0], _recorded("webhook_mention_comment_add")[0]
    assert isinstance(own, Mention)
    assert (own.native_id, own.own, own.parent_id) == ("901097836652708_903438993085259", True, None)
    assert isinstance(gone, Deletion)
    assert (gone.native_id, gone.conversation_id) == ("905578656204626_905579239537901", f"{PAGE}_905578656204626")
    assert (visitor.native_id, visitor.author.native_id, visitor.own) == (
        f"{PAGE}_7293787835232",
        "8423678347823",
        False,
    )
    assert (elsewhere.native_id, elsewhere.author) == ("7363534231324_3754798971271444", None)
    assert [one.event for one in _recorded("webhook_two_entries")] == ["parking", "payment_options"]


def test_recorded_answers() -> None:
    (made,) = _recorded("graph_comment_create_response")
    assert ids([made]) == [("245778718206154_229887283291835", "245628824887810_245778718206154", None, "reply")]
    listed = _recorded("graph_comments_page1")
    assert len({one.id for one in listed}) == len(listed) == 10
    assert {one.conversation_id for one in listed} == {"19292868552_10158407654328553"}
    assert [one.parent_id for one in listed].count(None) == 6
    assert listed[0].metrics == {"comment_count": 1, "like_count": 0}
