"""What `hailback doctor` says of what administrators keep back on purpose: places with `Hold: true`, `Effects: off`.

Nothing of it is wrong, and nothing of it may be forgotten: it is told beside the answer, with what waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.aws.cases import Cases
from connectors.aws.config import ConfigStore
from connectors.core.case import Case
from connectors.core.compose import moment
from connectors.core.pause import released
from connectors.core.plan_ports import Interval
from connectors.tool.plain import counted
from connectors.tool.shadows import sentence

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


def shadow_runs(
    shadows: Mapping[str, tuple[Interval, ...]],
    effects: Sequence[Document],
    now: int,
    would: Iterable[Document] = (),
    silent: int = 0,
) -> list[Document]:
    """When effects were off: now, and in runs that ended within a week. `plan` is None for the base, for which `silent`
    cases have something that was not sent; another is a shadow, and `would` says what it would have taken."""
    found = []
    off = [one for one in effects if is_held(one["why"]) and "Effects: off" in one["why"]]
    taken = {one["plan"]: one for one in would}
    for key, runs in sorted(shadows.items()):
        for since, until in runs:
            if until is None or until > now - _DAYS:
                ended = None if until is None else moment(until)
                row: Document = {"plan": key or None, "since": moment(since), "until": ended}
                row["waits"] = _waits(off) if until is None and not key else []
                found.append({**row, "unsent": 0 if key else silent, "would": taken.get(key)})
    return found


def silenced(cases: Cases, changed: Iterable[Case], shadows: Mapping[str, tuple[Interval, ...]], now: int) -> int:
    """Of these cases, how many have something that was planned while effects were off, and that `release --all` would
    send. Looks only where that was so within a week."""
    if not any(until is None or until > now - _DAYS for _, until in shadows.get("", ())):
        return 0
    return sum(bool(released(case, cases.effects(case.id), now, answers=False)) for case in changed)


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
    lasting = [one for one in shadows if one["until"] is None]
    said += [_off(one) if one["plan"] is None else _shadow(one) for one in lasting]
    ended = [one for one in shadows if one["until"] is not None and one["plan"] is None and one["unsent"]]
    if ended and not any(one["plan"] is None for one in lasting):
        one = ended[-1]
        said.append(
            f"on purpose: effects were off from {one['since']} to {one['until']}, and of "
            f"{counted(one['unsent'], 'case')} something was not sent: hailback release --dry-run --all"
        )
    return said


def _off(one: Document) -> str:
    return (
        f"on purpose: the base plan's effects are off since {one['since']}, so NOTHING goes out; "
        f"of {counted(one['unsent'], 'case')} something was planned and not sent; {_waiting(one['waits'])}"
    )


def _shadow(one: Document) -> str:
    """One beside the base."""
    return f"on purpose: effects of {one['plan']} are off since {one['since']}" + (
        f"; {sentence(one['would'], '24h')}" if one["would"] else ", a shadow"
    )


def lines(shadows: Iterable[Document]) -> list[str]:
    """On the screen, the ended ones too."""
    return [f"{_whose(one)} from {one['since']} to {one['until'] or 'now'}" for one in shadows]


def _whose(one: Document) -> str:
    return f"effects of {one['plan']} were off (a shadow)" if one["plan"] else "all effects were off"


def _waiting(waits: Sequence[Document]) -> str:
    if not waits:
        return "nothing waits for it yet"
    what = ", ".join(counted(one["count"], one["kind"]) for one in waits)
    verb = "waits" if sum(one["count"] for one in waits) == 1 else "wait"
    return f"{what} {verb}, the oldest since {min(one['oldest_at'] for one in waits)}"
