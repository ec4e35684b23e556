"""A source that does not tell of removals, on the deployed machine: its token is renewed and kept, a post that was
taken back there is emptied here, and a revoked token is said to be one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.aws.inbox import of_events
from connectors.aws.spending import TableSpending
from connectors.aws.sweeps import TableBook
from connectors.core.budget import month_of
from connectors.core.models import Author, Mention
from connectors.core.privacy import Day
from connectors.tool.checkup import Checkup
from connectors.tool.deployment import apply
from connectors.tool.local import RunningStack
from tests.e2e.wait import until
from tests.x.xapi import ACCOUNT, OAUTH2, Call, XApi

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

STACK, SECRET = "swept", "hailback/swept"
SOURCE = f"{STACK}/Acme"
PATIENCE = 60


class Renewing(XApi):
    """Takes the renewed token, and no longer the old one."""

    revoked = False

    def _authenticated(self, call: Call) -> str | None:
        renewed = self.refresh_token != "refresh-0" and not self.revoked
        return "user" if renewed and call.headers.get("authorization") == "Bearer user-token-new" else None


def template(configure: str, api: str) -> str:
    shared = {"ServiceToken": configure, "ServiceTimeout": 120, "Connector": "x", "Secret": SECRET}
    source = {"Type": "Custom::Source", "Properties": {**shared, "Account": ACCOUNT, "ApiUrl": api}}
    return json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Acme": source}})


class Place:
    """The vendor, our source there, and what the machine knows of it."""

    def __init__(self, machine: RunningStack, api: Renewing) -> None:
        self.machine, self.api = machine, api

    def hear(self, words: str) -> str:
        """Somebody posts, and it is taken in; its id there."""
        now = int(time.time() * 1000)
        number = self.api.say(now, words)
        said = Mention(
            connector="x", native_id=number, conversation_id=number, author=Author(native_id="7"), text=words
        )
        body = json.dumps(of_events(SOURCE, "x", f"[{said.model_dump_json()}]", now))
        self.machine.client("sqs").send_message(QueueUrl=self.machine.outputs["InboxQueueUrl"], MessageBody=body)
        until(lambda: self.words(number), PATIENCE, "the post to be taken in")
        return number

    def words(self, number: str) -> str | None:
        found = self.machine.cases.mention(f"x:{number}")[1]
        return found.text if found else None

    def time_passes(self) -> None:
        """As if today's posts had been looked at 21 hours ago."""
        now = int(time.time() * 1000)
        TableBook(self.machine.table).save(SOURCE, Day(f"{time.strftime('%Y-%m-%d', time.gmtime())}", now - 75_600_000))

    def doctor(self) -> list[str]:
        return [line for line in Checkup(self.machine).document()["wrong"] if SOURCE in line]

    def kept(self) -> dict[str, Any]:
        text = self.machine.client("secretsmanager").get_secret_value(SecretId=f"{SECRET}/credentials")["SecretString"]
        found: dict[str, Any] = json.loads(text)
        return found


@pytest.fixture(scope="module")
def place(machine: RunningStack) -> Iterator[Place]:
    api = Renewing()
    secrets, cloudformation = machine.client("secretsmanager"), machine.client("cloudformation")
    due = json.dumps({**OAUTH2, "expires_at": int(time.time() * 1000)})
    secrets.create_secret(Name=f"{SECRET}/credentials", SecretString=due)
    secrets.create_secret(Name=f"{SECRET}/verification", SecretString="unused by this test")
    with api.serve() as address:
        apply(cloudformation, STACK, template(machine.outputs["ConfigureArn"], address), {})
        yield Place(machine, api)
        cloudformation.delete_stack(StackName=STACK)


def test_a_post_that_is_taken_back_is_emptied_with_a_token_that_was_renewed(place: Place) -> None:
    gone, stays = place.hear("please forget this"), place.hear("and keep this")
    found = place.machine.invoke("CheckSources", {"source": SOURCE})
    assert found[SOURCE]["state"] == "ok"
    assert (place.kept()["access_token"], place.kept()["refresh_token"]) == ("user-token-new", "refresh-1")
    assert [call.path for call in place.api.calls].count("/2/oauth2/token") == 1
    assert place.doctor() == []

    del place.api.posts[gone]
    place.time_passes()
    swept = place.machine.invoke("SweepPrivacy", {})
    assert (swept["swept"][SOURCE]["gone"], swept["swept"][SOURCE]["error"]) == (1, None)
    until(lambda: place.words(gone) is None, PATIENCE, "the words to go")
    assert place.words(stays) == "and keep this"
    meta, _ = place.machine.cases.mention(f"x:{gone}")
    assert meta is not None
    assert "removed" in meta, "its identity stays"
    until(
        lambda: "deleted" in [event.kind.value for event in place.machine.cases.timeline(str(meta["case"]))],
        PATIENCE,
        "the timeline to say so",
    )
    month = month_of(int(time.time() * 1000))
    assert TableSpending(place.machine.table).spent(SOURCE, month)["post_read"] >= 1
    assert place.machine.dead_letters() == {}


def test_a_revoked_token_is_said_and_posts_wait_for_a_day_at_most_unnoticed(place: Place) -> None:
    place.hear("nobody can look at this again")
    place.api.revoked = True
    place.time_passes()
    swept = place.machine.invoke("SweepPrivacy", {})
    assert swept["swept"][SOURCE]["error"].startswith("Misconfigured")
    assert place.machine.invoke("CheckSources", {"source": SOURCE})[SOURCE]["state"] in {"revoked", "expired"}
    assert any(line.startswith(f"the credentials of {SOURCE}: ") for line in place.doctor())
    said = place.machine.client("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{place.machine.stack.name}/check_sources"
    )["events"]
    assert any('"message":"an administrator has to act"' in one["message"].replace(": ", ":") for one in said)
    assert "user-token" not in "".join(one["message"] for one in said)
