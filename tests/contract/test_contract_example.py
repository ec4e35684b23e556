"""The made-up connector in docs/connectors.md is whole, works, and is as short as it says."""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from connectors.core import door, manifest
from connectors.core.delivery import Delivery, Request
from connectors.core.errors import PayloadError, RejectedError, UnknownOutcomeError
from connectors.core.models import Deletion, Mention, Unsupported
from connectors.core.ports import Reference, SourceReplier, Tier
from tests.contract.registered import CHECKOUT, Given
from tests.contract.stub import Stub, stub
from tests.contract.test_contract_keys import key_fault
from tests.contract.test_contract_remote import FAULTS, JUNK, KEY, PATIENT

PAGE = (CHECKOUT / "docs" / "connectors.md").read_text(encoding="utf-8")
FILES = {
    name: text
    for name, _, text in re.findall(
        r"^`((?:connectors|events|tests)/[\w./]+)`.*?\n\n(````?)\w*\n(.*?)^\2$", PAGE, re.MULTILINE | re.DOTALL
    )
}
MOST, MORE = 150, 60
ANSWERS = "connectors/parley/account.py"
ASKED = Mention(connector="parley", native_id="m_501", conversation_id="m_501", reply_capability="allowed")


@pytest.fixture
def parley() -> Iterator[Any]:
    """The example's module, as if it were in its folder."""
    with _module("connectors.parley.connector", FILES["connectors/parley/connector.py"]) as module:
        yield module


@pytest.fixture
def account() -> Iterator[Any]:
    """The example's module that answers, after the change to the settings that the page names."""
    before, named = "    account: reading.Accounts = ()\n", re.search(r"`(api_url: reading\.Address = .+?)`", PAGE)
    assert named
    changed = FILES["connectors/parley/connector.py"].replace(before, f"{before}    {named[1]}\n")
    with (
        _module("connectors.parley.connector", changed),
        _module("connectors.parley.account", FILES[ANSWERS]) as module,
    ):
        yield module


@contextmanager
def _module(name: str, text: str) -> Iterator[Any]:
    """As if it were in its folder."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    try:
        exec(compile(text, "docs/connectors.md", "exec"), module.__dict__)
        yield module
    finally:
        del sys.modules[name]


def test_it_is_as_short_as_it_says() -> None:
    length = {name: text.count("\n") for name, text in FILES.items() if name.startswith("connectors/parley/")}
    answers = length.pop(ANSWERS)
    lines = sum(length.values())
    assert f"it takes, {lines} lines" in PAGE
    assert lines + 1 <= MOST
    assert f"{answers} in a file of their own" in PAGE
    assert MORE - 10 <= answers + 1 <= MORE, f"about {MORE} more, the page says"


def test_its_manifest_and_its_door_are_valid() -> None:
    told = manifest.read(FILES["connectors/parley/connector.json"], "docs/connectors.md")
    assert told.events["message.deleted"] == "deletion"
    assert told.events["whisper.sent"] == "private"
    rules = json.loads(FILES["connectors/parley/door.json"])
    sample = FILES["events/parley/message.posted__cold.json"].encode()
    signed = Request("POST", door.sign(rules, sample, "secret", 1000), sample)
    assert door.verify(rules, signed, ["secret"], 1299)
    assert not door.verify(rules, signed, ["secret"], 1301)
    assert door.body_fault(rules, sample) is None


def test_it_maps_its_sample(parley: Any) -> None:
    sample = FILES["events/parley/message.posted__cold.json"].encode()
    source = parley.Parley.for_parse(["ines"])
    (mention,) = source.parse(Delivery({}, sample))
    assert isinstance(mention, Mention)
    assert (mention.id, mention.kind, mention.own, mention.text) == ("parley:m_501", "post", True, "It is cold 😤")
    assert mention.author is not None
    assert mention.author.followers == 12
    (gone,) = source.parse(Delivery({}, sample.replace(b"message.posted", b"message.deleted")))
    assert isinstance(gone, Deletion)
    (whisper,) = source.parse(Delivery({}, sample.replace(b"message.posted", b"whisper.sent")))
    assert isinstance(whisper, Unsupported)
    assert not whisper.keep_raw, "as its manifest says: private"
    (closed,) = source.parse(Delivery({}, sample.replace(b'"public": true', b'"public": false')))
    assert isinstance(closed, Unsupported)
    with pytest.raises(PayloadError, match="no `events`"):
        source.parse(Delivery({}, b"{}"))


def test_its_contract_can_be_made_many() -> None:
    space: dict[str, Any] = {}
    exec(compile(FILES["tests/parley/contract.py"], "docs/connectors.md", "exec"), space)
    given = space["GIVEN"]
    assert isinstance(given, Given)
    assert given.many is not None
    assert len(json.loads(given.many(3))["events"]) == 3


def _replier(module: Any, vendor: Stub) -> SourceReplier:
    settings = module.ParleySource(api_url=vendor.url)
    replier: SourceReplier = module.ParleyAccount(settings, module.ParleyCredentials(token="invented"), PATIENT)
    return replier


def test_it_answers_by_one_post(account: Any) -> None:
    with stub() as vendor:
        vendor.says(200, b'{"id": "m_502", "link": "https://parley.example/m/m_502"}')
        found = _replier(account, vendor).reply(ASKED, "We are sorry.", KEY)
        assert found == Reference("m_502", "https://parley.example/m/m_502")
        (request,) = vendor.asked
        assert json.loads(request.body) == {"reply_to": "m_501", "body": "We are sorry."}
        assert request.headers["authorization"] == "Bearer invented"


def test_its_answers_keep_the_contract(account: Any) -> None:
    with stub() as vendor:
        replier = _replier(account, vendor)
        assert replier.tier is Tier.KEY
        assert key_fault(replier, ASKED, vendor) is None
        for fault in ("401", "429", "500", "302"):
            said, expected = FAULTS[fault]
            vendor.says(**said)
            with pytest.raises(expected):
                replier.reply(ASKED, "We are sorry.", KEY)
        for junk in JUNK:
            vendor.says(200, junk)
            with pytest.raises(UnknownOutcomeError):
                replier.reply(ASKED, "We are sorry.", KEY)
        vendor.says(200)
        with pytest.raises(RejectedError):
            replier.reply(ASKED.model_copy(update={"reply_capability": "none"}), "We are sorry.", KEY)
        assert vendor.asked == []
