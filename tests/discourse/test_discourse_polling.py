"""A forum that is asked: nothing from before, everything after, once more what may have changed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.core.delivery import Delivery
from connectors.core.errors import MisconfiguredError, UnavailableError
from connectors.core.models import AnyEvent, Mention, Unsupported
from connectors.core.ports import Page
from connectors.discourse.connector import Discourse
from connectors.discourse.polling import DiscourseAccess, DiscoursePoller
from connectors.discourse.settings import DiscourseSource
from connectors.http import HttpClient, Response
from connectors.tool import forum

NOW = 1_795_000_000.0
OLD, NEW = "2026-01-01T00:00:00.000Z", "2026-11-18T10:50:00.000Z"
CHECKOUT = Path(__file__).resolve().parents[2]


def post(number: int, **more: Any) -> dict[str, Any]:
    given = {"id": number, "topic_id": 7, "post_number": number, "username": "ada", "user_id": 9, "post_type": 1}
    return {**given, "raw": f"Post {number}.", "cooked": "", "version": 1, "created_at": OLD, **more}


class Listing(HttpClient):
    """A forum with posts, fifty a page; counts what it is asked. `below`: before= leaves its own id out."""

    def __init__(self, posts: list[dict[str, Any]], below: bool = False) -> None:
        self.__dict__.update(posts=posts, asked=[], below=below)

    def request(self, method: str, url: str, **more: Any) -> Response:
        self.__dict__["asked"].append(url)
        before = int(url.partition("before=")[2] or 10**9) - (1 if self.__dict__["below"] else 0)
        listed = [one for one in reversed(self.__dict__["posts"]) if one["id"] <= before][:50]
        return Response(200, {}, json.dumps({"latest_posts": listed}).encode(), "forum")

    @property
    def calls(self) -> int:
        return len(self.__dict__["asked"])


def poller(http: HttpClient, access: DiscourseAccess | None = None, base: str = "https://forum.acme.com") -> Any:
    settings = DiscourseSource.model_validate({"BaseUrl": base, "Account": ["hailback"]})
    return DiscoursePoller(settings, access or DiscourseAccess(), http, clock=lambda: NOW)


def ids(events: Page | list[AnyEvent]) -> list[str]:
    found = events.events if isinstance(events, Page) else events
    return [event.native_id if isinstance(event, Mention) else "-" for event in found]


def test_the_first_poll_brings_nothing_and_the_next_only_what_is_new() -> None:
    posts = [post(1), post(2, updated_at=NEW)]
    asked = poller(Listing(posts))
    begun = asked.poll(None)
    assert list(begun.events) == []
    posts += [post(3), post(4)]
    page = asked.poll(begun.cursor)
    assert ids(page) == ["3", "4"], "oldest first, and not what was there before"
    assert page.again > 60
    assert ids(asked.poll(page.cursor)) == []


def test_what_may_have_changed_is_read_again() -> None:
    posts: list[dict[str, Any]] = []
    asked = poller(Listing(posts))
    cursor = asked.poll(None).cursor
    posts += [post(1), post(2, updated_at=NEW, version=2)]
    cursor = asked.poll(cursor).cursor
    (again,) = asked.poll(cursor).events
    assert (again.native_id, again.version) == ("2", 2)


def test_a_post_whose_request_ended_after_a_later_one_is_found() -> None:
    posts: list[dict[str, Any]] = []
    asked = poller(Listing(posts))
    cursor = asked.poll(None).cursor
    posts += [post(1, created_at=NEW), post(3, created_at=NEW)]
    cursor = asked.poll(cursor).cursor
    posts.insert(1, post(2, created_at=NEW))
    assert "2" in ids(asked.poll(cursor))


@pytest.mark.parametrize("below", [False, True])
def test_a_long_absence_is_made_up_for_in_several_polls_and_nothing_is_left_out(below: bool) -> None:
    posts = [post(number) for number in range(1, 11)]
    http = Listing(posts, below)
    asked = poller(http)
    cursor = asked.poll(None).cursor
    posts += [post(number) for number in range(11, 611)]
    found: list[str] = []
    for poll in range(5):
        before = http.calls
        page = asked.poll(cursor)
        assert http.calls - before <= 4
        cursor, found = page.cursor, found + ids(page)
        if poll == 0:
            assert page.again < 10, "there is more"
            posts += [post(611)]  # somebody writes meanwhile
    assert sorted(set(found), key=int) == [str(number) for number in range(11, 612)]
    assert len(found) == len(set(found))


def test_the_marked_post_may_be_gone() -> None:
    posts = [post(number) for number in range(1, 4)]
    asked = poller(Listing(posts))
    cursor = asked.poll(None).cursor
    del posts[1:]
    posts += [post(4)]
    assert ids(asked.poll(cursor)) == ["4"]


def test_what_is_none_of_ours_is_told_once_and_a_broken_post_spoils_nothing() -> None:
    posts: list[dict[str, Any]] = []
    asked = poller(Listing(posts))
    cursor = asked.poll(None).cursor
    closed, broken = post(1, post_type=3, updated_at=NEW), post(2, topic_id=None, updated_at=NEW)
    posts += [closed, broken, post(3, updated_at=NEW)]
    page = asked.poll(cursor)
    assert [type(event) for event in page.events] == [Unsupported, Unsupported, Mention]
    assert ids(asked.poll(page.cursor)) == ["3"]


def test_a_polled_post_says_what_a_pushed_one_says_but_stays_below_its_order() -> None:
    body = post(5, reply_to_post_number=2, topic_title="Broken", topic_slug="broken", created_at=NEW)
    settings = DiscourseSource.model_validate({"BaseUrl": "https://forum.acme.com"})
    headers = {"x-discourse-event": "post_created", "x-discourse-event-id": "900"}
    (pushed,) = Discourse(settings).parse(Delivery(headers, json.dumps({"post": body}).encode(), 1))
    asked = poller(Listing([body]))
    (polled,) = asked.poll('{"start": 0, "seen": 0}').events
    assert polled == pushed.model_copy(update={"order": 0})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"latest_posts": [post(5), post(4)]}, ["5", "4"]),
        ({"post_stream": {"posts": [post(5)]}, "id": 7}, ["5"]),
        (post(6), ["6"]),
        ([post(5), post(6)], ["5", "6"]),
        ({"latest_posts": []}, []),
        ([], []),
        ([{"notification_type": 9, "topic_id": 7}], ["-"]),
        ({"post_stream": {"posts": [post(5)]}, "id": 7, "archetype": "private_message"}, ["-"]),
    ],
)
def test_answers_of_the_api_are_parsed(body: object, expected: list[str]) -> None:
    connector = Discourse.for_parse(authority="forum.acme.com")
    assert ids(list(connector.parse(Delivery({}, json.dumps(body).encode(), 1)))) == expected


def test_what_is_answered_is_known_by_its_id_where_it_stands_beside() -> None:
    body = [post(5, post_number=1), post(6, post_number=2, reply_to_post_number="1"), post(7, reply_to_post_number=4)]
    found = Discourse.for_parse(authority="forum.acme.com").parse(Delivery({}, json.dumps(body).encode(), 1))
    assert [one.parent_id for one in found if isinstance(one, Mention)] == [None, "5", "7#4"]


def test_a_private_conversation_that_was_asked_for_is_not_kept() -> None:
    body = {"post_stream": {"posts": [post(5)]}, "id": 7, "archetype": "private_message"}
    (found,) = Discourse.for_parse().parse(Delivery({}, json.dumps(body).encode(), 1))
    assert isinstance(found, Unsupported)
    assert (found.reason, found.keep_raw) == ("a private message is not ours to read", False)


def test_a_key_comes_with_its_user_or_not_at_all() -> None:
    assert DiscourseAccess.model_validate({"api_key": "k", "api_username": "u"}).api_key is not None
    with pytest.raises(ValidationError, match="belong together"):
        DiscourseAccess.model_validate({"api_key": "k"})


@pytest.fixture
def square(tmp_path: Path) -> Iterator[forum.RunningForum]:
    running = forum.start(tmp_path / "forum")
    yield running
    running.stop()


def test_a_real_forum_is_asked_with_a_key_without_one_and_with_a_wrong_one(square: forum.RunningForum) -> None:
    http = HttpClient(allow_private=True)
    right = DiscourseAccess.model_validate(square.credentials)
    wrong = DiscourseAccess.model_validate({**square.credentials, "api_key": "wrong"})
    for access in (None, right):
        asked = poller(http, access, square.base_url)
        cursor = asked.poll(None).cursor
        said = square.say("ada", "It drips.")
        (event,) = asked.poll(cursor).events
        assert event.native_id == str(said["id"])
        assert event.text == "It drips."
    with pytest.raises(MisconfiguredError):
        poller(http, wrong, square.base_url).poll(None)


def test_a_forum_that_says_when_is_believed(square: forum.RunningForum) -> None:
    square.fail_reads(["429:77"])
    with pytest.raises(UnavailableError) as refused:
        poller(HttpClient(allow_private=True), None, square.base_url).poll(None)
    assert refused.value.retry_after == 77


def test_what_is_no_forum_is_named(square: forum.RunningForum) -> None:
    with pytest.raises(MisconfiguredError):
        poller(HttpClient(allow_private=True), None, f"{square.base_url}/elsewhere").poll(None)


def test_what_is_asked_and_read_is_what_discourse_describes(square: forum.RunningForum) -> None:
    """Against Discourse's own API description, where it is at hand."""
    path = Path(os.environ.get("HAILBACK_SHARED") or CHECKOUT.parent / "shared") / "specs" / "discourse.json"
    if not path.is_file():
        pytest.skip("Discourse's API description: set HAILBACK_SHARED to the folder that holds specs/")
    described = json.loads(path.read_text(encoding="utf-8"))["paths"]["/posts.json"]["get"]
    answer = described["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    fields = answer["latest_posts"]["items"]["properties"]
    assert [one["name"] for one in described["parameters"] if one["in"] == "query"] == ["before"]
    read = {"id", "topic_id", "raw", "cooked", "version", "username", "user_id", "created_at", "updated_at", "post_url"}
    read |= {"post_number", "reply_to_post_number", "post_type", "topic_slug", "topic_title", "deleted_at"}
    read |= {"category_id"}
    assert read <= fields.keys()
    (served,) = [square.say("ada", "It drips.")]
    unknown = served.keys() - fields.keys()
    assert unknown == {"topic_archetype"}, "which the webhook has"
