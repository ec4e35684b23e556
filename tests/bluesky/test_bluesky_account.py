"""Polls, answers and second looks, where answers are lost, sessions end and lists are full of other things."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.bluesky.account import BlueskyAccount, BlueskyCredentials, record_key
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.models import Hint, Mention
from tests.bluesky.atmosphere import INES, PASSWORD, Atmosphere
from tests.bluesky.contract import DID, HANDLE
from tests.bluesky.lexicons import schema_of

CHECKOUT = Path(__file__).resolve().parents[2]
DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
ASKED = f"@{HANDLE} it is cold"


@pytest.fixture
def sky(monkeypatch: pytest.MonkeyPatch) -> Iterator[Atmosphere]:
    atmosphere = Atmosphere()
    monkeypatch.setattr(time, "time", lambda: atmosphere.clock)
    with atmosphere.serve():
        yield atmosphere


def mentions(account: BlueskyAccount, cursor: str) -> tuple[list[Mention], str]:
    page = account.poll(cursor)
    return [event for event in page.events if isinstance(event, Mention)], page.cursor


def heard(sky: Atmosphere) -> tuple[BlueskyAccount, Mention]:
    account = sky.account()
    cursor = account.poll(None).cursor
    sky.clock += 60
    sky.say(ASKED)
    return account, mentions(account, cursor)[0][0]


def test_an_answer_whose_receipt_is_lost_is_found_and_stands_once(sky: Atmosphere) -> None:
    account, mention = heard(sky)
    assert account.find_reply(mention, "key-1") is None
    sky.lost = 1
    with pytest.raises(UnknownOutcomeError):
        account.reply(mention, "Sorry!", "key-1")
    found = account.find_reply(mention, "key-1")
    assert found is not None
    with pytest.raises(UnknownOutcomeError):
        account.reply(mention, "Sorry!", "key-1")
    assert [uri for uri, post in sky.posts.items() if post["who"] == DID] == [found.id]
    assert found.url == f"https://bsky.app/profile/{DID}/post/{found.id.rsplit('/', 1)[-1]}"
    assert account.reply(mention, "And this.", "key-2").id != found.id


def test_an_answer_stands_under_its_parent_and_the_thread_s_first_post(sky: Atmosphere) -> None:
    account, mention = heard(sky)
    first = account.reply(mention, "Sorry!", "key-1")
    cursor = account.poll(None).cursor
    strong = {"root": {"uri": mention.native_id, "cid": "bafy"}, "parent": {"uri": first.id, "cid": "bafy"}}
    sky.clock += 1
    sky.say(f"@{HANDLE} thanks", reply=strong)
    thanks = next(one for one in mentions(account, cursor)[0] if one.text.endswith("thanks"))
    assert (thanks.conversation_id, thanks.parent_id) == (mention.native_id, first.id)
    said = sky.posts[account.reply(thanks, "Welcome", "key-2").id]["record"]["reply"]
    assert (said["root"]["uri"], said["parent"]["uri"]) == (mention.native_id, thanks.native_id)


def test_links_and_names_can_be_clicked(sky: Atmosphere) -> None:
    account, mention = heard(sky)
    text = "😤 @Ines.Example: see (https://acme.example/a?b=c), http://acme.example. @ines.example-not @other.example"
    record = sky.posts[account.reply(mention, text, "key-1").id]["record"]
    raw, seen = text.encode(), []
    for facet in record["facets"]:
        (feature,) = facet["features"]
        place = raw[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode()
        seen.append((place, feature.get("uri") or feature.get("did")))
    assert seen == [
        ("https://acme.example/a?b=c", "https://acme.example/a?b=c"),
        ("http://acme.example", "http://acme.example"),
        ("@Ines.Example", INES),
    ]


def test_a_record_key_is_one_for_each_answer() -> None:
    keys = {record_key(f"hailback-{number}") for number in range(20_000)}
    assert len(keys) == 20_000
    assert record_key("hailback-1") == record_key("hailback-1")
    for key in keys:
        assert len(key) == 13
        assert key[0] in DIGITS[:16], "the highest bit is none"
        number = sum(DIGITS.index(digit) << 5 * place for place, digit in enumerate(reversed(key)))
        assert datetime.fromtimestamp((number >> 10) / 1e6, UTC).year == 2023


def test_a_post_that_is_gone_is_not_answered(sky: Atmosphere) -> None:
    account, mention = heard(sky)
    assert account.recheck([mention.native_id]).gone == []
    del sky.posts[mention.native_id]
    assert [one.native_id for one in account.recheck([mention.native_id]).gone] == [mention.native_id]
    with pytest.raises(RejectedError, match="not there any more"):
        account.reply(mention, "Sorry", "key-1")


def test_a_post_that_is_only_named_is_fetched(sky: Atmosphere) -> None:
    account, mention = heard(sky)
    hint = Hint(connector="bluesky", event="strongRef", native_id=mention.native_id)
    (found,) = account.resolve(hint)
    assert isinstance(found, Mention)
    assert (found.native_id, found.text) == (mention.native_id, ASKED)
    del sky.posts[mention.native_id]
    assert [event.type for event in account.resolve(hint)] == ["deletion"]


def test_too_many_letters_are_refused_in_a_sentence(sky: Atmosphere) -> None:
    account, mention = heard(sky)
    with pytest.raises(RejectedError, match="300 characters"):
        account.reply(mention, "a" * 301, "key-1")


def test_a_session_that_is_over_is_begun_anew(sky: Atmosphere) -> None:
    account, mention = heard(sky)
    sky.token = "token-7"
    with pytest.raises(MisconfiguredError) as caught:
        account.reply(mention, "Sorry", "key-1")
    assert caught.value.token is TokenState.EXPIRED
    assert account.check().state is TokenState.EXPIRED
    now = int(sky.clock * 1000)
    kept = BlueskyCredentials.model_validate(dict(account.refresh(now)))
    assert (kept.identifier, kept.app_password.get_secret_value(), kept.did) == (HANDLE, PASSWORD, DID)
    assert kept.access_token is not None
    renewed = sky.account(kept.access_token.get_secret_value())
    assert renewed.check().state is TokenState.OK
    assert not kept.due(now)
    assert kept.due(now + 5_400_000)


def test_a_wrong_app_password_is_for_a_person_and_an_outage_is_not(sky: Atmosphere) -> None:
    stranger = sky.account("", password="wrong")
    assert stranger.refresh_due(0)
    with pytest.raises(MisconfiguredError, match="new app password") as caught:
        stranger.refresh(0)
    assert caught.value.token is TokenState.REVOKED
    assert "wrong" not in str(caught.value)
    sky.broken.add("com.atproto.server.createSession")
    with pytest.raises(UnavailableError):
        sky.account("").refresh(0)


def test_pages_of_other_things_end_where_we_were(sky: Atmosphere) -> None:
    account = sky.account()
    cursor = account.poll(None).cursor
    sky.chatter, sky.clock = 1, sky.clock + 1200
    uri = sky.say(ASKED, late=700)
    found = list[str]()
    for _ in range(4):
        got, cursor = mentions(account, cursor)
        found += [one.native_id for one in got]
    assert found == [uri]
    assert len([call for call, _, _ in sky.calls if call.path.endswith("listNotifications")]) < 40


def test_a_post_that_claims_to_be_older_is_heard(sky: Atmosphere) -> None:
    account = sky.account()
    cursor = account.poll(None).cursor
    for _ in range(40):
        sky.clock += 60
        _, cursor = mentions(account, cursor)
    uri = sky.say(ASKED, late=30 * 60)
    assert [one.native_id for one in mentions(account, cursor)[0]] == [uri]


def test_many_come_once_each_from_all_lists(sky: Atmosphere) -> None:
    account = sky.account(search=("kettle",))
    cursor = account.poll(None).cursor
    written, found, wait = list[str](), list[str](), 1.0
    for number in range(130):
        sky.clock += 1
        written.append(sky.say(f"@{HANDLE} number {number}" if number % 2 else f"kettle {number}"))
        written.append(sky.say(f"we say {number}", DID))
    while wait == 1.0:
        page = account.poll(cursor)
        found += [event.native_id for event in page.events if isinstance(event, Mention)]
        cursor, wait = page.cursor, page.again
    assert sorted(found) == sorted(written)


def test_how_many_follow_whoever_says_it(sky: Atmosphere) -> None:
    _, mention = heard(sky)
    assert mention.author is not None
    assert mention.author.followers == 311
    sky.broken.add("app.bsky.actor.getProfiles")
    _, mention = heard(sky)
    assert mention.author is not None
    assert mention.author.followers is None, "an outage of that does not stop the rest"


@pytest.fixture
def lexicons() -> Any:
    path = Path(os.environ.get("HAILBACK_SHARED") or CHECKOUT.parent / "shared") / "specs" / "bluesky-lexicons.json"
    if not path.is_file():
        pytest.skip("Bluesky's lexicons: set HAILBACK_SHARED to the folder that holds specs/bluesky-lexicons.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_what_is_asked_and_what_this_server_says_is_as_published(sky: Atmosphere, lexicons: Any) -> None:
    jsonschema: Any = pytest.importorskip("jsonschema", reason="it is not installed: make lock, then make test")
    account, mention = heard(sky)
    account.reply(mention, f"Sorry @ines.example https://acme.example {'a' * 200}", "key-1")
    account.find_reply(mention, "key-1")
    account.recheck([mention.native_id])
    account.check()
    searching = sky.account(search=("cold",))
    mentions(searching, searching.poll(None).cursor)
    sky.account("").refresh(0)
    used = set()
    for call, status, said in sky.calls:
        name = call.path.removeprefix("/xrpc/")
        used.add(name)
        kinds = schema_of(lexicons, name, "parameters")["properties"] if call.method == "GET" else {}
        asked: dict[str, Any] = {}
        for key, values in call.queries.items():
            kind = kinds[key]["type"]
            asked[key] = values if kind == "array" else int(values[0]) if kind == "integer" else values[0]
        if call.method == "GET":
            jsonschema.validate(asked, schema_of(lexicons, name, "parameters"))
        else:
            jsonschema.validate(call.json(), schema_of(lexicons, name, "input"))
        if name == "com.atproto.repo.createRecord":
            jsonschema.validate(call.json()["record"], schema_of(lexicons, "app.bsky.feed.post", ""))
        if status == 200:
            jsonschema.validate(said, schema_of(lexicons, name, "output"))
    assert len(used) == 9
