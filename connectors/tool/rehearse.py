"""`hailback rehearse`: what a changed plan would have done with the posts of the last days, without any effect."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.tool.check import GrantedOption, MoreArgument, ParametersOption, around, pairs
from connectors.tool.definition import DefinitionOption, bodies
from connectors.tool.reading import looking
from connectors.tool.target import RoutesOption, StackOption, StateOption, sentences, stop, target

if TYPE_CHECKING:
    from connectors.core.plan import Plan
    from connectors.tool.cfn_values import Around
    from connectors.tool.checking import Compiled
    from connectors.tool.deployment import Deployment
    from connectors.tool.heard import Heard
    from connectors.tool.rehearsal import Rehearsal


def rehearse(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The changed template.")],
    more: MoreArgument = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="How far back the posts go, such as 12h or 14d (d, h, m, s); 7d by default."
        ),
    ] = None,
    mentions: Annotated[
        Path | None,
        typer.Option(
            "--mentions", metavar="FILE", help="Instead: what `hailback parse` prints, as lines or as a list."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="FILE", help="Compare with this, not with the plan in force."),
    ] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Compare with nothing: only what the file comes to.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    parameters: ParametersOption = None,
    granted: GrantedOption = None,
    definition: DefinitionOption = None,
    name: Annotated[
        str | None, typer.Option("--stack-name", help="The name of the stack that the file is deployed as.")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="By which source the posts of a file came in.")] = None,
    folder: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Replay posts against a changed plan and show the difference: cases, routes, systems, topics, load, cost.

    Nothing is written and nobody is told: it looks through clients that cannot write. The posts come from the
    deployment's table (--since) or a file (--mentions); with --mentions and --against, or --alone, no deployment is
    needed. Exit code 0 whatever the difference is.
    """
    if mentions is not None and since is not None:
        stop("give either --since or --mentions", 2)
    posts = _Posts(mentions, since or "7d", source)
    with sentences():
        needed = mentions is None or (against is None and not alone)
        deployment = looking(target(folder, stack, routes)) if needed else None
        given = pairs([*(parameters or []), *(more or [])])
        setting, allowed = _setting(deployment, given, name, pairs(granted or []))
        from connectors.tool.plan_file import compiled

        texts = bodies(definition, deployment)
        after = compiled(file, setting, allowed, texts)
        before = compiled(against, setting, allowed, texts) if against else None
        found = _rehearse(after, before, deployment, posts, alone=alone)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2).encode())
        return
    from connectors.tool.show_rehearsal import show

    show(found)


class _Posts:
    """Which posts are meant."""

    def __init__(self, file: Path | None, since: str, source: str | None) -> None:
        from connectors.core.durations import seconds

        wait = seconds(since)
        if not wait:
            stop(f"{since!r} is not a length of time; write 14d or 12h (d, h, m, s)", 2)
        self.file, self.source = file, source
        self.until = datetime.now(UTC)
        self.since = self.until - timedelta(seconds=wait)


def _setting(
    deployment: Deployment | None, given: dict[str, str], name: str | None, granted: dict[str, str]
) -> tuple[Around, dict[str, str]]:
    if deployment is None:
        return around(given, name), granted
    from connectors.tool.deployed import around_deployed, machine_parameters

    deployed = around_deployed(deployment, name or deployment.routes[0], given)
    return deployed, {**machine_parameters(deployment), **granted}


def _rehearse(
    after: Compiled, before: Compiled | None, deployment: Deployment | None, posts: _Posts, *, alone: bool
) -> dict[str, Any]:
    from connectors.tool.plan_file import plan_of
    from connectors.tool.rehearsal import Rehearsal

    standing: Plan | None = None
    if before is not None:
        standing = plan_of(before, deployment)
    elif not alone and deployment is not None:
        standing = deployment.config.active_plan()
    shadow = after.part.shadow
    if shadow:  # as it is, it would make no difference: what is asked is what it would do
        after.options = replace(after.options, effects=True)
    rehearsal = Rehearsal(standing, plan_of(after, deployment))
    _run(rehearsal, _mentions(rehearsal, after, deployment, posts))
    found = rehearsal.told()
    if standing is None and not alone:
        found["notes"].insert(0, "No plan is in force, so there is nothing to compare with.")
    if shadow:
        found["summary"] = f"As a shadow (Effects: off) it changes nothing. Switched on: {found['summary']}"
        note = "The file says Effects: off: its routes take nothing. The figures are those of Effects: on."
        found["notes"].insert(0, note)
    return found


def _mentions(rehearsal: Rehearsal, after: Compiled, deployment: Deployment | None, posts: _Posts) -> Iterable[Heard]:
    from connectors.tool import heard
    from connectors.tool.plan_file import sources_of

    if posts.file is not None:
        understand = heard.reader() if rehearsal.asks_intent else None
        place = heard.placed(sources_of(after, deployment), posts.source)
        return heard.from_lines(heard.read_lines(posts.file), str(posts.file), place, understand)
    if deployment is None:
        return []
    return heard.stored(deployment.watched, deployment.blobs, posts.since, posts.until)


def _run(rehearsal: Rehearsal, mentions: Iterable[Heard]) -> None:
    """With a line on the terminal that says how far it is; where there is no terminal, one every ten seconds."""
    from rich.console import Console

    from connectors.core.pattern_parse import PatternError

    out, said = Console(stderr=True), time.monotonic()
    try:
        with out.status("reading") if out.is_terminal else nullcontext() as status:
            for count in rehearsal.run(mentions):
                upto = datetime.fromtimestamp(rehearsal.at, UTC).strftime(", up to %Y-%m-%d %H:%M") * bool(rehearsal.at)
                if status is not None:
                    status.update(f"{count} mentions{upto}")
                elif time.monotonic() > said + 10:
                    said = time.monotonic()
                    typer.echo(f"{count} mentions{upto}", err=True)
    except PatternError as error:
        stop(f"the plan cannot be read: {error}")
