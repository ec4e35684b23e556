"""What is particular to Bluesky: records with more or less around them, in all the shapes that they come in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.bluesky.connector import POST, REPOSTED, Bluesky
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Deletion, Hint, Mention, Unsupported

CHECKOUT = Path(__file__).resolve().parents[2]
INES = "did:plc:inesbrandtinesbrandt2345"
URI = f"at://{INES}/{POST}/3lq2aaaaaaa2a"
RECORD: Mapping[str, Any] = {"$type": POST, "text": "still cold", "createdAt": "2026-11-19T08:00:00.000Z"}
AUTHOR: Mapping[str, Any] = {"did": INES, "handle": "ines.example", "displayName": "Ines"}
VIEW: Mapping[str, Any] = {
    "uri": URI,
    "cid": "bafy",
    "author": AUTHOR,
    "record": RECORD,
    "indexedAt": RECORD["createdAt"],
}
JET: Mapping[str, Any] = {"did": INES, "time_us": 1_795_075_201_000_123}
COMMIT: Mapping[str, Any] = {"rev": "3lq2", "collection": POST, "rkey": "3lq2aaaaaaa2a", "cid": "bafy"}
EVENTS = "network.bsky.jetstream.subscribeEvents"
FLAT: Mapping[str, Any] = {
    **COMMIT,
    "$type": f"{EVENTS}#commit",
    "seq": 9,
    "did": INES,
    "time": "2026-11-19T08:00:01.000123Z",
}


def read(body: object, *accounts: str) -> Sequence[AnyEvent]:
    return Bluesky.for_parse(accounts).parse(Delivery({}, json.dumps(body).encode(), 1_795_000_000_000))


def one(body: object, *accounts: str) -> Mention:
    (event,) = read(body, *accounts)
    assert isinstance(event, Mention)
    return event


LIKE, GONE = "app.bsky.feed.like", "app.bsky.feed.defs#notFoundPost"
ABSENT = "app.bsky.unspecced.defs#threadItemNotFound"
SHAPES: dict[str, Any] = {
    "a notification": {**VIEW, "reason": "mention"},
    "notifications": {"notifications": [{**VIEW, "reason": "reply"}], "cursor": "x"},
    "a post": VIEW,
    "a list of posts": [VIEW],
    "posts": {"posts": [VIEW], "hitsTotal": 1},
    "a feed": {
        "feed": [{"post": VIEW, "reply": {"root": {**VIEW, "uri": f"{URI}x"}, "parent": {**VIEW, "uri": f"{URI}x"}}}]
    },
    "a pinned post": {"feed": [{"post": VIEW, "reason": {"$type": "app.bsky.feed.defs#reasonPin"}}]},
    "a thread": {"thread": {"$type": "app.bsky.feed.defs#threadViewPost", "post": VIEW}},
    "a thread, second version": {"thread": [{"uri": URI, "depth": 0, "value": {"post": VIEW, "moreReplies": 0}}]},
    "a record": {"uri": URI, "cid": "bafy", "value": RECORD},
    "records": {"records": [{"uri": URI, "cid": "bafy", "value": RECORD}], "cursor": "x"},
    "an embedded record": {"$type": "app.bsky.embed.record#viewRecord", "uri": URI, "author": AUTHOR, "value": RECORD},
    "Jetstream": {**JET, "kind": "commit", "commit": {**COMMIT, "operation": "create", "record": RECORD}},
    "Jetstream, first version": {**JET, "type": "com", "commit": {**COMMIT, "type": "c", "record": RECORD}},
    "Jetstream, second version": {"$type": "message", "payload": {**FLAT, "operation": "create", "record": RECORD}},
    "Jetstream, second version, out of its frame": {**FLAT, "operation": "create", "record": RECORD},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_post_is_the_same_in_whatever_it_comes(shape: str) -> None:
    found = one(SHAPES[shape])
    assert (found.native_id, found.conversation_id, found.text, found.kind) == (URI, URI, "still cold", "post")
    assert found.author is not None
    assert found.author.native_id == INES
    assert found.author.handle in {None, "ines.example"}
    assert found.url == f"https://bsky.app/profile/{found.author.handle or INES}/post/3lq2aaaaaaa2a"
    assert found.version == 0
    assert found.order in {1_795_075_200_000, 1_795_075_201_000}


def test_our_own_account_is_its_did_or_its_handle() -> None:
    assert one(VIEW, INES).own
    assert one(VIEW, "@Ines.example").own
    assert one(SHAPES["Jetstream"], INES).own
    assert not one(VIEW, "acme.example").own
    assert (one(VIEW, INES).reply_capability, one(VIEW).reply_capability) == ("none", "allowed")


def test_a_handle_that_could_not_be_verified_is_none() -> None:
    found = one({**VIEW, "author": {**AUTHOR, "handle": "handle.invalid"}}, "handle.invalid")
    assert found.author is not None
    assert (found.author.handle, found.own) == (None, False)


def strong(key: str, collection: str = POST) -> dict[str, str]:
    return {"uri": f"at://did:plc:acme/{collection}/{key}", "cid": "bafy"}


def test_an_answer_names_its_parent_and_the_first_post() -> None:
    record = {**RECORD, "reply": {"root": strong("a"), "parent": strong("b")}}
    found = one({**VIEW, "record": record})
    assert (found.conversation_id, found.parent_id, found.kind) == (strong("a")["uri"], strong("b")["uri"], "reply")


@pytest.mark.parametrize(
    ("embed", "quoted"),
    [
        ({"$type": "app.bsky.embed.record", "record": strong("a")}, strong("a")["uri"]),
        (
            {"$type": "app.bsky.embed.recordWithMedia", "record": {"record": strong("a")}, "media": {}},
            strong("a")["uri"],
        ),
        ({"$type": "app.bsky.embed.record", "record": strong("a", "app.bsky.feed.generator")}, None),
        ({"$type": "app.bsky.embed.external", "external": {"uri": "https://a.example"}}, None),
        ("?", None),
    ],
)
def test_what_is_quoted(embed: object, quoted: str | None) -> None:
    found = one({**VIEW, "record": {**RECORD, "embed": embed}})
    assert (found.quoted_id, found.kind) == (quoted, "quote" if quoted else "post")


@pytest.mark.parametrize("kind", [{"kind": "commit"}, {"type": "com"}])
@pytest.mark.parametrize("operation", [{"operation": "delete"}, {"type": "d"}])
def test_a_removal_is_told_by_jetstream(kind: Mapping[str, str], operation: Mapping[str, str]) -> None:
    (gone,) = read({**JET, **kind, "commit": {**COMMIT, **operation}})
    assert isinstance(gone, Deletion)
    assert (gone.native_id, gone.order) == (URI, 1_795_075_201_000)


def test_and_by_its_second_version() -> None:
    (gone,) = read({"$type": "message", "payload": {**FLAT, "operation": "delete"}})
    assert isinstance(gone, Deletion)
    assert (gone.native_id, gone.order) == (URI, 1_795_075_201_000)


def test_a_change_is_a_newer_version() -> None:
    changed = one({**JET, "kind": "commit", "commit": {**COMMIT, "operation": "update", "record": RECORD}})
    assert changed.version == 1_795_075_201_000
    assert one({**FLAT, "operation": "update", "record": RECORD}).version == 1_795_075_201_000


@pytest.mark.parametrize(
    ("body", "event"),
    [
        ({**VIEW, "reason": "like", "record": {"$type": LIKE}}, "like"),
        ({**VIEW, "reason": "subscribed-post"}, "subscribed-post"),
        ({**VIEW, "reason": "of a new kind"}, "of a new kind"),
        ({"feed": [{"post": VIEW, "reason": {"by": AUTHOR}}]}, "repost"),
        ({"feed": [{"post": VIEW, "reason": {"$type": REPOSTED}}]}, "repost"),
        ({**JET, "kind": "commit", "commit": {**COMMIT, "operation": "delete", "collection": LIKE}}, LIKE),
        ({**JET, "kind": "commit", "commit": {**COMMIT, "operation": "create"}}, POST),
        ({**JET, "kind": "identity", "identity": {"did": INES}}, "identity"),
        ({**JET, "kind": "account", "account": {"active": False, "status": "deleted"}}, "account"),
        ({**JET, "type": "acc"}, "acc"),
        ({"thread": {"$type": GONE, "uri": URI, "notFound": True}}, GONE),
        ({"thread": [{"uri": URI, "depth": 1, "value": {"$type": ABSENT}}]}, ABSENT),
        ({"$type": "message", "payload": {"$type": f"{EVENTS}#identity", "did": INES}}, f"{EVENTS}#identity"),
        ({"$type": "message", "payload": {**FLAT, "operation": "create", "collection": LIKE}}, LIKE),
        ({"$type": "error", "payload": {"error": "ConsumerTooSlow"}}, "error"),
        ({"uri": f"at://{INES}/{LIKE}/3lq2", "cid": "bafy", "validationStatus": "valid"}, "strongRef"),
        ({"uri": URI, "cid": "bafy", "likes": [{"actor": AUTHOR}]}, "unnamed"),
        ({"did": INES, "handle": "ines.example", "followersCount": 3}, "unnamed"),
        ({"messages": [{"text": "hush"}]}, "unnamed"),
        ({"error": "InvalidRequest"}, "unnamed"),
        ({"$type": "com.example.new#thing"}, "com.example.new#thing"),
    ],
)  # fmt: skip
def test_everything_else_is_counted(body: object, event: str) -> None:
    (found,) = read(body)
    assert isinstance(found, Unsupported)
    assert (found.event, found.keep_raw) == (event, False)


def test_what_is_only_named_has_to_be_fetched() -> None:
    (hint,) = read({"uri": URI, "cid": "bafy", "validationStatus": "valid"})
    assert isinstance(hint, Hint)
    assert hint.native_id == URI


@pytest.mark.parametrize("body", [{}, 7, None, "text"])
def test_what_is_none_of_bluesky_s_is_refused(body: object) -> None:
    with pytest.raises(PayloadError):
        read(body)


def _shared(name: str) -> Any:
    folder = Path(os.environ.get("HAILBACK_SHARED") or CHECKOUT.parent / "shared") / "payloads" / "bluesky"
    path = folder / f"{name}.json"
    if not path.is_file():
        pytest.skip("recorded answers: set HAILBACK_SHARED to the folder that holds payloads/")
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_recorded_page_of_notifications() -> None:
    page = _shared("listNotifications_page")
    told = [note for note in page["notifications"] if note["reason"] in {"mention", "reply", "quote"}]
    found = [event for event in read(page) if isinstance(event, Mention)]
    assert len(told) > 5
    assert sorted(event.native_id for event in found) == sorted(note["uri"] for note in told)
    by_uri = {note["uri"]: note["record"] for note in told}
    for event in found:
        reply = by_uri[event.native_id].get("reply")
        assert event.text == by_uri[event.native_id]["text"]
        assert event.conversation_id == (reply["root"]["uri"] if reply else event.native_id)
        assert event.parent_id == (reply["parent"]["uri"] if reply else None)


def test_a_recorded_thread_and_a_recorded_removal() -> None:
    (post,) = read(_shared("getPostThread"))
    assert isinstance(post, Mention)
    assert (post.language, post.metrics["likeCount"]) == ("en", 4)
    (gone,) = read(_shared("jetstream_v1_commit_delete_post"))
    assert gone.type == "deletion"
