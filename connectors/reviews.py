"""Places of reviews. A review has one reply at most: a second would take the place of the first, whoever wrote that.

A vendor's account says how its reviews are listed, how one is looked at, and how a reply is sent. The rest is the same
for all of them.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from connectors.api import MissingError
from connectors.core import reading
from connectors.core.errors import RejectedError
from connectors.core.feeds import by_order, walk
from connectors.core.models import AnyEvent, Deletion, Mention
from connectors.core.ports import Page, Rechecked, Reference, Tier


class Reviews(ABC):
    """What satisfies `SourcePoller`, `SourceReplier` and `Rechecker` in a vendor's account."""

    connector: ClassVar[str]
    longest: ClassVar[int | None] = None
    """Characters of a reply, where there is a limit that we know."""
    again: ClassVar[float] = 900.0
    overlap: ClassVar[float] = 172_800.0
    """Seconds: stores show some reviews and replies a day or two after they were written."""
    tells_removals: ClassVar[bool] = True
    """Whether a review that is not shown was removed; else it may as well be too old to be shown."""
    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 60.0
    recheck_within: ClassVar[int] = 86_400
    recheck_batch: ClassVar[int] = 10

    @abstractmethod
    def listed(self, after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
        """A page of the newest reviews with their replies, by `order`; as `walk` wants it."""

    @abstractmethod
    def seen(self, native_id: str) -> Sequence[Mention]:
        """A review with its reply, as they stand, by the id of either. Raises a RemoteError; MissingError where it is
        not shown, UnavailableError where the answer has no review."""

    @abstractmethod
    def send(self, mention: Mention, text: str) -> str:
        """Write the reply; its id."""

    @abstractmethod
    def address(self, mention: Mention) -> str:
        """Where a person sees the review and its reply."""

    def poll(self, cursor: str | None) -> Page:
        """The newest reviews, and the replies that they have: a person may have replied."""
        now = int(time.time() * 1000)
        return walk(cursor, {"reviews": self.listed}, now, again=self.again, at=by_order, overlap=self.overlap)

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        """Reply to a review that has no reply yet."""
        words = reading.clean(text)
        if mention.reply_capability != "allowed" or mention.own:
            raise RejectedError("this is not a review that takes a reply")
        if self.longest is not None and len(words) > self.longest:
            raise RejectedError(f"a reply takes at most {self.longest:,} characters there; shorten the answer")
        if self.find_reply(mention, key) is not None:
            raise RejectedError("the review has a reply already, which this would replace; change that one there")
        return Reference(self.send(mention, words), self.address(mention))

    def find_reply(self, mention: Mention, key: str) -> Reference | None:  # noqa: ARG002
        """The reply that the review has. If it is not ours, a person was faster, and ours is not to be sent either."""
        found = next((one for one in self.seen(mention.native_id) if one.own), None)
        return None if found is None else Reference(found.native_id, self.address(mention))

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        """Which reviews and replies are gone; the others come as they stand."""
        gone, there, now = list[str](), list[Mention](), int(time.time() * 1000)
        for name in native_ids:
            try:
                said = self.seen(name)
            except MissingError:
                gone += [name] if self.tells_removals else []
                continue
            there += said
            gone += [] if any(one.native_id == name for one in said) else [name]  # the review stands without its reply
        return Rechecked([Deletion(connector=self.connector, native_id=one, order=now) for one in gone], edited=there)
