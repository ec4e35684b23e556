"""What a list of deliveries should come to, worked out from the deliveries alone: the demo's yardstick. Pure.

Knows the rules of taking in (one identity, higher versions win, a deletion beats its post) and nothing of how they are
carried out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from connectors.core.models import Deletion, Mention, Unsupported
from connectors.core.signature import form_fields
from connectors.tool.samples import Sample

Event = Mention | Deletion | Unsupported
_WORD = re.compile(r"[A-Za-z]{2,}")


class Foreseen(StrEnum):
    """What a delivery should come to."""

    OPENED = "opens a case"
    SAID = "joins its case"
    ANSWERED_THERE = "joins its case, as an answer of ours"
    EDITED = "is edited"
    DUPLICATE = "is a duplicate"
    DELETED = "is removed, its words with it"
    RESTORED = "is brought back"
    TOMBSTONE = "is removed before it was known"
    KEPT_OUT = "stays out, as it was removed before"
    OUR_OWN = "is our own and opens nothing"
    NOTHING = "is set aside"


@dataclass(frozen=True, slots=True)
class Turn:
    """One delivery of a script, and what it should come to."""

    file: Path
    sample: Sample
    source: str
    event: Event
    foreseen: Foreseen

    @property
    def post(self) -> str | None:
        """The id of the post that it is about."""
        return None if isinstance(self.event, Unsupported) else self.event.id


@dataclass(slots=True)
class _Known:
    version: int = -1
    removed: int | None = None
    in_case: bool = False


@dataclass(slots=True)
class Foresight:
    """Remembers what was delivered, one delivery after the other."""

    _posts: dict[str, _Known] = field(default_factory=dict)
    _conversations: set[str] = field(default_factory=set)

    def next(self, event: Event) -> Foreseen:
        """What this event should come to, after all those before it."""
        if isinstance(event, Unsupported):
            return Foreseen.NOTHING
        if isinstance(event, Deletion):
            return self._deleted(event)
        known = self._posts.get(event.id)
        if known is None:
            return self._new(event)
        if known.removed is not None:
            if not event.restored or event.order <= known.removed:
                return Foreseen.KEPT_OUT
            known.removed, known.version = None, event.version
            return Foreseen.RESTORED
        if event.version <= known.version:
            return Foreseen.DUPLICATE
        known.version = event.version
        return Foreseen.EDITED if known.in_case else Foreseen.OUR_OWN

    def _new(self, mention: Mention) -> Foreseen:
        first = mention.conversation not in self._conversations
        alone = mention.own and first
        self._posts[mention.id] = _Known(mention.version, in_case=not alone)
        if alone:
            return Foreseen.OUR_OWN
        self._conversations.add(mention.conversation)
        if mention.own:
            return Foreseen.ANSWERED_THERE
        return Foreseen.OPENED if first else Foreseen.SAID

    def _deleted(self, deletion: Deletion) -> Foreseen:
        known = self._posts.get(deletion.id)
        if known is None:
            self._posts[deletion.id] = _Known(removed=deletion.order)
            return Foreseen.TOMBSTONE
        if known.removed is not None:
            return Foreseen.DUPLICATE
        known.removed = deletion.order
        return Foreseen.DELETED


def topics(turns: Iterable[Turn]) -> set[str]:
    """The conversations that should become a case each."""
    return {turn.event.conversation for turn in turns if _told(turn) and isinstance(turn.event, Mention)}


def posts(turns: Iterable[Turn]) -> list[str]:
    """The posts that should stand in one note each, in the order of their delivery."""
    return list(dict.fromkeys(turn.post for turn in turns if turn.post and _told(turn)))


def _told(turn: Turn) -> bool:
    return turn.foreseen in {Foreseen.OPENED, Foreseen.SAID, Foreseen.ANSWERED_THERE}


def words(turn: Turn) -> list[str]:
    """What must not be found where this post has no business: pieces of what its author wrote.

    Of a post its text; of a delivery that is set aside every longer string in it, titles too.
    """
    if isinstance(turn.event, Mention):
        return [piece for piece in [_longest_piece(turn.event.text)] if piece]
    found = _strings(_read(turn.sample.body))
    pieces = (_longest_piece(text) for text in found if text.count(" ") >= 3)
    return list(dict.fromkeys(piece for piece in pieces if len(_WORD.findall(piece)) >= 3))


def _read(body: bytes) -> object:
    """What is JSON, else a form's values."""
    try:
        return json.loads(body)
    except ValueError:
        return [value for _, value in form_fields(body)]


def _longest_piece(text: str) -> str:
    """The longest stretch that reads the same in JSON, HTML and plain text."""
    return max((piece.strip() for piece in re.split(r"[^\w ,.?!%-]", text, flags=re.ASCII)), key=len, default="")


def _strings(value: object) -> Sequence[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for inner in value.values() for text in _strings(inner)]
        case list():
            return [text for inner in value for text in _strings(inner)]
        case _:
            return []
