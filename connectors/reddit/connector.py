"""The Reddit source: what Reddit's API answers about posts (`t3`) and comments (`t1`).

Everything is a *thing*: `{"kind": "t1", "data": {…}}`, and lists are things too. https://www.reddit.com/dev/api/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import AnyEvent, Author, Deletion, Mention, Unsupported
from connectors.core.reading import dig

CONNECTOR = "reddit"
_GONE = {"[deleted]", "[removed]", "[ Removed by Reddit ]", "[removed by reddit]"}
"""What stands in the place of words that their author, or a moderator, took away."""
_REMOVED = {
    "deleted",
    "moderator",
    "author",
    "content_takedown",
    "copyright_takedown",
    "community_ops",
    "anti_evil_ops",
}
"""Who took a post away that is a link and has no words. What a filter holds back may still come out."""
_THREAD = re.compile(r"/comments/([a-z0-9]{1,13})(?:/|$)", re.ASCII)
_DEEPEST = 60


class RedditSource(reading.Settings):
    """`Account`: our user's name; others of ours behind it. `Subreddits`: whose new posts are read; `Search`: what is
    looked for everywhere. `ApiUrl`, `LoginUrl`: Reddit's own."""

    account: reading.Accounts = Field(min_length=1)
    subreddits: reading.Words = ()
    search: reading.Words = ()
    api_url: reading.Address = "https://oauth.reddit.com"
    login_url: reading.Address = "https://www.reddit.com/api/v1/access_token"


class Reddit:
    """What one account sees; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = RedditSource

    def __init__(self, settings: RedditSource) -> None:
        self._accounts = [one.removeprefix("u/") for one in settings.account]

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:  # noqa: ARG003
        """Any account: ids are Reddit's own."""
        return cls(RedditSource.model_construct(account=tuple(accounts)))

    def parse(self, delivery: Delivery) -> Sequence[AnyEvent]:
        """The events in an answer of the API, oldest first. Raises `PayloadError`."""
        said = reading.json_of(delivery)
        if found := self.read(said, delivery.received_at):
            return found
        if dig(said, "kind") == "Listing" or dig(said, 0, "kind") == "Listing":
            return []  # a page with nothing on it
        if isinstance(dig(said, "json"), dict):
            return [_unsupported("answer", "says nothing of a post or a comment")]
        raise PayloadError("the body is no answer of Reddit's API")

    def read(self, said: object, now: int = 0) -> list[AnyEvent]:
        """The same for what is read already; `now` in milliseconds, for removals, which have no time."""
        refused = any(dig(said, name) is not None for name in ("error", "explanation", "jquery"))
        if refused or dig(said, "json", "errors"):
            return [_unsupported("error", "the API refused something")]
        events = [self._event(kind, data, now) for kind, data in _things(said)]
        return sorted(events, key=lambda event: reading.millis(getattr(event, "created_at", None)))

    def _event(self, kind: str, data: Mapping[str, Any], now: int) -> AnyEvent:
        native_id = _name(kind, data)
        if kind == "t4":
            return _unsupported("t4", "a private message", keep_raw=False)
        if kind not in {"t1", "t3"} or native_id is None:
            return _unsupported(kind, "neither a post nor a comment, or without an id")
        words = reading.text(dig(data, "body" if kind == "t1" else "selftext")) or ""
        author, thread = _author(data), native_id if kind == "t3" else _thread(data)
        if words.strip() in _GONE or dig(data, "removed") is True or f"{dig(data, 'removed_by_category')}" in _REMOVED:
            return Deletion(connector=CONNECTOR, native_id=native_id, conversation_id=thread, order=now)
        made = reading.moment(dig(data, "created_utc"))
        edited = reading.moment(dig(data, "edited"))  # false, a time, or true where it was long ago
        closed = dig(data, "archived") is True or dig(data, "locked") is True
        html = dig(data, "body_html" if kind == "t1" else "selftext_html")
        title = reading.text(dig(data, "title")) if kind == "t3" else None
        return Mention(
            connector=CONNECTOR,
            native_id=native_id,
            conversation_id=thread or native_id,
            parent_id=reading.ident(dig(data, "parent_id")) if kind == "t1" else None,
            kind="post" if kind == "t3" else "reply",
            version=reading.millis(edited),
            author=author,
            place=(reading.text(dig(data, "subreddit"), 60) or "").lower() or None,
            title=_plain(title, html) if title else None,
            text=_plain(words, html),
            url=_address(data, native_id, thread),
            created_at=made,
            metrics=reading.numbers(data, "score", "num_comments"),
            reply_capability="none" if closed else "allowed",
            own=reading.is_own(self._accounts, author),
            order=reading.millis(edited or made),
        )


def _things(said: object, depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The things in an answer, those in lists and below comments too; of any but lists, kind and data."""
    if depth > _DEEPEST:
        return
    if isinstance(said, list):
        for one in said:
            yield from _things(one, depth + 1)
    elif isinstance(things := dig(said, "json", "data", "things"), list):
        yield from _things(things, depth + 1)
    elif isinstance(data := dig(said, "data"), dict) and isinstance(kind := dig(said, "kind"), str):
        if kind == "Listing":
            yield from _things(reading.listed(dig(data, "children")), depth + 1)
        elif kind != "more":  # names of comments that were left out
            yield reading.clean(kind)[:20], data
            yield from _things(dig(data, "replies"), depth + 1)
    elif isinstance(said, dict) and (bare := re.fullmatch(r"(t[1-6])_\w+", f"{dig(said, 'name')}", re.ASCII)):
        yield bare[1], said
        yield from _things(dig(said, "replies"), depth + 1)


def _name(kind: str, data: Mapping[str, Any]) -> str | None:
    """A thing's full name: its kind and its id."""
    name, bare = reading.ident(dig(data, "name")), reading.ident(dig(data, "id"))
    if name and name.startswith(f"{kind}_"):
        return name
    return f"{kind}_{bare.removeprefix(f'{kind}_')}" if bare else None


def _thread(data: Mapping[str, Any]) -> str | None:
    """The post that a comment stands below. An inbox does not name it, but says where the comment is."""
    if told := reading.ident(dig(data, "link_id")):
        return told
    for where in ("context", "permalink", "link_permalink"):
        if found := _THREAD.search(reading.text(dig(data, where), 2000) or ""):
            return f"t3_{found[1]}"
    parent = reading.ident(dig(data, "parent_id"))
    return parent if parent and parent.startswith("t3_") else None


def _author(data: Mapping[str, Any]) -> Author | None:
    """By the account's full name (`t2_…`), which older answers lack, else by its name, which nobody can change."""
    name = reading.text(dig(data, "author"), 60)
    if name is None or name == "[deleted]":
        return None
    bare = re.sub(r"[^A-Za-z0-9_-]", "_", name)  # a name may begin with `_` or `-`, which an id may not
    native_id = reading.ident(dig(data, "author_fullname")) or reading.ident(name) or reading.ident(f"u{bare}")
    return Author(native_id=native_id, handle=name) if native_id else None


def _plain(words: str, html: object) -> str:
    """Unless it is asked for `raw_json`, Reddit writes `<`, `>` and `&` as entities everywhere, in the HTML beside as
    well. https://www.reddit.com/dev/api/#response_body_encoding"""
    if isinstance(html, str) and html.startswith("<"):
        return words
    return words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _address(data: Mapping[str, Any], native_id: str, thread: str | None) -> str | None:
    path = reading.text(dig(data, "permalink")) or reading.text(dig(data, "context"))
    if path is None and thread and thread != native_id:  # older answers say it of posts only
        path = f"/comments/{thread.removeprefix('t3_')}/_/{native_id.removeprefix('t1_')}/"
    return reading.web(f"https://www.reddit.com{path}" if path and re.match(r"/(?!/)", path) else path)


def _unsupported(event: str, reason: str, *, keep_raw: bool = True) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event, reason=reason, keep_raw=keep_raw)
