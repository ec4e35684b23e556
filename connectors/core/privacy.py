"""Looking again at posts whose source does not tell of removals, so that what was taken back is forgotten here too.

Pure rules and ports. The unit of work is one day of one source: its posts are walked in order, in batches, and where
time runs out the next run goes on. `began_at` of a day is a promise: each of its posts was looked at after that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from connectors.core.errors import RejectedError, RemoteError, UnavailableError
from connectors.core.models import AnyEvent

GONE_WITHIN = 24 * 3600
"""Seconds in which a post that was removed at its source must be gone here. X asks for this in its developer policy."""
_EARLY = 2 * 3600
"""Seconds before its time is up at which a day is begun: it takes a while to get through."""


@dataclass(frozen=True, slots=True)
class Day:
    """One day (`2026-11-22`) of one source. Times in milliseconds. `began_at` is when the last complete walk began (for
    a day never walked: when the day began), `pass_at` when the present one did, `cursor` how far that came. `posts` is
    how many the last walk, or the present one so far, looked at; None for a day that was never walked."""

    day: str
    began_at: int
    pass_at: int | None = None
    cursor: str | None = None
    posts: int | None = None

    def due(self, now: int, within: float) -> bool:
        """Whether to go on, or to begin anew, so that no post waits longer than `within` seconds."""
        return self.pass_at is not None or now - self.began_at >= (within - min(_EARLY, within / 4)) * 1000


@dataclass(frozen=True, slots=True)
class Kept:
    """A post whose words are kept, and where the walk stands behind it."""

    id: str
    native_id: str
    position: str


class Book(Protocol):
    """Where it is written how far each day was walked."""

    def days(self, source: str) -> Mapping[str, Day]: ...

    def save(self, source: str, day: Day) -> None: ...


class Shelf(Protocol):
    """Where posts are kept."""

    def posts(self, source: str, day: str, cursor: str | None) -> Iterable[Kept]:
        """The posts of a day that this source has to look at, in order, from `cursor` on; some may come again."""
        ...


@dataclass
class Swept:
    """What a run came to. `left`: days that are still due. `error`: why it stopped; `not_before` (milliseconds): when
    the vendor lets us go on."""

    posts: int = 0
    gone: int = 0
    left: int = 0
    error: str | None = None
    not_before: int = 0
    unjudged: list[str] = field(default_factory=list)


def all_days(now: int, kept_days: int) -> list[str]:
    """The days of which words may still be kept, today first."""
    today = datetime.fromtimestamp(now / 1000, UTC)
    return [f"{today - timedelta(days=back):%Y-%m-%d}" for back in range(kept_days + 3)]


def standing(known: Mapping[str, Day], now: int, kept_days: int) -> list[Day]:
    """Every day as it stands, the longest waiting first."""
    days = [known.get(day) or Day(day, _begin(day)) for day in all_days(now, kept_days)]
    return sorted(days, key=lambda day: (day.began_at, day.day))


def _begin(day: str) -> int:
    return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)


class Sweeper:
    """Walks the days of one source. `rechecker` is a `connectors.core.ports.Rechecker`.

    `outbox` takes removals and edits on their way, before the walk goes on; `spend` counts what asking cost: a duty is
    counted, but not stopped by a budget."""

    def __init__(
        self,
        source: str,
        rechecker: Any,
        book: Book,
        shelf: Shelf,
        outbox: Callable[[Sequence[AnyEvent]], None],
        spend: Callable[[Mapping[str, int]], None],
        now: Callable[[], int],
    ) -> None:
        self._source, self._rechecker, self._book, self._shelf = source, rechecker, book, shelf
        self._outbox, self._spend, self._now = outbox, spend, now

    def run(self, within: float, batch: int, kept_days: int, has_time: Callable[[], bool]) -> Swept:
        """Walk what is due, the longest waiting first. Never raises a vendor's error."""
        done = Swept()
        days = standing(self._book.days(self._source), self._now(), kept_days)
        due = [day for day in days if day.due(self._now(), within)]
        done.left = len(due)
        for day in due:
            if not has_time():
                break
            try:
                if not self._walk(day, batch, has_time, done):
                    break
            except RemoteError as error:
                done.error = f"{type(error).__name__.removesuffix('Error')}: {error}"[:500]
                if isinstance(error, UnavailableError) and error.retry_after is not None:
                    done.not_before = self._now() + int(min(error.retry_after, 86_400.0) * 1000)
                break
            done.left -= 1
        return done

    def _walk(self, day: Day, batch: int, has_time: Callable[[], bool], done: Swept) -> bool:
        """One day, from where it stopped; whether it came to its end."""
        now = self._now()
        going = day if day.pass_at is not None else replace(day, pass_at=now, cursor=None, posts=0)
        for part in _batches(self._shelf.posts(self._source, day.day, going.cursor), batch):
            if not has_time():
                return False
            self._look(part, done)
            going = replace(going, cursor=part[-1].position, posts=(going.posts or 0) + len(part))
            self._book.save(self._source, going)
        self._book.save(self._source, Day(day.day, going.pass_at or now, posts=going.posts or 0))
        return True

    def _look(self, posts: Sequence[Kept], done: Swept) -> None:
        try:
            found = self._rechecker.recheck([post.native_id for post in posts])
        except RejectedError:
            if len(posts) == 1:  # one that cannot be judged is not gone; the others must not suffer for it
                done.unjudged.append(posts[0].id)
                return
            middle = len(posts) // 2
            self._look(posts[:middle], done)
            self._look(posts[middle:], done)
            return
        if found.spent:
            self._spend(found.spent)
        asked = {post.id for post in posts}
        gone = [one for one in found.gone if one.id in asked]
        if news := [*gone, *(one for one in found.edited if one.id in asked)]:
            self._outbox(news)
        done.posts += len(posts)
        done.gone += len(gone)


def owner(
    seen_by: Iterable[str], connector: str, authority: str | None, able: Mapping[str, str], known: Mapping[str, str]
) -> str | None:
    """The one source that has to look at a post again. `able` and `known` are sources by id, with their connectors:
    those that can look now, and all that ever were.

    One that saw it; else, where the vendor's ids mean the same to every account, any of the same vendor; else one that
    saw it and cannot look now, so that the post is seen to wait."""
    saw = set(seen_by)
    alike = (name for name, kind in able.items() if kind == connector and authority is None)
    for some in (saw & able.keys(), alike, saw & known.keys()):
        if first := min(some, default=None):
            return first
    return None


def _batches(posts: Iterable[Kept], size: int) -> Iterator[list[Kept]]:
    part: list[Kept] = []
    for post in posts:
        part.append(post)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
