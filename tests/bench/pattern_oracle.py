"""Compare our matcher with an independent one on generated patterns and events.

    pip download --no-deps --dest DIR localstack-core
    python -m tests.bench.pattern_oracle [PAIRS [SEED]] --engine DIR/localstack_core-….whl

The other one is LocalStack's `EventRuleEngine` (Apache-2.0), read out of its wheel; nothing of LocalStack runs or is
installed. It is an imitation too. Where the two differ, the sentences of Amazon's documentation in `DECIDED` say who
is right: the other engine is corrected in those points only, and has to agree then. A difference that no sentence
decides is printed and makes this end with 1. Every pair is also given to `tests.core.naive_matcher` and to the index.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import re
import sys
import time
import types
import zipfile
from collections import Counter
from itertools import combinations
from typing import Any

from connectors.core.pattern_index import Index
from connectors.core.pattern_parse import PatternError, parse
from tests.core import naive_matcher
from tests.core.pattern_generator import Generator

MODULE = "localstack/services/events/event_rule_engine.py"
GUIDE = "https://docs.aws.amazon.com/eventbridge/latest/userguide"
RULER = "https://github.com/aws/event-ruler"
DECIDED = {
    "types": f"{GUIDE}/eb-create-pattern.html: values follow JSON's rules, so true is not 1; Python thinks it is",
    "wildcard": f"{GUIDE}/eb-create-pattern-operators.html: an asterisk stands for any characters, none and line ends "
    "too (README of Event Ruler: zero or more); a backslash escapes * and \\",
    "case": f"{RULER} EqualsIgnoreCaseParser: each character in its lower and its upper case, no other folding; "
    "and these comparisons work on texts only",
    "cidr": f"{GUIDE}/eb-create-pattern-operators.html: IP address matching is for addresses, not numbers or zones",
    "twice": f"{RULER} Event.addField: a field named a.b and a field b in an object a are one path with two values",
    "lists": f"{RULER} README, array matching: all fields fit in the same element of a list, and so is a missing field",
}


def engine(wheel: str) -> tuple[Any, Any]:
    """The classes `EventRuleEngine` and `EventPatternCompiler` of the wheel, with all that they import stood in for."""
    for name in ("localstack", "localstack.aws", "localstack.aws.api", "localstack.aws.api.events"):
        sys.modules.setdefault(name, types.ModuleType(name))
    events: Any = sys.modules["localstack.aws.api.events"]
    events.InvalidEventPatternException = ValueError
    space: dict[str, Any] = {"__name__": "event_rule_engine"}
    with zipfile.ZipFile(wheel) as archive:
        exec(compile(archive.read(MODULE), MODULE, "exec"), space)  # the wheel was named by whoever runs this
    return space["EventRuleEngine"], space["EventPatternCompiler"]


def corrected(base: Any) -> Any:  # noqa: C901 - one point after the other
    """The other engine with the points of `DECIDED` put right that `points` names."""

    class Corrected(base):  # type: ignore[misc]
        points: frozenset[str] = frozenset()

        def _evaluate_condition(self, value: Any, condition: Any, field_exists: bool) -> bool:
            if "types" in self.points and field_exists:
                if not isinstance(condition, dict):
                    return naive_matcher.same(condition, value)
                if "numeric" in condition and isinstance(value, bool):
                    return False
                inner = condition.get("anything-but")
                if isinstance(inner, bool | int | float | str):
                    return not naive_matcher.same(inner, value)
                if isinstance(inner, list):
                    return not any(naive_matcher.same(one, value) for one in inner)
            if "case" in self.points and field_exists and isinstance(condition, dict):
                for operator in ("prefix", "suffix", "equals-ignore-case"):
                    if operator in condition and (operator[0] == "e" or isinstance(condition[operator], dict)):
                        return naive_matcher.fits(condition, value)
            return bool(super()._evaluate_condition(value, condition, field_exists))

        def _evaluate_equal_ignore_case(self, condition: str, value: Any) -> bool:
            if "case" in self.points:
                return naive_matcher.fits({"equals-ignore-case": condition}, value)
            return bool(base._evaluate_equal_ignore_case(condition, value))

        def _evaluate_wildcard(self, condition: str, value: Any) -> bool:
            if "wildcard" not in self.points:
                return bool(base._evaluate_wildcard(condition, value))
            parts = re.findall(r"\\[*\\]|\*|[^*\\]", condition)
            form = "".join(".*" if part == "*" else re.escape(part[-1]) for part in parts)
            return isinstance(value, str) and re.fullmatch(form, value, re.DOTALL) is not None

        def _evaluate_cidr(self, condition: str, value: Any) -> bool:
            if "cidr" in self.points and (not isinstance(value, str) or "%" in value):
                return False
            try:
                return ipaddress.ip_address(value) in ipaddress.ip_network(condition)
            except ValueError:
                return False

    return Corrected


def nested(value: Any, *, inside: bool = False) -> bool:
    """Whether an object or a list stands in a list."""
    if isinstance(value, list):
        return inside or any(nested(one, inside=True) for one in value)
    if isinstance(value, dict):
        return inside or any(nested(one) for one in value.values())
    return False


def twice(value: Any) -> bool:
    """Whether an object has a field `a.b` and an object `a` with a field `b`."""
    if not isinstance(value, dict):
        return False
    split = [name.partition(".") for name in value if "." in name]
    here = any(isinstance(value.get(first), dict) and rest in value[first] for first, _, rest in split)
    return here or any(twice(one) for one in value.values())


def ask(other: Any, points: frozenset[str], pattern: Any, event: Any) -> bool | None:
    """What the other engine says, corrected in `points`; None where it breaks."""
    other.points = points
    try:
        return bool(other.evaluate_pattern_on_event(pattern, event))
    except (AttributeError, TypeError):
        return None


def reason(other: Any, pattern: Any, event: Any, ours: bool) -> str | None:
    """The fewest corrections with which the other engine agrees."""
    points = [point for point in DECIDED if point not in {"lists", "twice"}]
    for count in range(1, len(points) + 1):
        for some in combinations(points, count):
            if ask(other, frozenset(some), pattern, event) == ours:
                return " + ".join(some)
    if naive_matcher.matches(pattern, event) != ours:
        return None
    return "lists" if nested(event) else "twice" if twice(event) else None


def main() -> int:
    given = argparse.ArgumentParser()
    given.add_argument("pairs", nargs="?", type=int, default=100_000)
    given.add_argument("seed", nargs="?", type=int, default=1)
    given.add_argument("--engine", required=True, help="localstack-core's wheel")
    options = given.parse_args()
    base, compiler = engine(options.engine)
    other, check = corrected(base)(), compiler()
    plain, lists = Generator(options.seed, lists=False), Generator(options.seed + 1)
    tally: Counter[str] = Counter()
    began = time.monotonic()
    for turn in range(options.pairs):
        pattern, event = (lists if turn % 5 == 0 else plain).pair()
        text = json.dumps(pattern)
        try:
            ours = parse(text)
        except PatternError as error:
            print(f"refused: {text}: {error}")
            return 1
        said = ours.matches(event)
        tally["matches"] += said
        naive = naive_matcher.matches(pattern, event)
        if not said == naive == (Index([ours]).first(event) == 0) == (ours.explain(event) is None):
            tally["WITHIN OURSELVES"] += 1
            print(f"we differ from ourselves: {text} {json.dumps(event)}")
        try:
            check.compile_event_pattern(text)
        except ValueError:
            # It takes five asterisks, escaped ones counted, as its note says in place of EventBridge's own measure.
            tally["not asked: too many asterisks for the other"] += 1
            continue
        if ask(other, frozenset(), pattern, event) == said:
            tally["same"] += 1
            continue
        why = reason(other, pattern, event, said)
        tally[f"decided: {why}" if why else "UNDECIDED"] += 1
        if why is None:
            print(f"undecided: {text} {json.dumps(event)}: we say {said}")
    for name, count in sorted(tally.items(), key=lambda one: -one[1]):
        print(f"{count:8}  {name}")
    print(f"{options.pairs} pairs in {time.monotonic() - began:.0f} s")
    for name, sentence in DECIDED.items():
        print(f"  {name}: {sentence}")
    return int(tally["UNDECIDED"] + tally["WITHIN OURSELVES"] > 0)


if __name__ == "__main__":
    sys.exit(main())
