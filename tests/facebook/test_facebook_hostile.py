"""Whatever a delivery holds, the Facebook source answers with events that can be stored, or with one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core.errors import PayloadError
from connectors.core.models import describe
from connectors.facebook.connector import Facebook
from tests.facebook.pages import COMMENT, PAGE, deliver, hook, page

SAMPLES = sorted((Path(__file__).resolve().parents[2] / "events" / "facebook").glob("*.json"))
NAMES = [*COMMENT, "sender_id", "sender_name", "post", "photo_id", "permalink_url", "id", "name"]
ANSWERED = ["data", "paging", "next", "id", "message", "permalink_url", "comments", "parent", "from", "created_time"]
WORDS = ["comment", "post", "photo", "add", "edited", "remove", "hide", "901_903", "0", "2026-11-19T08:00:00+0000"]
ADDRESSES = [
    "https://www.facebook.com/1/posts/2?comment_id=3",
    "https://[",
    "https://graph.facebook.com/v1.0/1_2/comments",
]
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
SCALAR |= st.sampled_from([*WORDS, *ADDRESSES, 10**14, 10**400, -1])


def _json(names: list[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        SCALAR,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(names), inner, max_size=6),
        max_leaves=12,
    )


def settle(body: object) -> None:
    """Fails on any exception but `PayloadError`, on an event that is not plain UTF-8 JSON, and on unstable ids."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8", "surrogatepass")
    for connector in (page(), Facebook.for_parse([PAGE]), Facebook.for_parse()):
        shown: list[list[Any]] = []
        for received in (1, 2_000_000_000_000):
            sentence = ""
            try:
                events = connector.parse(deliver(raw, received))
            except PayloadError as error:
                sentence, events = str(error), []
            assert "\n" not in sentence
            told = [describe(found) for found in events]
            json.dumps(told, allow_nan=False, ensure_ascii=False).encode()
            assert all(one["type"] == "unsupported" or 0 < len(one["native_id"]) <= 200 for one in told)  # type: ignore[arg-type]
            shown.append([(one["type"], one.get("id"), one.get("conversation_id")) for one in told])
        assert shown[0] == shown[1]


@settings(deadline=None)
@given(_json(["object", "entry", "changes", "messaging", "field", "value", "id", "time", *ANSWERED]))
def test_whatever_comes_there_are_events_or_a_sentence(value: object) -> None:
    settle(value)


@settings(deadline=None)
@given(_json(["object", "entry", "changes", "messaging", "field", "value", "id", "time"]))
def test_an_entry_may_be_anything(value: object) -> None:
    settle({"object": "page", "entry": [value]})
    settle({"object": "page", "entry": value})


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), _json(NAMES)), st.sampled_from(["feed", "mention"]), SCALAR, SCALAR)
def test_any_field_may_be_anything(changes: dict[str, object], about: str, at: object, entry: object) -> None:
    settle(hook({**COMMENT, **changes}, about=about, at=at, entry=entry))


@settings(deadline=None)
@given(_json(ANSWERED))
def test_an_answer_may_hold_anything(value: object) -> None:
    settle({"data": value})
    settle({"data": [value], "paging": value})
    settle({"id": "901_903", "comments": value})


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(SAMPLES), st.data())
def test_a_sample_may_be_damaged_anywhere(sample: Path, data: Any) -> None:
    body = bytearray(sample.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    settle(bytes(body))
