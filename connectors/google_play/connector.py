"""The Google Play source: what the Android Publisher API answers about reviews.

https://developers.google.com/android-publisher/api-ref/rest/v3/reviews
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

from pydantic import BaseModel, Field

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Author, Mention, Unsupported
from connectors.core.reading import dig

CONNECTOR, REPLY = "google_play", ":reply"


class GooglePlaySource(reading.Settings):
    """`App`: the package's name. `ApiUrl`, `LoginUrl`: Google's own."""

    app: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$", max_length=150)
    api_url: reading.Address = "https://androidpublisher.googleapis.com"
    login_url: reading.Address = "https://oauth2.googleapis.com/token"


class GooglePlay:
    """One app; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = GooglePlaySource

    def __init__(self, settings: GooglePlaySource | None = None) -> None:
        """Reviews are read alike, whatever the settings."""

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
    if native_id is None or len(native_id) > reading.LONGEST_ID - len(REPLY) or not told:
        yield _unsupported("review", "a review without an id, or without what its user said")
        return
    said = max((dig(one, "userComment") for one in told), key=_at)
    # Words that were translated for whoever asked stand beside what the user wrote.
    words = reading.text(dig(said, "originalText")) or reading.text(dig(said, "text")) or ""
    *title, body = words.split("\t", 1)  # a title, from the days when a review had one
    yield Mention(
        connector=CONNECTOR,
        native_id=native_id,
        conversation_id=native_id,
        kind="post",
        version=_at(said),
        # Names are nobody's for sure: each review has an author of its own.
        author=Author(native_id=native_id, name=reading.text(dig(review, "authorName"))),
        title="".join(title).strip() or None,
        text=body.strip(),
        language=reading.text(dig(said, "reviewerLanguage"), 20),
        created_at=reading.moment(_at(said), "ms"),
        metrics=reading.numbers(said, "starRating", "thumbsUpCount", "thumbsDownCount"),
        reply_capability="allowed",
        order=_at(said),
    )
    if ours := [dig(one, "developerComment") for one in comments if isinstance(dig(one, "developerComment"), dict)]:
        reply = max(ours, key=_at)
        yield Mention(
            connector=CONNECTOR,
            native_id=f"{native_id}{REPLY}",
            conversation_id=native_id,
            parent_id=native_id,
            kind="reply",
            version=_at(reply),
            text=(reading.text(dig(reply, "text")) or "").strip(),
            created_at=reading.moment(_at(reply), "ms"),
            own=True,
            order=_at(reply),
        )


def _at(said: object) -> int:
    """When it was last changed, in milliseconds: `{"seconds": "1700000000", "nanos": 417000000}`; 0 where it does not
    say."""
    at = dig(said, "lastModified")
    seconds, nanos = reading.whole(dig(at, "seconds")) or 0, reading.whole(dig(at, "nanos")) or 0
    return reading.millis(reading.moment(seconds * 1000 + nanos // 1_000_000, "ms"))


def _unsupported(event: str, reason: str) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event, reason=reason)
