"""`hailback explain`: which route takes a mention, and on which field the earlier ones did not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.tool.check import GrantedOption, ParametersOption, around, pairs
from connectors.tool.definition import Bodies, DefinitionOption, bodies
from connectors.tool.reading import looking
from connectors.tool.target import RoutesOption, StackOption, StateOption, sentences, stop, target

if TYPE_CHECKING:
    from connectors.core.plan import SourceConfig
    from connectors.tool.checking import Compiled
    from connectors.tool.deployment import Deployment
    from connectors.tool.heard import Heard, Understand
    from connectors.tool.routing import Router


def explain(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="[TEMPLATE] MENTION... [KEY=VALUE]...",
            help="A template of routes, the plan in force without one; then mentions: a delivery as its vendor sends "
            'it, JSON of `hailback parse`, a post in short such as \'{"text": "Hi"}\', or the id of a mention that '
            "was taken in. KEY=VALUE: more of --parameter-overrides.",
        ),
    ],
    connector: Annotated[
        str | None, typer.Option("--connector", help="Which vendor's delivery it is; the name of its folder otherwise.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="By which source it came in; the one that fits otherwise.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON lines, with all fields that a route can ask for.")
    ] = False,
    parameters: ParametersOption = None,
    granted: GrantedOption = None,
    definition: DefinitionOption = None,
    name: Annotated[
        str | None, typer.Option("--stack-name", help="The name of the stack that the file is deployed as.")
    ] = None,
    folder: StateOption = None,
    stack: StackOption = None,
    routes: RoutesOption = None,
) -> None:
    """Say which route takes a mention, which earlier ones do not, and why: the field, what it asks for, what it found.

    Shows words of the mention, so it is for your eyes. Exit code 1 where a mention cannot be read.
    """
    with sentences():
        asked = _Asked(given, connector, source)
        deployment = looking(target(folder, stack, routes)) if asked.template is None or asked.ids else None
        texts = bodies(definition, deployment)
        values = pairs([*(parameters or []), *asked.more])
        compiled = _compiled(asked.template, deployment, values, name, pairs(granted or []), texts)
        router = _router(compiled, deployment)
        for heard in asked.mentions(compiled, deployment):
            taken = _taken(heard, deployment) if heard.mention.id in asked.ids else None
            _say(router, heard, taken, as_json=as_json)


_PAIR = re.compile(r"[A-Za-z0-9]+=")


class _Asked:
    """What the arguments mean: at most one template, and mentions."""

    def __init__(self, given: list[str], connector: str | None, source: str | None) -> None:
        self.connector, self.source = connector, source
        self.template: Path | None = None
        self.files: list[Path] = []
        self.ids: list[str] = []
        self.short: list[str] = []
        self.more: list[str] = []
        for one in given:
            path = Path(one)
            if one.lstrip().startswith("{"):
                self.short.append(one)
            elif _PAIR.match(one) and not path.is_file():
                self.more.append(one)
            elif not path.is_file():
                self.ids.append(one)
            elif self.template is None and _is_template(path):
                self.template = path
            else:
                self.files.append(path)
        for one in self.ids:
            if ":" not in one:
                stop(f"{one} is neither a file nor the id of a mention, such as discourse:forum.acme.com:9001", 2)
        if not self.files and not self.ids and not self.short:
            stop("name a mention: a delivery, JSON of `hailback parse`, or an id", 2)

    def mentions(self, compiled: Compiled | None, deployment: Deployment | None) -> Iterator[Heard]:
        """Those that are meant. Raises SampleError."""
        from connectors.tool import heard
        from connectors.tool.plan_file import sources_of
        from connectors.tool.samples import SampleError

        known = sources_of(compiled, deployment)
        understand = heard.reader()
        for path in self.files:
            yield from self._file(path, known, understand)
        for text in self.short:
            event = _event(text) or heard.whole(text, known, self.connector)
            if event is None:
                raise SampleError(f'{text[:60]} is no post: write its fields, such as {{"text": "Hi"}}')
            yield from heard.from_document(event, "the post", heard.placed(known, self.source), understand)
        for one in self.ids:
            found = heard.one_stored(deployment.watched, deployment.blobs, one) if deployment else None
            if found is None:
                raise SampleError(f"{one} is not known, or its words are gone")
            yield found

    def _file(self, path: Path, known: dict[str, SourceConfig], understand: Understand) -> Iterator[Heard]:
        from connectors.tool import heard
        from connectors.tool.samples import SampleError

        place = heard.placed(known, self.source)
        lines = list(heard.read_lines(path))
        events = [document for line in lines if (document := _event(line)) is not None]
        whole = _event("".join(lines)) or heard.whole("".join(lines), known, self.connector)
        if whole is not None:
            events = [whole]
        if events:
            found = [one for each in events for one in heard.from_document(each, str(path), place, understand)]
        else:
            found = [
                one for each in self._delivery(path) for one in heard.from_document(each, str(path), place, understand)
            ]
        if not found:
            raise SampleError(f"{path} holds no mention")
        yield from found

    def _delivery(self, path: Path) -> list[dict[str, object]]:
        """The events of a body as its vendor sends it. Raises SampleError."""
        import connectors as registry
        from connectors.core.delivery import Delivery
        from connectors.core.door import kept_headers, load
        from connectors.core.errors import PayloadError
        from connectors.core.models import describe
        from connectors.tool.samples import SampleError, load_sample

        name = self.connector or path.resolve().parent.name
        if name not in registry.SOURCES:
            raise SampleError(
                f"{path}: say whose delivery it is with --connector, one of {', '.join(registry.SOURCES)}"
            )
        sample = load_sample(path)
        kind: Any = registry.source(name)
        door = load(name)
        headers = sample.headers if door is None else kept_headers(door, sample.headers)
        try:
            return [
                describe(one) for one in kind.for_parse((), None).parse(Delivery(headers=headers, body=sample.body))
            ]
        except PayloadError as error:
            raise SampleError(f"{path}: {error}") from error


def _is_template(path: Path) -> bool:
    from connectors.tool.cfn_text import TemplateError, load

    if path.suffix.lower() not in {".yaml", ".yml", ".json", ".template"}:
        return False
    try:
        load(path)
    except TemplateError:
        return path.suffix.lower() in {".yaml", ".yml"}
    return True


def _event(text: str) -> Any:
    """An event of `hailback parse`, or a list of them; None for anything else."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    first = found[0] if isinstance(found, list) and found else found
    return found if isinstance(first, dict) and {"type", "connector"} <= first.keys() else None


def _compiled(
    template: Path | None,
    deployment: Deployment | None,
    given: dict[str, str],
    name: str | None,
    granted: dict[str, str],
    texts: Bodies,
) -> Compiled | None:
    from connectors.tool.plan_file import compiled

    if template is None:
        return None
    if deployment is None:
        return compiled(template, around(given, name), granted, texts)
    from connectors.tool.deployed import around_deployed, machine_parameters

    setting = around_deployed(deployment, name or deployment.routes[0], given)
    return compiled(template, setting, {**machine_parameters(deployment), **granted}, texts)


def _router(compiled: Compiled | None, deployment: Deployment | None) -> Router:
    from connectors.tool.plan_file import plan_of
    from connectors.tool.routing import Router

    if compiled is not None:
        return Router(plan_of(compiled, deployment))
    plan = deployment.config.active_plan() if deployment else None
    if plan is None:
        stop("no plan is in force; name a template")
    return Router(plan)


def _taken(heard: Heard, deployment: Deployment | None) -> dict[str, str | None] | None:
    """Which route has the case of a mention that was taken in; None where it has none."""
    meta = deployment.cases.mention(heard.mention.id)[0] if deployment else None
    case = deployment.cases.case(str(meta["case"])) if deployment and meta and "case" in meta else None
    return {"case": case.id, "route": case.route, "plan": case.plan_version} if case and case.route else None


def _say(router: Router, heard: Heard, taken: dict[str, str | None] | None, *, as_json: bool) -> None:
    from connectors.tool.routing import verdict

    asked = heard.facts()
    unplaced = isinstance(heard.source, str) and "/" not in heard.source
    found = {"mention": heard.mention.id, "source": None if unplaced else heard.source, **verdict(router, asked)}
    found["taken"] = taken
    if as_json:
        typer.echo(json.dumps({**found, "facts": asked}, ensure_ascii=False).encode())
        return
    if found["route"] is None:
        typer.echo(f"{heard.mention.id}: no route of this plan takes it: those of the base plan come next".encode())
    else:
        which = f"{found['position']} of {found['of']}"
        typer.echo(f"{heard.mention.id}: route {found['route']} ({which}): {_becomes(heard, found)}".encode())
    if taken:
        plan = "" if taken["plan"] == router.plan.version else f", by the plan {taken['plan']}"
        typer.echo(f"  in fact its case {taken['case']} is with the route {taken['route']}{plan}".encode())
    if unplaced:
        said = f"no source here is of {heard.mention.connector}: which one it came in by is not known; say --source"
        typer.echo(f"  {said}".encode())
    for line in _off(found):
        typer.echo(f"  {line}".encode())
    for one in found["passed"]:
        typer.echo(f"  not {one['route']}: {_missed(one)}".encode())
        for other in one["others"]:
            typer.echo(f"      nor: {_missed(other)}".encode())
        if one["more"]:
            typer.echo(f"      nor {one['more']} more".encode())


def _becomes(heard: Heard, found: dict[str, Any]) -> str:
    if heard.mention.own:
        return "our own post: it opens no case"
    if not found["opens"]:
        return "counted, no case"
    return f"a case in {', else '.join(found['systems'])}; told: {', else '.join(found['topics'])}"


def _off(found: dict[str, Any]) -> Iterator[str]:
    """What effects that are off make of it, and what plans beside the base would."""
    if not found["effects"]:
        yield "effects are off (Effects: off in the base plan): all of it is planned, and nothing goes out"
    if found["in_shadow"]:
        yield "its plan is a shadow (Effects: off): it takes nothing, the plans behind it serve the mention"
    for one in found["shadows"]:
        what = f"a case in {', else '.join(one['systems'])}" if one["opens"] else "counted, no case"
        yield f"shadow {one['plan']} (Effects: off) would take it: route {one['route']}: {what}"


def _missed(one: dict[str, Any]) -> str:
    always = f", as always ({one['never_told']})" if one["never_told"] else ""
    if one["field"] == "source" and "/" not in one["found"]:
        return f"source should be {one['expected']}, is not known"
    if one["field"].startswith("person.") and one["found"] == "null":
        return f"{one['field']} should be {one['expected']}, is not known here (`hailback rehearse` counts it)"
    return f"{one['field']} should be {one['expected']}, is {one['found']}{always}"
