"""The Twilio source: texts, WhatsApp, calls, transcribed voice messages, and Conversations.

Three shapes say the same: a webhook's form (`MessageSid`), Event Streams' JSON (`messageSid`) and the API's (`sid`).
All are read by the form's names. https://www.twilio.com/docs/messaging/guides/webhook-request
https://www.twilio.com/docs/voice/twiml#request-parameters https://www.twilio.com/docs/conversations/conversations-webhooks
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import AfterValidator, BaseModel

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.identity import digest
from connectors.core.models import AnyEvent, Deletion, Mention, Unsupported
from connectors.core.reading import dig, listed
from connectors.core.signature import form_fields
from connectors.twilio.values import Fields, at, caller, count, enclosed, first, flat, outcome

CONNECTOR = "twilio"
_LISTS = {"messages": "MessageSid", "calls": "CallSid", "transcriptions": "TranscriptionSid"}
_KINDS = {"SM": "MessageSid", "MM": "MessageSid", "IM": "MessageSid", "CA": "CallSid", "TR": "TranscriptionSid"}
_TALK = ("onMessageAdded", "onMessageSent", "onMessageUpdated", "onMessageRemoved", "com.twilio.conversations.message.")
_UNKNOWN = "the body is nothing that Twilio documents"
_NOT_SENT = {"failed", "undelivered", "canceled", "scheduled"}
_OVER = {"completed", "busy", "no-answer", "failed", "canceled"}


def _account(value: str) -> str:
    if not re.fullmatch(r"AC[0-9a-fA-F]{32}", value):
        raise ValueError("is not an account's SID; it begins with AC and has 34 characters")
    return value


class TwilioSource(reading.Settings):
    """`Account`: our numbers and senders. `AnswerCalls`: whether a call is answered by a text."""

    account_sid: Annotated[str, AfterValidator(_account)]
    account: reading.Accounts = ()
    answer_calls: bool = False
    api_url: reading.Address = "https://api.twilio.com"


class _Place(NamedTuple):
    """Where something belongs: its id, its conversation, what it answers; its version."""

    sid: str | None
    talk: str | None = None
    parent: str | None = None
    version: int = 0


class Twilio:
    """One Twilio account; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = TwilioSource

    def __init__(self, settings: TwilioSource) -> None:
        self._accounts, self._answers_calls = settings.account, settings.answer_calls

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:  # noqa: ARG003
        """Any account: a SID is unique by itself."""
        return cls(TwilioSource(account_sid=f"AC{'0' * 32}", account=tuple(accounts)))

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The events in a webhook, a batch of Event Streams, or an answer of the API. Raises `PayloadError`."""
        is_json = delivery.body.lstrip()[:1] in (b"{", b"[")
        try:
            said = reading.json_of(delivery) if is_json else dict(reversed(form_fields(delivery.body)))
        except ValueError as error:
            raise PayloadError(f"{error}") from None
        events = self.read(said, delivery.received_at)
        if all(isinstance(event, Unsupported) and event.reason == _UNKNOWN for event in events):
            raise PayloadError(_UNKNOWN)
        return events

    def read(self, said: object, now: int = 0) -> list[AnyEvent]:
        """The same for what is read already; `now` in milliseconds, for what does not say when it happened."""
        return [self._event(fields, now) for fields in _unpacked(said)]

    def _event(self, said: Fields, now: int) -> AnyEvent:
        event = first(said, "EventType", "TranscriptionEvent")
        if event is not None:
            return self._talk(said, event, now) if event.startswith(_TALK) else _unsupported(event, "not acted on")
        if "TranscriptionSid" in said:
            return self._transcription(said)
        if {"MessageSid", "SmsSid", "SmsMessageSid"} & said.keys():
            return self._talk(said, "Added", now) if "ConversationSid" in said else self._message(said)
        if "CallSid" in said and {"CallStatus", "Status", "From"} & said.keys():
            return self._call(said)
        known = any(name.endswith("Sid") for name in said)
        return _unsupported("recording" if "RecordingSid" in said else "unnamed", "not acted on" if known else _UNKNOWN)

    def _message(self, said: Fields) -> AnyEvent:
        status, ours = first(said, "MessageStatus", "SmsStatus", "Status"), _outgoing(said)
        if status in _NOT_SENT or not (ours or status in {None, "received", "receiving"}):
            return _unsupported(f"message.{status}", "what became of a message, or one that did not go out")
        ends = sorted(filter(None, (first(said, "From"), first(said, "To"))))
        parent = reading.ident(said.get("OriginalRepliedMessageSid"))
        place = _Place(first(said, "MessageSid", "SmsSid", "SmsMessageSid"), f"pair-{digest(*ends)}", parent)
        return self._mention(said, place, ours=ours)

    def _call(self, said: Fields) -> AnyEvent:
        status, leg = first(said, "CallStatus", "Status"), reading.ident(said.get("ParentCallSid"))
        ours = _outgoing(said) or reading.is_own(self._accounts, caller(said))
        if ours and status not in {"completed", "in-progress"}:
            return _unsupported(f"call.{status}", "a call of ours, or a leg to one of ours, that nobody took")
        if spoken := first(said, "SpeechResult"):  # https://www.twilio.com/docs/voice/twiml/gather
            sid = reading.ident(said["CallSid"]) or ""
            place = _Place(f"{sid}:{digest(spoken)}", leg or sid, sid)
            return self._mention({**said, "Body": spoken, "Title": "Phone call"}, place, ours=ours, call=True)
        told = {**said, "Body": outcome(said, status), "Title": "Phone call"}
        return self._mention(told, _Place(first(said, "CallSid"), leg, leg, int(status in _OVER)), ours=ours, call=True)

    def _transcription(self, said: Fields) -> AnyEvent:
        status, words = first(said, "TranscriptionStatus", "Status"), first(said, "TranscriptionText")
        if status not in {None, "completed"} or words is None:
            return _unsupported(f"transcription.{status}", "a voice message that was not made out")
        told, call = {**said, "Body": words, "Title": "Voice message"}, reading.ident(said.get("CallSid"))
        place = _Place(first(said, "TranscriptionSid"), first(said, "ParentCallSid", "CallSid", "RecordingSid"), call)
        return self._mention(told, place, ours=_outgoing(said), call=True)

    def _talk(self, said: Fields, event: str, now: int) -> AnyEvent:
        """A message of Conversations, or of what came before them; without an author it is our software's."""
        sid, talk = reading.ident(said.get("MessageSid")), first(said, "ConversationSid", "ChannelSid")
        changed = at(said, "DateRemoved", "DateUpdated", "Timestamp")
        order = reading.millis(changed) or now
        if event.endswith(("Removed", "removed")) and sid:
            where = reading.ident(talk)
            return Deletion(connector=CONNECTOR, native_id=sid, conversation_id=where, deleted_at=changed, order=order)
        author = first(said, "Author", "From") or "system"
        told = {**said, "From": author, "Body": first(said, "Body", "MessageBody")}
        place = _Place(sid, talk, version=order if event.endswith(("Updated", "updated")) else 0)
        return self._mention(told, place, ours=author == "system")

    def _mention(self, said: Fields, place: _Place, *, ours: bool, call: bool = False) -> AnyEvent:
        native_id, author, parent = reading.ident(place.sid), caller(said), place.parent
        if native_id is None:
            return _unsupported("unnamed", "without an id")
        own, created = (
            ours or reading.is_own(self._accounts, author),
            at(said, "StartTime", "DateSent", "DateCreated", "Timestamp"),
        )
        return Mention(
            connector=CONNECTOR,
            native_id=native_id,
            conversation_id=reading.ident(place.talk) or native_id,
            parent_id=parent,
            kind="reply" if parent else "post",
            version=place.version,
            author=author.model_copy(update={"identity": None}) if own and author else author,
            title=first(said, "Title", "MessageSubject"),
            text=first(said, "Body") or enclosed(said),
            url=reading.web(first(said, "RecordingUrl", "MediaUrl0")),
            created_at=created,
            metrics=count(said),
            reply_capability="none" if own or not self._reaches(said, author, call) else "allowed",
            own=own,
            answer_key=reading.ident(flat(said.get("Attributes")).get("Hailback")),
            order=reading.millis(created),
        )

    def _reaches(self, said: Fields, author: Any, call: bool) -> bool:
        """Whether an answer would reach somebody: a name is no number, and who wrote STOP wants none."""
        if {"ConversationSid", "ChannelSid"} & said.keys():
            return "ConversationSid" in said
        if author is None or first(said, "OptOutType") == "STOP":
            return False
        return bool(self._answers_calls and author.identity) if call else bool(re.search(r"\d{3}", author.native_id))


def _unsupported(event: str, reason: str) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event[:100], reason=reason, keep_raw=False)


def _outgoing(said: Fields) -> bool:
    return (first(said, "Direction") or "").startswith("outbound")


def _unpacked(said: Any) -> Iterator[Fields]:
    """Each thing in it, by the names of the form."""
    if isinstance(said, list):
        for one in said:
            yield from _unpacked(one)
    elif not isinstance(said, dict):
        yield {}
    elif name := next((name for name in _LISTS if isinstance(said.get(name), list)), None):
        for one in listed(said, name):
            yield {_LISTS[name]: dig(one, "sid"), **_named(flat(one))}
    elif "data" in said:  # a CloudEvent
        event, called = reading.text(said.get("type")) or "unnamed", flat(dig(said, "data", "request", "parameters"))
        inside = called if "CallSid" in called else flat(said["data"])
        yield inside if "CallSid" in called or ".inbound-message." in event else {**inside, "EventType": event}
    else:
        yield _named(flat(said))


def _named(said: Fields) -> Fields:
    """A thing of the API, by the names of the form. Its `duration` is in seconds, the form's in minutes."""
    sid = first(said, "Sid")
    if sid is None:
        return said
    lasted = {"CallDuration": said["Duration"]} if "Duration" in said else {}
    return {**said, _KINDS.get(sid[:2], "RecordingSid" if sid.startswith("RE") else "Sid"): sid, **lasted}
