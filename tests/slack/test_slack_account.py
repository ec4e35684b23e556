"""Our app in a Slack that keeps state: what a poll brings, what an answer becomes."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.models import Deletion, Mention
from connectors.http import HttpClient
from connectors.slack.account import SlackAccount, SlackCredentials
from connectors.slack.connector import SlackSource
from tests.standin import Answer, Call, serving

ROOT = Path(__file__).resolve().parents[2]
HTTP = HttpClient(allow_private=True)
TEAM, CHANNEL, OURS, INES = "T0ACME001", "C0SUPPORT", "U0HAILBCK", "U0INES001"
NEWER = {"include_all_metadata", "metadata", "response_metadata"}
"""What Slack has taken up since that description was published."""


class Workspace:
    """As much of the Web API as is called. `lose`: the next message is posted and its answer lost."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self.refusal: Answer | None = None
        self.lose = False
        self.page = 3
        self.asked: list[tuple[Call, Any]] = []

    def say(self, text: str, thread: str | None = None, ago: float = 60, user: str = INES, **more: Any) -> str:
        at = int((time.time() - ago) * 1_000_000)
        ts = f"{at // 1_000_000}.{at % 1_000_000:06d}"
        said = {"type": "message", "user": user, "text": text, "ts": ts, **more}
        if thread:
            said |= {"thread_ts": thread, "parent_user_id": self.messages[thread]["user"]}
            root = self.messages[thread]
            root |= {"thread_ts": thread, "reply_count": root.get("reply_count", 0) + 1, "subscribed": False}
            root["latest_reply"] = max(ts, root.get("latest_reply", ts))
        self.messages[ts] = said
        return ts

    def answer(self, call: Call) -> Answer:
        status, said, more = self._answer(call)
        self.asked.append((call, said))
        return status, said, more

    def _answer(self, call: Call) -> Answer:
        if call.headers.get("authorization") != "Bearer invented":
            return 200, {"ok": False, "error": "invalid_auth"}, {}
        if self.refusal:
            return self.refusal
        match call.path:
            case "/auth.test":
                said = {"url": "https://acme.slack.com/", "team": "Acme", "user": "hailback"}
                return 200, {"ok": True, **said, "team_id": TEAM, "user_id": OURS}, {}
            case "/conversations.history":
                top = [one for one in self.messages.values() if one.get("thread_ts", one["ts"]) == one["ts"]]
                return self._page(call, sorted(top, key=lambda one: str(one["ts"]), reverse=True))
            case "/conversations.replies":
                return self._replies(call)
        form = call.form()
        if form["channel"] != CHANNEL:
            return 200, {"ok": False, "error": "channel_not_found"}, {}
        mark = {"metadata": json.loads(form["metadata"])}
        ts = self.say(form["text"], form.get("thread_ts"), 0, OURS, **mark)
        if self.lose:
            self.lose = False
            return 200, None, {}
        return 200, {"ok": True, "channel": CHANNEL, "ts": ts, "message": self.messages[ts]}, {}

    def _replies(self, call: Call) -> Answer:
        root, oldest = call.query["ts"], float(call.query.get("oldest", "0"))
        if root not in self.messages:
            return 200, {"ok": False, "error": "thread_not_found"}, {}
        below = [one for one in self.messages.values() if one.get("thread_ts") == root and one["ts"] != root]
        found = sorted((one for one in below if float(one["ts"]) > oldest), key=lambda one: str(one["ts"]))
        return self._page(call, [self.messages[root], *found])

    def _page(self, call: Call, found: list[Any]) -> Answer:
        start = int(call.query.get("cursor") or 0)
        said: dict[str, Any] = {"ok": True, "messages": found[start : start + self.page], "has_more": False}
        if "history" in call.path:
            said |= {"pin_count": 0, "channel_actions_ts": None, "channel_actions_count": 0}
        if start + self.page < len(found):
            said |= {"has_more": True, "response_metadata": {"next_cursor": str(start + self.page)}}
        return 200, said, {}


@pytest.fixture
def slack() -> Workspace:
    return Workspace()


@pytest.fixture
def account(slack: Workspace) -> Iterator[SlackAccount]:
    with serving(slack.answer) as address:
        settings = SlackSource(team=TEAM, workspace="acme", account=(OURS,), channels=(CHANNEL,), api_url=address)
        yield SlackAccount(settings, SlackCredentials.model_validate({"bot_token": "invented"}), HTTP)


def polled(account: SlackAccount, cursor: str | None) -> tuple[list[Mention], str]:
    """All that one walk brings."""
    found: list[Mention] = []
    for _ in range(20):
        page = account.poll(cursor)
        cursor = page.cursor
        found += [event for event in page.events if isinstance(event, Mention)]
        if page.again > 1:
            return found, cursor
    raise AssertionError("the walk does not end")


def asked_about(ts: str, thread: str | None = None, channel: str = CHANNEL) -> Mention:
    names = {"native_id": f"{channel}:{ts}", "conversation_id": f"{channel}:{thread or ts}"}
    return Mention(connector="slack", authority=TEAM, **names, reply_capability="allowed")


def test_every_message_and_every_reply_is_brought_once_however_many(slack: Workspace, account: SlackAccount) -> None:
    old = slack.say("a thread of yesterday", ago=80_000)
    slack.say("long ago", old, ago=70_000)
    _, cursor = polled(account, None)
    first, cursor = polled(account, cursor)
    tops = [slack.say(f"cold {number}", ago=50 - number) for number in range(7)]
    replies = [slack.say(f"again {number}", old, ago=20 - number) for number in range(8)]
    replies.append(slack.say("and here", tops[0], ago=5))
    found, cursor = polled(account, cursor)
    brought = sorted(one.native_id.partition(":")[2] for one in found + first)
    assert [one for one in brought if one in tops + replies] == sorted(tops + replies)
    assert {one.conversation_id for one in found if one.kind == "reply"} == {f"{CHANNEL}:{old}", f"{CHANNEL}:{tops[0]}"}
    assert polled(account, cursor)[0] == []


def test_a_poll_finds_the_first_message_of_a_thread_gone(slack: Workspace, account: SlackAccount) -> None:
    cursor = polled(account, None)[1]
    top = slack.say("cold", ago=30)
    slack.say("here too", top, ago=20)
    slack.messages[top] |= {"subtype": "tombstone", "text": "This message was deleted.", "user": "USLACKBOT"}
    began = int(time.time() * 1000)
    (gone,) = [event for event in account.poll(cursor).events if isinstance(event, Deletion)]
    assert gone.native_id == f"{CHANNEL}:{top}"
    assert gone.order >= began, "it was said before, and is gone now"


def test_an_answer_is_in_the_thread_as_it_was_written(slack: Workspace, account: SlackAccount) -> None:
    top = slack.say("cold")
    reply = slack.say("here too", top)
    receipt = account.reply(asked_about(reply, top), "5 < 6 & <!channel>", "key-1")
    channel, _, ts = receipt.id.partition(":")
    said = slack.messages[ts]
    assert (channel, said["thread_ts"], said["text"]) == (CHANNEL, top, "5 &lt; 6 &amp; &lt;!channel&gt;")
    assert (
        receipt.url == f"https://acme.slack.com/archives/{CHANNEL}/p{ts.replace('.', '')}?thread_ts={top}&cid={CHANNEL}"
    )
    with pytest.raises(RejectedError, match="40,000"):
        account.reply(asked_about(top), "x" * 40_001, "key-2")


def test_an_answer_whose_receipt_is_lost_is_found_among_many(slack: Workspace, account: SlackAccount) -> None:
    top = slack.say("cold", ago=600)
    for number in range(9):
        slack.say(f"so {number}", top, ago=500 - number)
    assert account.find_reply(asked_about(top), "key-1") is None
    slack.lose = True
    with pytest.raises(UnknownOutcomeError):
        account.reply(asked_about(top), "We come.", "key-1")
    found = account.find_reply(asked_about(top), "key-1")
    assert found is not None
    assert slack.messages[found.id.partition(":")[2]]["text"] == "We come."
    assert account.find_reply(asked_about(top), "key-2") is None
    assert account.find_reply(asked_about("1700000000.000001"), "key-1") is None


@pytest.mark.parametrize(
    ("code", "asking", "writing"),
    [
        ("ratelimited", UnavailableError, UnavailableError),
        ("not_in_channel", MisconfiguredError, MisconfiguredError),
        ("token_revoked", MisconfiguredError, MisconfiguredError),
        ("missing_scope", MisconfiguredError, MisconfiguredError),
        ("channel_not_found", RejectedError, RejectedError),
        ("msg_too_long", RejectedError, RejectedError),
        ("internal_error", UnavailableError, UnknownOutcomeError),
        ("A word nobody knows", RejectedError, RejectedError),
    ],
)
def test_a_refusal_in_an_answer_of_200_says_what_to_do(
    slack: Workspace, account: SlackAccount, code: str, asking: type[RemoteError], writing: type[RemoteError]
) -> None:
    cursor = account.poll(None).cursor
    slack.refusal = 200, {"ok": False, "error": code}, {}
    with pytest.raises(asking):
        account.poll(cursor)
    with pytest.raises(writing):
        account.reply(asked_about("1795340523.000005"), "We come.", "key")


def test_the_token_is_tried_out(slack: Workspace, account: SlackAccount) -> None:
    states = {"token_revoked": TokenState.REVOKED, "missing_scope": TokenState.SCOPE_MISSING}
    assert account.check().state is TokenState.OK
    for code, state in states.items():
        slack.refusal = 200, {"ok": False, "error": code}, {}
        assert account.check().state is state
    slack.refusal = 429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "30"}
    assert account.check().state is TokenState.LIMITED


def test_all_that_is_asked_and_answered_is_what_slack_describes(slack: Workspace, account: SlackAccount) -> None:
    shared = Path(os.environ.get("HAILBACK_SHARED") or ROOT.parent / "shared") / "specs" / "slack-web.json"
    if not shared.is_file():
        pytest.skip("Slack's API description: set HAILBACK_SHARED to the folder that holds specs/")
    described = json.loads(shared.read_text(encoding="utf-8"))
    cursor = account.poll(None).cursor
    tops = [slack.say(f"cold {one}", ago=50 - one) for one in range(4)]
    slack.say("here too", tops[3], ago=3)
    polled(account, cursor)
    account.reply(asked_about(tops[3]), "We come.", "key")
    assert account.find_reply(asked_about(tops[3]), "key") is not None
    assert account.check().state is TokenState.OK
    assert {call.path for call, _ in slack.asked} == {
        "/conversations.history",
        "/conversations.replies",
        "/chat.postMessage",
        "/auth.test",
    }
    for call, said in slack.asked:
        _fits(described, call, said)


def _fits(described: Any, call: Call, said: Any) -> None:
    operation = described["paths"][call.path][call.method.lower()]
    parameters = {one["name"]: one for one in operation["parameters"]}
    assert set(call.query) - NEWER <= set(parameters)
    assert all(one["name"] in {*call.query, *call.headers} for one in parameters.values() if one.get("required"))
    kinds = {"integer": r"\d+", "number": r"\d+(\.\d+)?", "boolean": "true|false", "string": ".*"}
    for name in set(call.query) & set(parameters):
        assert re.fullmatch(kinds[parameters[name]["schema"]["type"]], call.query[name], re.DOTALL)
    if call.method == "POST":
        body = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
        assert call.headers["content-type"] == "application/x-www-form-urlencoded"
        assert set(body["required"]) <= set(call.form())
        assert set(call.form()) - NEWER <= set(body["properties"])
        for name in set(call.form()) - NEWER:
            assert re.fullmatch(kinds[body["properties"][name]["type"]], call.form()[name], re.DOTALL)
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    assert set(said) - NEWER <= set(answer)
    message = set(described["components"]["schemas"]["objs_message"]["properties"])
    for one in said.get("messages", []):
        assert set(one) - NEWER <= message
