"""Our profile at a Threads that keeps state: what a poll brings, what two lost steps become, what is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.models import Mention
from connectors.graph import Token
from connectors.http import HttpClient
from connectors.threads.account import ThreadsAccount
from connectors.threads.connector import ThreadsSource
from tests.standin import serving
from tests.threads.profile import ME, NAME, TOKEN, Profile, refusal

HTTP = HttpClient(allow_private=True)


@pytest.fixture
def profile(monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return Profile()


@pytest.fixture
def address(profile: Profile) -> Iterator[str]:
    with serving(profile.answer) as found:
        yield found


def account(address: str, **more: Any) -> ThreadsAccount:
    settings = ThreadsSource.model_validate({"Account": ME, "ApiUrl": f"{address}/v1.0", **more})
    return ThreadsAccount(settings, Token.model_validate({"access_token": TOKEN}), HTTP)


def polled(place: ThreadsAccount, cursor: str | None) -> tuple[list[Mention], str]:
    """All that one walk brings."""
    found: list[Mention] = []
    for _ in range(20):
        page = place.poll(cursor)
        cursor = page.cursor
        found += [event for event in page.events if isinstance(event, Mention)]
        assert page.fault is None
        if page.again > 1:
            return found, cursor
    raise AssertionError("the walk does not end")


def looked(place: ThreadsAccount, name: str) -> Mention:
    return place.recheck([name]).edited[0]


def answers(profile: Profile, text: str) -> list[str]:
    return [one["id"] for one in profile.posts.values() if one["text"] == text]


def test_what_is_said_below_and_about_us_comes(profile: Profile, address: str) -> None:
    place = account(address, Search="boiler", Tags="#winter")
    old = profile.say(NAME, "Autumn", ago=90_000)
    profile.say("ines", "long ago", old, ago=80_000)
    _, cursor = polled(place, None)
    top = profile.say("ines", "cold", old, ago=50)
    nested = profile.say("tom", "here too", top, ago=40)
    ours = profile.say(NAME, "We come.", top, ago=30)
    named = profile.say("mia", f"@{NAME} ?", ago=25)
    there = profile.say(NAME, "Yes?", named, ago=20)
    below_ours = profile.say("mia", "It is cold", there, ago=10)
    found_by_words, found_by_tag = profile.say("ben", "my boiler", ago=9), profile.say("ben", "winter", ago=8)
    profile.say("spam.er", "…", old, ago=7, hide_status="HIDDEN")
    profile.say(NAME, "", ago=6, media_type="REPOST_FACADE", reposted_post={"id": named})
    found, cursor = polled(place, cursor)
    assert {(one.native_id, one.conversation_id, one.parent_id, one.own) for one in found} == {
        (top, old, old, False),
        (nested, old, top, False),
        (ours, old, top, True),
        (named, named, None, False),
        (there, named, named, True),
        (below_ours, named, there, False),
        (found_by_words, found_by_words, None, False),
        (found_by_tag, found_by_tag, None, False),
    }
    assert polled(place, cursor)[0] == []


def test_an_answer_is_published_below_the_post(profile: Profile, address: str) -> None:
    place, profile.late = account(address), 2
    mention = looked(place, profile.say("ines", "cold", profile.say(NAME, "Winter")))
    assert place.find_reply(mention, "key") is None
    receipt = place.reply(mention, "We come.", "key")
    posted = profile.posts[receipt.id]
    assert (posted["text"], posted["replied_to"], receipt.url) == (
        "We come.",
        {"id": mention.native_id},
        posted["permalink"],
    )
    with pytest.raises(UnknownOutcomeError, match="look"):
        place.find_reply(mention, "key")


@pytest.mark.parametrize("lost", [["before"], ["after"], ["before", "after"]])
def test_a_lost_publication_becomes_one_post_all_the_same(profile: Profile, address: str, lost: list[str]) -> None:
    place = account(address)
    mention = looked(place, profile.say("ines", "cold"))
    profile.lose = lost
    receipt = place.reply(mention, "We come.", "key")
    assert answers(profile, "We come.") == [receipt.id]


def test_two_lost_publications_are_looked_for(profile: Profile, address: str) -> None:
    place = account(address)
    mention = looked(place, profile.say("ines", "cold"))
    profile.lose = ["before", "before"]
    with pytest.raises(UnknownOutcomeError):
        place.reply(mention, "We come.", "key")
    assert place.find_reply(mention, "key") is None, "nothing of ours stands there, so that it can be sent again"
    profile.say(NAME, "We come.", mention.native_id, ago=0)
    with pytest.raises(UnknownOutcomeError):
        place.find_reply(mention, "key")


def test_what_threads_does_not_take_is_said(profile: Profile, address: str) -> None:
    place = account(address)
    mention = looked(place, profile.say("ines", "cold"))
    for text in ("x" * 501, "😤" * 126):
        with pytest.raises(RejectedError, match="500"):
            place.reply(mention, text, "key")
    profile.fate = "ERROR"
    with pytest.raises(RejectedError):
        place.reply(mention, "We come.", "key")
    profile.fate = "IN_PROGRESS"
    with pytest.raises(UnavailableError, match="nothing was published"):
        place.reply(mention, "We come.", "key")
    del profile.posts[mention.native_id]
    with pytest.raises(RejectedError):
        place.reply(mention, "We come.", "key")
    assert answers(profile, "We come.") == []


def test_what_is_gone_is_known_only_by_who_may_see_others(profile: Profile, address: str) -> None:
    place, kept, ours = account(address), profile.say("ines", "cold"), profile.say(NAME, "Winter")
    found = place.recheck([kept, "18000000000009999"])
    assert [one.native_id for one in found.gone] == ["18000000000009999"]
    assert [(one.native_id, one.text) for one in found.edited] == [(kept, "cold")]
    assert place.recheck([ours, "18000000000009999"]).gone == [], "nobody else's post is to be seen"
    profile.closed = True
    assert place.recheck([kept, ours]).gone == []


def test_the_token_is_for_our_profile_and_renewed(profile: Profile, address: str) -> None:
    now, place = int(time.time() * 1000), account(address)
    assert place.check().state is TokenState.OK
    assert account(address, Account=f"@{NAME}").check().state is TokenState.OK
    assert account(address, Account="1").check().state is TokenState.SCOPE_MISSING
    assert place.refresh_due(now)
    assert place.refresh(now) == {"access_token": "fresh", "expires_at": now + 5_183_944_000}
    profile.refuse = refusal(190, 463)
    assert place.check().state is TokenState.EXPIRED
    with pytest.raises(MisconfiguredError):
        place.poll("{}")


def test_a_passing_error_may_have_posted(profile: Profile, address: str) -> None:
    place = account(address)
    mention = looked(place, profile.say("ines", "cold"))
    profile.refuse = refusal(2)
    with pytest.raises(UnknownOutcomeError):
        place.reply(mention, "We come.", "key")
    with pytest.raises(UnavailableError):
        place.poll("{}")
