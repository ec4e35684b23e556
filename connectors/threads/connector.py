"""The Threads source: what Meta pushes, and what the API answers about posts.

https://developers.facebook.com/docs/threads/webhooks
https://developers.facebook.com/docs/threads/retrieve-and-discover-posts/retrieve-posts
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field

from connectors import graph
from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.models import AnyEvent, Deletion, Mention
from connectors.core.reading import dig

CONNECTOR = "threads"
_POSTS = {"replies", "mentions", "publish"}
_HIDDEN = {"HIDDEN", "COVERED", "BLOCKED", "RESTRICTED"}
"""What our side, or Threads for it, does not let others read."""
_OF_A_POST = ("text", "media_type", "permalink", "timestamp", "replied_to", "poll_attachment", "text_attachment")
_EDGES = ("data", "threads", "replies", "mentions", "conversation")
_ASKED = graph.Told(CONNECTOR, "answer", None)


class ThreadsSource(reading.Settings):
    """`Account`: ours, its name and its id. `Search` and `Tags`: what is looked for besides. `ApiUrl`: Threads' own."""

    account: reading.Accounts = Field(min_length=1)
    search: reading.Words = ()
    tags: reading.Words = ()
    api_url: reading.Address = "https://graph.threads.net/v1.0"


class Threads:
    """One profile; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = ThreadsSource

    def __init__(self, settings: ThreadsSource) -> None:
        self._accounts = settings.account

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:  # noqa: ARG003
        """Any profile: ids are Threads' own."""
        return cls(ThreadsSource.model_construct(account=tuple(accounts)))

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The events in a delivery, or in an answer of the API. Raises `PayloadError`."""
        return graph.parsed(CONNECTOR, delivery, self._change, self.read)

    def read(self, said: Any) -> list[AnyEvent]:
        """What an answer tells, oldest first."""
        return graph.oldest_first(self._post(one, _ASKED) for one in graph.nodes(said, *_EDGES))

    def _change(self, told: graph.Told, now: int) -> AnyEvent:
        if told.field in _POSTS:
            return self._post(told.value, told)
        if told.field == "delete" and (native_id := reading.ident(dig(told.value, "id"))):
            at, root = reading.moment(dig(told.value, "deleted_at")), graph.refers(told.value, "root_post")
            order = told.at or reading.millis(at) or now
            return Deletion(connector=CONNECTOR, native_id=native_id, conversation_id=root, deleted_at=at, order=order)
        return graph.skipped(CONNECTOR, told.field, "not acted on", keep_raw=True)

    def _post(self, what: Any, told: graph.Told) -> AnyEvent:
        native_id = reading.ident(dig(what, "id"))
        if native_id is None or not any(name in what for name in _OF_A_POST):
            return graph.skipped(CONNECTOR, told.field, "no post that has an id")
        if dig(what, "media_type") == "REPOST_FACADE":
            return graph.skipped(CONNECTOR, f"{told.field}.repost", "a bare repost")
        if reading.text(dig(what, "hide_status")) in _HIDDEN:
            return graph.skipped(CONNECTOR, f"{told.field}.hidden", "a reply that our side hid")
        parent, quoted = graph.refers(what, "replied_to"), graph.refers(what, "quoted_post")
        author, said = graph.person(what), reading.moment(dig(what, "timestamp"))
        own = told.field == "publish" or dig(what, "is_reply_owned_by_me") is True
        own = own or graph.is_ours(self._accounts, author)
        words = [reading.text(dig(what, "text")), reading.text(dig(what, "text_attachment", "plaintext"))]
        reply, quote = parent or dig(what, "is_reply") is True, quoted or dig(what, "is_quote_post") is True
        return Mention(
            connector=CONNECTOR,
            native_id=native_id,
            conversation_id=graph.refers(what, "root_post") or native_id,
            parent_id=parent,
            kind="reply" if reply else "quote" if quote else "post",
            quoted_id=quoted,
            author=author,
            text="\n\n".join(filter(None, words)),
            url=reading.web(dig(what, "permalink")),
            created_at=said,
            reply_capability="none" if own else "allowed",
            own=own,
            order=told.at or reading.millis(said),
            keep_raw=not isinstance(dig(what, "quoted_post"), dict) or set(what["quoted_post"]) <= {"id"},
        )
