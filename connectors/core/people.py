"""Who is who: the handles of one person, linked by somebody who has evidence. Pure.

A handle is how a channel names whoever speaks. Nothing is linked on a guess: two handles belong together where somebody
said so and why, or not at all. A person is what live links connect.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.core.identity import digest
from connectors.core.models import Mention

MOST = 50
"""Handles of one person. More are a mistake, such as a switchboard's number that was linked to all who work there."""
MOST_SAID = 40
"""Times that one link is made or ended: all of them are kept."""
_LONGEST_KEY = 500
"""Characters; UTF-8 makes at most four bytes of one."""
_IDENTITY = re.compile(r"tel:\+[1-9][0-9]{5,14}")
_HASHED = re.compile(r"[a-z2-7]{32}")


def person_key(connector: str, authority: str | None, native_id: str) -> str:
    """The handle of an account at one source. An index takes no key of more than 2 KB."""
    key = f"{connector}:{authority or ''}:{native_id}"
    return key if len(key) <= _LONGEST_KEY else f"{connector}:{digest(key, length=32)}"


def is_identity(handle: str) -> bool:
    """Whether a handle means the same person at whichever source it is met; see `Author.identity`."""
    return _IDENTITY.fullmatch(handle) is not None


def handle_of(mention: Mention) -> str | None:
    """Who said it: what the channel vouches for, such as a caller's number, else the account. None if nobody knows."""
    author = mention.author
    if author is None:
        return None
    if author.identity is not None and is_identity(author.identity):
        return author.identity
    return person_key(mention.connector, mention.authority, author.native_id)


def read_handle(said: str, connectors: Collection[str]) -> str:
    """A handle as somebody wrote it. Raises ValueError with a sentence."""
    if said.startswith("tel:"):
        if not is_identity(said):
            raise ValueError(f"{said} is not a number in international form, such as tel:+491701234567")
        return said
    connector, _, rest = said.partition(":")
    if connector not in connectors:
        raise ValueError(f"{said} is not a handle: it begins with a connector's name, or with tel:")
    if not (_HASHED.fullmatch(rest) or rest.partition(":")[2]):
        raise ValueError(
            f"{said} is not a handle: {connector}:HOST:ID, or {connector}::ID where the vendor's ids need no host; "
            "`hailback people show CASE` prints those of a case"
        )
    return said


class Evidence(BaseModel):
    """Why somebody linked two handles, or ended a link. `at` in milliseconds; `by` names who; `kind` how they know."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    id: str
    what: Literal["linked", "ended"]
    at: int
    by: str = Field(max_length=300)
    kind: Literal["operator"] = "operator"
    because: str = Field(min_length=1, max_length=1_000)
    reference: str | None = Field(default=None, max_length=1_000)


@dataclass(frozen=True, slots=True)
class Link:
    """An edge between two handles, with all that was ever said of it, oldest first. `expires_at` in seconds."""

    one: str
    other: str
    evidence: tuple[Evidence, ...]
    expires_at: int = 0

    @property
    def live(self) -> bool:
        """Whether it holds."""
        return bool(self.evidence) and self.evidence[-1].what == "linked"


@dataclass(frozen=True, slots=True)
class Person:
    """Handles that live links connect, nearest first, each with the links that lead there from the first one. `whole`:
    False where there are more than `MOST`, and the rest was not looked at."""

    ways: Mapping[str, tuple[Link, ...]] = field(default_factory=dict)
    whole: bool = True

    @property
    def handles(self) -> tuple[str, ...]:
        """All of them, the first one included."""
        return tuple(self.ways)


def person(first: str, links: Callable[[str], Iterable[Link]], most: int = MOST) -> Person:
    """Whoever a handle belongs to, breadth first. `links(handle)` are its links, ended ones too."""
    ways: dict[str, tuple[Link, ...]] = {first: ()}
    waiting = deque([first])
    while waiting:
        handle = waiting.popleft()
        for link in sorted(links(handle), key=lambda link: link.other):
            if not link.live or link.other in ways:
                continue
            if len(ways) >= most:
                return Person(ways, whole=False)
            ways[link.other] = (*ways[handle], link)
            waiting.append(link.other)
    return Person(ways)
