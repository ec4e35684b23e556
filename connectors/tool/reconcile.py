"""`hailback reconcile`: what a system of record really has, compared with the ledger; differences listed and mended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.tool.target import RoutesOption, StackOption, StateOption, sentences, stop, target

if TYPE_CHECKING:
    from connectors.tool.reconciling import Found


def reconcile(
    system: Annotated[str, typer.Argument(help="The system's name as in the routes, such as Tracker.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what differs.")] = False,
    notes: Annotated[bool, typer.Option("--notes/--no-notes", help="Look for each note too: one call each.")] = True,
    since: Annotated[str, typer.Option("--from", help="Begin with this case: cases are compared by id.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    state: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Compare the ledger with what a system of record really has; list and mend the differences.

    What has to be written again is done by the machine's own worker within about a minute; duplicates are linked and
    closed at once. A system that is busy is waited for. Exit code 0 if nothing differs, else 1; 2 if the system does
    not answer, and then it says with which case to go on.
    """
    from connectors.core.errors import RemoteError
    from connectors.tool.reconciling import Reconciler

    with sentences():
        run = Reconciler(target(state, stack, routes), system, notes=notes, say=_wait)
        try:
            found = run.run(dry_run, since)
        except RemoteError as error:
            _tell(run.found, as_json, whole=False)
            goes_on = f"; go on with --from {run.at}" if run.at else ""
            stop(f"{system} does not answer as it should: {error}; what was mended stays mended{goes_on}", 2)
    _tell(found, as_json)
    if found.differences:
        raise typer.Exit(1)


def _tell(found: Found, as_json: bool, whole: bool = True) -> None:
    if as_json:
        typer.echo(json.dumps(found.document(), ensure_ascii=False, indent=2).encode())
    else:
        _show(found, whole)


def _wait(words: str) -> None:
    typer.echo(words.encode(), err=True)


def _show(found: Found, whole: bool) -> None:
    """What was found; of a run that broke off only as far as it came."""
    from connectors.core.reconcile import Fault
    from connectors.tool.plain import many

    for difference, done in found.differences:
        where = difference.reference.url or difference.reference.id if difference.reference else "no record"
        about = f" ({difference.effect})" if difference.fault is Fault.NOTE_MISSING else ""
        typer.echo(f"{difference.case or '-'}: {where}: {difference.fault}{about}: {done}".encode())
    differ = many(len(found.differences), "difference")
    if not found.cases and not whole:
        typer.echo(f"no case of {found.system} was compared")
        return
    typer.echo(f"{many(found.cases, 'case')} of {found.system} compared, {differ}")
    if not whole:
        return
    if not found.twins:
        typer.echo("This connector shows one record of a case at most: duplicates were not looked for.")
    if not found.listed:
        typer.echo("This connector cannot list its records: those of no case here were not looked for.")
