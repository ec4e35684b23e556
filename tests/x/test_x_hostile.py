"""Whatever a delivery holds, the X source answers with events that can be stored, or with one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import describe
from connectors.x.connector import X
from connectors.x.payloads import _ACCOUNT, _POSTS

SAMPLES = [json.loads(path.read_bytes()) for path in sorted((Path(__file__).parents[2] / "events/x").glob("*.json"))]
SOURCE = X.for_parse(["1530000000000000042", "@acme_support"])


def settle(body: object) -> None:
    """Fails on any exception but `PayloadError`, on an event that is not plain UTF-8 JSON, and on ids that change."""
    raw = json.dumps(body).encode()
    events, sentence = told(raw)
    assert "\n" not in sentence
    assert len(sentence) < 200
    json.dumps(events, allow_nan=False, ensure_ascii=False).encode()
    assert (events, sentence) == told(raw)


def told(raw: bytes) -> tuple[list[dict[str, object]], str]:
    try:
        return [describe(event) for event in SOURCE.parse(Delivery({}, raw, 7))], ""
    except PayloadError as error:
        return [], str(error)


def names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(names(inner) for inner in value.values()))
    return set().union(*(names(inner) for inner in value)) if isinstance(value, list) else set()


WORDS = sorted(set().union(*(names(sample) for sample in SAMPLES)) | set(_ACCOUNT))
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=12)
    | st.sampled_from([*sorted(_POSTS), "post.delete", "retweeted", "replied_to", "9" * 19, "-1", "und", "Mon Oct 99"])
)
JSON = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=15,
)


@settings(deadline=None)
@given(JSON)
def test_whatever_comes_there_is_an_event_or_a_sentence(value: object) -> None:
    settle(value)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(WORDS), JSON, max_size=8), st.sampled_from([*sorted(_POSTS), "post.delete"]))
def test_any_payload(payload: object, event: str) -> None:
    settle({"data": {"event_type": event, "payload": payload, "includes": payload, "filter": payload}})
    settle({"for_user_id": "1", "tweet_create_events": [payload], "tweet_delete_events": [payload]})
    settle({"data": [payload], "includes": payload, "errors": [payload]})


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A sample in which one to three values, however deep, are something else, or gone."""
    sample = json.loads(json.dumps(draw(st.sampled_from(SAMPLES))))
    for _ in range(draw(st.integers(1, 3))):
        here = sample
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(here[key], dict | list) and here[key] and draw(st.booleans()):
                here = here[key]
                continue
            if draw(st.booleans()):
                here[key] = draw(JSON)
            else:
                del here[key]
            break
    return sample


@settings(deadline=None, max_examples=300)
@given(mutated())
def test_any_change_to_a_sample(body: object) -> None:
    settle(body)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    assert "\n" not in told(raw)[1]
