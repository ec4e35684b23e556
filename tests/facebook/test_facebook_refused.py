"""A sweep goes on though Facebook refuses a part of it, and an outage is not taken for such a refusal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from connectors.core.errors import UnavailableError
from connectors.core.health import TokenHealth, TokenState
from connectors.facebook.account import AGAIN, OVERLAP
from tests.facebook.graph_standin import ACME, BEN, MIA, Said, error
from tests.facebook.test_facebook_poll import START, Asking, asking, texts

__all__ = ["asking"]


def storm(asking: Asking, count: int = 260) -> tuple[Said, Said]:
    """Two posts with more comments than come along with the feed; the sweep is not begun yet."""
    posts = [asking.graph.say(ACME, f"Sale {number}!", START - 86_400 - number) for number in range(2)]
    asking.poll()
    for post in posts:
        for number in range(count):
            asking.graph.say(BEN, f"{post.id} {number}", START + number, under=post.id)
    asking.now += 600
    return posts[0], posts[1]


def refusing(asking: Asking, fits: Callable[[str, dict[str, str]], bool], code: int) -> list[str]:
    """From now on these requests are refused; their paths."""
    original, refused = asking.graph.answer, list[str]()

    def answer(method: str, path: str, given: dict[str, str]) -> tuple[int, Any]:
        if fits(path, given):
            refused.append(path)
            return error(code)
        return original(method, path, given)

    asking.graph.answer = answer  # type: ignore[method-assign]
    return refused


def polls(asking: Asking, count: int = 60) -> list[str]:
    """What so many polls bring; none of them raises."""
    found: list[str] = []
    for _ in range(count):
        found += texts(asking.poll().events)
        asking.now += 5
    return found


@pytest.mark.parametrize(("code", "state"), [(10, TokenState.SCOPE_MISSING), (100, TokenState.OK), (2, TokenState.OK)])
def test_one_post_that_cannot_be_read_does_not_stop_the_others_nor_what_comes_after(
    asking: Asking, code: int, state: TokenState
) -> None:
    shut, other = storm(asking)
    refused = refusing(asking, lambda path, given: path == f"/{shut.id}/comments", code)
    found: list[str] = []
    page = asking.poll()
    while page.fault is None:
        found += texts(page.events)
        page = asking.poll()
    found += texts(page.events)
    assert {f"{other.id} {number}" for number in range(260)} <= set(found)
    assert len(refused) == 3, "three tries, and it is left out"
    assert f"the comments under {shut.id} cannot be read" in page.fault
    assert "SECRET WORDS" not in page.fault
    assert page.health is not None
    assert page.health.state is state
    asking.now += 3 * OVERLAP
    asking.graph.say(MIA, "And now?", asking.now)
    later: list[str] = []
    for _ in range(20):
        page = asking.poll()
        later += texts(page.events)
        asking.now += OVERLAP
    assert "And now?" in later, "the next sweep"
    assert page.fault is None, "the last ones left nothing out"
    assert page.health == TokenHealth(TokenState.OK)


def test_what_was_left_out_is_said_until_a_sweep_leaves_nothing_out(asking: Asking) -> None:
    shut, _ = storm(asking)
    refusing(asking, lambda path, given: path == f"/{shut.id}/comments", 10)
    polls(asking, 8)
    asking.graph.headers = {"x-app-usage": '{"call_count": 95}'}
    told = [asking.poll() for _ in range(2)]  # the second asks nobody
    assert all(shut.id in (page.fault or "") for page in told)
    assert [page.health and page.health.state for page in told] == [TokenState.SCOPE_MISSING, None]


def test_an_outage_leaves_no_comments_out(asking: Asking) -> None:
    both = storm(asking)
    asking.graph.headers = {"x-app-usage": '{"call_count": 95}'}
    found = texts(asking.poll().events)  # the feed; then it rests
    asking.graph.headers = {}
    for number in range(8):
        asking.now += 900
        asking.graph.faults = ["500", "drop" if number % 2 else "503"]
        before = asking.cursor
        with pytest.raises(UnavailableError):
            asking.poll()
        assert asking.cursor == before
        assert asking.graph.faults == [], "one more request tells an outage from a list that fails"
    found += polls(asking, 10)
    assert set(found) >= {f"{post.id} {number}" for post in both for number in range(260)}


def test_a_list_whose_cursor_went_bad_is_read_from_its_beginning(asking: Asking) -> None:
    both = storm(asking)
    begun: Counter[str] = Counter()

    def until_begun_anew(path: str, given: dict[str, str]) -> bool:
        begun[path] += "after" not in given
        return "after" in given and begun[path] < 2

    refused = refusing(asking, until_begun_anew, 100)
    found = polls(asking, 8)
    assert sorted(refused) == sorted(f"/{post.id}/comments" for post in both)
    assert set(found) >= {f"{post.id} {number}" for post in both for number in range(260)}


def test_a_list_whose_cursors_are_never_good_is_left_out_in_the_end(asking: Asking) -> None:
    storm(asking)
    refused = refusing(asking, lambda path, given: "after" in given, 100)
    found: list[str] = []
    for _ in range(20):
        page = asking.poll()
        found += texts(page.events)
        if page.again == AGAIN:
            break
    assert len(set(found)) == 200, "the first page of each"
    assert len(refused) == 2 * 4


@pytest.mark.parametrize("most", [30, 4, 1])
def test_where_facebook_gathers_less_at_once_less_is_asked_for(asking: Asking, most: int) -> None:
    posts = [asking.graph.say(ACME, f"Sale {number}!", START - 86_400 - number) for number in range(40)]
    asking.poll()
    for post in posts:
        asking.graph.say(BEN, post.id, START + 1, under=post.id)
    for number in range(40):
        asking.graph.say(BEN, f"many {number}", START + 2 + number, under=posts[0].id)
    asking.now += 600
    refusing(asking, lambda path, given: int(given.get("limit", "0")) > most, 1)
    found = set(texts(asking.sweep()))
    assert {one.id for one in posts} <= found
    assert {f"many {number}" for number in range(40)} <= found


def test_a_feed_that_is_never_answered_is_an_outage(asking: Asking) -> None:
    asking.poll()
    asking.now += 60
    refusing(asking, lambda path, given: path.endswith("/feed"), 1)
    with pytest.raises(UnavailableError):
        polls(asking, 3)
