"""What a mapping makes of deliveries, what a mistake in it says, and how much work it may be."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.core.delivery import Delivery, Request
from connectors.core.door import load, verify
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Deletion, Mention, Unsupported
from connectors.core.plan_settings import pascal, read_settings
from connectors.webhook.connector import Mapping, Person, Webhook, WebhookSource
from connectors.webhook.expressions import LONGEST, Reader, compiled

ROOT = Path(__file__).resolve().parents[2]
NOW = 1_795_000_000_000


def parsed(said: object, **settings: Any) -> list[AnyEvent]:
    """As deployed: settings pass through the table."""
    plain, findings = read_settings(WebhookSource, {"Authority": "shop.acme.example", **settings})
    assert findings == []
    source = Webhook(WebhookSource.model_validate(json.loads(json.dumps(plain))))
    return list(source.parse(Delivery({}, json.dumps(said).encode(), NOW)))


def mention(said: object, **settings: Any) -> Mention:
    (found,) = parsed(said, **settings)
    assert isinstance(found, Mention)
    return found


def said_of(**settings: Any) -> list[str]:
    return [str(one) for one in read_settings(WebhookSource, {"Authority": "shop.acme.example", **settings})[1]]


def test_what_the_readme_shows_works() -> None:
    shown = re.findall(r"```(yaml|json)\n(.*?)```", readme(), re.DOTALL)
    properties = yaml.safe_load(shown[0][1].replace("!Ref ", ""))["Shop"]["Properties"]
    settings = {name: properties[name] for name in ("Authority", "Account", "ReplyUrl", "Mapping")}
    plain, findings = read_settings(WebhookSource, settings)
    assert findings == []
    said = {"uuid": "a-1", "order": {"number": 9}, "body": "cold", "customer": {"id": 4}, "visibility": "public"}
    source = Webhook(WebhookSource.model_validate(plain))
    (found,) = source.parse(Delivery({}, json.dumps({"data": {"comments": [said]}}).encode()))
    assert isinstance(found, Mention)
    assert (found.native_id, found.conversation_id, found.text) == ("a-1", "order-9", "cold")
    example = mention(json.loads(shown[1][1]))
    assert (example.parent_id, example.language, example.version) == ("c-3", "en", 1_794_988_800_000)
    assert example.author is not None
    assert example.author.followers == 12


def readme() -> str:
    return (ROOT / "connectors" / "webhook" / "README.md").read_text(encoding="utf-8")


def test_a_removal_takes_words_away_though_private_holds_for_it_too() -> None:
    """With the README's own mapping: a removal says nothing of visibility."""
    shown = re.findall(r"```yaml\n(.*?)```", readme(), re.DOTALL)
    mapping = yaml.safe_load(shown[0].replace("!Ref ", ""))["Shop"]["Properties"]["Mapping"]
    removal = {"uuid": "a-1", "order": {"number": 9}, "action": "removed"}
    (gone,) = parsed({"data": {"comments": [removal]}}, Mapping=mapping)
    assert isinstance(gone, Deletion)
    assert (gone.native_id, gone.conversation_id) == ("a-1", "order-9")
    note = {"uuid": "a-2", "order": {"number": 9}, "body": "for us alone", "visibility": "staff", "action": "created"}
    (hidden,) = parsed({"data": {"comments": [note]}}, Mapping=mapping)
    assert isinstance(hidden, Unsupported)
    assert (hidden.event, hidden.keep_raw) == ("created", False)
    (nameless,) = parsed({"data": {"comments": [{**note, "uuid": None, "action": "removed"}]}}, Mapping=mapping)
    assert isinstance(nameless, Unsupported)
    assert not nameless.keep_raw, "nothing private is kept where a removal names nothing"


def test_a_post_that_turns_private_goes_where_deleted_says_so() -> None:
    (shown,) = re.findall(r"say so too: `(.*?)`", readme())
    said = {"id": 1, "text": "a", "action": "hidden", "private": True}
    assert parsed(said, Mapping={"Deleted": shown})[0].type == "deletion"
    assert parsed({**said, "action": "shown", "private": False}, Mapping={"Deleted": shown})[0].type == "mention"


def test_the_readme_lists_every_field_of_a_mapping_with_its_default() -> None:
    _, _, rest = readme().partition("### Mapping: field → default expression\n")
    rows = re.findall(r"^\| `(.*?)` \| `(.*?)` \|$", rest.partition("\n\n")[0], re.MULTILINE)
    told = [(field, expression.replace("\\|", "|")) for field, expression in rows]
    defaults = []
    for field, value in Mapping():
        inner = [(f"{pascal(field)}.{pascal(one)}", said) for one, said in value] if isinstance(value, Person) else None
        defaults += inner or [(pascal(field), value)]
    assert told == defaults


def test_a_github_comment() -> None:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#issue_comment"""
    comment = {
        "id": 99262140,
        "html_url": "https://github.com/octo/hello/issues/2#issuecomment-99262140",
        "user": {"login": "Codertocat", "id": 21031067},
        "created_at": "2026-05-15T15:20:21Z",
        "updated_at": "2026-05-16T15:20:21Z",
        "body": "You are totally right!",
    }
    said = {"action": "edited", "issue": {"number": 2, "id": 73464126, "title": "Spelling"}, "comment": comment}
    mapping = {
        "Events": "@",
        "Type": "join('.', ['issue_comment', action])",
        "Id": "comment.id",
        "Conversation": "to_string(issue.number)",
        "Parent": "issue.id",
        "Title": "issue.title",
        "Text": "comment.body",
        "Author": {"Id": "comment.user.id", "Handle": "comment.user.login"},
        "Url": "comment.html_url",
        "CreatedAt": "comment.created_at",
        "Version": "action == 'edited' && comment.updated_at || `0`",
        "Deleted": "action == 'deleted'",
    }
    found = mention(said, Mapping=mapping, Account="Codertocat")
    assert found.id == "webhook:shop.acme.example:99262140"
    assert (found.conversation_id, found.parent_id, found.title) == ("2", "73464126", "Spelling")
    assert (found.text, found.version) == ("You are totally right!", 1_778_944_821_000)
    assert found.author is not None
    assert (found.author.native_id, found.author.handle, found.own) == ("21031067", "Codertocat", True)
    (gone,) = parsed({**said, "action": "deleted"}, Mapping=mapping)
    assert isinstance(gone, Deletion)
    assert (gone.native_id, gone.conversation_id, gone.order) == ("99262140", "2", NOW)


def test_an_envelope_of_standard_webhooks_with_html_and_a_time_in_seconds() -> None:
    """Intercom's conversation parts, in the envelope that Standard Webhooks recommends."""
    part = {"id": "266", "part_type": "comment", "body": "<p>Hi &amp; bye</p>", "created_at": 1_795_000_123}
    said = {"type": "conversation.replied", "timestamp": "2026-11-18T07:12:03Z", "data": {"id": "147", "parts": [part]}}
    mapping = {"Events": "data.parts[]", "Html": "body", "Private": "part_type == 'note'"}
    found = mention(said, Mapping=mapping)
    assert (found.native_id, found.text) == ("266", "Hi & bye")
    assert (found.created_at is not None and found.created_at.timestamp()) == 1_795_000_123
    (hidden,) = parsed({"data": {"parts": [{**part, "part_type": "note"}]}}, Mapping=mapping)
    assert isinstance(hidden, Unsupported)
    assert not hidden.keep_raw


def test_several_events_in_one_delivery_each_with_its_own_fate() -> None:
    said = [{"id": 1, "text": "a"}, {"text": "no id"}, "no object", {"id": 2, "deleted": True}, {"id": 3, "private": 1}]
    one, nameless, odd, gone, hidden = parsed(said)
    assert (one.type, nameless.type, odd.type, gone.type, hidden.type) == (
        "mention",
        "unsupported",
        "unsupported",
        "deletion",
        "unsupported",
    )
    assert isinstance(nameless, Unsupported)
    assert "Id" in nameless.reason
    (empty,) = parsed({"events": []}, Mapping={"Events": "events"})
    assert empty.type == "unsupported"


@pytest.mark.parametrize("value", ["true", "yes", 1, {"a": 1}, None])
def test_only_true_removes_words(value: object) -> None:
    assert mention({"id": 1, "text": "a", "deleted": value}).type == "mention"


@pytest.mark.parametrize(
    "said",
    [
        {"id": "evt_1", "type": "invoice.paid", "created_at": 1_795_000_000, "data": {"id": "in_1"}},
        {
            "id": "evt_1",
            "type": "invoice.paid",
            "text": "",
            "html": "<p></p>",
            "title": None,
            "author": {"name": "Ines"},
        },
    ],
)
def test_what_nobody_said_is_counted(said: object) -> None:
    (found,) = parsed(said)
    assert isinstance(found, Unsupported)
    assert found.event == "invoice.paid"


@pytest.mark.parametrize("more", [{"text": "a"}, {"html": "<b>a</b>"}, {"title": "a"}, {"author": {"id": "u-1"}}])
def test_words_or_an_author_make_a_mention(more: dict[str, Any]) -> None:
    assert mention({"id": 1, **more}).native_id == "1"


def test_results_of_the_wrong_shape_count_as_missing() -> None:
    found = mention(
        {
            "id": "c-1",
            "conversation": ["x"],
            "text": {"no": "text"},
            "title": "Kettle",
            "author": "ines",
            "url": "javascript:alert(1)",
            "created_at": "yesterday",
            "version": [1],
        }
    )
    assert (found.conversation_id, found.text, found.author, found.url) == ("c-1", "", None, None)
    assert (found.created_at, found.version, found.order) == (None, 0, NOW)


def test_answers_are_taken_only_where_there_is_an_address_and_keys_only_from_our_own() -> None:
    said = {"id": 1, "answer_key": "hailback-k", "author": {"id": "u-1"}}
    assert (mention(said).reply_capability, mention(said).answer_key) == ("none", None)
    answered = {"ReplyUrl": "https://shop.acme.example/answers"}
    assert mention(said, **answered).reply_capability == "allowed"
    ours = mention(said, **answered, Account="u-1")
    assert (ours.own, ours.answer_key, ours.reply_capability) == (True, "hailback-k", "none")


@pytest.mark.parametrize(
    ("field", "expression", "words"),
    [
        ("Id", "comment..id", "character 9"),
        ("Id", "foo(@)", "function"),
        ("Id", "join(@)", "takes 2"),
        ("Text", "a['", "JMESPath"),
        ("CreatedAt", "a || ", "JMESPath"),
        ("Events", "", "JMESPath"),
        ("Text", "x" * (LONGEST + 1), f"{LONGEST} characters"),
        ("Text", "!" * LONGEST + "@", "characters"),
        ("Text", "!" * (LONGEST - 1) + "@", "deep"),
    ],
)
def test_a_mistake_is_a_sentence_that_names_the_field(field: str, expression: str, words: str) -> None:
    (found,) = said_of(Mapping={field: expression})
    assert found.startswith(f"Mapping.{field}: ")
    assert words in found
    assert "\n" not in found
    assert expression == "" or expression not in found, "what an administrator wrote may hold a secret"


def test_a_field_that_is_none_and_an_author_that_is_none_are_named() -> None:
    assert said_of(Mapping={"Txt": "a"}) == ["Mapping.Txt: is not a field. Did you mean Text?"]
    assert said_of(Mapping={"createdAt": "a"})[0].endswith("Did you mean CreatedAt?")
    assert said_of(Mapping={"Zzz": "a"}) == ["Mapping.Zzz: is not a field. Remove it."]
    assert said_of(Mapping={"Author": {"Nmae": "a"}}) == ["Mapping.Author.Nmae: is not a field. Did you mean Name?"]
    assert said_of(Mapping="id")[0].startswith("Mapping: ")
    assert said_of(Mapping={"Author": {"Id": "a("}})[0].startswith("Mapping.Author.Id: ")


@pytest.mark.parametrize(
    "expression",
    [
        "[@,@]|" * 80 + "to_string(@)",
        "[@,@]|" * 60 + "[[@],[@]]|@[0]==@[1]",
        "[@,@]|[]|" * 50 + "@",
        "join('',['xxxxxxxx','xxxxxxxx'])|" + "join('',[@,@])|" * 30 + "@",
        "a[?b[?c[?d[?@.e]]]]",
        "{a:@,b:@}|" * 49 + "@",
    ],
)
def test_an_expression_that_grows_without_bounds_is_stopped_soon(expression: str) -> None:
    deep: Any = list(range(60))
    for name in "edcba":
        deep = {name: [deep] * 40}
    began = time.process_time()
    with suppress(PayloadError, ValueError):  # refused when deployed, stopped when asked, or less work than allowed
        compiled(expression)
        Reader().ask(expression, deep)
    assert time.process_time() - began < 5.0


def test_a_function_that_does_not_fit_gives_nothing() -> None:
    assert mention({"id": 1, "text": "a", "tags": None}, Mapping={"Title": "join(', ', tags)"}).title is None
    assert mention({"id": 1, "tags": ["a", "b"]}, Mapping={"Title": "join(', ', tags)"}).title == "a, b"


def test_the_published_signature_of_standard_webhooks_comes_in() -> None:
    """https://github.com/standard-webhooks/standard-webhooks/tree/main/libraries"""
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,bm9ldHU5eGlkdGZtcHh2ZTMxbzd6a2kxNW1yOTRhc3Q= "
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    door = load("webhook")
    assert door is not None
    assert verify(door, Request("POST", headers, body), secrets, 1_614_265_330)
    assert not verify(door, Request("POST", headers, body + b" "), secrets, 1_614_265_330)
    assert not verify(door, Request("POST", headers, body), secrets, 1_614_265_330 + 301)


def test_svixs_own_names_of_the_headers_come_in_too() -> None:
    """https://docs.svix.com/receiving/verifying-payloads/how-manual"""
    body = b'{"event_type":"ping","data":{"success":true}}'
    said = {
        "id": "msg_loFOjxBNrRLzqYUf",
        "timestamp": "1731705121",
        "signature": "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
    }
    door, secrets = load("webhook"), ["whsec_plJ3nmyCDGBKInavdOK15jsl"]
    assert door is not None
    for headers in (
        {f"svix-{name}": value for name, value in said.items()},
        {f"webhook-{k}": v for k, v in said.items()},
    ):
        assert verify(door, Request("POST", headers, body), secrets, 1_731_705_121)
        assert not verify(door, Request("POST", headers, body + b" "), secrets, 1_731_705_121)
        assert not verify(door, Request("POST", headers, body), secrets, 1_731_705_121 + 301)
        for name in headers:
            rest = {one: value for one, value in headers.items() if one != name}
            assert not verify(door, Request("POST", rest, body), secrets, 1_731_705_121)
    mixed = {"webhook-id": said["id"], "svix-timestamp": said["timestamp"], "svix-signature": said["signature"]}
    assert not verify(door, Request("POST", mixed, body), secrets, 1_731_705_121)
    wrong = {f"svix-{name}": value for name, value in said.items()} | {"webhook-signature": "v1,AAAA"}
    assert not verify(door, Request("POST", wrong, body), secrets, 1_731_705_121)
