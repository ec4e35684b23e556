"""The routes of a template that says `Definition`: from a file beside it, or from S3 as who reads the deployment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.tool.target import stop

if TYPE_CHECKING:
    from connectors.core.plan_options import Address, Options
    from connectors.core.plan_settings import Finding
    from connectors.tool.checking import Compiled
    from connectors.tool.deployment import Deployment

DefinitionOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--definition",
        metavar="FILE",
        help="What a template's `Definition` names, as a file; again for a second template. From S3 otherwise.",
    ),
]
Bodies = Callable[["Address"], bytes]


def bodies(files: list[Path] | None, deployment: Deployment | None) -> Bodies:
    """Gives the text of each definition in turn: of these files first, then from S3, as who reads the deployment.

    It ends the command with a sentence where there is neither."""
    left = list(files or [])

    def body(address: Address) -> bytes:
        if left:
            file = left.pop(0)
            try:
                return file.read_bytes()
            except OSError as error:
                stop(f"{file}: {error.strerror or 'cannot be read'}")
        if deployment is None:
            stop(f"the routes lie in {address}; give that file with --definition")
        return _stored(address, deployment)

    return body


def _stored(address: Address, deployment: Deployment) -> bytes:
    from connectors.aws.config_checks import read_object
    from connectors.core.plan_ports import Sight

    sight, body = read_object(deployment.client("s3"), address)
    if sight is not Sight.FOUND:
        what = "does not exist in that version" if sight in {Sight.MISSING, Sight.DELETED} else f"is {sight}"
        stop(f"the routes lie in {address}, which {what}; give that file with --definition")
    return body


def fill(found: Compiled, granted: Mapping[str, str], body: Bodies) -> list[Finding]:
    """Add to a template's documents the routes of its definition, if it has one; what is wrong with those."""
    from connectors.core.plan_grammar import check_plan
    from connectors.core.plan_merge import check_part
    from connectors.core.plan_options import read_definition, read_options
    from connectors.tool.catalogues import grants, sources

    plan = next((one for one in found.resources if one.kind == "Custom::Plan" and "Definition" in one.properties), None)
    if plan is None:
        return []
    options, findings = read_options(plan.properties, granted.get("DefinitionsBucket", ""))
    if options.definition is None:
        return findings
    said, findings = read_definition(body(options.definition))
    if said is None:
        return findings
    routes, findings = check_plan({**plan.properties, **said}, grants(granted), sources())
    if routes:
        found.plan, found.routes, found.options = plan.name, routes, _without(options)
        findings += check_part(found.part)
    return findings


def _without(options: Options) -> Options:
    """As they are for routes that stand in the template: a part is the same wherever its routes came from."""
    from dataclasses import replace

    return replace(options, definition=None)
