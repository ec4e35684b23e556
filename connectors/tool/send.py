"""`hailback send`: deliver samples to a source, signed as its vendor signs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from connectors.tool.target import RoutesOption, StackOption, StateOption, sentences, stop, target

if TYPE_CHECKING:
    from connectors.tool.delivering import Deliverer, Signature


def send(
    source: Annotated[str, typer.Argument(help="The source's name as in the routes, for example Forum.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Bodies; headers in FILE's .headers.")],
    times: Annotated[int, typer.Option("--times", min=1, metavar="N", help="Deliver each file so often.")] = 1,
    forge: Annotated[bool, typer.Option("--forge", help="Sign with a wrong secret; a refusal is then right.")] = False,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Do not sign; a refusal is then right.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a delivery.")] = False,
    url: Annotated[
        str | None, typer.Option("--url", help="Deliver to this webhook address; needs --secret-file.")
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", help="With --url: a file that holds what the vendor signs with.")
    ] = None,
    state: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Deliver samples as the vendor would, and print what the front door answers.

    Exit code 1 if one is not taken; with --forge or --unsigned, if one is not refused.
    """
    from connectors.tool.delivering import Signature
    from connectors.tool.samples import load_sample

    if forge and unsigned:
        stop("--forge and --unsigned exclude each other", 2)
    signature = Signature.WRONG if forge else Signature.NONE if unsigned else Signature.RIGHT
    with sentences():
        samples = [(file, load_sample(file)) for file in files]
        deliverer = _given(url, secret_file, signature) if url else _deployed(source, state, stack, routes)
        right = True
        for file, sample in samples:
            for _ in range(times):
                answer = deliverer.deliver(sample, signature)
                right &= answer.ok if signature is Signature.RIGHT else 400 <= answer.status < 500
                if as_json:
                    said = {"file": str(file), "source": source, "status": answer.status, "answer": answer.said}
                    typer.echo(json.dumps(said, ensure_ascii=False).encode())
                else:
                    typer.echo(f"{file.name}: {answer.status} {answer.said}".encode())
    if not right:
        raise typer.Exit(1)


def _deployed(source: str, state: Path | None, stack: str | None, routes: list[str] | None) -> Deliverer:
    import connectors
    from connectors.tool import catalogues
    from connectors.tool.delivering import Deliverer
    from connectors.tool.deployment import DeploymentError

    deployment = target(state, stack, routes)
    found = deployment.source(source)
    if not catalogues.sources().pushes(found.connector):
        how = f"`hailback parse {found.connector} FILE` reads a body"
        way = "is told by EventBridge" if found.connector in connectors.EVENT_BUSES.values() else "is asked"
        raise DeploymentError(f"{source} ({found.connector}) {way}, it takes no deliveries; {how}")
    return Deliverer(found.connector, found.url, deployment.secret(source))


def _given(url: str, secret_file: Path | None, signature: Signature) -> Deliverer:
    from connectors.tool.delivering import Deliverer, Signature

    parts = urlsplit(url).path.rstrip("/").split("/")
    if len(parts) < 3:
        stop("--url is not a webhook address; it looks like https://host/discourse/token", 2)
    secret = ""
    if secret_file is not None:
        try:
            secret = secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            stop(f"--secret-file: {secret_file} cannot be read", 2)
    if not secret and signature is Signature.RIGHT:
        stop("--url needs --secret-file with what the vendor signs with (or --forge, or --unsigned)", 2)
    return Deliverer(parts[-2], url, secret)
