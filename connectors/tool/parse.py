"""`hailback parse`: what a connector makes of a delivery, as JSON lines. Needs no AWS and imports no boto3."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.core.ports import Receiver
    from connectors.tool.samples import Sample

_COMMON = {"ServiceToken", "ServiceTimeout", "Revision", "Connector", "Secret", "Poll", "Hold"}
"""What a source's properties may have besides its connector's settings."""
_TEMPLATE = re.compile(r"^(Resources|AWSTemplateFormatVersion|Properties)\s*:", re.MULTILINE)


def parse(
    connector: Annotated[str, typer.Argument(help="The connector of a source or a system, for example discourse.")],
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Bodies as delivered; - is standard input.")],
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header of the delivery; may be repeated."),
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option("--account", metavar="ID", help="Our own account at the source; may be repeated."),
    ] = None,
    authority: Annotated[
        str | None, typer.Option("--authority", metavar="HOST", help="The host that the ids belong to.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", metavar="FILE", help="The source's Properties, as YAML or JSON, instead of both."),
    ] = None,
) -> None:
    """Print the normalised events of deliveries, one JSON object a line.

    Headers stand in FILE's neighbour `.headers`, if there is one; --header adds to them and wins.
    """
    receiver = _receiver(connector, account or [], authority, settings)
    headers = _headers(header or [])
    failed = False
    for name in files:
        failed |= not _print_events(connector, receiver, name, headers)
    if failed:
        raise typer.Exit(1)


def _print_events(connector: str, receiver: Receiver, name: str, headers: Mapping[str, str]) -> bool:
    from connectors.core.delivery import Delivery
    from connectors.core.door import kept_headers, load
    from connectors.core.errors import PayloadError
    from connectors.core.models import describe
    from connectors.tool.samples import SampleError

    shown = "standard input" if name == "-" else name
    try:
        sample = _read(name)
        everything = {**sample.headers, **headers}
        door = load(connector)
        kept = everything if door is None else kept_headers(door, everything)
        events = receiver.parse(Delivery(headers=kept, body=sample.body))
    except SampleError as error:
        typer.echo(str(error), err=True)
        return False
    except PayloadError as error:
        typer.echo(f"{shown}: {error}", err=True)
        return False
    for event in events:
        # Bytes: a terminal that is not set to UTF-8 must not stop the rest.
        typer.echo(json.dumps(describe(event), ensure_ascii=False).encode())
    return True


def _read(name: str) -> Sample:
    from connectors.tool.samples import Sample, load_sample

    return Sample(sys.stdin.buffer.read()) if name == "-" else load_sample(Path(name))


def _receiver(connector: str, accounts: Sequence[str], authority: str | None, settings: Path | None) -> Receiver:
    import connectors

    names = {**connectors.SOURCES, **connectors.SYSTEMS}
    if connector not in names:
        _stop(_unknown(connector, sorted(names)))
    found: Any = connectors.source(connector) if connector in connectors.SOURCES else connectors.system(connector)
    if not hasattr(found, "for_parse"):
        _stop(f"{connector} sends no deliveries; what people do there is asked for")
    if settings is not None:
        if accounts or authority:
            _stop("--settings says whose and where; leave --account and --authority out")
        return cast("Receiver", found(found.settings_model.model_validate(_settings(found.settings_model, settings))))
    try:
        return cast("Receiver", found.for_parse(accounts, authority))
    except ValueError as error:
        _stop(_sentence(error))


def _settings(model: Any, file: Path) -> dict[str, Any]:
    """What a file says of a source, without what is the same for all; ends the command where that is wrong."""
    import yaml

    from connectors.core.plan_settings import read_settings, setting_names

    whole = f"{file}: give only what stands under Properties of one source, not a template or a resource"
    try:
        text = file.read_text(encoding="utf-8")
        if _TEMPLATE.search(text):  # before its tags stop the reader
            _stop(whole)
        said = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        _stop(f"{file}: cannot be read ({type(error).__name__}); write the properties without !Ref and !Sub")
    if not isinstance(said, dict):
        _stop(f"{file}: is not a mapping of properties")
    if {"Resources", "Properties"} & said.keys():
        _stop(whole)
    names = setting_names(model)
    given = {name: value for name, value in said.items() if name in names or name not in _COMMON}
    unknown = sorted(str(name) for name in given if name not in names)
    if unknown:
        _stop(f"{file}: {unknown[0]} is not a setting; there are {', '.join(names)}")
    plain, findings = read_settings(model, given)
    if findings:
        _stop("\n".join(f"{file}: {finding}" for finding in findings))
    return plain


def _sentence(error: ValueError) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
    return str(error)


def _unknown(connector: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(connector.lower(), names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"There is no connector {connector!r}.{hint} Known: {', '.join(names)}."


def _headers(given: Sequence[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in given:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            _stop(f"--header {line!r} is not a header; write it as 'Name: value'")
        headers[name.strip().lower()] = value.strip()
    return headers


def _stop(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)
