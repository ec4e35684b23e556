"""What Facebook delivers, and what becomes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.core.errors import PayloadError
from connectors.core.models import Deletion, Mention, Unsupported, describe
from connectors.facebook.connector import Facebook
from connectors.tool.samples import load_sample, read_script
from tests.facebook.pages import AT, COMMENT, PAGE, changed, deliver, every, hook, one, page

CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLES = CHECKOUT / "events" / "facebook"
MANIFEST: dict[str, Any] = json.loads((CHECKOUT / "connectors/facebook/connector.json").read_text(encoding="utf-8"))
POST = {
    "item": "post",
    "verb": "add",
    "post_id": f"{PAGE}_55",
    "from": {"id": "77"},
    "message": "Hello",
    "created_time": AT,
}


def test_a_comment_says_who_said_what_where_and_when() -> None:
    mention = changed()
    assert mention == Mention(
        connector="facebook",
        native_id="901_903",
        conversation_id=f"{PAGE}_901",
        kind="reply",
        author={"native_id": "77", "name": "Tilda"},
        text="It broke.",
        url=f"https://www.facebook.com/{PAGE}_901?comment_id=903",
        created_at=datetime.fromtimestamp(AT, UTC),
        reply_capability="allowed",
        order=AT * 1000,
    )
    assert (mention.id, mention.conversation) == ("facebook:901_903", f"facebook:{PAGE}_901")


def test_a_post_opens_a_conversation_and_its_comments_join_it() -> None:
    post = one(hook(POST))
    assert (post.native_id, post.conversation_id, post.parent_id, post.kind) == (f"{PAGE}_55",) * 2 + (None, "post")
    comment = changed(comment_id="55_1", post_id=f"{PAGE}_55", parent_id=f"{PAGE}_55")
    assert comment.conversation == post.conversation


def test_a_reply_names_the_comment_that_it_answers() -> None:
    assert changed(parent_id="901_903", comment_id="901_904").parent_id == "901_903"
    assert changed(parent_id=f"{PAGE}_901").parent_id is None
    assert changed(parent_id=None).parent_id is None


@pytest.mark.parametrize("item", ["status", "post", "photo", "video", "share", "link", "note"])
def test_whatever_says_something_is_a_mention(item: str) -> None:
    mention = one(hook({**POST, "item": item}))
    assert (mention.type, mention.native_id, mention.text) == ("mention", f"{PAGE}_55", "Hello")


def test_a_picture_without_words_is_still_something_that_a_customer_showed_us() -> None:
    silent = {name: said for name, said in POST.items() if name != "message"}
    photo = one(hook({**silent, "item": "photo", "photo_id": 9, "link": "https://scontent.example/9.jpg"}))
    assert (photo.type, photo.text, photo.url) == ("mention", "", f"https://www.facebook.com/{PAGE}_55")


@pytest.mark.parametrize("verb", ["edit", "edited"])
def test_an_edit_is_a_newer_version_of_the_same_comment(verb: str) -> None:
    edited = changed(verb=verb, message="It broke twice.", created_time=AT + 60)
    assert (edited.id, edited.version, edited.text) == (changed().id, (AT + 60) * 1000, "It broke twice.")
    assert edited.version > changed().version
    assert changed(verb=verb, created_time=None).version == AT * 1000  # then the entry's time


def test_two_edits_that_claim_the_same_time_are_told_apart_by_their_deliveries() -> None:
    first, second = (one(hook({**COMMENT, "verb": "edited"}, at=AT + late)) for late in (5, 9))
    assert first.version == second.version
    assert first.order < second.order


def test_two_edits_in_one_entry_are_told_apart_by_their_place_and_stay_so_when_it_comes_again() -> None:
    edits = [{"field": "feed", "value": {**COMMENT, "verb": "edited", "message": words}} for words in ("B", "C")]
    for received in (1_795_000_000_000, 1_795_000_600_000):
        body = {"object": "page", "entry": [{"id": PAGE, "time": AT, "changes": edits}]}
        first, second = (found for found in page().parse(deliver(body, received)) if isinstance(found, Mention))
        assert (first.order, second.order) == (AT * 1000, AT * 1000 + 1)
        assert (first.id, first.version) == (second.id, second.version)


@pytest.mark.parametrize("verb", ["remove", "delete"])
def test_a_removal_takes_the_comment_away(verb: str) -> None:
    gone = changed(verb=verb, message=None, created_time=None)
    assert gone == Deletion(
        connector="facebook",
        native_id="901_903",
        conversation_id=f"{PAGE}_901",
        deleted_at=datetime.fromtimestamp(AT, UTC),
        order=AT * 1000,
    )
    assert one(hook({**POST, "verb": verb})).id == one(hook(POST)).id


def test_a_removal_of_a_nameless_comment_does_not_take_its_post_away() -> None:
    assert changed(verb="remove", comment_id=None).type == "unsupported"


@pytest.mark.parametrize("verb", ["hide", "unhide", "block", "unblock", "mute", "follow", "unheard_of"])
def test_what_a_moderator_does_changes_nothing_and_is_not_kept(verb: str) -> None:
    done = changed(verb=verb)
    assert (done.type, done.event, done.keep_raw) == ("unsupported", f"feed.comment.{verb}", False)


@pytest.mark.parametrize("item", ["reaction", "like", "event", "milestone", "unheard_of"])
def test_a_like_and_its_kin_say_nothing(item: str) -> None:
    for verb in ("add", "edit", "remove"):
        done = one(hook({**POST, "item": item, "verb": verb}))
        assert (done.type, done.event) == ("unsupported", f"feed.{item}.{verb}")


def test_a_missing_author_is_nobody_and_not_ourselves() -> None:
    anonymous = changed(**{"from": None})
    assert (anonymous.author, anonymous.own) == (None, False)


def test_old_payloads_name_a_sender() -> None:
    legacy = changed(**{"from": None}, sender_id=8423678347823, sender_name="John")
    assert (legacy.author.native_id, legacy.author.name) == ("8423678347823", "John")
    both = changed(sender_id=77, sender_name="Tilda S.")
    assert (both.author.native_id, both.author.name) == ("77", "Tilda")
    assert changed(**{"from": {"id": "77"}}, sender_id=77, sender_name="Tilda S.").author.name == "Tilda S."
    assert changed(**{"from": {"id": "77"}}, sender_id=78, sender_name="Ben").author.name is None


def test_our_own_page_is_known_by_the_entry_and_by_the_accounts() -> None:
    assert changed(**{"from": {"id": PAGE}}).own
    assert changed(**{"from": {"id": int(PAGE)}}).own
    assert changed(**{"from": None}, sender_id=int(PAGE)).own
    sister = {**COMMENT, "from": {"id": "4242"}}
    assert not one(hook(sister)).own
    assert one(hook(sister), page(Account=[PAGE, "4242"])).own
    assert one(hook(sister), Facebook.for_parse(["4242"])).own


def test_a_page_that_this_source_has_no_token_for_is_heard_and_cannot_be_answered() -> None:
    other = hook(COMMENT, entry="999")
    assert one(other).reply_capability == "none"
    assert one(other, Facebook.for_parse([PAGE])).reply_capability == "allowed"


def test_ids_and_times_may_be_numbers_or_strings() -> None:
    plain, stringy = one(hook({**POST, "post_id": 55}, entry=int(PAGE))), one(hook({**POST, "post_id": "55"}))
    assert plain.id == stringy.id == "facebook:55"
    for said in (AT, str(AT), AT * 1000, f"{AT}000", "2015-12-03T09:30:03+0000", float(AT)):
        assert changed(created_time=said).created_at == datetime.fromtimestamp(AT, UTC)


@pytest.mark.parametrize(
    ("comment", "parent", "about", "conversation"),
    [
        ("901_903", None, "feed", f"{PAGE}_901"),
        (f"{PAGE}_901_903", f"{PAGE}_901", "feed", f"{PAGE}_901"),
        ("777_901_903", "777_901", "mention", "777_901"),
        ("901_903", None, "mention", "901_903"),
        ("903", None, "feed", "903"),
    ],
)
def test_a_comment_that_names_no_post_has_it_in_its_id(
    comment: str, parent: str | None, about: str, conversation: str
) -> None:
    """As Facebook delivered comments until 2014: https://developers.facebook.com/docs/apps/changelog (v2.1)"""
    value = {"item": "comment", "verb": "add", "comment_id": comment, "parent_id": parent, "sender_id": 77}
    found = one(hook(value, about=about))
    assert (found.native_id, found.conversation_id, found.parent_id) == (comment, conversation, None)


def test_the_time_of_an_entry_may_be_in_milliseconds() -> None:
    assert one(hook(COMMENT, at=AT)).order == one(hook(COMMENT, at=AT * 1000)).order == AT * 1000
    assert one(hook(COMMENT, at=None)).order == 1_700_000_000_000  # then the time of receipt


def test_the_post_may_be_named_in_its_own_object() -> None:
    newer = changed(post_id=None, parent_id=None, post={"id": f"{PAGE}_901"})
    assert newer.conversation_id == f"{PAGE}_901"
    assert (
        changed(post_id=None, parent_id=None).conversation_id == f"{PAGE}_901"
    )  # the Page and the comment's first half


def test_an_address_elsewhere_is_not_believed() -> None:
    good = "https://www.facebook.com/acme/posts/901?comment_id=903"
    assert changed(permalink_url=good).url == good
    for bad in (
        "https://evil.example/901",
        "javascript:alert(1)",
        "https://facebook.com.evil.example/1",
        "https://[",
        7,
    ):
        assert changed(permalink_url=bad).url == f"https://www.facebook.com/{PAGE}_901?comment_id=903"


def test_a_mention_elsewhere_has_its_own_conversation() -> None:
    value = {"item": "comment", "verb": "add", "post_id": "88_9", "comment_id": "9_1", "message": "Acme!"}
    mention = one(hook(value, about="mention"))
    assert (mention.native_id, mention.conversation_id, mention.author, mention.own) == ("9_1", "88_9", None, False)
    alone = one(hook({**value, "post_id": None}, about="mention"))
    assert alone.conversation_id == "9_1"  # whose wall it is on, nobody says


def test_private_messages_are_counted_and_not_kept() -> None:
    talk = {"sender": {"id": "7"}, "message": {"text": "My number is 4711."}}
    body = {"object": "page", "entry": [{"id": PAGE, "time": AT, "messaging": [talk, talk]}]}
    found = every(body)
    assert [event.type for event in found] == ["unsupported"] * 2
    assert not any(event.keep_raw for event in found if isinstance(event, Unsupported))
    assert "4711" not in str(found)
    for about in ("conversations", "messages", "messaging_postbacks", "leadgen", "standby"):
        assert one(hook({"thread_id": "t_1"}, about=about)).keep_raw is False


def test_other_fields_other_objects_and_changes_without_a_value_are_counted() -> None:
    assert one(hook({}, about="parking")).event == "parking"
    assert one({"object": "page", "entry": [{"id": PAGE, "changes": [{"field": "feed"}]}]}).event == "feed"
    assert one({"object": "instagram", "entry": [{"id": "1"}]}).event == "instagram"
    assert one({"object": "page", "entry": []}).type == "unsupported"
    assert one({"object": "page", "entry": [{"id": PAGE}]}).type == "unsupported"


def test_many_entries_of_several_pages_come_apart() -> None:
    body = {"object": "page", "entry": [*hook(COMMENT)["entry"], *hook(POST, {**POST, "post_id": "5_6"})["entry"]]}
    assert [event.native_id for event in every(body) if isinstance(event, Mention)] == ["901_903", f"{PAGE}_55", "5_6"]


def test_one_delivery_may_hold_a_thousand_changes() -> None:
    values = [{**COMMENT, "comment_id": f"901_{number}", "message": f"Number {number}"} for number in range(1000)]
    found = every(hook(*values))
    assert [describe(event)["id"] for event in found] == [f"facebook:901_{number}" for number in range(1000)]
    assert [event.text for event in found if isinstance(event, Mention)][::333] == [
        f"Number {n}" for n in (0, 333, 666, 999)
    ]


def test_a_change_by_itself_is_read_as_the_reference_shows_it() -> None:
    assert one({"field": "feed", "value": COMMENT}).id == changed().id


def test_what_no_ticket_takes_does_not_leave() -> None:
    body = json.dumps(hook({**COMMENT, "message": "@", "from": {"id": "77", "name": "@"}})).encode()
    hostile = body.replace(b'"@"', b'"\\ud83e \\u0000"')
    mention: Any = page().parse(deliver(hostile))[0]
    assert mention.text == mention.author.name == "\ufffd \ufffd"


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{}", b"\xff", b"[" * 9000, b'{"a": 1}', b'{"data": NaN}'])
def test_what_facebook_does_not_document_is_one_sentence(body: bytes) -> None:
    with pytest.raises(PayloadError) as raised:
        page().parse(deliver(body))
    assert "\n" not in str(raised.value)


def _sampled(path: Path) -> list[Any]:
    return list(Facebook.for_parse(["100200300400500"]).parse(deliver(load_sample(path).body)))


@pytest.mark.parametrize("event", sorted(MANIFEST["events"]))
def test_each_declared_event_has_samples_that_become_what_is_declared(event: str) -> None:
    samples = sorted(SAMPLES.glob(f"{event}__*.json"))
    assert samples
    for path in samples:
        found = _sampled(path)
        assert {one.type for one in found} == {MANIFEST["events"][event]}
        assert all(one.event == event for one in found if isinstance(one, Unsupported))


def test_no_sample_is_of_an_undeclared_event_and_the_script_names_samples() -> None:
    assert {path.name.partition("__")[0] for path in SAMPLES.glob("*.json")} == MANIFEST["events"].keys()
    assert all(path.is_file() for path in read_script(SAMPLES))


def test_every_field_of_a_mention_is_filled_by_a_sample_or_said_to_be_unset() -> None:
    filled: set[str] = set()
    for path in SAMPLES.glob("*.json"):
        for event in _sampled(path):
            if isinstance(event, Mention):
                plain = event.model_dump(exclude_defaults=True)
                filled |= plain.keys() | {f"author.{name}" for name in plain.get("author", {})}
    told = {name for name, field in Mention.model_fields.items() if not field.exclude}
    fields = (told - {"type", "connector", "author"}) | {"author.handle", "author.followers"}
    assert fields - filled == MANIFEST["unset"].keys()
