"""Values as Twilio writes them: its three spellings of a name, its times, its callers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from connectors.core import reading
from connectors.core.door import read_json
from connectors.core.durations import spoken
from connectors.core.models import Author

Fields = Mapping[str, Any]
"""What was said, by the names of the form: `MessageSid`."""
_OUTCOMES = {
    "no-answer": ": nobody answered",
    "busy": ": the line was busy",
    "canceled": ": the caller hung up before it was answered",
    "failed": ": it could not be connected",
}
_VOUCHED = {"", "whatsapp", "rcs"}
"""Channels that know whose number it is; https://www.twilio.com/docs/messaging/channels"""


def flat(said: Any) -> dict[str, Any]:
    """The members of an object, `messageSid` and `message_sid` as `MessageSid`; also of one that is packed in a
    string, as `Attributes` are. Of a list, which a form's reader may make of each value, the first."""
    if isinstance(said, str) and said.startswith("{"):
        try:
            said = read_json(said.encode("utf-8", "replace"))
        except ValueError:
            return {}
    if not isinstance(said, dict):
        return {}
    found = {"".join(part[:1].upper() + part[1:] for part in name.split("_")): value for name, value in said.items()}
    return {name: value[0] if isinstance(value, list) and value else value for name, value in found.items()}


def first(said: Fields, *names: str) -> str | None:
    """The first of these that says something."""
    return next((text for name in names if (text := reading.text(said.get(name)))), None)


def at(said: Fields, *names: str) -> datetime | None:
    """The first of these that is a time. Event Streams and Conversations write ISO 8601, the others RFC 2822."""
    for value in (said.get(name) for name in names):
        try:
            if found := reading.moment(value) or (parsedate_to_datetime(value) if isinstance(value, str) else None):
                return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def caller(said: Fields) -> Author | None:
    """Who wrote or called; None where the number is withheld: all who do that are not one person.

    A number is somebody's where the network, or the channel, vouches for it: not in a conversation where our own
    software names the authors, nor where the caller's network found it forged (`StirVerstat`)."""
    sender = re.sub(r"(^|:) (?=[0-9]{6,15}$)", r"\1+", first(said, "From") or "").strip()  # a form's bare + is a space
    channel, _, number = sender.rpartition(":")
    if not number or reading.withheld(number) or len(sender) > reading.LONGEST_ID:
        return None
    forged = (first(said, "StirVerstat") or "").startswith("TN-Validation-Failed")
    source = (first(said, "Source") or "").upper() if {"ConversationSid", "ChannelSid"} & said.keys() else "SMS"
    vouched = channel in _VOUCHED and not forged and source in {"SMS", "WHATSAPP"}
    return Author(
        native_id=sender,
        handle=number,
        name=first(said, "ProfileName", "CallerName"),
        identity=reading.telephone(number) if vouched else None,
    )


def outcome(said: Fields, status: str | None) -> str:
    """What became of a call, in words; there are no others."""
    who, to, lasted = caller(said), first(said, "To"), reading.whole(said.get("CallDuration"))
    what = f"Call from {who.native_id if who else 'a withheld number'}{f' to {to}' if to else ''}"
    if status in _OUTCOMES:
        return f"{what}{_OUTCOMES[status]}."
    return f"{what}, {spoken(lasted)}." if status == "completed" and lasted else f"{what}."


def enclosed(said: Fields) -> str:
    """What came with a message that has no words."""
    kinds = [first(said, f"MediaContentType{number}") for number in range(10)]
    place = [first(said, name) for name in ("Label", "Address", "Latitude", "Longitude")]
    things = [*filter(None, kinds), *([f"place: {', '.join(filter(None, place))}"] if any(place) else [])]
    return f"({'; '.join(things)})" if things else ""


def count(said: Fields) -> dict[str, int | float]:
    """How long it took, in seconds, and how much came with it."""
    found = {"seconds": reading.whole(said.get("CallDuration")), "media": reading.whole(said.get("NumMedia"))}
    return {name: number for name, number in found.items() if number is not None and number >= 0}
