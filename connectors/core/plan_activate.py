"""How a `Custom::Plan` comes into force and goes: its part is checked, all parts are merged, one pointer moves.

The compiled plan's pointer is moved by every change of a part, on condition that nobody else moved it: so two stacks
that deploy at the same time cannot undo one another, and mentions are always routed by one whole version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from connectors.core.plan import Plan, SystemConfig, version_of
from connectors.core.plan_grammar import check_plan
from connectors.core.plan_lookups import look_at_topics, outside_regions, topics_in
from connectors.core.plan_machine import Machine, accepted, content, goes_back, overtaken, refuse, revision
from connectors.core.plan_merge import (
    MOST_SHADOWS,
    MOST_SYSTEMS,
    PlanPart,
    base_of,
    check_part,
    effects_off,
    merge,
    sources_in,
)
from connectors.core.plan_options import Options, read_definition, read_options
from connectors.core.plan_ports import (
    Activation,
    Change,
    Interval,
    Outcome,
    Pointer,
    ResourceRequest,
    Sight,
    Store,
)
from connectors.core.plan_reach import overshadowed
from connectors.core.plan_settings import Finding

KEPT = 10
"""Times that effects were off which are remembered, for each part."""

Deployed = tuple[Pointer, PlanPart]


@dataclass(slots=True)
class _Systems:
    """What the parts name: as compiled, the pointers that must not move meanwhile, and what does not exist. `gone` is
    what was deleted since this part was in force: it runs as it did, and as it would have gone on to."""

    configs: dict[str, SystemConfig]
    holds: dict[str, Pointer]
    unknown: list[Finding]
    gone: list[Finding]


def change_plan(request: ResourceRequest, ticket: int, machine: Machine) -> Outcome:
    """Create or update one part. Raises ConflictError where another deployment came in between."""
    store = machine.store
    merged = store.plan_pointer() or Pointer("plan", "")
    others = in_force(store, merged)
    before = next((pointer for pointer, part in others if part.id == request.resource), None)
    before = before or store.pointer(request.resource) or Pointer("part", request.resource)
    if before.ticket > ticket:
        return overtaken(request, machine)
    others = [(pointer, part) for pointer, part in others if part.id != request.resource]
    part, warnings, faults = _read(request, before, machine)
    if part is None:
        outside = outside_regions(topics_in(request.properties.get("Routes")), machine.grants.topic_regions)
        return refuse(request, machine, *faults, *outside, *_unknown_systems(request, store))
    ran = goes_back(request, before) and store.knows(part)
    systems = _systems(part, [other for _, other in others], store, ran)
    checks = look_at_topics(part.routes, machine.lookups, machine.grants.topic_regions)
    checks.findings += [*_unknown_sources(part, store), *systems.gone]
    if ran and not systems.unknown:
        checks = checks.lenient()
    findings = [*check_part(part), *_second_base(request, part, others), *systems.unknown, *checks.findings]
    if len(systems.holds) > MOST_SYSTEMS:
        sentence = f"all plans together name {len(systems.holds)} systems, over the limit of {MOST_SYSTEMS}."
        findings.append(Finding("Routes", sentence, "Name fewer."))
    if not part.effects and sum(one.shadow for one in (part, *(one for _, one in others))) > MOST_SHADOWS:
        sentence = f"are off in more than {MOST_SHADOWS} plans beside the base."
        findings.append(Finding("Effects", sentence, "Write Effects: on, or delete one of those plans."))
    if findings:
        return refuse(request, machine, *findings)
    after = Pointer(
        "part", request.resource, part.hash, request.stack_id, ticket, before.revision + 1, revision(request)
    )
    now = [*others, (after, part)]
    plan = merge([one for _, one in now], systems.configs)
    said = [*warnings, *checks.warnings, *_remarks(part, plan)]
    outcome = accepted(request, said, {"Version": plan.version if plan else "none"})
    change = _change(request, outcome, merged, now, plan, machine)
    order = request.resource, ticket
    store.commit(replace(change, holds=tuple(systems.holds.values()), said=_text_of(request), order=order))
    return outcome


def delete_plan(request: ResourceRequest, ticket: int, machine: Machine) -> Outcome:
    """Take one part away; the others stay in force, if a base is among them. Cases keep what they were opened with."""
    store = machine.store
    outcome = Outcome(request.physical_id or request.resource)
    merged = store.plan_pointer() or Pointer("plan", "")
    parts = in_force(store, merged)
    pointer = next((pointer for pointer, part in parts if part.id == request.resource), None)
    if pointer is None or pointer.stack_id != request.stack_id or pointer.ticket > ticket:
        return store.settle(request.request_id, outcome)
    rest = [(other, part) for other, part in parts if part.id != request.resource]
    plan = merge([part for _, part in rest], _as_compiled([part for _, part in rest], store).configs)
    gone = replace(pointer, ticket=ticket, revision=pointer.revision + 1, deleted_at=moment(machine.now()))
    change = _change(request, outcome, merged, rest, plan, machine)
    store.commit(replace(change, moves=(gone, *change.moves), order=(request.resource, ticket)))
    return outcome


def in_force(store: Store, merged: Pointer) -> list[Deployed]:
    """The parts that are deployed, in the order in which they came. Raises LookupError where one cannot be read."""
    found: list[Deployed] = []
    for name in merged.parts:
        pointer = store.pointer(name)
        part = store.part(name, pointer.version) if pointer else None
        if pointer is None or part is None:
            raise LookupError(f"version {pointer.version if pointer else ''} of {name} is not in the table")
        found.append((pointer, part))
    if merged.live and not merged.parts:  # deployed before there were several plans: it is the base
        plan = store.plan(merged.version)
        if plan is None:
            raise LookupError(f"plan {merged.version} is not in the table")
        part = PlanPart.of(merged.id, plan.routes)
        found.append((replace(merged, kind="part", version=part.hash, revision=0), part))
    return found


def activation(
    request: ResourceRequest,
    plan: Plan | None,
    pointer: Pointer,
    store: Store,
    now: int,
    parts: Mapping[str, str] | None = None,
) -> Activation:
    """The line of the history. `parts` are asked for where they are not given."""
    known = parts or {part.id: part.hash for _, part in in_force(store, pointer)}
    off = () if plan is None else (*(() if plan.effects else (pointer.id,)), *(one.id for one in plan.shadows))
    return Activation(
        number=pointer.revision,
        version=plan.version if plan else "",
        at=moment(now),
        action=f"{request.action} {request.kind}",
        resource=request.resource,
        stack_id=request.stack_id,
        request_id=request.request_id,
        parts=known,
        off=off,
    )


def moment(milliseconds: int) -> str:
    """ISO 8601, UTC, in seconds."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def shadows(
    before: Mapping[str, tuple[Interval, ...]], parts: Sequence[PlanPart], now: int
) -> dict[str, tuple[Interval, ...]]:
    """When effects were off, with what these parts say from `now` on."""
    off = {part.key for part in parts if not part.effects}
    found: dict[str, tuple[Interval, ...]] = {}
    for key in sorted({*before, *off}):
        past = before.get(key, ())
        lasting = bool(past) and past[-1][1] is None
        if key in off and not lasting:
            past = (*past, (now, None))
        elif key not in off and lasting:
            past = (*past[:-1], (past[-1][0], now))
        found[key] = past[-KEPT:]
    return found


def _change(
    request: ResourceRequest,
    outcome: Outcome,
    merged: Pointer,
    now: Sequence[Deployed],
    plan: Plan | None,
    machine: Machine,
) -> Change:
    """The pointers of the compiled plan and of the changed part, the documents, and the line of the history."""
    base = base_of([part for _, part in now])
    at = machine.now()
    in_charge = [part for _, part in now if base is None or not part.base or part.id == base.id]
    pointer = replace(
        merged,
        kind="plan",
        id=base.id if base else merged.id,
        version=plan.version if plan else merged.version,
        stack_id=next((one.stack_id for one, part in now if part is base), merged.stack_id),
        revision=merged.revision + 1,
        deleted_at=None if plan else moment(at),
        parts=tuple(part.id for _, part in now),
        shadows=shadows(merged.shadows, in_charge, at),
    )
    moved = [one if one.id == request.resource else replace(one, revision=1) for one, part in now if _new(one, request)]
    documents = tuple(part for one, part in now if _new(one, request))
    line = activation(request, plan, pointer, machine.store, at, {part.id: part.hash for _, part in now})
    return Change(request.request_id, outcome, (*moved, pointer), plan=plan, parts=documents, activation=line)


def _new(pointer: Pointer, request: ResourceRequest) -> bool:
    """Whether a part has to be written: it is the one that is deployed, or was kept in the old way only."""
    return pointer.id == request.resource or pointer.revision == 0


def _read(
    request: ResourceRequest, before: Pointer, machine: Machine
) -> tuple[PlanPart | None, list[Finding], list[Finding]]:
    """The part as written, warnings, and what is wrong with it."""
    options, faults = read_options(request.properties, machine.definitions)
    given = dict(request.properties)
    if "Definition" in request.properties:
        said, kept, more = _fetched(request, options, before, machine)
        if kept is not None and not faults:
            return kept, more, []
        faults += more
        if said is None:
            return None, [], faults
        given |= said
    routes, more = check_plan(given, machine.grants, machine.sources)
    faults += more
    if faults or routes is None:
        return None, [], faults
    part = PlanPart.of(
        request.resource,
        routes,
        priority=options.priority,
        everywhere=options.everywhere,
        effects=options.effects,
    )
    return part, [], []


def _fetched(
    request: ResourceRequest, options: Options, before: Pointer, machine: Machine
) -> tuple[dict[str, object] | None, PlanPart | None, list[Finding]]:
    """What a definition says, or what the same text came to before where it cannot be read in a rollback."""
    if options.definition is None:
        return None, None, []
    sight, body = machine.lookups.definition(options.definition)
    if sight is Sight.FOUND:
        said, faults = read_definition(body)
        return said, None, faults
    where = str(options.definition)
    reasons = {
        Sight.MISSING: (
            f"{where} does not exist in that version.",
            "Upload it, and name the version that S3 gives it.",
        ),
        Sight.DELETED: (f"{where} was deleted in that version.", "Upload it, and name the version that S3 gives it."),
        Sight.DENIED: (  # also S3's answer for what does not exist, to those who may not list the bucket
            f"reading {where} was denied, or it is not there in that version.",
            "Check the address, the policy of the bucket and, where it is encrypted by KMS, that of the key.",
        ),
        Sight.UNREACHABLE: (f"{where} could not be read: S3 could not be reached.", "Deploy again."),
    }
    finding = Finding("Definition", *reasons[sight])
    version = machine.store.part_said(request.resource, _text_of(request) or "") if goes_back(request, before) else None
    kept = machine.store.part(request.resource, version) if version else None
    return None, kept, [finding]


def _text_of(request: ResourceRequest) -> str | None:
    """What stands for a text whose routes lie elsewhere."""
    return version_of("said", content(request.properties)) if "Definition" in request.properties else None


def _second_base(request: ResourceRequest, part: PlanPart, others: Sequence[Deployed]) -> list[Finding]:
    """Two catch-alls. The same plan under another name, from the same stack, is one that is being renamed."""
    bases = [(pointer, other) for pointer, other in others if other.base]
    if not part.base or all(
        pointer.stack_id == request.stack_id and other.hash == part.hash for pointer, other in bases
    ):
        return []
    sentence = f"another plan, {bases[0][1].id}, is in force and owns the catch-all."
    remedy = "Give this one a Priority, or update or delete that one; to rename it, change nothing else meanwhile."
    return [Finding("Custom::Plan", sentence, remedy)]


def _remarks(part: PlanPart, plan: Plan | None) -> list[Finding]:
    found = []
    if plan is None:
        sentence = "no base plan is in force, so all mentions are taken in and wait."
        found.append(Finding("Priority", sentence, "Deploy a Custom::Plan without a Priority."))
    elif len({route.plan for route in plan.routes}) > 1:
        found += overshadowed(plan, None if part.base else part.id)
    return [*found, *effects_off(base=part.base, effects=part.effects)]


def _systems(part: PlanPart, others: Sequence[PlanPart], store: Store, ran: bool) -> _Systems:
    """Of the part that is deployed now, systems have to be in force, unless this very part `ran` before; what other
    parts name stays as it is compiled."""
    found = _as_compiled(others, store)
    for number, route in enumerate(part.routes):
        for index, name in enumerate(route.systems):
            pointer = found.holds.get(name) or store.pointer(name)
            finding = _not_a_system(name, f"Routes[{number}].Case[{index}]", pointer)
            if finding and not (ran and pointer is not None and pointer.kind == "system"):
                found.unknown.append(finding)
                continue
            found.gone += [finding] if finding else []
            if pointer is not None and name not in found.configs:
                found.configs[name], found.holds[name] = _stored(name, pointer, store), pointer
    return found


def _as_compiled(parts: Sequence[PlanPart], store: Store) -> _Systems:
    found = _Systems({}, {}, [], [])
    for name in dict.fromkeys(name for part in parts for name in part.systems):
        pointer = store.pointer(name)
        if pointer is None:
            raise LookupError(f"{name} is not in the table")
        found.configs[name], found.holds[name] = _stored(name, pointer, store), pointer
    return found


def _stored(name: str, pointer: Pointer, store: Store) -> SystemConfig:
    config = store.stored_system(name, pointer.version)
    if config is None:
        raise LookupError(f"version {pointer.version} of {name} is not in the table")
    return config


def _not_a_system(name: str, path: str, pointer: Pointer | None) -> Finding | None:
    if pointer is None or not pointer.live:
        gone = "was deleted" if pointer else "is not deployed"
        return Finding(path, f"system '{name}' {gone}.", "Write !Ref and the name of a Custom::System.")
    if pointer.kind != "system":
        kind = "Plan" if pointer.kind == "part" else pointer.kind.title()
        return Finding(path, f"'{name}' is a Custom::{kind}.", "Name a Custom::System.")
    return None


def _unknown_sources(part: PlanPart, store: Store) -> list[Finding]:
    """Sources that a route names and that nobody deployed: such a route would never take anything."""
    known: dict[str, bool] = {}
    findings = []
    for number, route in enumerate(part.routes):
        for path, name in sources_in(route.when, f"Routes[{number}].When"):
            if name not in known:
                pointer = store.pointer(name)
                known[name] = pointer is not None and pointer.live and pointer.kind == "source"
            if not known[name]:
                sentence = f"'{name[:80]}' is no source that is deployed."
                findings.append(Finding(path, sentence, "Write !Ref and the name of a Custom::Source."))
    return findings


def _unknown_systems(request: ResourceRequest, store: Store) -> list[Finding]:
    """Systems that do not exist, in a plan that has other faults as well: all findings come at once."""
    findings = []
    routes = request.properties.get("Routes")
    known: dict[str, Pointer | None] = {}
    for number, route in enumerate(routes if isinstance(routes, list) else []):
        case = route.get("Case") if isinstance(route, dict) else None
        for index, name in enumerate(case if isinstance(case, list) else []):
            if isinstance(name, str) and "/" in name and len(name) < 400:
                if name not in known:
                    known[name] = store.pointer(name)
                finding = _not_a_system(name, f"Routes[{number}].Case[{index}]", known[name])
                findings += [finding] if finding else []
    return findings
