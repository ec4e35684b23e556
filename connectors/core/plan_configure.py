"""How sources, systems and the plan come into force: one request of CloudFormation, checked and applied.

A change is atomic: documents are immutable and written first, then the pointers and the request's outcome move in one
conditional transaction. Whoever loses a race reads again. A request that was answered before gets the same answer; one
that was overtaken by a newer request for the same resource changes nothing. Deleting always succeeds.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from connectors.core import token
from connectors.core.errors import ConflictError
from connectors.core.plan import Plan, Route, SourceConfig, SystemConfig, version_of
from connectors.core.plan_grammar import (
    Catalogue,
    Grants,
    check_plan,
    check_source,
    check_system,
    closest,
    topic_region,
)
from connectors.core.plan_ports import Change, Lookups, Outcome, Pointer, ResourceRequest, Sight, Store
from connectors.core.plan_settings import Finding

TRIES = 12
"""How often a change that lost a race is tried again, over about ten seconds."""
KINDS = ("Custom::Source", "Custom::System", "Custom::Plan")


@dataclass(frozen=True, slots=True)
class Machine:
    """What `configure` works with. `public_url` has no trailing slash; `salt` keys the webhook addresses."""

    store: Store
    lookups: Lookups
    sources: Catalogue
    systems: Catalogue
    grants: Grants
    public_url: str
    salt: str
    sleep: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class _Checks:
    """What the look-ups found; `lenient` turns findings into warnings."""

    findings: list[Finding]
    warnings: list[Finding]

    def lenient(self) -> _Checks:
        return _Checks([], [*self.findings, *self.warnings])


class _LookedAt:
    """Looks once at each thing, however often a lost race makes us begin again: an unreachable region is slow."""

    def __init__(self, lookups: Lookups) -> None:
        self.secret = cache(lookups.secret)
        self.topic = cache(lookups.topic)


def configure(request: ResourceRequest, machine: Machine) -> Outcome:
    """Carry out a request, once. Raises only what the store raises where it cannot be reached or refuses."""
    machine = replace(machine, lookups=_LookedAt(machine.lookups))
    for attempt in range(TRIES):
        if attempt:
            machine.sleep(random.uniform(0, min(2.0, 0.05 * 2**attempt)))  # noqa: S311 - jitter, not a secret
        try:
            begun = machine.store.begin(request.request_id, request.resource)
            if begun.outcome is not None:
                return begun.outcome
            outcome = _once(request, begun.ticket, machine)
        except ConflictError:
            continue
        return outcome
    busy = Finding(request.logical_id, "other deployments kept changing the plan at the same time.", "Deploy again.")
    return machine.store.settle(request.request_id, _refused(request, [busy]))


def _once(request: ResourceRequest, ticket: int, machine: Machine) -> Outcome:
    if request.action == "Delete":
        return _delete(request, ticket, machine)
    if request.action not in {"Create", "Update"}:
        return _refuse(request, machine, Finding("RequestType", "is none of Create, Update, Delete.", ""))
    if request.kind == "Custom::Plan":
        return _plan(request, ticket, machine)
    if request.kind in KINDS:
        return _config(request, ticket, machine)
    near = closest(request.kind, KINDS)
    remedy = f"Did you mean {near}?" if near else f"Write one of: {', '.join(KINDS)}."
    return _refuse(request, machine, Finding("Type", "is not a type of Hailback's.", remedy))


def _config(request: ResourceRequest, ticket: int, machine: Machine) -> Outcome:
    store, is_source = machine.store, request.kind == "Custom::Source"
    config: SourceConfig | SystemConfig | None
    if is_source:
        config, faults = check_source(request.resource, request.properties, machine.sources, machine.grants)
    else:
        config, faults = check_system(request.resource, request.properties, machine.systems, machine.grants)
    if config is None:
        return _refuse(request, machine, *faults)
    before = store.pointer(config.id) or Pointer("source" if is_source else "system", config.id)
    if before.ticket > ticket:
        return _overtaken(request, machine)
    pushes = (machine.sources if is_source else machine.systems).pushes(config.connector)
    checks = _look_at_secrets(config, machine)
    if not is_source and pushes:
        checks.warnings += _look_at_verification(config.secret, machine.lookups)
    if _goes_back(request, before) and store.knows(config):
        checks = checks.lenient()
    if checks.findings:
        return _refuse(request, machine, *checks.findings)
    data = {"Version": config.hash, "Connector": config.connector}
    if pushes:
        address = token.Address(config.id, config.secret)
        code = token.make(machine.salt, config.connector, address)
        data["WebhookUrl"] = f"{machine.public_url}/{config.connector}/{code}"
    outcome = _accepted(request, checks.warnings, data)
    after = replace(
        before,
        kind="source" if is_source else "system",
        version=config.hash,
        stack_id=request.stack_id,
        ticket=ticket,
        revision=before.revision + 1,
        checked=_revision(request),
        deleted_at=None,
    )
    change = Change(request.request_id, outcome, (after,), config=config, poll=config.poll)
    store.commit(change if is_source else _with_plan(change, config, store))
    return outcome


def _with_plan(change: Change, config: SourceConfig | SystemConfig, store: Store) -> Change:
    """A changed system and the compiled plan that uses it move together; otherwise the plan has to stay as it is."""
    pointer = store.plan_pointer() or Pointer("plan", "")
    plan = store.plan(pointer.version) if pointer.live else None
    if plan is None and pointer.live:
        raise LookupError(f"plan {pointer.version} is not in the table")
    if plan is None or not isinstance(config, SystemConfig) or not plan.uses(config.id):
        return replace(change, holds=(pointer,))
    compiled = plan.with_system(config)
    moved = replace(pointer, version=compiled.version, revision=pointer.revision + 1)
    return replace(change, moves=(*change.moves, moved), plan=compiled)


def _plan(request: ResourceRequest, ticket: int, machine: Machine) -> Outcome:
    store = machine.store
    routes, faults = check_plan(request.properties, machine.grants)
    if routes is None:
        return _refuse(request, machine, *faults, *_unknown_systems(request, store))
    before = store.plan_pointer() or Pointer("plan", request.resource)
    mine = before.id == request.resource
    if mine and before.ticket > ticket:
        return _overtaken(request, machine)
    findings = []
    if before.live and not mine:
        sentence = f"another plan, {before.id}, is in force; several plans are not built yet."
        findings.append(Finding("Custom::Plan", sentence, "Update that one, or delete it first."))
    systems, holds, unknown = _systems(routes, store)
    checks = _look_at_topics(routes, machine.lookups)
    plan = None if unknown else Plan.of(routes, systems)
    if plan is not None and _goes_back(request, before) and store.knows(plan):
        checks = checks.lenient()
    findings += [*unknown, *checks.findings]
    if findings or plan is None:
        return _refuse(request, machine, *findings)
    outcome = _accepted(request, checks.warnings, {"Version": plan.version})
    after = Pointer(
        "plan", request.resource, plan.version, request.stack_id, ticket, before.revision + 1, _revision(request)
    )
    store.commit(Change(request.request_id, outcome, (after,), holds=holds, plan=plan))
    return outcome


def _systems(
    routes: tuple[Route, ...], store: Store
) -> tuple[dict[str, SystemConfig], tuple[Pointer, ...], list[Finding]]:
    systems: dict[str, SystemConfig] = {}
    holds: dict[str, Pointer] = {}
    findings: list[Finding] = []
    for number, route in enumerate(routes):
        for index, name in enumerate(route.systems):
            pointer = store.pointer(name)
            if finding := _not_a_system(name, f"Routes[{number}].Case[{index}]", pointer):
                findings.append(finding)
                continue
            config = store.stored_system(name, pointer.version) if pointer else None
            if config is None or pointer is None:
                raise LookupError(f"version {pointer.version if pointer else ''} of {name} is not in the table")
            systems[name], holds[name] = config, pointer
    return systems, tuple(holds.values()), findings


def _not_a_system(name: str, path: str, pointer: Pointer | None) -> Finding | None:
    if pointer is None or not pointer.live:
        gone = "was deleted" if pointer else "is not deployed"
        return Finding(path, f"system '{name}' {gone}.", "Write !Ref and the name of a Custom::System.")
    if pointer.kind != "system":
        return Finding(path, f"'{name}' is a Custom::{pointer.kind.title()}.", "Name a Custom::System.")
    return None


def _unknown_systems(request: ResourceRequest, store: Store) -> list[Finding]:
    """Systems that do not exist, in a plan that has other faults as well: all findings come at once."""
    findings = []
    routes = request.properties.get("Routes")
    for number, route in enumerate(routes if isinstance(routes, list) else []):
        case = route.get("Case") if isinstance(route, dict) else None
        for index, name in enumerate(case if isinstance(case, list) else []):
            if isinstance(name, str) and "/" in name and len(name) < 400:
                finding = _not_a_system(name, f"Routes[{number}].Case[{index}]", store.pointer(name))
                findings += [finding] if finding else []
    return findings


def _look_at_secrets(config: SourceConfig | SystemConfig, machine: Machine) -> _Checks:
    """What verifies deliveries where a source pushes, and what lets us ask where that takes any."""
    if isinstance(config, SystemConfig):
        return _look_at_secret(token.credentials_secret(config.secret), machine.lookups)
    checks = _Checks([], [])
    names = [token.verification_secret(config.secret)] if machine.sources.pushes(config.connector) else []
    if config.poll is not None and machine.sources.asks_as_somebody(config.connector):
        names.append(token.credentials_secret(config.secret))
    for name in names:
        found = _look_at_secret(name, machine.lookups)
        checks.findings += found.findings
        checks.warnings += found.warnings
    return checks


def _look_at_secret(name: str, lookups: Lookups) -> _Checks:
    checks = _Checks([], [])
    match lookups.secret(name):
        case Sight.MISSING:
            checks.findings.append(
                Finding("Secret", f"secret '{name}' does not exist.", "Create it, then deploy again.")
            )
        case Sight.DELETED:
            remedy = "Restore it, then deploy again."
            checks.findings.append(Finding("Secret", f"secret '{name}' is scheduled for deletion.", remedy))
        case Sight.DENIED:
            # AWS may answer so for a secret that does not exist: there is no ARN for the permission to fit.
            remedy = "Check that it exists, that SecretsPrefix covers it and that no policy on the secret forbids it."
            checks.findings.append(Finding("Secret", f"looking at secret '{name}' was denied.", remedy))
        case Sight.UNREACHABLE:
            sentence = f"secret '{name}' was not checked: Secrets Manager could not be reached."
            checks.warnings.append(Finding("Secret", sentence, "Change Revision to check again."))
        case Sight.FOUND:
            pass
    return checks


def _look_at_verification(secret: str, lookups: Lookups) -> list[Finding]:
    """A system's webhook is made with the address that this very deployment gives out, and only then has a secret."""
    name = token.verification_secret(secret)
    if lookups.secret(name) is Sight.FOUND:
        return []
    sentence = f"secret '{name}' is not there, so the system's webhooks are refused."
    return [Finding("Secret", sentence, "Make the webhook with the attribute WebhookUrl, then keep its secret there.")]


def _look_at_topics(routes: tuple[Route, ...], lookups: Lookups) -> _Checks:
    checks = _Checks([], [])
    for number, route in enumerate(routes):
        for index, arn in enumerate(route.topics):
            path = f"Routes[{number}].Notify[{index}]"
            sight, confirmed = lookups.topic(arn)
            region = topic_region(arn)
            match sight:
                case Sight.MISSING | Sight.DELETED:
                    sentence = f"topic {arn} does not exist in {region}."
                    checks.findings.append(Finding(path, sentence, "Create it, then deploy again."))
                case Sight.DENIED:
                    remedy = "Check that TopicsPrefix, TopicRegions and the topic's own policy allow it."
                    checks.findings.append(Finding(path, f"looking at topic {arn} was denied.", remedy))
                case Sight.UNREACHABLE:
                    sentence = f"topic {arn} was not checked: SNS in {region} could not be reached."
                    checks.warnings.append(Finding(path, sentence, "Change Revision to check again."))
                case Sight.FOUND if confirmed == 0:
                    sentence = f"topic {arn} has no confirmed subscription, so nobody is told."
                    checks.warnings.append(Finding(path, sentence, "Subscribe somebody and have them confirm."))
    return checks


def _delete(request: ResourceRequest, ticket: int, machine: Machine) -> Outcome:
    store = machine.store
    outcome = Outcome(request.physical_id or request.resource)
    pointer = store.plan_pointer() if request.kind == "Custom::Plan" else store.pointer(request.resource)
    if (
        pointer is None
        or not pointer.live
        or pointer.id != request.resource
        or pointer.stack_id != request.stack_id
        or pointer.ticket > ticket
    ):
        return store.settle(request.request_id, outcome)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    after = replace(pointer, ticket=ticket, revision=pointer.revision + 1, deleted_at=now)
    store.commit(Change(request.request_id, outcome, (after,)))
    return outcome


def _goes_back(request: ResourceRequest, before: Pointer) -> bool:
    """Whether nothing new is asked, if the version is known already: a rollback, most likely (docs/adr/0011).

    A changed `Revision` over the same content asks for a fresh check, unless it is the one that was accepted last.
    """
    if request.action != "Update":
        return False
    return _content(request.properties) != _content(request.old_properties) or _revision(request) == before.checked


def _revision(request: ResourceRequest) -> str:
    return version_of("revision", request.properties.get("Revision"))


def _content(properties: Mapping[str, object]) -> dict[str, object]:
    return {key: properties[key] for key in properties if key not in {"ServiceToken", "ServiceTimeout", "Revision"}}


def _overtaken(request: ResourceRequest, machine: Machine) -> Outcome:
    return _refuse(
        request, machine, Finding(request.logical_id, "a newer request overtook this one.", "Nothing to do.")
    )


def _refuse(request: ResourceRequest, machine: Machine, *findings: Finding) -> Outcome:
    return machine.store.settle(request.request_id, _refused(request, list(findings)))


def _refused(request: ResourceRequest, findings: list[Finding]) -> Outcome:
    return Outcome(request.physical_id or request.resource, tuple(str(finding) for finding in findings))


def _accepted(request: ResourceRequest, warnings: list[Finding], data: dict[str, str]) -> Outcome:
    said = tuple(str(warning) for warning in warnings)
    return Outcome(request.physical_id or request.resource, (), said, {**data, "Warnings": " ".join(said) or "none"})
