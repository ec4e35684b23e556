"""What is particular to Mastodon: which name, which parent, which text, in all the shapes that it comes in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Deletion, Mention, Unsupported
from connectors.mastodon.connector import Mastodon
from tests.mastodon.contract import ACCOUNT

CHECKOUT = Path(__file__).resolve().parents[2]
OLD = "tag:old.example,2017-04-27:objectId=9:objectType=Status"
POST: Mapping[str, Any] = {
    "id": "12",
    "uri": "https://far.example/users/ines/statuses/9",
    "url": "https://far.example/@ines/9",
    "content": "<p>still cold</p>",
    "visibility": "public",
    "created_at": "2026-11-19T08:00:00.000Z",
    "account": {"id": "7", "acct": "ines@far.example", "display_name": "Ines", "followers_count": 3},
}


def read(body: object, *accounts: str) -> Sequence[AnyEvent]:
    return Mastodon.for_parse(accounts).parse(Delivery({}, json.dumps(body).encode(), 1_795_000_000_000))


def post(*accounts: str, **more: Any) -> Mention:
    (event,) = read({**POST, **more}, *accounts)
    assert isinstance(event, Mention)
    return event


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({}, "https://far.example/users/ines/statuses/9"),
        ({"uri": OLD}, OLD),
        ({"uri": "https://blog.example/?p=12"}, "https://blog.example/?p=12"),
        ({"uri": None}, "https://far.example/@ines/9"),
        ({"uri": None, "url": None}, "12"),
        ({"uri": 7, "url": [], "id": 12}, "12"),
    ],
)  # fmt: skip
def test_a_post_has_the_name_that_all_servers_share(more: Mapping[str, Any], name: str) -> None:
    assert post(**more).native_id == name


HIDDEN = '<span class="invisible">'
TAKEN = ["public", "unlisted", "private", "local", None]
LEFT = ["direct", "list", "mutuals_only", "specified", 7, []]


@pytest.mark.parametrize(("visibility", "taken"), [*((one, True) for one in TAKEN), *((one, False) for one in LEFT)])
def test_only_what_is_meant_for_us_is_read(visibility: object, taken: bool) -> None:
    (event,) = read({**POST, "visibility": visibility})
    assert isinstance(event, Mention) == taken
    if isinstance(event, Unsupported):
        assert (event.keep_raw, "cold" in event.reason) == (False, False)


@pytest.mark.parametrize(
    ("accounts", "own"),
    [
        (("7",), True),
        (("ines@far.example",), True),
        (("@Ines@far.example",), True),
        (("ines",), False),
        (("ines@other.example",), False),
        ((), False),
    ],
)
def test_our_own_account_is_its_id_or_its_whole_name(accounts: tuple[str, ...], own: bool) -> None:
    assert (post(*accounts).own, post(*accounts).reply_capability) == (own, "none" if own else "allowed")


def test_an_account_of_our_server_may_be_named_with_it_or_without() -> None:
    ours = {"account": {"id": "42", "acct": "acme", "url": "https://social.example/@acme"}}
    assert post("acme", **ours).own
    assert post("acme@social.example", **ours).own
    assert not post("acme@far.example", **ours).own


def test_conversations_are_followed_as_far_up_as_is_told() -> None:
    root = {**POST, "id": "1", "uri": "https://a.example/1"}
    middle = {**POST, "id": "2", "uri": "https://a.example/2", "in_reply_to_id": "1"}
    last = {**POST, "id": "3", "uri": "https://a.example/3", "in_reply_to_id": 2}
    seen = {
        e.native_id: e for e in read({"ancestors": [root, middle], "descendants": [last]}) if isinstance(e, Mention)
    }
    assert {event.conversation_id for event in seen.values()} == {"https://a.example/1"}
    assert [seen[f"https://a.example/{number}"].parent_id for number in (1, 2, 3)] == [None, "1", "2"]
    (alone,) = read(last)
    assert isinstance(alone, Mention)
    assert (alone.conversation_id, alone.parent_id, alone.kind) == ("2", "2", "reply")
    round_about = [{**root, "in_reply_to_id": "2"}, middle]
    assert len(read({"ancestors": round_about, "descendants": []})) == 2, "whoever answers themselves in a circle"


@pytest.mark.parametrize(
    ("quote", "name"),
    [
        ({"state": "accepted", "quoted_status": {**POST, "uri": "https://b.example/1"}}, "https://b.example/1"),
        ({"state": "accepted", "quoted_status_id": "99"}, "99"),
        ({**POST, "uri": "https://b.example/1"}, "https://b.example/1"),
        ({"state": "deleted", "quoted_status": None}, None),
        (None, None),
    ],
)
def test_what_is_quoted(quote: object, name: str | None) -> None:
    assert (post(quote=quote).quoted_id, post(quote=quote).kind) == (name, "quote" if name else "post")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ('<p><span class="h-card"><a href="https://a/@b" class="mention">@<span>b</span></a></span> hi</p>', "@b hi"),
        ("<p>one<br>two<br/>three</p><p>four</p>", "one\ntwo\nthree\n\nfour"),
        ("<p>a &lt;b&gt; &amp; &#39;c&#39; :blobcat:</p>", "a <b> & 'c' :blobcat:"),
        (f'<p><a href="#">{HIDDEN}https://</span><span>a.example/lo</span>{HIDDEN}ng</span></a></p>', "https://a.example/long"),
        ("plain words", "plain words"),
        ("", ""),
    ],
)  # fmt: skip
def test_words_as_a_reader_sees_them(markup: str, text: str) -> None:
    assert post(content=markup).text == text


def test_a_deleted_post_s_source_is_its_text() -> None:
    assert post(content=None, text="still *cold*").text == "still *cold*"


@pytest.mark.parametrize(
    "kind", ["favourite", "reblog", "poll", "status", "follow_request", "admin.report", "new_kind"]
)
def test_other_notifications_are_counted(kind: str) -> None:
    (event,) = read(
        {"id": "1", "type": kind, "created_at": POST["created_at"], "account": POST["account"], "status": POST}
    )
    assert isinstance(event, Unsupported)
    assert (event.event, event.keep_raw) == (kind, False)


def test_a_notification_without_its_post_is_counted() -> None:
    assert [event.type for event in read([{"type": "mention", "status": None}, {"type": "mention"}, 7])] == [
        "unsupported"
    ] * 3


def test_the_time_of_a_list_is_when_it_was_told() -> None:
    (event,) = read({"type": "mention", "created_at": "2026-11-19T11:00:00Z", "status": POST})
    assert isinstance(event, Mention)
    assert (event.order, event.version) == (1_795_086_000_000, 0)
    assert event.created_at is not None
    assert event.created_at.isoformat() == "2026-11-19T08:00:00+00:00"


@pytest.mark.parametrize("event", ["update", "status.update", "status.created", "status.updated"])
@pytest.mark.parametrize("packed", [True, False])
def test_streamed_posts_and_an_administrator_s_webhooks(event: str, packed: bool) -> None:
    payload = json.dumps(POST) if packed else POST
    for body in ({"stream": ["user"], "event": event, "payload": payload}, {"event": event, "object": POST}):
        (found,) = read(body)
        assert isinstance(found, Mention)


def test_other_streamed_events() -> None:
    note = {"id": "1", "type": "mention", "created_at": POST["created_at"], "status": POST}
    assert [event.type for event in read({"event": "notification", "payload": json.dumps(note)})] == ["mention"]
    for removed in ("12", 12):
        (gone,) = read({"event": "delete", "payload": removed})
        assert isinstance(gone, Deletion)
        assert (gone.native_id, gone.order) == ("12", 1_795_000_000_000)
    for name, payload in (("filters_changed", None), ("announcement.delete", "8"), ("delete", "a b"), ("update", "{")):
        (other,) = read({"event": name, "payload": payload})
        assert isinstance(other, Unsupported)
        assert other.event == name
    (report,) = read({"event": "report.created", "object": {"id": "1", "comment": "spam", "account": {}}})
    assert isinstance(report, Unsupported)
    assert not report.keep_raw


@pytest.mark.parametrize(
    "body",
    [
        {"error": "Record not found"},
        {"id": "1", "acct": "ines", "uri": "https://a.example"},
        {"id": "8", "content": "<p>We move.</p>", "statuses": [{"id": "5", "url": "https://a.example/5"}]},
        {"id": "8", "content": "<p>We move.</p>", "published_at": POST["created_at"]},
        {"content": "<p>Kalt</p>", "language": "de", "detected_source_language": "en"},
        {"statuses": [{"id": "1", "status_id": "12"}], "title": "a filter"},
    ],
)
def test_other_answers_are_counted(body: object) -> None:
    (other,) = read(body)
    assert isinstance(other, Unsupported)
    assert not other.keep_raw


@pytest.mark.parametrize("body", [{}, 7, "text", None])
def test_what_is_none_of_mastodon_s_is_refused(body: object) -> None:
    with pytest.raises(PayloadError):
        read(body)


def _shared(name: str) -> Any:
    folder = Path(os.environ.get("HAILBACK_SHARED") or CHECKOUT.parent / "shared") / "payloads" / "mastodon"
    path = folder / f"{name}.json"
    if not path.is_file():
        pytest.skip("recorded answers: set HAILBACK_SHARED to the folder that holds payloads/")
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_recorded_page_of_notifications() -> None:
    page = _shared("notifications_mention_page")
    (event,) = read(page, ACCOUNT)
    assert isinstance(event, Mention)
    assert event.native_id == page[0]["status"]["uri"]
    assert (event.text, event.own, event.kind) == ("@mastodonpy_test hello!", False, "post")


def test_a_recorded_answer_of_ours() -> None:
    said = _shared("reply_post_response")
    (event,) = read(said, said["account"]["id"])
    assert isinstance(event, Mention)
    assert (event.own, event.parent_id, event.text) == (True, said["in_reply_to_id"], "@mastodonpy_test_2 same!")
