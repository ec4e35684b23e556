"""`hailback people`: which handles are one person's, who says so and why; to say it, and to take it back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.tool.target import RoutesOption, StackOption, StateOption, sentences, target

if TYPE_CHECKING:
    from connectors.aws.people import People
    from connectors.core.case import Case
    from connectors.tool.deployment import Deployment

Document = dict[str, Any]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
HandleArgument = Annotated[str, typer.Argument(metavar="HANDLE", help="tel:+491701234567, x::42, discourse:HOST:55.")]
OtherArgument = Annotated[str, typer.Argument(metavar="HANDLE", help="The other one.")]
BecauseOption = Annotated[
    str, typer.Option("--because", metavar="TEXT", help="How it is known. Kept; write no customer's words.")
]
ReferenceOption = Annotated[str | None, typer.Option("--reference", metavar="URL", help="Where that can be looked up.")]

people = typer.Typer(help="Handles of one person: show, link and unlink them, with evidence.", no_args_is_help=True)


@people.command()
def show(
    about: Annotated[str, typer.Argument(metavar="HANDLE|CASE", help="A handle, or a case's id: case-…")],
    as_json: JsonOption = False,
    folder: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Show who a handle belongs to, by which evidence, and the open cases; or the handles of a case."""
    with _sentences():
        at = target(folder, stack, routes)
        if about.startswith("case-"):
            found = [_person(at, handle) for handle in handles_of(at, about)]
        else:
            found = [_person(at, _handle(about))]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2).encode())
        return
    for one in found or ():
        _show(one)
    if not found:
        typer.echo("Nobody is known in this case: its posts were removed, or do not say who wrote them.")


@people.command()
def link(
    one: HandleArgument,
    other: OtherArgument,
    because: BecauseOption,
    reference: ReferenceOption = None,
    folder: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Say that two handles are one person's: what that person says from now on joins their open case.

    Cases that are open already are not merged. Linking what is linked changes nothing."""
    with _sentences():
        at = target(folder, stack, routes)
        both = (_handle(one), _handle(other))
        folk = _people(at)
        said = folk.link(*both, by=_caller(at), because=because, reference=reference)
        cases = [_open(at, handle) for handle in both]
        for handle, found in zip(both, cases, strict=True):
            folk.note(handle, found)
    _echo(f"linked {both[0]} and {both[1]}: evidence {said.id}, by {said.by}: {said.because}")
    names = sorted({case.id for found in cases for case in found})
    if len(names) > 1:
        _echo(f"{len(names)} cases are open and stay apart: {', '.join(names)}")
        _echo("What this person says elsewhere from now on joins the one where something happened last.")
    elif names:
        _echo(f"What this person says elsewhere joins {names[0]} while it is open.")


@people.command()
def unlink(
    one: HandleArgument,
    other: OtherArgument,
    because: BecauseOption,
    reference: ReferenceOption = None,
    folder: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """End a link. Its evidence stays, and so does what has joined a case by it."""
    with _sentences():
        at = target(folder, stack, routes)
        both = (_handle(one), _handle(other))
        said = _people(at).unlink(*both, by=_caller(at), because=because, reference=reference)
        still = both[1] in _people(at).circle(both[0]).person.ways
    _echo(f"ended the link of {both[0]} and {both[1]}: evidence {said.id}, by {said.by}: {said.because}")
    if still:
        _echo("They are still one person by other links: `hailback people show` lists them.")


@people.command()
def forget(
    handle: HandleArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    folder: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Delete a handle's links with all their evidence, and which cases it opened. Its posts are not touched.

    Needs dynamodb:DeleteItem, which no function of Hailback has."""
    with _sentences():
        at, name = target(folder, stack, routes), _handle(handle)
        if not yes:
            typer.confirm(f"Delete all links of {name}, with their evidence?", abort=True)
        links = _people(at).forget(name)
    _echo(f"forgot {name}: {links} link{'s' * (links != 1)}")


def handles_of(at: Deployment, case: str) -> list[str]:
    """Who spoke in a case, the first first; not our own accounts, nor whose posts were removed. Raises
    DeploymentError."""
    from connectors.aws.cases import mention_key
    from connectors.tool.casework import find_case

    found = find_case(at.cases, case)
    names = dict.fromkeys([found.first_mention, *(e.mention for e in at.cases.timeline(found.id) if e.mention)])
    rows = [at.table.get(*mention_key(name)) or {} for name in names]
    return list(dict.fromkeys(row["author_key"] for row in rows if row.get("author_key") and not row.get("own")))


def _person(at: Deployment, handle: str) -> Document:
    """A person as a plain document."""
    from connectors.core.compose import moment

    circle = _people(at).circle(handle)
    links = {
        frozenset((link.one, link.other)): {
            "handles": sorted((link.one, link.other)),
            "live": link.live,
            "evidence": [{**said.model_dump(), "at": moment(said.at)} for said in link.evidence],
        }
        for known in circle.known.values()
        for link in known.links
    }
    return {
        "handle": handle,
        "handles": list(circle.person.handles),
        "whole": circle.person.whole,
        "links": sorted(links.values(), key=lambda link: link["handles"]),
        "open_cases": sorted({case.id for one in circle.person.handles for case in _open(at, one)}),
    }


def _show(found: Document) -> None:
    others = found["handles"][1:]
    _echo(f"{found['handle']}  {'alone' if not others else 'one person with ' + ', '.join(others)}")
    if not found["whole"]:
        _echo("  There are more, which were not looked at. Nothing joins by them: end the links that are wrong.")
    for link in found["links"]:
        _echo(f"  {' = '.join(link['handles'])}{'' if link['live'] else '  (ended)'}")
        for said in link["evidence"]:
            where = f" {said['reference']}" if said["reference"] else ""
            _echo(f"    {said['at']}  {said['what']} by {said['by']}: {said['because']}{where}  [{said['id']}]")
    for case in found["open_cases"]:
        _echo(f"  open: {case}")


def _open(at: Deployment, handle: str) -> list[Case]:
    """The cases that a handle opened and that wait for somebody."""
    from connectors.aws.openings import OPEN

    folk = _people(at)
    names = {*folk.opened_by(handle), *(case for _, case in folk.known(handle).cases)}
    found = (at.cases.case(name) for name in sorted(names))
    return [case for case in found if case is not None and case.state in OPEN]


def _people(at: Deployment) -> People:
    import time

    from connectors.aws.people import People

    return People(at.table, lambda: int(time.time() * 1000))


def _handle(said: str) -> str:
    import connectors
    from connectors.core.people import read_handle

    return read_handle(said.strip(), connectors.SOURCES)


def _caller(at: Deployment) -> str:
    """Whose credentials these are: an ARN."""
    return str(at.client("sts").get_caller_identity()["Arn"])


@contextmanager
def _sentences() -> Iterator[None]:
    """Errors that a user can act on end the command as one sentence."""
    from pydantic import ValidationError

    from connectors.core.errors import ConflictError
    from connectors.tool.target import stop

    with sentences():
        try:
            yield
        except ValidationError as error:
            fields = [f"--{fault['loc'][0]}: {fault['msg'].lower()}" for fault in error.errors()]
            stop("; ".join(fields))
        except ConflictError as error:
            stop(f"{error}; try again")
        except ValueError as error:
            stop(str(error))


def _echo(line: str) -> None:
    typer.echo(line.encode())  # as bytes, whatever the terminal's encoding
