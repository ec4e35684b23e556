"""Facebook's deliveries as events: pure mapping, no input or output.

    {"object": "page", "entry": [{"id": <page>, "time": …, "changes": [{"field": "feed", "value": {…}}, …]}, …]}

One delivery may hold up to a thousand changes of many Pages. The value of a change came in many shapes over the years,
so all of it may be missing: https://developers.facebook.com/docs/graph-api/webhooks/reference/page
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.core.models import Deletion, Mention, Unsupported
from connectors.facebook import values
from connectors.facebook.values import CONNECTOR, identifier, milliseconds, moment, permalink, string, word

Event = Mention | Deletion | Unsupported

SAID = frozenset({"comment", "link", "note", "photo", "post", "question", "share", "status", "video"})
"""Items in which somebody says something; a photo or a video may be all that is said."""
ADDED = frozenset({"add", ""})
EDITED = frozenset({"edit", "edited", "update"})
REMOVED = frozenset({"remove", "delete"})
_SILENT = {
    "reaction": "a reaction says nothing",
    "like": "a like says nothing",
    "hide": "a moderator hid it; it is still there",
    "unhide": "a moderator showed it again",
}
_PUBLIC = frozenset({"feed", "mention"})
_PRIVATE = ("message", "messaging", "standby", "conversations", "leadgen", "inbox", "call", "business", "group_feed")
_PRIVATE_LISTS = ("messaging", "standby")


@dataclass(frozen=True, slots=True)
class Whose:
    """Our Pages. `configured`: these are all that this source answers for; otherwise any Page may be one."""

    accounts: frozenset[str] = field(default_factory=frozenset)
    configured: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    """What one entry says for all of its changes. Times in milliseconds. `number` tells its changes apart:
    Facebook batches changes of one second, and a delivery that it repeats has them in the same order."""

    whose: Whose
    page: str | None
    at: int | None
    received_at: int
    number: int = 0

    @property
    def order(self) -> int:
        return (self.received_at if self.at is None else self.at) + self.number


@dataclass(frozen=True, slots=True)
class _Ids:
    native: str
    conversation: str
    parent: str | None
    comment: bool


def read(body: Mapping[str, Any], whose: Whose, received_at: int) -> list[Event]:
    """All events of a delivery, in its order. Never raises. `received_at` in milliseconds stands in for the time of an
    entry that has none."""
    subject = word(body.get("object"))
    if subject != "page":
        return [_unsupported(subject or "object", "only Pages are handled", keep_raw=False)]
    entries = body.get("entry")
    if not isinstance(entries, list) or not entries:
        return [_unsupported("page", "the delivery has no entries")]
    return [event for entry in entries for event in _entry(entry, whose, received_at)]


def read_change(change: Mapping[str, Any], whose: Whose, received_at: int) -> list[Event]:
    """One change outside any delivery, as Meta's reference and its test button show them."""
    return [_change(change, _Entry(whose, None, None, received_at))]


def _entry(entry: object, whose: Whose, received_at: int) -> Iterator[Event]:
    if not isinstance(entry, dict):
        yield _unsupported("entry", "the entry is not an object")
        return
    told = False
    for name in _PRIVATE_LISTS:
        for _ in listed(entry.get(name)):
            told = True
            yield _unsupported(name, "a private message is not ours to read", keep_raw=False)
    about = _Entry(whose, identifier(entry.get("id")), milliseconds(entry.get("time")), received_at)
    for number, change in enumerate(listed(entry.get("changes"))):
        told = True
        yield _change(change, replace(about, number=number))
    if not told:
        yield _unsupported("entry", "the entry holds no changes")


def _change(change: object, entry: _Entry) -> Event:
    if not isinstance(change, dict):
        return _unsupported("change", "the change is not an object")
    about = word(change.get("field"))
    if about not in _PUBLIC:
        return _unsupported(
            about or "change", "Hailback does not handle this field", keep_raw=not about.startswith(_PRIVATE)
        )
    value = change.get("value")
    if not isinstance(value, dict):
        return _unsupported(about, "the change has no value")
    return _public(about, value, entry)


def _public(about: str, value: Mapping[str, Any], entry: _Entry) -> Event:
    """A change of a Page's feed, or a mention of the Page elsewhere. What repeats a post is not kept raw: the post may
    be removed later."""
    item = word(value.get("item")) or ("comment" if identifier(value.get("comment_id")) else "post")
    verb = word(value.get("verb"))
    event = f"{about}.{item}.{verb or 'add'}"
    if reason := _SILENT.get(item) or _SILENT.get(verb):
        return _unsupported(event, reason, keep_raw=False)
    if item not in SAID:
        return _unsupported(event, "Hailback does not handle this item", keep_raw=False)
    if verb not in ADDED | EDITED | REMOVED:
        return _unsupported(event, "Hailback does not handle this verb", keep_raw=False)
    ids = _ids(about, item, value, entry)
    if ids is None:
        return _unsupported(event, "the change does not say which post or comment it is about", keep_raw=False)
    if verb in REMOVED:
        return Deletion(
            connector=CONNECTOR,
            native_id=ids.native,
            conversation_id=ids.conversation,
            deleted_at=moment(entry.at),
            order=entry.order,
        )
    return _mention(ids, value, entry, edited=verb in EDITED)


def _mention(ids: _Ids, value: Mapping[str, Any], entry: _Entry, *, edited: bool) -> Mention:
    whose, said_by = entry.whose, values.author(value)
    at = milliseconds(value.get("created_time"))
    version = (entry.order if at is None else at) if edited else 0
    own = said_by is not None and (said_by.native_id == entry.page or said_by.native_id in whose.accounts)
    # A delivery may bring other Pages of the same app; the token of this source does not answer there.
    ours = not whose.configured or entry.page is None or entry.page in whose.accounts
    return Mention(
        connector=CONNECTOR,
        native_id=ids.native,
        conversation_id=ids.conversation,
        parent_id=ids.parent,
        kind="reply" if ids.comment else "post",
        version=version,
        author=said_by,
        text=string(value.get("message")) or "",
        url=_url(ids, value),
        created_at=moment(at),
        reply_capability="allowed" if ours else "none",
        own=own,
        order=entry.order,
    )


def _ids(about: str, item: str, value: Mapping[str, Any], entry: _Entry) -> _Ids | None:
    comment = identifier(value.get("comment_id"))
    post = identifier(value.get("post_id"))
    if post is None:
        post = identifier(_post(value).get("id"))
    native = comment if item == "comment" else comment or post
    if native is None:
        return None
    parent = identifier(value.get("parent_id"))
    if post is None and (about == "feed" or native.count("_") == 2):
        post = values.post_in(native, entry.page)
    post = native if post is None else post
    return _Ids(native, post, None if parent in {post, native} else parent, comment is not None)


def _url(ids: _Ids, value: Mapping[str, Any]) -> str | None:
    """Newer deliveries carry the address of the post; that of a comment follows from the ids."""
    if given := permalink(value.get("permalink_url")):
        return given
    if ids.comment:
        return values.link(ids.conversation, ids.native)
    return permalink(_post(value).get("permalink_url")) or values.link(ids.native)


def _post(value: Mapping[str, Any]) -> Mapping[str, Any]:
    post = value.get("post")
    return post if isinstance(post, dict) else {}


def listed(value: object) -> list[Any]:
    """The value if it is a list, else nothing."""
    return value if isinstance(value, list) else []


def _unsupported(event: str, reason: str, *, keep_raw: bool = True) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event, reason=reason, keep_raw=keep_raw)
