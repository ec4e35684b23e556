"""One post as a mention, in X's two spellings: API v2 (also of the X Activity API) and v1.1 (Account Activity). Pure.

v2: https://docs.x.com/x-api/fundamentals/data-dictionary. Since 2026 X answers a request that says `post.fields` with
`referenced_posts`, `edit_history_post_ids` and `note_post`; both spellings are read.
v1.1: https://docs.x.com/x-api/fundamentals/migrate (native format), deprecated and sent until 2027-01-01.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from connectors.core.errors import PayloadError
from connectors.core.models import Author, Mention, ReplyCapability, Unsupported
from connectors.x.values import (
    born,
    clean,
    first_id,
    ident,
    mapping,
    mappings,
    moment,
    number,
    stamp,
    string,
    unescaped,
)

CONNECTOR = "x"
_NO_LANGUAGE = re.compile(r"und|zxx|q[a-t][a-z]")
"""Undetermined, no words, and the private codes with which X says why (`qme`: only media, `qht`: only hashtags)."""
_V1_METRICS = {"retweet_count": "retweet_count", "favorite_count": "like_count", "reply_count": "reply_count"}
_V1_METRICS |= {"quote_count": "quote_count"}
_MAX_METRICS = 30


@dataclass(frozen=True, slots=True)
class Ours:
    """Our own accounts: ids, and user names in lower case without the @. `approval`: X has to approve our answers."""

    ids: frozenset[str] = frozenset()
    handles: frozenset[str] = frozenset()
    approval: bool = False

    def has(self, account: str | None) -> bool:
        return account is not None and account in self.ids

    def named(self, handle: str | None) -> bool:
        return handle is not None and handle.lower() in self.handles


@dataclass(frozen=True, slots=True)
class Around:
    """What stands beside a post: `includes`, and the account that a private event was about (it was summoned)."""

    ours: Ours
    event: str
    users: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    posts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    summoned: bool = False


def around(ours: Ours, event: str, includes: object, *, summoned: bool = False) -> Around:
    """`includes` of a delivery or an answer; in a `post.delete` each user is wrapped in one more `data`."""
    boxes = mapping(includes)
    users = [mapping(user.get("data")) or user for user in mappings(boxes.get("users"))]
    posts = [*mappings(boxes.get("tweets")), *mappings(boxes.get("posts"))]
    return Around(
        ours,
        event,
        {known: user for user in users if (known := ident(user.get("id")))},
        {known: post for post in posts if (known := ident(post.get("id")))},
        summoned,
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """What both spellings come down to."""

    id: str
    history: list[str]
    author: Author | None
    text: str
    parent: str | None = None
    quoted: str | None = None
    conversation: str | None = None
    language: str | None = None
    created_at: datetime | None = None
    metrics: dict[str, int | float] = field(default_factory=dict)
    summoned: bool = False
    alone: bool = True
    """Whether no other post came with it."""


def v2_post(post: Mapping[str, Any], beside: Around) -> Mention | Unsupported:
    """A post of the API v2. Raises PayloadError for one without an id."""
    own_id = _own_id(post, "id")
    refers = _references(post)
    user = beside.users.get(ident(post.get("author_id")) or "", {})
    if dropped := _dropped(beside, refers.get("retweeted"), user):
        return dropped
    author = _v2_author(post, user)
    history = _ids(post.get("edit_history_tweet_ids")) or _ids(post.get("edit_history_post_ids"))
    note = mapping(post.get("note_tweet")) or mapping(post.get("note_post"))
    said = _Said(
        id=own_id,
        history=history,
        author=author,
        text=_text(note.get("text"), post.get("text")),
        parent=refers.get("replied_to") or first_id(post, "in_reply_to_tweet_id", "in_reply_to_post_id"),
        quoted=refers.get("quoted"),
        conversation=first_id(post, "conversation_id"),
        language=_language(post),
        created_at=moment(post.get("created_at")),
        metrics=_v2_metrics(mapping(post.get("public_metrics"))),
        summoned=beside.summoned or _v2_summons(post, note, refers, beside),
        alone=not beside.posts,
    )
    return _mention(said, beside.ours)


def v1_post(post: Mapping[str, Any], beside: Around) -> Mention | Unsupported:
    """A post of the API v1.1: the deprecated Account Activity API. Raises PayloadError for one without an id."""
    own_id = _own_id(post, "id_str", "id")
    user = mapping(post.get("user"))
    reposted = first_id(mapping(post.get("retweeted_status")), "id_str", "id")
    if dropped := _dropped(beside, reposted, user):
        return dropped
    longer = mapping(post.get("extended_tweet"))
    edits = mapping(post.get("edit_history"))
    first = first_id(edits, "initial_tweet_id")
    history = ([first] if first else []) + _ids(edits.get("edit_tweet_ids") or edits.get("edit_tweet_id"))
    quoted = mapping(post.get("quoted_status"))
    author_id = first_id(user, "id_str", "id")
    said = _Said(
        id=own_id,
        history=history,
        author=_author(author_id, string(user, "screen_name"), string(user, "name"), number(user, "followers_count")),
        text=_text(longer.get("full_text"), post.get("full_text"), post.get("text")),
        parent=first_id(post, "in_reply_to_status_id_str", "in_reply_to_status_id"),
        quoted=first_id(post, "quoted_status_id_str", "quoted_status_id") or first_id(quoted, "id_str", "id"),
        conversation=first_id(post, "conversation_id_str", "conversation_id"),
        language=_language(post),
        created_at=moment(post.get("created_at")) or _from_stamp(post),
        metrics={ours: count for theirs, ours in _V1_METRICS.items() if (count := number(post, theirs)) is not None},
        summoned=_v1_summons(post, longer, quoted, beside.ours),
        alone=not quoted,
    )
    return _mention(said, beside.ours)


def native_of(own_id: str, history: list[str]) -> str:
    """An edit gets a new id; the first one stays the post's name."""
    return history[0] if history else own_id


def _mention(said: _Said, ours: Ours) -> Mention:
    native = native_of(said.id, said.history)
    conversation = said.conversation
    if conversation is None or conversation in said.history:  # the root of a thread that was itself edited
        conversation = native
    own = said.author is not None and (ours.has(said.author.native_id) or _own_by_name(said.author, ours))
    handle = said.author.handle if said.author else None
    return Mention(
        connector=CONNECTOR,
        native_id=native,
        conversation_id=conversation,
        parent_id=said.parent,
        kind=_kind(said),
        quoted_id=said.quoted,
        version=0 if said.id == native else born(said.id),
        author=said.author,
        text=said.text,
        language=said.language,
        url=f"https://x.com/{handle if handle and _is_name(handle) else 'i'}/status/{said.id}",
        created_at=said.created_at,
        metrics=said.metrics,
        reply_capability=_capability(ours, summoned=said.summoned or own),
        own=own,
        keep_raw=said.alone,
    )


def _kind(said: _Said) -> Literal["post", "reply", "quote"]:
    if said.parent:
        return "reply"
    return "quote" if said.quoted else "post"


def _capability(ours: Ours, *, summoned: bool) -> ReplyCapability:
    """X lets an app answer only where the author mentioned, quoted or answered the account, or is that account; an
    answer written by an AI needs X's approval beforehand. https://docs.x.com/changelog (February 2026)"""
    if not summoned:
        return "summoned_only"
    return "needs_approval" if ours.approval else "allowed"


def _dropped(beside: Around, reposted: str | None, user: Mapping[str, Any]) -> Unsupported | None:
    if user.get("protected") is True and not beside.ours.has(first_id(user, "id", "id_str")):
        reason = "the posts of a protected account are not public"
        return Unsupported(connector=CONNECTOR, event=beside.event, reason=reason, keep_raw=False)
    if reposted:
        reason = "a repost without words of its own says nothing"
        return Unsupported(connector=CONNECTOR, event=beside.event, reason=reason, keep_raw=False)
    return None


def _v2_author(post: Mapping[str, Any], user: Mapping[str, Any]) -> Author | None:
    metrics = mapping(user.get("public_metrics"))
    return _author(
        ident(post.get("author_id")), string(user, "username"), string(user, "name"), number(metrics, "followers_count")
    )


def _author(native_id: str | None, handle: str | None, name: str | None, followers: int | None) -> Author | None:
    if native_id is None and handle is None:
        return None
    return Author(native_id=native_id or f"@{handle}", handle=handle, name=name, followers=followers)


def _own_by_name(author: Author, ours: Ours) -> bool:
    """Only where no id came along: a user name can change hands."""
    return author.native_id.startswith("@") and ours.named(author.handle)


def _references(post: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in ("referenced_tweets", "referenced_posts"):
        for one in mappings(post.get(name)):
            target, kind = ident(one.get("id")), one.get("type")
            if target and isinstance(kind, str):
                found.setdefault({"reposted": "retweeted"}.get(kind, kind), target)
    return found


def _v2_summons(post: Mapping[str, Any], note: Mapping[str, Any], refers: Mapping[str, str], beside: Around) -> bool:
    ours = beside.ours
    if ours.has(ident(post.get("in_reply_to_user_id"))):
        return True
    named = (*_named(post, "mentions"), *_named(note, "mentions"))
    if any(ours.has(ident(one.get("id"))) or ours.named(string(one, "username")) for one in named):
        return True
    answered = (beside.posts.get(refers.get(kind, ""), {}) for kind in ("quoted", "replied_to"))
    if any(ours.has(ident(one.get("author_id"))) for one in answered):
        return True
    return "entities" not in post and _named_in(_text(note.get("text"), post.get("text")), ours)


def _v1_summons(post: Mapping[str, Any], longer: Mapping[str, Any], quoted: Mapping[str, Any], ours: Ours) -> bool:
    if ours.has(first_id(post, "in_reply_to_user_id_str", "in_reply_to_user_id")):
        return True
    if ours.named(string(post, "in_reply_to_screen_name")):
        return True
    for one in (*_named(longer, "user_mentions"), *_named(post, "user_mentions")):
        if ours.has(first_id(one, "id_str", "id")) or ours.named(string(one, "screen_name")):
            return True
    user = mapping(quoted.get("user"))
    return ours.has(first_id(user, "id_str", "id")) or ours.named(string(user, "screen_name"))


def _named(post: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    return mappings(mapping(post.get("entities")).get(name))


def _named_in(text: str, ours: Ours) -> bool:
    """Where X was not asked to say whom a post mentions: its words do."""
    return any(ours.named(found) for found in re.findall(r"(?<![\w@])@([A-Za-z0-9_]{1,15})(?![\w@])", text, re.ASCII))


def _text(*candidates: object) -> str:
    """The first that holds anything: long posts bring a cut text beside the whole one."""
    return next((unescaped(clean(one)) for one in candidates if isinstance(one, str) and one.strip()), "")


def _language(post: Mapping[str, Any]) -> str | None:
    said = string(post, "lang")
    return None if said is None or _NO_LANGUAGE.fullmatch(said) or len(said) > 35 else said


def _v2_metrics(given: Mapping[str, Any]) -> dict[str, int | float]:
    names = [clean(name).removesuffix("_str") for name in given if isinstance(name, str)][: 2 * _MAX_METRICS]
    return {name: count for name in dict.fromkeys(names) if (count := number(given, name)) is not None}


def _from_stamp(post: Mapping[str, Any]) -> datetime | None:
    milliseconds = stamp(post.get("timestamp_ms"))
    try:
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _ids(value: object) -> list[str]:
    return [found for one in value if (found := ident(one))] if isinstance(value, list) else []


def _is_name(handle: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_]{1,50}", handle, re.ASCII) is not None


def _own_id(post: Mapping[str, Any], *names: str) -> str:
    found = first_id(post, *names)
    if found is None:
        raise PayloadError(f"the post has no `{names[0]}`")
    return found
