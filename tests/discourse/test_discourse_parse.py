"""What a Discourse delivery becomes: identity, text, order, and what is none of ours."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import connectors
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.facts import facts
from connectors.core.models import Deletion, Mention, Unsupported, describe
from connectors.core.pattern_index import Index
from connectors.core.pattern_parse import parse
from connectors.discourse.connector import Discourse
from connectors.discourse.settings import DiscourseSource
from connectors.tool.samples import load_sample, read_script
from tests.discourse.forum import INSTANCE, POST, deliver, forum, one

SAMPLES = Path(__file__).resolve().parents[2] / "events" / "discourse"


def mention(event: str | None = "post_created", **changes: object) -> Mention:
    post = {key: value for key, value in {**POST, **changes}.items() if value is not ...}
    found = one(forum(Account="acme_support"), deliver({"post": post}, event))
    assert isinstance(found, Mention)
    return found


def sample(name: str, **properties: object) -> dict[str, Any]:
    loaded = load_sample(SAMPLES / name)
    base = loaded.headers["x-discourse-instance"]
    return describe(one(forum(BaseUrl=base, **properties), Delivery(loaded.headers, loaded.body)))


def test_a_post_becomes_a_mention() -> None:
    assert describe(mention(reads=4, score=0.2, yours=True)) == {
        "type": "mention",
        "id": "discourse:forum.acme.com:77",
        "connector": "discourse",
        "authority": "forum.acme.com",
        "native_id": "77",
        "conversation_id": "12",
        "parent_id": None,
        "kind": "reply",
        "quoted_id": None,
        "place": "5",
        "version": 1,
        "author": {"native_id": "5", "handle": "Tilda", "name": "Tilda S.", "followers": None, "identity": None},
        "title": "Broken",
        "text": "It *broke*.",
        "language": None,
        "url": "https://forum.acme.com/t/broken/12/3",
        "created_at": "2026-11-16T07:03:51.930000Z",
        "metrics": {"reads": 4, "score": 0.2},
        "reply_capability": "allowed",
        "own": False,
        "answer_key": None,
        "restored": False,
        "order": 900,
    }


def test_the_script_of_the_demo_names_every_kind_of_event() -> None:
    found = [sample(path.name, Account="7") for path in read_script(SAMPLES)]
    assert [event["type"] for event in found].count("mention") == 10
    assert {event["id"] for event in found if event["type"] == "mention"} == {
        *(f"discourse:forum.acme.com:{number}" for number in range(9001, 9008)),
        "discourse:community.acme.com:9001",
    }
    assert [event["native_id"] for event in found if event.get("own")] == ["9005"]
    assert [event["native_id"] for event in found if event["type"] == "deletion"] == ["9004", "9007"]
    assert [event["event"] for event in found if event["type"] == "unsupported"] == [
        "ping",
        "topic_created",
        "post_liked",
        "post_created",
    ]


def test_samples_hold_no_signature_and_are_named_after_their_event() -> None:
    for path in SAMPLES.glob("*.json"):
        headers = load_sample(path).headers
        assert "x-discourse-event-signature" not in headers
        assert path.name.partition("__")[0] == headers["x-discourse-event"]


def test_replies_name_the_post_they_answer() -> None:
    assert sample("post_created__heating_reply_to_reply.json")["parent_id"] == "512#2"
    assert mention(reply_to_post_number=0).parent_id is None
    assert mention(reply_to_post_number="2").parent_id == "12#2"


@pytest.mark.parametrize(
    ("post_number", "answered", "kind"),
    [(1, None, "post"), (2, None, "reply"), ("3", "2", "reply"), (..., 2, "reply"), (..., None, None), (0, None, None)],
)
def test_a_topics_first_post_opens_it_and_all_others_reply(post_number: object, answered: object, kind: str) -> None:
    assert mention(post_number=post_number, reply_to_post_number=answered).kind == kind


def test_a_route_that_asks_for_replies_takes_those_of_a_forum() -> None:
    asks = Index([parse({"kind": ["reply"]}), parse({"kind": ["post"]})])
    for name, taken in (("heating", 1), ("heating_reply", 0), ("heating_reply_to_reply", 0), ("second_forum", 1)):
        said = {key: value for key, value in sample(f"post_created__{name}.json").items() if key != "id"}
        assert asks.first(facts(Mention.model_validate(said), "routes/Forum")) == taken, name


@pytest.mark.parametrize(("category", "place"), [(5, "5"), ("5", "5"), (None, None), (..., None)])
def test_a_route_can_ask_for_a_forums_category(category: object, place: str | None) -> None:
    said = mention(category_id=category, category_slug="thermostats")
    assert said.place == place
    asks = Index([parse({"place": ["5"]})])
    assert asks.first(facts(said, "routes/Forum")) == (0 if place else None)


def test_an_edit_is_a_higher_version_of_the_same_mention() -> None:
    first, edited = sample("post_created__heating.json"), sample("post_edited__heating.json")
    assert first["id"] == edited["id"]
    assert (first["version"], edited["version"]) == (1, 2)
    assert edited["text"].startswith(first["text"])


def test_a_deletion_that_overtakes_its_post_has_the_higher_order() -> None:
    gone, late = sample("post_destroyed__spam_gone_already.json"), sample("post_created__spam_late.json")
    assert (gone["type"], late["type"]) == ("deletion", "mention")
    assert gone["id"] == late["id"]
    assert gone["order"] > late["order"]
    assert gone["deleted_at"] == "2026-11-16T09:20:31.118000Z"


def test_a_recovered_post_says_so_and_comes_after_its_deletion() -> None:
    gone, back = sample("post_destroyed__heating_rant.json"), sample("post_recovered__heating_rant.json")
    assert back["restored"] is True
    assert back["order"] > gone["order"]


@pytest.mark.parametrize("event", ["post_created", "post_edited", None])
def test_a_post_that_is_already_deleted_is_a_deletion_whatever_the_event(event: str | None) -> None:
    found = one(forum(), deliver({"post": {**POST, "deleted_at": "2026-11-16T08:00:00Z"}}, event))
    assert isinstance(found, Deletion)
    assert found.deleted_at == datetime(2026, 11, 16, 8, tzinfo=UTC)


def test_a_deletion_needs_only_the_post_id() -> None:
    found = one(forum(), deliver({"post": {"id": 77}}, "post_destroyed"))
    assert isinstance(found, Deletion)
    assert found.conversation_id is None


def test_without_an_event_id_the_time_of_receipt_orders() -> None:
    for number in (None, "", "x", "-4", "٣"):
        (found,) = forum().parse(deliver({"post": POST}, number=number))
        assert isinstance(found, Mention)
        assert found.order == 1_700_000_000


@pytest.mark.parametrize(
    ("changes", "private"),
    [
        ({"topic_archetype": "private_message"}, True),
        ({"post_type": 4}, True),
        ({"post_type": 99}, True),
        ({"post_type": 3}, False),
    ],
)
@pytest.mark.parametrize("event", ["post_created", "post_edited", "post_destroyed", "post_recovered", None])
def test_what_is_not_said_in_public_is_dropped(changes: dict[str, Any], private: bool, event: str | None) -> None:
    found = one(forum(), deliver({"post": {**POST, **changes}}, event))
    assert isinstance(found, Unsupported)
    assert found.keep_raw is not private
    assert POST["raw"] not in found.model_dump_json()


def test_a_staff_answer_in_staff_colour_is_a_mention() -> None:
    assert mention(post_type=2).text == "It *broke*."


@pytest.mark.parametrize(
    ("event", "body", "kept"),
    [
        ("ping", {"ping": "OK"}, True),
        (None, {"ping": "OK"}, True),
        ("topic_created", {"topic": {"id": 1}}, False),
        ("topic_closed_status_updated", {"topic": {"id": 1}}, False),
        (None, {"topic": {"id": 1}}, False),
        ("topic_created", {"topic": {"id": 1, "archetype": "private_message"}}, False),
        ("post_liked", {"like": {"post": POST}}, False),
        ("post_liked", {"like": {"post": {**POST, "topic_archetype": "private_message"}}}, False),
        ("accepted_solution", {"solved": POST}, False),
        ("user_created", {"user": {"email": "a@b.example"}}, False),
        ("notification_created", {"notification": {}}, False),
        ("reviewable_created", {"reviewable": {}}, False),
        ("chat_message_created", {"chat_message": {}}, False),
        ("brand_new_event", {"thing": {}}, True),
    ],
)
def test_events_that_are_not_handled_say_so(event: str | None, body: dict[str, Any], kept: bool) -> None:
    found = one(forum(), deliver(body, event))
    assert isinstance(found, Unsupported)
    assert found.event == (event or next(iter(body)))
    assert found.reason
    assert found.keep_raw is kept


def test_old_versions_send_html_only() -> None:
    event = sample("post_created__second_forum.json")
    assert event["id"] == "discourse:community.acme.com:9001"
    assert event["url"] == "https://community.acme.com/t/cannot-log-in/512/1"
    assert event["text"] == (
        "The app says all good, but I cannot log in since this morning :thinking:\n\n"
        "- Android 15\n- password reset e-mail never arrives"
    )


@pytest.mark.parametrize(("raw", "cooked"), [(None, "<p>x</p>"), ("", "<p>x</p>"), (" \n", "<p>x</p>"), (..., "x")])
def test_text_falls_back_to_the_html(raw: object, cooked: str) -> None:
    assert mention(raw=raw, cooked=cooked).text == "x"
    assert mention(raw=raw, cooked=None).text == ""


def test_all_but_the_ids_may_be_missing() -> None:
    found = one(forum(), deliver({"post": {"id": "77", "topic_id": "12"}}))
    assert isinstance(found, Mention)
    assert (found.native_id, found.conversation_id, found.version, found.author) == ("77", "12", 1, None)
    assert (found.text, found.url) == ("", "https://forum.acme.com/t/-/12")


def test_an_author_without_an_id_is_known_by_the_name() -> None:
    author = mention(user_id=None, name="").author
    assert author is not None
    assert (author.native_id, author.handle, author.name) == ("Tilda", "Tilda", None)


@pytest.mark.parametrize(
    ("account", "own"),
    [
        (5, True),
        ("5", True),
        (["9", "tilda"], True),
        ("@Tilda", True),
        ("55", False),
        ("@5", False),
        ([], False),
    ],
)
def test_our_own_posts_are_known_by_id_or_name(account: object, own: bool) -> None:
    (found,) = forum(Account=account).parse(deliver({"post": POST}))
    assert isinstance(found, Mention)
    assert found.own is own


def test_nobody_becomes_us_by_calling_themselves_our_number() -> None:
    (found,) = forum(Account="7").parse(deliver({"post": {**POST, "username": "7"}}))
    assert isinstance(found, Mention)
    assert found.own is False


@pytest.mark.parametrize(
    ("instance", "authority"),
    [
        ("https://forum.acme.com", "forum.acme.com"),
        ("https://Forum.ACME.com/", "forum.acme.com"),
        ("https://forum.acme.com:443", "forum.acme.com"),
        ("http://forum.acme.com:80", "forum.acme.com"),
        ("http://localhost:3000", "localhost:3000"),
        ("https://acme.com/forum", "acme.com"),
        ("forum.acme.com", "forum.acme.com"),
        ("http://[::1]:3000", "[::1]:3000"),
    ],
)
def test_the_forum_is_part_of_the_identity(instance: str, authority: str) -> None:
    (found,) = Discourse.for_parse().parse(deliver({"post": POST}, instance=instance))
    assert isinstance(found, Mention)
    assert found.id == f"discourse:{authority}:77"
    if "/" in instance:
        (same,) = forum(BaseUrl=instance).parse(deliver({"post": POST}, instance=None))
        assert same == found


@pytest.mark.parametrize(
    "instance", ["https://evil.example", "https://forum.acme.com:8443", "https://", "x y", "ftp://a"]
)
@pytest.mark.parametrize("body", [{"post": POST}, {"ping": "OK"}])
def test_the_unsigned_header_cannot_move_a_post_to_another_forum(instance: str, body: dict[str, Any]) -> None:
    with pytest.raises(PayloadError, match="X-Discourse-Instance"):
        forum().parse(deliver(body, None, instance))


def test_a_private_message_is_dropped_also_where_the_header_names_another_forum() -> None:
    """What is refused is kept for a person to look at; this must not be."""
    body = {"post": {**POST, "topic_archetype": "private_message"}}
    found = one(forum(), deliver(body, instance="https://another.example"))
    assert isinstance(found, Unsupported)
    assert not found.keep_raw


def test_without_any_forum_the_remedy_is_named() -> None:
    with pytest.raises(PayloadError, match="--authority HOST"):
        Discourse.for_parse().parse(deliver({"post": POST}, instance=None))


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("/t/broken/12/3", "https://acme.com/t/broken/12/3"),
        ("/forum/t/broken/12/3", "https://acme.com/forum/t/broken/12/3"),
        ("https://acme.com/forum/t/x/12/3", "https://acme.com/forum/t/x/12/3"),
        ("https://evil.example/t/broken/12/3", "https://acme.com/forum/t/broken/12/3"),
        ("//evil.example/", "https://acme.com/forum/t/broken/12/3"),
        ("javascript:alert(1)", "https://acme.com/forum/t/broken/12/3"),
        (None, "https://acme.com/forum/t/broken/12/3"),
        (12, "https://acme.com/forum/t/broken/12/3"),
    ],
)
def test_the_address_of_a_post_stays_on_its_forum(given: object, url: str) -> None:
    connector = forum(BaseUrl="https://acme.com/forum/")
    (found,) = connector.parse(deliver({"post": {**POST, "post_url": given}}, instance="https://acme.com/forum"))
    assert isinstance(found, Mention)
    assert found.url == url


@pytest.mark.parametrize(
    "changes",
    [{"id": value} for value in (None, "", "x", 1.5, True, [], {}, -1, 0, 2**63, "9" * 30)]
    + [{"topic_id": value} for value in (None, {}, "twelve", 0)]
    + [{"version": "two"}, {"user_id": [5]}, {"raw": 5}, {"raw": None, "cooked": {}}, {"post_type": "regular"}],
)
def test_a_post_that_discourse_does_not_document_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(PayloadError, match=r"^the post('s| has no) `\w+`"):
        forum().parse(deliver({"post": {**POST, **changes}}))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[]", b"1", b"null", b'{"post": []}', b'{"topic": {}}', b"[" * 99_999]
)
def test_a_body_that_is_no_post_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError):
        forum().parse(deliver(body))
    with pytest.raises(PayloadError, match="X-Discourse-Event"):
        forum().parse(deliver(b"{}", None))


@pytest.mark.parametrize("when", ["yesterday", 5, None, "0001-01-01T00:00:00+23:59", "", "2026-13-01"])
def test_a_post_with_an_odd_date_is_not_lost(when: object) -> None:
    assert mention(created_at=when).created_at is None


def test_times_are_utc() -> None:
    assert mention(created_at="2026-11-16T07:00:00+02:00").created_at == datetime(2026, 11, 16, 5, tzinfo=UTC)
    assert mention(created_at="2026-11-16T07:00:00").created_at == datetime(2026, 11, 16, 7, tzinfo=UTC)


def test_odd_numbers_are_not_metrics() -> None:
    body = json.dumps({"post": {**POST, "reads": True, "score": "7"}}).replace('"score": "7"', '"score": 1e999')
    (found,) = forum().parse(deliver(body.encode()))
    assert isinstance(found, Mention)
    assert found.metrics == {}


def test_half_characters_nul_and_long_texts_are_taken() -> None:
    found = mention(raw="a\ud800b\x00c", topic_title="\udfff", username="x\ud83d")
    assert found.text == "a\ufffdb\ufffdc"
    json.dumps(describe(found), ensure_ascii=False).encode()
    assert len(mention(raw="é" * 400_000).text) == 400_000
    assert len(mention(raw=None, cooked="<p>ab</p>" * 50_000).text) > 100_000


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        ({}, "BaseUrl"),
        ({"BaseUrl": "ftp://x"}, r"BaseUrl\n.*the value is not the address of a forum"),
        ({"BaseUrl": "https://bad host"}, r"BaseUrl\n.*the value is not the address of a forum"),
        ({"BaseUrl": ""}, r"BaseUrl\n.*the value is not the address of a forum"),
        ({"BaseUrl": INSTANCE, "Account": ""}, "an account is a user id"),
        ({"BaseUrl": INSTANCE, "Acount": "5"}, "Acount"),
    ],
)
def test_a_mistake_in_the_settings_names_the_field(properties: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        DiscourseSource.model_validate(properties)


def test_the_registry_finds_it() -> None:
    assert connectors.source("discourse") is Discourse
