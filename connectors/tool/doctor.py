"""`hailback doctor`: is all well, and if not, what is to be done first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.tool.target import RoutesOption, StackOption, StateOption, sentences, target

if TYPE_CHECKING:
    from rich.console import Console

Row = dict[str, Any]


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    most: Annotated[
        int, typer.Option("--limit", min=1, max=5000, help="Look at so many cases, and items of each shard.")
    ] = 200,
    state: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Say whether all is well: queues, dead letters, what waits and why, breakers, sources, what failed over.

    The first line is the answer, the most urgent first. Exit code 0 if all is well, else 1.
    """
    from connectors.tool.checkup import Checkup

    with sentences():
        found = Checkup(target(state, stack, routes), most).document()
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2, default=str).encode())
    else:
        show(found)
    if not found["well"]:
        raise typer.Exit(1)


def show(found: Row) -> None:
    """The document on the screen."""
    from rich.markup import escape

    from connectors.tool.show import console
    from connectors.tool.spending import line
    from connectors.tool.vitals import lines

    out = console()
    first, *rest = found["wrong"] or ["all well"]
    out.print(f"[bold {'green' if found['well'] else 'red'}]{escape(first)}[/]", highlight=False, soft_wrap=True)
    for sentence in rest:
        out.print(f"[yellow]{escape(sentence)}[/]", highlight=False, soft_wrap=True)
    plan = found["plan"]
    said = [f"{one['name']}: {' else '.join(one['systems'])}" for one in plan["routes"]]
    _section(out, "Plan", [f"{plan['version']}  {'; '.join(said)}"] if plan["version"] else ["none"])
    _section(out, "Queues", [_queue(one) for one in found["queues"]])
    _section(out, "Dead letters", [line for one in found["dead_letters"] for line in _dead(one)])
    _section(out, "What waits", [_effect(one) for one in found["effects"]])
    _section(out, "Refused", [_refusal(one) for one in found["refused"]])
    _section(out, "Events not dispatched", _events(found["undispatched"]))
    _section(out, "Breakers", [_fields(one) for one in found["breakers"]])
    _section(out, "Failed over", [_detour(one) for one in found["failed_over"]])
    _section(out, "Sources", [_source(one) for one in found["sources"]])
    _section(out, "Credentials", [said for one in found["vitals"] for said in lines(one)])
    _section(out, "Polls", [_fields(one) for one in (*found["cursors"], *found["leases"])])
    _section(out, "Money", [line(one) for one in found["spending"]])
    _section(out, "Not shown", found["cut"])


def _section(out: Console, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    out.print(f"\n[bold]{title}[/]")
    for line in lines:
        out.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _queue(one: Row) -> str:
    age = f", the oldest {one['oldest_seconds']:.0f} s old" if one["oldest_seconds"] is not None else ""
    return f"{one['queue']}: {one['waiting']} waiting{age}, {one['in_flight']} being worked on"


def _dead(one: Row) -> list[str]:
    of = f" (of the first {one['looked_at']})" if one["looked_at"] < one["count"] else ""
    head = f"{one['queue']}: {one['count']}, the oldest of {one['oldest_at'] or 'an unknown time'}"
    return [head, *(f"  {count} x {what}{of}" for what, count in one["what"].items())]


def _effect(one: Row) -> str:
    many = f"{one['count']} {one['kind']}{'s' * (one['count'] > 1)} for {one['target']}"
    since = f"since {one['oldest_at']} ({one['oldest_case']})"
    return f"{many}: {one['state']} {since}; next try {one['next_at'] or '-'}" + (
        f"; {one['why']}" if one["why"] else ""
    )


def _refusal(one: Row) -> str:
    many = f"{one['count']} {one['kind']}{'s' * (one['count'] > 1)} for {one['target']}"
    return f"{many}, last {one['newest_at']} ({', '.join(one['cases'])}): {one['why']}"


def _events(one: Row) -> list[str]:
    return [f"{one['waiting']}, {one['late']} of them late; the oldest of {one['oldest_at']}"] if one["waiting"] else []


def _detour(one: Row) -> str:
    where = one["record"]["url"] or one["record"]["id"] if one["record"] else "no record yet"
    why = f" ({one['why']})" if one["why"] else ""
    return f"{one['case']}: {one['first']}{why} → {where}; {one['first']} is tried again {one['next_at'] or '-'}"


def _source(one: Row) -> str:
    if one["last_post_at"] is None:
        return f"{one['id']}: no post in the last seven days"
    gap = f"; usually every {_span(one['usual_gap_seconds'])}" if one["usual_gap_seconds"] is not None else ""
    return f"{one['id']}: last post {one['last_post_at']}{gap} ({one['posts_seen']} looked at)"


def _span(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h"
    )


def _fields(one: Row) -> str:
    shown = {name: value for name, value in one.items() if name not in {"pk", "sk"} and value is not None}
    return f"{one['pk']}: " + ", ".join(f"{name} {value}" for name, value in sorted(shown.items()))
