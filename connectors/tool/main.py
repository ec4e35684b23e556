"""The console script `hailback`. Commands import what they need when they run, so that `--help` stays quick."""

from __future__ import annotations

import typer

from connectors.tool.parse import parse

app = typer.Typer(
    name="hailback",
    help="Customers hail a company in public; the right people solve it together; the customer hears back.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    add_completion=False,
)


@app.callback()
def _hailback() -> None:
    """Keeps `parse` a command of its own while it is the only one."""


app.command("parse")(parse)
