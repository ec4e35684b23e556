"""`hailback check`: everything that is wrong with an administrators' template, before it is deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.tool.target import RoutesOption, StackOption, StateOption, sentences, stop, target

if TYPE_CHECKING:
    from connectors.tool.cfn_values import Around
    from connectors.tool.checking import Report, Spot

ParametersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter-overrides", metavar="KEY=VALUE", help="The template's parameters, as `aws cloudformation deploy`."
    ),
]
MoreArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="More of --parameter-overrides.", show_default=False),
]
GrantedOption = Annotated[
    list[str] | None,
    typer.Option(
        "--granted",
        metavar="NAME=VALUE",
        help="What Hailback's own stack was deployed with: SecretsPrefix, TopicsPrefix, TopicRegions, "
        "AllowPrivateSystems. The defaults of template.yaml otherwise.",
    ),
]


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CloudFormation template, YAML or JSON.")],
    more: MoreArgument = None,
    parameters: ParametersOption = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the account too: secrets, topics, other stacks.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    granted: GrantedOption = None,
    name: Annotated[str | None, typer.Option("--stack-name", help="What the file is deployed as.")] = None,
    folder: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Check a template of sources, systems and a plan: all mistakes at once, with lines, as a deployment would.

    Needs no AWS unless --live is given, which looks as whoever calls it and changes nothing. Exit code 0 where
    nothing is wrong, 1 where something is, 2 where the file cannot be read.
    """
    from connectors.tool.cfn_text import TemplateError, load
    from connectors.tool.checking import as_json as document
    from connectors.tool.checking import examine

    given = pairs([*(parameters or []), *(more or [])])
    try:
        text = load(file)
    except TemplateError as error:
        stop(str(error), 2)
    if live:
        from connectors.tool.check_live import examine_live

        with sentences():
            report = examine_live(text, target(folder, stack, routes), given, name)
    else:
        report = examine(text, around(given, name), pairs(granted or []))
    if as_json:
        typer.echo(
            json.dumps({"file": str(file), "live": live, **document(report, live)}, ensure_ascii=False, indent=2)
        )
    else:
        _show(file, report, live)
    if not report.ok:
        raise typer.Exit(1)


def around(given: dict[str, str], name: str | None) -> Around:
    """What a file is deployed into, as far as nobody asks."""
    from connectors.tool.cfn_values import Around

    return Around(given=given) if name is None else Around(stack=name, given=given)


def pairs(given: list[str]) -> dict[str, str]:
    """`["A=1", "B=x=y"]` → `{"A": "1", "B": "x=y"}`; ends the command for anything else."""
    found = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key:
            stop(f"{one!r} is not KEY=VALUE", 2)
        found[key] = value
    return found


def _show(file: Path, report: Report, live: bool) -> None:
    from connectors.tool.checking import offline

    def said(kind: str, spots: list[Spot]) -> None:
        for spot in spots:
            typer.echo(f"{file}:{spot.line}:{spot.column}: {kind}: {spot}".encode())

    said("error", report.findings)
    said("warning", report.warnings)
    said("not known", report.unknown)
    if report.compiled and not live:
        typer.echo("Not looked at without --live:")
        for line in offline(report.compiled):
            typer.echo(f"  {line}".encode())
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(report.resources.items())) or "nothing of Hailback's"
    wrong, odd = len(report.findings), len(report.warnings)
    verdict = f"{wrong} finding{'s' * (wrong != 1)}" if wrong else "nothing wrong"
    typer.echo(f"{counts}: {verdict}{f', {odd} warning' + 's' * (odd != 1) if odd else ''}.")
