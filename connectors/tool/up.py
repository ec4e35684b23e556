"""`hailback up`: the whole of Hailback on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.tool.target import StateOption, stop

if TYPE_CHECKING:
    from rich.console import Console

    from connectors.tool.local import RunningStack

KeepOption = Annotated[
    bool, typer.Option("--keep", help="Keep cases, tickets and addresses in the state folder between runs.")
]


class InterruptedStackError(BaseException):
    """Somebody pressed Ctrl-C, or sent SIGTERM or SIGHUP."""


def up(keep: KeepOption = False, state: StateOption = None) -> None:
    """Start a local AWS and a tracker, deploy Hailback on them, print the addresses; Ctrl-C stops it all."""
    from rich.console import Console

    console = Console()
    with managed(console, keep, state) as stack:
        show_addresses(console, stack)
        console.print("\nIt runs until Ctrl-C.", highlight=False)
        watch(stack)


@contextmanager
def managed(console: Console, keep: bool, given: Path | None) -> Iterator[RunningStack]:
    """A running stack that other commands can find; a failure to start it ends the command with a sentence."""
    from connectors.tool import state
    from connectors.tool.aws import LocalAwsError
    from connectors.tool.deploy import DeployError
    from connectors.tool.deployment import DeploymentError
    from connectors.tool.forum import ForumError
    from connectors.tool.local import running_stack
    from connectors.tool.roundup import RoundupError
    from connectors.tool.steps import Steps
    from connectors.tool.venvs import VenvError
    from connectors.tool.zendesk import ZendeskError

    folder = state.folder(given)
    try:
        with (
            interruptible(console),
            state.claim(folder),
            running_stack(keep_in=folder / "kept" if keep else None, steps=Steps(console)) as stack,
        ):
            state.write(folder, stack.particulars(keep))
            yield stack
        console.print("Stopped all that was started.", highlight=False)
    except InterruptedStackError:
        console.print("Stopped all that was started.", highlight=False)
        raise typer.Exit(130) from None
    except (
        state.StateError,
        LocalAwsError,
        RoundupError,
        ZendeskError,
        ForumError,
        VenvError,
        DeployError,
        DeploymentError,
    ) as error:
        stop(str(error))


@contextmanager
def interruptible(console: Console) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise InterruptedStackError, once: what is being stopped then is stopped whole."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}

    def interrupt(number: int, _frame: Any) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)
        console.print("\nStopping… this may take a minute: the local AWS ends its functions first.", highlight=False)
        raise InterruptedStackError(signal.Signals(number).name)

    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch(stack: RunningStack) -> None:
    """Wait until Ctrl-C, which is the proper end; ends the command with a sentence when a part of it died."""
    try:
        while (sentence := stack.ended()) is None:
            time.sleep(0.5)
    except InterruptedStackError:
        return
    stop(sentence)


def show_addresses(console: Console, stack: RunningStack) -> None:
    """Where everything is."""
    from rich.markup import escape

    rows = [(f"webhook of {name}", source.url) for name, source in stack.sources().items()]
    rows += [
        ("tracker", f"{stack.tracker.base_url}  (to change tickets: admin / {stack.tracker.admin_password})"),
        ("Zendesk stand-in", stack.zendesk.base_url),
        ("forum stand-in", stack.forum.base_url),
        ("local AWS", stack.endpoint),
        ("people are told", ", ".join(stack.topics())),
        ("which this hears", stack.listener),
        ("front door", stack.outputs["WebhookUrl"]),
    ]
    width = max(len(name) for name, _ in rows)
    console.print()
    for name, value in rows:
        console.print(f"[bold]{name:<{width}}[/]  {escape(value)}", highlight=False, soft_wrap=True)
    settings = " ".join(
        f"{key}={stack.aws.environ()[key]}"
        for key in ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    )
    command = f"{settings} aws cloudformation describe-stacks --query 'Stacks[].StackName'"
    console.print(f"\nThe aws command line speaks to it so:\n  {command}", highlight=False, soft_wrap=True)
