"""The Trustpilot source: webhooks that nobody signs, and what Trustpilot's API answers about reviews.

A delivery may come from anybody, so that it is only a hint: the review that it names is fetched.
https://documentation-apidocumentation.trustpilot.com/service-reviews-api
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Author, Hint, Mention, Unsupported
from connectors.core.reading import dig

CONNECTOR, REPLY = "trustpilot", ":reply"
_ID = re.compile(r"[0-9A-Za-z]{8,40}", re.ASCII)
"""An id as Trustpilot has them. A delivery may come from anybody, and what it names becomes a part of an address."""
_NOT_OURS = ("productReviews", "businessUnits")


class TrustpilotSource(reading.Settings):
    """`BusinessUnit`: our id there. `ApiUrl`: Trustpilot's own."""

    business_unit: str = Field(pattern=r"^[0-9a-f]{24}$")
    api_url: reading.Address = "https://api.trustpilot.com"


class Trustpilot:
    """One business unit; satisfies `Receiver`. `trusted`: what is read comes from Trustpilot, by our own asking."""

    settings_model: ClassVar[type[BaseModel]] = TrustpilotSource

    def __init__(self, settings: TrustpilotSource | None = None, *, trusted: bool = False) -> None:  # noqa: ARG002
        self._trusted = trusted

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:  # noqa: ARG003
        """Any business unit; answers of the API are read as well."""
        return cls(trusted=True)

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The hints in a delivery; of an answer, where it can be trusted, its reviews. Raises `PayloadError`."""
        said = reading.body_of(delivery)
        if isinstance(events := dig(said, "events"), list):
            return [_hint(one) for one in events]
        if not self._trusted:
            return [_unsupported("unknown", "not what Trustpilot's webhooks bring")]
        found = self.read(said)
        if not found and not isinstance(dig(said, "reviews"), list):
            raise PayloadError("the body is neither a delivery nor an answer of Trustpilot")
        return found

    def read(self, said: object) -> list[AnyEvent]:
        """The reviews in an answer, with our replies, oldest first."""
        if dig(said, "stars") is not None or isinstance(dig(said, "reviews"), list):
            reviews = [said] if dig(said, "stars") is not None else dig(said, "reviews")
            events = [event for one in reviews for event in _events(one)]
            return sorted(events, key=lambda event: reading.millis(getattr(event, "created_at", None)))
        if any(isinstance(dig(said, name), list) for name in _NOT_OURS):
            return [_unsupported("other", "not about service reviews")]
        refused = any(dig(said, name) is not None for name in ("errorCode", "message", "fault"))
        return [_unsupported("error", "the API refused a question")] if refused else []


def _hint(event: object) -> AnyEvent:
    name, about = reading.text(dig(event, "eventName"), 60) or "unknown", dig(event, "eventData")
    review = reading.text(dig(about, "reviewId")) or reading.text(dig(about, "id"))
    if not name.startswith("service-review") or review is None or not _ID.fullmatch(review):
        return _unsupported(name, "not about a service review, or without its id")
    return Hint(connector=CONNECTOR, event=name, native_id=review)


def _events(review: object) -> Iterator[AnyEvent]:
    """A review as it stands now, and the company's reply below it."""
    native_id = reading.ident(dig(review, "id"))
    if native_id is None:
        yield _unsupported("review", "a review without an id")
        return
    who, ours = dig(review, "consumer"), dig(review, "companyReply")
    name = reading.text(dig(who, "displayName")) or reading.text(dig(who, "name"))
    made, changed = _times(review)
    yield Mention(
        connector=CONNECTOR,
        native_id=native_id,
        conversation_id=native_id,
        kind="post",
        version=changed,
        author=Author(native_id=reading.ident(dig(who, "id")) or native_id, name=name),
        title=reading.text(dig(review, "title")),
        text=reading.text(dig(review, "text")) or "",
        language=reading.text(dig(review, "language"), 20),
        url=f"https://www.trustpilot.com/reviews/{native_id}",
        created_at=made,
        metrics=reading.numbers(review, "stars", "numberOfLikes"),
        reply_capability="allowed",
        order=changed or reading.millis(made),
    )
    if isinstance(ours, dict):
        made, changed = _times(ours)
        order = changed or reading.millis(made)
        yield Mention(
            connector=CONNECTOR,
            native_id=f"{native_id}{REPLY}",
            conversation_id=native_id,
            parent_id=native_id,
            kind="reply",
            version=order,  # one that was written anew has the same id
            text=reading.text(dig(ours, "text")) or "",
            url=f"https://www.trustpilot.com/reviews/{native_id}",
            created_at=made,
            own=True,
            order=order,
        )


def _times(said: object) -> tuple[Any, int]:
    """When it was written, and last changed (milliseconds; 0 where it was not)."""
    made, changed = reading.moment(dig(said, "createdAt")), reading.moment(dig(said, "updatedAt"))
    return made, reading.millis(changed) if changed and made and changed > made else 0


def _unsupported(event: str, reason: str) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event, reason=reason)
