"""`hailback redrive`: dead letters go back to where they came from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.tool.target import RoutesOption, StackOption, StateOption, sentences, stop, target

if TYPE_CHECKING:
    from connectors.tool.dead_letters import DeadLetters, DeadQueue


def redrive(
    queue: Annotated[
        str | None, typer.Argument(metavar="[QUEUE]", help="Its name or a part of it, such as SyncDead; else all.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many letters of each queue.")] = 1000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what they are.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before all queues are emptied.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a letter.")] = False,
    state: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Send dead letters on their way again, and say what each was.

    Mend first what made them fail; `hailback doctor` and the functions' logs say what. Exit code 1 if some had to stay.
    """
    from connectors.tool.dead_letters import DeadLetters

    with sentences():
        letters = DeadLetters(target(state, stack, routes))
        chosen = [letters.queue(queue)] if queue else [one for one in letters.queues if one.waiting]
        if queue is None and not dry_run and not yes and chosen:
            _ask(chosen)
        stayed = moved = 0
        for one in chosen:
            for said in _each(letters, one, limit, dry_run):
                moved += 1
                stayed += said["done"].startswith(("left", "not sent"))
                line = f"{one.name}: {said['what']}, sent {said['sent_at']}: {said['done']}"
                typer.echo((json.dumps(said, ensure_ascii=False) if as_json else line).encode())
    if not moved and not as_json:
        typer.echo("There are no dead letters.")
    if stayed:
        raise typer.Exit(1)


def _each(letters: DeadLetters, queue: DeadQueue, limit: int, dry_run: bool) -> Any:
    """What was there, and what was done. No more than lay there at first: what fails again is not sent twice."""
    from botocore.exceptions import ClientError

    from connectors.core.compose import moment

    most = min(limit, max(queue.waiting, 1))
    for letter in letters.peek(queue, most) if dry_run else letters.take(queue, most):
        done = "would go back" if queue.source else "would be called again"
        if not dry_run:
            try:
                done = letters.put_back(queue, letter)
            except ClientError as error:
                done = f"not sent: {error.response['Error']['Code']}; it shows again within a minute"
        yield {"queue": queue.name, "what": letter.what, "sent_at": moment(letter.sent_at), "done": done}


def _ask(chosen: list[DeadQueue]) -> None:
    count = sum(one.waiting for one in chosen)
    names = ", ".join(f"{one.waiting} in {one.name}" for one in chosen)
    try:
        if typer.confirm(f"Send {count} dead letters on their way again ({names})?"):
            return
    except typer.Abort:
        stop("nobody answers; name a queue, or say --yes", 2)
    stop("nothing was sent", 1)
