"""What is particular to the App Store's answers: which review a response is for, and what they are wrapped in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.app_store.connector import AppStore
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import Unsupported

REVIEW: dict[str, Any] = {
    "type": "customerReviews",
    "id": "v1",
    "attributes": {"rating": 2, "body": "cold", "reviewerNickname": "ines", "createdDate": "2026-10-05T08:00:00Z"},
}
RESPONSE: dict[str, Any] = {
    "type": "customerReviewResponses",
    "id": "r1",
    "attributes": {"responseBody": "We come.", "lastModifiedDate": "2026-10-06T08:00:00Z", "state": "PUBLISHED"},
}
TO_RESPONSE = {"response": {"data": {"type": "customerReviewResponses", "id": "r1"}}}
TO_REVIEW = {"review": {"data": {"type": "customerReviews", "id": "v1"}}}


def parsed(said: object) -> list[Any]:
    return list(AppStore.for_parse().parse(Delivery({}, json.dumps(said).encode())))


@pytest.mark.parametrize(
    ("review", "response"), [(TO_RESPONSE, {}), ({}, TO_REVIEW), (TO_RESPONSE, TO_REVIEW)], ids=["one", "other", "both"]
)
def test_a_response_is_in_its_reviews_conversation_whichever_names_the_other(review: object, response: object) -> None:
    said = {
        "data": [{**REVIEW, "relationships": review}],
        "included": [{**RESPONSE, "relationships": response}],
    }
    first, second = parsed(said)
    assert (first.native_id, first.conversation_id, first.own) == ("v1", "v1", False)
    assert (second.native_id, second.conversation_id, second.parent_id, second.own) == ("r1", "v1", "v1", True)


def test_a_response_that_names_no_review_begins_a_conversation_and_no_guess() -> None:
    (only,) = parsed({"data": RESPONSE})
    assert (only.conversation_id, only.parent_id, only.own, only.author) == ("r1", None, True, None)


@pytest.mark.parametrize("said", [REVIEW, [REVIEW], {"data": REVIEW}, {"data": [REVIEW], "links": {}}])
def test_a_review_is_read_whatever_it_is_wrapped_in(said: object) -> None:
    (only,) = parsed(said)
    assert (only.native_id, only.text, only.author.name, only.metrics) == ("v1", "cold", "ines", {"rating": 2})


@pytest.mark.parametrize("said", [{"data": []}, {"data": None}, {"feed": {}}, {"feed": {"entry": []}}])
def test_an_answer_without_reviews_brings_nothing(said: object) -> None:
    assert parsed(said) == []


def test_a_notification_of_app_store_connect_is_not_about_reviews() -> None:
    """https://developer.apple.com/documentation/appstoreconnectapi/configuring-webhook-notifications"""
    said = {"data": {"type": "appStoreVersionAppVersionStateUpdated", "id": "e1", "version": 1, "attributes": {}}}
    (only,) = parsed(said)
    assert isinstance(only, Unsupported)
    assert only.event == "appStoreVersionAppVersionStateUpdated"
    with pytest.raises(PayloadError):
        parsed({"ping": True})


def test_the_app_at_the_head_of_an_old_feed_is_no_review() -> None:
    app = {"im:name": {"label": "Acme"}, "id": {"label": "https://itunes.apple.com/app/id100200300"}}
    entry = {
        "author": {"uri": {"label": "https://itunes.apple.com/us/reviews/id77"}, "name": {"label": "tom"}},
        "im:rating": {"label": "1"},
        "id": {"label": "4711"},
        "title": {"label": "Cold"},
        "content": {"label": "Still cold."},
    }
    (only,) = parsed({"feed": {"entry": [app, entry]}})
    assert (only.native_id, only.author.native_id, only.title, only.text) == ("4711", "77", "Cold", "Still cold.")
    (alone,) = parsed({"feed": {"entry": entry}})
    assert (alone.native_id, alone.created_at) == ("4711", None)
    assert alone.reply_capability == "none", "its id is none that the API knows"
