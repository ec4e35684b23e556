"""The App Store source: what the App Store Connect API answers about reviews, and Apple's public feed of them.

https://developer.apple.com/documentation/appstoreconnectapi/customer-reviews
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Author, Mention, Unsupported
from connectors.core.reading import dig

CONNECTOR = "app_store"
REVIEW, RESPONSE = "customerReviews", "customerReviewResponses"


class AppStoreSource(reading.Settings):
    """`App`: the app's id, digits only. `ApiUrl`: Apple's own."""

    app: str = Field(pattern=r"^[0-9]{1,20}$")
    api_url: reading.Address = "https://api.appstoreconnect.apple.com"


class AppStore:
    """One app; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = AppStoreSource

    def __init__(self, settings: AppStoreSource | None = None) -> None:
        """Reviews are read alike, whatever the settings."""

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:  # noqa: ARG003
        """Any app: what is ours is told by its kind."""
        return cls()

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The reviews and responses in an answer, oldest first. Raises `PayloadError`."""
        said = reading.json_of(delivery)
        found = self.read(said)
        if not found and not (isinstance(said, dict) and said.keys() & {"data", "feed"}):
            raise PayloadError("the body is no answer of the App Store Connect API")
        return found

    def read(self, said: object) -> list[AnyEvent]:
        """The same for what is read already."""
        if isinstance(dig(said, "errors"), list):
            return [_unsupported("errors", "the API refused a question")]
        things = list(_unpacked(said))
        # Which review a response is for, is said by the one, by the other, or by both.
        ours = [(reading.ident(dig(one, "relationships", "response", "data", "id")), dig(one, "id")) for one in things]
        asked = {response: review for response, review in ours if response}
        events = [self._event(one, asked) for one in things]
        return sorted(events, key=lambda event: reading.millis(getattr(event, "created_at", None)))

    def _event(self, thing: Mapping[str, Any], asked: Mapping[str, Any]) -> AnyEvent:
        kind, native_id = reading.text(dig(thing, "type"), 60) or "unknown", reading.ident(dig(thing, "id"))
        said = dig(thing, "attributes")
        if kind not in {REVIEW, RESPONSE} or native_id is None or not isinstance(said, dict):
            return _unsupported(kind, "neither a review nor a response, or without its fields")
        own = kind == RESPONSE
        made = reading.moment(dig(said, "lastModifiedDate") or dig(said, "createdDate"))
        review = dig(thing, "relationships", "review", "data", "id") or asked.get(native_id)
        parent = reading.ident(review) if own else None
        # A nickname is nobody's for sure: each review has an author of its own.
        name = reading.text(dig(said, "reviewerNickname"))
        author = Author(native_id=reading.ident(dig(thing, "author")) or native_id, name=name)
        return Mention(
            connector=CONNECTOR,
            native_id=native_id,
            conversation_id=parent or native_id,
            parent_id=parent,
            kind="reply" if own else "post",
            version=reading.millis(made) if own else 0,
            author=None if own else author,
            title=reading.text(dig(said, "title")),
            place=reading.text(dig(said, "territory"), 20),
            text=reading.text(dig(said, "responseBody" if own else "body")) or "",
            created_at=made,
            metrics=reading.numbers(said, "rating"),
            reply_capability="none" if own or "author" in thing else "allowed",  # the feed's ids are others
            own=own,
            order=reading.millis(made),
        )


def _unpacked(said: object) -> Iterator[Mapping[str, Any]]:
    """The things in an answer, with those that it includes, or by themselves; each entry of the feed as one of them."""
    if (feed := dig(said, "feed")) is not None:
        entry = dig(feed, "entry")
        for one in entry if isinstance(entry, list) else [entry]:
            if dig(one, "im:rating") is not None:  # the first entry of old feeds is the app itself
                yield _from_feed(one)
        return
    data = said if isinstance(said, list) or isinstance(dig(said, "type"), str) else dig(said, "data")
    for one in [*(data if isinstance(data, list) else [data]), *reading.listed(dig(said, "included"))]:
        if isinstance(one, dict):
            yield one


def _from_feed(entry: object) -> Mapping[str, Any]:
    """https://itunes.apple.com/<country>/rss/customerreviews/id=<app>/json"""
    author = re.search(r"/id([0-9]{1,20})", reading.text(dig(entry, "author", "uri", "label")) or "", re.ASCII)
    return {
        "type": REVIEW,
        "id": dig(entry, "id", "label"),
        "author": author[1] if author else None,
        "attributes": {
            "rating": reading.whole(dig(entry, "im:rating", "label")),
            "title": dig(entry, "title", "label"),
            "body": dig(entry, "content", "label"),
            "reviewerNickname": dig(entry, "author", "name", "label"),
            "createdDate": dig(entry, "updated", "label"),
        },
    }


def _unsupported(event: str, reason: str) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event, reason=reason)
