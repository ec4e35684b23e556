"""Cases as plain documents, for `--json` and for the screen: first of all what waits, and why.

Reads only; the words of a customer are left out unless they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from connectors.core.case import COUNTED, Case, CaseEvent, Effect, EffectKind, EffectState, Happening
from connectors.core.compose import moment
from connectors.core.pause import unsent
from connectors.core.unanswered import waits_since
from connectors.tool.deployment import DeploymentError

if TYPE_CHECKING:
    from connectors.aws.cases import Cases
    from connectors.core.people import Evidence

Document = dict[str, Any]
_MOST = 1000
STATES = ("open", "pending", "solved", COUNTED)
"""The states of a case; what is only counted (`Open: count`) is one that has no record and tells nobody."""


def summaries(cases: Cases, limit: int, state: str) -> list[Document]:
    """The cases of a state whose state or record changed last, ordered by their latest event, newest first.

    A further post of a case does not touch the case itself, so it does not decide which cases are among `limit`.
    """
    newest = cases.newest(limit, state)
    found = [_summary(case, cases.effects(case.id), list(cases.timeline(case.id))) for case in newest]
    return sorted(found, key=lambda one: str(one["last_event_at"]), reverse=True)


def find_case(cases: Cases, identity: str) -> Case:
    """The case with this id, or the only one whose id begins so. Raises DeploymentError."""
    wanted = identity if identity.startswith("case-") else f"case-{identity}"
    if (exact := cases.case(wanted)) is not None:
        return exact
    found = {case.id: case for state in STATES for case in cases.newest(_MOST, state) if case.id.startswith(wanted)}
    if not found:
        raise DeploymentError(f"there is no case {identity}; `hailback cases` lists them")
    if len(found) > 1:
        names = ", ".join(sorted(found)[:5])
        raise DeploymentError(f"{identity} could be any of {len(found)} cases, such as {names}; write more of it")
    return next(iter(found.values()))


def dossier(cases: Cases, case: Case, *, with_text: bool = False) -> Document:
    """Everything about one case."""
    timeline, effects = list(cases.timeline(case.id)), cases.effects(case.id)
    mentions = dict.fromkeys([case.first_mention, *(event.mention for event in timeline if event.mention)])
    return {
        **_summary(case, effects, timeline),
        "routing": [_routing(event) for event in timeline if event.kind in _ROUTING],
        "shadows": [shadowed(event) for event in timeline if event.kind is Happening.SHADOWED],
        "detours": [_detour(event) for event in timeline if event.kind in _DETOURS],
        "joins": [_join(cases, case, event) for event in timeline if event.detail.get("joined")],
        "mentions": [_mention(cases, name, with_text) for name in mentions],
        "effects": [_effect(effect) for effect in effects],
        "timeline": [_event(event) for event in timeline],
    }


def waiting(case: Case, effects: Sequence[Effect], events: Iterable[CaseEvent] = ()) -> list[Document]:
    """What is not done yet, and why: what an administrator has to mend comes first."""
    found = [
        {
            "what": f"the post {event.mention} ({event.kind})",
            "why": "not dispatched yet",
            "next_at": _time(event.due_at),
        }
        for event in events
        if event.due_at is not None
    ]
    if found and not case.routed:
        found = [{**one, "why": "no plan is in force yet: deploy a Custom::Plan"} for one in found]
    members = {name: len(effect.members) for effect in effects for name in [effect.id] if effect.members}
    open_ones = [effect for effect in effects if not effect.state.final and effect.batch is None]
    for effect in sorted(open_ones, key=lambda effect: (effect.error is None, effect.planned_at)):
        posts = f" of {members[effect.id]} post{'s' * (members[effect.id] > 1)}" if effect.id in members else ""
        found.append(
            {
                "what": f"{_KINDS[effect.kind]}{posts} for {effect.target}",
                "why": _why(effect, effects),
                "next_at": _time(effect.retry_at or effect.lease_until or effect.due_at),
            }
        )
    return found


_KINDS = {
    EffectKind.RECORD: "the record",
    EffectKind.NOTE: "a note",
    EffectKind.BATCH: "a note",
    EffectKind.NOTIFY: "a notification",
    EffectKind.STATUS: "a change of status",
    EffectKind.RETIRE: "the link to the live record",
    EffectKind.REPLY: "the answer",
}
_DETOURS = frozenset({Happening.FAILED_OVER, Happening.HANDED_BACK, Happening.UNDELIVERED})
_ROUTING = frozenset({Happening.ROUTED, Happening.RAISED, Happening.REROUTED})
_REASONS = {
    EffectState.PLANNED: "planned; its worker has not come by yet",
    EffectState.CLAIMED: "a worker is at it",
    EffectState.PARKED: "refused for now",
    EffectState.UNKNOWN: "it is not known whether it went out; it is looked up before it is repeated",
}


def _why(effect: Effect, among: Sequence[Effect] = ()) -> str:
    """`among`: all of the case; of a notification each topic has a line of its own, and one of them the turn."""
    said = _REASONS.get(effect.state, effect.state.value)
    if effect.kind is EffectKind.NOTIFY and effect.state in {EffectState.PARKED, EffectState.UNKNOWN}:
        said = "not told" if effect.state is EffectState.PARKED else "it is not known whether it was told"
        same = effect.id.rpartition("#")[0]
        turns = [one for one in among if one.id.rpartition("#")[0] == same and not one.state.final]
        due = any(one.due_at is not None for one in turns)
        others = "; another topic has its turn" if due else "; all topics were tried: `hailback redrive Undelivered`"
        said += "; it is tried again" if effect.due_at else others
    tries = f", after {effect.attempt} attempt{'s' * (effect.attempt > 1)}" if effect.attempt else ""
    return f"{said}{tries}" + (f": {effect.error}" if effect.error else "")


def _summary(case: Case, effects: Sequence[Effect], events: Iterable[CaseEvent] = ()) -> Document:
    events = list(events)
    refused = [effect for effect in effects if effect.state is EffectState.REJECTED]
    return {
        "id": case.id,
        "state": case.state,
        "counted": case.state == COUNTED,
        "waiting": waiting(case, effects, events),
        "unanswered_since": _time(waits_since(events)) if case.state == "open" else None,
        "refused": [{"what": f"{_KINDS[one.kind]} for {one.target}", "why": one.error or ""} for one in refused],
        "unsent": [f"{_KINDS[one.kind]} for {one.target}" for one in unsent(case, effects)],
        "records": _records(case, effects, events),
        "systems": list(case.systems),
        "engaged": list(case.engaged or case.systems[:1]),
        "retired": list(case.retired),
        "replies": [_reply(one) for one in effects if one.kind is EffectKind.REPLY],
        "conversation": case.conversation,
        "source": case.source,
        "connector": case.connector,
        "route": case.route,
        "plan_version": case.plan_version,
        "topics": list(case.topics),
        "labels": list(case.labels),
        "priority": case.priority,
        "opened_at": moment(case.opened_at),
        "updated_at": case.updated_at,
        "last_event_at": moment(max((event.at for event in events), default=case.opened_at)),
    }


def _records(case: Case, effects: Sequence[Effect], events: Iterable[CaseEvent]) -> list[Document]:
    live = case.record
    made = [event.detail for event in events if event.kind is Happening.RECORDED]
    unset = {(one.get("system"), one.get("reference")): one["unset"] for one in made if one.get("unset")}
    return [
        {
            "system": effect.target,
            "id": effect.reference,
            "url": effect.url,
            "live": live is not None and (live.system, live.id) == (effect.target, effect.reference),
            "provisional": effect.provisional and effect.target in case.engaged,
            "retired": effect.target in case.retired,
            "unset": unset.get((effect.target, effect.reference)),
        }
        for effect in effects
        if effect.kind is EffectKind.RECORD and effect.reference
    ]


def _routing(event: CaseEvent) -> Document:
    """Which route took a post of the case, and which earlier ones did not: `route: field, what it asks for`."""
    said = event.detail
    return {
        "at": moment(event.at),
        "what": event.kind.value,
        "route": said.get("route"),
        "from": said.get("from"),
        "mention": event.mention or said.get("mention"),
        "plan": said.get("plan"),
        "counted": said.get("counted") == "true",
        "skipped": [line for line in said.get("skipped", "").splitlines() if line],
        "added": {name: said[name] for name in ("system", "topics", "labels", "priority", "gone") if said.get(name)},
    }


def shadowed(event: CaseEvent) -> Document:
    """What a plan beside the base whose effects are off would have made of a post."""
    said = event.detail
    return {
        "at": moment(event.at),
        "plan": said.get("shadow"),
        "route": said.get("route"),
        "instead_of": said.get("instead_of"),
        "mention": event.mention,
        "counted": said.get("counted") == "true",
        "would": {name: said[name] for name in ("systems", "topics", "labels", "priority") if said.get(name)},
    }


def _detour(event: CaseEvent) -> Document:
    """That another system, or topic, was asked, or gave the case back."""
    return {"at": moment(event.at), "what": event.kind.value, "detail": event.detail}


def _join(cases: Cases, case: Case, event: CaseEvent) -> Document:
    """Why a conversation is part of this case: the same number, or what somebody said when they linked two handles."""
    names = event.detail.get("evidence", "").split()
    told: list[Evidence] = []
    for mention in (event.mention or "", case.first_mention) if names else ():
        handle = (cases.mention(mention)[0] or {}).get("author_key")  # gone where the post was removed
        told += cases.people.because(handle, names) if handle else []
    return {
        "at": moment(event.at),
        "mention": event.mention,
        "by": event.detail["joined"],
        "evidence": [{"id": name, **_told(name, told)} for name in names],
    }


def _told(name: str, told: Sequence[Evidence]) -> Document:
    one = next((one for one in told if one.id == name), None)
    found = {"by": one.by, "because": one.because, "reference": one.reference} if one else {}
    return {"by": None, "because": None, "reference": None, **found}


def _reply(effect: Effect) -> Document:
    return {
        "source": effect.target,
        "state": effect.state.value,
        "update": effect.update,
        "url": effect.url,
        "error": effect.error,
        "done_at": _time(effect.done_at),
    }


def _mention(cases: Cases, name: str, with_text: bool) -> Document:
    meta, words = cases.mention(name)
    found: Document = {
        "id": name,
        "version": int(meta["version"]) if meta else None,
        "url": meta.get("url") if meta else None,
        "own": bool(meta and meta.get("own")),
        "removed_at": meta.get("removed_at") if meta else None,
        "intent": meta.get("intent") if meta else None,
        "intent_sure": float(meta["intent_sure"]) if meta and "intent_sure" in meta else None,
    }
    if with_text:
        found["text"] = words.text if words else None
    return found


def _effect(effect: Effect) -> Document:
    return {
        "id": effect.id,
        "kind": effect.kind.value,
        "target": effect.target,
        "state": effect.state.value,
        "attempts": effect.attempt,
        "mention": effect.mention,
        "posts": len(effect.members) or None,
        "reference": effect.reference,
        "url": effect.url,
        "error": effect.error,
        "due_at": _time(effect.due_at),
        "done_at": _time(effect.done_at),
    }


def _event(event: CaseEvent) -> Document:
    return {
        "at": moment(event.at),
        "what": event.kind.value,
        "mention": event.mention,
        "version": event.version,
        "detail": event.detail,
    }


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else moment(milliseconds)
