"""A template's plan, compiled as a deployment would: alone, or together with what other stacks have in force."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.core.plan import Plan, SourceConfig, SystemConfig
from connectors.tool.cfn_text import TemplateError, load
from connectors.tool.cfn_values import Around
from connectors.tool.checking import Compiled, compile_file
from connectors.tool.definition import Bodies, bodies, fill
from connectors.tool.target import stop

if TYPE_CHECKING:
    from connectors.tool.deployment import Deployment


def compiled(file: Path, around: Around, granted: Mapping[str, str], body: Bodies | None = None) -> Compiled:
    """What a file comes to; ends the command with its mistakes where it has any, or no plan. `body` gives what a
    `Definition` names."""
    try:
        text = load(file)
    except TemplateError as error:
        stop(str(error), 2)
    found, findings = compile_file(text, around, granted)
    if findings:
        first = "\n".join(f"{file}:{one.line}:{one.column}: error: {one}" for one in findings[:5])
        more = f"\n{len(findings) - 5} more: hailback check {file}" if len(findings) > 5 else ""
        stop(first + more)
    if wrong := fill(found, granted, body or bodies(None, None)):
        shown = "\n".join(f"{file}: error: {found.plan or 'Plan'}.{one}" for one in wrong[:5])
        stop(shown + (f"\n{len(wrong) - 5} more" if len(wrong) > 5 else ""))
    if not found.routes:
        stop(f"{file} has no Custom::Plan whose routes stand in it")
    return found


def plan_of(found: Compiled, deployment: Deployment | None = None) -> Plan:
    """The plan that would be in force. With a deployment: beside the parts of other stacks."""
    if deployment is None:
        return found.to_plan()
    from connectors.core.plan_activate import in_force

    config = deployment.config
    pointer = config.plan_pointer()
    others = [part for _, part in in_force(config, pointer) if part.id != found.part.id] if pointer else []
    if found.part.base:
        others = [part for part in others if not part.base]
    named = {name for part in (*others, found.part) for name in part.systems} - found.systems.keys()
    elsewhere: dict[str, SystemConfig] = {
        name: system for name in sorted(named) if (system := config.system(name)) is not None
    }
    return found.to_plan(others, elsewhere)


def sources_of(found: Compiled | None, deployment: Deployment | None = None) -> dict[str, SourceConfig]:
    """The sources of a file, and those that are deployed."""
    known: dict[str, SourceConfig] = dict(found.sources) if found else {}
    if deployment is not None:
        for one in deployment.sources().values():
            known.setdefault(one.id, SourceConfig.of(one.id, one.connector, one.secret, dict(one.settings)))
    return known
