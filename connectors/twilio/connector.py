"""The Twilio source: texts, WhatsApp, calls, transcribed voice messages, and Conversations.

Three shapes say the same: a webhook's form (`MessageSid`), Event Streams' JSON (`messageSid`) and the API's (`sid`).
All are read by the form's names. https://www.twilio.com/docs/messaging/guides/webhook-request
https://www.twilio.com/docs/voice/twiml#request-parameters https://www.twilio.com/docs/conversations/conversations-webhooks
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.identity import digest
from connectors.core.models import AnyEvent, Deletion, Mention, Unsupported
from connectors.core.reading import dig, listed
from connectors.core.signature import form_fields
from connectors.twilio.values import Fields, at, caller, count, enclosed, first, flat, outcome, outgoing

CONNECTOR = "twilio"
_LISTS = {"messages": "MessageSid", "calls": "CallSid", "transcriptions": "TranscriptionSid"}
_KINDS = {"SM": "MessageSid", "MM": "MessageSid", "IM": "MessageSid", "CA": "CallSid", "TR": "TranscriptionSid"}
_CAME = {None, "received", "receiving"}
_NOT_SENT = {"failed", "undelivered", "canceled", "scheduled"}
_OVER = {"completed", "busy", "no-answer", "failed", "canceled"}
_SAID = {"onmessageadded", "onmessagesent", "onmessageupdated", "added", "updated"}


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
        if delivery.body.lstrip()[:1] in (b"{", b"["):
            return self.read(reading.json_of(delivery), delivery.received_at)
        try:
            return self.read(dict(reversed(form_fields(delivery.body))), delivery.received_at)
        except ValueError as error:
            raise PayloadError(f"{error}") from None

    def read(self, said: object, now: int = 0) -> list[AnyEvent]:
        """The same for what is read already; `now` in milliseconds, for what does not say when it happened."""
        return [self._event(fields, now) for fields in _unpacked(said)]

    def _event(self, said: Fields, now: int) -> AnyEvent:
        event = first(said, "EventType", "TranscriptionEvent")
        if event is None and "TranscriptionSid" in said:
            return self._transcription(said)
        if event is None and ("MessageSid" in said or "SmsSid" in said or "SmsMessageSid" in said):
            return self._talk(said, "added", now) if "ConversationSid" in said else self._message(said)
        if event is None and "CallSid" in said and ("CallStatus" in said or "Status" in said or "From" in said):
            return self._call(said)
        if event and (event.startswith(("onMessage", "com.twilio.conversations.message."))):
            return self._talk(said, event.rsplit(".", 1)[-1].lower(), now)
        known = event or ("recording" if {"RecordingSid", "RecordingStatus"} & said.keys() else None)
        if known is None and not any(name.endswith("Sid") for name in said):
            raise PayloadError("the body is nothing that Twilio documents")
        return _unsupported(known or "unnamed", "not acted on")

    def _message(self, said: Fields) -> AnyEvent:
        sid, status = first(said, "MessageSid", "SmsSid", "SmsMessageSid"), first(said, "MessageStatus", "SmsStatus")
        ours, status = outgoing(said), status or first(said, "Status")
        if status in _NOT_SENT or not (ours or status in _CAME):
            return _unsupported(f"message.{status}"[:100], "what became of a message, or one that did not go out")
        pair = sorted(filter(None, (first(said, "From"), first(said, "To"))))
        parent = reading.ident(said.get("OriginalRepliedMessageSid"))
        found = self._mention(said, sid, f"pair-{digest(*pair)}" if pair else None, parent, ours=ours)
        stopped = first(said, "OptOutType") == "STOP"
        return (
            found.model_copy(update={"reply_capability": "none"}) if stopped and isinstance(found, Mention) else found
        )

    def _call(self, said: Fields) -> AnyEvent:
        status, leg = first(said, "CallStatus", "Status"), reading.ident(said.get("ParentCallSid"))
        ours = outgoing(said) or self._is_ours(said)
        if ours and status not in {"completed", "in-progress"}:
            return _unsupported(f"call.{status}"[:100], "a call of ours, or a leg to one of ours, that nobody took")
        words, version = outcome(said, status), int(status in _OVER)
        return self._mention({**said, "Body": words}, said["CallSid"], leg, leg, ours=ours, version=version, call=True)

    def _transcription(self, said: Fields) -> AnyEvent:
        status = first(said, "TranscriptionStatus", "Status")
        if status not in {None, "completed"} or not first(said, "TranscriptionText"):
            return _unsupported(f"transcription.{status}"[:100], "a voice message that was not made out")
        call, words = reading.ident(said.get("CallSid")), {"Body": said["TranscriptionText"], "Title": "Voice message"}
        where = reading.ident(said.get("ParentCallSid")) or call or reading.ident(said.get("RecordingSid"))
        ours = outgoing(said)
        return self._mention({**said, **words}, said["TranscriptionSid"], where, call, ours=ours, call=True)

    def _talk(self, said: Fields, event: str, now: int) -> AnyEvent:
        """A message of Conversations. Whose number it is, Twilio tells with its `Source` only."""
        sid, talk = reading.ident(said.get("MessageSid")), first(said, "ConversationSid", "ChannelSid")
        changed = at(said, "DateRemoved", "DateUpdated", "Timestamp")
        if event in {"onmessageremoved", "removed"} and sid:
            order = reading.millis(changed) or now
            return Deletion(
                connector=CONNECTOR, native_id=sid, conversation_id=reading.ident(talk), deleted_at=changed, order=order
            )
        if event not in _SAID:
            return _unsupported(event, "not acted on")
        version = (reading.millis(changed) or now) if "updated" in event else 0
        author = {"From": first(said, "Author", "From"), "Body": first(said, "Body", "MessageBody") or ""}
        return self._mention({**said, **author}, sid, talk, None, ours=author["From"] == "system", version=version)

    def _is_ours(self, said: Fields) -> bool:
        return reading.is_own(self._accounts, caller(said))

    def _mention(
        self,
        said: Fields,
        sid: object,
        conversation: str | None,
        parent: str | None,
        *,
        ours: bool,
        version: int = 0,
        call: bool = False,
    ) -> AnyEvent:
        native_id, author = reading.ident(sid), caller(said)
        if native_id is None:
            return _unsupported("unnamed", "without an id")
        own, created = ours or self._is_ours(said), at(said, "StartTime", "DateSent", "DateCreated", "Timestamp")
        reachable = author is not None and (author.identity or not call) and re.search(r"\d{3}", author.native_id)
        talk = conversation if native_id.startswith("IM") else None
        return Mention(
            connector=CONNECTOR,
            native_id=native_id,
            conversation_id=reading.ident(conversation) or native_id,
            parent_id=parent,
            kind="reply" if parent else "post",
            version=version,
            author=author.model_copy(update={"identity": None}) if own and author else author,
            title=reading.text(
                said.get("Title") or said.get("MessageSubject") or ("Phone call" if call else None), 200
            ),
            text=reading.text(said.get("Body")) or enclosed(said),
            url=reading.web(first(said, "RecordingUrl", "MediaUrl0")),
            created_at=created,
            metrics=count(said),
            reply_capability="allowed"
            if not own and (talk or reachable) and (self._answers_calls or not call)
            else "none",
            own=own,
            answer_key=reading.ident(dig(flat(said.get("Attributes")), "Hailback")),
            order=reading.millis(created),
        )


def _unsupported(event: str, reason: str) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=reading.clean(event)[:100], reason=reason, keep_raw=False)


def _unpacked(said: Any) -> Iterator[Fields]:
    """Each thing in it, by the names of the form."""
    if isinstance(said, list):
        for one in said:
            yield from _unpacked(one)
    elif name := next((name for name in _LISTS if isinstance(dig(said, name), list)), None):
        for one in listed(said, name):
            yield {_LISTS[name]: dig(one, "sid"), **_answered(flat(one))}
    elif isinstance(said, dict) and "data" in said:  # a CloudEvent
        inside, event = flat(dig(said, "data", "request", "parameters") or dig(said, "data")), dig(said, "type")
        told = isinstance(event, str) and ".inbound-message." not in event and ".call." not in event
        yield {**inside, "EventType": event} if told else inside
    elif isinstance(said, dict):
        yield _answered(flat(said))
    else:
        raise PayloadError("the body is nothing that Twilio documents")


def _answered(said: Fields) -> Fields:
    """The API's names of an object, as the form has them; what it calls `duration` is in seconds there."""
    sid = said.get("Sid")
    if not isinstance(sid, str):
        return said
    name = _KINDS.get(sid[:2], "RecordingSid" if sid.startswith("RE") else "Sid")
    return {**said, name: sid, **({"CallDuration": said["Duration"]} if "Duration" in said else {})}
