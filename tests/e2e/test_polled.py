"""A forum that is asked beside its webhook, on the deployed machine: what the webhook drops is found, and said to be
missed; what both tell is one mention; a slow forum delays no other."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.aws.cursors import cursor_key
from connectors.core.plan import SourceConfig
from connectors.core.token import Address, make
from connectors.tool import forum
from connectors.tool.deployment import apply
from connectors.tool.local import RunningStack
from connectors.tool.story import sweeping
from tests.e2e.wait import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

STACK, SECRET = "polled", "hailback/polled"
PATIENCE = 60
SLOW = 6


def template(configure: str, base_url: str) -> str:
    """One forum that is asked every five seconds, and some that are asked once an hour."""
    shared = {"ServiceToken": configure, "ServiceTimeout": 120, "Connector": "discourse", "Secret": SECRET}
    shared |= {"BaseUrl": base_url, "Account": ["hailback"]}
    named = {"Polled": "5s", "Quick": "1h"} | {f"Slow{number}": "1h" for number in range(SLOW)}
    sources = {name: {"Type": "Custom::Source", "Properties": {**shared, "Poll": poll}} for name, poll in named.items()}
    return json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": sources})


class Place:
    """The forum, its sources, and what the machine knows of them."""

    def __init__(self, machine: RunningStack, running: forum.RunningForum, secret: str) -> None:
        self.machine, self.forum, self._secret = machine, running, secret

    def row(self, name: str = "Polled") -> dict[str, Any]:
        return self.machine.table.get(*cursor_key(f"{STACK}/{name}")) or {}

    def listen(self) -> None:
        """The forum delivers to the front door."""
        salt, base = self.machine.stack.id.split("/")[2], self.machine.outputs["WebhookUrl"].rstrip("/")
        code = make(salt, "discourse", Address(f"{STACK}/Polled", SECRET))
        self.forum.deliver_to(f"{base}/discourse/{code}", self._secret)

    def say(self, words: str) -> str:
        """Somebody posts; the mention's name."""
        post = self.forum.say("ada", words, title=words)
        return f"discourse:{self.forum.base_url.removeprefix('http://')}:{post['id']}"

    def case(self, mention: str) -> str:
        until(lambda: self.machine.cases.mention(mention)[0], PATIENCE, f"the case of {mention}")
        return str((self.machine.cases.mention(mention)[0] or {})["case"])

    def polled_again(self, name: str = "Polled") -> None:
        """Two polls from now on: the second has begun after this."""
        for _ in range(2):
            before = self.row(name).get("polled_at", 0)
            until(lambda before=before: self.row(name).get("polled_at", 0) > before, PATIENCE, f"a poll of {name}")  # type: ignore[misc]


@pytest.fixture(scope="module")
def place(machine: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    running, secret = forum.start(tmp_path_factory.mktemp("polled") / "forum"), secrets.token_urlsafe(32)
    running.say("ada", "This was here before anybody listened.")
    client, cloudformation = machine.client("secretsmanager"), machine.client("cloudformation")
    client.create_secret(Name=f"{SECRET}/verification", SecretString=secret)
    with sweeping(machine):
        apply(cloudformation, STACK, template(machine.outputs["ConfigureArn"], running.base_url), {})
        yield Place(machine, running, secret)
        cloudformation.delete_stack(StackName=STACK)
    running.stop()


def test_what_the_webhook_drops_is_found_by_the_poll_and_said_to_be_missed(place: Place) -> None:
    until(lambda: "cursor" in place.row(), PATIENCE, "the first poll")
    old = f"discourse:{place.forum.base_url.removeprefix('http://')}:{place.forum.posts()[0]['id']}"
    place.listen()
    both = place.case(place.say("The radiator hums"))
    place.polled_again()
    assert place.row()["pushed_since"] > 0
    assert [event.kind.value for event in place.machine.cases.timeline(both)].count("said") == 0, "one mention"
    assert "missed" not in place.row()

    place.forum.deliver_nothing()
    dropped = place.say("The radiator drips")
    case = place.case(dropped)
    until(lambda: place.row().get("missed") == 1, PATIENCE, "the gap to be reported")
    place.polled_again()
    assert place.row()["missed"] == 1
    happened = [event.kind.value for event in place.machine.cases.timeline(case)]
    assert happened.count("opened") == 1
    assert happened.count("said") == 0
    assert place.machine.cases.mention(old)[0] is None, "what was there before is not fetched"
    assert place.machine.dead_letters() == {}


def test_a_slow_forum_delays_no_other(place: Place) -> None:
    slow = [f"Slow{number}" for number in range(SLOW)]
    until(lambda: all("cursor" in place.row(name) for name in (*slow, "Quick")), PATIENCE, "the first polls")
    before = {name: place.row(name)["polled_at"] for name in (*slow, "Quick")}
    queue, sqs = place.machine.outputs["PollQueueUrl"], place.machine.client("sqs")
    place.forum.fail_reads([])

    def wake(name: str) -> None:
        key = cursor_key(f"{STACK}/{name}")
        place.machine.table.update(*key, "SET next_at = :now", {":now": 1})
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"poll": f"{STACK}/{name}"}))

    place.forum.fail_reads(["slow:3"] * SLOW)
    for name in slow:
        wake(name)
    until(lambda: sum(place.row(name)["lease_until"] > 0 for name in slow) == SLOW, PATIENCE, "all to be asked at once")
    place.forum.fail_reads([])
    wake("Quick")
    until(lambda: place.row("Quick")["polled_at"] > before["Quick"], PATIENCE, "the quick one")
    until(lambda: all(place.row(name)["polled_at"] > before[name] for name in slow), PATIENCE, "the slow ones")


def test_a_deployed_source_says_how_often_it_is_asked(place: Place) -> None:
    from connectors.aws.config import ConfigStore

    config = ConfigStore(place.machine.client("dynamodb"), place.machine.outputs["TableName"])
    source = config.source(f"{STACK}/Polled")
    assert isinstance(source, SourceConfig)
    assert source.poll == 5
