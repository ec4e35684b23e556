"""What is wrong with an administrators' template, all of it at once, with lines: the same checks as a deployment's.

Needs no AWS. A template is looked at as it would be deployed with its parameters' defaults, and again with each
condition the other way round, so that a mistake in an optional resource is found too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.core.plan import Beside, Plan, Route, SourceConfig, SystemConfig
from connectors.core.plan_grammar import check_plan, check_source, check_system
from connectors.core.plan_lookups import secrets_of
from connectors.core.plan_merge import PlanPart, check_part, effects_off, merge, merged
from connectors.core.plan_options import Options, read_options
from connectors.core.plan_settings import Finding
from connectors.tool.catalogues import grants, sources, systems
from connectors.tool.cfn_names import wrong_names
from connectors.tool.cfn_paths import locate, shown, under
from connectors.tool.cfn_text import Fields, Items, Leaf, Node, Place, Text
from connectors.tool.cfn_values import OURS, Around, Path, Resource, Unknown, Values
from connectors.tool.check_across import Said, across, same_place, unnamed
from connectors.tool.check_envelope import home_of, wrong_envelope, wrong_resources
from connectors.tool.never_told import never_told
from connectors.tool.unlikely import unlikely

MOST_INLINE, MOST_IN_S3 = 51_200, 1_000_000
"""Bytes of a template, sent along or in S3.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
_SCENARIOS = 16


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A finding, a warning, or something that is not known, with its place. `when` names the setting of parameters
    under which it is so; '' is as the defaults have it."""

    line: int
    column: int
    resource: str
    path: str
    sentence: str
    remedy: str = ""
    when: str = ""

    def __str__(self) -> str:
        where = f"{self.resource}.{self.path}" if self.path and self.resource else self.resource or self.path
        when = f" (with {self.when})" if self.when else ""
        return f"{where}: {self.sentence} {self.remedy}".rstrip() + when


@dataclass(slots=True)
class Report:
    """Everything about one template. `resources` counts ours by type; `compiled` is what the defaults come to."""

    findings: list[Spot] = field(default_factory=list)
    warnings: list[Spot] = field(default_factory=list)
    unknown: list[Spot] = field(default_factory=list)
    resources: dict[str, int] = field(default_factory=dict)
    compiled: Compiled | None = None

    @property
    def ok(self) -> bool:
        return not self.findings


@dataclass(slots=True)
class Compiled:
    """A template's own documents. `properties` are as they would be handed to the deployment, by logical name."""

    around: Around
    resources: list[Resource]
    sources: dict[str, SourceConfig] = field(default_factory=dict)
    systems: dict[str, SystemConfig] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    plan: str | None = None
    options: Options = field(default_factory=Options)

    @property
    def part(self) -> PlanPart:
        """What the file's `Custom::Plan` says."""
        said = self.options
        name = f"{self.around.stack}/{self.plan}"
        return PlanPart.of(name, self.routes, priority=said.priority, everywhere=said.everywhere, effects=said.effects)

    def to_plan(self, others: Sequence[PlanPart] = (), elsewhere: Mapping[str, SystemConfig] | None = None) -> Plan:
        """The plan as it would be compiled, beside other stacks' parts. A system of another stack that is not known
        stands in by its name; without a base there is no catch-all."""
        parts = [*others, self.part]
        known = {**(elsewhere or {}), **self.systems}
        for name in (name for part in parts for name in part.systems):
            known.setdefault(name, SystemConfig.of(name, "unknown", "hailback/unknown", {}))
        found = merge(parts, known)
        if found is not None:
            return found
        part = self.part  # alone: its routes are shown as if they were on, also those of a shadow
        said = Beside(id=part.id, priority=part.priority or 0, everywhere=part.everywhere, effects=part.effects)
        return Plan.of(tuple(merged(part, route) for route in part.routes), known, True, (said,))


def examine(text: Text, around: Around, granted: Mapping[str, str]) -> Report:
    """Look at a template under its defaults and with each condition the other way round."""
    report = Report()
    around = at_home(text, around)
    slips = [_outside(slip.place, slip.steps, slip.sentence, slip.remedy) for slip in text.slips]
    odd = wrong_resources(text)
    names = wrong_names(text)
    report.findings += [*slips, *(_outside(one.place, one.steps, one.sentence, one.remedy) for one in (*odd, *names))]
    skipped = frozenset(one.steps[1] for one in odd)
    seen: set[tuple[object, ...]] = set()
    for when, setting in _settings(text, around):
        found = _Once(text, setting, granted, skipped, bool(slips or odd or names))
        compiled = found.run()
        if not when:
            report.compiled = compiled
            report.resources = dict(Counter(one.kind for one in compiled.resources))
            report.unknown = sorted({*found.unknown, *_made_later(text)})
        for kept, more in ((report.findings, found.findings), (report.warnings, found.warnings)):
            for spot in more:
                key = (spot.line, spot.resource, spot.path, spot.sentence)
                # A token's shape is looked at where the defaults, or what is given, name one.
                if key not in seen and not (when and spot.path == "ServiceToken"):
                    seen.add(key)
                    kept.append(replace(spot, when=when))
    report.warnings += _size(text)
    report.findings.sort()
    report.warnings.sort()
    return report


def compile_file(text: Text, around: Around, granted: Mapping[str, str]) -> tuple[Compiled, list[Spot]]:
    """What a template comes to as it stands, and what is wrong with it so."""
    found = _Once(text, at_home(text, around), granted)
    compiled = found.run()
    odd = (*wrong_resources(text), *wrong_names(text))
    return compiled, sorted(
        [*found.findings, *(_outside(one.place, one.steps, one.sentence, one.remedy) for one in odd)]
    )


def at_home(text: Text, around: Around) -> Around:
    """Region and account as the `ServiceToken` has them, which is in the same, where nobody says otherwise."""
    if around.known:
        return around
    homes = (home_of(one) for one in Values(text, around).resources() if one.kind in OURS)
    home = next((one for one in homes if one is not None), None)
    return around if home is None else replace(around, region=home[0], account=home[1])


def _outside(place: Place, steps: Sequence[str], sentence: str, remedy: str) -> Spot:
    """What is wrong with the text itself: a resource's own where `steps` lead into one."""
    if steps[:1] == ("Resources",) and len(steps) > 1:
        path = ".".join(steps[3:] if steps[2:3] == ("Properties",) and len(steps) > 3 else steps[2:])
        return Spot(place.line, place.column, steps[1], path, sentence, remedy)
    return Spot(place.line, place.column, "", ".".join(steps), sentence, remedy)


def _settings(text: Text, around: Around) -> Iterator[tuple[str, Around]]:
    """The parameters as given; then for each comparison of one that was left open, the other outcome."""
    yield "", around
    values = Values(text, around)
    compared = list(_compared(text.root.values.get("Conditions")))
    plain = {name for name, _ in compared}
    for name, literal in list(dict.fromkeys(compared))[:_SCENARIOS]:
        if name in around.given or name not in text.section("Parameters"):
            continue
        default = _default(text, name)
        if default == literal or (literal == "" and default is None):
            empty = {one for one in text.section("Parameters") if _default(text, one) == "" and one not in plain}
            yield f"{name} given", replace(values.around, unset=frozenset({name, *empty} - set(around.given)))
        else:
            yield f"{name}={literal or repr('')}", replace(values.around, given={**around.given, name: literal})


def _compared(node: Node | None) -> Iterator[tuple[str, str]]:
    if isinstance(node, Fields):
        pair = node.values.get("Fn::Equals")
        if isinstance(pair, Items) and len(pair.values) == 2:
            for one, other in (pair.values, pair.values[::-1]):
                name = one.values.get("Ref") if isinstance(one, Fields) else None
                if isinstance(name, Leaf) and isinstance(other, Leaf):
                    yield name.text or "", other.text or ""
        for inner in node.values.values():
            yield from _compared(inner)
    elif isinstance(node, Items):
        for inner in node.values:
            yield from _compared(inner)


def _default(text: Text, name: str) -> str | None:
    node = text.section("Parameters").get(name)
    found = node.values.get("Default") if isinstance(node, Fields) else None
    return found.text if isinstance(found, Leaf) else None


def _made_later(text: Text) -> list[Spot]:
    """Resources that CloudFormation makes up itself, by a loop or a macro: they are not looked at."""
    section = text.root.values["Resources"]
    names = [name for name in text.section("Resources") if name.startswith("Fn::")]
    return [
        Spot(place.line, place.column, name, "", "is worked out by CloudFormation; what comes of it was not looked at.")
        for name in names
        if isinstance(section, Fields) and (place := section.keys[name])
    ]


def _size(text: Text) -> list[Spot]:
    if text.size <= MOST_INLINE:
        return []
    limit = f"the template is {text.size} bytes, over CloudFormation's {MOST_INLINE} for one that is sent along."
    remedy = "Deploy it with --s3-bucket." if text.size <= MOST_IN_S3 else "Even from S3 it takes 1,000,000 at most."
    return [Spot(1, 1, "", "", limit, remedy)]


class _Once:
    """One look, under one setting of the parameters."""

    def __init__(
        self,
        text: Text,
        around: Around,
        granted: Mapping[str, str],
        skipped: frozenset[str] = frozenset(),
        quiet: bool = False,
    ) -> None:
        self._quiet = quiet
        self._around, self._grants, self._skipped = around, grants(granted), skipped
        self._definitions = granted.get("DefinitionsBucket", "")
        self._regions = granted.get("TopicRegions", "")
        self._values = Values(text, around)
        self.findings: list[Spot] = []
        self.warnings: list[Spot] = []
        self.unknown: list[Spot] = []

    def run(self) -> Compiled:
        found = [one for one in self._values.resources() if one.name not in self._skipped]
        compiled = Compiled(self._around, found)
        for one in found:
            self._envelope(one)
            for problem in one.problems:
                spot = Spot(problem.place.line, problem.place.column, one.name, shown(problem.path), problem.sentence)
                self.findings.append(replace(spot, remedy=problem.remedy))
            for path, why in one.unknown.items():
                place = one.places.get(path, one.place)
                sentence = f"waits for {why}; only its shape was checked."
                if why:
                    self.unknown.append(Spot(place.line, place.column, one.name, shown(path), sentence))
            self._one(one, compiled)
        for said in (*across(found, self._values, self._regions), *same_place(found)):
            self._said(said)
        if not self._quiet and not self.findings:
            for said in unnamed(found, self._around.stack):
                self._said(said)
        named = {name: one.connector for name, one in compiled.sources.items()}
        for plan in (one for one in found if one.name == compiled.plan):
            odd = never_told(compiled.routes, named, everywhere=compiled.options.everywhere)
            more = unlikely(compiled.routes, {} if compiled.options.everywhere else named)
            odd += [one for one in more if one.path not in {said.path for said in odd}]
            self.warnings += [warned for one in odd if (warned := self._spot(plan, one)) is not None]
        return compiled

    def _one(self, one: Resource, compiled: Compiled) -> None:
        identity = f"{self._around.stack}/{one.name}"
        match one.kind:
            case "Custom::Source":
                source, findings = check_source(identity, one.properties, sources(), self._grants)
                compiled.sources |= {identity: source} if source else {}
            case "Custom::System":
                system, findings = check_system(identity, one.properties, systems(), self._grants)
                compiled.systems |= {identity: system} if system else {}
            case "Custom::Plan":
                findings = self._plan(one, compiled)
            case _:
                return
        self.findings += [spot for finding in findings if (spot := self._spot(one, finding)) is not None]

    def _plan(self, one: Resource, compiled: Compiled) -> list[Finding]:
        options, findings = read_options(one.properties, self._definitions)
        routes, more = check_plan(one.properties, self._grants, sources())
        findings += more
        if options.definition is not None:
            place = one.places.get(("Definition",), one.place)
            said = f"the routes lie in {options.definition}; --live reads them."
            self.unknown.append(Spot(place.line, place.column, one.name, "Definition", said))
        odd = effects_off(base="Priority" not in one.properties, effects=options.effects)
        self.warnings += [spot for warned in odd if (spot := self._spot(one, warned)) is not None]
        if routes:
            compiled.plan, compiled.routes, compiled.options = one.name, routes, options
            findings += check_part(compiled.part)
        return findings

    def _spot(self, one: Resource, finding: Finding) -> Spot | None:
        """Where a finding stands; None where it is about a value that is not known."""
        path = locate(one.properties, finding.path)
        if any(under(path, unknown) for unknown in one.unknown) or _of_unknown(one, path, finding.sentence):
            return None
        place = next(one.places[path[:cut]] for cut in range(len(path), -1, -1) if path[:cut] in one.places)
        sentence = finding.sentence
        written = one.written.get(path)
        # Of a field that is none nothing is repeated: it may hold a password.
        if written is not None and "is not a field" not in sentence and "arrived as" not in sentence:
            sentence = f"{sentence.removesuffix('.')} (written as {written})."
        return Spot(place.line, place.column, one.name, finding.path, sentence, finding.remedy)

    def _envelope(self, one: Resource) -> None:
        if one.kind not in OURS:
            return
        at = one.places[()]
        for field_, sentence, remedy in wrong_envelope(one):
            place = one.places.get((field_,), at)
            self.findings.append(Spot(place.line, place.column, one.name, field_, sentence, remedy))
        if "ServiceTimeout" not in one.properties:
            sentence = "is missing, so that CloudFormation waits for an hour where nobody answers."
            self.warnings.append(Spot(at.line, at.column, one.name, "ServiceTimeout", sentence, "Write 120."))

    def _said(self, said: Said) -> None:
        place = said.resource.places.get(said.path, said.resource.place) if said.path else said.resource.place
        spot = Spot(place.line, place.column, said.resource.name, shown(said.path), said.sentence, said.remedy)
        {"findings": self.findings, "warnings": self.warnings, "unknown": self.unknown}[said.kind].append(spot)


def _of_unknown(one: Resource, path: Path, sentence: str) -> bool:
    """Whether a condition is found wrong for the stand-in of a value that is not known."""
    inside = [unknown for unknown in one.unknown if "When" in path and under(unknown, path)]
    return any(
        isinstance(value := _at(one.properties, steps), Unknown) and value and value in sentence for steps in inside
    )


def _at(properties: Any, steps: Path) -> Any:
    for step in steps:
        properties = properties[step]
    return properties


def offline(compiled: Compiled) -> list[str]:
    """What no look at the file can tell."""
    said = [
        f"that the secret {secret} exists ({name.rpartition('/')[2]})"
        for name, config in compiled.sources.items()
        for secret in secrets_of(config, sources())
    ]
    said += [
        f"that the secret {config.secret}/credentials exists ({name.rpartition('/')[2]})"
        for name, config in compiled.systems.items()
    ]
    topics = dict.fromkeys(topic for route in compiled.routes for topic in route.topics)
    said += [f"that somebody is subscribed to {topic}" for topic in topics]
    return [*said, "that what a secret holds lets us in; hailback doctor tells once it is deployed"]


Json = dict[str, Any]


def as_json(report: Report, live: bool = False) -> Json:
    """The report as `--json` prints it."""
    from dataclasses import asdict

    compiled = report.compiled
    return {
        "ok": report.ok,
        "findings": [asdict(one) for one in report.findings],
        "warnings": [asdict(one) for one in report.warnings],
        "unknown": [asdict(one) for one in report.unknown],
        "not_looked_at": offline(compiled) if compiled and not live else [],
        "resources": report.resources,
    }
