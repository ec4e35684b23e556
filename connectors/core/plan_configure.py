"""How sources, systems and the plan come into force: one request of CloudFormation, checked and applied.

A change is atomic: documents are immutable and written first, then the pointers and the request's outcome move in one
conditional transaction. Whoever loses a race reads again. A request that was answered before gets the same answer; one
that was overtaken by a newer request for the same resource changes nothing. Nothing that a plan says can make a
deletion fail.
"""

from __future__ import annotations

import random
from dataclasses import replace

from connectors.core import token
from connectors.core.errors import ConflictError
from connectors.core.plan import SourceConfig, SystemConfig
from connectors.core.plan_activate import activation, change_plan, delete_plan, moment
from connectors.core.plan_grammar import check_source, check_system, closest
from connectors.core.plan_lookups import LookedAt, look_at_secrets, look_at_verification
from connectors.core.plan_machine import Machine, accepted, goes_back, overtaken, refuse, refused, revision
from connectors.core.plan_ports import Change, Outcome, Pointer, ResourceRequest
from connectors.core.plan_settings import Finding

__all__ = ["KINDS", "TRIES", "Machine", "configure"]

TRIES = 12
"""How often a change that lost a race is tried again, over about ten seconds."""
KINDS = ("Custom::Source", "Custom::System", "Custom::Plan")


def configure(request: ResourceRequest, machine: Machine) -> Outcome:
    """Carry out a request, once. Raises only what the store raises where it cannot be reached or refuses."""
    machine = replace(machine, lookups=LookedAt(machine.lookups))
    for attempt in range(TRIES):
        if attempt:
            machine.sleep(random.uniform(0, min(2.0, 0.05 * 2**attempt)))  # noqa: S311 - jitter, not a secret
        try:
            begun = machine.store.begin(request.request_id, request.resource, request.asked)
            if begun.outcome is not None:
                return begun.outcome
            outcome = _too_late(request, machine) if begun.late else _once(request, begun.ticket, machine)
        except ConflictError:
            continue
        return outcome
    remedy = "Delete it again." if request.action == "Delete" else "Deploy again."
    busy = Finding(request.logical_id, "other deployments kept changing the plan at the same time.", remedy)
    return machine.store.settle(request.request_id, refused(request, [busy]))


def _too_late(request: ResourceRequest, machine: Machine) -> Outcome:
    """A newer request was seen before: what it made of the resource stays, also where it deleted what never was."""
    if request.action == "Delete":
        return machine.store.settle(request.request_id, Outcome(request.physical_id or request.resource))
    return overtaken(request, machine)


def _once(request: ResourceRequest, ticket: int, machine: Machine) -> Outcome:
    if request.action == "Delete":
        return (
            delete_plan(request, ticket, machine)
            if request.kind == "Custom::Plan"
            else _delete(request, ticket, machine)
        )
    if request.action not in {"Create", "Update"}:
        return refuse(request, machine, Finding("RequestType", "is none of Create, Update, Delete.", ""))
    if request.kind == "Custom::Plan":
        return change_plan(request, ticket, machine)
    if request.kind in KINDS:
        return _config(request, ticket, machine)
    near = closest(request.kind, KINDS)
    remedy = f"Did you mean {near}?" if near else f"Write one of: {', '.join(KINDS)}."
    return refuse(request, machine, Finding("Type", "is not a type of Hailback's.", remedy))


def _config(request: ResourceRequest, ticket: int, machine: Machine) -> Outcome:
    store, is_source = machine.store, request.kind == "Custom::Source"
    config: SourceConfig | SystemConfig | None
    if is_source:
        config, faults = check_source(request.resource, request.properties, machine.sources, machine.grants)
    else:
        config, faults = check_system(request.resource, request.properties, machine.systems, machine.grants)
    if config is None:
        return refuse(request, machine, *faults)
    before = store.pointer(config.id) or Pointer("source" if is_source else "system", config.id)
    if before.ticket > ticket:
        return overtaken(request, machine)
    pushes = (machine.sources if is_source else machine.systems).pushes(config.connector)
    checks = look_at_secrets(config, machine)
    if not is_source and pushes:
        checks.warnings += look_at_verification(config.secret, machine.lookups)
    if goes_back(request, before) and store.knows(config):
        checks = checks.lenient()
    if checks.findings:
        return refuse(request, machine, *checks.findings)
    data = {"Version": config.hash, "Connector": config.connector}
    if pushes:
        address = token.Address(config.id, config.secret)
        code = token.make(machine.salt, config.connector, address)
        data["WebhookUrl"] = f"{machine.public_url}/{config.connector}/{code}"
    outcome = accepted(request, [*checks.warnings, *_on_hold(config)], data)
    after = replace(
        before,
        kind="source" if is_source else "system",
        version=config.hash,
        stack_id=request.stack_id,
        ticket=ticket,
        revision=before.revision + 1,
        checked=revision(request),
        deleted_at=None,
    )
    order = request.resource, ticket
    change = Change(request.request_id, outcome, (after,), config=config, poll=config.poll, order=order)
    store.commit(change if is_source else _with_plan(change, request, config, machine))
    return outcome


def _on_hold(config: SourceConfig | SystemConfig) -> list[Finding]:
    if not config.hold:
        return []
    what = "nothing goes out for what is said there" if isinstance(config, SourceConfig) else "nothing is sent there"
    return [Finding("Hold", f"is on: {what}, and it is not asked.", "Remove Hold to go on; what waits then goes out.")]


def _with_plan(
    change: Change, request: ResourceRequest, config: SourceConfig | SystemConfig, machine: Machine
) -> Change:
    """A changed system and the compiled plan that uses it move together; otherwise the plan has to stay as it is."""
    store = machine.store
    pointer = store.plan_pointer() or Pointer("plan", "")
    plan = store.plan(pointer.version) if pointer.live else None
    if plan is None and pointer.live:
        raise LookupError(f"plan {pointer.version} is not in the table")
    if plan is None or not isinstance(config, SystemConfig) or not plan.uses(config.id):
        return replace(change, holds=(pointer,))
    compiled = plan.with_system(config)
    moved = replace(pointer, version=compiled.version, revision=pointer.revision + 1)
    line = activation(request, compiled, moved, store, machine.now())
    return replace(change, moves=(*change.moves, moved), plan=compiled, activation=line)


def _delete(request: ResourceRequest, ticket: int, machine: Machine) -> Outcome:
    store = machine.store
    outcome = Outcome(request.physical_id or request.resource)
    pointer = store.pointer(request.resource)
    if (
        pointer is None
        or not pointer.live
        or pointer.kind not in {"source", "system"}
        or pointer.stack_id != request.stack_id
        or pointer.ticket > ticket
    ):
        return store.settle(request.request_id, outcome)
    after = replace(pointer, ticket=ticket, revision=pointer.revision + 1, deleted_at=moment(machine.now()))
    store.commit(Change(request.request_id, outcome, (after,), order=(request.resource, ticket)))
    return outcome
