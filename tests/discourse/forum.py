"""A forum and its deliveries, for the tests of the Discourse source."""

from __future__ import annotations

import json
from typing import Any

from connectors.core.delivery import Delivery
from connectors.core.models import Deletion, Mention, Unsupported
from connectors.discourse.connector import Discourse
from connectors.discourse.settings import DiscourseSource

INSTANCE = "https://forum.acme.com"
POST: dict[str, Any] = {
    "id": 77,
    "topic_id": 12,
    "category_id": 5,
    "post_number": 3,
    "user_id": 5,
    "username": "Tilda",
    "name": "Tilda S.",
    "raw": "It *broke*.",
    "cooked": "<p>It <em>broke</em>.</p>",
    "version": 1,
    "created_at": "2026-11-16T07:03:51.930Z",
    "topic_title": "Broken",
    "topic_slug": "broken",
    "topic_archetype": "regular",
    "post_type": 1,
}


def forum(**properties: object) -> Discourse:
    return Discourse(DiscourseSource.model_validate({"BaseUrl": INSTANCE, **properties}))


def deliver(
    body: object, event: str | None = "post_created", instance: str | None = INSTANCE, number: str | None = "900"
) -> Delivery:
    named = {"x-discourse-event": event, "x-discourse-instance": instance, "x-discourse-event-id": number}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Delivery({key: value for key, value in named.items() if value is not None}, raw, received_at=1_700_000_000)


def one(connector: Discourse, delivery: Delivery) -> Mention | Deletion | Unsupported:
    (event,) = connector.parse(delivery)
    return event
