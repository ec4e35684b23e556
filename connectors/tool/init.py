"""`hailback init`: a first template of sources, systems and a plan, that passes `hailback check` and deploys."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.tool.check import pairs
from connectors.tool.target import stop

if TYPE_CHECKING:
    from connectors.tool.starter import Chosen


def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="What to write.")] = Path("routes.yaml"),
    source: Annotated[
        list[str] | None, typer.Option("--source", metavar="CONNECTOR", help="Where people talk; may be repeated.")
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option("--system", metavar="CONNECTOR", help="Where cases go, then the stand-bys; may be repeated."),
    ] = None,
    answers: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="The default of a parameter, such as DiscourseBaseUrl."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a template for the sources and systems that you name; asks for what no option says. Needs no AWS.

    Addresses and names of secrets become parameters. `hailback connectors` lists what there is. A file that is there
    is never written over without --force.
    """
    import connectors
    from connectors.tool.starter import choose

    if file.exists() and not force:
        stop(f"{file} is there already; name another file, or say --force")
    asking = _on_terminal() and not (source and system)
    sources = source or _asked("Where do people talk?", connectors.SOURCES, asking=asking, option="--source")
    systems = system or _asked("Where do cases go?", connectors.SYSTEMS, asking=asking, option="--system")
    _known(sources, connectors.SOURCES)
    _known(systems, connectors.SYSTEMS)
    chosen = choose(sources, systems)
    given = pairs(answers or [])
    if asking:
        given = {**_addresses(chosen, given), **given}
    _write(file, chosen, given, force=force)


def _asked(question: str, names: Collection[str], *, asking: bool, option: str) -> list[str]:
    if not asking:
        stop(f"say {option}, one of {', '.join(sorted(names))}; it may be repeated", 2)
    answer = typer.prompt(f"{question} One or more of {', '.join(sorted(names))}")
    return [one for one in str(answer).replace(",", " ").split() if one]


def _known(given: list[str], names: Collection[str]) -> None:
    from connectors.core.plan_grammar import closest

    for one in given:
        if one not in names:
            near = closest(one, names)
            stop(f"{one!r} is none of {', '.join(sorted(names))}." + (f" Did you mean {near}?" if near else ""), 2)


def _addresses(chosen: tuple[Chosen, ...], given: dict[str, str]) -> dict[str, str]:
    found = {}
    for one in chosen:
        for setting in one.asked:
            if setting.parameter not in given:
                question = f"{setting.name} of {one.connector} (empty: to be given at each deployment)"
                found[setting.parameter] = str(typer.prompt(question, default="", show_default=False))
    return {name: value for name, value in found.items() if value}


def _write(file: Path, chosen: tuple[Chosen, ...], given: dict[str, str], *, force: bool) -> None:
    from connectors.tool.catalogues import DEFAULTS
    from connectors.tool.cfn_text import read
    from connectors.tool.cfn_values import Around
    from connectors.tool.checking import examine
    from connectors.tool.starter import secrets, template

    known = {setting.parameter for one in chosen for setting in one.settings if setting.required}
    known |= {f"{one.name}Secret" for one in chosen}
    if strange := sorted(set(given) - known):
        stop(f"--set {strange[0]}: there is no such parameter; there are {', '.join(sorted(known))}", 2)
    text = template(chosen, given)
    report = examine(read(text.encode()), Around(), DEFAULTS)
    if not report.ok:
        stop("\n".join(f"{one}" for one in report.findings))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        stop(f"{file} is there already; name another file, or say --force")
    except OSError as error:
        stop(f"{file}: {error.strerror or 'cannot be written'}")
    typer.echo(f"Wrote {file}. Before the first deployment, make these secrets:")
    for name in secrets(chosen, given):
        typer.echo(f"  {name}")
    typer.echo(f"Then: hailback check {file}")


def _on_terminal() -> bool:
    return sys.stdin.isatty()
