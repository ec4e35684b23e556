"""The Graph API's own answers as events: pages of posts and comments, single ones, and what a create call says. Pure.

Which fields an answer has depends on what was asked for and on the token's rights. Apps that read comments by Page
Public Content Access get no ids (https://developers.facebook.com/docs/graph-api/reference/object/comments), so an id
may have to be read from the comment's address:
`https://www.facebook.com/<page>/posts/<post>?comment_id=…&reply_comment_id=…`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from connectors.core.errors import PayloadError
from connectors.core.models import Mention, Unsupported
from connectors.facebook import values
from connectors.facebook.payloads import Event, Whose, listed
from connectors.facebook.values import CONNECTOR, identifier, milliseconds, moment, permalink, string

_COMMENT_ONLY = frozenset(
    {"attachment", "can_comment", "can_hide", "can_like", "can_remove", "can_reply_privately", "comment_count"}
    | {"like_count", "object", "parent", "user_likes"}
)
_POST_ONLY = frozenset(
    {"actions", "attachments", "full_picture", "is_published", "post_id", "privacy", "shares", "status_type", "story"}
    | {"tagged_time", "to", "type", "updated_time"}
)
_SPOKEN = ("message", "created_time", "permalink_url", "story", "tagged_time")
_EDGE = re.compile(r"/v[0-9.]+/([A-Za-z0-9_]+)/([a-z_]+)", re.ASCII)
_BIGGEST = 2**63


@dataclass(frozen=True, slots=True)
class _Context:
    """What is known of a thing from where it stands. `edge` is `comments` or one that holds posts; `post` and `parent`
    are what it was said under. `asked_at`: milliseconds."""

    whose: Whose
    asked_at: int = 0
    edge: str = ""
    post: str | None = None
    parent: str | None = None


def read(body: Mapping[str, Any], whose: Whose, asked_at: int) -> list[Event]:
    """The events in an answer, oldest first. Raises PayloadError for what is no answer of the Graph API.

    `asked_at` (milliseconds) is their order: an answer shows what stood there when it was given."""
    context = _Context(whose, asked_at)
    if "error" in body:
        return [_unsupported("answer.error", "an error answer holds no posts")]
    if isinstance(body.get("data"), list):
        found = list(_listed(body, context))
    elif "id" in body or "permalink_url" in body:
        found = list(_thing(body, context))
    elif body and all(isinstance(one, dict) and one.get("id") == key for key, one in body.items()):
        found = [event for one in body.values() for event in _thing(one, context)]  # several asked for with `?ids=`
    elif "data" in body or "success" in body:
        return [_unsupported("answer", "this answer holds no posts")]
    else:
        raise PayloadError("this is neither a delivery nor an answer of the Graph API with posts or comments")
    return sorted(found, key=_when)


def posts(body: Mapping[str, Any], whose: Whose, asked_at: int) -> list[Event]:
    """A page of a list of posts, with the comments that came with each."""
    return list(_listed(body, _Context(whose, asked_at, edge="feed")))


def comments(body: Mapping[str, Any], post: str, whose: Whose, asked_at: int) -> list[Event]:
    """A page of the comments under `post`, replies to comments among them."""
    return list(_listed(body, _Context(whose, asked_at, edge="comments", post=post)))


def _listed(body: Mapping[str, Any], context: _Context) -> Iterator[Event]:
    within = _edge(body, context)
    for one in listed(body.get("data")):
        if isinstance(one, dict):
            yield from _thing(one, within)
        else:
            yield _unsupported("answer", "it is not an object")


def _edge(body: Mapping[str, Any], context: _Context) -> _Context:
    """What a list is about, from the address of its next page: `/v25.0/<id>/comments`."""
    if context.edge:
        return context
    paging = body.get("paging")
    addresses = [paging.get("next"), paging.get("previous")] if isinstance(paging, dict) else []
    for address in addresses:
        found = _EDGE.match(_path(address))
        if found is None:
            continue
        if found[2] != "comments":
            return replace(context, edge=found[2])
        return _under(found[1], listed(body.get("data")), context)
    return context


def _under(owner: str, data: list[Any], context: _Context) -> _Context:
    """The list of what was said under `owner`: a post `<page>_<post>`, or a comment `<post>_<comment>`. Which of the
    two, the ids in the list tell: they begin with the post."""
    first, _, last = owner.partition("_")
    begin = {_parts(one)[0] for one in data if isinstance(one, dict)}
    if last and first in begin and last not in begin:
        return replace(context, edge="comments", parent=context.parent or owner)
    return replace(context, edge="comments", post=context.post or (owner if last else None))


def _thing(value: Mapping[str, Any], context: _Context) -> Iterator[Event]:
    """A post or a comment, and the comments that came with it."""
    if not any(name in value for name in _SPOKEN) and "name" in value:
        yield _unsupported("answer", "it is somebody's name, not something said", keep_raw=False)
        return
    mention = _mention(value, context)
    if mention is None:
        yield _unsupported("answer", "nothing says which post or comment it is", keep_raw=False)
        return
    yield mention
    beneath = value.get("comments")
    if isinstance(beneath, dict):
        parent = mention.native_id if mention.kind == "reply" else None
        within = replace(context, edge="comments", post=mention.conversation_id, parent=parent)
        yield from _listed({"data": beneath.get("data")}, within)


def _mention(value: Mapping[str, Any], context: _Context) -> Mention | None:
    url = permalink(value.get("permalink_url"))
    comment = _is_comment(value, url, context)
    ids = _comment_ids(value, url, context) if comment else _post_ids(value, url)
    if ids is None:
        return None
    native, conversation, parent = ids
    said_by, text = values.author(value), string(value.get("message"))
    return Mention(
        connector=CONNECTOR,
        native_id=native,
        conversation_id=conversation,
        parent_id=None if parent in {native, conversation} else parent,
        kind="reply" if comment else "post",
        author=said_by,
        text=text or "",
        url=url or values.link(conversation, native if comment else None),
        created_at=moment(_time(value)),
        metrics=_metrics(value),
        reply_capability="allowed",
        own=said_by is not None and said_by.native_id in context.whose.accounts,
        # Without words it says nothing about which words stand there now.
        order=context.asked_at if text else 0,
    )


def _is_comment(value: Mapping[str, Any], url: str | None, context: _Context) -> bool:
    """A post and a comment with the default fields differ by the id alone: `<page>_<post>`, `<post>_<comment>`."""
    if context.edge:
        return context.edge == "comments"
    if values.comment_of(url)[0] or (identifier(value.get("id")) or "").count("_") == 2:
        return True
    if _POST_ONLY & value.keys():
        return False
    if _COMMENT_ONLY & value.keys():
        return True
    if values.post_of(url):
        return False
    accounts = context.whose.accounts
    return _parts(value)[0] not in accounts if accounts else "from" in value or not any(map(value.get, _SPOKEN))


def _comment_ids(value: Mapping[str, Any], url: str | None, context: _Context) -> tuple[str, str, str | None] | None:
    comment, reply = values.comment_of(url)
    at = values.post_of(url)
    first = at[1] if at else (context.post or "").partition("_")[2]
    native = identifier(value.get("id"))
    if native is None:
        if not (first and comment):
            return None
        native = f"{first}_{reply or comment}"
    post = context.post or ("_".join(at) if at else None) or _guessed_post(native, context.whose)
    above = value.get("parent")
    parent = identifier(above.get("id")) if isinstance(above, dict) else None
    if parent is None and reply and comment:
        parent = f"{native.partition('_')[0] if '_' in native else first}_{comment}"
    return native, post, parent or context.parent


def _guessed_post(native: str, whose: Whose) -> str:
    """The post of a comment that comes without any: its id begins with the post's, on the wall of our only Page."""
    return values.post_in(native, next(iter(whose.accounts)) if len(whose.accounts) == 1 else None)


def _post_ids(value: Mapping[str, Any], url: str | None) -> tuple[str, str, None] | None:
    at = values.post_of(url)
    # Who uploads a photo is told the photo's id, and beside it that of the post which it became.
    native = identifier(value.get("post_id")) or identifier(value.get("id")) or ("_".join(at) if at else None)
    return None if native is None else (native, native, None)


def _parts(value: Mapping[str, Any]) -> tuple[str, str]:
    """The two halves of an id, from the address where there is no id."""
    first, _, last = (identifier(value.get("id")) or "").partition("_")
    at = None if first else values.post_of(permalink(value.get("permalink_url")))
    return (at[1], "") if at else (first, last)


def _metrics(value: Mapping[str, Any]) -> dict[str, int | float]:
    found: dict[str, object] = {name: value.get(name) for name in ("like_count", "comment_count")}
    for edge, name in (("likes", "like_count"), ("comments", "comment_count"), ("reactions", "reaction_count")):
        listing = value.get(edge)
        summary = listing.get("summary") if isinstance(listing, dict) else None
        if isinstance(summary, dict):
            found[name] = summary.get("total_count")
    shares = value.get("shares")
    found["share_count"] = shares.get("count") if isinstance(shares, dict) else None
    return {name: number for name, number in found.items() if type(number) is int and 0 <= number < _BIGGEST}


def _time(value: Mapping[str, Any]) -> int | None:
    at = milliseconds(value.get("created_time"))
    return milliseconds(value.get("tagged_time")) if at is None else at


def _when(event: Event) -> datetime:
    at = event.created_at if isinstance(event, Mention) else None
    return at or datetime.min.replace(tzinfo=UTC)


def _path(address: object) -> str:
    try:
        return urlsplit(address).path if isinstance(address, str) else ""
    except ValueError:
        return ""


def _unsupported(event: str, reason: str, *, keep_raw: bool = True) -> Unsupported:
    return Unsupported(connector=CONNECTOR, event=event, reason=reason, keep_raw=keep_raw)
