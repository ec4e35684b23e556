"""The made-up connector in docs/connectors.md is whole, works, and is as short as it says."""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.core import door, manifest
from connectors.core.delivery import Delivery, Request
from connectors.core.errors import PayloadError
from connectors.core.models import Deletion, Mention, Unsupported
from tests.contract.registered import CHECKOUT, Given

PAGE = (CHECKOUT / "docs" / "connectors.md").read_text(encoding="utf-8")
FILES = {
    name: text
    for name, _, text in re.findall(
        r"^`((?:connectors|events|tests)/[\w./]+)`.*?\n\n(````?)\w*\n(.*?)^\2$", PAGE, re.MULTILINE | re.DOTALL
    )
}
MOST = 150


@pytest.fixture
def parley() -> Iterator[Any]:
    """The example's module, as if it were in its folder."""
    module = types.ModuleType("connectors.parley.connector")
    sys.modules[module.__name__] = module
    exec(compile(FILES["connectors/parley/connector.py"], "docs/connectors.md", "exec"), module.__dict__)
    yield module
    del sys.modules[module.__name__]


def test_it_is_as_short_as_it_says() -> None:
    lines = sum(text.count("\n") for name, text in FILES.items() if name.startswith("connectors/parley/"))
    assert f"it takes, {lines} lines" in PAGE
    assert lines + 1 <= MOST


def test_its_manifest_and_its_door_are_valid() -> None:
    told = manifest.read(FILES["connectors/parley/connector.json"], "docs/connectors.md")
    assert told.events["message.deleted"] == "deletion"
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
