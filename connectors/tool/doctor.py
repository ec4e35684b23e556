"""`hailback doctor`: is all well, and if not, what is to be done first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.tool.plain import counted, many, row_name
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

    The first line is the answer, the most urgent first; what administrators hold back on purpose is told after it.
    Exit code 0 if all is well, else 1; 2 if it could not look.
    """
    from connectors.tool.checkup import Checkup

    try:
        with sentences():
            found = Checkup(target(state, stack, routes), most).document()
    except typer.Exit:
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2, default=str).encode())
    else:
        show(found)
    if not found["well"]:
        raise typer.Exit(1)


def show(found: Row) -> None:
    """The document on the screen."""
    from rich.markup import escape

    from connectors.tool import pauses, unheard
    from connectors.tool.show import console
    from connectors.tool.spending import line
    from connectors.tool.vitals import lines

    out = console()
    first, *rest = found["wrong"] or ["all well"]
    out.print(f"[bold {'green' if found['well'] else 'red'}]{escape(first)}[/]", highlight=False, soft_wrap=True)
    for sentence in [*rest, *found["on_purpose"]]:
        out.print(f"[yellow]{escape(sentence)}[/]", highlight=False, soft_wrap=True)
    plan = found["plan"]
    said = [f"{one['name']}: {' else '.join(one['systems']) or 'counted'}" for one in plan["routes"]]
    _section(out, "Plan", [f"{plan['version']}  {'; '.join(said)}"] if plan["version"] else ["none"])
    _section(out, "Topics", unheard.lines(found["topics"]))
    _section(out, "Queues", [_queue(one) for one in found["queues"]])
    _section(out, "Dead letters", [line for one in found["dead_letters"] for line in _dead(one)])
    _section(out, "What waits", [_effect(one) for one in found["effects"]])
    _section(out, "Refused", [_refusal(one) for one in found["refused"]])
    _section(out, "Events not dispatched", _events(found["undispatched"]))
    _section(out, "Breakers", [_breaker(one) for one in found["breakers"]])
    _section(out, "Failed over", [_detour(one) for one in found["failed_over"]])
    _section(out, "Held", [f"{one['id']} ({one['kind']})" for one in found["held"]])
    _section(out, "Shadow runs", pauses.lines(found["shadows"]))
    _section(out, "Sources", [_source(one) for one in found["sources"]])
    _section(out, "Credentials", [said for one in found["vitals"] for said in lines(one)])
    _section(out, "Polls", [_poll(one) for one in found["cursors"]])
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
    many = f"{counted(one['count'], one['kind'])} for {one['target']}"
    since = f"since {one['oldest_at']} ({one['oldest_case']})"
    return f"{many}: {one['state']} {since}; next try {one['next_at'] or '-'}" + (
        f"; {one['why']}" if one["why"] else ""
    )


def _refusal(one: Row) -> str:
    many = f"{counted(one['count'], one['kind'])} for {one['target']}"
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


def _breaker(one: Row) -> str:
    """See `connectors.core.breaker.Breaker`."""
    name, state = row_name(one), str(one.get("state", "closed"))
    failed = many(int(one.get("failures") or 0), "failed call")
    if state == "closed":
        return f"{name}: closed" + (f", {failed} in a row" if one.get("failures") else "")
    tried = f"one worker tries it {'at' if state == 'open' else 'now, until'} {one.get('until') or '-'}"
    why = f": {one['error']}" if one.get("error") else ""
    return f"{name}: open since {one.get('since') or 'an unknown time'}, after {failed}; {tried}{why}"


def _poll(one: Row) -> str:
    """See `connectors.aws.cursors`."""
    name, last = row_name(one), f"last answered {one['polled_at']}" if one.get("polled_at") else "no answer yet"
    if not one.get("due_at"):
        return f"{name}: not asked any more, {last}"
    when = f"being asked until {one['lease_until']}" if one.get("lease_until") else f"next {one.get('next_at') or '-'}"
    said = [f"{name}: asked every {_span(float(one.get('every') or 0))}, {last}, {when}"]
    if one.get("error"):
        failures = int(one.get("failures") or 0)
        said.append((f"{many(failures, 'failure')} in a row" if failures else "it stands so") + f": {one['error']}")
    if one.get("missed"):
        said.append(f"its webhook has missed {one['missed']}, the last at {one.get('last_missed_at') or '-'}")
    return "; ".join(said)
