"""What becomes of Slack's deliveries: which message, which thread, which words, whose."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from connectors.core.delivery import Delivery, Request
from connectors.core.door import load, verify
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Deletion, Mention, Unsupported
from connectors.slack.connector import Slack, SlackSource
from connectors.slack.words import words

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Slack(SlackSource(team="T0ACME001", workspace="acme", account=("U0HAILBCK", "A0HAILBCK")))


def parsed(said: object, source: Slack = SOURCE) -> list[AnyEvent]:
    return list(source.parse(Delivery({}, json.dumps(said).encode(), 1_795_000_000_000)))


def mention(said: object, source: Slack = SOURCE) -> Mention:
    (found,) = parsed(said, source)
    assert isinstance(found, Mention)
    return found


def event(**more: Any) -> dict[str, Any]:
    return {"type": "message", "channel": "C1", "user": "U1", "ts": "1355517523.000005", "text": "Hello", **more}


def wrapped(inner: object, **more: Any) -> dict[str, Any]:
    return {"type": "event_callback", "team_id": "T1", "event": inner, **more}


def test_the_same_post_is_one_however_it_comes() -> None:
    page = {"ok": True, "channel": "C1", "messages": [event(channel=None)]}
    ways: list[object] = [
        wrapped(event(event_ts="1355517523.000005")),
        wrapped({**event(), "type": "app_mention"}),
        event(),
        [wrapped(event())],
        {"type": "events_api", "envelope_id": "e", "payload": wrapped(event())},
        page,
        {"ok": True, "channel": "C1", "ts": "1355517523.000005", "message": event(ts=None, channel=None)},
        {"ok": True, "messages": {"total": 1, "matches": [event(channel={"id": "C1", "name": "shop"})]}},
    ]
    found = [mention(one) for one in ways]
    assert {one.id for one in found} == {"slack:T0ACME001:C1:1355517523.000005"}
    assert {one.conversation_id for one in found} == {"C1:1355517523.000005"}
    assert {(one.text, one.version, one.parent_id) for one in found} == {("Hello", 0, None)}
    assert {one.url for one in found} == {"https://acme.slack.com/archives/C1/p1355517523000005"}


def test_a_reply_is_in_its_thread_and_the_first_message_is_no_reply_to_itself() -> None:
    reply = mention(event(ts="1355517600.000001", thread_ts="1355517523.000005"))
    assert (reply.conversation_id, reply.parent_id, reply.kind) == (
        "C1:1355517523.000005",
        "1355517523.000005",
        "reply",
    )
    assert reply.url == ("https://acme.slack.com/archives/C1/p1355517600000001?thread_ts=1355517523.000005&cid=C1")
    first = mention(event(thread_ts="1355517523.000005", reply_count=2))
    assert (first.parent_id, first.kind, first.metrics) == (None, "post", {"reply_count": 2})


@pytest.mark.parametrize(
    ("said", "team"),
    [
        (wrapped(event()), "T1"),
        (wrapped(event(), team_id=None, authorizations=[{"team_id": "T2"}]), "T2"),
        (event(team="T3"), "T3"),
        ({**event(), "subtype": "message_changed", "message": event(team="T4")}, "T4"),
        (event(), None),
    ],
)
def test_the_workspace_is_where_a_delivery_says_it(said: object, team: str | None) -> None:
    assert mention(said, Slack.for_parse()).authority == team
    assert mention(said, Slack.for_parse(authority="T9")).authority == "T9"


@pytest.mark.parametrize(
    ("now", "before", "version"),
    [
        ({"edited": {"user": "U1", "ts": "1355517600.000000"}, "text": "Hallo"}, {"text": "Hello"}, 1_355_517_600_000),
        ({"attachments": [{"title": "Kettle"}]}, {"text": "Hello"}, 0),
        ({"edited": {"ts": "1355517600.000000"}, "attachments": []}, {"text": "Hello"}, 1_355_517_600_000),
        ({"text": "by a bot"}, {"text": "Hello"}, 1_355_517_700_000),
        ({"text": "who knows"}, None, 0),
    ],
)
def test_an_edit_is_a_new_version_and_a_preview_is_none(now: dict[str, Any], before: object, version: int) -> None:
    changed = {"type": "message", "subtype": "message_changed", "channel": "C1", "message": event(channel=None, **now)}
    found = mention({**changed, "previous_message": before, "ts": "1355517700.000100", "event_ts": "1355517700.000100"})
    assert (found.native_id, found.version) == ("C1:1355517523.000005", version)
    assert found.order == 1_355_517_700_000


def test_an_edit_that_names_its_message_only_as_it_was_before() -> None:
    changed = {"type": "message", "subtype": "message_changed", "channel": "C1", "event_ts": "1355517700.000100"}
    now = {"type": "message", "user": "U1", "text": "now", "edited": {"user": "U1", "ts": "1355517700.000000"}}
    found = mention(wrapped({**changed, "message": now, "previous_message": event(channel=None)}))
    assert (found.native_id, found.text, found.version) == ("C1:1355517523.000005", "now", 1_355_517_700_000)


def test_a_thread_whose_first_message_is_gone_for_good() -> None:
    stone = {"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "ts": "1626775604.004900"}
    said = {"type": "message", "subtype": "message_changed", "channel": "C1", "message": stone, "previous_message": []}
    (gone,) = parsed({**said, "ts": "1626775673.006300", "channel_type": "channel"})
    assert isinstance(gone, Deletion)
    assert (gone.native_id, gone.order) == ("C1:1626775604.004900", 1_626_775_673_006)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"ssl_check=1&token=x", "ssl_check"),
        (b"payload=%7B%22type%22%3A%22block_actions%22%7D", "interaction"),
        (b"command=%2Fcase&text=hello&response_url=https%3A%2F%2Fhooks.slack.com%2Fx", "slash_command"),
        (b"token=x&channel_id=C1&timestamp=1355517523.000005&text=bot+hi&trigger_word=bot", "outgoing_webhook"),
    ],
)
def test_nothing_of_a_form_is_kept(body: bytes, name: str) -> None:
    (found,) = SOURCE.parse(Delivery({}, body))
    assert isinstance(found, Unsupported)
    assert (found.event, found.keep_raw) == (name, False)


def test_what_was_deleted_is_named_by_its_own_time() -> None:
    deleted = {"type": "message", "subtype": "message_deleted", "channel": "C1", "ts": "1355517900.000001"}
    before = event(thread_ts="1355517400.000000", channel=None)
    for said in (
        {**deleted, "deleted_ts": "1355517523.000005", "previous_message": before},
        {**deleted, "deleted_ts": "1355517523.000005"},
        {**deleted, "previous_message": before},
    ):
        (gone,) = parsed(wrapped(said))
        assert isinstance(gone, Deletion)
        assert gone.native_id == "C1:1355517523.000005"
        assert gone.order == 1_355_517_900_000
        thread = "1355517400.000000" if "previous_message" in said else "1355517523.000005"
        assert gone.conversation_id == f"C1:{thread}"


@pytest.mark.parametrize(
    ("more", "own"),
    [
        ({"user": "U0HAILBCK"}, True),
        ({"user": "U7", "bot_id": "B1", "app_id": "A0HAILBCK"}, True),
        ({"user": "U7", "bot_profile": {"app_id": "A0HAILBCK", "name": "x"}}, True),
        ({"user": "U7", "username": "U0HAILBCK", "text": "<@U0HAILBCK>"}, False),
        ({"user": None, "bot_id": "B2", "username": "Hailback"}, False),
        ({"user": "U8", "user_profile": {"name": "U0HAILBCK", "display_name": "A0HAILBCK"}}, False),
    ],
)
def test_our_own_is_known_by_ids_alone(more: dict[str, Any], own: bool) -> None:
    forged = {"event_type": "hailback_answer", "event_payload": {"key": "hailback-k"}}
    found = mention(event(**more, metadata=forged))
    assert (found.own, found.reply_capability) == (own, "none" if own else "allowed")
    assert found.answer_key == ("hailback-k" if own else None), "only our own messages carry our keys"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<@U1> and <@U1|tom>, <#C1|shops>, <#C1>, <#C1|>", "@U1 and @tom, #shops, #C1, #C1"),
        ("<!here> <!subteam^S1|@team> <!subteam^S1> <!date^1392734382^{date}|Feb 18>", "@here @team @S1 Feb 18"),
        (
            "<https://a.example/?x=1&amp;y=2> <https://a.example|there> <mailto:a@b.example|a@b.example>",
            "https://a.example/?x=1&y=2 there a@b.example",
        ),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2, &amp;lt; and &nbsp;", "1 < 2 && 3 > 2, &lt; and &nbsp;"),
        ("a < b <unclosed", "a < b <unclosed"),
    ],
)
def test_markup_becomes_what_a_reader_sees(text: str, plain: str) -> None:
    assert words({"text": text}) == plain


def test_words_are_taken_from_blocks_where_there_is_no_text() -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "A <b>"}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "<@U1>"}, {"type": "mrkdwn", "text": " &amp;"}]},
        {"type": "markdown", "text": "**bold**"},
        {"type": "divider"},
    ]
    assert words({"text": "", "blocks": blocks}) == "A <b>\n@U1 &\n**bold**"
    assert words({"text": "said", "blocks": blocks}) == "said"
    assert words({"attachments": [{"fallback": "only this"}, {"blocks": blocks[:1]}]}) == "only this\nA <b>"


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"channel_type": "im"}, "message.im"),
        ({"channel_type": "mpim"}, "message.mpim"),
        ({"channel": "D1"}, "message.im"),
        ({"type": "app_mention", "channel": "D1"}, "message.im"),
        ({"channel": "D1", "subtype": "message_deleted", "deleted_ts": "1.000001"}, "message.im"),
    ],
)
def test_nothing_of_a_direct_message_is_kept(more: dict[str, Any], name: str) -> None:
    (found,) = parsed(wrapped(event(**more)))
    assert isinstance(found, Unsupported)
    assert (found.event, found.keep_raw) == (name, False)


def test_a_page_that_does_not_name_its_channel_gives_no_ids() -> None:
    (found,) = parsed({"ok": True, "messages": [event(channel=None)]})
    assert isinstance(found, Unsupported)
    assert "channel" in found.reason
    assert parsed({"ok": True, "messages": [], "has_more": False}) == []


@pytest.mark.parametrize("body", [b"", b"a=b", b"17", b'"text"', b'{"any": 1}', b"\xff", b"[1]"])
def test_what_is_nothing_of_slacks_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError):
        SOURCE.parse(Delivery({}, body))


def test_markup_that_never_ends_takes_no_time() -> None:
    assert len(words({"text": "<@" * 20_000 + "<a|" * 20_000})) == 100_000


@pytest.mark.parametrize(
    ("name", "native_id", "thread", "version"),
    [
        ("event_AppMention_deserialize", "C0LAN2Q65:1515449522.000016", "C0LAN2Q65:1515449522000019", 0),
        ("event_MessageChanged_deserialize_simple", "C111:1626342128.008700", "C111:1626342092.008500", 1626342137000),
        ("event_Message_deserialize_simple", "C2147483705:1355517523.000005", "C2147483705:1355517523.000005", 0),
    ],
)
def test_recorded_events_of_slacks_own_library(name: str, native_id: str, thread: str, version: int) -> None:
    path = Path(os.environ.get("HAILBACK_SHARED") or ROOT.parent / "shared") / "payloads" / "slack" / f"{name}.json"
    if not path.is_file():
        pytest.skip("recorded events: set HAILBACK_SHARED to the folder that holds payloads/")
    (found,) = Slack.for_parse().parse(Delivery({}, path.read_bytes()))
    assert isinstance(found, Mention)
    assert (found.native_id, found.conversation_id, found.version) == (native_id, thread, version)


def test_the_request_that_slack_signs_in_its_documentation_comes_in() -> None:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack/"""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
        b"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
        b"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
        b"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    headers = {"x-slack-request-timestamp": "1531420618", "x-slack-signature": signature}
    door, secrets = load("slack"), ["8f742231b10e8888abcd99yyyzzz85a5"]
    assert door is not None
    assert verify(door, Request("POST", headers, body), secrets, 1_531_420_618 + 300)
    assert not verify(door, Request("POST", headers, body), secrets, 1_531_420_618 + 301)
    assert not verify(door, Request("POST", headers, body + b"&"), secrets, 1_531_420_618)
    (told,) = SOURCE.parse(Delivery({}, body))
    assert told.type == "unsupported"
