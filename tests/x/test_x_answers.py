"""Answers on X: whom, how long, what they cost, and what becomes of one whose outcome is lost."""

from __future__ import annotations

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
from tests.x.xapi import HANDLE, HELLO, MINUTE, OAUTH2, Clock, Fault, XApi, account


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


def test_replies_approval_holds_for_what_was_kept_before_it_was_set(api: XApi, url: str) -> None:
    with pytest.raises(RejectedError, match="has to approve answers"):
        account(url, Replies="approval").reply(HELLO, "Hello", "key")
    unasked = HELLO.model_copy(update={"reply_capability": "summoned_only"})
    with pytest.raises(RejectedError, match="only where the author mentioned"):
        account(url, Replies="approval").reply(unasked, "Hello", "key")
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
