"""Polls, answers and second looks, on a server that loses answers, forgets keys and has enough."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.core.errors import RejectedError, UnavailableError, UndecidableError, UnknownOutcomeError
from connectors.core.models import Mention
from connectors.mastodon.account import MastodonAccount
from tests.mastodon.fediverse import Fediverse

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fediverse]:
    fediverse = Fediverse()
    monkeypatch.setattr(time, "time", lambda: fediverse.clock)
    with fediverse.serve():
        yield fediverse


def mentions(account: MastodonAccount, cursor: str) -> tuple[list[Mention], str]:
    page = account.poll(cursor)
    return [event for event in page.events if isinstance(event, Mention)], page.cursor


def heard(server: Fediverse, text: str = "@acme it is cold", **more: Any) -> tuple[MastodonAccount, Mention]:
    account = server.account()
    cursor = account.poll(None).cursor
    server.clock += 60
    server.say(text, **more)
    return account, mentions(account, cursor)[0][0]


def test_an_answer_whose_receipt_is_lost_is_sent_again_and_stands_once(server: Fediverse) -> None:
    account, mention = heard(server, visibility="unlisted")
    server.lost = 1
    with pytest.raises(UnknownOutcomeError):
        account.reply(mention, "Sorry!", "key-1")
    assert account.find_reply(mention, "key-1") is None
    sent = account.reply(mention, "Sorry!", "key-1")
    ours = [post for post in server.posts.values() if post["account"]["id"] == "42"]
    assert [(post["uri"], post["content"], post["visibility"]) for post in ours] == [
        (sent.id, "<p>@ines Sorry!</p>", "unlisted")
    ]


def test_after_an_hour_a_person_looks_and_nothing_is_sent(server: Fediverse) -> None:
    account, mention = heard(server)
    server.lost = 1
    with pytest.raises(UnknownOutcomeError):
        account.reply(mention, "Sorry!", "key-1")
    server.clock += 3590
    with pytest.raises(UndecidableError, match="look whether"):
        account.find_reply(mention, "key-1")


def test_an_answer_that_never_went_out_can_be_sent_days_later(server: Fediverse) -> None:
    account, mention = heard(server)
    server.say("here too", in_reply_to_id=next(iter(server.posts)))
    server.clock += 86_400 * 3
    assert account.find_reply(mention, "key-1") is None
    account.reply(mention, "Sorry!", "key-1")


def test_a_name_that_is_there_already_is_not_said_twice(server: Fediverse) -> None:
    account, mention = heard(server)
    account.reply(mention, "@Ines sorry!", "key-1")
    assert list(server.posts.values())[-1]["content"] == "<p>@Ines sorry!</p>"


def test_a_post_of_another_server_is_found_by_its_name(server: Fediverse) -> None:
    account, mention = heard(server, uri="https://far.example/objects/8e3f?x=1")
    assert mention.native_id == "https://far.example/objects/8e3f?x=1"
    account.reply(mention, "Sorry!", "key-1")
    assert list(server.posts.values())[-1]["in_reply_to_id"] == "1000"


def test_a_post_is_gone_only_where_its_own_server_says_so(server: Fediverse) -> None:
    account, mention = heard(server)
    far = server.address + "/objects/far"  # as on another server, which is this one
    server.say("@acme from afar", uri=far)
    assert account.recheck([mention.native_id, far]).gone == []
    del server.posts["1001"]
    server.elsewhere["/objects/far"] = 503
    assert account.recheck([far]).gone == []
    server.elsewhere["/objects/far"] = 410
    assert [one.native_id for one in account.recheck([mention.native_id, far]).gone] == [far]
    del server.posts["1000"]
    assert [one.native_id for one in account.recheck([mention.native_id]).gone] == [mention.native_id]
    with pytest.raises(RejectedError):
        account.reply(mention, "Sorry", "key-2")


def test_an_edit_is_seen_when_looking_again(server: Fediverse) -> None:
    account, mention = heard(server)
    server.posts["1000"] |= {"edited_at": "2026-11-19T08:30:00.000Z", "content": "<p>@acme other words</p>"}
    (edited,) = account.recheck([mention.native_id]).edited
    assert (edited.native_id, edited.version, edited.text) == (mention.native_id, 1795077000000, "@acme other words")


def test_an_edited_answer_stays_in_its_conversation(server: Fediverse) -> None:
    first = server.say("a post that does not name us")
    account, mention = heard(server, in_reply_to_id=first["id"])
    assert account.recheck([mention.native_id]).edited == [], "it says what it said"
    server.posts["1001"] |= {"edited_at": "2026-11-19T08:30:00.000Z"}
    (edited,) = account.recheck([mention.native_id]).edited
    assert edited.conversation_id == mention.conversation_id == first["uri"]


def test_answers_join_the_conversation_that_they_are_in(server: Fediverse) -> None:
    account = server.account()
    cursor = account.poll(None).cursor
    server.clock += 60
    first = server.say("a post that does not name us")
    second = server.say("@acme what do you say?", in_reply_to_id=first["id"])
    server.say("we say hello", "42", in_reply_to_id=second["id"])
    found, _ = mentions(account, cursor)
    assert [(one.own, one.conversation_id) for one in found] == [(False, first["uri"]), (True, first["uri"])]


def test_when_the_calls_are_used_up_nothing_is_lost(server: Fediverse) -> None:
    account = server.account()
    cursor = account.poll(None).cursor
    server.clock += 60
    first = server.say("a post that does not name us")
    for _ in range(20):
        server.say("@acme hm", in_reply_to_id=first["id"])
    server.left = 10
    page = account.poll(cursor)
    assert len(page.events) == 20
    assert {getattr(event, "conversation_id", "") for event in page.events} == {first["uri"], first["id"]}
    with pytest.raises(UnavailableError) as caught:
        account.poll(page.cursor)
    assert caught.value.retry_after
    server.left = 300
    assert mentions(account, page.cursor)[0] == []


def test_tags_and_searches_are_asked_for_too(server: Fediverse) -> None:
    account = server.account(tags=("#acme",), search=("kettle",))
    cursor = account.poll(None).cursor
    server.clock += 60
    tagged, loud = server.say("so loud #acme"), server.say("my kettle is loud")
    found, cursor = mentions(account, cursor)
    assert sorted(one.native_id for one in found) == sorted([tagged["uri"], loud["uri"]])
    assert mentions(account, cursor)[0] == []


@pytest.fixture
def description() -> dict[str, Any]:
    path = Path(os.environ.get("HAILBACK_SHARED") or CHECKOUT.parent / "shared") / "specs" / "mastodon.json"
    if not path.is_file():
        pytest.skip("Mastodon's API description: set HAILBACK_SHARED to the folder that holds specs/mastodon.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_what_is_asked_and_what_this_server_says_is_as_published(
    server: Fediverse, description: dict[str, Any]
) -> None:
    jsonschema: Any = pytest.importorskip("jsonschema", reason="it is not installed: make lock, then make test")

    account, mention = heard(server)
    account.reply(mention, "Sorry!", "key-1")
    account.find_reply(mention, "key-1")
    account.recheck([mention.native_id, f"{server.address}/objects/none"])
    account.check()
    looking = server.account(tags=("acme",), search=("kettle",))
    mentions(looking, looking.poll(None).cursor)
    used = set()
    for call, status, said in server.calls:
        if not call.path.startswith("/api/"):  # a post, asked for where it was written
            continue
        found = [path for path in description["paths"] if _fits(path, call.path)]
        operation = description["paths"][min(found, key=lambda path: path.count("{"))][call.method.lower()]
        used.add(operation["operationId"])
        assert call.headers["authorization"].startswith("Bearer ")
        names = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
        assert {name.removesuffix("[]") for name in call.query} <= names, operation["operationId"]
        shapes = [(operation["responses"][f"{status}"]["content"]["application/json"]["schema"], said)]
        if call.body:
            shapes.append((operation["requestBody"]["content"]["application/json"]["schema"], call.json()))
        for schema, value in shapes:
            jsonschema.validate(value, {**schema, "components": description["components"]})
    assert len(used) >= 8


def _fits(template: str, path: str) -> bool:
    parts, there = template.split("/"), path.split("/")
    return len(parts) == len(there) and all(a == b or a.startswith("{") for a, b in zip(parts, there, strict=True))
