"""The Amazon Connect source: contact events of EventBridge, and contacts as Connect's API answers them.

An event says what happened to a contact, never what was said, and mostly not who called: `AskCaller` fetches that.
Names come as `contactId` and as `ContactId`; a time of 1970 is none. Events are late, double and out of order.
https://docs.aws.amazon.com/connect/latest/adminguide/contact-events.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, Field

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.durations import spoken
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Author, Hint, Mention, Unsupported
from connectors.core.reading import listed

CONNECTOR = "amazon_connect"
_NOUNS = {"VOICE": "phone call", "CHAT": "chat", "EMAIL": "email"}
_WHEN = {
    "INITIATED": ("initiationTimestamp",),
    "QUEUED": ("queueInfo", "enqueueTimestamp"),
    "CONNECTED_TO_AGENT": ("agentInfo", "connectedToAgentTimestamp"),
    "DISCONNECTED": ("disconnectTimestamp",),
}
"""The events that are told, each with the time of what it tells."""
_OURS = {"OUTBOUND", "AGENT_REPLY"}
_NOBODYS = {"MONITOR", "EXTERNAL_OUTBOUND", "FLOW"}
"""A supervisor who listens in, a call to a third party, an automatic email."""
_ARN = re.compile(r"arn:aws[a-z-]*:connect:(?P<region>[a-z0-9-]+):[0-9]{12}:instance/(?P<id>[0-9A-Za-z-]{1,100})")
_ANY = "arn:aws:connect:us-east-1:000000000000:instance/any"


def _instance(value: str) -> str:
    if not _ARN.fullmatch(value):
        raise ValueError("is not an instance's ARN, as Connect's console shows it")
    return value


class AmazonConnectSource(reading.Settings):
    """`Instance`: its ARN. `TaskFlow`: the id of the flow that takes callback tasks; without it nothing is answered.
    `AskCaller`: whether to fetch who called. `AgentAnswers`: whether a contact that an agent takes counts as answered.
    `AccessUrl`: where agents sign in."""

    instance: Annotated[str, AfterValidator(_instance)]
    task_flow: str | None = Field(default=None, min_length=1, max_length=500)
    ask_caller: bool = True
    agent_answers: bool = True
    access_url: reading.Address | None = None
    api_url: reading.Address | None = None

    @property
    def place(self) -> tuple[str, str]:
        """The instance's region and its id there."""
        return self.instance.split(":")[3], self.instance.rpartition("/")[2]


class AmazonConnect:
    """One instance; satisfies `Receiver` and `Listener`."""

    settings_model: ClassVar[type[BaseModel]] = AmazonConnectSource

    def __init__(self, settings: AmazonConnectSource, accounts: Sequence[str] = ()) -> None:
        self._settings, self._accounts = settings, accounts

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:
        """Any instance, or the one whose ARN is the authority; events as they are, whatever a source makes of them."""
        bare = AmazonConnectSource(instance=authority or _ANY, task_flow="any", ask_caller=False, agent_answers=False)
        return cls(bare, accounts)

    def concerns(self, delivery: Delivery) -> bool:
        """See `Listener`."""
        try:
            said = reading.json_of(delivery)
        except PayloadError:
            return False
        return bool(_dig(_dig(said, "detail") or said, "instanceArn") == self._settings.instance)

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The event, or the contacts of an answer. Raises `PayloadError`."""
        said = reading.body_of(delivery)
        if contacts := listed(said, "Contacts"):
            return [self.contact(contact) for contact in contacts]
        if contact := said.get("Contact"):
            return [self.contact(contact)]
        detail = _dig(said, "detail") or said
        named = (
            reading.text(_dig(one, name), 100)
            for one, name in ((detail, "eventType"), (said, "detail-type"), (said, "name"))
        )
        event = next(filter(None, named), "unnamed" if _dig(detail, "contactId") else None)
        if event is None:
            raise PayloadError("the body is no event of Amazon Connect")
        return [self.event(detail, event, _dig(said, "time"))]

    def contact(self, contact: Any, event: str | None = None) -> AnyEvent:
        """A contact of the API as the event that told of it, else the last one that happened to it."""
        last = next((name for name in reversed(_WHEN) if _time(contact, *_WHEN[name])), "INITIATED")
        arn = reading.text(_dig(contact, "arn")) or ""
        described = {**contact, "contactId": _dig(contact, "id")} if isinstance(contact, dict) else {}
        return self.event({**described, "instanceArn": arn.partition("/contact/")[0]}, event or last)

    def event(self, detail: Any, event: str, time: object = None) -> AnyEvent:
        """What one event, or a contact in its place, comes to."""
        native_id, mine = reading.ident(_dig(detail, "contactId")), self._settings.instance
        channel, how = (f"{_dig(detail, name) or ''}".upper() for name in ("channel", "initiationMethod"))
        if event not in _WHEN or native_id is None:
            return _unsupported(event, "without a contact's id" if event in _WHEN else "not acted on")
        if channel == "TASK" or how in _NOBODYS:
            return _unsupported(event, "a contact of agents among themselves, such as a task")
        taken, late = _time(detail, *_WHEN["CONNECTED_TO_AGENT"]), event in {"CONNECTED_TO_AGENT", "DISCONNECTED"}
        ours = how in _OURS or (how == "API" and channel == "VOICE")
        if ours and not (late and (taken or _time(detail, "connectedToSystemTimestamp"))):
            return _unsupported(event, "we call or write, and nobody has answered yet")
        answered = self._settings.agent_answers and late and taken is not None
        author = _system(detail) if ours else _agent(detail) if answered else _customer(detail)
        where = reading.uri(_dig(detail, "instanceArn")) or (mine if mine != _ANY else None)
        if not (ours or answered or author) and self._settings.ask_caller:
            return Hint(
                connector=CONNECTOR, authority=where, event=event, native_id=f"{native_id}:{event}", about=native_id
            )
        chain = ("initialContactId", "previousContactId", "relatedContactId")
        initial, previous, related = (reading.ident(_dig(detail, name)) for name in chain)
        at, noun = _time(detail, *_WHEN[event]) or reading.moment(time), _NOUNS.get(channel, "contact")
        own, page = ours or answered or reading.is_own(self._accounts, author), self._settings.access_url
        return Mention(
            connector=CONNECTOR,
            authority=where,
            native_id=f"{native_id}:{event}",
            conversation_id=initial or previous or related or native_id,
            parent_id=previous or related,
            kind="reply" if previous or related else "post",
            author=author,
            title=noun.capitalize(),
            place=(reading.text(_dig(_dig(detail, "queueInfo"), "queueArn")) or "").rpartition("/")[2] or None,
            text=_words(detail, event, noun),
            url=page and f"{page}/contact-trace-records/details/{native_id}",
            created_at=at,
            metrics=_lasted(detail, event),
            reply_capability="none" if own or self._settings.task_flow is None else "allowed",
            own=own,
            order=reading.millis(at),
        )


def _unsupported(event: str, reason: str) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event, reason=reason, keep_raw=False)


def _dig(value: Any, *steps: str) -> Any:
    """As `reading.dig`, whether a name is `instanceArn`, `InstanceArn` or, as it once was, `InstanceARN`."""
    for step in steps:
        upper = step[0].upper() + step[1:]
        names = (step, upper, upper.replace("Arn", "ARN"))
        value = next((found for name in names if (found := reading.dig(value, name)) is not None), None)
    return value


def _time(detail: Any, *steps: str) -> datetime | None:
    found = reading.moment(_dig(detail, *steps))
    return found if found and found.year > 1970 else None


def _customer(detail: Any) -> Author | None:
    """Whose number or address it is; else the customer's number in a CRM, which a flow has found out."""
    point = _dig(detail, "customerEndpoint")
    address = reading.text(_dig(point, "address"), reading.LONGEST_ID)
    if address is None or reading.withheld(address):
        known = reading.ident(_dig(detail, "customerId"))
        return Author(native_id=known) if known else None
    phone, name = _dig(point, "type") in ("TELEPHONE_NUMBER", None), reading.text(_dig(point, "displayName"))
    return Author(native_id=address, handle=address, name=name, identity=reading.telephone(address) if phone else None)


def _system(detail: Any) -> Author | None:
    """The number or address of ours that was called from, or called."""
    tagged = reading.dig(_dig(detail, "tags"), "aws:connect:systemEndpoint")
    address = reading.text(_dig(detail, "systemEndpoint", "address") or tagged, reading.LONGEST_ID)
    return Author(native_id=address, handle=address) if address else None


def _agent(detail: Any) -> Author | None:
    arn = reading.text(_dig(detail, "agentInfo", "agentArn")) or ""
    found = reading.ident(arn.rpartition("/")[2] or _dig(detail, "agentInfo", "id"))
    return Author(native_id=found) if found else None


def _lasted(detail: Any, event: str) -> dict[str, int | float]:
    """Seconds from its beginning until this event."""
    begun, at = _time(detail, *_WHEN["INITIATED"]), _time(detail, *_WHEN[event])
    return {"seconds": round((at - begun).total_seconds())} if begun and at and at > begun else {}


def _words(detail: Any, event: str, noun: str) -> str:
    """What happened, since there are no words: an event has no transcript."""
    ours, lasted = _system(detail), _lasted(detail, event)
    after = f" after {spoken(int(lasted['seconds']))}" if lasted else ""
    match event:
        case "INITIATED" if _dig(detail, "previousContactId"):
            return f"The {noun} was passed on."
        case "INITIATED":
            return f"{'An' if noun[0] in 'aeiou' else 'A'} {noun} came in{f' at {ours.native_id}' if ours else ''}."
        case "QUEUED":
            return f"The {noun} waits in a queue."
        case "CONNECTED_TO_AGENT":
            return f"An agent took the {noun}{after}."
    taken = "an" if _time(detail, *_WHEN["CONNECTED_TO_AGENT"]) else "no"
    return f"The {noun} ended{after}; {taken} agent had taken it. There is no transcript."
