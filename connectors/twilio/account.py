"""Our Twilio account: what came in that no webhook told, and what we answer. https://www.twilio.com/docs/usage/api"""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, Field, SecretStr

from connectors.api import Api, MissingError, posted
from connectors.core import reading
from connectors.core.errors import RejectedError, RemoteError, UnavailableError, UnknownOutcomeError
from connectors.core.feeds import Listing, walk
from connectors.core.health import TokenHealth
from connectors.core.models import AnyEvent, Mention
from connectors.core.ports import Page, Reference, Tier
from connectors.core.reading import dig, listed
from connectors.http import HttpClient, Response
from connectors.twilio.connector import Twilio, TwilioSource
from connectors.twilio.values import at, flat

_AGAIN = 300.0
_OPTED_OUT = re.compile(rb'"code":\s*21610\b')


class TwilioCredentials(reading.Credentials):
    """The secret `<Secret>/credentials`: `{"api_key": "SK…", "api_secret": "…"}`, of a standard or restricted key."""

    api_key: str = Field(min_length=1)
    api_secret: SecretStr = Field(min_length=1)


class TwilioAccount:
    """Satisfies `SourcePoller`, `SourceReplier` and `Checker`."""

    settings_model: ClassVar[type[BaseModel]] = TwilioSource
    credentials_model: ClassVar[type[BaseModel]] = TwilioCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = TwilioCredentials
    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 60.0

    def __init__(self, settings: TwilioSource, credentials: TwilioCredentials, http: HttpClient) -> None:
        pair = f"{credentials.api_key}:{credentials.api_secret.get_secret_value()}"
        headers = {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        self._api = Api(http, settings.api_url, headers, dialect=_dialect)
        self._talks = Api(http, settings.api_url.replace("//api.", "//conversations.", 1), headers, dialect=_dialect)
        self._root, self._reads = f"/2010-04-01/Accounts/{settings.account_sid}", Twilio(settings)

    def poll(self, cursor: str | None) -> Page:
        """Messages, calls and transcriptions, ours too: a person may have answered there."""
        lists = {name: self._list(name) for name in ("Messages", "Calls", "Transcriptions")}
        page = walk(cursor, lists, int(time.time() * 1000), again=_AGAIN, rest=lambda: self._api.rest)
        return replace(page, events=[self._placed(event) for event in page.events])

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        """A message in the conversation, or a text from the number that was written to or called."""
        if mention.reply_capability != "allowed":
            raise RejectedError("this takes no written answer; call back, if the number is known")
        if mention.native_id.startswith("IM"):
            mark = {"Body": reading.clean(text), "Attributes": json.dumps({"hailback": key})}
            answer = self._talks.post(f"/v1/Conversations/{mention.conversation_id}/Messages", form=mark)
            return Reference(posted(answer, "sid"), reading.web(dig(answer, "url")) or self._talks.base)
        ours, theirs, _ = self._ends(mention)
        said = {"From": ours, "To": theirs, "Body": reading.clean(text)}
        sid = posted(self._api.post(f"{self._root}/Messages.json", form=said), "sid")
        return Reference(sid, f"{self._api.base}{self._root}/Messages/{sid}.json")

    def find_reply(self, mention: Mention, key: str) -> Reference | None:
        """A message of Conversations carries its key. A text carries none: if we wrote to that number since, it may be
        this answer or another, and nobody can tell: UnknownOutcomeError."""
        if mention.native_id.startswith("IM"):
            path = f"/v1/Conversations/{mention.conversation_id}/Messages"
            said = self._talks.get(path, {"Order": "desc", "PageSize": 50})
            mine = (one for one in _things(said, "messages") if dig(flat(dig(one, "attributes")), "Hailback") == key)
            found = next(mine, None)
            return (
                Reference(posted(found, "sid"), reading.web(dig(found, "url")) or self._talks.base) if found else None
            )
        ours, theirs, asked = self._ends(mention)
        sought = {
            "From": ours,
            "To": theirs,
            "DateSent>": f"{asked:%Y-%m-%dT%H:%M:%SZ}" if asked else None,
            "PageSize": 100,
        }
        for one in _things(self._api.get(f"{self._root}/Messages.json", sought), "messages"):
            sent = at(flat(one), "DateCreated")
            if dig(one, "status") != "failed" and not (asked and sent and sent < asked):
                raise UnknownOutcomeError(
                    "we wrote to this number since, and a text does not tell whether it is this answer"
                )
        return None

    def check(self) -> TokenHealth:
        """See `Checker`."""
        return self._api.health(
            f"{self._root}/Messages.json",
            {"PageSize": 1},
            lambda said: None if dig(said, "messages") is not None else "no",
        )

    def _list(self, name: str) -> Listing:
        def listing(after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
            said = self._api.get(*((after,) if after else (f"{self._root}/{name}.json", {"PageSize": 50})))
            _things(said, name.lower())
            return self._reads.read(said), reading.text(dig(said, "next_page_uri"))

        return listing

    def _placed(self, event: AnyEvent) -> AnyEvent:
        """A transcription in the conversation of its call, which its recording names."""
        if not isinstance(event, Mention) or not event.native_id.startswith("TR") or event.parent_id:
            return event
        try:
            sid = dig(self._api.get(f"{self._root}/Recordings/{event.conversation_id}.json"), "call_sid")
            call = next(iter(self._reads.read(self._api.get(f"{self._root}/Calls/{sid}.json"))), None)
        except MissingError:
            return event
        if not isinstance(call, Mention):
            return event
        told = {name: getattr(call, name) for name in ("conversation_id", "author", "own", "reply_capability")}
        return event.model_copy(update={**told, "parent_id": call.native_id, "kind": "reply"})

    def _ends(self, mention: Mention) -> tuple[str, str, datetime | None]:
        """Our number, the person's, and when they wrote or called."""
        sid = mention.parent_id if mention.native_id.startswith("TR") else mention.native_id.partition(":")[0]
        said = self._api.get(f"{self._root}/{'Calls' if f'{sid}'.startswith('CA') else 'Messages'}/{sid}.json")
        ours, theirs = reading.text(dig(said, "to")), reading.text(dig(said, "from"))
        if ours is None or theirs is None:
            raise UnavailableError("Twilio did not say between which numbers that was")
        return ours, theirs, at(flat(said), "DateCreated")


def _things(said: Any, name: str) -> list[Any]:
    if not isinstance(dig(said, name), list):
        raise UnavailableError("Twilio did not answer as it does")
    return listed(said, name)


def _dialect(answer: Response) -> RemoteError | None:
    opted_out = answer.status == 400 and _OPTED_OUT.search(answer.body)
    return RejectedError("this person has opted out of our texts (STOP)") if opted_out else None
