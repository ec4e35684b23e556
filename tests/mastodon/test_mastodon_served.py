"""Against a server that keeps state and speaks Mastodon's API, which others test their clients with (mastodon_mock).

python -m venv DIR && DIR/bin/pip install mastodon_mock
HAILBACK_MASTODON_MOCK=DIR/bin/python make test ARGS='tests/mastodon'
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError
from connectors.core.health import TokenState
from connectors.core.models import Mention
from connectors.http import HttpClient
from connectors.mastodon.account import MastodonAccount, MastodonCredentials
from connectors.mastodon.connector import MastodonSource

HTTP = HttpClient(allow_private=True)
SCRIPT = """
import sys
from mastodon_mock.config import DatabaseConfig, FaultConfig, MastodonMockConfig
from mastodon_mock.testing.seed import DEFAULT_TEST_SEED
from mastodon_mock.testing.server import MockServer
memory, faults = DatabaseConfig(path=":memory:"), FaultConfig(enabled=True)
server = MockServer(config=MastodonMockConfig(database=memory, seed=DEFAULT_TEST_SEED, faults=faults)).start()
server.config.domain, server.config.url_scheme = server.base_url.split("//")[1], "http"
print(server.base_url, flush=True)
sys.stdin.read()
server.stop()
"""

pytestmark = pytest.mark.skipif(
    not os.environ.get("HAILBACK_MASTODON_MOCK"), reason="mastodon_mock: set HAILBACK_MASTODON_MOCK as this file says"
)


@dataclass
class Bob:
    """A customer, who writes as any app would."""

    server: str

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        url, headers = f"{self.server}/api/v1/{path}", {"Authorization": "Bearer bob_token"}
        return HTTP.request(method, url, headers=headers, json=body).json()

    def say(self, text: str, **more: Any) -> Any:
        return self.call("POST", "statuses", {"status": text, **more})


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    asked, pipe = [os.environ["HAILBACK_MASTODON_MOCK"], "-c", SCRIPT], subprocess.PIPE
    with subprocess.Popen(asked, stdin=pipe, stdout=pipe, text=True) as running:
        assert running.stdout is not None
        try:
            yield running.stdout.readline().strip()
        finally:
            running.communicate(timeout=30)


@pytest.fixture
def bob(server: str) -> Bob:
    return Bob(server)


def account(server: str, token: str = "alice_token", **more: Any) -> MastodonAccount:
    settings = MastodonSource(api_url=server, account=("alice",), **more)
    return MastodonAccount(settings, MastodonCredentials.model_validate({"access_token": token}), HTTP)


@dataclass
class Polls:
    """What polls bring, one after the other. What was there before is known."""

    account: MastodonAccount
    cursor: str = ""

    def __post_init__(self) -> None:
        self.cursor = self.account.poll(None).cursor
        while self.take():
            pass

    def take(self) -> list[Mention]:
        page = self.account.poll(self.cursor)
        assert page.fault is None
        self.cursor = page.cursor
        return [event for event in page.events if isinstance(event, Mention)]


def test_a_mention_is_heard_answered_once_and_followed(server: str, bob: Bob) -> None:
    alice, polls = account(server), Polls(account(server))
    said = bob.say("@alice it is cold 😤\nsince Monday & nobody answers", visibility="unlisted", language="en")
    (mention,) = polls.take()
    assert (mention.native_id, mention.conversation_id, mention.own) == (said["uri"], said["uri"], False)
    assert (mention.text, mention.language) == ("@alice it is cold 😤\nsince Monday & nobody answers", "en")
    assert mention.author is not None
    assert (mention.author.handle, mention.author.name, mention.author.followers) == ("bob", "Bob", 1)

    sent = alice.reply(mention, "we are on our way", "key-1")
    assert alice.find_reply(mention, "key-1") is None, "the server still knows the key"
    assert alice.reply(mention, "we are on our way", "key-1") == sent
    answers = bob.call("GET", f"statuses/{said['id']}/context")["descendants"]
    assert [(one["uri"], one["visibility"]) for one in answers] == [(sent.id, "unlisted")]
    assert "@alice" not in answers[0]["content"]
    assert [one["type"] for one in bob.call("GET", "notifications?types[]=mention")] == ["mention"], "bob is told"

    (own,) = polls.take()
    assert (own.native_id, own.own, own.conversation_id, own.parent_id) == (sent.id, True, said["uri"], said["id"])
    bob.say("@alice thanks", in_reply_to_id=answers[0]["id"])
    (thanks,) = polls.take()
    assert (thanks.kind, thanks.conversation_id, thanks.parent_id) == ("reply", said["uri"], answers[0]["id"])


def test_many_come_once_each(server: str, bob: Bob) -> None:
    polls = Polls(account(server))
    written = [bob.say(f"@alice number {number}")["uri"] for number in range(90)]
    assert sorted(one.native_id for one in polls.take()) == sorted(written)
    assert polls.take() == []


def test_private_words_are_left_where_they_are(server: str, bob: Bob) -> None:
    polls = Polls(account(server))
    bob.say("@alice my number is 555-0100", visibility="direct")
    circle = bob.say("@alice between us", visibility="private")
    assert [one.native_id for one in polls.take()] == [circle["uri"]]


def test_tags_and_searches(server: str, bob: Bob) -> None:
    polls = Polls(account(server, tags=("#acme",), search=("kettle",)))
    tagged, loud = bob.say("so loud #acme"), bob.say("My kettle is loud")
    assert [one.native_id for one in polls.take()] == [tagged["uri"], loud["uri"]]


def test_what_is_edited_or_removed_is_found(server: str, bob: Bob) -> None:
    alice, polls = account(server), Polls(account(server))
    edited, removed, kept = (bob.say(f"@alice {word}") for word in ("first words", "this goes", "this stays"))
    asked = [one["uri"] for one in (edited, removed, kept)]
    before = {one.native_id: one for one in polls.take()}
    assert sorted(before) == sorted(asked)
    assert alice.recheck(asked).gone == []
    bob.call("PUT", f"statuses/{edited['id']}", {"status": "@alice other words"})
    bob.call("DELETE", f"statuses/{removed['id']}")
    found = alice.recheck(asked)
    assert [one.native_id for one in found.gone] == [removed["uri"]]
    now = {one.native_id: one for one in found.edited}
    assert now[edited["uri"]].version > before[edited["uri"]].version == 0
    assert now[edited["uri"]].text == "@alice other words"
    assert kept["uri"] not in now
    with pytest.raises(RejectedError, match="not there any more"):
        alice.reply(before[removed["uri"]], "Sorry", "key-2")


def test_what_the_server_refuses_is_said(server: str, bob: Bob) -> None:
    polls = Polls(account(server))
    bob.say("@alice speak")
    (mention,) = polls.take()
    with pytest.raises(RejectedError):
        account(server).reply(mention, "a" * 600, "key-3")
    assert account(server).check().state is TokenState.OK
    assert account(server, "wrong").check().state is TokenState.REVOKED
    with pytest.raises(MisconfiguredError):
        account(server, "wrong").poll(polls.cursor)
    soon = (datetime.now(UTC) + timedelta(seconds=90)).isoformat()
    limit = {"type": "ratelimit", "headers": {"X-RateLimit-Reset": soon}}
    where = {"methods": ["GET"], "path": "/api/v1/notifications"}
    bob.call("POST", "_mock/faults", {"match": where, "effect": limit, "count": 1})
    with pytest.raises(UnavailableError) as caught:
        account(server).poll(polls.cursor)
    assert caught.value.retry_after == pytest.approx(90, abs=5)
