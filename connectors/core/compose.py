"""The words that Hailback writes into records and notifications. Plain text, made when it is sent.

A post's id stands in exactly one note: the one that first brings it. Notes about edits and deletions name the post by
its address instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.core.case import SPOKEN, Case, Effect, Happening
from connectors.core.ports import CaseDraft, NoteDraft

_LONGEST_POST = 8_000
_LONGEST_TITLE = 120
_BETWEEN = "\n\n----\n\n"


@dataclass(frozen=True, slots=True)
class Post:
    """A mention with its words, as known now. `text` is None once it was removed. `elsewhere`: the source of a post
    whose conversation joined the case of the same person; `answerable`: whether an answer may go there."""

    id: str
    version: int
    author: str | None
    title: str | None
    text: str | None
    url: str | None
    said_at: str | None
    own: bool = False
    elsewhere: str | None = None
    answerable: bool = False


@dataclass(frozen=True, slots=True)
class UpdateWords:
    """What somebody wrote on a record, as known now. `author` is how to name them; `text` is None once it was removed,
    and for a change of status; `system` is the id of the system of record it comes from; `at` as people read it."""

    author: str | None
    text: str | None
    url: str | None
    system: str
    at: str | None


def case_draft(case: Case, post: Post | None, follows: str | None = None) -> CaseDraft:
    """What the system of record is told when the case is opened, or carried on after the record `follows`."""
    return CaseDraft(
        case=case.id,
        title=title(case, post),
        opened_at=moment(case.opened_at),
        conversation=case.conversation,
        url=post.url if post else None,
        author=post.author if post else None,
        follows=follows,
        labels=case.labels,
        priority=case.priority,
    )


def title(case: Case, post: Post | None) -> str:
    """One line that names a case: the conversation's title, else how it begins, else where it is."""
    words = " ".join(((post.title or post.text or "") if post else "").split())
    if not words:
        return f"Conversation {case.conversation}"
    return words if len(words) <= _LONGEST_TITLE else words[: _LONGEST_TITLE - 1].rstrip() + "…"


def note_draft(
    wishes: Sequence[Effect],
    posts: Mapping[str, Post | None],
    updates: Mapping[str, UpdateWords | None] | None = None,
    most: int | None = None,
) -> NoteDraft:
    """One note for several wishes, in the order in which they were planned, of at most `most` bytes of UTF-8.

    A wish about an edit or a deletion is left out where the same note already brings the post as it is now. What is
    too long, as a post may be that was edited since the note was begun, is shortened post by post: each keeps its
    author, its address and its id.
    """
    longest = _LONGEST_POST
    text = _text(wishes, posts, updates or {}, longest)
    while most is not None and longest and len(text.encode("utf-8", "replace")) > most:
        longest //= 2
        text = _text(wishes, posts, updates or {}, longest)
    return NoteDraft(text=text)


def fitting(
    wishes: Sequence[Effect],
    posts: Callable[[str], Post | None],
    updates: Callable[[str], UpdateWords | None],
    most: int,
) -> int:
    """How many of these wishes, from the first on, one note of `most` bytes of UTF-8 can bring whole; at least one."""
    size = 0
    for count, wish in enumerate(wishes if len(wishes) > 1 else ()):
        post = {wish.mention: posts(wish.mention)} if wish.mention else {}
        update = {wish.update: updates(wish.update)} if wish.update else {}
        part = _text([wish], post, update, _LONGEST_POST)
        size += len(part.encode("utf-8", "replace")) + len(_BETWEEN)
        if count and size > most:
            return count
    return len(wishes)


def _text(
    wishes: Sequence[Effect], posts: Mapping[str, Post | None], updates: Mapping[str, UpdateWords | None], longest: int
) -> str:
    brought = {wish.mention for wish in wishes if _brings(wish)}
    parts = []
    for wish in wishes:
        post = posts.get(wish.mention or "")
        if wish.happening in {Happening.REFUSED, Happening.UNCERTAIN}:
            parts.append(_refused(wish))
        elif wish.update is not None:
            parts.append(_written(wish, updates.get(wish.update), longest))
        elif wish.words is not None:
            parts.append(wish.words)
        elif wish.happening is Happening.HANDED_BACK:
            parts.append(f"A stand-by record of this case was kept while this system did not answer: {wish.url}")
        elif _brings(wish):
            parts.append(_said(wish, post, longest))
        elif wish.mention not in brought:
            parts.append(_changed(wish, post, longest))
    return _BETWEEN.join(parts)


def moment(milliseconds: int) -> str:
    """A time as people and machines both read it: `2026-11-21T10:00:00Z`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _brings(wish: Effect) -> bool:
    return wish.happening in SPOKEN


def _said(wish: Effect, post: Post | None, longest: int) -> str:
    if post is None or post.text is None:
        body = "(This post was removed at its source before it reached this record.)"
        return f"{body}\n{post.url if post and post.url else ''}\nPost: {wish.mention}".replace("\n\n", "\n")
    verb = "answered at the source" if wish.happening is Happening.ANSWERED_THERE else "wrote"
    head = f"{_who(post)} {verb}{f' on {post.said_at}' if post.said_at else ''}:"
    tail = [post.url] if post.url else []
    if post.elsewhere is not None:
        goes = " What is answered from now on goes there, and not to where this case began." if post.answerable else ""
        tail.insert(0, f"In another conversation, which joined this case, at {post.elsewhere}.{goes}")
    return "\n".join([head, "", _cut(post.text, longest), "", *tail, f"Post: {wish.mention}"])


def _changed(wish: Effect, post: Post | None, longest: int) -> str:
    where = (post.url if post else None) or "a post brought earlier"
    if wish.happening is Happening.DELETED or post is None or post.text is None:
        return f"Removed at its source: {where}"
    verb = "brought back" if wish.happening is Happening.RESTORED else "edited"
    return "\n".join([f"{_who(post)} {verb} {where} (version {post.version}):", "", _cut(post.text, longest)])


def _written(wish: Effect, words: UpdateWords | None, longest: int) -> str:
    """What people wrote on another record of the case. `provisional`: an answer that was not sent to the customer."""
    answered = wish.happening is Happening.ANSWERED
    verb = "answered the customer" if answered else "wrote an internal note"
    who = (words.author if words else None) or "Somebody"
    where = f" in {words.system}" if words else ""
    at = f" on {words.at}" if words and words.at else ""
    body = _cut(words.text, longest) if words and words.text is not None else "(These words were removed.)"
    lines = [f"{who} {verb}{where}{at}:", "", body, ""]
    if answered and wish.provisional:
        lines.append("(Not sent: that record had been handed back. Answer here if it still holds.)")
    if words and words.url:
        lines.append(words.url)
    return "\n".join([*lines, f"Update: {wish.update}"])


def _refused(wish: Effect) -> str:
    """For whoever wrote an answer that its source did not take, or may not have taken."""
    head = "This answer was not posted; the customer has not seen it."
    if wish.happening is Happening.UNCERTAIN:
        head = "It is not known whether this answer was posted. It is not sent again."
    lines = [head, wish.error or "", f"Update: {wish.update}"]
    return "\n".join(line for line in lines if line)


def retirement_note(case: Case, url: str) -> NoteDraft:
    """What a stand-by's record is told before it is closed."""
    return NoteDraft(text=f"Case {case.id} is handled in {url} from here on. This record was a stand-by and is closed.")


def _who(post: Post) -> str:
    name = post.author or "Somebody"
    return f"{name} (our own account)" if post.own else name


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    return text[:longest].rstrip() + "\n… (shortened; the whole post is at its source)"


def notification(case: Case, post: Post | None, notification_id: str, kind: str = "case_opened") -> dict[str, str]:
    """What a topic is told when a case is opened, or raised, per protocol. It carries a title and addresses, no more of
    the customer's words: a notification cannot be taken back when a post is."""
    headline = title(case, post)
    facts: dict[str, object] = {
        "notification_id": notification_id,
        "kind": kind,
        "case": case.id,
        "route": case.route or "",
        "title": headline,
        "author": ((post.author if post else None) or "")[:_LONGEST_TITLE],
        "url": (post.url if post else None) or "",
        "opened_at": moment(case.opened_at),
    }
    facts |= {"priority": case.priority} if case.priority else {}
    facts |= {"labels": list(case.labels)} if case.labels else {}
    what = "New case" if kind == "case_opened" else "Raised case"
    lines = [
        f"{what} {case.id}: {headline}",
        f"From {facts['author'] or 'somebody'}",
        f"Priority: {case.priority}" if case.priority else "",
        f"Labels: {', '.join(case.labels)}" if case.labels else "",
        str(facts["url"]),
    ]
    text = "\n".join(line for line in lines if line)
    return {"default": json.dumps(facts, ensure_ascii=False), "email": text, "sms": f"{case.id}: {headline}"[:140]}
