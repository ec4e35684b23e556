"""Our account at a Twilio that keeps state: what a poll brings, and that an answer goes out once or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest

from connectors.core.errors import MisconfiguredError, RejectedError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.models import AnyEvent, Mention
from connectors.twilio.connector import Twilio, TwilioSource
from tests.twilio.contract import OURS
from tests.twilio.exchange import INES, Exchange

KEY = "hailback-q2v7mnb4xk5ztc3apwd6rjhy"


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    made = Exchange()
    with made.serve(), patch("time.time", lambda: made.clock):
        yield made


def mentions(events: Any) -> list[Mention]:
    assert all(isinstance(one, Mention) for one in events)
    return list(events)


def read(said: Any) -> Mention:
    found: AnyEvent = Twilio.for_parse((OURS,)).read(said)[0]
    assert isinstance(found, Mention)
    return found


def test_a_poll_brings_what_no_webhook_told_and_nothing_twice(exchange: Exchange) -> None:
    exchange.text("Before we were here", date_sent="Mon, 02 Nov 2026 08:00:00 +0000")
    account = exchange.account()
    first = account.poll(None)
    assert list(first.events) == []
    exchange.clock += 60
    for number in range(5):
        exchange.text(f"Number {number}")
    call = exchange.call(status="no-answer")
    exchange.clock += 60
    page = account.poll(first.cursor)
    texts = [one.text for one in mentions(page.events)]
    assert texts == [*(f"Number {number}" for number in range(5)), f"Call from {INES} to {OURS}: nobody answered."]
    assert mentions(page.events)[-1].id == f"twilio:{call['sid']}"
    assert list(account.poll(page.cursor).events) == []


def test_a_transcription_joins_its_call_and_its_caller(exchange: Exchange) -> None:
    account = exchange.account()
    first = account.poll(None)
    call = exchange.call()
    exchange.voicemail(call, "Please call me back.")
    found = {one.title: one for one in mentions(account.poll(first.cursor).events)}
    words = found["Voice message"]
    assert words.text == "Please call me back."
    assert words.parent_id == words.conversation_id == call["sid"]
    assert words.author is not None
    assert words.author.identity == f"tel:{INES}"


def test_a_transcription_whose_recording_was_deleted_is_told_all_the_same(exchange: Exchange) -> None:
    account = exchange.account()
    first = account.poll(None)
    exchange.voicemail(exchange.call(), "Please call me back.")
    exchange.recordings.clear()
    assert "Please call me back." in [one.text for one in mentions(account.poll(first.cursor).events)]


def test_what_a_person_of_ours_wrote_there_is_our_own(exchange: Exchange) -> None:
    account = exchange.account()
    first = account.poll(None)
    exchange.text("It is cold")
    exchange.text("We come today", OURS, INES)
    asked, answered = mentions(account.poll(first.cursor).events)
    assert (asked.own, answered.own) == (False, True)
    assert asked.conversation == answered.conversation


def test_an_answer_is_a_text_from_the_number_that_was_written_to(exchange: Exchange) -> None:
    asked = read(exchange.text("It is cold"))
    sent = exchange.account().reply(asked, "We come today.", KEY)
    made = exchange.things["messages"][0]
    assert (made["from"], made["to"], made["body"], made["sid"]) == (OURS, INES, "We come today.", sent.id)


def test_an_answer_of_unknown_outcome_is_held_where_it_may_have_gone_out_and_sent_where_not(exchange: Exchange) -> None:
    exchange.text("An older answer", OURS, INES)
    exchange.clock += 60
    asked, account = read(exchange.text("It is cold")), exchange.account()
    assert account.find_reply(asked, KEY) is None
    exchange.clock += 60
    exchange.lost = 1
    with pytest.raises(UnknownOutcomeError):
        account.reply(asked, "We come today.", KEY)
    with pytest.raises(UnknownOutcomeError, match="whether it is this answer"):
        account.find_reply(asked, KEY)
    assert [one["body"] for one in exchange.things["messages"]].count("We come today.") == 1


def test_a_message_of_a_conversation_is_found_by_its_key(exchange: Exchange) -> None:
    said = {
        "EventType": "onMessageAdded",
        "MessageSid": "IM1",
        "ConversationSid": "CH1",
        "Author": INES,
        "Body": "Cold",
    }
    asked, account = read({**said, "Source": "SMS"}), exchange.account()
    exchange.lost = 1
    with pytest.raises(UnknownOutcomeError):
        account.reply(asked, "We come today.", KEY)
    found = account.find_reply(asked, KEY)
    assert found is not None
    assert found.id == exchange.talks[0]["sid"]
    assert account.find_reply(asked, "hailback-another") is None
    added = {**said, "MessageSid": found.id, "Author": "system", "Attributes": exchange.talks[0]["attributes"]}
    assert read(added).answer_key == KEY
    assert read(added).own


def test_a_call_is_answered_by_a_text_only_where_that_is_wanted(exchange: Exchange) -> None:
    call = exchange.call()
    with pytest.raises(RejectedError, match="call back"):
        exchange.account().reply(read(call), "We come today.", KEY)
    wanted = Twilio(TwilioSource(account_sid=f"AC{'0' * 32}", answer_calls=True))
    heard = wanted.read(call)[0]
    assert isinstance(heard, Mention)
    exchange.account(answer_calls=True).reply(heard, "We come today.", KEY)
    assert exchange.things["messages"][0]["to"] == INES
    spoken = wanted.read({"CallSid": call["sid"], "From": INES, "To": OURS, "SpeechResult": "It is cold"})[0]
    assert isinstance(spoken, Mention)
    exchange.account(answer_calls=True).reply(spoken, "We come tomorrow.", KEY)
    assert [one["to"] for one in exchange.things["messages"]] == [INES, INES]
    withheld = wanted.read(exchange.call(sender="+266696687"))[0]
    assert isinstance(withheld, Mention)
    assert withheld.reply_capability == "none"


def test_who_has_opted_out_is_not_written_to(exchange: Exchange) -> None:
    asked = read(exchange.text("It is cold"))
    exchange.opted_out.add(INES)
    with pytest.raises(RejectedError, match="STOP"):
        exchange.account().reply(asked, "We come today.", KEY)


def test_credentials_are_tried_out_without_an_effect(exchange: Exchange) -> None:
    assert exchange.account().check().state is TokenState.OK
    cursor = exchange.account().poll(None).cursor
    exchange.secret = "another by now"
    assert exchange.account().check().state is TokenState.REVOKED
    with pytest.raises(MisconfiguredError):
        exchange.account().poll(cursor)
    assert {call.method for call in exchange.calls} == {"GET"}
