"""The X account asks a stand-in that keeps state: polls and re-checks, and everything refused."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from typing import Any

import pytest

from connectors.core.errors import (
    MisconfiguredError,
    RemoteError,
    UnavailableError,
)
from connectors.core.health import TokenHealth, TokenState
from connectors.core.models import Mention
from connectors.x import account as module
from connectors.x.values import id_at
from tests.x.xapi import ACCOUNT, BASE, HANDLE, MINUTE, OAUTH1, Clock, Fault, XApi, account


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


def test_a_refused_search_is_said_until_it_is_answered(api: XApi, url: str, clock: Clock) -> None:
    x = account(url, Search="kettle")
    first = x.poll(None)
    assert (first.fault, first.health) == (None, None), "nobody was asked"
    api.faults.append(Fault("search/recent", 403, {"reason": "client-not-enrolled"}))
    page = first
    for _ in range(3):  # while the search rests as well
        clock.now += MINUTE
        page = account(url, Search="kettle").poll(page.cursor)
        assert (page.fault or "").startswith("search: X answered 403: the app or its token may not do this")
        assert page.health is not None
        assert page.health.state is TokenState.SCOPE_MISSING
    clock.now += 15 * MINUTE
    page = x.poll(page.cursor)
    assert (page.fault, page.health) == (None, TokenHealth(TokenState.OK))


def test_a_search_that_x_does_not_take_is_said_and_is_not_held_against_the_token(
    api: XApi, url: str, clock: Clock
) -> None:
    x = account(url, Search="kettle")
    cursor = x.poll(None).cursor
    api.faults.append(Fault("search/recent", 400, {}))
    clock.now += MINUTE
    page = x.poll(cursor)
    assert "check Search" in (page.fault or "")
    assert page.health == TokenHealth(TokenState.OK)
    api.faults.append(Fault("mentions", 503, None))
    clock.now += MINUTE
    with pytest.raises(UnavailableError):
        x.poll(page.cursor)


def test_an_outage_of_one_question_is_no_fault(api: XApi, url: str, clock: Clock) -> None:
    x = account(url, Search="kettle")
    cursor = x.poll(None).cursor
    api.faults.append(Fault("search/recent", 503, None))
    clock.now += MINUTE
    assert x.poll(cursor).fault is None


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


def test_the_user_s_oauth1_reads_where_there_is_no_bearer_token(api: XApi, url: str, clock: Clock) -> None:
    """The search's spaces, quotes and letters outside ASCII are part of what is signed."""
    x = account(url, OAUTH1, Search='"Grüße aus*" (kettle OR ~tea)')
    cursor = x.poll(None).cursor
    clock.now += MINUTE
    assert x.poll(cursor).again == module.AGAIN
    assert len(api.calls) == 2


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


def test_receiving_never_imports_tweepy_and_neither_does_looking_at_the_settings() -> None:
    program = "import sys, connectors.x.connector, connectors.x.account; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "connectors.x.account" in loaded
    assert [name for name in loaded if name.partition(".")[0] in {"tweepy", "requests", "oauthlib"}] == []
