"""`hailback plans` and `hailback plan diff`: which versions were in force, what was refused, what changed."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.tool.check import GrantedOption, ParametersOption, around, pairs
from connectors.tool.definition import Bodies, DefinitionOption, bodies
from connectors.tool.target import RoutesOption, StackOption, StateOption, sentences, stop, target

if TYPE_CHECKING:
    from connectors.core.plan import Plan
    from connectors.tool.deployment import Deployment

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many, newest first.")]
plans = typer.Typer(help="List the versions of the plan: when each came into force, and by which stack.")
plan = typer.Typer(help="Compare plans.", no_args_is_help=True)


@plans.callback(invoke_without_command=True)
def listed(
    context: typer.Context,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    folder: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """List the versions of the plan: when each came into force, and by which stack. Newest first.

    `hailback plans findings` lists the deployments that were refused, `hailback plans shadows` what plans with Effects:
    off beside the base would have taken.
    """
    if context.invoked_subcommand:
        return
    with sentences():
        found = history(target(folder, stack, routes), limit)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2).encode())
        return
    for one in found:
        marks = ["in force"] if one["in_force"] else []
        marks += [f"EFFECTS OFF in {', '.join(one['off'])}"] if one["off"] else []
        mark = "; ".join(marks)
        version = one["version"] or "none, so mentions wait"
        typer.echo(
            f"{one['at']}  {version:<26}  {one['action'].lower()} of {one['resource']}  {mark}".rstrip().encode()
        )
    if not found:
        typer.echo("No plan was deployed yet.")


@plans.command("findings")
def findings(
    resource: Annotated[
        str | None, typer.Argument(metavar="[STACK/NAME]", help="Of this resource only, such as hailback-routes/Plan.")
    ] = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    folder: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """List the deployments of the last week that were refused, with everything that was wrong."""
    from dataclasses import asdict

    from connectors.aws.plan_log import PlanLog

    with sentences():
        kept = PlanLog(target(folder, stack, routes).watched).refusals(None if resource else limit)
        found = list(islice((one for one in kept if resource in {None, one.resource}), limit))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=2).encode())
        return
    for one in found:
        typer.echo(f"{one.at}  {one.resource}".encode())
        for said in one.findings:
            typer.echo(f"  {said}".encode())
        if one.left_out:
            typer.echo(f"  and {one.left_out} more, in the log of configure_stack")
    if not found:
        typer.echo(f"Nothing{f' of {resource}' if resource else ''} was refused in the last week.")


@plans.command("shadows")
def shadows(
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Of so long, such as 24h or 14d (d, h, m, s).")
    ] = "24h",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Look at so many cases of each state.")] = 1000,
    as_json: JsonOption = False,
    folder: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Say which cases plans beside the base with Effects: off would have taken, and from which routes."""
    import time

    from connectors.core.durations import seconds
    from connectors.tool.shadows import lines, would_take

    wait = seconds(since)
    if not wait:
        stop(f"{since!r} is not a length of time; write 14d or 24h (d, h, m, s)", 2)
    with sentences():
        deployment = target(folder, stack, routes)
        begin = int((time.time() - wait) * 1000)
        found = would_take(deployment.cases, deployment.config.active_plan(), begin, limit)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2).encode())
        return
    for line in lines(found, since):
        typer.echo(line.encode())
    if not found:
        typer.echo("No plan beside the base has Effects: off.")


@plan.command("diff")
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A version, how it begins, `active`, or a template.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The other.")],
    as_json: JsonOption = False,
    parameters: ParametersOption = None,
    granted: GrantedOption = None,
    definition: DefinitionOption = None,
    name: Annotated[str | None, typer.Option("--stack-name", help="What a template is deployed as.")] = None,
    folder: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Show what is different between two plans: routes added, removed, moved, changed field by field.

    Two templates need no deployment. Exit code 0 whether there is a difference or not.
    """
    from connectors.tool.plan_difference import difference, lines

    with sentences():
        deployment = None if Path(before).is_file() and Path(after).is_file() else target(folder, stack, routes)
        given, allowed, texts = pairs(parameters or []), pairs(granted or []), bodies(definition, deployment)
        two = [_named(one, deployment, given, allowed, name, texts) for one in (before, after)]
        found = difference(*two)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2).encode())
        return
    for line in lines(found):
        typer.echo(line.encode())


def history(deployment: Deployment, limit: int) -> list[dict[str, Any]]:
    """The activations, newest first; of a plan from before there was a history, what its pointer says."""
    from connectors.aws.plan_log import PlanLog

    pointer = deployment.config.plan_pointer()
    now = pointer.version if pointer and pointer.live else None
    found: list[dict[str, Any]] = []
    for one in PlanLog(deployment.watched).activations(limit):
        current = one.version == now and not any(past["in_force"] for past in found)
        found.append(
            {
                "version": one.version,
                "at": one.at,
                "action": one.action,
                "resource": one.resource,
                "stack": _stack(one.stack_id),
                "parts": dict(one.parts),
                "off": list(one.off),
                "in_force": current,
            }
        )
    if not found and pointer is not None and now is not None:
        known = {"version": now, "at": "", "action": "Create", "resource": pointer.id}
        found.append({**known, "stack": _stack(pointer.stack_id), "parts": {}, "off": [], "in_force": True})
    return found


def _stack(arn: str) -> str:
    parts = arn.split("/")
    return parts[1] if len(parts) > 1 else arn


def _named(
    given: str,
    deployment: Deployment | None,
    parameters: dict[str, str],
    granted: dict[str, str],
    name: str | None,
    texts: Bodies,
) -> Plan:
    """A plan by what it was called on the command line; ends the command where there is none."""
    from connectors.tool.plan_file import compiled, plan_of

    file = Path(given)
    if deployment is None:
        return plan_of(compiled(file, around(parameters, name), granted, texts))
    if file.is_file():
        from connectors.tool.deployed import around_deployed, machine_parameters

        setting = around_deployed(deployment, name or deployment.routes[0], parameters)
        return plan_of(compiled(file, setting, {**machine_parameters(deployment), **granted}, texts), deployment)
    return _stored(given, deployment)


def _stored(given: str, deployment: Deployment) -> Plan:
    known = [one["version"] for one in history(deployment, 1000) if one["version"]]
    if given == "active":
        found = deployment.config.active_plan()
        return found if found is not None else stop("no plan is in force")
    fitting = list(dict.fromkeys(version for version in known if version.startswith(given)))
    if len(fitting) > 1:
        stop(f"{given} could be any of {', '.join(fitting[:5])}; write more of it")
    version = fitting[0] if fitting else given
    plan = deployment.config.plan(version)
    return plan if plan is not None else stop(f"there is no plan {given}; `hailback plans` lists them")
