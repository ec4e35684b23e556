"""The Page is asked: what the webhook missed is found, once the first poll has set the mark, and limits are obeyed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.core.delivery import Delivery
from connectors.core.errors import MisconfiguredError, UnavailableError
from connectors.core.health import TokenState
from connectors.core.models import Mention
from connectors.core.ports import Page
from connectors.facebook.account import AGAIN, CALLS, OVERLAP, FacebookAccount
from connectors.facebook.connector import Facebook
from connectors.facebook.settings import FacebookCredentials, FacebookSource
from connectors.http import HttpClient
from tests.facebook.graph_standin import ACME, APP_SECRET, BEN, MIA, PAGE, TOKEN, Graph, running

START = 1_795_075_200.0


@dataclass
class Asking:
    """A Page that is asked, with a clock of its own."""

    graph: Graph
    now: float = START
    cursor: str | None = None

    def account(self, token: str = TOKEN, **settings: str) -> FacebookAccount:
        return FacebookAccount(
            FacebookSource.model_validate({"Account": PAGE, "ApiUrl": self.graph.base_url} | settings),
            FacebookCredentials.model_validate({"page_access_token": token, "app_secret": APP_SECRET}),
            HttpClient(allow_private=True, connect=1.0, read=2.0, total=3.0),
            clock=lambda: self.now,
        )

    def poll(self) -> Page:
        page = self.account().poll(self.cursor)
        self.cursor = page.cursor
        return page

    def sweep(self) -> list[Mention]:
        """Polls until the sweep is through."""
        found: list[Any] = []
        for _ in range(60):
            page = self.poll()
            found += page.events
            if page.again == AGAIN:
                return found
        raise AssertionError("the sweep never ends")


@pytest.fixture
def asking() -> Iterator[Asking]:
    with running() as graph:
        yield Asking(graph)


def texts(found: Any) -> list[str]:
    return [one.text for one in found]


def test_the_first_poll_starts_from_now_and_asks_nobody(asking: Asking) -> None:
    asking.graph.say(MIA, "Long ago.", START - 5)
    page = asking.poll()
    assert (page.events, asking.graph.requests) == ([], [])


def test_what_is_said_after_that_is_found_oldest_first(asking: Asking) -> None:
    old = asking.graph.say(ACME, "Autumn check-ups!", START - 86_400)
    asking.poll()
    first = asking.graph.say(BEN, "How much?", START + 10, under=old.id)
    asking.graph.say(MIA, "It is cold.", START + 20)
    asking.graph.say(ACME, "Ninety.", START + 30, under=old.id, parent=first.id)
    asking.graph.say(None, "Thank you, Acme!", START + 40, tagged=True)
    asking.now += 60
    found = asking.sweep()
    assert texts(found) == ["How much?", "It is cold.", "Ninety.", "Thank you, Acme!"]
    assert [(one.own, one.kind) for one in found] == [
        (False, "reply"),
        (False, "post"),
        (True, "reply"),
        (False, "post"),
    ]
    assert found[2].parent_id == first.id
    assert found[0].conversation_id == old.id


def test_what_was_said_before_the_first_poll_stays_unsaid(asking: Asking) -> None:
    asking.graph.say(MIA, "A minute too early.", START - 60)
    asking.poll()
    asking.now += 60
    assert asking.sweep() == []


def test_an_old_post_that_tags_us_only_now_is_found(asking: Asking) -> None:
    asking.poll()
    post = asking.graph.say(None, "Acme, you know.", START - 90_000, tagged=True)
    asking.now += 60
    assert asking.sweep() == []
    post.tagged_at = START + 120
    asking.now += 120
    assert texts(asking.sweep()) == ["Acme, you know."]


def test_what_is_asked_for_and_what_is_pushed_are_the_same_posts(asking: Asking) -> None:
    asking.poll()
    post = asking.graph.say(MIA, "It is cold.", START + 1)
    comment = asking.graph.say(BEN, "Here too.", START + 2, under=post.id)
    said = [post, comment, asking.graph.say(None, "Also here.", START + 3, under=post.id, parent=comment.id)]
    asking.now += 60
    pushed = [Facebook.for_parse([PAGE]).parse(Delivery({}, asking.graph.delivery(one)))[0] for one in said]
    same = {"native_id", "conversation_id", "parent_id", "kind", "author", "text", "created_at", "own", "version"}
    assert [one.model_dump(include=same) for one in asking.sweep()] == [one.model_dump(include=same) for one in pushed]


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_storm_under_one_post_is_brought_whole(asking: Asking, newest_first: bool) -> None:
    asking.graph.newest_first = newest_first
    post = asking.graph.say(ACME, "Sale!", START - 86_400)
    for number in range(40):
        asking.graph.say(BEN, f"Old {number}", START - 50_000 + number, under=post.id)
    asking.poll()
    for number in range(260):
        asking.graph.say(BEN, f"New {number}", START + number, under=post.id)
    asking.now += 600
    found = asking.sweep()
    assert sorted(set(texts(found))) == sorted(f"New {number}" for number in range(260))


def test_a_poll_makes_few_calls_and_is_soon_back_for_the_rest(asking: Asking) -> None:
    posts = [asking.graph.say(ACME, f"Post {number}", START - 9000 - number) for number in range(30)]
    asking.poll()
    for post in posts:
        for number in range(30):
            asking.graph.say(BEN, f"{post.id} {number}", START + number, under=post.id)
    asking.now += 600
    found = []
    for _ in range(60):
        before = len(asking.graph.requests)
        page = asking.poll()
        assert 1 <= len(asking.graph.requests) - before <= CALLS
        found += texts(page.events)
        if page.again == AGAIN:
            break
    assert len(set(found)) == 900


def test_windows_overlap_so_that_a_late_comment_is_not_lost(asking: Asking) -> None:
    post = asking.graph.say(ACME, "Sale!", START - 86_400)
    asking.poll()
    asking.now += 3600
    assert asking.sweep() == []
    asking.graph.say(BEN, "Held back by a filter", asking.now - OVERLAP + 60, under=post.id)
    asking.now += 300
    assert texts(asking.sweep()) == ["Held back by a filter"]


def test_what_is_said_while_a_long_sweep_rests_is_left_for_the_next(asking: Asking) -> None:
    post = asking.graph.say(ACME, "Sale!", START - 86_400)
    asking.poll()
    asking.now += 60
    asking.graph.headers = {"x-app-usage": '{"call_count": 95}'}
    asking.poll()  # the feed has been read, the rest of the sweep has not
    asking.graph.say(BEN, "How much?", asking.now + 5, under=post.id)
    asking.graph.headers = {}
    asking.now += OVERLAP * 3
    assert asking.sweep() == []
    asking.now += 60
    assert texts(asking.sweep()) == ["How much?"]


def test_the_same_cursor_brings_the_same_posts_again(asking: Asking) -> None:
    asking.poll()
    asking.graph.say(MIA, "It is cold.", START + 1)
    asking.now += 60
    first, second = (asking.account().poll(asking.cursor) for _ in range(2))
    assert first.events == second.events
    assert texts(first.events) == ["It is cold."]


@pytest.mark.parametrize(
    "cursor", ["", "x", "[]", "{}", '{"start": 1, "since": 1, "begun": 0, "rest": 0, "todo": [7]}', "7", "null"]
)
def test_a_cursor_that_nobody_wrote_starts_from_now(asking: Asking, cursor: str) -> None:
    asking.graph.say(MIA, "Long ago.", START - 5)
    assert asking.account().poll(cursor).events == []
    assert asking.graph.requests == []


def test_the_token_is_proven_never_kept_in_a_cursor_and_never_sent_elsewhere(asking: Asking) -> None:
    asking.poll()
    post = asking.graph.say(ACME, "Sale!", START - 10)
    for number in range(300):
        asking.graph.say(BEN, f"New {number}", START + number, under=post.id)
    asking.now += 600
    with running() as elsewhere:
        asking.graph.next_origin = elsewhere.base_url
        for _ in range(20):
            page = asking.poll()
            assert TOKEN not in page.cursor
            if page.again == AGAIN:
                break
        assert elsewhere.requests == []
    assert all(
        given["access_token"] == TOKEN and len(given["appsecret_proof"]) == 64 for _, _, given in asking.graph.requests
    )


BUSY = [
    {"x-app-usage": json.dumps({"call_count": 81, "total_time": 5, "total_cputime": 5})},
    {"x-page-usage": json.dumps({"call_count": 1, "total_time": 5, "total_cputime": 99})},
    {"x-business-use-case-usage": json.dumps({PAGE: [{"type": "pages", "call_count": 80, "total_time": 1}]})},
]


@pytest.mark.parametrize("headers", BUSY)
def test_near_a_limit_it_rests_and_then_goes_on_where_it_was(asking: Asking, headers: dict[str, str]) -> None:
    asking.poll()
    asking.graph.say(None, "Thank you, Acme!", START + 1, tagged=True)
    asking.now += 60
    asking.graph.headers = headers
    page = asking.poll()
    assert len(asking.graph.requests) == 1
    assert page.again == 600
    asking.now += 599
    assert asking.poll().events == []
    assert len(asking.graph.requests) == 1
    asking.graph.headers = {}
    asking.now += 2
    assert texts(asking.sweep()) == ["Thank you, Acme!"]


def test_below_that_it_does_not_rest(asking: Asking) -> None:
    asking.poll()
    asking.now += 60
    asking.graph.headers = {
        "x-app-usage": '{"call_count": 79}',
        "x-page-usage": "nonsense",
        "x-business-use-case-usage": "[]",
    }
    assert asking.poll().again == AGAIN


@pytest.mark.parametrize("code", ["4", "17", "32", "613", "80001"])
def test_too_many_calls_wait_as_long_as_facebook_says(asking: Asking, code: str) -> None:
    asking.poll()
    asking.now += 60
    asking.graph.fail(code, code)
    with pytest.raises(UnavailableError) as raised:
        asking.poll()
    assert raised.value.retry_after == 900  # it says nothing
    entry = {"type": "pages", "call_count": 100, "estimated_time_to_regain_access": 3}
    asking.graph.headers = {"x-business-use-case-usage": json.dumps({PAGE: [entry]})}
    with pytest.raises(UnavailableError) as raised:
        asking.poll()
    assert raised.value.retry_after == 180


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("190.463", TokenState.EXPIRED),
        ("190.460", TokenState.REVOKED),
        ("190.467", TokenState.REVOKED),
        ("190", TokenState.REVOKED),
        ("10", TokenState.SCOPE_MISSING),
        ("200", TokenState.SCOPE_MISSING),
        ("299", TokenState.SCOPE_MISSING),
        ("3", TokenState.SCOPE_MISSING),
        ("100.33", TokenState.SCOPE_MISSING),
        ("100", None),
        ("403", None),
    ],
)
def test_what_only_a_person_can_mend_is_said_by_its_kind(asking: Asking, fault: str, state: TokenState | None) -> None:
    asking.poll()
    asking.now += 60
    asking.graph.fail(fault)
    with pytest.raises(MisconfiguredError) as raised:
        asking.poll()
    assert raised.value.token == state
    assert "SECRET WORDS" not in str(raised.value)
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize("fault", ["500", "503", "2", "drop"])
def test_a_failing_api_is_asked_again_and_nothing_is_lost(asking: Asking, fault: str) -> None:
    asking.poll()
    asking.graph.say(MIA, "It is cold.", START + 1)
    asking.graph.say(None, "Thank you, Acme!", START + 2, tagged=True)
    asking.now += 60
    asking.graph.fail(fault)
    with pytest.raises(UnavailableError):
        asking.poll()
    asking.graph.requests.clear()
    asking.graph.faults = ["200.0"]  # then the first call is refused for good,
    with pytest.raises(MisconfiguredError):
        asking.poll()
    original = asking.graph.answer

    def second_fails(method: str, path: str, given: dict[str, str]) -> tuple[int, Any]:
        asking.graph.fail(*([fault] if path.endswith("/feed") else []))
        return original(method, path, given)

    asking.graph.answer = second_fails  # type: ignore[method-assign]
    page = asking.poll()  # and here the first is answered and the second fails
    assert texts(page.events) == ["It is cold."]
    asking.graph.answer = original  # type: ignore[method-assign]
    assert texts(asking.sweep()) == ["Thank you, Acme!"]


def test_without_the_right_to_see_tags_comments_are_still_found(asking: Asking) -> None:
    post = asking.graph.say(ACME, "Sale!", START - 10)
    asking.poll()
    asking.graph.say(BEN, "How much?", START + 1, under=post.id)
    asking.now += 60
    original = asking.graph.answer

    def refuse(method: str, path: str, given: dict[str, str]) -> tuple[int, Any]:
        if path.endswith("/tagged"):
            return 400, {"error": {"code": 10}}
        return original(method, path, given)

    asking.graph.answer = refuse  # type: ignore[method-assign]
    assert texts(asking.sweep()) == ["How much?"]


def test_a_post_that_vanishes_meanwhile_does_not_stop_the_sweep(asking: Asking) -> None:
    posts = [asking.graph.say(ACME, f"Sale {number}!", START - 10 - number) for number in range(2)]
    asking.poll()
    for post in posts:
        for number in range(30):
            asking.graph.say(BEN, f"{post.id} {number}", START + number, under=post.id)
    asking.now += 60
    original = asking.graph.answer

    def vanish(method: str, path: str, given: dict[str, str]) -> tuple[int, Any]:
        answer = original(method, path, given)
        asking.graph.said = [one for one in asking.graph.said if posts[0].id not in {one.id, one.under}]
        return answer

    asking.graph.answer = vanish  # type: ignore[method-assign]
    found = texts(asking.sweep())
    assert {f"{posts[1].id} {number}" for number in range(30)} <= set(found)


def test_a_text_changed_after_it_was_pushed_is_seen_as_the_newer_words(asking: Asking) -> None:
    asking.poll()
    post = asking.graph.say(MIA, "It is cold.", START + 1)
    pushed: Any = Facebook.for_parse([PAGE]).parse(Delivery({}, asking.graph.delivery(post)))[0]
    post.text = "It is cold in Harbour Street."
    asking.now += 60
    (seen,) = asking.sweep()
    assert (seen.id, seen.version) == (pushed.id, pushed.version)
    assert seen.order > pushed.order


SAYING = st.tuples(st.just("say"), st.integers(0, 5), st.integers(1, 400))
ASKING = st.tuples(st.just("ask"), st.integers(1, 3), st.integers(1, 4000))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SAYING | ASKING, max_size=40), st.integers(0, 40), st.booleans())
@example(steps=[("say", 5, 1), ("ask", 1, 901), ("say", 2, 1)], flood=24, newest_first=False)  # all said in one second
def test_whatever_the_schedule_everything_said_since_the_start_is_found(
    steps: list[tuple[str, int, int]], flood: int, newest_first: bool
) -> None:
    with running() as graph:
        graph.newest_first = newest_first
        asking, found = Asking(graph), set[str]()
        wall = [graph.say(ACME, "Before", START - 90_000 - number) for number in range(3)]
        asking.poll()
        said: set[str] = set()
        for what, number, seconds in steps:
            asking.now += seconds
            if what == "ask":
                for _ in range(number):
                    found |= {one.id for one in asking.poll().events if isinstance(one, Mention)}
                continue
            for _ in range(flood + 1 if number == 5 else 1):
                where: dict[str, Any] = (
                    {"under": wall[number % 3].id} if number < 4 or number == 5 else {"tagged": True}
                )
                said.add(f"facebook:{graph.say(BEN, 'x', asking.now, **where).id}")
        asking.now += 5
        for _ in range(2):  # the sweep that is under way, and one that began after the last was said
            found |= {one.id for one in asking.sweep()}
        assert found == said
