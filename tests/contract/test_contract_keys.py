"""A replier that says that its vendor keeps answers apart by a key does send that key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import ClassVar

import pytest
from pydantic import BaseModel

import connectors
from connectors.core.errors import RemoteError
from connectors.core.models import Mention
from connectors.core.ports import Reference, Replier, Tier
from connectors.http import HttpClient
from tests.contract.registered import Given, given
from tests.contract.stub import Stub, stub
from tests.contract.test_contract_remote import KEY, PATIENT, answerable, built

OTHER = "hailback-zz2v7mnb4xk5ztc3apwd6rzz"
NOTHING = Given(settings={})
MENTION = Mention(connector="parley", native_id="m_1", conversation_id="m_1", reply_capability="allowed")


@pytest.fixture(scope="module")
def vendor() -> Iterator[Stub]:
    with stub() as running:
        yield running


def key_fault(replier: Replier, mention: Mention, vendor: Stub, told: Given = NOTHING) -> str | None:
    """What is wrong with how the key is sent: once, again, and for another answer. None: nothing, or there is none."""
    if replier.tier is not Tier.KEY:
        return None
    first, again, another = (_places(replier, mention, vendor, key, told) for key in (KEY, KEY, OTHER))
    if not first[KEY]:
        return "the key is in no request: the vendor cannot know an answer that comes twice"
    if again != first:
        return "the second try does not carry the key where the first did"
    if another[KEY] or another[OTHER] != first[KEY]:
        return "another answer does not carry its own key"
    return None


def _places(replier: Replier, mention: Mention, vendor: Stub, key: str, told: Given) -> dict[str, frozenset[str]]:
    """Where in what is written each of the keys stands."""
    vendor.says(200, json.dumps(told.sought).encode())
    with suppress(RemoteError):  # this vendor answers nothing that could be understood
        replier.reply(mention, "We are sorry.", key)
    writes = [one for one in vendor.asked if one.method not in {"GET", "HEAD"}]
    assert writes, "nothing was sent"
    return {name: frozenset().union(*(one.places(told.key(name)) for one in writes)) for name in (KEY, OTHER)}


@pytest.mark.parametrize("name", connectors.REPLIERS)
def test_an_answer_carries_its_key_where_the_vendor_takes_one(name: str, vendor: Stub) -> None:
    assert key_fault(built(connectors.replier(name), name, vendor), answerable(name), vendor, given(name)) is None


class Keyed:
    """Answers by one request, whose key is what `send` makes of the one that it is given."""

    tier: ClassVar[Tier] = Tier.KEY
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 0.0
    replier_credentials_model: ClassVar[type[BaseModel]] = BaseModel

    def __init__(
        self, http: HttpClient, url: str, send: Callable[[str], str | None], header: str | None = None
    ) -> None:
        self._http, self._url, self._send, self._header = http, url, send, header

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        said, sent = {"to": mention.native_id, "text": text}, self._send(key)
        headers = {self._header: sent} if self._header and sent else {}
        if sent and not self._header:
            said["key"] = sent
        answer = self._http.request("POST", f"{self._url}/messages", json=said, headers=headers)
        return Reference(str(answer.json().get("id")), self._url)

    def find_reply(self, mention: Mention, key: str) -> Reference | None:
        return None


class Unkeyed(Keyed):
    tier: ClassVar[Tier] = Tier.NONE


@pytest.mark.parametrize("header", [None, "Idempotency-Key"])
def test_a_key_that_is_sent_is_seen(header: str | None, vendor: Stub) -> None:
    assert key_fault(Keyed(PATIENT, vendor.url, lambda key: key, header), MENTION, vendor) is None


def test_a_key_of_the_vendors_own_making_is_seen(vendor: Stub) -> None:
    told = Given(settings={}, key=lambda key: key[::-1])
    assert key_fault(Keyed(PATIENT, vendor.url, lambda key: key[::-1]), MENTION, vendor, told) is None
    assert "in no request" in (key_fault(Keyed(PATIENT, vendor.url, lambda key: key), MENTION, vendor, told) or "")


@pytest.mark.parametrize("header", [None, "Idempotency-Key"])
def test_a_key_that_is_not_sent_as_it_is_is_seen(header: str | None, vendor: Stub) -> None:
    def fault(send: Callable[[str], str | None]) -> str:
        return key_fault(Keyed(PATIENT, vendor.url, send, header), MENTION, vendor) or ""

    assert "in no request" in fault(lambda _: None)
    fresh, once = (f"new-{number}" for number in count()), iter([KEY])
    assert "in no request" in fault(lambda _: next(fresh))
    assert "second try" in fault(lambda _: next(once, None))
    assert "its own" in fault(lambda _: KEY)
    assert "its own" in fault(lambda key: f"{KEY} {key}")


def test_nothing_is_asked_of_one_that_does_not_claim_a_key(vendor: Stub) -> None:
    assert key_fault(Unkeyed(PATIENT, vendor.url, lambda _: None), MENTION, vendor) is None
