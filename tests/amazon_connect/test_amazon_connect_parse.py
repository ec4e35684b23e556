"""Contact events in each of their spellings: which are told, in which story, whose they are, and for which instance."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.amazon_connect.connector import AmazonConnect, AmazonConnectSource
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Hint, Mention, Unsupported
from tests.amazon_connect.contract import INSTANCE, OURS

NONE = "1970-01-01T00:00:00.001Z"
CALL: dict[str, Any] = {
    "contactId": "c-1",
    "channel": "VOICE",
    "instanceArn": INSTANCE,
    "initiationMethod": "INBOUND",
    "initiationTimestamp": "2026-11-19T08:00:00.000Z",
    "tags": {"aws:connect:systemEndpoint": OURS},
}
AGENT = {"agentArn": f"{INSTANCE}/agent/tom", "connectedToAgentTimestamp": "2026-11-19T08:01:00.000Z"}


def delivery(detail: dict[str, Any], *, wrapped: bool = True) -> Delivery:
    envelope = {"source": "aws.connect", "detail-type": "Amazon Connect Contact Event", "detail": detail}
    return Delivery({}, json.dumps(envelope if wrapped else detail).encode(), 1_795_000_000_000)


def live(detail: dict[str, Any], **more: Any) -> AnyEvent:
    (event,) = AmazonConnect(AmazonConnectSource(instance=INSTANCE, task_flow="f", **more)).parse(delivery(detail))
    return event


def told(detail: dict[str, Any], *, wrapped: bool = True) -> AnyEvent:
    (event,) = AmazonConnect.for_parse().parse(delivery(detail, wrapped=wrapped))
    return event


def mention(event: AnyEvent) -> Mention:
    assert isinstance(event, Mention), event
    return event


def pascal(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name if ":" in name else name[:1].upper() + name[1:]: pascal(inner) for name, inner in value.items()}


@pytest.mark.parametrize("event", ["INITIATED", "QUEUED", "CONNECTED_TO_AGENT", "DISCONNECTED"])
def test_a_contact_is_the_same_however_its_names_are_written(event: str) -> None:
    detail = {**CALL, "eventType": event, "agentInfo": AGENT, "disconnectTimestamp": "2026-11-19T08:06:00.000Z"}
    wanted = mention(told(detail))
    assert wanted.id == f"amazon_connect:{INSTANCE}:c-1:{event}"
    assert wanted.conversation_id == "c-1"
    first = {**pascal(detail), "InstanceARN": INSTANCE, "AgentInfo": {**pascal(AGENT), "AgentARN": AGENT["agentArn"]}}
    del first["InstanceArn"], first["AgentInfo"]["AgentArn"]
    assert live(first, agent_answers=True) == live(detail, agent_answers=True)
    for shape in (pascal(detail), first, {**detail, "channel": "Voice"}, {**detail, "channel": "voice"}):
        assert told(shape) == wanted
    assert told(detail, wrapped=False) == wanted


def test_a_time_of_1970_is_none() -> None:
    ended = {**CALL, "eventType": "DISCONNECTED", "disconnectTimestamp": "2026-11-19T08:00:45.000Z"}
    missed = mention(told({**ended, "agentInfo": {"agentArn": "", "connectedToAgentTimestamp": NONE}}))
    assert "no agent had taken it" in missed.text
    assert mention(told({**CALL, "eventType": "QUEUED", "queueInfo": {"enqueueTimestamp": NONE}})).created_at is None
    assert "an agent had taken it" in mention(told({**ended, "agentInfo": AGENT})).text


def test_what_happened_is_said_in_words_and_that_there_are_no_others() -> None:
    ended = {**CALL, "eventType": "DISCONNECTED", "agentInfo": AGENT, "disconnectTimestamp": "2026-11-19T08:06:00.000Z"}
    said = mention(told(ended))
    assert said.text == "The phone call ended after 6 minutes; an agent had taken it. There is no transcript."
    assert said.metrics == {"seconds": 360}
    assert mention(told({**CALL, "eventType": "INITIATED"})).text == f"A phone call came in at {OURS}."


@pytest.mark.parametrize(
    ("chain", "conversation", "parent"),
    [
        ({}, "c-1", None),
        ({"initialContactId": "c-0", "previousContactId": "c-9"}, "c-0", "c-9"),
        ({"previousContactId": "c-9"}, "c-9", "c-9"),
        ({"relatedContactId": "c-7"}, "c-7", "c-7"),
        ({"initialContactId": "c-1"}, "c-1", None),
    ],
)
def test_a_chain_of_contacts_is_one_story(chain: dict[str, str], conversation: str, parent: str | None) -> None:
    said = mention(told({**CALL, "eventType": "INITIATED", **chain}))
    assert (said.conversation_id, said.parent_id) == (conversation, parent)


@pytest.mark.parametrize(
    "event", ["COMPLETED", "CONNECTED_TO_SYSTEM", "CONTACT_DATA_UPDATED", "AMD_DISABLED", "PAUSED", "WEBRTC_API", "NEW"]
)
def test_other_events_are_counted(event: str) -> None:
    found = told({**CALL, "eventType": event})
    assert isinstance(found, Unsupported)
    assert (found.event, found.keep_raw) == (event, False)


@pytest.mark.parametrize(
    "more",
    [
        {"channel": "TASK", "initiationMethod": "API"},
        {"initiationMethod": "MONITOR"},
        {"initiationMethod": "EXTERNAL_OUTBOUND"},
        {"channel": "EMAIL", "initiationMethod": "FLOW"},
        {"initiationMethod": "OUTBOUND"},
        {"initiationMethod": "OUTBOUND", "eventType": "DISCONNECTED", "connectedToSystemTimestamp": NONE},
    ],
)
def test_what_no_customer_began_and_nobody_answered_is_no_story(more: dict[str, Any]) -> None:
    assert isinstance(told({**CALL, "eventType": "INITIATED", **more}), Unsupported)


@pytest.mark.parametrize("more", [{"initiationMethod": "OUTBOUND"}, {"initiationMethod": "API"}])
def test_a_call_of_ours_that_was_answered_is_our_own(more: dict[str, Any]) -> None:
    answered = {"connectedToSystemTimestamp": "2026-11-19T08:00:09.000Z", "eventType": "DISCONNECTED"}
    said = mention(told({**CALL, **answered, **more}))
    assert said.own
    assert said.reply_capability == "none"
    assert said.author is not None
    assert said.author.native_id == OURS


def test_an_agents_email_is_our_own_and_a_chat_by_the_api_is_the_customers() -> None:
    sent = {
        **CALL,
        "channel": "EMAIL",
        "initiationMethod": "AGENT_REPLY",
        "eventType": "DISCONNECTED",
        "agentInfo": AGENT,
    }
    assert mention(told(sent)).own
    assert not mention(told({**CALL, "channel": "CHAT", "initiationMethod": "API", "eventType": "QUEUED"})).own


def test_a_live_source_asks_who_called_unless_the_event_tells() -> None:
    found = live({**CALL, "eventType": "INITIATED"})
    assert isinstance(found, Hint)
    assert (found.about, found.native_id) == ("c-1", "c-1:INITIATED")
    assert isinstance(live({**CALL, "eventType": "INITIATED"}, ask_caller=False), Mention)
    known = {"customerEndpoint": {"type": "TELEPHONE_NUMBER", "address": "+491701234567"}}
    author = mention(live({**CALL, "eventType": "INITIATED", **known})).author
    assert author is not None
    assert author.identity == "tel:+491701234567"


def test_an_address_is_not_a_number() -> None:
    mail = {"customerEndpoint": {"type": "EMAIL_ADDRESS", "address": "ines@example.org", "displayName": "Ines Brandt"}}
    author = mention(live({**CALL, "channel": "EMAIL", "eventType": "INITIATED", **mail})).author
    assert author is not None
    assert (author.native_id, author.name, author.identity) == ("ines@example.org", "Ines Brandt", None)


def test_a_contact_that_an_agent_takes_counts_as_answered_where_that_is_wanted() -> None:
    taken = {**CALL, "eventType": "CONNECTED_TO_AGENT", "agentInfo": AGENT}
    answered = mention(live(taken))
    assert answered.own
    assert answered.author is not None
    assert answered.author.native_id == "tom"
    assert not mention(live(taken, agent_answers=False, ask_caller=False)).own
    missed = {**CALL, "eventType": "DISCONNECTED", "disconnectTimestamp": "2026-11-19T08:00:45.000Z"}
    assert not mention(live(missed, ask_caller=False)).own


def test_without_a_flow_for_tasks_nothing_is_answered() -> None:
    source = AmazonConnect(AmazonConnectSource(instance=INSTANCE, ask_caller=False))
    (found,) = source.parse(delivery({**CALL, "eventType": "INITIATED"}))
    assert mention(found).reply_capability == "none"


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ({"Name": "ContactFlowEvent", "Details": {"ContactData": {"ContactId": "c-1"}}}, "ContactFlowEvent"),
        ({"AWSContactTraceRecordFormatVersion": "2017-03-10", "ContactId": "c-1"}, "unnamed"),
        ({"detail-type": "Contact Lens Post Call Rules Matched", "detail": {"ruleName": "x"}}, None),
    ],
)
def test_what_connect_sends_on_other_ways_is_counted(said: dict[str, Any], event: str | None) -> None:
    (found,) = AmazonConnect.for_parse().parse(Delivery({}, json.dumps(said).encode(), 0))
    assert isinstance(found, Unsupported)
    assert found.event == (event or said["detail-type"])


def test_an_event_is_for_the_source_of_its_instance() -> None:
    mine = AmazonConnect(AmazonConnectSource(instance=INSTANCE))
    assert mine.concerns(delivery({**CALL, "eventType": "INITIATED"}))
    assert mine.concerns(delivery(pascal({**CALL, "eventType": "INITIATED"})))
    for other in ({**CALL, "instanceArn": f"{INSTANCE}0"}, {}, {"instanceArn": [INSTANCE]}):
        assert not mine.concerns(delivery(other))
    assert not mine.concerns(Delivery({}, b"[", 0))


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"hello": 1}', b"{"])
def test_what_connect_does_not_document_is_a_sentence(body: bytes) -> None:
    with pytest.raises(PayloadError):
        AmazonConnect.for_parse().parse(Delivery({}, body, 0))


def test_an_instance_is_named_by_its_arn() -> None:
    with pytest.raises(ValueError, match="ARN"):
        AmazonConnectSource(instance="0c1f5a7e-1111-2222-3333-0123456789ab")
    assert AmazonConnectSource(instance=INSTANCE).place == ("eu-central-1", INSTANCE.rpartition("/")[2])
