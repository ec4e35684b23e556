"""The YouTube source: what the YouTube Data API answers about comments. https://developers.google.com/youtube/v3/docs

A thread is a comment on a video with the replies below it. An answer shows at most five of those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, Field

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.html import plain_text
from connectors.core.models import AnyEvent, Author, Mention, Unsupported
from connectors.core.reading import dig

CONNECTOR = "youtube"
_HIDDEN = {"heldForReview", "likelySpam", "rejected"}
"""What moderators have not let out yet, or not at all: nobody can see it, so nobody answers it."""


class YouTubeSource(reading.Settings):
    """`Account`: our channel's id, whose videos are asked about; ids of other channels of ours behind it. `ApiUrl`,
    `LoginUrl`: Google's own."""

    account: reading.Accounts = Field(min_length=1)
    api_url: reading.Address = "https://www.googleapis.com/youtube/v3"
    login_url: reading.Address = "https://oauth2.googleapis.com/token"


class _Told(NamedTuple):
    """One comment, the video that its thread says it is about, and the thread's comment."""

    comment: Any
    video: Any = None
    top: Any = None


class YouTube:
    """One channel; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = YouTubeSource

    def __init__(self, settings: YouTubeSource) -> None:
        self._accounts = settings.account

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:  # noqa: ARG003
        """Any channel: ids are YouTube's own."""
        return cls(YouTubeSource.model_construct(account=tuple(accounts)))

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The comments in an answer of the API, oldest first. Raises `PayloadError`."""
        said = reading.json_of(delivery)
        kind = f"{dig(said, 'kind') or ''}"
        if found := self.read(said):
            return found
        if kind.startswith("youtube#comment"):
            return []  # a page with nothing on it
        if not kind.startswith("youtube#"):
            raise PayloadError("the body is no answer of the YouTube Data API")
        return [_unsupported(reading.clean(kind.removeprefix("youtube#"))[:60], "not about comments")]

    def read(self, said: object) -> list[AnyEvent]:
        """The same for what is read already."""
        if isinstance(said, dict) and "error" in said:
            return [_unsupported("error", "the API refused a question")]
        events = [self._event(one) for one in _unpacked(said)]
        return sorted(events, key=lambda event: reading.millis(getattr(event, "created_at", None)))

    def _event(self, told: _Told) -> AnyEvent:
        snippet, native_id = dig(told.comment, "snippet"), reading.ident(dig(told.comment, "id"))
        if native_id is None or not isinstance(snippet, dict):
            return _unsupported("comment", "a comment without an id or a snippet")
        if reading.text(dig(snippet, "moderationStatus")) in _HIDDEN:
            return _unsupported("comment.held", "a comment that moderators did not let out", keep_raw=False)
        parent = reading.ident(dig(snippet, "parentId")) or (told.top if told.top != native_id else None)
        parent = parent or reading.ident(native_id.rpartition(".")[0])  # a reply's id begins with its thread's
        author, made = _author(snippet), reading.moment(dig(snippet, "publishedAt"))
        changed = reading.moment(dig(snippet, "updatedAt"))
        edited = made is not None and changed is not None and changed > made
        video = reading.ident(dig(snippet, "videoId")) or reading.ident(told.video)
        original = reading.text(dig(snippet, "textOriginal"))
        return Mention(
            connector=CONNECTOR,
            native_id=native_id,
            conversation_id=parent or native_id,
            parent_id=parent,
            kind="reply" if parent else "post",
            version=reading.millis(changed) if edited else 0,
            author=author,
            place=video,
            text=original or plain_text(reading.text(dig(snippet, "textDisplay")) or ""),
            url=f"https://www.youtube.com/watch?v={video}&lc={native_id}" if video else None,
            created_at=made,
            metrics=reading.numbers(snippet, "likeCount"),
            reply_capability="allowed" if dig(snippet, "canReply") is not False else "none",
            own=reading.is_own(self._accounts, author),
            order=reading.millis(changed or made),
        )


def _unpacked(said: object) -> Iterator[_Told]:
    """The comments in a list, a thread, or a comment by itself; whichever part of it was asked for."""
    if isinstance(said, list) or isinstance(dig(said, "items"), list):
        for one in said if isinstance(said, list) else dig(said, "items"):
            yield from _unpacked(one) if not isinstance(one, list) else ()
    elif isinstance(top := dig(said, "snippet", "topLevelComment"), dict) or dig(said, "replies") is not None:
        video, thread = dig(said, "snippet", "videoId"), reading.ident(dig(said, "id"))
        first = _fitting(top, dig(said, "snippet", "canReply")) if isinstance(top, dict) else None
        below = dig(said, "replies", "comments")
        if first is not None:
            yield _Told(first, video)
        for one in below if isinstance(below, list) else ():
            yield _Told(one, video, reading.ident(dig(top, "id")) or thread)
    elif _is_comment(said):
        yield _Told(said)


def _is_comment(said: object) -> bool:
    """`kind` is left out by some clients."""
    kind = dig(said, "kind")
    return kind == "youtube#comment" or (kind is None and dig(said, "snippet", "authorDisplayName") is not None)


def _fitting(comment: Mapping[str, Any], can_reply: object) -> Mapping[str, Any]:
    """Whether a comment takes replies is said of its thread."""
    snippet = dig(comment, "snippet")
    return {**comment, "snippet": {**snippet, "canReply": can_reply}} if isinstance(snippet, dict) else comment


def _author(snippet: Mapping[str, Any]) -> Author | None:
    """By the channel; `authorDisplayName` is a handle (`@ines`) since 2023, and was a name before."""
    native_id = reading.ident(dig(snippet, "authorChannelId", "value")) or reading.ident(
        dig(snippet, "authorChannelId")
    )
    name = reading.text(dig(snippet, "authorDisplayName"))
    if native_id is None:
        return None
    handle = name.removeprefix("@") if name and name.startswith("@") else None
    return Author(native_id=native_id, handle=handle, name=None if handle else name)


def _unsupported(event: str, reason: str, *, keep_raw: bool = True) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event, reason=reason, keep_raw=keep_raw)
