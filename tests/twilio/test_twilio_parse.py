"""What Twilio says, in each of its shapes: whose it is, which conversation, and whose number is somebody's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from connectors.core import door
from connectors.core.delivery import Delivery, Request
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Deletion, Mention, Unsupported
from connectors.twilio.connector import Twilio

OURS, INES = "+4930901820", "+491701234567"
TEXT = {"MessageSid": "SM1", "SmsSid": "SM1", "From": INES, "To": OURS, "Body": "It is cold", "NumMedia": "0"}
CALL = {"CallSid": "CA1", "From": INES, "To": OURS, "CallStatus": "ringing", "Direction": "inbound"}
IN = "com.twilio.messaging.inbound-message.received"


def parsed(body: bytes) -> list[AnyEvent]:
    return list(Twilio.for_parse((OURS,)).parse(Delivery({}, body, 1_795_000_000_000)))


def form(said: Mapping[str, str]) -> AnyEvent:
    (event,) = parsed(urlencode(said).encode())
    return event


def mention(said: Mapping[str, str]) -> Mention:
    event = form(said)
    assert isinstance(event, Mention), event
    return event


def test_a_text_is_the_same_in_all_shapes() -> None:
    """By webhook, by Event Streams in a batch or alone, by the API in a list or alone, and as JSON of the form."""
    streamed = {
        "type": IN,
        "data": {"messageSid": "SM1", "from": INES, "to": OURS, "body": "It is cold", "numMedia": 0},
    }
    rest = {"sid": "SM1", "from": INES, "to": OURS, "body": "It is cold", "num_media": "0", "direction": "inbound"}
    shapes = [[streamed], streamed, {"messages": [{**rest, "status": "received"}]}, rest, TEXT]
    wanted = mention(TEXT)
    for shape in shapes:
        (event,) = parsed(json.dumps(shape).encode())
        assert event == wanted, shape


def test_both_directions_of_a_pair_of_numbers_are_one_conversation_and_no_number_stands_in_it() -> None:
    there = mention(TEXT)
    (back,) = parsed(
        json.dumps(
            {"messages": [{"sid": "SM2", "from": OURS, "to": INES, "body": "We come", "direction": "outbound-api"}]}
        ).encode()
    )
    assert isinstance(back, Mention)
    assert back.conversation_id == there.conversation_id
    assert back.own
    assert not there.own
    assert INES[1:] not in there.conversation_id
    assert mention({**TEXT, "From": "+491700000000"}).conversation_id != there.conversation_id


@pytest.mark.parametrize("status", ["queued", "sending", "sent", "delivered", "undelivered", "failed", "read"])
def test_what_became_of_a_message_is_no_message(status: str) -> None:
    event = form({"MessageSid": "SM9", "SmsSid": "SM9", "MessageStatus": status, "SmsStatus": status, "To": INES})
    assert isinstance(event, Unsupported)
    assert event.event == f"message.{status}"


def test_a_call_is_one_mention_that_is_told_again_when_it_is_over() -> None:
    begun, over = mention(CALL), mention({**CALL, "CallStatus": "completed", "CallDuration": "192", "Duration": "4"})
    assert begun.id == over.id
    assert begun.version < over.version
    assert over.text == f"Call from {INES} to {OURS}, 3 minutes 12 seconds."
    assert over.metrics == {"seconds": 192}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("no-answer", "nobody answered"),
        ("busy", "line was busy"),
        ("canceled", "hung up"),
        ("failed", "not be connected"),
    ],
)
def test_a_call_that_was_missed_says_so(status: str, words: str) -> None:
    assert words in mention({**CALL, "CallStatus": status}).text


def test_what_a_caller_says_to_a_flow_is_a_reply_in_the_call() -> None:
    said = mention({**CALL, "CallStatus": "in-progress", "SpeechResult": "My heating is cold", "Confidence": "0.9"})
    assert (said.text, said.parent_id, said.conversation_id) == ("My heating is cold", "CA1", "CA1")
    assert said.id != mention(CALL).id
    assert mention({**CALL, "CallStatus": "in-progress", "SpeechResult": "Goodbye"}).id != said.id


def test_a_leg_to_an_agent_stops_the_clock_only_when_it_is_taken() -> None:
    leg = {"CallSid": "CA2", "ParentCallSid": "CA1", "From": OURS, "To": "client:tom", "Direction": "outbound-dial"}
    for status in ("initiated", "ringing", "no-answer", "busy"):
        assert isinstance(form({**leg, "CallStatus": status}), Unsupported)
    taken = mention({**leg, "CallStatus": "in-progress"})
    assert (taken.own, taken.conversation_id, taken.parent_id) == (True, "CA1", "CA1")


@pytest.mark.parametrize(
    ("sender", "identity"),
    [
        (INES, f"tel:{INES}"),
        (f"whatsapp:{INES}", f"tel:{INES}"),
        (f"messenger:{INES}", None),
        ("40404", None),
        ("ACME Shop", None),
        ("client:ines", None),
        (f"sip:{INES}@acme.example", None),
    ],
)
def test_a_number_is_somebodys_where_the_network_vouches_for_it(sender: str, identity: str | None) -> None:
    author = mention({**TEXT, "From": sender}).author
    assert author is not None
    assert (author.native_id, author.identity) == (sender, identity)


@pytest.mark.parametrize("sender", ["+266696687", "Anonymous", "anonymous", "restricted", "+7378742833", ""])
def test_all_who_withhold_their_number_are_not_one_person(sender: str) -> None:
    call = mention({**CALL, "From": sender})
    assert call.author is None
    assert "withheld" in call.text


def test_a_number_that_its_network_found_forged_is_nobodys() -> None:
    author = mention({**CALL, "StirVerstat": "TN-Validation-Failed-C"}).author
    assert author is not None
    assert author.identity is None


def test_a_plus_that_was_not_encoded_is_a_plus() -> None:
    (event,) = parsed(f"MessageSid=SM1&From={INES}&To={OURS}&Body=Hello+there".encode())
    assert isinstance(event, Mention)
    assert event.author is not None
    assert (event.author.native_id, event.text) == (INES, "Hello there")


def test_a_name_in_a_conversation_is_nobodys_number_but_where_it_came_from_a_phone() -> None:
    said = {
        "EventType": "onMessageAdded",
        "MessageSid": "IM1",
        "ConversationSid": "CH1",
        "Author": INES,
        "Body": "Cold",
    }
    by_phone, by_app = mention({**said, "Source": "SMS"}), mention({**said, "Source": "SDK"})
    assert by_phone.author is not None
    assert by_app.author is not None
    assert (by_phone.author.identity, by_app.author.identity) == (f"tel:{INES}", None)


def test_an_edit_is_newer_and_a_removal_removes() -> None:
    said = {"MessageSid": "IM1", "ConversationSid": "CH1", "Author": INES, "Body": "Cold"}
    added = mention({**said, "EventType": "onMessageAdded", "DateCreated": "2026-11-19T08:00:00Z"})
    edited = mention(
        {**said, "EventType": "onMessageUpdated", "DateUpdated": "2026-11-19T08:01:00Z", "Body": "Very cold"}
    )
    gone = form({**said, "EventType": "onMessageRemoved", "DateRemoved": "2026-11-19T08:02:00Z"})
    assert added.version < edited.version
    assert isinstance(gone, Deletion)
    assert added.id == edited.id == gone.id
    assert gone.order > edited.order


@pytest.mark.parametrize("event", ["onMessageAdd", "onMessageUpdate", "onConversationRemoved", "task.created", "x"])
def test_what_is_about_to_happen_or_is_no_message_is_counted(event: str) -> None:
    found = form({"EventType": event, "MessageSid": "IM1", "ConversationSid": "CH1", "Body": "Cold", "Author": INES})
    assert isinstance(found, Unsupported)
    assert found.keep_raw is False


def test_who_wrote_stop_is_not_answered() -> None:
    assert mention({**TEXT, "Body": "STOP", "OptOutType": "STOP"}).reply_capability == "none"
    assert mention(TEXT).reply_capability == "allowed"


def test_what_is_strange_in_a_batch_does_not_cost_the_others() -> None:
    streamed = {"type": IN, "data": {"messageSid": "SM1", "from": INES, "to": OURS, "body": "It is cold"}}
    asked = {"type": "com.twilio.voice.api-request.call.created", "data": {"request": {"parameters": {"To": INES}}}}
    events = parsed(json.dumps([17, asked, streamed, {"messageSid": "", "from": 3}]).encode())
    assert [event.type for event in events] == ["unsupported", "unsupported", "mention", "unsupported"]


@pytest.mark.parametrize("body", [b"", b"[]", b"hello=1", b"[1]", b'"a"', b"{}", b"\xff=1"])
def test_what_twilio_does_not_document_is_a_sentence(body: bytes) -> None:
    with pytest.raises(PayloadError, match=r"Twilio documents|UTF-8"):
        parsed(body)


def test_the_front_door_takes_twilios_documented_signature() -> None:
    """https://www.twilio.com/docs/usage/security#validating-requests"""
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    said = {"CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234"}
    raw = urlencode({**said, "From": "+14158675309", "To": "+18005551212"}).encode()
    request = Request("POST", {"x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}, raw, url=url)
    rules: Any = door.load("twilio")
    assert door.verify(rules, request, ["12345"])
    assert not door.verify(rules, request, ["12346"])
