"""Our channel at a YouTube that keeps state: what a poll brings, what an answer becomes, what is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.core.delivery import Delivery
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.models import Mention
from connectors.http import HttpClient
from connectors.youtube.account import YouTubeAccount, YouTubeCredentials
from connectors.youtube.connector import YouTube, YouTubeSource
from tests.described import NUMBER, TEXT, Described, const, exact, hold, many, shape
from tests.polled import polled
from tests.standin import Answer, Call, serving

OURS, INES = "UCacmeHeatingSupport0001", "UCines000000000000000001"
HTTP = HttpClient(allow_private=True)

CHANNEL = shape("value", value=TEXT)
SNIPPET = shape(
    "authorDisplayName textDisplay publishedAt updatedAt",
    authorDisplayName=TEXT,
    authorChannelId=CHANNEL,
    textDisplay=TEXT,
    textOriginal=TEXT,
    parentId=TEXT,
    videoId=TEXT,
    publishedAt=TEXT,
    updatedAt=TEXT,
)
COMMENT = shape("kind id snippet", kind=const("youtube#comment"), id=TEXT, snippet=SNIPPET)
TOP = shape("topLevelComment totalReplyCount", topLevelComment=COMMENT, totalReplyCount=NUMBER, videoId=TEXT)
THREAD = shape("kind id", kind=const("youtube#commentThread"), id=TEXT, snippet=TOP)
NEW = exact("parentId textOriginal", parentId=TEXT, textOriginal=TEXT)
GRANT = exact(
    "grant_type client_id client_secret refresh_token",
    grant_type=const("refresh_token"),
    client_id=TEXT,
    client_secret=TEXT,
    refresh_token=TEXT,
)
PAGED = {"part", "maxResults", "pageToken", "textFormat"}
CALLS = [
    Described("POST", "/token", body=GRANT, answer=shape("access_token expires_in")),
    Described("GET", "/channels", {"part", "mine"}, answer=shape("items", items=many(shape("id", id=TEXT)))),
    Described(
        "GET",
        "/commentThreads",
        PAGED | {"allThreadsRelatedToChannelId", "order"},
        answer=shape("kind items", kind=const("youtube#commentThreadListResponse"), items=many(THREAD)),
    ),
    Described(
        "GET",
        "/comments",
        PAGED | {"id", "parentId"},
        answer=shape("kind items", kind=const("youtube#commentListResponse"), items=many(COMMENT)),
    ),
    Described("POST", "/comments", {"part"}, body=exact("snippet", snippet=NEW), answer=COMMENT),
]
"""Of https://developers.google.com/youtube/v3/docs/comments and …/commentThreads"""


def refused(status: int, reason: str) -> Answer:
    return status, {"error": {"code": status, "message": "…", "errors": [{"reason": reason, "domain": "youtube"}]}}, {}


class Channel:
    """As much of the API as is called. `lose`: the next write is done and its answer lost."""

    def __init__(self) -> None:
        self.comments: dict[str, dict[str, Any]] = {}
        self.lose = False
        self.refusal: Answer | None = None
        self.page = 2
        self.calls: list[tuple[Call, int, object]] = []

    def say(self, who: str, text: str, parent: str | None = None, ago: float = 60, edited: float | None = None) -> str:
        name = f"{parent}.r{len(self.comments)}" if parent else f"Ug{len(self.comments)}AaABAg"
        stamp = [
            datetime.fromtimestamp(time.time() - one, UTC).isoformat().replace("+00:00", "Z")
            for one in (ago, ago if edited is None else edited)
        ]
        snippet = {
            "authorDisplayName": f"@{who[2:6]}",
            "authorChannelId": {"value": who},
            "videoId": "kEtTl3V1dE0",
            "textOriginal": text,
            "textDisplay": text,
            "publishedAt": stamp[0],
            "updatedAt": stamp[1],
            **({"parentId": parent} if parent else {}),
        }
        self.comments[name] = {"kind": "youtube#comment", "id": name, "snippet": snippet}
        return name

    def answer(self, call: Call) -> Answer:
        status, said, more = self._answer(call)
        self.calls.append((call, status, said))
        return status, said, more

    def _answer(self, call: Call) -> Answer:
        if call.path == "/token":
            return 200, {"access_token": "fresh", "expires_in": 3599, "token_type": "Bearer"}, {}
        if call.headers.get("authorization") != "Bearer invented":
            return refused(401, "authError")
        if self.refusal:
            return self.refusal
        if call.method == "POST":
            return self._insert(call.json()["snippet"])
        match call.path:
            case "/channels":
                return 200, {"kind": "youtube#channelListResponse", "items": [{"id": OURS}]}, {}
            case "/commentThreads":
                return self._page(call, [self._thread(one) for one in self._newest() if not self._parent(one)])
        if "id" in call.query:
            found = [self.comments[one] for one in call.query["id"].split(",") if one in self.comments]
            return 200, {"kind": "youtube#commentListResponse", "items": found}, {}
        below = [one for one in self._newest() if self._parent(one) == call.query["parentId"]]
        return self._page(call, below, "youtube#commentListResponse")

    def _insert(self, said: dict[str, str]) -> Answer:
        name = self.say(OURS, said["textOriginal"], said["parentId"], ago=0)
        if self.lose:
            self.lose = False
            return 200, None, {}
        return 200, self.comments[name], {}

    def _newest(self) -> list[dict[str, Any]]:
        return sorted(self.comments.values(), key=lambda one: str(one["snippet"]["publishedAt"]), reverse=True)

    @staticmethod
    def _parent(one: dict[str, Any]) -> object:
        return one["snippet"].get("parentId")

    def _thread(self, top: dict[str, Any]) -> dict[str, Any]:
        below = [one for one in self._newest() if self._parent(one) == top["id"]]
        thread = {"videoId": "kEtTl3V1dE0", "topLevelComment": top, "canReply": True, "totalReplyCount": len(below)}
        said = {"kind": "youtube#commentThread", "id": top["id"], "snippet": thread}
        return {**said, "replies": {"comments": below[:5]}} if below else said

    def _page(self, call: Call, found: list[Any], kind: str = "youtube#commentThreadListResponse") -> Answer:
        start = int(call.query.get("pageToken", "0"))
        page: dict[str, Any] = {"kind": kind, "items": found[start : start + self.page]}
        if start + self.page < len(found):
            page["nextPageToken"] = str(start + self.page)
        return 200, page, {}


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture
def account(channel: Channel) -> Iterator[YouTubeAccount]:
    with serving(channel.answer) as address:
        settings = YouTubeSource(account=(OURS,), api_url=address, login_url=f"{address}/token")
        credentials = YouTubeCredentials.model_validate(
            {"client_id": "app", "client_secret": "s", "refresh_token": "r", "access_token": "invented"}
        )
        yield YouTubeAccount(settings, credentials, HTTP)


def test_every_comment_and_every_reply_is_brought_once_however_many(channel: Channel, account: YouTubeAccount) -> None:
    channel.say(INES, "before our time", ago=90_000)
    _, cursor = polled(account, None)
    tops = [channel.say(INES, f"cold {number}", ago=50 - number) for number in range(7)]
    replies = [channel.say(INES, f"again {number}", tops[0], ago=20 - number) for number in range(9)]
    channel.say(INES, "long said, below what is new", tops[0], ago=90_000)
    found, cursor = polled(account, cursor)
    assert sorted(one.native_id for one in found) == sorted([*tops, *replies])
    assert {one.conversation_id for one in found if one.kind == "reply"} == {tops[0]}
    assert polled(account, cursor)[0] == []


def test_an_answer_goes_into_the_thread_and_names_whom_it_answers(channel: Channel, account: YouTubeAccount) -> None:
    top = channel.say(INES, "cold")
    reply = channel.say("UCtom", "here too", top)
    said = list(account.recheck([top, reply]).edited)
    for mention, words in zip(sorted(said, key=lambda one: one.native_id), ("We come.", "@tom We come."), strict=True):
        receipt = account.reply(mention, "We come.", "key")
        posted = channel.comments[receipt.id]["snippet"]
        assert (posted["parentId"], posted["textOriginal"]) == (top, words)
        assert receipt.url == f"https://www.youtube.com/watch?v=kEtTl3V1dE0&lc={receipt.id}"
    with pytest.raises(RejectedError, match="10,000"):
        account.reply(said[0], "x" * 10_001, "key")


def test_an_answer_whose_receipt_is_lost_is_not_sent_twice(channel: Channel, account: YouTubeAccount) -> None:
    mention = next(iter(account.recheck([channel.say(INES, "cold")]).edited))
    assert account.find_reply(mention, "key") is None
    channel.lose = True
    with pytest.raises(UnknownOutcomeError):
        account.reply(mention, "We come.", "key")
    with pytest.raises(UnknownOutcomeError, match="look"):
        account.find_reply(mention, "key")


def test_what_was_removed_is_gone_and_what_was_edited_is_read_anew(channel: Channel, account: YouTubeAccount) -> None:
    kept, gone = channel.say(INES, "cold", ago=500, edited=100), "UgGoneAaABAg"
    found = account.recheck([kept, gone])
    assert [one.native_id for one in found.gone] == [gone]
    assert [(one.native_id, one.version > 0) for one in found.edited] == [(kept, True)]


def test_a_used_up_quota_waits_until_midnight_pacific(channel: Channel, account: YouTubeAccount) -> None:
    cursor = account.poll(None).cursor
    channel.refusal = refused(403, "quotaExceeded")
    with pytest.raises(UnavailableError) as caught:
        account.poll(cursor)
    assert 0 < (caught.value.retry_after or 0) <= 86_400
    assert account.check().state is TokenState.LIMITED
    channel.refusal = refused(403, "insufficientPermissions")
    with pytest.raises(MisconfiguredError):
        account.poll(cursor)
    channel.refusal = refused(403, "commentsDisabled")
    with pytest.raises(RejectedError, match="off"):
        account.reply(_mention(), "We come.", "key")


def test_the_token_is_made_from_the_grant_and_tried_out(channel: Channel, account: YouTubeAccount) -> None:
    assert account.check().state is TokenState.OK
    now = int(time.time() * 1000)
    document = account.refresh(now)
    assert document["access_token"] == "fresh"
    assert document["refresh_token"] == "r"
    assert int(str(document["expires_at"])) > now
    renewed = YouTubeCredentials.model_validate(document)
    assert not renewed.due(now)
    assert renewed.due(now + 3_500_000)
    channel.comments.clear()


def test_what_was_edited_and_what_was_said_in_an_older_thread_is_brought(
    channel: Channel, account: YouTubeAccount
) -> None:
    old = channel.say(INES, "before our time", ago=90_000)
    _, cursor = polled(account, None)
    channel.page = 100
    top = channel.say(INES, "cold", ago=60)
    _, cursor = polled(account, cursor)
    channel.comments[top]["snippet"] |= {
        "textOriginal": "warm by now",
        "updatedAt": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    reply = channel.say("UCtom", "here too", old, ago=1)
    found, cursor = polled(account, cursor)
    assert {(one.native_id, one.text) for one in found} == {(top, "warm by now"), (reply, "here too")}
    assert polled(account, cursor)[0] == []


def test_a_long_thread_is_read_through_only_when_it_grew(channel: Channel, account: YouTubeAccount) -> None:
    _, cursor = polled(account, None)
    channel.page = 100
    top = channel.say(INES, "cold", ago=50)
    replies = [channel.say("UCtom", f"here too {number}", top, ago=40 - number) for number in range(8)]
    found, cursor = polled(account, cursor)
    assert sorted(one.native_id for one in found) == sorted([top, *replies])

    def asked() -> int:
        return sum("parentId" in call.query for call, _, _ in channel.calls)

    assert asked() == 1
    assert polled(account, cursor)[0] == []
    assert asked() == 1
    last = channel.say("UCtom", "still", top, ago=0)
    assert [one.native_id for one in polled(account, cursor)[0]] == [last]
    assert asked() == 2


def test_an_account_that_may_not_comment_is_for_an_administrator(channel: Channel, account: YouTubeAccount) -> None:
    channel.refusal = refused(403, "ineligibleAccount")
    with pytest.raises(MisconfiguredError):
        account.reply(_mention(), "We come.", "key")


def test_what_is_asked_and_what_this_channel_says_is_as_documented(channel: Channel, account: YouTubeAccount) -> None:
    _, cursor = polled(account, None)
    top = channel.say(INES, "cold")
    for number in range(7):
        channel.say("UCtom", f"here too {number}", top)
    polled(account, cursor)
    (mention,) = account.recheck([top]).edited
    account.reply(mention, "We come.", "key")
    account.refresh(int(time.time() * 1000))
    account.check()
    assert hold(channel.calls, CALLS, login="/token") == {f"{one.method} {one.path}" for one in CALLS}


def test_who_wrote_is_known_by_the_channel_and_not_by_the_name() -> None:
    body = (
        b'{"kind": "youtube#comment", "id": "Ug1", "snippet": {"authorDisplayName": "@acme", "textDisplay": "a &amp; b'
        b'<br>c", "authorChannelId": {"value": "UCother"}, "publishedAt": "2019-11-26T15:51:44.000Z"}}'
    )
    (mention,) = YouTube.for_parse([OURS]).parse(Delivery({}, body))
    assert isinstance(mention, Mention)
    assert (mention.own, mention.text, mention.version) == (False, "a & b\nc", 0)
    assert mention.author is not None
    assert mention.author.native_id == "UCother"


def _mention() -> Mention:
    return Mention(connector="youtube", native_id="Ug1", conversation_id="Ug1", reply_capability="allowed")
