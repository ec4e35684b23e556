"""The X account against a stand-in that keeps state: polls, re-checks, answers, tokens, and everything refused."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.core.errors import (
    MisconfiguredError,
    RejectedError,
    RemoteError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.health import TokenState
from connectors.core.models import Mention
from connectors.x import account as module
from connectors.x.settings import XCredentials
from connectors.x.values import id_at
from tests.x.xapi import ACCOUNT, HANDLE, OAUTH1, OAUTH2, Fault, XApi, account

MINUTE = 60_000
BASE = 1_795_000_000_000  # a quarter past six in the morning, UTC: far from midnight
HELLO = Mention(
    connector="x",
    native_id="1800000000000000001",
    conversation_id="1800000000000000001",
    url="https://x.com/ann/status/1800000000000000001",
    reply_capability="allowed",
)


class Clock:
    def __init__(self) -> None:
        self.now = BASE

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "_now", clock)
    return clock


@pytest.fixture
def api() -> XApi:
    return XApi()


@pytest.fixture
def url(api: XApi) -> Iterator[str]:
    with api.serve() as address:
        yield address


def ids(events: Any) -> list[str]:
    return [event.native_id for event in events]


def drain(x: module.XAccount, cursor: str | None, clock: Clock) -> tuple[list[str], str, dict[str, int]]:
    """Polls until X has no more to tell; what came, where it stands, what it cost."""
    found: list[str] = []
    cost: dict[str, int] = {}
    for _ in range(200):
        page = x.poll(cursor)
        cursor = page.cursor
        found += ids(page.events)
        cost = {unit: cost.get(unit, 0) + page.spent.get(unit, 0) for unit in {*cost, *page.spent}}
        if page.again >= module.AGAIN:
            return found, cursor, cost
        clock.now += int(page.again * 1000)
    raise AssertionError("it never ends")


def test_the_first_poll_starts_from_now_and_costs_nothing(api: XApi, url: str, clock: Clock) -> None:
    api.say(BASE - MINUTE)
    x = account(url)
    first = x.poll(None)
    assert (list(first.events), dict(first.spent), api.calls) == ([], {}, [])
    clock.now += MINUTE
    assert list(x.poll(first.cursor).events) == []
    new = api.say(clock.now)
    clock.now += MINUTE
    assert ids(x.poll(first.cursor).events) == [new]


def test_a_mention_comes_with_everything_that_was_asked_for(api: XApi, url: str, clock: Clock) -> None:
    x = account(url)
    cursor = x.poll(None).cursor
    root = api.say(clock.now + 1)
    post = api.say(
        clock.now + 2,
        f"@{HANDLE} still &amp; again",
        in_reply_to_user_id=ACCOUNT,
        referenced_tweets=[{"type": "replied_to", "id": root}],
        conversation_id=root,
        note_tweet={"text": f"@{HANDLE} still &amp; again, at length"},
        lang="und",
    )
    clock.now += MINUTE
    mention = next(event for event in x.poll(cursor).events if ids([event]) == [post])
    assert isinstance(mention, Mention)
    assert mention.model_dump(include={"kind", "parent_id", "conversation_id", "text", "language"}) == {
        "kind": "reply",
        "parent_id": root,
        "conversation_id": root,
        "text": f"@{HANDLE} still & again, at length",
        "language": None,
    }
    assert mention.author
    assert (mention.author.handle, mention.author.followers) == ("ann", 120)
    assert (mention.reply_capability, mention.own, mention.metrics["like_count"]) == ("allowed", False, 1)


def test_pages_are_walked_and_nothing_is_missed_or_doubled(api: XApi, url: str, clock: Clock) -> None:
    """New posts appear between two pages, and each time the walk breaks off with the process."""
    api.page = 7
    cursor = account(url).poll(None).cursor
    said = [api.say(clock.now + number) for number in range(40)]
    more: list[str] = []

    def speak() -> None:
        if len(more) < 30:
            more.append(api.say(clock.now + 1000 + len(more)))

    api.after_page = speak
    found: list[str] = []
    for _ in range(60):
        clock.now += 5000
        page = account(url).poll(cursor)  # a new process each time: all it knows is the cursor
        cursor = page.cursor
        found += ids(page.events)
    assert sorted(found) == sorted([*said, *more])


def test_what_x_shows_late_is_found_by_the_overlap_and_paid_once(api: XApi, url: str, clock: Clock) -> None:
    x = account(url)
    cursor = x.poll(None).cursor
    clock.now += MINUTE
    late = api.say(clock.now)
    api.hidden[late] = "late"
    seen = api.say(clock.now + 10)
    clock.now += MINUTE
    found, cursor, cost = drain(x, cursor, clock)
    assert (found, cost) == ([seen], {"post_read": 1, "user_read": 1})
    del api.hidden[late]
    clock.now += MINUTE
    found, cursor, cost = drain(x, cursor, clock)
    assert (found, cost) == ([late], {"post_read": 1})  # the other is read again, free of charge; so is its author


def test_a_new_day_of_utc_is_charged_again(api: XApi, url: str, clock: Clock) -> None:
    clock.now = (BASE // 86_400_000 + 1) * 86_400_000 - 90_000
    x = account(url)
    cursor = x.poll(None).cursor
    api.say(clock.now + 1)
    clock.now += MINUTE
    page = x.poll(cursor)
    assert dict(page.spent) == {"post_read": 1, "user_read": 1}
    clock.now += 2 * MINUTE  # past midnight, within the overlap
    page = x.poll(page.cursor)
    assert (list(page.events), dict(page.spent)) == ([], {"post_read": 1, "user_read": 1})


def test_a_search_is_asked_beside_the_mentions(api: XApi, url: str, clock: Clock) -> None:
    x = account(url, Search="kettle")
    cursor = x.poll(None).cursor
    both = api.say(clock.now + 1, f"@{HANDLE} my kettle")
    only = api.say(clock.now + 2, "nobody likes that Kettle", entities={"mentions": []})
    clock.now += MINUTE
    page = x.poll(cursor)
    events = {event.native_id: event for event in page.events if isinstance(event, Mention)}
    assert sorted(ids(page.events)) == sorted([both, only])  # once, though it was found twice, and paid once
    assert dict(page.spent) == {"post_read": 2, "user_read": 1}
    assert (events[both].reply_capability, events[only].reply_capability) == ("allowed", "summoned_only")


def test_a_post_that_names_two_of_our_accounts_is_one_post(api: XApi, url: str, clock: Clock) -> None:
    x = account(url, Account=[ACCOUNT, "43"])
    cursor = x.poll(None).cursor
    named = {"mentions": [{"id": ACCOUNT, "username": HANDLE}, {"id": "43", "username": "acme"}]}
    both = api.say(clock.now + 1, f"@{HANDLE} @acme which of you?", entities=named)
    clock.now += MINUTE
    page = x.poll(cursor)
    assert (ids(page.events), page.spent["post_read"]) == ([both], 1)
    clock.now += MINUTE
    assert not x.poll(page.cursor).events


def test_a_refused_search_does_not_hold_the_mentions_up(
    api: XApi, url: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    x = account(url, Search="kettle")
    cursor = x.poll(None).cursor
    said = api.say(clock.now + 1, f"@{HANDLE} my kettle")
    api.faults.append(Fault("search/recent", 403, {"reason": "client-not-enrolled"}))
    clock.now += MINUTE
    with caplog.at_level(logging.WARNING):
        page = x.poll(cursor)
    assert ids(page.events) == [said]
    assert "permissions, scopes and plan" in caplog.text
    clock.now += MINUTE
    calls = len(api.calls)
    x.poll(page.cursor)
    assert [call.path for call in api.calls[calls:]] == [f"/2/users/{ACCOUNT}/mentions"]  # the search rests
    clock.now += 15 * MINUTE
    calls = len(api.calls)
    x.poll(page.cursor)
    assert len(api.calls) == calls + 2


def test_a_changed_search_starts_from_now_and_leaves_the_mentions_where_they_are(
    api: XApi, url: str, clock: Clock
) -> None:
    cursor = account(url, Search="kettle").poll(None).cursor
    old = api.say(clock.now + 1, f"@{HANDLE} hello")
    api.say(clock.now + 2, "a toaster", entities={"mentions": []})
    clock.now += MINUTE
    assert ids(account(url, Search="toaster").poll(cursor).events) == [old]
    assert [call.path for call in api.calls] == [f"/2/users/{ACCOUNT}/mentions"]  # X takes no `since_id` of just now


def test_search_never_asks_behind_x_s_seven_days(api: XApi, url: str, clock: Clock) -> None:
    x = account(url, Search="kettle")
    cursor = x.poll(None).cursor
    clock.now += 30 * 24 * 60 * MINUTE
    x.poll(cursor)
    asked = {call.path: int(call.query["since_id"]) for call in api.calls}
    week_ago = id_at(clock.now - 7 * 24 * 60 * MINUTE)
    assert asked["/2/tweets/search/recent"] > week_ago > asked[f"/2/users/{ACCOUNT}/mentions"]


def test_a_forgotten_page_token_begins_the_walk_anew(api: XApi, url: str, clock: Clock) -> None:
    api.page = 3
    x = account(url)
    cursor = x.poll(None).cursor
    said = [api.say(clock.now + number) for number in range(5)]
    clock.now += MINUTE
    page = x.poll(cursor)
    state = json.loads(page.cursor)
    state["streams"][f"mentions:{ACCOUNT}"]["page"] = "!!"
    rest, _, _ = drain(x, json.dumps(state), clock)
    assert sorted(ids(page.events) + rest) == said


def test_the_rate_limit_is_waited_out_as_x_says(api: XApi, url: str, clock: Clock) -> None:
    x = account(url)
    cursor = x.poll(None).cursor
    clock.now += MINUTE
    reset = str(int(time.time()) + 500)
    api.faults.append(Fault("mentions", 429, {"title": "Too Many Requests"}, {"x-rate-limit-reset": reset}))
    with pytest.raises(UnavailableError) as refused:
        x.poll(cursor)
    assert refused.value.retry_after == pytest.approx(500, abs=5)


@pytest.mark.parametrize(
    ("status", "body", "kind", "token"),
    [
        (401, {"title": "Unauthorized"}, MisconfiguredError, TokenState.REVOKED),
        (403, {"type": "https://api.x.com/2/problems/client-forbidden"}, MisconfiguredError, TokenState.SCOPE_MISSING),
        (403, {"detail": "Your account is suspended"}, MisconfiguredError, TokenState.REVOKED),
        (402, {"type": "https://api.x.com/2/problems/credits-depleted"}, MisconfiguredError, TokenState.LIMITED),
        (403, {"title": "SpendCapReached"}, MisconfiguredError, TokenState.LIMITED),
        (429, {"title": "UsageCapExceeded"}, MisconfiguredError, TokenState.LIMITED),
        (404, {}, MisconfiguredError, None),
        (400, {}, MisconfiguredError, None),
        (500, None, UnavailableError, None),
        (503, "<html>", UnavailableError, None),
        (200, None, UnavailableError, None),
        (200, [], UnavailableError, None),
        (302, {}, MisconfiguredError, None),
    ],
)
def test_a_refused_poll_is_typed_and_moves_nothing(
    api: XApi, url: str, clock: Clock, status: int, body: Any, kind: type[RemoteError], token: TokenState | None
) -> None:
    x = account(url)
    cursor = x.poll(None).cursor
    said = api.say(clock.now + 1)
    clock.now += MINUTE
    api.faults.append(Fault("mentions", status, body))
    with pytest.raises(kind) as refused:
        x.poll(cursor)
    assert getattr(refused.value, "token", None) is token
    assert ids(x.poll(cursor).events) == [said]


def test_an_answer_is_posted_under_the_mention(api: XApi, url: str) -> None:
    made = account(url).reply(HELLO, "Sorry! We are on it.", "key")
    assert [(post["id"], post["text"], post["reply"]) for post in api.created] == [
        (made.id, "Sorry! We are on it.", {"in_reply_to_tweet_id": HELLO.native_id})
    ]
    assert made.url == f"https://x.com/{HANDLE}/status/{made.id}"


def test_an_oauth2_token_answers_and_reads_too(api: XApi, url: str, clock: Clock) -> None:
    x = account(url, OAUTH2)
    assert x.reply(HELLO, "Hello", "key").id
    cursor = x.poll(None).cursor
    clock.now += MINUTE
    x.poll(cursor)
    assert [call.method for call in api.calls] == ["POST", "GET"]
    assert {call.headers["authorization"] for call in api.calls} == {"Bearer user-token"}


def test_the_user_s_oauth1_reads_where_there_is_no_bearer_token(api: XApi, url: str, clock: Clock) -> None:
    """The search's spaces, quotes and letters outside ASCII are part of what is signed."""
    x = account(url, OAUTH1, Search='"Grüße aus*" (kettle OR ~tea)')
    cursor = x.poll(None).cursor
    clock.now += MINUTE
    assert x.poll(cursor).again == module.AGAIN
    assert len(api.calls) == 2


def test_an_answer_goes_to_the_newest_edit(api: XApi, url: str) -> None:
    edited = HELLO.model_copy(update={"version": 5, "url": "https://x.com/ann/status/1800000000000000099"})
    account(url).reply(edited, "Hello", "key")
    assert api.created[0]["reply"] == {"in_reply_to_tweet_id": "1800000000000000099"}


@pytest.mark.parametrize("capability", ["summoned_only", "needs_approval", "none", "sync_only"])
def test_nobody_is_answered_who_did_not_ask(api: XApi, url: str, capability: Any) -> None:
    mention = HELLO.model_copy(update={"reply_capability": capability})
    with pytest.raises(RejectedError, match=r"by hand: https://x\.com/ann"):
        account(url).reply(mention, "Hello", "key")
    assert api.calls == []


def test_too_long_an_answer_says_how_long_it_is(api: XApi, url: str) -> None:
    with pytest.raises(RejectedError, match="counts 281 characters, of 280"):
        account(url).reply(HELLO, "a" * 281, "key")
    assert api.calls == []
    account(url).reply(HELLO, "a" * 256 + " https://acme.com/" + "b" * 90, "key")


def test_links_are_refused_where_the_administrator_says_so(api: XApi, url: str) -> None:
    for text in ("See https://acme.com/help", "See acme.com/help", "see help.acme.shop."):
        with pytest.raises(RejectedError, match="13 times"):
            account(url, Links="refuse").reply(HELLO, text, "key")
    assert api.calls == []
    account(url, Links="refuse").reply(HELLO, "Please restart.Then try again, e.g. at 3.50 p.m.", "key")
    assert len(api.created) == 1


def test_an_answer_whose_outcome_is_lost_is_never_called_failed(api: XApi, url: str) -> None:
    """X posted it and the connection broke; the same words again are refused, and that is no proof of failure."""
    x = account(url)
    api.faults.append(Fault("POST /2/tweets", drop=True))
    with pytest.raises(UnknownOutcomeError):
        x.reply(HELLO, "Hello", "key")
    assert len(api.created) == 1
    with pytest.raises(UnknownOutcomeError, match="posted before"):
        x.reply(HELLO, "Hello", "key")
    assert len(api.created) == 1
    assert x.find_reply(HELLO, "key") is None
    assert x.findable is False


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, {}, UnknownOutcomeError),
        (201, {"data": {}}, UnknownOutcomeError),
        (201, [], UnknownOutcomeError),
        (201, None, UnknownOutcomeError),
        (429, {}, UnavailableError),
        (401, {}, MisconfiguredError),
        (402, {}, MisconfiguredError),
        (403, {"type": "https://api.x.com/2/problems/oauth1-permissions"}, MisconfiguredError),
        (403, {"type": "about:blank", "detail": "You are not permitted to perform this action."}, RejectedError),
        (403, {"detail": "You attempted to reply to a Tweet that is deleted or not visible to you."}, RejectedError),
        (400, {"detail": "Your Tweet text is too long."}, RejectedError),
    ],
)
def test_a_refused_answer_is_typed(api: XApi, url: str, status: int, body: Any, kind: type[RemoteError]) -> None:
    api.faults.append(Fault("POST /2/tweets", status, body))
    with pytest.raises(kind) as refused:
        account(url).reply(HELLO, "a secret of the customer", "key")
    assert "secret" not in str(refused.value)


def test_x_s_own_rule_about_whom_an_app_may_answer_reaches_the_agent(api: XApi, url: str) -> None:
    api.summoned = set()
    with pytest.raises(RejectedError, match="mentioned or quoted"):
        account(url).reply(HELLO, "Hello", "key")


def test_without_a_user_s_token_answers_wait_for_an_administrator(api: XApi, url: str) -> None:
    with pytest.raises(MisconfiguredError, match="no token of the account") as refused:
        account(url, {"bearer_token": "app-bearer"}).reply(HELLO, "Hello", "key")
    assert refused.value.token is TokenState.SCOPE_MISSING


def test_what_an_answer_costs(url: str) -> None:
    x = account(url)
    assert x.units(HELLO, "Hello") == {"summoned_reply": 1}
    assert x.units(HELLO, "Hello, see acme.com/help") == {"create_with_url": 1}
    assert x.units(HELLO.model_copy(update={"reply_capability": "summoned_only"}), "Hello") == {"create": 1}


def test_a_recheck_tells_what_is_gone_and_what_it_cost(api: XApi, url: str, clock: Clock) -> None:
    there, deleted, protected = (api.say(BASE + number) for number in range(3))
    del api.posts[deleted]
    api.hidden[protected] = "not-authorized-for-resource"
    found = account(url).recheck([there, deleted, protected])
    assert {gone.native_id for gone in found.gone} == {deleted, protected}
    assert (dict(found.spent), {gone.order for gone in found.gone}) == ({"post_read": 1}, {BASE})
    assert len(api.calls) == 1


def test_what_cannot_be_judged_is_not_gone(api: XApi, url: str, clock: Clock) -> None:
    one = api.say(BASE)
    api.hidden[one] = "operational-disconnect"
    assert account(url).recheck([one]).gone == ()
    other = {"parameter": "ids", "resource_id": "999", "type": "https://api.x.com/2/problems/resource-not-found"}
    api.faults.append(Fault("/2/tweets", 200, {"errors": [other]}))  # about a post that was not asked for
    assert account(url).recheck([one]).gone == ()
    api.faults.append(Fault("/2/tweets", 500))
    with pytest.raises(UnavailableError):
        account(url).recheck([one])
    assert account(url).recheck([]).gone == ()


def test_checking_the_credentials_reads_nothing(api: XApi, url: str) -> None:
    assert account(url).check().state is TokenState.OK
    assert {call.query["ids"] for call in api.calls} == {"1"}
    assert len(api.calls) == 2  # the app's token and the user's


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault("GET", 401, {}), TokenState.REVOKED),
        (Fault("GET", 429, {}, {"x-rate-limit-reset": "9999999999"}), TokenState.LIMITED),
        (Fault("GET", 500), TokenState.TRANSIENT),
        (Fault("GET", 402, {}), TokenState.LIMITED),
        (Fault("GET", drop=True), TokenState.TRANSIENT),
        (Fault("GET", 302), TokenState.TRANSIENT),
    ],
)
def test_the_state_of_the_credentials_is_typed(api: XApi, url: str, fault: Fault, state: TokenState) -> None:
    api.faults.append(fault)
    health = account(url).check()
    assert health.state is state
    assert health.detail
    assert (health.until is not None) is (fault.status == 429)


def test_a_token_that_may_only_read_is_noticed_before_an_answer_is_lost(api: XApi, url: str) -> None:
    api.access_level = "read"
    assert account(url).check().state is TokenState.SCOPE_MISSING
    api.access_level = "read-write"
    assert account(url).check().state is TokenState.OK


def test_a_token_without_a_refresh_token_runs_out(url: str, clock: Clock) -> None:
    left = {"access_token": "user-token", "expires_at": BASE + MINUTE}
    health = account(url, left).check()
    assert (health.state, health.until) == (TokenState.EXPIRING, BASE + MINUTE)
    clock.now += MINUTE
    assert account(url, left).check().state is TokenState.EXPIRED


def test_a_renewed_token_comes_as_a_whole_document_with_the_next_refresh_token(api: XApi, url: str) -> None:
    x = account(url, {"bearer_token": "app-bearer", **OAUTH2})
    renewed = x.refresh(BASE)
    assert renewed == {
        **OAUTH2,
        "bearer_token": "app-bearer",
        "access_token": "user-token-new",
        "refresh_token": "refresh-1",
        "expires_at": BASE + 7_200_000,
    }
    XCredentials.model_validate(renewed)
    json.dumps(renewed)
    with pytest.raises(MisconfiguredError) as spent:
        x.refresh(BASE)
    assert spent.value.token is TokenState.REVOKED


@pytest.mark.parametrize(
    "fault", [Fault("token", drop=True), Fault("token", 500), Fault("token", 429), Fault("token", 200, {})]
)
def test_a_renewal_without_an_answer_is_tried_again(api: XApi, url: str, fault: Fault) -> None:
    api.faults.append(fault)
    with pytest.raises(UnavailableError):
        account(url, OAUTH2).refresh(BASE)


def test_when_a_token_is_renewed(url: str) -> None:
    x = account(url, {**OAUTH2, "expires_at": BASE})
    assert not x.refresh_due(BASE - 15 * MINUTE - 1)
    assert x.refresh_due(BASE - 15 * MINUTE)
    assert account(url, {**OAUTH2, "expires_at": None}).refresh_due(BASE)
    assert not account(url).refresh_due(BASE)


def test_an_expired_token_can_be_renewed_and_a_revoked_one_cannot(api: XApi, url: str) -> None:
    api.faults += [Fault("GET", 401, {}), Fault("GET", 401, {})]
    assert account(url, OAUTH2).check().state is TokenState.EXPIRED
    assert account(url, OAUTH1).check().state is TokenState.REVOKED


def test_no_secret_is_logged_or_shown(api: XApi, url: str, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    x = account(url)
    x.reply(HELLO, "words of ours", "key")
    api.faults.append(Fault("mentions", 401, {"detail": "key secret"}))
    cursor = x.poll(None).cursor
    clock.now += MINUTE
    with pytest.raises(MisconfiguredError) as refused:
        x.poll(cursor)
    shown = f"{caplog.text} {refused.value}"
    assert [word for word in ("app-bearer", "token secret", "key secret", "words of ours") if word in shown] == []


def test_receiving_never_imports_tweepy_and_neither_does_looking_at_the_settings() -> None:
    program = "import sys, connectors.x.connector, connectors.x.account; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "connectors.x.account" in loaded
    assert [name for name in loaded if name.partition(".")[0] in {"tweepy", "requests", "oauthlib"}] == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"api_key": "a", "api_secret": "b"},
        {"access_token": "a", "access_token_secret": "b"},
        {"bearer_token": "a", "refresh_token": "b"},
        {"bearer_token": "a", "token": "b"},
    ],
)
def test_credentials_that_are_half_there_are_refused_without_being_shown(document: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="X") as refused:
        XCredentials.model_validate({**document, **{name: f"hush-{value}" for name, value in document.items()}})
    assert "hush" not in str(refused.value)
