"""What `hailback doctor` finds: the state of a deployment as one plain document, and what is wrong with it.

Reads queues' counters, a sample of the dead letters, the *due* index and single partitions of the table. It never reads
the whole table; where there is more than it looks at, the document says so. Nobody's words are in it.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.aws.config import ConfigStore
from connectors.aws.health import registered
from connectors.aws.ledger import REFUSED
from connectors.core.case import SHARDS, Case, Effect, EffectState
from connectors.core.compose import moment
from connectors.tool import unheard
from connectors.tool.dead_letters import DeadLetters
from connectors.tool.deployment import Deployment
from connectors.tool.pauses import HELD, held_places, is_held, on_purpose, shadow_runs, silenced
from connectors.tool.plain import counted, many, row_name
from connectors.tool.shadows import would_take
from connectors.tool.spending import gaps, money_matters, spending
from connectors.tool.stranded import stranded, told
from connectors.tool.vitals import vital_signs, vitals

Document = dict[str, Any]
MOST = 200
"""Items of each of the eight shards of the due index that are read, and cases that are looked at."""
_DAYS = 7
_LATE = 180
"""Seconds after which what is due should have been looked at: wake_due comes each minute."""
_STATES = ("open", "pending")
_GROUPED = (EffectState.PARKED, EffectState.UNKNOWN, EffectState.CLAIMED)


class Checkup:
    """One look at a deployment. `now` is in milliseconds."""

    def __init__(self, deployment: Deployment, most: int = MOST, now: int | None = None) -> None:
        self._deployment, self._most = deployment, most
        self._now = int(time.time() * 1000) if now is None else now
        self._config = ConfigStore(deployment.client("dynamodb"), deployment.outputs["TableName"])

    def document(self) -> Document:
        """Everything. Raises DeploymentError and the SDK's errors."""
        due, more = self._due()
        by_type: dict[str, list[Document]] = defaultdict(list)
        for item in due:
            by_type[str(item.get("type") or item["pk"].split("#")[0].lower())].append(item)
        effects = [Effect.model_validate(item) for item in by_type.pop("effect", [])]
        events = by_type.pop("event", [])
        plan = self._plan()
        systems = sorted({*plan["systems"], *(one.target for one in effects if "#" not in one.target)})
        found: Document = {
            "at": moment(self._now),
            "plan": plan,
            "topics": unheard.topics(plan["routes"], lambda region: self._deployment.client("sns", region)),
            "queues": self._queues(),
            "dead_letters": self._dead_letters(),
            "effects": (waits := _effects(effects, self._now)),
            "refused": self._refused(),
            "undispatched": _events(events, self._now),
            "breakers": [row for name in systems for row in self._rows(f"BREAKER#{name}")],
            "sources": (sources := self._sources()),
            "cursors": self._kept("CURSOR", systems, sources),
            "leases": self._kept("LEASE", systems, sources),
            "vitals": vitals(self._deployment, self._config, self._now),
            "spending": spending(self._deployment, self._now),
            "failed_over": self._failed_over(changed := self._changed()),
            "stranded": stranded(changed, self._config),
            "held": held_places(self._config, self._listened(sources), systems, waits),
            "shadows": self._shadows(waits, changed),
            "also_due": {name: len(items) for name, items in sorted(by_type.items())},
            "cut": [f"only the first {self._most} items of each shard of the due index were read"] if more else [],
        }
        found["wrong"] = [
            *wrong(found),
            *unheard.told(plan["routes"], found["topics"]),
            *told(found["stranded"]),
            *vital_signs(found["vitals"]),
            *money_matters(found["spending"]),
            *gaps(found["cursors"], self._now),
        ]
        found["on_purpose"] = on_purpose(found["held"], found["shadows"])
        found["well"] = not found["wrong"]
        return found

    def _due(self) -> tuple[list[Document], bool]:
        """What waits, the longest overdue first; whether there is more."""
        keys: list[tuple[str, str]] = []
        more = False
        for shard in range(SHARDS):
            values = {":s": str(shard)}
            entries = self._deployment.table.query_index("due", "due_shard = :s", values, limit=self._most + 1)
            found = [(entry["pk"], entry["sk"]) for entry in entries]
            more |= len(found) > self._most
            keys += found[: self._most]
        items = [item for item in self._deployment.table.get_many(keys) if "due_at" in item]
        return sorted(items, key=lambda item: int(item["due_at"])), more

    def _refused(self) -> list[Document]:
        """What systems refused in the last days, newest first: nothing tries it again by itself."""
        since, keys = self._now - _DAYS * 86_400_000, []
        for shard in range(SHARDS):
            values = {":s": f"{REFUSED}{shard}", ":since": since}
            condition = "due_shard = :s AND due_at >= :since"
            entries = self._deployment.table.query_index("due", condition, values, newest=True, limit=self._most)
            keys += [(entry["pk"], entry["sk"]) for entry in entries]
        found = [Effect.model_validate(item) for item in self._deployment.table.get_many(keys)]
        return _refusals([one for one in found if one.state is EffectState.REJECTED])

    def _plan(self) -> Document:
        pointer = self._config.plan_pointer()
        plan = self._config.plan(pointer.version) if pointer and pointer.live else None
        routes = [
            {"name": one.name, "systems": list(one.systems), "topics": list(one.topics)}
            for one in (plan.routes if plan else ())
        ]
        systems = sorted({name for route in routes for name in route["systems"]})
        return {"version": plan.version if plan else None, "routes": routes, "systems": systems}

    def _queues(self) -> list[Document]:
        sqs = self._deployment.client("sqs")
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = []
        for output, url in self._deployment.outputs.items():
            if not output.endswith("QueueUrl"):
                continue
            counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            waiting, flying = (int(counts.get(name, 0)) for name in names)
            name = url.rsplit("/", 1)[-1]
            oldest = self._oldest(name) if waiting else None
            row = {"queue": output.removesuffix("QueueUrl"), "name": name, "waiting": waiting, "in_flight": flying}
            found.append({**row, "oldest_seconds": oldest})
        return found

    def _oldest(self, queue: str) -> float | None:
        """Seconds, from CloudWatch: SQS itself does not tell, and looking would hide a message from its worker."""
        from botocore.exceptions import BotoCoreError, ClientError

        now = datetime.fromtimestamp(self._now / 1000, UTC)
        try:
            answer = self._deployment.client("cloudwatch").get_metric_statistics(
                Namespace="AWS/SQS",
                MetricName="ApproximateAgeOfOldestMessage",
                Dimensions=[{"Name": "QueueName", "Value": queue}],
                StartTime=now - timedelta(minutes=10),
                EndTime=now,
                Period=60,
                Statistics=["Maximum"],
            )
        except (BotoCoreError, ClientError):
            return None  # no permission for it, or a local AWS without such metrics
        points = sorted(answer.get("Datapoints", []), key=lambda point: str(point["Timestamp"]))
        return float(points[-1]["Maximum"]) if points else None

    def _dead_letters(self) -> list[Document]:
        letters = DeadLetters(self._deployment)
        found = []
        for queue in letters.queues:
            if not queue.waiting:
                continue
            sample = letters.peek(queue)
            what: dict[str, int] = defaultdict(int)
            for letter in sample:
                what[letter.what] += 1
            oldest = min((letter.sent_at for letter in sample), default=None)
            row = {"queue": queue.name, "count": queue.waiting, "oldest_at": _time(oldest)}
            found.append({**row, "looked_at": len(sample), "what": dict(what)})
        return found

    def _rows(self, pk: str) -> list[Document]:
        """What the table keeps under a key, without the names of indexes."""
        hidden = {"schema", "due_shard", "type"}
        return [
            {name: _plain(name, value) for name, value in item.items() if name not in hidden}
            for item in self._deployment.table.query(pk, limit=20)
        ]

    def _kept(self, kind: str, systems: Iterable[str], sources: Iterable[Document]) -> list[Document]:
        names = dict.fromkeys([*systems, *(one["id"] for one in sources)])
        return [row for name in names for row in self._rows(f"{kind}#{name}")]

    def _sources(self) -> list[Document]:
        """When each source was heard last, and how often in the days before: what is silent may be broken."""
        seen: dict[str, list[str]] = defaultdict(list)
        table, today, left = self._deployment.table, datetime.fromtimestamp(self._now / 1000, UTC), self._most
        for back in range(_DAYS):
            day = (today - timedelta(days=back)).strftime("%Y-%m-%d")
            keys = [
                (entry["pk"], entry["sk"])
                for shard in range(SHARDS)
                for entry in table.query_index(
                    "day", "day_shard = :d", {":d": f"{day}#{shard}"}, newest=True, limit=max(1, left // SHARDS)
                )
            ]
            for item in table.get_many(keys):
                for source in item.get("sources", ()):
                    seen[source].append(str(item.get("seen_at")))
            left -= len(keys)
            if left <= 0:
                break
        known = {one.id: one for one in self._deployment.sources().values()}
        return [
            {
                "id": name,
                "connector": known[name].connector if name in known else None,
                "last_post_at": max(seen[name], default=None),
                "posts_seen": len(seen[name]),
                "usual_gap_seconds": _gap(seen[name]),
            }
            for name in sorted({*known, *seen})
        ]

    def _listened(self, sources: Iterable[Document]) -> list[str]:
        """Sources of all stacks, also of those that this look was not told of."""
        return [*(one["id"] for one in sources), *registered(self._deployment.table)]

    def _shadows(self, waits: Sequence[Document], changed: Sequence[Case]) -> list[Document]:
        """Where effects are off, or were; what that came to in the last day."""
        runs, cases, plan = self._config.shadows(), self._deployment.cases, self._config.active_plan()
        would = would_take(cases, plan, self._now - 86_400_000, self._most) if plan and plan.shadows else []
        return shadow_runs(runs, waits, self._now, would, silenced(cases, changed, runs, self._now))

    def _changed(self) -> list[Case]:
        """Of the cases that are not solved, those that changed last."""
        return [case for state in _STATES for case in self._deployment.cases.newest(self._most, state)]

    def _failed_over(self, changed: Sequence[Case]) -> list[Document]:
        """Among the cases that changed last, those that another system than the first of their route holds."""
        found = []
        for case in changed:
            if not case.systems:
                continue
            if len(case.engaged) <= 1 and (case.record is None or case.record.system == case.systems[0]):
                continue
            found.append(_detour(case, self._deployment.cases.effects(case.id)))
        return found


def _detour(case: Case, effects: Sequence[Effect]) -> Document:
    first = next((one for one in effects if one.id == f"record#{case.systems[0]}"), None)
    return {
        "case": case.id,
        "first": case.systems[0],
        "engaged": list(case.engaged),
        "record": case.record.model_dump() if case.record else None,
        "why": first.error if first else None,
        "next_at": _time((first.retry_at or first.lease_until or first.due_at) if first else None),
    }


def _effects(effects: Sequence[Effect], now: int) -> list[Document]:
    """By target, kind and state: how many, the oldest, why, and when the next is tried."""
    groups: dict[tuple[str, str, str, str], list[Effect]] = defaultdict(list)
    for one in effects:
        if one.state is EffectState.CLAIMED and now < (one.lease_until or 0):
            continue  # a worker is at it
        if one.state in _GROUPED or (one.due_at or now) < now - _LATE * 1000:
            cause = (one.error or "") if is_held(one.error) else (one.error or "").split(":")[0]
            groups[one.target, one.kind.value, one.state.value, cause].append(one)
    found = []
    for (target, kind, state, _), members in sorted(groups.items()):
        oldest = min(members, key=lambda one: one.planned_at)
        nexts = [at for one in members if (at := one.retry_at or one.due_at) is not None]
        found.append(
            {
                "target": target,
                "kind": kind,
                "state": "claimed past its lease" if state == "claimed" else state,
                "count": len(members),
                "oldest_at": moment(oldest.planned_at),
                "oldest_case": oldest.case,
                "why": oldest.error,
                "next_at": _time(min(nexts, default=None)),
            }
        )
    return found


def _refusals(effects: Sequence[Effect]) -> list[Document]:
    """By target, kind and reason."""
    groups: dict[tuple[str, str, str], list[Effect]] = defaultdict(list)
    for one in effects:
        groups[one.target, one.kind.value, one.error or ""].append(one)
    rows = [
        {
            "target": target,
            "kind": "note" if kind == "batch" else kind,
            "count": len(members),
            "newest_at": _time(max(one.done_at or 0 for one in members)),
            "cases": sorted({one.case for one in members})[:5],
            "why": why,
        }
        for (target, kind, why), members in groups.items()
    ]
    return sorted(rows, key=lambda row: str(row["newest_at"]), reverse=True)


def _events(items: Sequence[Document], now: int) -> Document:
    late = [item for item in items if int(item["due_at"]) < now - _LATE * 1000]
    oldest = min((int(item["at"]) for item in items), default=None)
    return {"waiting": len(items), "late": len(late), "oldest_at": _time(oldest)}


def wrong(found: Document) -> list[str]:
    """What is wrong, most urgent first; one sentence each."""
    said: list[str] = []
    plan = found["plan"]
    if plan["version"] is None:
        said.append("no plan is in force: posts are kept and wait; deploy a Custom::Plan")
    dead = found["dead_letters"]
    if dead:
        count = sum(one["count"] for one in dead)
        said.append(f"{many(count, 'dead letter')} in {', '.join(one['queue'] for one in dead)}: redrive")
    open_ones = [one for one in found["breakers"] if str(one.get("state", "closed")) != "closed"]
    said += [f"the breaker of {row_name(one)} is {one['state']}" for one in open_ones]
    for one in sorted((one for one in found["effects"] if not is_held(one["why"])), key=_urgency):
        several = counted(one["count"], one["kind"])
        why = f": {one['why']}" if one["why"] else ""
        said.append(f"{several} for {one['target']} {'is' if one['count'] == 1 else 'are'} {one['state']}{why}")
    for one in found.get("refused", ()):
        several = counted(one["count"], one["kind"])
        verb = "was" if one["count"] == 1 else "were"
        remedy = f"mend that, then `hailback reconcile {one['target'].split('/')[-1]}`"
        said.append(f"{several} for {one['target']} {verb} refused: {one['why']}: {remedy}")
    if late := found["undispatched"]["late"]:
        said.append(f"{many(late, 'event')} not dispatched for more than {_LATE // 60} minutes: see wake_due")
    stopped = ("Budget: ", HELD)  # told with the money, and as what is kept back on purpose
    failing = [one for one in found["cursors"] if one.get("error") and not one["error"].startswith(stopped)]
    said += [f"asking {row_name(one)} fails: {one['error']}" for one in failing]
    for one in found["queues"]:
        if (one["oldest_seconds"] or 0) > 600:
            age = int(one["oldest_seconds"] // 60)
            said.append(f"{many(one['waiting'], 'message')} in {one['queue']}, the oldest {age} minutes old")
    return said + _with_stand_bys(found["failed_over"])


def _with_stand_bys(detours: Sequence[Document]) -> list[str]:
    """By system and reason: how many of its cases another one has."""
    groups: dict[tuple[str, str, str], int] = defaultdict(int)
    for one in detours:
        others = " and ".join(name for name in one["engaged"] if name != one["first"])
        groups[one["first"], others, (one["why"] or "").split(":")[0]] += 1
    whys = {(one["first"], (one["why"] or "").split(":")[0]): one["why"] for one in detours}
    return [
        f"{many(count, 'case')} of {first} with the stand-by {others or 'of another plan'}"
        + (f": {whys[first, cause]}" if cause else "")
        for (first, others, cause), count in sorted(groups.items())
    ]


def _urgency(one: Document) -> tuple[int, str]:
    """What an administrator has to mend comes first, then what may have gone out twice, then what simply waits."""
    if str(one["why"] or "").startswith("Misconfigured"):
        return 0, one["oldest_at"]
    ranks = {"claimed past its lease": 1, "unknown": 2, "parked": 3}
    return ranks.get(one["state"], 4), one["oldest_at"]


def _gap(times: Sequence[str]) -> float | None:
    """The usual number of seconds between two posts, from those that were looked at."""
    at = sorted(datetime.fromisoformat(one) for one in times)
    gaps = sorted((later - earlier).total_seconds() for earlier, later in itertools.pairwise(at))
    return gaps[len(gaps) // 2] if gaps else None


def _plain(name: str, value: Any) -> Any:
    """Moments as people read them; DynamoDB's sets as lists."""
    if isinstance(value, set | frozenset):
        return sorted(value)
    in_milliseconds = isinstance(value, int) and 10**12 < value < 10**14
    return moment(value) if in_milliseconds and not name.startswith("count") else value


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else moment(milliseconds)
