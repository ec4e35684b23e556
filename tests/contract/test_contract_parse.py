"""Whatever is delivered: events that can be stored, or one sentence; the same ones each time; soon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.core import door
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Author, Mention, RecordUpdate, describe
from connectors.core.ports import Receiver
from tests.contract import registered
from tests.contract.registered import CHECKOUT, RECEIVED, RECEIVERS, as_delivered, reader, sample_paths, spoken, told_by
from tests.contract.shapes import anything, mutated, packed, replaced
from tests.contract.told import shown, told

SOON = 2.0
"""Seconds of computing for a thousand events."""
LONGEST_ID = 1000
"""Bytes: an id becomes part of a key in the table, which takes 1,024."""
SENTENCE = 500
QUICK = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))

each_receiver = pytest.mark.parametrize("name", RECEIVERS)


@each_receiver
def test_ids_stay_the_same_when_it_is_delivered_again(name: str) -> None:
    """Later, and to a worker that has just been started."""
    connector = reader(name)
    for path in sample_paths(name):
        first = connector.parse(as_delivered(name, path))
        again = reader(name).parse(as_delivered(name, path, RECEIVED + 86_400_000))
        assert [_identity(event) for event in first] == [_identity(event) for event in again], path.name


def test_ids_stay_the_same_in_another_process() -> None:
    """With another seed for hashes, another time zone and another locale."""
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.contract.told"], cwd=CHECKOUT, env=environment, capture_output=True, check=True
    )
    assert json.loads(done.stdout) == told()


@each_receiver
def test_parse_is_pure(name: str) -> None:
    connector = reader(name)
    for path in sample_paths(name):
        delivery = as_delivered(name, path)
        headers, body = dict(delivery.headers), bytes(delivery.body)
        first = list(connector.parse(delivery))
        assert shown(first) == shown(list(connector.parse(delivery))), path.name
        assert (dict(delivery.headers), delivery.body) == (headers, body)


@each_receiver
def test_what_we_said_ourselves_is_our_own_and_nothing_else_is(name: str) -> None:
    accounts = registered.given(name).accounts
    events = [event for _, found in told_by(name) for event in spoken(found)]
    assert any(event.own for event in events), "no sample is our own"
    assert not all(event.own for event in events), "every sample is our own"
    for event in events:
        assert not _by(event.author, accounts) or event.own, describe(event)
        known = isinstance(event, RecordUpdate) or _by(event.author, accounts)  # a note is known by its key too
        assert known or not event.own or _placed(name, event), describe(event)


@each_receiver
def test_nobody_is_taken_for_us_whose_name_only_looks_like_it(name: str) -> None:
    """With accounts that nobody in the samples has, a post by a customer stays theirs."""
    strangers = [account + "0" if account.isdecimal() else f"{account}_" for account in registered.given(name).accounts]
    connector, ours = reader(name, strangers), registered.given(name).accounts
    for path in sample_paths(name):
        for event in spoken(list(connector.parse(as_delivered(name, path)))):
            known = isinstance(event, RecordUpdate) or _by(event.author, ours) or _placed(name, event)
            assert known or not event.own, path.name


def _placed(name: str, event: Mention | RecordUpdate) -> bool:
    return registered.given(name).placed and event.author is None


@each_receiver
def test_a_thousand_events_are_read_soon(name: str) -> None:
    connector, many = reader(name), registered.given(name).many
    if many:
        deliveries = [Delivery({}, many(1000), RECEIVED)]
    else:
        deliveries = [as_delivered(name, path) for path in sample_paths(name)] * 1000
        deliveries = deliveries[:1000]
    started = time.process_time()
    events = [event for delivery in deliveries for event in connector.parse(delivery)]
    assert time.process_time() - started < SOON
    if many:
        assert len({event.id for event in spoken(events)}) == 1000


@each_receiver
def test_each_value_of_each_sample_may_be_any_other(name: str) -> None:
    """One at a time, and gone, and everything that would break a mapping."""
    connector, tried = reader(name), 0
    for path, raw in replaced(name):
        tried += 1
        for event in _events_or_none(connector, Delivery(as_delivered(name, path).headers, raw, RECEIVED)):
            _take(event)
    assert tried > 500


@each_receiver
@QUICK
@given(data=st.data())
def test_whatever_json_comes_there_are_events_or_a_sentence(name: str, data: st.DataObject) -> None:
    settle(name, packed(data.draw(anything(name))))


@each_receiver
@settings(QUICK, max_examples=150)
@given(data=st.data())
def test_a_sample_may_be_changed_anywhere(name: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sample_paths(name)))
    settle(name, data.draw(mutated(name)), as_delivered(name, path).headers)


@each_receiver
@QUICK
@given(data=st.data())
def test_a_sample_may_be_damaged_anywhere(name: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sample_paths(name)))
    body = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    settle(name, bytes(body), as_delivered(name, path).headers)


@each_receiver
@QUICK
@given(data=st.data())
def test_headers_may_say_anything(name: str, data: st.DataObject) -> None:
    kept = (door.load(name) or {}).get("keep", [])
    path = data.draw(st.sampled_from(sample_paths(name)))
    said = data.draw(st.dictionaries(st.sampled_from(kept), st.text(max_size=30))) if kept else {}
    settle(name, path.read_bytes(), {**as_delivered(name, path).headers, **said})


@each_receiver
@QUICK
@given(raw=st.binary(max_size=100))
def test_any_bytes(name: str, raw: bytes) -> None:
    settle(name, raw)


@each_receiver
def test_what_is_nested_too_deep_is_refused(name: str) -> None:
    for raw in (b"[" * 100_000, b'{"a":' * 100_000, b"[" * 90 + b"]" * 90, b"9" * 5000, b'{"a": NaN}'):
        assert settle(name, raw) == []


def settle(name: str, raw: bytes, headers: Mapping[str, str] | None = None) -> list[AnyEvent]:
    """What becomes of a body, for our accounts and for nobody's. Fails on any exception but `PayloadError`, on a
    sentence that is none, and on an event that no table would take."""
    for connector in (reader(name), reader(name, [])):
        found = _events_or_none(connector, Delivery(headers or {}, raw, RECEIVED))
        for event in found:
            _take(event)
    return found


def _events_or_none(connector: Receiver, delivery: Delivery) -> list[AnyEvent]:
    try:
        return list(connector.parse(delivery))
    except PayloadError as error:
        sentence = str(error)
    assert sentence
    assert len(sentence) <= SENTENCE
    assert "\n" not in sentence
    assert _storable(sentence), repr(sentence)
    return []


def _take(event: AnyEvent) -> None:
    """What the inbox and the table do with an event. Fails where they could not."""
    plain = describe(event)
    json.dumps(plain, allow_nan=False)
    assert all(_storable(text) for text in _texts(plain)), plain
    if event.type == "unsupported":
        assert event.reason
        return
    assert event.native_id.strip()
    assert len(event.id.encode()) <= LONGEST_ID, event.id[:80]
    if isinstance(event, Mention):
        assert event.conversation_id.strip()
        assert len(event.conversation.encode()) <= LONGEST_ID, event.conversation[:80]
        assert all(abs(number) < 2**63 for number in (event.version, event.order, *event.metrics.values()))


def _identity(event: AnyEvent) -> tuple[object, ...]:
    if event.type == "unsupported":
        return event.event, event.reason
    more: tuple[object, ...] = ()
    if isinstance(event, Mention):
        more = event.conversation, event.version, event.parent_id, event.quoted_id
    return event.type, event.id, *more


def _by(author: Author | None, accounts: Any) -> bool:
    return author is not None and bool({author.native_id, author.handle} & set(accounts))


def _storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _texts(inner)
