"""Against Bluesky's own software: a directory of identities, a server and an AppView on this machine.

npm install @atproto/dev-env        (Node 20; better-sqlite3 has to be built: npm rebuild better-sqlite3)
HAILBACK_REAL_BLUESKY=DIR DB_POSTGRES_URL=postgresql://… REDIS_HOST=127.0.0.1:6379 make test ARGS='tests/bluesky'
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from connectors.bluesky.account import BlueskyAccount, BlueskyCredentials
from connectors.bluesky.connector import BlueskySource
from connectors.core.errors import MisconfiguredError, RejectedError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.models import Mention
from connectors.http import HttpClient

HTTP = HttpClient(allow_private=True)
POST = "app.bsky.feed.post"
Found = TypeVar("Found")

pytestmark = pytest.mark.skipif(
    not os.environ.get("HAILBACK_REAL_BLUESKY"),
    reason="Bluesky's own software: set HAILBACK_REAL_BLUESKY as this file says",
)


@dataclass
class Person:
    """Somebody with an account, who writes as any app would."""

    server: str
    handle: str
    did: str
    token: str

    def call(self, path: str, body: Mapping[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        return HTTP.request("POST", f"{self.server}/xrpc/{path}", headers=headers, json=body).json()

    def say(self, text: str, to: Person | None = None, **more: Any) -> Mapping[str, str]:
        """Its uri and cid. A post to somebody begins with their name."""
        record = {"$type": POST, "text": text, "createdAt": _now(), "langs": ["en"], **more}
        if to:
            place = {"byteStart": 0, "byteEnd": len(to.handle) + 1}
            feature = {"$type": "app.bsky.richtext.facet#mention", "did": to.did}
            record |= {"text": f"@{to.handle} {text}", "facets": [{"index": place, "features": [feature]}]}
        asked = {"repo": self.did, "collection": POST, "record": record}
        said: Mapping[str, str] = self.call("com.atproto.repo.createRecord", asked)
        return {"uri": said["uri"], "cid": said["cid"]}

    def remove(self, post: Mapping[str, str]) -> None:
        key = post["uri"].rsplit("/", 1)[-1]
        self.call("com.atproto.repo.deleteRecord", {"repo": self.did, "collection": POST, "rkey": key})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def person(server: str, name: str) -> Person:
    asked = {"handle": f"{name}.test", "email": f"{name}@mail.test", "password": f"password-{name}"}
    made = HTTP.request("POST", f"{server}/xrpc/com.atproto.server.createAccount", json=asked).json()
    return Person(server, made["handle"], made["did"], made["accessJwt"])


def until(look: Callable[[], Found | None]) -> Found:
    """What is there once the AppView has read what was written."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if (found := look()) is not None:
            return found
        time.sleep(0.1)
    pytest.fail("it did not come")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    script = Path(__file__).with_name("network.cjs")
    pipe = subprocess.PIPE
    with subprocess.Popen(["node", script], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as network:
        assert network.stdout is not None
        try:
            yield json.loads(network.stdout.readline())["server"]
        finally:
            network.communicate(timeout=60)


@pytest.fixture(scope="module")
def acme(server: str) -> Person:
    return person(server, "acmecare")


@pytest.fixture(scope="module")
def ines(server: str) -> Person:
    return person(server, "inesb")


@pytest.fixture(scope="module")
def account(acme: Person) -> BlueskyAccount:
    """With an app password, and a session that it began by itself."""
    secret = acme.call("com.atproto.server.createAppPassword", {"name": "hailback"})["password"]
    settings = BlueskySource(api_url=acme.server, account=(acme.did,), search=("kettle",))
    first = BlueskyCredentials.model_validate({"identifier": acme.handle, "app_password": secret})
    now = int(time.time() * 1000)
    new = BlueskyAccount(settings, first, HTTP)
    assert new.refresh_due(now)
    kept = BlueskyCredentials.model_validate(dict(new.refresh(now)))
    account = BlueskyAccount(settings, kept, HTTP)
    assert not account.refresh_due(now)
    assert account.check().state is TokenState.OK
    start = account.poll(None).cursor
    until(lambda: account.poll(start).fault is None or None)  # the AppView knows the new account
    return account


@dataclass
class Polls:
    """What polls bring, one after the other."""

    account: BlueskyAccount
    cursor: str

    def take(self) -> list[Mention]:
        page = self.account.poll(self.cursor)
        assert page.fault is None
        self.cursor = page.cursor
        assert all(isinstance(event, Mention) for event in page.events)
        return [event for event in page.events if isinstance(event, Mention)]


@pytest.fixture
def polls(account: BlueskyAccount) -> Polls:
    polls = Polls(account, account.poll(None).cursor)
    while polls.take():  # what the tests before this one left
        pass
    return polls


def test_a_mention_is_heard_answered_once_and_followed(
    account: BlueskyAccount, polls: Polls, acme: Person, ines: Person
) -> None:
    said = ines.say("it is cold 😤", acme)
    (mention,) = until(lambda: polls.take() or None)
    assert (mention.native_id, mention.conversation_id, mention.own) == (said["uri"], said["uri"], False)
    assert (mention.text, mention.language) == ("@acmecare.test it is cold 😤", "en")
    assert mention.author is not None
    assert (mention.author.native_id, mention.author.handle, mention.author.followers) == (ines.did, "inesb.test", 0)

    assert account.find_reply(mention, "key-1") is None
    sent = account.reply(mention, "@inesb.test sorry! See https://acme.example/heating.", "key-1")
    with pytest.raises(UnknownOutcomeError):  # the server makes no second record under a key, and says 500
        account.reply(mention, "@inesb.test sorry! See https://acme.example/heating.", "key-1")
    assert account.find_reply(mention, "key-1") == sent
    assert account.find_reply(mention, "key-2") is None

    (own,) = until(lambda: polls.take() or None)
    assert (own.native_id, own.own, own.conversation_id, own.parent_id) == (sent.id, True, said["uri"], said["uri"])
    url = f"{acme.server}/xrpc/com.atproto.repo.getRecord?repo={acme.did}&collection={POST}"
    record = HTTP.request("GET", f"{url}&rkey={sent.id.rsplit('/', 1)[-1]}").json()["value"]
    text, marked = record["text"].encode(), {}
    for facet in record["facets"]:
        place = facet["index"]
        marked[text[place["byteStart"] : place["byteEnd"]].decode()] = facet["features"][0]
    assert marked["https://acme.example/heating"]["uri"] == "https://acme.example/heating"
    assert marked["@inesb.test"]["did"] == ines.did

    parent = {
        "uri": own.native_id,
        "cid": HTTP.request("GET", f"{url}&rkey={sent.id.rsplit('/', 1)[-1]}").json()["cid"],
    }
    ines.say("thanks", reply={"root": dict(said), "parent": parent})
    (thanks,) = until(lambda: polls.take() or None)
    assert (thanks.kind, thanks.conversation_id, thanks.parent_id) == ("reply", said["uri"], sent.id)
    assert account.reply(thanks, "You are welcome", "key-3").id != sent.id


def test_what_is_searched_for_and_what_quotes_us(polls: Polls, acme: Person, ines: Person) -> None:
    loud = ines.say("My acme kettle is loud")
    (found,) = until(lambda: polls.take() or None)
    assert (found.native_id, found.kind) == (loud["uri"], "post")
    ours = acme.say("Open all winter")
    embed = {"$type": "app.bsky.embed.record", "record": dict(ours)}
    quote = ines.say("They keep their word", embed=embed)
    heard = {one.native_id: one for one in until(lambda: polls.take() or None)}
    while quote["uri"] not in heard:
        heard |= {one.native_id: one for one in until(lambda: polls.take() or None)}
    assert (heard[quote["uri"]].kind, heard[quote["uri"]].quoted_id) == ("quote", ours["uri"])


def test_many_come_once_each(polls: Polls, acme: Person, ines: Person) -> None:
    """More than one page holds, while they are written."""
    written, heard = [ines.say(f"number {number}", acme)["uri"] for number in range(120)], list[str]()
    while len(heard) < len(written):
        heard += [one.native_id for one in until(lambda: polls.take() or None)]
    assert sorted(heard) == sorted(written)
    assert polls.take() == []


def test_a_removed_post_is_gone(account: BlueskyAccount, polls: Polls, acme: Person, ines: Person) -> None:
    kept, removed = ines.say("this stays", acme), ines.say("this goes", acme)
    heard = list[Mention]()
    while len(heard) < 2:
        heard += until(lambda: polls.take() or None)
    asked = [kept["uri"], removed["uri"]]
    assert account.recheck(asked).gone == []
    ines.remove(removed)
    gone = until(lambda: account.recheck(asked).gone or None)
    assert [one.native_id for one in gone] == [removed["uri"]]
    about = next(one for one in heard if one.native_id == removed["uri"])
    with pytest.raises(RejectedError, match="not there any more"):
        account.reply(about, "Sorry", "key-4")


def test_what_the_server_refuses_is_said(account: BlueskyAccount, polls: Polls, acme: Person, ines: Person) -> None:
    ines.say("speak", acme)
    (mention,) = until(lambda: polls.take() or None)
    with pytest.raises(RejectedError, match="300"):
        account.reply(mention, "ä" * 301, "key-5")
    settings = BlueskySource(api_url=acme.server)
    wrong = BlueskyCredentials.model_validate(
        {"identifier": acme.handle, "app_password": "wrong", "access_token": "junk", "did": acme.did}
    )
    stranger = BlueskyAccount(settings, wrong, HTTP)
    assert stranger.check().state is TokenState.EXPIRED
    with pytest.raises(MisconfiguredError) as caught:
        stranger.refresh(0)
    assert caught.value.token is TokenState.REVOKED
