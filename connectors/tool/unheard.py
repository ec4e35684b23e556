"""Topics of the plan in force that nobody hears, or that are not there: whoever should be told is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from connectors.aws.config_checks import AwsLookups
from connectors.core.plan_grammar import topic_region
from connectors.core.plan_ports import Sight

MOST = 50
"""Topics that are looked at; what is beyond is not known."""
Document = Mapping[str, Any]
_STATES = {Sight.FOUND: "heard", Sight.MISSING: "missing", Sight.DELETED: "missing"}
_SAID = {
    "missing": "does not exist",
    "unheard": "nobody hears it: no confirmed subscription",
    "not known": "not looked at: no permission, no answer, or too many",
}


def topics(routes: Iterable[Document], sns: Callable[[str], Any]) -> list[dict[str, Any]]:
    """`topic` and `state` (heard, unheard, missing, not known) of each topic that these routes name, in their order.

    `sns` gives the client of a region; it needs `sns:GetTopicAttributes`."""
    lookups, found = AwsLookups(None, cache(sns)), []  # type: ignore[arg-type]
    for number, topic in enumerate(dict.fromkeys(topic for route in routes for topic in route["topics"])):
        sight, confirmed = lookups.topic(topic) if number < MOST and topic_region(topic) else (Sight.UNREACHABLE, None)
        state = _STATES.get(sight, "not known")
        found.append({"topic": topic, "state": "unheard" if state == "heard" and confirmed == 0 else state})
    return found


def told(routes: Iterable[Document], found: Sequence[Document]) -> list[str]:
    """What is wrong, one sentence for the routes that name the same topics: all of these are missing or unheard."""
    states = {one["topic"]: one["state"] for one in found}
    groups: dict[tuple[str, ...], list[str]] = {}
    for route in routes:
        if route["topics"] and all(states.get(topic) in {"unheard", "missing"} for topic in route["topics"]):
            groups.setdefault(tuple(route["topics"]), []).append(route["name"])
    return [
        f"nobody is told of cases of {', '.join(names[:5])}{f' and {len(names) - 5} more' * (len(names) > 5)}: "
        + "; ".join(f"{topic} {_why(states[topic])}" for topic in group)
        for group, names in groups.items()
    ]


def lines(found: Iterable[Document]) -> list[str]:
    """Those that are not simply heard."""
    return [f"{one['topic']}: {_SAID[one['state']]}" for one in found if one["state"] in _SAID]


def _why(state: str) -> str:
    return "does not exist" if state == "missing" else "has no confirmed subscription: subscribe somebody"
