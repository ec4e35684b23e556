"""Answers in a forum, against the stand-in that keeps what is said and fails on demand."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from connectors.core.delivery import Delivery
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.models import Mention
from connectors.discourse.connector import Discourse
from connectors.discourse.replies import DiscourseCredentials, DiscourseReplier
from connectors.discourse.settings import DiscourseSource
from connectors.http import HttpClient
from connectors.tool import forum

KEY = "hailback-abcdefgh"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[forum.RunningForum]:
    started = forum.start(tmp_path / "forum")
    yield started
    started.stop()


def replier(running: forum.RunningForum, **credentials: str) -> DiscourseReplier:
    return DiscourseReplier(
        DiscourseSource(base_url=running.base_url),
        DiscourseCredentials.model_validate(running.credentials | credentials),
        HttpClient(allow_private=True, read=1.0, total=2.0),
    )


def asked(running: forum.RunningForum, text: str = "The heating is cold.") -> Mention:
    post = running.say("ada", text, title="Heating")
    return mention(running, post)


def mention(running: forum.RunningForum, post: dict[str, Any]) -> Mention:
    topic = str(post["topic_id"])
    return Mention(
        connector="discourse",
        authority=urlsplit(running.base_url).netloc,
        native_id=str(post["id"]),
        conversation_id=topic,
        url=f"{running.base_url}/t/heating/{topic}/{post['post_number']}",
        reply_capability="allowed",
    )


def ours(running: forum.RunningForum) -> list[dict[str, Any]]:
    return [post for post in running.posts() if post["username"] == "hailback"]


def test_an_answer_stands_under_the_post_and_its_key_is_seen_by_nobody(running: forum.RunningForum) -> None:
    question = asked(running)
    receipt = replier(running).reply(question, "Turn the valve.", KEY)
    (post,) = ours(running)
    assert (str(post["id"]), post["reply_to_post_number"]) == (receipt.id, 1)
    assert replier(running).find_reply(question, KEY) == receipt
    with urllib.request.urlopen(receipt.url) as page:
        shown = page.read().decode()
    assert "Turn the valve." in shown
    assert "hailback-" not in shown


def test_an_answer_that_was_kept_but_not_acknowledged_is_found(running: forum.RunningForum) -> None:
    question = asked(running)
    running.fail(["drop"])
    with pytest.raises(UnknownOutcomeError):
        replier(running).reply(question, "Turn the valve.", KEY)
    found = replier(running).find_reply(question, KEY)
    assert found is not None
    assert found.id == str(ours(running)[0]["id"])
    assert replier(running).find_reply(question, KEY + "x") is None


def test_an_answer_far_down_a_long_thread_is_found(running: forum.RunningForum) -> None:
    question = asked(running)
    topic = int(question.conversation_id)
    for number in range(45):
        running.say("hailback" if number % 2 else "ben", f"Post {number}.", topic_id=topic)
    receipt = replier(running).reply(question, "At last.", KEY)
    for number in range(45):
        running.say("hailback", f"Later {number}.", topic_id=topic)
    assert replier(running).find_reply(question, KEY) == receipt


def test_too_many_answers_wait_as_long_as_the_forum_says(running: forum.RunningForum) -> None:
    question = asked(running)
    running.fail(["429:7"])
    with pytest.raises(UnavailableError) as raised:
        replier(running).reply(question, "Turn the valve.", KEY)
    assert raised.value.retry_after == 7
    assert ours(running) == []


def test_a_wrong_key_is_for_an_administrator(running: forum.RunningForum) -> None:
    question = asked(running)
    for call in ("reply", "find"):
        wrong = replier(running, api_key="wrong")
        with pytest.raises(MisconfiguredError) as raised:
            wrong.reply(question, "Hello.", KEY) if call == "reply" else wrong.find_reply(question, KEY)
        assert "wrong" not in str(raised.value)


def test_what_the_forum_does_not_take_is_refused_with_its_reason(running: forum.RunningForum) -> None:
    question = asked(running)
    running.fail(["422"])
    with pytest.raises(RejectedError, match="Body is too short"):
        replier(running).reply(question, "Hi", KEY)
    gone = question.model_copy(update={"conversation_id": "4711"})
    assert replier(running).find_reply(gone, KEY) is None
    with pytest.raises(RejectedError, match="could not be found"):
        replier(running).reply(gone, "Hello there.", KEY)


def test_a_refusal_of_words_that_stand_there_already_is_no_refusal(running: forum.RunningForum) -> None:
    """Discourse refuses the same words twice within minutes."""
    question = asked(running)
    receipt = replier(running).reply(question, "Turn the valve.", KEY)
    running.fail(["422"])
    assert replier(running).reply(question, "Turn the valve.", KEY) == receipt
    assert len(ours(running)) == 1


@pytest.mark.parametrize("status", ["503", "500"])
def test_a_server_error_leaves_it_open(running: forum.RunningForum, status: str) -> None:
    question = asked(running)
    running.fail([status])
    with pytest.raises(UnknownOutcomeError):
        replier(running).reply(question, "Turn the valve.", KEY)
    assert (replier(running).find_reply(question, KEY) is not None) == (status == "500")


def test_a_key_in_the_words_of_an_answer_is_taken_out(running: forum.RunningForum) -> None:
    replier(running).reply(asked(running), "Look: <!-- hailback:hailback-other -->", KEY)
    (post,) = ours(running)
    assert post["raw"].count("<!-- hailback:") == 1


def test_the_echo_of_an_answer_says_which_it_is_and_a_strangers_does_not(running: forum.RunningForum) -> None:
    question = asked(running)
    replier(running).reply(question, "Turn the valve.", KEY)
    (post,) = ours(running)
    connector = Discourse(DiscourseSource(base_url=running.base_url, account=("hailback",)))
    forged = {**post, "username": "mallory", "user_id": 99}
    for body, own in ((post, True), (forged, False)):
        (event,) = connector.parse(Delivery(headers={}, body=json.dumps({"post": body}).encode()))
        assert isinstance(event, Mention)
        assert event.own is own
        assert event.answer_key == (KEY if own else None)
        assert (event.text == "Turn the valve.") is own


def test_a_forum_keeps_what_was_said_when_it_is_stopped(tmp_path: Path) -> None:
    first = forum.start(tmp_path / "kept")
    first.say("ada", "Still here?")
    first.stop()
    second = forum.start(tmp_path / "kept")
    try:
        assert [post["raw"] for post in second.posts()] == ["Still here?"]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(second.page(4711))
    finally:
        second.stop()
