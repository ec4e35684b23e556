"""`hailback run`: everything up, the samples delivered, things broken, each step shown, and a table at the end."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.tool.target import StateOption, stop
from connectors.tool.up import managed, show_addresses, watch

if TYPE_CHECKING:
    from rich.console import Console

    from connectors.tool.local import RunningStack


def run(
    once: Annotated[
        bool, typer.Option("--once", help="End by itself; exit code 0 only if every step really happened.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the table and the checks there as well.")
    ] = None,
    state: StateOption = None,
) -> None:
    """Start everything, deliver the samples in events/, break things, show what becomes of it; then stay up to be tried
    by hand."""
    from rich.console import Console

    begun = time.monotonic()
    if json_file and not json_file.resolve().parent.is_dir():
        stop(f"--json: the folder {json_file.resolve().parent} does not exist", 2)
    console = Console()
    with managed(console, keep=False, given=state) as stack:
        show_addresses(console, stack)
        document = _demonstrate(console, stack, begun)
        if json_file:
            _write(json_file, document)
        if not once:
            _invite(console, stack)
            watch(stack)
    if not document["ok"]:
        raise typer.Exit(1)


def _demonstrate(console: Console, stack: RunningStack, begun: float) -> dict[str, Any]:
    from rich.markup import escape

    from connectors.tool.demo import Demo
    from connectors.tool.story import Tale
    from connectors.tool.venvs import CHECKOUT
    from connectors.tool.verdict import Verdict, as_document

    console.print("\n[bold]Deliveries[/]")

    def say(line: str) -> None:
        console.print(escape(line), highlight=False, soft_wrap=True)

    demo = Demo(stack, CHECKOUT / "events", say)
    story = demo.play()
    verdict = Verdict(stack, demo, story)
    rows, checks = verdict.rows(), verdict.checks()
    console.print("\n[bold]The story: things break[/]")
    steps = Tale(stack, say).play()
    document = as_document(rows, checks, steps, time.monotonic() - begun)
    _show(console, document)
    return document


def _show(console: Console, document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    wide = console if console.is_terminal else Console(width=200)
    table = Table(box=None, pad_edge=False, title="\nWhere the posts went", title_justify="left", title_style="bold")
    for name in ("post", "case", "ticket", "topic", "s to ticket", "s to people"):
        table.add_column(name, overflow="fold", justify="right" if name.startswith("s ") else "left")
    for row in document["posts"]:
        cells = [row["post"], row["case"], row["ticket_url"] or "none", (row["topic"] or "none").rsplit(":", 1)[-1]]
        cells += [_seconds(row["seconds_to_ticket"]), _seconds(row["seconds_to_people"])]
        table.add_row(*map(escape, cells))
    wide.print(table, highlight=False)
    console.print("\n[bold]Checks[/]")
    for check in document["checks"]:
        mark = "[green]✓[/]" if check["ok"] else "[red]✗[/]"
        console.print(f"{mark} {check['name']} [dim]{escape(check['detail'])}[/]", highlight=False, soft_wrap=True)
    for step in document["story"]:
        mark = "[green]✓[/]" if step["ok"] else "[red]✗[/]"
        console.print(f"{mark} {step['name']} [dim]{escape(step['detail'])}[/]", highlight=False, soft_wrap=True)
    failed = sum(not one["ok"] for one in (*document["checks"], *document["story"]))
    said = "[green]Everything really happened[/]" if not failed else f"[red]{failed} checks failed[/]"
    console.print(f"\n{said}, in {document['seconds']} s.", highlight=False)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _write(file: Path, document: dict[str, Any]) -> None:
    try:
        file.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        stop(f"--json: {file} cannot be written: {error.strerror}")


def _invite(console: Console, stack: RunningStack) -> None:
    name = next(iter(stack.sources()))
    sample = "events/discourse/post_recovered__heating_rant.json"
    console.print("\n[bold]Try by hand, in another terminal[/]")
    for line in (
        "hailback cases",
        "hailback case ID --text",
        "hailback doctor",
        f"hailback send {name} {sample}            # the deleted post comes back",
        f"hailback send {name} {sample} --forge    # refused",
        f"curl -i -X POST -d '{{}}' {stack.webhook_url(name)}    # unsigned: refused",
    ):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
    console.print("It runs until Ctrl-C.", highlight=False)
