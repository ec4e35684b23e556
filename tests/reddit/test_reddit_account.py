"""Our account on a Reddit that keeps state: what a poll brings, what an answer becomes, what is gone."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.core.delivery import Delivery
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.models import AnyEvent, Deletion, Mention, Unsupported
from connectors.http import HttpClient
from connectors.reddit.account import RedditAccount, RedditCredentials
from connectors.reddit.connector import Reddit, RedditSource
from tests.described import TEXT, Described, const, exact, hold, many, shape
from tests.polled import polled
from tests.standin import Answer, Call, serving

HTTP = HttpClient(allow_private=True)
INVENTED: dict[str, Any] = {"client_id": "app", "client_secret": "s3", "refresh_token": "r"}

NAME = {"type": "string", "pattern": "^t[13]_[a-z0-9]+$"}
THING = exact("kind data", kind={"enum": ["t1", "t3"]}, data=shape("name author created_utc", name=NAME, author=TEXT))
LISTED = exact("after children", after={"type": ["string", "null"]}, children=many(THING))
LISTING = shape("kind data", kind=const("Listing"), data=LISTED)
PAGED = {"limit", "after", "raw_json"}
MADE = shape("errors", errors=many(many(TEXT)), data=shape("things", things=many(THING)))
COMMENT = exact("thing_id text api_type", thing_id=NAME, text={**TEXT, "maxLength": 10_000}, api_type=const("json"))
GRANT = exact("grant_type refresh_token", grant_type=const("refresh_token"), refresh_token=TEXT)
CALLS = [
    Described("POST", "/login", body=GRANT, answer=shape("access_token expires_in")),
    Described("GET", "/api/v1/me", answer=shape("name id", name=TEXT)),
    Described("GET", "/message/inbox", PAGED, answer=LISTING),
    Described("GET", "/message/mentions", PAGED, answer=LISTING),
    Described("GET", "/user/{username}/comments", PAGED, answer=LISTING),
    Described("GET", "/r/{subreddit}/new", PAGED, answer=LISTING),
    Described("GET", "/search", PAGED | {"q", "sort", "type"}, answer=LISTING),
    Described("GET", "/api/info", PAGED | {"id"}, answer=LISTING),
    Described("POST", "/api/comment", {"raw_json"}, body=COMMENT, answer=shape("json", json=MADE)),
]
"""Of https://www.reddit.com/dev/api/ and https://github.com/reddit-archive/reddit/wiki/OAuth2"""


class Place:
    """As much of the API as is called. `lose`: the next comment is made and its answer lost."""

    def __init__(self) -> None:
        self.things: dict[str, dict[str, Any]] = {}
        self.lose = False
        self.errors: list[list[str]] = []
        self.remaining = "99.0"
        self.agents: set[str] = set()
        self.calls: list[tuple[Call, int, object]] = []

    def say(self, who: str, text: str, parent: str | None = None, ago: float = 60) -> str:
        name = f"{'t1' if parent else 't3'}_c{len(self.things)}"
        at = float(int(time.time() - ago))
        post = {"title": text, "selftext": text} if parent is None else {"body": text, "parent_id": parent}
        root = {} if parent is None else {"link_id": self.things.get(parent, {}).get("link_id", parent)}
        made = {"name": name, "author": who, "author_fullname": f"t2_{who}", "edited": False, "created_utc": at}
        self.things[name] = {**made, **post, **root, "permalink": f"/r/heating/comments/{name}/"}
        return name

    def answer(self, call: Call) -> Answer:
        status, said, more = self._answer(call)
        self.calls.append((call, status, said))
        return status, said, more

    def _answer(self, call: Call) -> Answer:
        self.agents.add(call.headers["user-agent"])
        if call.path == "/login":
            return self._login(call)
        if call.headers.get("authorization") != "Bearer invented":
            return 401, {"message": "Unauthorized", "error": 401}, {}
        if call.path == "/api/comment":
            return self._comment(call.form())
        match call.path:
            case "/api/v1/me":
                return 200, {"name": "acme_support", "id": "acme"}, {}
            case "/api/info":
                found = [self.things[one] for one in call.query["id"].split(",") if one in self.things]
            case "/user/acme_support/comments":
                found = self._newest("acme_support")
            case "/r/heating/new":
                found = [one for one in self._newest() if one["name"].startswith("t3")]
            case "/message/inbox":
                found = [
                    one for one in self._newest() if one["name"].startswith("t1") and one["author"] != "acme_support"
                ]
            case _:
                found = []
        return self._page(call, found)

    def _login(self, call: Call) -> Answer:
        if call.headers["authorization"] != f"Basic {b64encode(b'app:s3').decode()}":
            return 401, {"message": "Unauthorized", "error": 401}, {}
        return 200, {"access_token": "fresh", "token_type": "bearer", "expires_in": 86400, "scope": "*"}, {}

    def _comment(self, form: dict[str, str]) -> Answer:
        if self.errors:
            return 200, {"json": {"errors": self.errors}}, {}
        name = self.say("acme_support", form["text"], form["thing_id"], ago=0)
        if self.lose:
            self.lose = False
            return 200, None, {}
        return 200, {"json": {"errors": [], "data": {"things": [self._thing(self.things[name])]}}}, {}

    def _newest(self, who: str | None = None) -> list[dict[str, Any]]:
        found = [one for one in self.things.values() if (one["author"] == who) == (who is not None)]
        return sorted(found, key=lambda one: one["created_utc"], reverse=True)

    @staticmethod
    def _thing(data: dict[str, Any]) -> dict[str, Any]:
        return {"kind": data["name"][:2], "data": data}

    def _page(self, call: Call, found: list[dict[str, Any]]) -> Answer:
        names = [one["name"] for one in found]
        start = names.index(call.query["after"]) + 1 if call.query.get("after") else 0
        page = found[start : start + 2]
        after = page[-1]["name"] if start + 2 < len(found) else None
        headers = {"x-ratelimit-remaining": self.remaining, "x-ratelimit-reset": "47", "x-ratelimit-used": "1"}
        return (
            200,
            {"kind": "Listing", "data": {"after": after, "children": [self._thing(one) for one in page]}},
            headers,
        )


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def account(place: Place) -> Iterator[RedditAccount]:
    with serving(place.answer) as address:
        settings = RedditSource(
            account=("acme_support",), subreddits=("heating",), api_url=address, login_url=f"{address}/login"
        )
        credentials = RedditCredentials.model_validate({**INVENTED, "access_token": "invented"})
        yield RedditAccount(settings, credentials, HTTP)


def said(account: RedditAccount, name: str) -> Mention:
    return next(iter(account.recheck([name]).edited))


def test_posts_comments_and_our_own_are_brought_once(place: Place, account: RedditAccount) -> None:
    place.say("rosa", "long ago", ago=90_000)
    _, cursor = polled(account, None)
    posts = [place.say("ines", f"cold {number}", ago=50 - number) for number in range(5)]
    below = [place.say("tom", f"here too {number}", posts[0], ago=40 - number) for number in range(5)]
    ours = place.say("acme_support", "We come.", below[0], ago=10)
    found, cursor = polled(account, cursor)
    assert sorted(one.native_id for one in found) == sorted([*posts, *below, ours])
    assert [one.native_id for one in found if one.own] == [ours]
    assert {one.conversation_id for one in found if one.kind == "reply"} == {posts[0]}
    assert polled(account, cursor)[0] == []
    assert place.agents == {"aws-lambda:hailback:1 (by /u/acme_support)"}


def test_a_used_up_minute_is_waited_for(place: Place, account: RedditAccount) -> None:
    cursor = account.poll(None).cursor
    place.remaining = "0.0"
    assert 47 <= account.poll(cursor).again <= 49


def test_an_answer_is_a_comment_below_and_not_sent_twice(place: Place, account: RedditAccount) -> None:
    mention = said(account, place.say("tom", "here too", place.say("ines", "cold")))
    assert account.find_reply(mention, "key") is None
    place.lose = True
    with pytest.raises(UnknownOutcomeError):
        account.reply(mention, "We come.", "key")
    with pytest.raises(UnknownOutcomeError, match="look"):
        account.find_reply(mention, "key")
    other = said(account, place.say("rosa", "me as well", mention.conversation_id))
    assert account.find_reply(other, "key") is None
    receipt = account.reply(other, "We come.", "key")
    assert place.things[receipt.id]["parent_id"] == other.native_id
    assert receipt.url.startswith("https://www.reddit.com/r/heating/")


def test_what_reddit_refuses_in_a_success_is_told_apart(place: Place, account: RedditAccount) -> None:
    mention = said(account, place.say("ines", "cold"))
    place.errors = [["RATELIMIT", "you are doing that too much. try again in 9 minutes.", "ratelimit"]]
    with pytest.raises(UnavailableError) as caught:
        account.reply(mention, "We come.", "key")
    assert caught.value.retry_after == 541
    place.errors = [["THREAD_LOCKED", "Comments are locked.", "parent"]]
    with pytest.raises(RejectedError, match="THREAD_LOCKED"):
        account.reply(mention, "We come.", "key")
    place.errors = [["USER_REQUIRED", "Please log in to do that.", ""]]
    with pytest.raises(MisconfiguredError):
        account.reply(mention, "We come.", "key")


def test_what_was_taken_away_is_gone_and_what_is_left_out_is_not_judged(place: Place, account: RedditAccount) -> None:
    kept, gone = place.say("ines", "cold"), place.say("tom", "here too", "t3_c0")
    place.things[gone] |= {"body": "[deleted]", "author": "[deleted]"}
    place.things[kept] |= {"edited": time.time()}
    found = account.recheck([kept, gone, "t1_unknown"])
    assert [one.native_id for one in found.gone] == [gone]
    assert [(one.native_id, one.version > 0) for one in found.edited] == [(kept, True)]


def test_access_is_made_from_the_grant_and_its_lack_is_said(place: Place, account: RedditAccount) -> None:
    assert account.check().state is TokenState.OK
    document = account.refresh(0)
    assert (document["access_token"], document["expires_at"]) == ("fresh", 86_400_000)
    with serving(place.answer) as address:
        settings = RedditSource(account=("acme_support",), login_url=f"{address}/login")
        unknown = RedditCredentials.model_validate({**INVENTED, "client_secret": "wrong"})
        with pytest.raises(MisconfiguredError, match="approval"):
            RedditAccount(settings, unknown, HTTP).refresh(0)
    with pytest.raises(ValidationError, match="username and password"):
        RedditCredentials.model_validate({"client_id": "app", "client_secret": "s"})


@pytest.mark.parametrize("gone", ["[deleted]", "[removed]", "[ Removed by Reddit ]"])
def test_a_bare_thing_and_words_that_were_taken_away(gone: str) -> None:
    body = f'{{"name": "t3_abc", "title": "a &lt; b", "selftext": "{gone}", "author": "[deleted]"}}'.encode()
    (event,) = Reddit.for_parse().parse(Delivery({}, body, 17))
    assert isinstance(event, Deletion)
    assert (event.native_id, event.conversation_id, event.order) == ("t3_abc", "t3_abc", 17)


def parsed(said: object) -> AnyEvent:
    (event,) = Reddit.for_parse(["acme_support"]).parse(Delivery({}, json.dumps(said).encode(), 17))
    return event


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"body": "a &amp;lt; b &gt; c", "body_html": "&lt;div&gt;"}, "a &lt; b > c"),
        ({"body": "a &lt; b", "body_html": '<div class="md">'}, "a &lt; b"),
        ({"body": "a &amp; b"}, "a & b"),
    ],
    ids=["escaped", "raw", "unknown"],
)
def test_words_stand_as_they_were_written_whether_reddit_escaped_them_or_not(data: dict[str, str], text: str) -> None:
    event = parsed({"kind": "t1", "data": {"name": "t1_a", "link_id": "t3_b", "author": "tom", **data}})
    assert isinstance(event, Mention)
    assert event.text == text
    assert event.url == "https://www.reddit.com/comments/b/_/a/"


def test_a_link_that_a_moderator_took_away_has_no_words_to_say_so() -> None:
    data = {"name": "t3_abc", "title": "Cold", "selftext": "", "author": "ines", "removed_by_category": "moderator"}
    assert isinstance(parsed({"kind": "t3", "data": data}), Deletion)
    held = parsed({"kind": "t3", "data": {**data, "removed_by_category": "automod_filtered"}})
    assert isinstance(held, Mention), "a filter may let it out again"
    assert isinstance(parsed({"kind": "t3", "data": {**data, "removed_by_category": None}}), Mention)


@pytest.mark.parametrize("name", ["_ines", "-ines", "<USERNAME>"])
def test_whatever_a_name_begins_with_it_is_somebodys(name: str) -> None:
    event = parsed({"kind": "t1", "data": {"name": "t1_a", "link_id": "t3_b", "author": name, "body": "cold"}})
    assert isinstance(event, Mention)
    assert event.author is not None
    assert event.author.handle == name
    assert event.author.native_id.startswith("u")


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ({"json": {"errors": []}}, "answer"),
        ({"json": {"errors": [], "data": {"things": []}}}, "answer"),
        ({"json": {"errors": [["THREAD_LOCKED", "Comments are locked.", "parent"]]}}, "error"),
        ({"message": "Forbidden", "error": 403}, "error"),
        ({"explanation": "that user doesn't exist", "message": "Bad Request", "reason": "USER_DOESNT_EXIST"}, "error"),
        ({"kind": "modaction", "data": {"id": "ModAction_x"}}, "modaction"),
    ],
)
def test_what_says_nothing_of_a_post_is_counted(said: object, event: str) -> None:
    found = parsed(said)
    assert isinstance(found, Unsupported)
    assert found.event == event


def test_what_is_asked_and_what_this_place_says_is_as_documented(place: Place, account: RedditAccount) -> None:
    with serving(place.answer) as address:
        settings = RedditSource(
            account=("acme_support",),
            subreddits=("heating",),
            search=("kettle",),
            api_url=address,
            login_url=f"{address}/login",
        )
        credentials = RedditCredentials.model_validate({**INVENTED, "access_token": "invented"})
        looking = RedditAccount(settings, credentials, HTTP)
        polled(looking, looking.poll(None).cursor)
        looking.refresh(0)
    account.reply(said(account, place.say("ines", "cold")), "We come.", "key")
    account.check()
    assert hold(place.calls, CALLS, login="/login") == {f"{one.method} {one.path}" for one in CALLS}
