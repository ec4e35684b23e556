"""`hailback cases` and `hailback case`: what is going on, for whoever is on call."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from connectors.tool.target import RoutesOption, StackOption, StateFolderOption, StateOption, sentences, stop, target

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


def cases(
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1000, help="At most so many: the last that changed state or record.")
    ] = 20,
    state: Annotated[str, typer.Option("--state", help="open, pending, solved, or counted.")] = "open",
    as_json: JsonOption = False,
    folder: StateFolderOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """List cases: what they wait for, where their records are.

    A conversation that a route with Open: count took is no case; --state counted lists these. Exit code 0 also where
    there are none.
    """
    from connectors.tool.casework import STATES, summaries

    if state not in STATES:
        stop(f"{state!r} is no state of a case; there are {', '.join(STATES)}", 2)

    with sentences():
        found = summaries(target(folder, stack, routes).cases, limit, state)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2).encode())
        return
    from connectors.tool.show import show_cases

    show_cases(found, state)


def case(
    identity: Annotated[str, typer.Argument(metavar="ID", help="A case's id, or how it begins.")],
    text: Annotated[bool, typer.Option("--text", help="Show what people wrote as well.")] = False,
    as_json: JsonOption = False,
    folder: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Show one case: what waits and why, its records, posts, effects and timeline."""
    from connectors.tool.casework import dossier, find_case

    with sentences():
        known = target(folder, stack, routes).cases
        found = dossier(known, find_case(known, identity), with_text=text)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2).encode())
        return
    from connectors.tool.show import show_case

    show_case(found)
