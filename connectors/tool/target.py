"""Which deployment a command speaks to: the stack that runs on this machine, or one on AWS by its name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from connectors.tool.deployment import Deployment
    from connectors.tool.state import Particulars

_STATE_HELP = "The state folder of a stack on this machine; .hailback in the checkout by default."
StateOption = Annotated[
    Path | None,
    typer.Option("--state", "--state-dir", metavar="DIR", envvar="HAILBACK_STATE", help=_STATE_HELP),
]
StateFolderOption = Annotated[
    Path | None, typer.Option("--state-dir", metavar="DIR", envvar="HAILBACK_STATE", help=_STATE_HELP)
]
"""The same where `--state` means a case's."""
StackOption = Annotated[
    str | None,
    typer.Option(
        "--stack", metavar="NAME", help="A stack on AWS, reached with the environment's credentials and region."
    ),
]
RoutesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--routes",
        metavar="NAME",
        help="A stack of sources and routes; may be repeated. With --stack in place of NAME-routes, else besides those "
        "that `up` deployed.",
    ),
]


def target(state: Path | None, stack: str | None, routes: list[str] | None) -> Deployment:
    """The deployment that is meant; ends the command with a sentence where there is none."""
    from connectors.tool.deployment import on_aws

    if stack:
        return on_aws(stack, routes or ())
    found = particulars(state)
    return local(replace(found, routes=list(dict.fromkeys((*found.routes, *(routes or ()))))))


def particulars(given: Path | None) -> Particulars:
    """The stack that runs in the state folder; ends the command with a sentence where none does."""
    from connectors.tool import state

    where = state.folder(given)
    try:
        found = state.read(where)
    except state.StateError as error:
        stop(str(error))
    if found is None:
        stop(f"no stack is running in {where}: start one with `hailback up`, or name one on AWS with --stack")
    return found


def local(found: Particulars) -> Deployment:
    """A stack on this machine, as its root."""
    import boto3
    from botocore.config import Config

    from connectors.tool.deployment import Deployment

    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")  # noqa: S106 - MiniStack's root

    def client(service: str, region: str | None = None) -> object:
        return session.client(  # type: ignore[call-overload]
            service, region_name=region or found.region, endpoint_url=found.endpoint, config=Config(proxies={})
        )

    return Deployment(found.stack, found.routes, client)


@contextmanager
def sentences() -> Iterator[None]:
    """Errors that a user can act on end the command as one sentence, without a trace."""
    from connectors.tool.samples import SampleError

    try:
        yield
    except SampleError as error:
        stop(str(error))
    except Exception as error:
        if (said := _said(error)) is None:
            raise
        stop(said)


def _said(error: Exception) -> str | None:
    """What AWS, or a deployment, is the cause of. Imports nothing that was not: who needs no AWS does without."""
    if "botocore" not in sys.modules or "connectors.tool.deployment" not in sys.modules:
        return None
    from botocore.exceptions import BotoCoreError, ClientError

    from connectors.tool.deployment import DeploymentError

    if isinstance(error, DeploymentError):
        return str(error)
    if isinstance(error, ClientError):
        said = error.response["Error"]
        return f"AWS refuses {error.operation_name}: {said.get('Code')}: {said.get('Message')}"
    if isinstance(error, BotoCoreError):
        return f"AWS does not answer as it should: {error}; check credentials and region"
    return None


def stop(message: str, code: int = 1) -> NoReturn:
    """End the command with a sentence on standard error."""
    typer.echo(message, err=True)
    raise typer.Exit(code)
