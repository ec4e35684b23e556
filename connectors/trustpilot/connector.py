"""The Trustpilot source: webhooks that nobody signs, and what Trustpilot's API answers about reviews.

A delivery may come from anybody, so that it is only a hint: the review that it names is fetched.
https://documentation-apidocumentation.trustpilot.com/service-reviews-api
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Hint, Mention, Unsupported
from connectors.core.reading import dig

CONNECTOR = "trustpilot"


class TrustpilotSource(reading.Settings):
    """`BusinessUnit`: our id there. `ApiUrl`: Trustpilot's own."""

    business_unit: str = Field(pattern=r"^[0-9a-f]{24}$")
    api_url: reading.Address = "https://api.trustpilot.com"


class Trustpilot:
    """One business unit; satisfies `Receiver`. `trusted`: what is read comes from Trustpilot, by our own asking."""

    settings_model: ClassVar[type[BaseModel]] = TrustpilotSource

    def __init__(self, settings: TrustpilotSource | None = None, *, trusted: bool = False) -> None:
        self._unit, self._trusted = settings.business_unit if settings else None, trusted

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:  # noqa: ARG003
        """Any business unit; answers of the API are read as well."""
        return cls(trusted=True)

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The hints in a delivery; of an answer, where it can be trusted, its reviews. Raises `PayloadError`."""
        said = reading.body_of(delivery)
        if isinstance(events := dig(said, "events"), list):
            return [self._hint(one) for one in events]
        if not self._trusted:
            return [_unsupported("unknown", "not what Trustpilot's webhooks bring")]
        if found := self.read(said):
            return found
        if isinstance(dig(said, "reviews"), list):
            return []
        raise PayloadError("the body is neither a delivery nor an answer of Trustpilot")

    def read(self, said: object) -> list[AnyEvent]:
        """The reviews in an answer, with our replies, oldest first."""
        if dig(said, "stars") is None and not isinstance(dig(said, "reviews"), list):
            refused = dig(said, "errorCode") is not None or dig(said, "message") is not None
            return [_unsupported("error", "the API refused a question")] if refused else []
        reviews = reading.listed(dig(said, "reviews")) or ([said] if dig(said, "stars") is not None else [])
        events = [event for review in reviews for event in _events(review)]
        return sorted(events, key=lambda event: reading.millis(getattr(event, "created_at", None)))

    def _hint(self, event: object) -> AnyEvent:
        name = reading.text(dig(event, "eventName"), 60) or "unknown"
        about = dig(event, "eventData")
        review = reading.ident(dig(about, "reviewId")) or reading.ident(dig(about, "id"))
        if not name.startswith("service-review") or review is None:
            return _unsupported(name, "not about a service review, or without its id")
        return Hint(connector=CONNECTOR, event=name, native_id=review)


def _events(review: object) -> Iterator[AnyEvent]:
    """A review as it stands now, and the company's reply below it."""
    native_id = reading.ident(dig(review, "id"))
    if native_id is None:
        yield _unsupported("review", "a review without an id")
        return
    made, changed = reading.moment(dig(review, "createdAt")), reading.moment(dig(review, "updatedAt"))
    yield Mention(
        connector=CONNECTOR,
        native_id=native_id,
        conversation_id=native_id,
        kind="post",
        version=reading.millis(changed) if changed and made and changed > made else 0,
        author=reading.person(dig(review, "consumer"), handle="", name="displayName", followers="")
        or reading.person(dig(review, "consumer"), handle="", name="name", followers=""),
        title=reading.text(dig(review, "title")),
        text=reading.text(dig(review, "text")) or "",
        language=reading.text(dig(review, "language"), 20),
        url=f"https://www.trustpilot.com/reviews/{native_id}",
        created_at=made,
        metrics=reading.numbers(review, "stars", "numberOfLikes"),
        reply_capability="allowed",
        order=reading.millis(changed or made),
    )
    if isinstance(ours := dig(review, "companyReply"), dict):
        yield _reply(native_id, ours)


def _reply(review: str, said: Any) -> Mention:
    made, changed = reading.moment(dig(said, "createdAt")), reading.moment(dig(said, "updatedAt"))
    return Mention(
        connector=CONNECTOR,
        native_id=f"{review}:reply",
        conversation_id=review,
        parent_id=review,
        kind="reply",
        version=reading.millis(changed) if changed and made and changed > made else 0,
        text=reading.text(dig(said, "text")) or "",
        url=f"https://www.trustpilot.com/reviews/{review}",
        created_at=made,
        own=True,
        order=reading.millis(changed or made),
    )


def _unsupported(event: str, reason: str) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event, reason=reason)
