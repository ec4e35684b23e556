"""Our part in a Connect instance that keeps state: who called, what was missed, one callback task for one answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest

from connectors import sigv4
from connectors.amazon_connect.connector import AmazonConnect, AmazonConnectSource
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.models import Hint, Mention, Unsupported
from connectors.http import HttpClient
from connectors.sigv4 import AwsCredentials, signed
from tests.amazon_connect.contract import INSTANCE
from tests.amazon_connect.instance import FLOW, Instance, cid

KEY = "hailback-q2v7mnb4xk5ztc3apwd6rjhy"
INES = "+491701234567"


@pytest.fixture
def instance() -> Iterator[Instance]:
    made = Instance()
    with made.serve(), patch("time.time", lambda: made.clock):
        yield made


def hint(number: int, event: str = "INITIATED") -> Hint:
    told = {"eventType": event, "contactId": cid(number), "channel": "VOICE", "initiationMethod": "INBOUND"}
    found = AmazonConnect(AmazonConnectSource(instance=INSTANCE)).event({**told, "instanceArn": INSTANCE}, event)
    assert isinstance(found, Hint)
    return found


def mention(found: Any) -> Mention:
    assert isinstance(found, Mention), found
    return found


def asked(instance: Instance) -> Mention:
    instance.call(1, instance.clock - 600)
    return mention(instance.account().resolve(hint(1, "DISCONNECTED"))[0])


def test_who_called_is_fetched_and_is_the_same_person_elsewhere(instance: Instance) -> None:
    instance.call(1, instance.clock)
    found = mention(instance.account().resolve(hint(1))[0])
    assert found.id == hint(1).id == f"amazon_connect:{INSTANCE}:{cid(1)}:INITIATED"
    assert found.author is not None
    assert (found.author.handle, found.author.identity) == (INES, f"tel:{INES}")
    assert found.conversation_id == cid(1)


def test_a_contact_that_is_not_described_yet_is_asked_for_again(instance: Instance) -> None:
    instance.call(1, instance.clock)
    instance.dark.add(cid(1))
    with pytest.raises(UnavailableError, match="yet"):
        instance.account().resolve(hint(1))
    instance.dark.clear()
    assert instance.account().resolve(hint(1))


@pytest.mark.parametrize("who", ["anonymous", "+266696687", None])
def test_a_withheld_number_is_nobodys_and_is_not_asked_for_for_ever(instance: Instance, who: str | None) -> None:
    instance.call(1, instance.clock, who=who)
    assert mention(instance.account().resolve(hint(1))[0]).author is None


def test_a_poll_brings_the_calls_whose_end_no_event_told(instance: Instance) -> None:
    instance.call(1, instance.clock - 7200)
    account = instance.account()
    first = account.poll(None)
    assert list(first.events) == []
    instance.clock += 3600
    for number in range(2, 7):
        instance.call(number, instance.clock + number)
    instance.call(8, instance.clock, None)
    instance.clock += 1200
    assert list(account.poll(first.cursor).events) == [], "their events may still come"
    instance.clock += 1200
    page = account.poll(first.cursor)
    ended = [mention(one).native_id for one in page.events if mention(one).native_id.endswith(":DISCONNECTED")]
    assert ended == [f"{cid(number)}:DISCONNECTED" for number in range(2, 7)]
    assert [one.author for one in map(mention, page.events)] == [None] * 10, "a search does not tell who called"
    assert list(account.poll(page.cursor).events) == []


def test_an_answer_is_a_task_for_an_agent_with_the_words(instance: Instance) -> None:
    call = asked(instance)
    sent = instance.account(access_url="https://acme.my.connect.aws").reply(call, "Tell her that we come today.", KEY)
    (task,) = instance.tasks.values()
    assert task["said"]["Description"] == "Tell her that we come today."
    assert task["said"]["Name"].startswith(f"Call back {INES} ")
    assert (task["said"]["ContactFlowId"], task["said"]["RelatedContactId"]) == (FLOW, cid(1))
    assert sent.id == task["Id"]
    assert sent.url == f"https://acme.my.connect.aws/contact-trace-records/details/{sent.id}"


@pytest.mark.parametrize("searchable", [True, False])
def test_an_answer_whose_outcome_is_unknown_is_one_task(instance: Instance, searchable: bool) -> None:
    """Found by its name; where a search does not show it, Connect brings the first one again for its key."""
    call, account = asked(instance), instance.account()
    assert account.find_reply(call, KEY) is None
    instance.lost, instance.searchable = 1, searchable
    with pytest.raises(UnknownOutcomeError):
        account.reply(call, "We come today.", KEY)
    instance.clock += 60
    found = account.find_reply(call, KEY)
    assert (found is not None) == searchable
    assert (found or account.reply(call, "We come today.", KEY)).id == instance.tasks[KEY]["Id"]
    assert len(instance.tasks) == 1


def test_the_task_is_no_new_story(instance: Instance) -> None:
    told = {"contactId": cid(900), "relatedContactId": cid(1), "channel": "TASK", "initiationMethod": "API"}
    for event in ("INITIATED", "QUEUED", "CONNECTED_TO_AGENT", "DISCONNECTED"):
        found = AmazonConnect(AmazonConnectSource(instance=INSTANCE)).event(told, event)
        assert isinstance(found, Unsupported)


def test_an_answer_that_does_not_fit_is_refused_and_not_cut(instance: Instance) -> None:
    with pytest.raises(RejectedError, match="4096"):
        instance.account().reply(asked(instance), "a" * 4097, KEY)
    assert instance.tasks == {}


def test_credentials_are_tried_out_without_an_effect(instance: Instance) -> None:
    assert instance.account().check().state is TokenState.OK
    assert instance.account("old").check().state is TokenState.SCOPE_MISSING
    with pytest.raises(MisconfiguredError):
        instance.account("old").resolve(hint(1))
    assert instance.asked == ["DescribeInstance"]


def test_without_keys_in_the_secret_the_functions_role_signs(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAINVENTED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", instance.secret)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    sigv4._session.cache_clear()
    client = signed(HttpClient(allow_private=True), "connect", "eu-central-1", AwsCredentials())
    path = f"/instance/{INSTANCE.rpartition('/')[2]}"
    assert client.request("GET", f"{instance.address}{path}").status == 200
    sigv4._session.cache_clear()
