"""The console script `hailback`. Commands import what they need when they run, so that `--help` stays quick."""

from __future__ import annotations

import typer

from connectors.tool.cases import case, cases
from connectors.tool.check import check
from connectors.tool.connectors import connectors
from connectors.tool.doctor import doctor
from connectors.tool.explain import explain
from connectors.tool.init import init
from connectors.tool.parse import parse
from connectors.tool.people import people
from connectors.tool.plans import plan, plans
from connectors.tool.reconcile import reconcile
from connectors.tool.redrive import redrive
from connectors.tool.rehearse import rehearse
from connectors.tool.release import release
from connectors.tool.run import run
from connectors.tool.schema import schema
from connectors.tool.send import send
from connectors.tool.up import up

app = typer.Typer(
    name="hailback",
    help="Customers hail a company in public; the right people solve it together; the customer hears back.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="markdown",  # paragraphs of a docstring are set anew to the width of the terminal
    add_completion=False,
)

COMMANDS = (
    *(up, run, send, parse, cases, case, doctor, redrive, release, reconcile, connectors),
    *(init, check, explain, rehearse, schema),
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(plans, name="plans")
app.add_typer(plan, name="plan")
app.add_typer(people, name="people")
