"""`hailback connectors`: what there is, what each can do, and what that was proven against.

The registry and each connector's manifest say it; README.md holds the same table, and a test compares them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from connectors.core.manifest import Manifest

Row = dict[str, Any]
TICKS = (("receives", "receives"), ("asked", "is asked"), ("answers", "answers"), ("keeps_cases", "keeps cases"))


def connectors(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every event.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As README.md has it.")] = False,
    fields: Annotated[
        bool, typer.Option("--fields", help="Which source tells which field of a mention, as docs/patterns.md has it.")
    ] = False,
) -> None:
    """List the connectors: what each can do, what it was proven against, its events. Needs no AWS."""
    from connectors.core.manifest import ManifestError

    try:
        found, told = rows(), field_table() if fields else ""
    except ManifestError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2).encode())
    elif fields:
        typer.echo(told.encode())
    elif markdown:
        typer.echo(table(found).encode())
    else:
        _show(found)


def rows() -> list[Row]:
    """One a connector, by name. Raises ManifestError."""
    import connectors as registry
    from connectors.core import manifest

    names = {**registry.SOURCES, **registry.SYSTEMS, **registry.REPLIERS, **registry.POLLERS}
    return [_row(name, manifest.load(name)) for name in sorted(names)]


def _row(name: str, told: Manifest) -> Row:
    import connectors as registry
    from connectors.core.door import load

    polled = name in registry.SYSTEMS and hasattr(registry.system(name), "poll")
    return {
        "name": name,
        "title": told.title,
        "kind": "system of record" if name in registry.SYSTEMS else "source",
        "receives": load(name) is not None or name in registry.EVENT_BUSES.values(),
        "asked": polled or name in registry.POLLERS,
        "answers": name in registry.REPLIERS,
        "keeps_cases": name in registry.SYSTEMS,
        "status": told.status,
        "proof": told.proof,
        "events": dict(sorted(told.events.items())),
    }


def table(found: list[Row]) -> str:
    """The table in README.md."""
    from connectors.core.manifest import STATUS

    lines = ["| connector | kind | does | events acted on | proven |", "|---|---|---|---|---|"]
    for row in found:
        link = f"[{row['title']}](connectors/{row['name']}/README.md)"
        lines.append(
            f"| {link} | {row['kind']} | {_does(row)} | {_events(row)} | **{row['status']}**: {row['proof']} |"
        )
    words = "; ".join(f"*{status}* is {what}" for status, what in STATUS.items())
    return "\n".join([*lines, "", f"Of the states, {words}."])


def field_table() -> str:
    """The table in docs/patterns.md: every field that some connector never tells. Raises ManifestError."""
    import connectors as registry
    from connectors.core import manifest
    from connectors.core.facts import FIELDS
    from connectors.tool.never_told import why_untold

    names = sorted(registry.SOURCES)
    unset = {name: manifest.load(name).unset for name in names}
    cells = {field: [why_untold(field, name, unset.__getitem__) is None for name in names] for field in FIELDS}
    lines = [f"| Field | {' | '.join(f'`{name}`' for name in names)} |", f"|---|{'---|' * len(names)}"]
    for field, told in cells.items():
        if not all(told):
            lines.append(f"| `{field}` | {' | '.join('told' if one else 'never' for one in told)} |")
    everywhere = ", ".join(f"`{field}`" for field, told in cells.items() if all(told))
    return "\n".join([*lines, "", f"All of them tell, or the machine knows: {everywhere}."])


def _does(row: Row) -> str:
    return ", ".join(word for key, word in TICKS if row[key])


def _events(row: Row) -> str:
    """How many of its events are acted on, of those that it knows."""
    from connectors.core.manifest import NOT_ACTED_ON

    known = row["events"]
    acted = sum(becomes not in NOT_ACTED_ON for becomes in known.values())
    return f"{acted} of {len(known)}" if known else "-"


def _show(found: list[Row]) -> None:
    from typing import get_args

    from rich.markup import escape

    from connectors.core.manifest import Becomes
    from connectors.tool.show import console

    out = console()
    for row in found:
        head = f"[bold]{row['name']}[/]  {escape(row['title'])}, {row['kind']}: {_does(row)}"
        out.print(f"{head}  [cyan]{row['status']}[/]", highlight=False, soft_wrap=True)
        out.print(f"  {escape(row['proof'])}", highlight=False, soft_wrap=True)
        for becomes in get_args(Becomes):
            events = [event for event, said in row["events"].items() if said == becomes]
            if events:
                out.print(f"  {becomes}: {escape(', '.join(events))}", highlight=False, soft_wrap=True)
