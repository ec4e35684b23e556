"""`hailback check --live`: a deployment, tried against the account without writing anything.

The very code that carries out a deployment runs here, over the deployment's table read-only and with the caller's own
permissions: what the machine itself is granted is taken from its stack's parameters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from connectors.core.plan_configure import configure
from connectors.core.plan_machine import Machine
from connectors.core.plan_ports import Begun, Change, Outcome, Pointer, ResourceRequest, Sight
from connectors.tool.catalogues import grants, sources, systems
from connectors.tool.cfn_paths import locate
from connectors.tool.cfn_values import Unknown, Values
from connectors.tool.checking import Report, Spot, examine
from connectors.tool.deployed import around_deployed, machine_parameters
from connectors.tool.reading import read_only

if TYPE_CHECKING:
    from connectors.aws.config import ConfigStore
    from connectors.aws.config_checks import AwsLookups
    from connectors.core.plan import Plan, SourceConfig, SystemConfig
    from connectors.core.plan_merge import PlanPart
    from connectors.tool.cfn_text import Text
    from connectors.tool.cfn_values import Around, Resource
    from connectors.tool.deployment import Deployment

_ORDER = ("Custom::Source", "Custom::System", "Custom::Plan")
_SPLIT = re.compile(r"(?<=[.]) (?=[A-Z])")
_AS_WRITTEN = re.compile(r" \(written as [^)]*\)")
_LAST = 1 << 40


class TrialStore:
    """`core.plan_ports.Store` over another one that is only read: what is committed is remembered here."""

    def __init__(self, store: ConfigStore) -> None:
        self._store = store
        self._pointers: dict[str, Pointer] = {}
        self._configs: dict[tuple[str, str], SourceConfig | SystemConfig] = {}
        self._plans: dict[str, Plan] = {}
        self._parts: dict[tuple[str, str], PlanPart] = {}

    def begin(self, request_id: str, resource: str, asked: int = 0) -> Begun:
        del request_id, resource, asked
        return Begun(_LAST)

    def settle(self, request_id: str, outcome: Outcome) -> Outcome:
        del request_id
        return outcome

    def pointer(self, name: str) -> Pointer | None:
        return self._pointers.get(name) or self._store.pointer(name)

    def plan_pointer(self) -> Pointer | None:
        return self._pointers.get("") or self._store.plan_pointer()

    def stored_system(self, name: str, version: str) -> SystemConfig | None:
        found: Any = self._configs.get((name, version))
        return found or self._store.stored_system(name, version)

    def part(self, name: str, version: str) -> PlanPart | None:
        return self._parts.get((name, version)) or self._store.part(name, version)

    def part_said(self, name: str, said: str) -> str | None:
        return self._store.part_said(name, said)

    def knows(self, document: SourceConfig | SystemConfig | PlanPart) -> bool:
        return self._store.knows(document)

    def plan(self, version: str) -> Plan | None:
        return self._plans.get(version) or self._store.plan(version)

    def commit(self, change: Change) -> None:
        for pointer in change.moves:
            self._pointers["" if pointer.kind == "plan" else pointer.id] = pointer
        if change.config is not None:
            self._configs[change.config.id, change.config.hash] = change.config
        for part in change.parts:
            self._parts[part.id, part.hash] = part
        if change.plan is not None:
            self._plans[change.plan.version] = change.plan


def examine_live(text: Text, deployment: Deployment, given: Mapping[str, str], name: str | None) -> Report:
    """Look at a template as the account would deploy it. Raises DeploymentError."""
    around = replace(around_deployed(deployment, name or deployment.routes[0], given), known=True, asked=True)
    granted = machine_parameters(deployment)
    report = examine(text, around, granted)
    if report.compiled is None:
        return report
    made = Made(text, around)
    machine = _machine(deployment, granted, made)
    stack = f"arn:aws:cloudformation:{around.region}:{around.account}:stack/{around.stack}/trial"
    for one in sorted(report.compiled.resources, key=lambda one: _ORDER.index(one.kind) if one.kind in _ORDER else 9):
        if one.kind not in _ORDER or any(spot.resource == one.name for spot in report.findings):
            continue  # what is wrong with its text is said already
        request = ResourceRequest("Create", one.kind, f"trial-{one.name}", stack, one.name, "", one.properties, {})
        outcome = configure(request, machine)
        report.findings += [_spot(one, said) for said in outcome.findings]
        had = {_AS_WRITTEN.sub("", str(spot)) for spot in report.warnings}  # the file alone may have shown it
        report.warnings += [spot for said in outcome.warnings if str(spot := _spot(one, said)) not in had]
    report.findings.sort()
    report.warnings.sort()
    return report


class Made:
    """Topics and secrets that the file itself makes: a deployment makes them before what names them."""

    def __init__(self, text: Text, around: Around) -> None:
        values = Values(text, around)
        self.topics = {values.made(one) for one in values.resources("AWS::SNS::Topic")}
        self.secrets = {
            name
            for one in values.resources("AWS::SecretsManager::Secret")
            if isinstance(name := one.properties.get("Name"), str) and not isinstance(name, Unknown)
        }


class TrialLookups:
    """`core.plan_ports.Lookups`: the account's, and what the deployment will have made by then. Whether somebody hears
    a topic that is not there yet only shows once it is."""

    def __init__(self, lookups: AwsLookups, made: Made) -> None:
        self._lookups, self._made, self.definition = lookups, made, lookups.definition

    def secret(self, name: str) -> Sight:
        """See `AwsLookups`."""
        found = self._lookups.secret(name)
        return Sight.FOUND if found is Sight.MISSING and name in self._made.secrets else found

    def topic(self, arn: str) -> tuple[Sight, int | None]:
        """See `AwsLookups`."""
        found = self._lookups.topic(arn)
        return (Sight.FOUND, None) if found[0] is Sight.MISSING and arn in self._made.topics else found


def _machine(deployment: Deployment, granted: Mapping[str, str], made: Made) -> Machine:
    from connectors.aws.config import ConfigStore
    from connectors.aws.config_checks import AwsLookups

    sns = cache(lambda region: deployment.client("sns", region))
    lookups = AwsLookups(deployment.client("secretsmanager"), sns, s3=lambda: deployment.client("s3"))
    store = TrialStore(ConfigStore(read_only(deployment.client("dynamodb")), deployment.outputs["TableName"]))
    return Machine(
        store=store,
        lookups=TrialLookups(lookups, made),
        sources=sources(),
        systems=systems(),
        grants=grants(granted),
        public_url="https://unknown.example",
        salt="trial",
        definitions=granted.get("DefinitionsBucket", ""),
    )


def _spot(one: Resource, said: str) -> Spot:
    """A finding came as one line: its path, then a sentence, then the remedy."""
    path, _, words = said.partition(": ")
    steps = locate(one.properties, path)
    place = next(one.places[steps[:cut]] for cut in range(len(steps), -1, -1) if steps[:cut] in one.places)
    sentence, *remedy = _SPLIT.split(words, maxsplit=1)
    unsure = next((why for path, why in one.unknown.items() if path == steps), None)
    spot = Spot(place.line, place.column, one.name, path, sentence, " ".join(remedy))
    return replace(spot, when=f"a guess for {unsure}") if unsure else spot
