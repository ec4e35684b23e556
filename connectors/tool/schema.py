"""`hailback schema`: what makes an editor complete and check a template of sources, systems and a plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from connectors.tool.target import stop

PLACE = Path("docs") / "schema" / "routes.schema.json"
"""Where it lies in the repository."""
TAGS = (
    "!And sequence",
    "!Condition scalar",
    "!Equals sequence",
    "!FindInMap sequence",
    "!GetAtt scalar",
    "!GetAtt sequence",
    "!If sequence",
    "!ImportValue scalar",
    "!Join sequence",
    "!Not sequence",
    "!Or sequence",
    "!Ref scalar",
    "!Select sequence",
    "!Split sequence",
    "!Sub scalar",
    "!Sub sequence",
)
"""For VS Code's `yaml.customTags`."""


def schema(
    write: Annotated[bool, typer.Option("--write", help="Write it to FILE instead of printing it.")] = False,
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="With --write: where to.", show_default=True)] = PLACE,
    tags: Annotated[bool, typer.Option("--tags", help="Print the setting for VS Code that names the tags.")] = False,
) -> None:
    """Print the JSON Schema of a template with our resources, for editors. Needs no AWS.

    Put `# yaml-language-server: $schema=<path or address>` into the template's first line, and what --tags prints into
    VS Code's settings.
    """
    if tags:
        typer.echo(json.dumps({"yaml.customTags": list(TAGS)}, indent=2))
        return
    if not write:
        typer.echo(text())
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text()}\n", encoding="utf-8")
    except OSError as error:
        stop(f"{file}: {error.strerror or 'cannot be written'}")


def text() -> str:
    """The schema as it is checked in."""
    from connectors.tool.schema_text import schema as made

    return json.dumps(made(), indent=2, ensure_ascii=False)
