"""The Instagram source: comments come whole, mentions as a hint, and what the API answers about either.

https://developers.facebook.com/docs/instagram-platform/webhooks/examples
https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/ig-comment
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, Field

from connectors import graph
from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.models import AnyEvent, Hint, Mention
from connectors.core.reading import dig

CONNECTOR = "instagram"
_OF_A_COMMENT = ("text", "parent_id", "hidden", "from")
_OF_A_POST = ("caption", "media_type", "media_url", "permalink", "media_product_type", "shortcode")
_EDGES = ("data", "media", "tags", "stories", "live_media")  # where answers have lists
_ASKED = graph.Told(CONNECTOR, "answer", None)


class InstagramSource(reading.Settings):
    """`Account`: the id of our professional account, which is asked and answers; its name, and others of ours, behind
    it. `Login`: how the app was let in, by which the API has one address or the other, if `ApiUrl` names none."""

    account: reading.Accounts = Field(min_length=1)
    login: Literal["facebook", "instagram"] = "facebook"
    api_url: reading.Address | None = None

    @property
    def base(self) -> str:
        """The API's address, with its version."""
        return self.api_url or f"https://graph.{self.login}.com/v25.0"


class _Shown(NamedTuple):
    """A comment or a post in an answer; the post and the comment that it stands under there."""

    what: Any
    post: str | None = None
    parent: str | None = None


class Instagram:
    """One professional account; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = InstagramSource

    def __init__(self, settings: InstagramSource) -> None:
        self._accounts = settings.account

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:  # noqa: ARG003
        """Any account: ids are Instagram's own."""
        return cls(InstagramSource.model_construct(account=tuple(accounts)))

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The events in a delivery, or in an answer of the API. Raises `PayloadError`."""
        return graph.parsed(CONNECTOR, delivery, self._change, self.read)

    def read(self, said: Any, post: str | None = None) -> list[AnyEvent]:
        """What an answer tells, oldest first; `post`: what its comments stand under, where it does not say."""
        named = dig(said, "mentioned_media")  # one that names us may be answered, one that we are tagged in may not
        shown = _unpacked(dig(said, "mentioned_comment") or named or said, post)
        return graph.oldest_first(self._event(one, named=one.what is named) for one in shown)

    def _change(self, told: graph.Told, _: int) -> AnyEvent:
        if told.field in {"comments", "live_comments"}:
            return self._event(_Shown(told.value), told)
        comment, post = reading.ident(dig(told.value, "comment_id")), graph.refers(told.value, "media_id")
        if told.field == "mentions" and (native_id := comment or post):
            name = "mentions.comment" if comment else "mentions.media"
            return Hint(connector=CONNECTOR, event=name, native_id=native_id, about=post)
        return graph.skipped(CONNECTOR, told.field, "not acted on", keep_raw=True)

    def _event(self, shown: _Shown, told: graph.Told = _ASKED, *, named: bool = False) -> AnyEvent:
        what, comment = shown.what, told is not _ASKED or any(name in shown.what for name in _OF_A_COMMENT)
        native_id = reading.ident(dig(what, "id")) or reading.ident(dig(what, "comment_id"))
        if native_id is None or not (comment or any(name in what for name in _OF_A_POST)):
            return graph.skipped(CONNECTOR, told.field, "neither a comment nor a post that has an id")
        if dig(what, "hidden") is True:
            return graph.skipped(CONNECTOR, f"{told.field}.hidden", "a comment that our side hid")
        parent, author = graph.refers(what, "parent_id") or shown.parent, graph.person(what)
        post = graph.refers(what, "media") or graph.refers(what, "media_id") or shown.post if comment else None
        said = reading.moment(dig(what, "timestamp")) or reading.moment(dig(what, "created_time"))
        # https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/ig-comment/replies
        answerable = told.field != "live_comments" and (comment or named)
        return Mention(
            connector=CONNECTOR,
            native_id=native_id,
            conversation_id=post or parent or native_id,
            parent_id=parent,
            kind="reply" if comment else "post",
            author=author,
            text=reading.text(dig(what, "text" if comment else "caption")) or "",
            url=reading.web(dig(what, "permalink")) or reading.web(dig(what, "media", "permalink")),
            created_at=said,
            metrics=reading.numbers(what, "like_count", "comments_count"),
            reply_capability="allowed" if answerable else "none",
            own=graph.is_ours(self._accounts, author) or (author is not None and author.native_id == told.account),
            order=told.at or reading.millis(said),
        )


def _unpacked(said: Any, post: str | None = None, parent: str | None = None) -> Iterator[_Shown]:
    """Each comment and each post in an answer, and what stands below it."""
    for one in graph.nodes(said, *_EDGES):
        yield _Shown(one, post, parent)
        above, native_id = graph.refers(one, "media") or post, reading.ident(one["id"])
        yield from _unpacked(dig(one, "comments", "data"), native_id)
        yield from _unpacked(dig(one, "replies", "data"), above, native_id)
