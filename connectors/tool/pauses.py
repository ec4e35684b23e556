"""What `hailback doctor` says of what administrators keep back on purpose: places with `Hold: true`, shadow runs.

Nothing of it is wrong, and nothing of it may be forgotten: it is told beside the answer, with what waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.aws.config import ConfigStore
from connectors.core.compose import moment
from connectors.core.plan_ports import Interval
from connectors.tool.plain import counted

Document = dict[str, Any]
HELD = "Held: "
"""How the error of an effect, or of a poll, begins that waits for a hold or a shadow run to end: `core.pause`."""
_DAYS = 7 * 86_400_000


def is_held(why: object) -> bool:
    """Whether that is why something waits."""
    return isinstance(why, str) and why.startswith(HELD)


def held_places(
    config: ConfigStore, sources: Iterable[str], systems: Iterable[str], effects: Sequence[Document]
) -> list[Document]:
    """The places that are held now, each with what waits for it. `effects` as `hailback doctor` groups them."""
    found = []
    for kind, names in (("source", sources), ("system", systems)):
        for name in dict.fromkeys(names):
            place = config.source(name) if kind == "source" else config.system(name, with_deleted=True)
            if place is not None and place.hold:
                mine = [one for one in effects if is_held(one["why"]) and f" {name} (" in one["why"]]
                found.append({"id": name, "kind": kind, "waits": _waits(mine)})
    return found


def shadow_runs(shadows: Mapping[str, tuple[Interval, ...]], effects: Sequence[Document], now: int) -> list[Document]:
    """Shadow runs that go on, and those that ended within a week. `plan` is None for the one of everything."""
    found = []
    off = [one for one in effects if is_held(one["why"]) and "Effects: off" in one["why"]]
    for key, runs in sorted(shadows.items()):
        for since, until in runs:
            if until is None or until > now - _DAYS:
                waits = _waits(off) if until is None else []
                ended = None if until is None else moment(until)
                found.append({"plan": key or None, "since": moment(since), "until": ended, "waits": waits})
    return found


def _waits(effects: Iterable[Document]) -> list[Document]:
    """By kind: how many, since when."""
    found: dict[str, Document] = {}
    for one in effects:
        row = found.setdefault(one["kind"], {"kind": one["kind"], "count": 0, "oldest_at": one["oldest_at"]})
        row["count"] += one["count"]
        row["oldest_at"] = min(row["oldest_at"], one["oldest_at"])
    return list(found.values())


def on_purpose(held: Iterable[Document], shadows: Iterable[Document]) -> list[str]:
    """One sentence for each place that is held, and for each shadow run that goes on."""
    said = [
        f"on purpose: the {one['kind']} {one['id']} is held (Hold: true), nothing goes out "
        f"{'for' if one['kind'] == 'source' else 'to'} it; {_waiting(one['waits'])}"
        for one in held
    ]
    return said + [
        f"on purpose: {_whose(one)} since {one['since']}, a shadow run; {_waiting(one['waits'])}"
        for one in shadows
        if one["until"] is None
    ]


def lines(shadows: Iterable[Document]) -> list[str]:
    """Shadow runs on the screen, the ended ones too: what they planned did not go out, and never will."""
    return [f"{_whose(one)} from {one['since']} to {one['until'] or 'now'}" for one in shadows]


def _whose(one: Document) -> str:
    return f"effects of {one['plan']} are off" if one["plan"] else "all effects are off"


def _waiting(waits: Sequence[Document]) -> str:
    if not waits:
        return "nothing waits for it yet"
    what = ", ".join(counted(one["count"], one["kind"]) for one in waits)
    verb = "waits" if sum(one["count"] for one in waits) == 1 else "wait"
    return f"{what} {verb}, the oldest since {min(one['oldest_at'] for one in waits)}"
