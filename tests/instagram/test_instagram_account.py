"""Our account at an Instagram that keeps state: what polls and hints bring, where answers stand, what is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.models import AnyEvent, Hint, Mention
from connectors.graph import Token
from connectors.http import HttpClient
from connectors.instagram.account import InstagramAccount
from connectors.instagram.connector import InstagramSource
from tests.instagram.photos import GONE, ME, NAME, SECRET, TOKEN, Photos, refusal
from tests.standin import serving

HTTP = HttpClient(allow_private=True)


@pytest.fixture
def photos() -> Photos:
    return Photos()


@pytest.fixture
def address(photos: Photos) -> Iterator[str]:
    with serving(photos.answer) as found:
        yield found


def account(address: str, login: str = "facebook", **more: Any) -> InstagramAccount:
    settings = InstagramSource.model_validate({"Account": [ME], "Login": login, "ApiUrl": f"{address}/v25.0"})
    return InstagramAccount(settings, Token.model_validate({"access_token": TOKEN, **more}), HTTP)


def polled(place: InstagramAccount, cursor: str | None) -> tuple[list[Mention], str]:
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


def hint(name: str, about: str, kind: str = "comment") -> Hint:
    return Hint(connector="instagram", event=f"mentions.{kind}", native_id=name, about=about)


def resolved(place: InstagramAccount, asked: Hint) -> Mention:
    (found,) = place.resolve(asked)
    assert isinstance(found, Mention)
    return found


def looked(place: InstagramAccount, name: str) -> Mention:
    return place.recheck([name]).edited[0]


def test_what_is_said_below_our_posts_comes_once_and_what_was_before_does_not(photos: Photos, address: str) -> None:
    old = photos.post(ago=90_000)
    photos.say("ines", "long ago", old, ago=80_000)
    _, cursor = polled(account(address), None)
    post = photos.post(ago=60)
    top = photos.say("ines", "cold", post, ago=50)
    below = photos.say("tom", "here too", post, top, ago=40)
    ours = photos.say(NAME, "We come.", post, top, ago=30)
    late = photos.say("mia", "and now?", old, ago=20)
    photos.tagged.add(tag := photos.post("ben", "with @acme", ago=10))
    found, cursor = polled(account(address), cursor)
    assert {(one.native_id, one.conversation_id, one.parent_id, one.own) for one in found} == {
        (post, post, None, True),
        (top, post, None, False),
        (below, post, top, False),
        (ours, post, top, True),
        (late, old, None, False),
        (tag, tag, None, False),
    }
    assert {one.native_id for one in found if one.reply_capability == "none"} == {post, tag}
    assert polled(account(address), cursor)[0] == []


def test_a_mention_elsewhere_is_fetched_and_answered_by_way_of_the_mention(photos: Photos, address: str) -> None:
    place, theirs = account(address), photos.post("mia", "Thanks @acme.heating")
    comment = photos.say("ben", "@acme.heating look", theirs)
    photos.others |= {theirs, comment}
    for asked, parent in ((hint(comment, theirs), comment), (hint(theirs, theirs, "media"), None)):
        mention = resolved(place, asked)
        assert (mention.native_id, mention.conversation_id) == (asked.native_id, theirs)
        receipt = place.reply(mention, "We come.", "key")
        assert (photos.things[receipt.id]["parent_id"], photos.things[receipt.id]["media"]) == (parent, {"id": theirs})
        with pytest.raises(UnknownOutcomeError, match="look"):
            place.find_reply(mention, "key")


def test_a_hint_at_what_is_gone_ends_and_at_a_strangers_account_waits(photos: Photos, address: str) -> None:
    with pytest.raises(RejectedError):
        account(address).resolve(hint("17870000000009999", "1"))
    photos.unseen = True
    for call in (lambda: account(address).resolve(hint("1", "1")), lambda: account(address).poll('{"media": 1}')):
        with pytest.raises(MisconfiguredError, match="Account"):
            call()


def test_an_answer_stands_below_the_comment_and_a_lost_one_is_not_sent_twice(photos: Photos, address: str) -> None:
    place, post = account(address), photos.post()
    top = photos.say("ines", "cold", post)
    below = photos.say("tom", "here too", post, top, ago=20)
    for name in (top, below):
        mention = looked(place, name)
        assert place.find_reply(mention, "key") is None
        photos.lose = True
        with pytest.raises(UnknownOutcomeError):
            place.reply(mention, "We come.", "key")
        with pytest.raises(UnknownOutcomeError, match="look"):
            place.find_reply(mention, "key")
        ours = [one for one in photos.things.values() if one.get("text") == "We come."]
        assert [one["parent_id"] for one in ours] == [top]
        del photos.things[ours[0]["id"]]
    with pytest.raises(RejectedError, match="2,200"):
        place.reply(mention, "x" * 2201, "key")
    del photos.things[below]
    with pytest.raises(RejectedError):
        place.reply(mention, "We come.", "key")


def test_what_is_gone_is_told_from_what_is_seen_another_way(photos: Photos, address: str) -> None:
    place, post = account(address), photos.post()
    kept, theirs = photos.say("ines", "cold", post), photos.post("mia", "Thanks @acme.heating")
    elsewhere, tag = photos.say("ben", "@acme.heating look", theirs), photos.post("tom")
    photos.others |= {theirs, elsewhere}
    photos.tagged.add(tag)
    found = place.recheck([kept, elsewhere, theirs, tag, post, "17870000000009999"])
    assert [one.native_id for one in found.gone] == ["17870000000009999"]
    assert {one.native_id: one.text for one in found.edited} == {
        kept: "cold",
        elsewhere: "@acme.heating look",
        theirs: "Thanks @acme.heating",
    }
    photos.asked.clear()
    photos.things[kept]["text"] = "very cold"
    again = place.recheck([kept, kept])
    assert [one.text for one in again.edited] == ["very cold"]
    assert again.edited[0].order > place.recheck([kept]).edited[0].order - 60_000
    assert len(photos.asked) == 4, "one call for all that are there, one for who we are"
    photos.unseen = True
    with pytest.raises(MisconfiguredError):
        place.recheck(["17870000000009999"])


def test_an_app_that_lost_its_access_takes_nothing_for_gone(photos: Photos, address: str) -> None:
    place, post = account(address), photos.post()
    names = [photos.say(who, "cold", post) for who in ("ines", "tom")]
    photos.closed = True
    assert place.recheck(names).gone == []
    assert place.recheck([*names, post]).gone == [], "our own post says nothing of what others said"
    photos.closed = False
    del photos.things[names[0]]
    assert [one.native_id for one in place.recheck(names[:1]).gone] == names[:1], "another below our post is seen"
    del photos.things[names[1]]
    assert place.recheck(names).gone == [], "nothing of anybody else is to be seen"


def test_more_tags_than_can_be_read_judge_nothing(photos: Photos, address: str) -> None:
    photos.tagged |= {photos.post("tom") for _ in range(40)}
    assert account(address).recheck(["17870000000009999"]).gone == []


def test_a_nearly_used_up_limit_rests_and_goes_on(photos: Photos, address: str) -> None:
    place = account(address)
    cursor = polled(place, None)[1]
    photos.headers = {"X-App-Usage": '{"call_count": 81, "total_time": 1, "total_cputime": 1}'}
    assert place.poll(cursor).again == 600
    photos.refuse = refusal(4)
    with pytest.raises(UnavailableError) as caught:
        place.poll(cursor)
    assert caught.value.retry_after == 900
    assert "SECRET" not in f"{caught.value}"
    assert place.check().state is TokenState.LIMITED


def test_a_token_of_sixty_days_is_renewed_and_a_pages_is_not(photos: Photos, address: str) -> None:
    now = int(time.time() * 1000)
    place = account(address, "instagram")
    assert place.refresh_due(now)
    document = place.refresh(now)
    assert document["access_token"] == "fresh"
    assert Token.model_validate(document).expires_at == now + 5_183_944_000
    kept = account(address, "instagram", **{**document, "access_token": TOKEN})
    assert (kept.refresh_due(now), kept.refresh_due(now + 31 * 86_400_000)) == (False, True)
    assert not account(address).refresh_due(now)
    photos.refuse = refusal(190, 463)
    with pytest.raises(MisconfiguredError) as ended:
        place.refresh(now)
    assert ended.value.token is TokenState.EXPIRED
    photos.refuse = refusal(10)
    with pytest.raises(UnavailableError) as young:
        place.refresh(now)
    assert young.value.retry_after == 86_400


def test_each_call_proves_that_it_comes_from_the_app(photos: Photos, address: str) -> None:
    photos.proof = True
    comment = photos.say("ines", "cold", photos.post())
    place = account(address, app_secret=SECRET)
    assert place.check().state is TokenState.OK
    assert place.reply(looked(place, comment), "We come.", "key").id in photos.things
    assert account(address).check().state is TokenState.SCOPE_MISSING


def test_the_address_follows_from_the_login() -> None:
    for login in ("facebook", "instagram"):
        assert (
            InstagramSource.model_validate({"Account": ME, "Login": login}).base == f"https://graph.{login}.com/v25.0"
        )


def own(events: list[AnyEvent]) -> list[bool]:
    return [event.own for event in events if isinstance(event, Mention)]


def test_an_answer_of_ours_is_known_though_only_our_id_is_set(photos: Photos, address: str) -> None:
    place, post = account(address), photos.post()
    top = photos.say("ines", "cold", post)
    mention = looked(place, top)
    ours = photos.say(NAME, "Hello", post, top, ago=0)
    del photos.things[ours]["from"]
    with pytest.raises(UnknownOutcomeError):
        place.find_reply(mention, "key")
    assert GONE[0] == 400
