"""`hailback release`: what was planned while effects were off in the base plan goes out after all."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.tool.target import RoutesOption, StackOption, StateOption, sentences, stop, target

if TYPE_CHECKING:
    from connectors.core.case import Case
    from connectors.tool.deployment import Deployment

SEEN = 20_000
"""Milliseconds after which all workers know that effects are on again."""
_AT_ONCE = 40
"""Lines of one transaction: each may change a row that names open notes as well."""


def release(
    case: Annotated[
        list[str] | None, typer.Argument(metavar="[CASE]...", help="A case's id, or how it begins.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All open cases of which something was not sent.")] = False,
    answers: Annotated[bool, typer.Option("--answers", help="Answers to customers as well.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many cases, the oldest first.")] = 1000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go out.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --all.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a case.")] = False,
    state: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Send what was planned while the base plan said Effects: off, once it is on again.

    Records, notes and notifications go out within about a minute; changes of status do not. Exit code 0, or 1 if a
    case had to be left.
    """
    if bool(case) == every:
        stop("name cases, or say --all", 2)
    with sentences():
        deployment = target(state, stack, routes)
        _effects_are_on(deployment, dry_run=dry_run)
        chosen, others = _chosen(deployment, case, limit, answers=answers)
        if every and chosen and not dry_run and not yes:
            _ask(len(chosen))
        left = 0
        for one in chosen:
            said = _one(deployment, one, answers=answers, dry_run=dry_run)
            left += said["done"].startswith("left")
            line = f"{one.id}: {', '.join(said['what']) or 'nothing'}: {said['done']}"
            typer.echo((json.dumps(said, ensure_ascii=False) if as_json else line).encode())
    if not chosen and not as_json:
        more = "; answers are released with --answers only" if others else ""
        typer.echo(f"Nothing was planned and not sent{more}.")
    if left:
        raise typer.Exit(1)


def _effects_are_on(deployment: Deployment, *, dry_run: bool) -> None:
    from connectors.core.compose import moment

    runs = deployment.config.shadows().get("", ())
    if not runs or dry_run:
        return
    since, until = runs[-1]
    if until is None:
        stop(f"effects are off since {moment(since)}: deploy the base plan with Effects: on first", 2)
    if (wait := until + SEEN - _now()) > 0:
        stop(f"effects are on since a moment ago, and not all workers know; try again in {wait // 1000 + 1} s", 2)


def _chosen(
    deployment: Deployment, named: list[str] | None, limit: int, *, answers: bool
) -> tuple[list[Case], list[Case]]:
    """The cases that are meant, and those that are left because only answers were not sent."""
    from connectors.core.case import EffectKind
    from connectors.core.pause import unsent
    from connectors.tool.casework import find_case

    cases = deployment.cases
    if named:
        return [find_case(cases, name) for name in named], []
    chosen: list[Case] = []
    others: list[Case] = []
    for case in (case for state in ("open", "pending") for case in cases.newest(10 * limit, state)):
        if lines := unsent(case, cases.effects(case.id)):
            only = all(line.kind is EffectKind.REPLY for line in lines)
            (others if only and not answers else chosen).append(case)
    return sorted(chosen, key=lambda case: case.opened_at)[:limit], others


def _one(deployment: Deployment, case: Case, *, answers: bool, dry_run: bool) -> dict[str, Any]:
    from connectors.aws.ledger import TableLedger
    from connectors.core.case import CaseEvent, Happening
    from connectors.core.errors import ConflictError
    from connectors.core.identity import digest
    from connectors.core.pause import released

    now = _now()
    changes = released(case, deployment.cases.effects(case.id), now, answers=answers)
    what = [f"{line.kind.value} for {line.target}" for line, _ in changes]
    said = {"case": case.id, "what": list(dict.fromkeys(what)), "effects": len(changes)}
    if dry_run or not changes:
        return {**said, "done": "would go out" if changes else "nothing to do"}
    ledger = TableLedger(deployment.table)
    for start in range(0, len(changes), _AT_ONCE):
        some = changes[start : start + _AT_ONCE]
        name = digest(Happening.RELEASED, str(now), str(start))
        detail = {"effects": str(len(some))}
        try:
            ledger.settle(some, CaseEvent(case=case.id, id=name, kind=Happening.RELEASED, at=now, detail=detail))
        except ConflictError:
            return {**said, "done": "left: a worker is at it; run this again"}
    return {**said, "done": "goes out"}


def _ask(count: int) -> None:
    try:
        if typer.confirm(f"Send what was planned and not sent for {count} case{'s' * (count != 1)}?"):
            return
    except typer.Abort:
        stop("nobody answers; name cases, or say --yes", 2)
    stop("nothing was sent", 1)


def _now() -> int:
    return int(time.time() * 1000)
