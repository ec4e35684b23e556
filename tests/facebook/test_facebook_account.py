"""Answers as the Page, each at most once, and the health of its token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.core.delivery import Delivery
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.models import Mention
from connectors.facebook.account import FacebookAccount
from connectors.facebook.connector import Facebook
from connectors.facebook.settings import FacebookCredentials, FacebookSource
from connectors.http import HttpClient
from tests.facebook.graph_standin import APP_ID, APP_SECRET, BEN, MIA, PAGE, TOKEN, Graph, Said, running

NOW = 1_795_075_200
KEY = "hailback-abcdefgh"


@pytest.fixture
def graph() -> Iterator[Graph]:
    with running() as started:
        yield started


def account(graph: Graph, page: str = PAGE, **credentials: str) -> FacebookAccount:
    return FacebookAccount(
        FacebookSource.model_validate({"Account": [page], "ApiUrl": graph.base_url}),
        FacebookCredentials.model_validate({"page_access_token": TOKEN} | credentials),
        HttpClient(allow_private=True, connect=1.0, read=2.0, total=3.0),
        clock=lambda: float(NOW),
    )


def mention(graph: Graph, said: Said, page: str = PAGE) -> Mention:
    source = Facebook(FacebookSource.model_validate({"Account": page}))
    found: Any = source.parse(Delivery({}, graph.delivery(said)))[0]
    return found  # type: ignore[no-any-return]


def test_an_answer_stands_under_the_post_and_its_receipt_opens_it(graph: Graph) -> None:
    post = graph.say(MIA, "It is cold.", NOW)
    receipt = account(graph).reply(mention(graph, post), "We are on our way 🔧 & hurry", KEY)
    (answer,) = graph.comments(post.id)
    assert (answer.text, answer.id) == ("We are on our way 🔧 & hurry", receipt.id)
    assert receipt.url.startswith(f"https://www.facebook.com/{PAGE}/posts/")
    assert KEY not in str(graph.requests)


def test_an_answer_to_a_comment_is_a_reply_to_that_comment(graph: Graph) -> None:
    post = graph.say(MIA, "It is cold.", NOW)
    comment = graph.say(BEN, "Here too.", NOW, under=post.id)
    account(graph).reply(mention(graph, comment), "Which street?", KEY)
    assert graph.comments(post.id)[-1].parent == comment.id


def test_our_answer_comes_back_as_our_own(graph: Graph) -> None:
    post = graph.say(MIA, "It is cold.", NOW)
    receipt = account(graph).reply(mention(graph, post), "On our way.", KEY)
    echo = mention(graph, graph.comments(post.id)[0])
    assert (echo.native_id, echo.own, echo.conversation_id) == (receipt.id, True, post.id)


@pytest.mark.parametrize("fault", ["drop", "500", "502", "1", "2"])
def test_an_answer_of_unknown_outcome_is_said_to_be_one_and_cannot_be_looked_up(graph: Graph, fault: str) -> None:
    post = mention(graph, graph.say(MIA, "It is cold.", NOW))
    graph.fail(fault)
    with pytest.raises(UnknownOutcomeError):
        account(graph).reply(post, "On our way.", KEY)
    assert len(graph.requests) == 1  # and nothing in the connector tried again by itself
    assert FacebookAccount.findable is False
    with pytest.raises(UnknownOutcomeError):
        account(graph).find_reply(post, KEY)


def test_an_answer_whose_receipt_got_lost_was_given_once(graph: Graph) -> None:
    post = graph.say(MIA, "It is cold.", NOW)
    graph.fail("drop")
    with pytest.raises(UnknownOutcomeError):
        account(graph).reply(mention(graph, post), "On our way.", KEY)
    assert [one.text for one in graph.comments(post.id)] == ["On our way."]


@pytest.mark.parametrize(("code", "wait"), [("4", 900), ("32", 900), ("80001", 900), ("368", 3600)])
def test_an_answer_waits_while_calls_are_limited(graph: Graph, code: str, wait: float) -> None:
    post = graph.say(MIA, "It is cold.", NOW)
    graph.fail(code)
    with pytest.raises(UnavailableError) as raised:
        account(graph).reply(mention(graph, post), "On our way.", KEY)
    assert raised.value.retry_after == wait
    assert graph.comments(post.id) == []


@pytest.mark.parametrize("fault", ["506.0", "1609005", "100", "100.33"])
def test_an_answer_that_facebook_will_not_take_is_not_tried_again(graph: Graph, fault: str) -> None:
    post = mention(graph, graph.say(MIA, "It is cold.", NOW))
    graph.fail(fault)
    with pytest.raises(RejectedError) as raised:
        account(graph).reply(post, "On our way.", KEY)
    assert "SECRET WORDS" not in str(raised.value)


@pytest.mark.parametrize("fault", ["190", "200", "10"])
def test_an_answer_without_the_right_to_it_waits_for_an_administrator(graph: Graph, fault: str) -> None:
    post = mention(graph, graph.say(MIA, "It is cold.", NOW))
    graph.fail(f"{fault}.0")
    with pytest.raises(MisconfiguredError) as raised:
        account(graph).reply(post, "On our way.", KEY)
    assert raised.value.token in {TokenState.REVOKED, TokenState.SCOPE_MISSING}


def test_a_post_that_is_gone_cannot_be_answered(graph: Graph) -> None:
    post = mention(graph, graph.say(MIA, "It is cold.", NOW))
    graph.said.clear()
    with pytest.raises(RejectedError):
        account(graph).reply(post, "On our way.", KEY)


def test_a_post_on_another_page_is_not_answered_with_the_wrong_token(graph: Graph) -> None:
    elsewhere = mention(graph, graph.say(MIA, "It is cold.", NOW), page="4242")
    with pytest.raises(RejectedError):
        account(graph).reply(elsewhere, "On our way.", KEY)
    assert graph.requests == []


APP = {"app_id": APP_ID, "app_secret": APP_SECRET}


def test_a_good_token_is_ok_and_what_is_not_known_is_said(graph: Graph) -> None:
    assert account(graph, **APP).check().state is TokenState.OK
    health = account(graph).check()
    assert health.state is TokenState.OK
    assert "not known" in health.detail


def test_the_token_of_another_page_is_told(graph: Graph) -> None:
    health = account(graph, page="4242").check()
    assert (health.state, PAGE in health.detail, "4242" in health.detail) == (TokenState.SCOPE_MISSING, True, True)


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"is_valid": False, "error": {"subcode": 463}}, TokenState.EXPIRED),
        ({"is_valid": False}, TokenState.REVOKED),
        ({"scopes": ["pages_read_engagement"]}, TokenState.SCOPE_MISSING),
        ({"expires_at": NOW + 6 * 86_400}, TokenState.EXPIRING),
        ({"expires_at": NOW - 1}, TokenState.EXPIRED),
        ({"expires_at": NOW + 60 * 86_400}, TokenState.OK),
        ({"expires_at": 0, "data_access_expires_at": NOW + 86_400}, TokenState.EXPIRING),
        ({"expires_at": 0, "data_access_expires_at": 0}, TokenState.OK),
    ],
)
def test_what_facebook_tells_of_the_token(graph: Graph, told: dict[str, Any], state: TokenState) -> None:
    graph.token |= told
    health = account(graph, **APP).check()
    assert health.state is state
    assert health.until == next((end * 1000 for name, end in told.items() if name.endswith("expires_at") and end), None)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("190.463", TokenState.EXPIRED),
        ("190.460", TokenState.REVOKED),
        ("10", TokenState.SCOPE_MISSING),
        ("4", TokenState.LIMITED),
        ("500", TokenState.TRANSIENT),
        ("drop", TokenState.TRANSIENT),
    ],
)
def test_a_check_never_raises(graph: Graph, fault: str, state: TokenState) -> None:
    graph.fail(fault)
    health = account(graph, **APP).check()
    assert health.state is state
    assert (health.until == (NOW + 900) * 1000) == (state is TokenState.LIMITED)
    assert TOKEN not in health.detail
    assert APP_SECRET not in health.detail


def test_a_wrong_token_and_a_wrong_app_secret_are_told(graph: Graph) -> None:
    assert account(graph, page_access_token="wrong").check().state is TokenState.REVOKED
    assert account(graph, app_secret="wrong").check().state is TokenState.REVOKED


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"Account": []},
        {"Account": "acme"},
        {"Account": PAGE, "ApiVersion": "latest"},
        {"Account": PAGE, "ApiUrl": "graph.facebook.com"},
        {"Account": PAGE, "ApiUrl": "https://user:pass@graph.facebook.com"},
        {"Account": PAGE, "ApiUrl": "https://graph.facebook.com?x=1"},
        {"Account": PAGE, "Unheard": "of"},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FacebookSource.model_validate(settings)


def test_settings_as_cloudformation_hands_them_over() -> None:
    for given in (PAGE, [PAGE], int(PAGE)):
        settings = FacebookSource.model_validate({"Account": given})
        assert (settings.page, settings.api_url) == (PAGE, "https://graph.facebook.com")
