"""Mentions to look at again: from files, or from a deployment's table. Reads only.

A file holds what `hailback parse` prints, one JSON object a line (or one object, or a list). Beside a mention's own
fields a line may say `source` (the administrators' source, `stack/name`), `intent`, `confidence` and `seen_at`.
"""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from connectors.core.facts import Facts, facts
from connectors.core.models import Mention
from connectors.tool.samples import SampleError

if TYPE_CHECKING:
    from connectors.aws.blobs import Blobs
    from connectors.aws.table import Item, Table
    from connectors.core.plan import SourceConfig

_BESIDE = ("id", "source", "intent", "confidence", "seen_at", "case")
_BATCH, _AHEAD = 100, 8
"""Rows of one read, and how many reads are under way: memory stays the same however many mentions there are."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A mention as it came in. `source`: several where several saw it. `at`: seconds since the epoch, 0 if unknown."""

    mention: Mention
    source: str | tuple[str, ...]
    at: float = 0.0
    intent: str | None = None
    confidence: float | None = None

    def facts(self, person_mentions: int | None = None) -> Facts:
        """What a route can ask of it."""
        return facts(
            self.mention,
            self.source,
            intent=self.intent,
            confidence=self.confidence,
            person_mentions=person_mentions,
        )


Understand = Callable[[Mention], tuple[str | None, float | None]]
Place = Callable[[Mention], str]


def from_lines(lines: Iterable[str], name: str, place: Place, understand: Understand | None) -> Iterator[Heard]:
    """The mentions of JSON lines, or of one JSON list; other events of `hailback parse` are passed over. Raises
    SampleError."""
    numbered: Iterator[tuple[int, str]] = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    first = next(numbered, None)
    if first is not None and first[1].strip() == "[":  # a list that is written over several lines
        whole = [first[1], *(line for _, line in numbered)]
        numbered, first = iter(()), (first[0], "".join(whole))
    for number, line in itertools.chain([first] if first else [], numbered):
        try:
            given = json.loads(line)
        except ValueError:
            raise SampleError(f"{name}: line {number} is not JSON") from None
        yield from from_document(given, f"{name}: line {number}", place, understand)


def whole(text: str, known: Mapping[str, SourceConfig], connector: str | None = None) -> dict[str, Any] | None:
    """A post in short, such as `{"text": "Hi"}`, as an event of `hailback parse`: of the first source, or of its first
    of `connector`, and with ids of no post. None for what holds other fields than a mention's, as a delivery does."""
    try:
        given = json.loads(text)
    except ValueError:
        return None
    if not isinstance(given, dict) or not {"text", "title"} & given.keys():
        return None
    if given.keys() - Mention.model_fields.keys() - {*_BESIDE, "type"}:
        return None
    wanted = given.get("connector", connector)
    source = next((one for one in known.values() if wanted in {None, one.connector}), None)
    place: dict[str, Any] = {"connector": wanted or (source.connector if source else "discourse")}
    if "connector" not in given and source and (address := source.settings.get("BaseUrl")):
        place["authority"] = urlsplit(str(address)).netloc
    return {"type": "mention", "native_id": "1", "conversation_id": "1", **place, **given}


def from_document(given: Any, name: str, place: Place, understand: Understand | None) -> Iterator[Heard]:
    """The mention that a document of `hailback parse` is, or those of a list. Raises SampleError."""
    for one in given if isinstance(given, list) else [given]:
        if not isinstance(one, dict) or "type" not in one:
            raise SampleError(f"{name} is no event as `hailback parse` prints it")
        if one["type"] == "mention":
            yield _heard(one, name, place, understand)


def _heard(given: Mapping[str, Any], name: str, place: Place, understand: Understand | None) -> Heard:
    try:
        mention = Mention.model_validate({key: value for key, value in given.items() if key not in _BESIDE})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in fault["loc"])
        raise SampleError(f"{name} is no mention: {where}: {fault['msg']}") from None
    intent, confidence = given.get("intent"), given.get("confidence")
    if intent is None and understand is not None and not mention.own:
        intent, confidence = understand(mention)
    seen = given.get("seen_at")
    at = _moment(seen) if isinstance(seen, str) else mention.created_at.timestamp() if mention.created_at else 0.0
    return Heard(mention, str(given.get("source") or place(mention)), at, intent, confidence)


def read_lines(path: Path) -> Iterator[str]:
    """A file's lines, as they are asked for. Raises SampleError."""
    try:
        with path.open(encoding="utf-8") as file:
            yield from file
    except OSError as error:
        raise SampleError(f"{path}: {error.strerror or 'cannot be read'}") from error
    except UnicodeDecodeError:
        raise SampleError(f"{path} is not UTF-8") from None


def placed(sources: Mapping[str, SourceConfig], given: str | None = None) -> Place:
    """Which of these sources a mention came in by: the one given, else the only one that fits, else its connector."""

    @cache
    def find(connector: str, authority: str | None) -> str:
        fitting = [name for name, one in sources.items() if one.connector == connector]
        close = [name for name in fitting if authority and authority in str(sources[name].settings)]
        return (close or fitting or [connector])[0]

    if given is not None:
        named = [name for name in sources if given in {name, name.rpartition("/")[2]}]
        whole = named[0] if named else given
        return lambda _: whole
    return lambda mention: find(mention.connector, mention.authority)


def reader() -> Understand:
    """What reads a post that nobody has read yet, as the machine does when it comes in."""
    from connectors.understanding.model import load

    model = load()

    def understand(mention: Mention) -> tuple[str | None, float | None]:
        said = model.understand(mention.text or mention.title or "", mention.language)
        return (said.intent, round(said.confidence, 3)) if said.intent else (None, None)

    return understand


# ---- from a deployment


def stored(table: Table, blobs: Blobs, since: datetime, until: datetime) -> Iterator[Heard]:
    """The mentions that were taken in between two moments, oldest first, with their newest words. Those that were
    removed at their source, or whose words have expired, are left out."""
    with ThreadPoolExecutor(max_workers=_AHEAD, thread_name_prefix="rehearse") as pool:
        entries = _entries(table, since, until)
        waiting: list[Any] = []
        for page in iter(lambda: list(itertools.islice(entries, _BATCH)), []):
            waiting.append(pool.submit(_page, table, blobs, page))
            if len(waiting) >= _AHEAD:
                yield from waiting.pop(0).result()
        for one in waiting:
            yield from one.result()


def one_stored(table: Table, blobs: Blobs, mention: str) -> Heard | None:
    """One mention by its id; None where it is not known or has no words any more."""
    return next(iter(_page(table, blobs, [{"pk": f"MENTION#{mention}", "sk": "META"}])), None)


def _entries(table: Table, since: datetime, until: datetime) -> Iterator[Item]:
    """The rows of the index *day*, by the time at which they came in."""
    from connectors.core.case import SHARDS

    first, last = _stamp(since), _stamp(until)
    day = since.astimezone(UTC).date()
    while day <= until.astimezone(UTC).date():
        values = {":s": first, ":u": last}
        condition = "day_shard = :d AND seen_at BETWEEN :s AND :u"
        shards = [
            table.query_index("day", condition, {":d": f"{day.isoformat()}#{number}", **values})
            for number in range(SHARDS)
        ]
        yield from heapq.merge(*shards, key=lambda row: str(row["seen_at"]))
        day += timedelta(days=1)


def _page(table: Table, blobs: Blobs, entries: list[Item]) -> list[Heard]:
    from connectors.aws.blobs import expand

    rows = {row["pk"]: row for row in table.get_many([(one["pk"], one["sk"]) for one in entries])}
    known = [row for one in entries if (row := rows.get(one["pk"])) and "removed" not in row and "version" in row]
    texts = {row["pk"]: row for row in table.get_many([(one["pk"], f"TEXT#{one['version']:020d}") for one in known])}
    found = []
    for row in known:
        text = texts.get(row["pk"], {})
        if "body" in text:
            mention = Mention.model_validate_json(expand(text["body"]))
        elif "blob" in text and (packed := blobs.find(text["blob"])) is not None:
            mention = Mention.model_validate(json.loads(expand(packed))["body"])
        else:
            continue
        sure = float(row["intent_sure"]) if "intent_sure" in row else None
        source = tuple(sorted(row.get("sources") or {mention.connector}))
        found.append(Heard(mention, source, row["first_seen"] / 1000, row.get("intent"), sure))
    return found


def _stamp(when: datetime) -> str:
    from connectors.core.compose import moment

    return moment(int(when.timestamp() * 1000))


def _moment(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
