"""The Google Play source: what the Android Publisher API answers about reviews.

https://developers.google.com/android-publisher/api-ref/rest/v3/reviews
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Author, Mention, Unsupported
from connectors.core.reading import dig

CONNECTOR = "google_play"


class GooglePlaySource(reading.Settings):
    """`App`: the package's name. `ApiUrl`, `LoginUrl`: Google's own."""

    app: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$", max_length=150)
    api_url: reading.Address = "https://androidpublisher.googleapis.com"
    login_url: reading.Address = "https://oauth2.googleapis.com/token"


class GooglePlay:
    """One app; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = GooglePlaySource

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:  # noqa: ARG003
        """Any app: what is ours is told by where it stands."""
        return cls()

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The reviews in an answer, with our replies, oldest first. Raises `PayloadError`."""
        said = reading.body_of(delivery)
        if found := self.read(said):
            return found
        if said and not said.keys() <= {"reviews", "pageInfo", "tokenPagination"}:
            raise PayloadError("the body is no answer about reviews of the Android Publisher API")
        return []  # an app without reviews this week is answered with {}

    def read(self, said: object) -> list[AnyEvent]:
        """The same for what is read already."""
        if dig(said, "error") is not None:
            return [_unsupported("error", "the API refused a question")]
        if isinstance(told := dig(said, "result"), dict):
            return [_unsupported("reply", "says what was replied, and not to which review")] if told else []
        reviews = reading.listed(dig(said, "reviews")) or ([said] if dig(said, "reviewId") is not None else [])
        events = [event for review in reviews for event in _events(review)]
        return sorted(events, key=lambda event: reading.millis(getattr(event, "created_at", None)))


def _events(review: object) -> Iterator[AnyEvent]:
    """A review as it stands now, and the developer's reply below it. Only the time of the last change is told."""
    native_id = reading.ident(dig(review, "reviewId"))
    comments = reading.listed(dig(review, "comments"))
    told = [one for one in comments if isinstance(dig(one, "userComment"), dict)]
    if native_id is None or not told:
        yield _unsupported("review", "a review without an id, or without what its user said")
        return
    said = dig(told[-1], "userComment")
    title, tab, body = (reading.text(dig(said, "text")) or "").partition("\t")
    at = _moment(dig(said, "lastModified"))
    yield Mention(
        connector=CONNECTOR,
        native_id=native_id,
        conversation_id=native_id,
        kind="post",
        version=reading.millis(at),
        # Names are nobody's for sure: each review has an author of its own.
        author=Author(native_id=native_id, name=reading.text(dig(review, "authorName"))),
        title=(title.strip() or None) if tab else None,
        text=body.strip() if tab else title.strip(),
        language=reading.text(dig(said, "reviewerLanguage"), 20),
        created_at=at,
        metrics=reading.numbers(said, "starRating", "thumbsUpCount", "thumbsDownCount"),
        reply_capability="allowed",
        order=reading.millis(at),
    )
    for one in comments:
        if isinstance(ours := dig(one, "developerComment"), dict):
            yield _reply(native_id, ours)


def _reply(review: str, said: Any) -> Mention:
    at = _moment(dig(said, "lastModified"))
    return Mention(
        connector=CONNECTOR,
        native_id=f"{review}:reply"[: reading.LONGEST_ID],
        conversation_id=review,
        parent_id=review,
        kind="reply",
        version=reading.millis(at),
        text=(reading.text(dig(said, "text")) or "").strip(),
        created_at=at,
        own=True,
        order=reading.millis(at),
    )


def _moment(told: object) -> Any:
    """`{"seconds": "1700000000", "nanos": 417000000}`"""
    seconds, nanos = reading.whole(dig(told, "seconds")), reading.whole(dig(told, "nanos")) or 0
    return None if seconds is None else reading.moment(seconds * 1000 + nanos // 1_000_000, "ms")


def _unsupported(event: str, reason: str) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event, reason=reason)
