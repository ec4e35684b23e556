"""Posts in an invented forum, as events, and the pieces of the machine that take them in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

from connectors.core.ingest import Origin
from connectors.core.models import Author, Deletion, Mention, Unsupported

FORUM = "forum.nimbus.example"
ORIGIN = Origin("stack/Forum", "discourse")
RAW = b'{"post": "as delivered"}'


def said(post: int = 1, *, topic: int = 7, text: str = "The heating is cold.", order: int = 1, **more: Any) -> Mention:
    """A post. `order` is the number of the delivery at the forum."""
    fields: dict[str, Any] = {
        "connector": "discourse",
        "authority": FORUM,
        "native_id": str(post),
        "conversation_id": str(topic),
        "version": 1,
        "author": Author(native_id="55", handle="ada", name="Ada Quill"),
        "text": text,
        "url": f"https://{FORUM}/t/-/{topic}/{post}",
        "created_at": datetime(2026, 11, 20, 10, post % 60, tzinfo=UTC),
        "order": order,
        "reply_capability": "allowed",
    }
    return Mention(**fields | more)


def gone(post: int = 1, *, topic: int = 7, order: int = 2) -> Deletion:
    """The removal of a post."""
    return Deletion(
        connector="discourse", authority=FORUM, native_id=str(post), conversation_id=str(topic), order=order
    )


def unsupported(keep_raw: bool = True) -> Unsupported:
    """An event that nobody acts on."""
    return Unsupported(connector="discourse", event="post_liked", reason="a like says nothing", keep_raw=keep_raw)


def ticking(start: int = 1_795_000_000_000) -> Iterator[int]:
    """Milliseconds since the epoch, one more at each look."""
    return count(start)
