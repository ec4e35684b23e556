"""`hailback init`: a first template of sources, systems and a plan, that passes `hailback check` and deploys."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence
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
    is never written over without --force. Ends by saying what to do next.
    """
    import connectors
    from connectors.tool.starter import choose

    if file.exists() and not force:
        stop(f"{file} is there already; name another file, or say --force")
    asking = _on_terminal() and not (source and system)
    sources = source or _asked("Where do people talk?", connectors.SOURCES, asking=asking, option="--source")
    systems = system or _asked("Where do cases go?", connectors.SYSTEMS, asking=asking, option="--system")
    for names, known in ((sources, connectors.SOURCES), (systems, connectors.SYSTEMS)):
        if wrong := _unknown(names, known):
            stop(wrong, 2)
    chosen = choose(sources, systems)
    given = pairs(answers or [])
    _parameters(chosen, given)
    if asking:
        given = {**_addresses(chosen, given), **given}
    _write(file, chosen, given, force=force)


def _asked(question: str, names: Collection[str], *, asking: bool, option: str) -> list[str]:
    """One or more names; a wrong one is asked for again."""
    if not asking:
        stop(f"say {option}, one of {', '.join(sorted(names))}; it may be repeated", 2)

    def read(answer: str) -> list[str]:
        given = [one for one in answer.replace(",", " ").split() if one]
        if wrong := _unknown(given, names) or (None if given else "name at least one"):
            raise typer.BadParameter(wrong)
        return given

    return list(typer.prompt(f"{question} One or more of {', '.join(sorted(names))}", value_proc=read))


def _unknown(given: Sequence[str], names: Collection[str]) -> str | None:
    """What is wrong with the first name that is no connector's; None where all are."""
    from connectors.core.plan_grammar import closest

    for one in given:
        if one not in names:
            near = closest(one, names)
            return f"{one!r} is none of {', '.join(sorted(names))}." + (f" Did you mean {near}?" if near else "")
    return None


def _parameters(chosen: Sequence[Chosen], given: Mapping[str, str]) -> None:
    """Ends the command for an answer to what no parameter is."""
    from connectors.core.plan_grammar import closest

    known = {setting.parameter for one in chosen for setting in one.asked} | {f"{one.name}Secret" for one in chosen}
    for one in given:
        if one not in known:
            near = closest(one, known)
            meant = f" Did you mean {near}?" if near else ""
            stop(f"--set {one}: there is no such parameter; there are {', '.join(sorted(known))}.{meant}", 2)


def _addresses(chosen: tuple[Chosen, ...], given: Mapping[str, str]) -> dict[str, str]:
    """What a connector has to know; a value that the check would refuse is asked for again."""
    found: dict[str, str] = {}
    for one, setting in ((place, setting) for place in chosen for setting in place.asked):
        if setting.parameter in given:
            continue

        def read(answer: str, parameter: str = setting.parameter) -> str:
            if answer and (wrong := _findings(chosen, {parameter: answer})):
                raise typer.BadParameter(wrong[0])
            return answer

        several = ", several with commas" * setting.many
        question = f"{setting.name} of {one.connector}{several} (empty: given at each deployment)"
        found[setting.parameter] = str(typer.prompt(question, default="", show_default=False, value_proc=read))
    return {name: value for name, value in found.items() if value}


def _findings(chosen: Sequence[Chosen], given: Mapping[str, str]) -> list[str]:
    from connectors.tool.catalogues import DEFAULTS
    from connectors.tool.cfn_text import read
    from connectors.tool.cfn_values import Around
    from connectors.tool.checking import examine
    from connectors.tool.starter import template

    return [f"{one}" for one in examine(read(template(chosen, given).encode()), Around(), DEFAULTS).findings]


def _write(file: Path, chosen: tuple[Chosen, ...], given: dict[str, str], *, force: bool) -> None:
    from connectors.tool.starter import steps, template

    if wrong := _findings(chosen, given):
        stop("\n".join(wrong))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(template(chosen, given, _schema(file)))
    except FileExistsError:
        stop(f"{file} is there already; name another file, or say --force")
    except OSError as error:
        stop(f"{file}: {error.strerror or 'cannot be written'}")
    typer.echo(f"Wrote {file}. Then:\n" + "\n".join(steps(chosen, given, str(file))))


def _schema(file: Path) -> str | None:
    """The way from a template in a checkout to the schema there, for editors; None for one elsewhere."""
    from connectors.tool.schema import PLACE

    checkout, folder = Path(__file__).resolve().parents[2], file.resolve().parent
    inside = folder.is_relative_to(checkout) and (checkout / PLACE).is_file()
    return Path(os.path.relpath(checkout / PLACE, folder)).as_posix() if inside else None


def _on_terminal() -> bool:
    return sys.stdin.isatty()
