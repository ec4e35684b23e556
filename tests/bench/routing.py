"""How long one decision takes with 10 routes and with 10,000, and what the index costs to build and to keep.

    python -m tests.bench.routing

Each world is a way to write routes; all end with a catch-all. The same events are decided by all sizes of one world.
Every answer for 20 of the events is compared with trying each route. Ends with 1 where an answer differs, or where
10,000 routes take more than twice as long as 10 in a world that has to hold this; the others show where that ends.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any

from connectors.core.case import Case
from connectors.core.facts import Facts, facts
from connectors.core.models import Author, Mention
from connectors.core.pattern import Pattern
from connectors.core.pattern_index import Index
from connectors.core.pattern_parse import parse
from connectors.core.plan import Plan, SystemConfig
from connectors.core.plan import Route as PlanRoute
from connectors.core.routing import Routing, opened

SIZES = (10, 1_000, 10_000)
EVENTS = 200
ROUNDS = 7
Route = dict[str, Any]


def _vocabulary() -> list[str]:
    """10,000 words as a language might have them."""
    dice = random.Random(4)
    parts = [begin + vowel + end for begin in "bdfghklmnprstvwz" for vowel in "aeiou" for end in ("", "n", "r", "s")]
    return sorted({"".join(dice.choices(parts, k=dice.choice((1, 2, 2, 3)))) for _ in range(14_000)})


WORDS = _vocabulary()


def word(dice: random.Random) -> str:
    """Some far more often than others."""
    return WORDS[int(len(WORDS) * dice.random() ** 2)]


def text(dice: random.Random, length: int) -> str:
    words: list[str] = []
    while sum(map(len, words)) + len(words) < length:
        words.append(word(dice))
    return " ".join(words)


def dense(dice: random.Random, length: int) -> str:
    """Of six syllables only, so that a text contains almost everything that is looked for."""
    return "".join(dice.choice(("ba", "na", "ban", "an", "nab", "ab")) for _ in range(length // 2))


def mention(dice: random.Random, length: int = 280) -> Mention:
    """A post, of which a third are about a refund by its number."""
    number = dice.randrange(10**6)
    words = text(dice, length) if length > 0 else dense(dice, -length)
    return Mention(
        connector=dice.choice(("x", "facebook", "discourse", "mastodon")),
        native_id=str(number),
        conversation_id=str(number // 3),
        kind=dice.choice(("post", "reply", "quote")),
        author=Author(
            native_id=str(dice.randrange(10**6)),
            handle=f"{word(dice)}{dice.randrange(100)}",
            name=word(dice).title(),
            followers=dice.randrange(10**6),
        ),
        text=f"{words[:-12]} refund-{dice.randrange(10**4):04}" if length > 0 and number % 3 == 0 else words,
        language=dice.choice(("de", "en", "fr", "es")),
        url=f"https://example.com/{number}",
        created_at=datetime(2026, 11, 1, dice.randrange(24), tzinfo=UTC),
        metrics={"like_count": dice.randrange(1000), "share_count": dice.randrange(100)},
    )


def event(dice: random.Random, length: int = 280) -> Facts:
    """What the product asks a plan about: the document of a post."""
    return facts(
        mention(dice, length),
        f"stack/Source{dice.randrange(40)}",
        intent=dice.choice(("question", "complaint", "praise", "churn_risk")),
        confidence=dice.random(),
        person_mentions=dice.randrange(5),
    )


def usual(dice: random.Random, at: int) -> Route:
    """Equality, prefix and numeric conditions, one in ten with a wildcard."""
    made: Route = {"source": [f"stack/Source{dice.randrange(40)}"]}
    kind = at % 10
    if kind == 0:
        made["text"] = [{"wildcard": f"*{word(dice)}*{word(dice)}*"}]
    elif kind <= 3:
        made["author"] = {"handle": [{"prefix": word(dice) + word(dice)[:2]}]}
    elif kind <= 6:
        low = dice.randrange(900_000, 10**6)
        made["author"] = {"followers": [{"numeric": [">=", low]}], "name": [word(dice).title()]}
    else:
        made["author"] = {"id": [str(dice.randrange(10**9))]}
    if dice.random() < 0.5:
        made["language"] = [dice.choice(("de", "en", "fr", "es"))]
    return made


def one_field(dice: random.Random, at: int) -> Route:
    """One condition each and nothing else; one in ten a wildcard on the text."""
    kind = at % 10
    if kind == 0:
        return {"text": [{"wildcard": f"*{word(dice)} {word(dice)} {word(dice)}*"}]}
    if kind <= 3:
        return {"author": {"handle": [{"prefix": word(dice) + word(dice) + word(dice)}]}}
    if kind <= 6:
        low = dice.randrange(10**6, 10**9)
        return {"author": {"followers": [{"numeric": [">=", low, "<", low + 5_000]}]}}
    return {"author": {"id": [str(dice.randrange(10**6, 10**9))]}}


def refunds(dice: random.Random, at: int) -> Route:
    """One in ten has a wildcard alone, all of the same kind, and many posts almost fit."""
    if at % 10 == 0:
        return {"text": [{"wildcard": f"*refund-{10**4 + at}*"}]}
    return one_field(dice, at) if at % 2 else usual(dice, at)


def same_prefix(dice: random.Random, at: int) -> Route:
    """All share a source and the beginning of a prefix that every event has; they differ late."""
    made: Route = {"source": [{"prefix": "stack/Source"}], "connector": ["x", "facebook", "discourse", "mastodon"]}
    made["text"] = [{"wildcard": f"*{word(dice)}{at}*"}] if at % 10 == 0 else [{"prefix": f"b{word(dice)} {at}"}]
    return made


def ranges(dice: random.Random, at: int) -> Route:
    """Half-open ranges that most events lie in, with a second condition that almost none meets."""
    made: Route = {"author": {"followers": [{"numeric": [">=", dice.randrange(1000)]}]}}
    made["person"] = {"mentions": [dice.randrange(5)]}
    made["metrics"] = {"like_count": [{"numeric": [">", dice.randrange(990, 10**6)]}]}
    if at % 10 == 0:
        made["text"] = [{"wildcard": f"{word(dice)}*{word(dice)}"}]
    return made


def wildcards(dice: random.Random, at: int) -> Route:
    """Nothing but wildcards on the text, which share a beginning that every text has."""
    return {"text": [{"wildcard": f"*a*{word(dice)} {word(dice)}*{at}*"}]}


def sticky(dice: random.Random, at: int) -> Route:
    """Wildcards whose pieces most events' texts contain, in another order: the worst that can be written."""
    return {"text": [{"wildcard": f"*{dense(dice, 12)}*{dense(dice, 12)}*{dense(dice, 12)}*"}]}


def negations(dice: random.Random, at: int) -> Route:
    """What is anything but something, and rare for another reason."""
    made: Route = {
        "author": {"handle": [{"anything-but": {"prefix": word(dice)}}]},
        "intent": [{"anything-but": "idea"}],
    }
    made["title"] = [{"equals-ignore-case": f"{word(dice)}{at}"}, None]
    made["author"]["name"] = [{"equals-ignore-case": f"{word(dice)}{at}"}]
    return made


# Name, how a route is written, characters of a text, whether 10,000 routes have to keep within a factor of two.
WORLDS: tuple[tuple[str, Callable[[random.Random, int], Route], int, bool], ...] = (
    ("usual plan", usual, 280, True),
    ("one condition each", one_field, 280, True),
    ("ranges that overlap", ranges, 280, True),
    ("anything-but", negations, 280, True),
    ("a tenth have a wildcard alone", refunds, 280, True),
    ("the same, texts of 2,000", refunds, 2_000, True),
    ("one condition each, texts of 2,000", one_field, 2_000, True),
    ("all share a prefix", same_prefix, 280, True),
    ("wildcards only", wildcards, 280, True),
    ("usual plan, texts of 2,000", usual, 2_000, False),
    ("wildcards only, texts of 2,000", wildcards, 2_000, False),
    ("the worst we know: dense texts", sticky, -280, False),
)


def decide(indexes: Sequence[Index], events: Sequence[Mapping[str, object]]) -> list[float]:
    """Microseconds of processor time per decision: the best of several rounds over all events, the indexes in turns.

    The first round is left out: it files lazily."""
    best = [float("inf")] * len(indexes)
    for turn in range(ROUNDS + 1):
        for place, index in enumerate(indexes):
            began = time.process_time()
            for one in events:
                index.first(one)
            if turn:
                best[place] = min(best[place], (time.process_time() - began) / len(events) * 1e6)
    return best


def differs(index: Index, patterns: Sequence[Pattern | None], events: Sequence[Mapping[str, object]]) -> int:
    """Events for which the index does not say what trying each says."""
    wrong = 0
    for one in events:
        slow = next(at for at, pattern in enumerate(patterns) if pattern is None or pattern.matches(one))
        wrong += index.first(one) != slow
    return wrong


def main() -> int:
    failed = False
    print(f"{'world':36} {'10':>8} {'1,000':>8} {'10,000':>8}  {'ratio':>6}   hits (µs of processor time)")
    for name, write, length, held in WORLDS:
        dice = random.Random(5)
        events = [event(dice, length) for _ in range(EVENTS)]
        indexes, wrong = [], 0
        for size in SIZES:
            dice = random.Random(6)
            patterns = [*(parse(write(dice, at)) for at in range(size - 1)), None]
            indexes.append(Index(patterns))
            wrong += differs(indexes[-1], patterns, events[:20])
        gc.collect()
        times = decide(indexes, events)
        failed |= wrong > 0
        index = indexes[-1]
        hits = sum(index.first(one) != SIZES[-1] - 1 for one in events)
        ratio = times[-1] / times[0]
        failed |= held and ratio > 2
        mark = "" if held else " (not held to 2)"
        shown = " ".join(f"{one:8.1f}" for one in times)
        print(f"{name:36} {shown}  {ratio:6.2f}   {hits} of {EVENTS}{mark}{'   WRONG ANSWERS' if wrong else ''}")
    whole()
    cost()
    return int(failed)


def whole() -> None:
    """The decision as the product makes it: the document of a post, and the case that its route opens."""
    config = SystemConfig.of("stack/Desk", "roundup", "hailback/x", {})
    meta = {"id": "c", "conversation": "x:1", "connector": "x", "first_mention": "x:1", "opened_at": 1}
    case = Case.model_validate({**meta, "source": "stack/Source1", "updated_at": "2026-11-20T10:00:00Z"})
    dice = random.Random(5)
    posts = [mention(dice) for _ in range(2_000)]
    print("\ndocument, route and case of a post of 280 characters, microseconds:")
    sizes = (10, 10_000)
    routings, took = [], [[0], [0]]
    for size in sizes:
        dice = random.Random(6)
        written = [*(refunds(dice, at) for at in range(size - 1)), None]
        routes = tuple(
            PlanRoute(name=f"r{at}", when=when, systems=("stack/Desk",), topics=("arn:aws:sns:eu-west-1:0:t",))
            for at, when in enumerate(written)
        )
        routings.append(Routing(Plan.of(routes, {"stack/Desk": config})))
    for one in [*posts[:200], *posts]:
        for routing, times in zip(routings, took, strict=True):
            began = time.perf_counter_ns()
            opened(case, routing, facts(one, "stack/Source1", intent="complaint", person_mentions=1), 1)
            times.append(time.perf_counter_ns() - began)
    for size, times in zip(sizes, took, strict=True):
        cuts = quantiles(times[201:], n=100)
        print(f"  {size:6,} routes: p50 {cuts[49] / 1e3:.1f}, p95 {cuts[94] / 1e3:.1f}")


def cost() -> None:
    """What a plan of 10,000 routes costs a function that has just started."""
    dice = random.Random(6)
    plan = json.dumps([usual(dice, at) for at in range(9_999)])
    began = time.process_time()
    written = json.loads(plan)
    read = time.process_time()
    patterns = [*map(parse, written), None]
    checked = time.process_time()
    index = Index(patterns)
    built = time.process_time()
    index.first(event(dice))
    first = time.process_time()
    gc.collect()
    tracemalloc.start()
    patterns = [*map(parse, written), None]
    size_patterns = tracemalloc.get_traced_memory()[0]
    index = Index(patterns)
    for _ in range(200):
        index.first(event(dice))
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    print(
        f"\n10,000 routes of the usual plan, {len(plan) / 1e6:.2f} MB of JSON: read {(read - began) * 1e3:.0f} ms, "
        f"patterns {(checked - read) * 1e3:.0f} ms, index {(built - checked) * 1e3:.0f} ms, "
        f"first decision {(first - built) * 1e3:.1f} ms\n"
        f"memory: patterns {size_patterns / 1e6:.1f} MB, index {(size - size_patterns) / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    sys.exit(main())
