"""Whatever a delivery holds, the Discourse source answers with events that can be stored, or with one sentence."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import describe
from connectors.discourse.connector import Discourse
from connectors.discourse.payloads import HANDLERS
from tests.discourse.forum import POST, deliver, forum


def settle(connector: Discourse, delivery: Delivery) -> None:
    """Fails on any exception but `PayloadError`, and on an event that is not plain UTF-8 JSON."""
    sentence = ""
    try:
        events = connector.parse(delivery)
    except PayloadError as error:
        events, sentence = [], str(error)
    assert sentence or len(events) == 1
    assert "\n" not in sentence
    json.dumps([describe(found) for found in events], allow_nan=False, ensure_ascii=False).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*POST, "post", "x"]), inner, max_size=6)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(JSON, st.sampled_from([*HANDLERS, None, "unheard_of"]), st.booleans())
def test_whatever_comes_there_is_an_event_or_a_sentence(value: object, event: str | None, wrapped: bool) -> None:
    body = {"post": value} if wrapped else value
    settle(forum(Account=["5", "tilda"]), deliver(body, event))


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(POST)), JSON), st.sampled_from(sorted(HANDLERS)))
def test_any_field_may_be_anything(changes: dict[str, object], event: str) -> None:
    settle(forum(), deliver({"post": {**POST, **changes}}, event))


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_headers_may_be_anything(event: str, instance: str, number: str) -> None:
    for connector in (forum(), Discourse.for_parse()):
        settle(connector, deliver({"post": POST}, event, instance, number))
