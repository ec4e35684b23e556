"""A Connect instance's API: who called, contacts whose end was not told, and callback tasks as answers.

https://docs.aws.amazon.com/connect/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from connectors.amazon_connect.connector import AmazonConnect, AmazonConnectSource
from connectors.api import Api, MissingError, posted
from connectors.core import reading
from connectors.core.errors import RejectedError, RemoteError, UnavailableError
from connectors.core.feeds import walk
from connectors.core.health import TokenHealth
from connectors.core.models import AnyEvent, Hint, Mention
from connectors.core.ports import Page, Reference, Tier
from connectors.core.reading import dig
from connectors.http import HttpClient, Response
from connectors.sigv4 import AwsCredentials, signed

_AGAIN = 600.0
_LATE = 1800
"""Seconds that an event may take: what ended later than that is not asked for yet, so that its event comes first."""
_WEEK = 7 * 86_400
_LONGEST = 4096


class AmazonConnectAccount:
    """Satisfies `SourcePoller`, `SourceReplier`, `Resolver` and `Checker`."""

    settings_model: ClassVar[type[BaseModel]] = AmazonConnectSource
    credentials_model: ClassVar[type[BaseModel]] = AwsCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = AwsCredentials
    tier: ClassVar[Tier] = Tier.KEY
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 60.0

    def __init__(self, settings: AmazonConnectSource, credentials: AwsCredentials, http: HttpClient) -> None:
        region, self._instance = settings.place
        base = settings.api_url or f"https://connect.{region}.amazonaws.com"
        self._api = Api(signed(http, "connect", region, credentials), base, dialect=_dialect)
        self._settings, self._reads = settings, AmazonConnect(settings.model_copy(update={"ask_caller": False}))

    def poll(self, cursor: str | None) -> Page:
        """Contacts that have ended a while ago. Who called is not among what a search tells."""
        now = int(time.time() * 1000)
        return walk(cursor, {"ended": self._ended}, now, again=_AGAIN, overlap=2 * _LATE, rest=lambda: self._api.rest)

    def resolve(self, hint: Hint) -> Sequence[AnyEvent]:
        """What an event told of, with the number or address of whoever called or wrote."""
        try:
            contact = dig(self._api.get(f"/contacts/{self._instance}/{hint.about}"), "Contact")
        except MissingError:
            raise UnavailableError("the contact cannot be described yet") from None
        if not isinstance(contact, dict):
            raise UnavailableError("Connect did not describe the contact")
        return [self._reads.contact(contact, hint.event)]

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        """A task for an agent: call back, and say this. Connect returns the first task for a key that comes again."""
        words = reading.clean(text)
        if mention.reply_capability != "allowed":
            raise RejectedError("this contact is not answered by a callback task; TaskFlow says by which flow")
        if len(words) > _LONGEST:
            raise RejectedError(f"a task's description holds {_LONGEST} characters; shorten the answer")
        who = mention.author.handle if mention.author and mention.author.handle else "the customer"
        said = {
            "InstanceId": self._instance,
            "ContactFlowId": self._settings.task_flow,
            "RelatedContactId": mention.native_id.partition(":")[0],
            "Name": f"Call back {who[:100]} ({key})",
            "Description": words,
            "ClientToken": key,
        }
        return self._task(posted(self._api.call("PUT", "/contact/task", json=said).json(), "ContactId"))

    def find_reply(self, mention: Mention, key: str) -> Reference | None:  # noqa: ARG002
        """The task whose name has the key. Where a search does not show it yet, the same key brings it again."""
        sought = {
            "Channels": ["TASK"],
            "InitiationMethods": ["API"],
            "Name": {"SearchText": [key], "MatchType": "MATCH_ANY"},
        }
        found = self._search("INITIATION_TIMESTAMP", int(time.time()), sought)
        return next((self._task(f"{dig(one, 'Id')}") for one in found[0] if key in f"{dig(one, 'Name')}"), None)

    def check(self) -> TokenHealth:
        """See `Checker`."""
        return self._api.health(
            f"/instance/{self._instance}",
            judge=lambda said: None if dig(said, "Instance") else "the instance is not described",
        )

    def _ended(self, after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
        """A page; the next one has to ask for the same time."""
        until, _, token = (after or f"{int(time.time()) - _LATE}|").partition("|")
        sought = {"Channels": ["VOICE", "CHAT", "EMAIL"]}
        found, following = self._search("DISCONNECT_TIMESTAMP", int(until), sought, token or None)
        told = [self._reads.contact(one, event) for one in found for event in ("INITIATED", "DISCONNECTED")]
        return told, following and f"{until}|{following}"

    def _search(
        self, by: str, until: int, sought: dict[str, Any], token: str | None = None
    ) -> tuple[list[Any], str | None]:
        said = {
            "InstanceId": self._instance,
            "TimeRange": {"Type": by, "StartTime": until - _WEEK, "EndTime": until},
            "SearchCriteria": sought,
            "Sort": {"FieldName": by, "Order": "DESCENDING"},
            "MaxResults": 100,
            **({"NextToken": token} if token else {}),
        }
        answer = self._api.post("/search-contacts", said, safe=True)
        if not isinstance(dig(answer, "Contacts"), list):
            raise UnavailableError("Connect did not answer a search as it does")
        return dig(answer, "Contacts"), reading.text(dig(answer, "NextToken"))

    def _task(self, contact: str) -> Reference:
        base = self._settings.access_url
        page = f"{base}/contact-trace-records/details/" if base else f"{self._api.base}/contacts/{self._instance}/"
        return Reference(contact, page + contact)


def _dialect(answer: Response) -> RemoteError | None:
    """402: as many tasks are open as the instance may have."""
    return UnavailableError("the instance has as many open tasks as it may") if answer.status == 402 else None
