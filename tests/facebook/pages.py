"""A Page and its deliveries, for the tests of the Facebook source."""

from __future__ import annotations

import json
from typing import Any

from connectors.core.delivery import Delivery
from connectors.core.models import AnyEvent
from connectors.facebook.connector import Facebook
from connectors.facebook.settings import FacebookSource

PAGE = "1234567890321"
AT = 1_449_135_003
COMMENT: dict[str, Any] = {
    "item": "comment",
    "verb": "add",
    "comment_id": "901_903",
    "post_id": f"{PAGE}_901",
    "parent_id": f"{PAGE}_901",
    "from": {"id": "77", "name": "Tilda"},
    "created_time": AT,
    "message": "It broke.",
}


def page(**properties: object) -> Facebook:
    """The source as it is deployed."""
    return Facebook(FacebookSource.model_validate({"Account": [PAGE], **properties}))


def deliver(body: object, received_at: int = 1_700_000_000_000) -> Delivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Delivery({}, raw, received_at=received_at)


def hook(*values: object, about: str = "feed", at: object = AT, entry: object = PAGE) -> dict[str, Any]:
    """A delivery of one entry; each value becomes a change."""
    changes = [{"field": about, "value": value} for value in values]
    return {"object": "page", "entry": [{"id": entry, "time": at, "changes": changes}]}


def one(body: object, connector: Facebook | None = None) -> Any:
    """The only event in a body."""
    (event,) = (connector or page()).parse(deliver(body))
    return event


def changed(**fields: object) -> Any:
    """What becomes of a comment of Tilda's with these fields changed; None takes a field out."""
    value = {name: said for name, said in {**COMMENT, **fields}.items() if said is not None}
    return one(hook(value))


def every(body: object, connector: Facebook | None = None) -> list[AnyEvent]:
    return list((connector or page()).parse(deliver(body)))
