"""The primary system of record killed, its answers lost after they were committed, and the network cut, at random.

Afterwards: one live record for each conversation, one at most in each system, each post in one note of it, nothing
lost. `HAILBACK_CHAOS=2000` sets the number of conversations, `HAILBACK_CHAOS_SECONDS=600` for how long it is rough; the
default is what fits into `make test`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from connectors.aws.due import Due
from connectors.core.case import SHARDS, Case, EffectState, record_id
from connectors.core.identity import case_id
from connectors.core.reconcile import Difference, record_key
from connectors.tool.delivering import Deliverer
from connectors.tool.deployment import apply
from connectors.tool.evidence import mentions
from connectors.tool.local import ROUTES, RunningStack
from connectors.tool.reconciling import Reconciler
from connectors.tool.samples import Sample
from connectors.tool.story import sweeping
from connectors.tool.tickets import Ticket
from connectors.tool.venvs import CHECKOUT
from tests.e2e.chaos_proxy import ChaosProxy, Fault
from tests.e2e.pollers import more_pollers
from tests.e2e.wait import until

CONVERSATIONS = int(os.environ.get("HAILBACK_CHAOS", "20"))
SEED = int(os.environ.get("HAILBACK_CHAOS_SEED", "5"))
SMALL = CONVERSATIONS <= 50
ROUGH = float(os.environ.get("HAILBACK_CHAOS_SECONDS", "22" if SMALL else "300"))
"""Seconds for which it is rough; longer where delivering takes longer."""
POLLERS = 1 if SMALL else 2
PATIENCE = 200 + 1.5 * CONVERSATIONS
LONGER = 40 if SMALL else PATIENCE
"""Seconds for which it stays rough until each thing has gone wrong."""
FIRST = 300_000
PRIMARY, STANDBY = f"{ROUTES}/Tracker", f"{ROUTES}/Zendesk"
LOSSY = {
    Fault.DROPPED: 0.12,
    Fault.TORN: 0.06,
    Fault.CUT: 0.06,
    Fault.LATE: 0.03,
    Fault.STALLED: 0.02,
    Fault.HUNG: 0.01,
}
WEATHERS = {
    "fair": (0.10, {}),
    "lossy": (0.55, LOSSY),
    "cut": (0.08, {Fault.CUT: 1.0}),
    "silent": (0.05, {Fault.HUNG: 0.5, Fault.STALLED: 0.5}),
    "killed": (0.22, LOSSY),
}
"""Each with how often it comes and what it does to requests."""
LASTS = {"cut": (2, 6), "silent": (2, 6), "killed": (1, 14)}
"""For how many seconds at least and at most, where not for 5 to 12."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600 + 3 * CONVERSATIONS)]


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation with one to three posts."""

    topic: int

    @property
    def conversation(self) -> str:
        return f"discourse:forum.acme.com:{self.topic}"

    @property
    def case(self) -> str:
        return case_id(self.conversation)

    @property
    def posts(self) -> list[str]:
        return [f"discourse:forum.acme.com:{self.topic * 10 + place}" for place in range(1, 2 + self.topic % 3)]

    def deliveries(self) -> list[Sample]:
        return [_webhook(self.topic, int(post.rsplit(":", 1)[1])) for post in self.posts]


def _webhook(topic: int, number: int) -> Sample:
    text = f"Chaos {number}: the heating is cold."
    body = {
        "post": {
            "id": number,
            "user_id": 6_000 + topic % 41,
            "username": f"guest{topic % 41}",
            "created_at": "2026-11-20T08:00:00.000Z",
            "raw": text,
            "cooked": f"<p>{text}</p>",
            "post_number": number % 10,
            "post_type": 1,
            "reply_to_post_number": None,
            "topic_id": topic,
            "topic_slug": f"chaos-{topic}",
            "topic_title": f"Chaos topic {topic}",
            "topic_archetype": "regular",
            "version": 1,
        },
    }
    headers = {
        "content-type": "application/json",
        "x-discourse-instance": "https://forum.acme.com",
        "x-discourse-event-type": "post",
        "x-discourse-event": "post_created",
        "x-discourse-event-id": str(number),
    }
    return Sample(body=json.dumps(body).encode(), headers=headers)


class Chaos(threading.Thread):
    """Changes the weather, kills the tracker and the workers that write to it, until told to stop; then all is well."""

    def __init__(self, machine: RunningStack, proxy: ChaosProxy, seed: int) -> None:
        super().__init__(daemon=True)
        self._machine, self._proxy, self._random = machine, proxy, random.Random(seed)
        self._ended = threading.Event()
        self.weathers: Counter[str] = Counter()
        self.workers = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            first = [("lossy", 6.0), ("killed", 10.0), ("lossy", 6.0)]  # so that a short run has them too
            names, weights = list(WEATHERS), [share for share, _ in WEATHERS.values()]
            while not self._ended.is_set():
                drawn = self._random.choices(names, weights)[0]
                name, seconds = first.pop(0) if first else (drawn, self._random.uniform(*LASTS.get(drawn, (5, 12))))
                self.weathers[name] += 1
                self._proxy.rates = WEATHERS[name][1]
                if name == "killed":
                    self._kill(seconds)
                else:
                    self._last(seconds)
        except BaseException as error:  # shown by the test, which waits for this thread
            self.failure = error
        finally:
            self._proxy.rates = {}

    def _kill(self, seconds: float) -> None:
        """A crash for so long. Half of the time its port is closed too, as where no load balancer stands before it."""
        if self._random.random() < 0.5:
            self._proxy.shut()
        self._machine.tracker.kill()
        self._last(seconds)
        self._machine.tracker.restart()
        self._proxy.open()

    def _last(self, seconds: float) -> None:
        """For so long, while now and then a worker dies."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0 and not self._ended.wait(min(left, self._random.uniform(0.5, 2))):
            workers = self._machine.aws.workers(self._machine.functions["SyncRecord"])
            if workers and self._random.random() < 0.1:
                with suppress(ProcessLookupError):
                    os.kill(self._random.choice(workers), signal.SIGKILL)
                    self.workers += 1

    def stop(self) -> None:
        self._ended.set()
        self.join()
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def proxy(machine: RunningStack) -> Iterator[ChaosProxy]:
    """The routes are deployed anew with the proxy's address for the tracker's, and afterwards as they were.

    The machine is thus the one that all tests share: what else is tested there comes before or after."""
    proxy = ChaosProxy(machine.tracker.base_url, SEED)
    try:
        with _tracker_at(machine, proxy.base_url):
            yield proxy
            proxy.rates = {}
            proxy.open()
            if not machine.tracker.alive():
                machine.tracker.restart()
    finally:
        proxy.stop()


@contextmanager
def _tracker_at(machine: RunningStack, url: str) -> Iterator[None]:
    before = _parameters(machine)
    _reroute(machine, {**before, "TrackerUrl": url})
    try:
        yield
    finally:
        _reroute(machine, before)


def _parameters(machine: RunningStack) -> dict[str, str]:
    (shown,) = machine.client("cloudformation").describe_stacks(StackName=ROUTES)["Stacks"]
    return {one["ParameterKey"]: one["ParameterValue"] for one in shown["Parameters"]}


def _reroute(machine: RunningStack, parameters: dict[str, str]) -> None:
    template = (CHECKOUT / "infra" / "routes.yaml").read_text(encoding="utf-8")
    apply(machine.client("cloudformation"), ROUTES, template, parameters)
    for name in ("SyncRecord", "PollSource"):  # new workers read the plan anew; old ones might take the old address
        for pid in machine.aws.workers(machine.functions[name]):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass
class Seen:
    """All that the systems have: every record and note of theirs, whichever case it is of."""

    tickets: dict[str, list[Ticket]] = field(default_factory=lambda: defaultdict(list))
    stand_ins: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    notes: Counter[str] = field(default_factory=Counter)
    """How often each post stands in the tracker's notes, attached or not."""

    @classmethod
    def look(cls, machine: RunningStack) -> Seen:
        seen = cls()
        for ticket in machine.tickets.all():
            seen.tickets[ticket.key or ""].append(ticket)
        for one in machine.zendesk.state()["tickets"]:
            seen.stand_ins[str(one.get("external_id") or "")].append(one)
        for text in machine.tickets.note_texts():
            seen.notes.update(_named(text))
        return seen


def _named(text: str) -> list[str]:
    return [line.removeprefix("Post: ").strip() for line in text.splitlines() if line.startswith("Post: ")]


def _nothing_due(machine: RunningStack) -> bool:
    """Whether nothing waits, but for the next poll: no event, no effect, of whatever age."""
    due, far = Due(machine.table), int(time.time() * 1000) + 10**9
    rows = (item for number in range(SHARDS) for item in due.waiting(number, far, 10_000))
    return all(item.get("type") not in {"event", "effect"} for item in rows)


def _reconciled(machine: RunningStack, system: str) -> list[tuple[Difference, str]]:
    """What `hailback reconcile` finds and mends."""
    return Reconciler(machine, system).run().differences


def test_one_live_record_each_though_the_primary_fails_in_every_way(machine: RunningStack, proxy: ChaosProxy) -> None:
    talks = [Talk(FIRST + number) for number in range(CONVERSATIONS)]
    deliveries = [sample for talk in talks for sample in talk.deliveries()] * 2
    random.Random(SEED).shuffle(deliveries)
    deliverer = Deliverer("discourse", machine.webhook_url("Forum"), machine.secret("Forum"))
    started = time.monotonic()
    chaos = Chaos(machine, proxy, SEED)

    def said(what: str) -> None:
        print(f"{time.monotonic() - started:7.1f} s  {what}", flush=True)

    with sweeping(machine), more_pollers(machine, POLLERS):
        chaos.start()
        try:
            with ThreadPoolExecutor(12) as pool:
                answers = Counter(answer.status for answer in pool.map(deliverer.deliver, deliveries))
            assert answers == {200: len(deliveries)}
            said(f"{len(talks)} conversations, {len(deliveries) // 2} posts delivered twice")
            until(lambda: time.monotonic() - started > ROUGH, ROUGH + 1, "the rough time to pass")
            # What goes wrong is left to chance; on a slow machine, some of it may not.
            with suppress(AssertionError):
                until(lambda: chaos.weathers["killed"] and proxy.lost_commits, LONGER, "all that was to go wrong")
                until(lambda: _handed_over(machine, talks), LONGER, "the stand-by to take a conversation", every=1)
        finally:
            chaos.stop()
        calm = time.monotonic()
        said(f"calm again; {dict(chaos.weathers)}, {chaos.workers} workers killed")
        said(f"requests: {dict(proxy.met)}; {proxy.lost_commits} committed writes whose answer was lost")
        until(lambda: proxy.busy == 0 and _nothing_due(machine), PATIENCE, "nothing left to do", every=2)
        said(f"nothing left to do, {time.monotonic() - calm:.1f} s after it was calm")
        for system in (PRIMARY, STANDBY):
            differences = _reconciled(machine, system)
            said(f"reconciled {system}: {dict(Counter(one.fault.value for one, _ in differences))}")
        until(lambda: _nothing_due(machine), PATIENCE, "what was reconciled to be mended", every=2)
        assert [_reconciled(machine, system) for system in (PRIMARY, STANDBY)] == [[], []], "it differs for good"
    said("nothing differs")
    assert chaos.weathers["killed"] or proxy.lost_commits, "too little went wrong to show anything"

    seen = Seen.look(machine)
    wrong = {talk.case: faults for talk in talks if (faults := _faults(machine, seen, talk))}
    over = sum(bool(seen.stand_ins[record_key(talk.case, STANDBY)]) for talk in talks)
    said(f"{over} conversations had been handed to the stand-by; wrong: {len(wrong)}")
    assert not wrong, dict(list(wrong.items())[:10])
    titles = Counter(ticket.title for some in seen.tickets.values() for ticket in some)
    assert {title: count for title, count in titles.items() if title.startswith("Chaos ")} == {
        f"Chaos topic {talk.topic}": 1 for talk in talks
    }
    assert machine.dead_letters() == {}


def _handed_over(machine: RunningStack, talks: list[Talk]) -> bool:
    """Whether the stand-by has a record of any of these."""
    keys = {record_key(talk.case, STANDBY) for talk in talks}
    return any(one.get("external_id") in keys for one in machine.zendesk.state()["tickets"])


def _faults(machine: RunningStack, seen: Seen, talk: Talk) -> list[str]:
    """What is wrong with one conversation, in words; nothing is expected."""
    case, effects = machine.cases.case(talk.case), machine.cases.effects(talk.case)
    if case is None:
        return ["there is no case"]
    here, there = seen.tickets[record_key(case.id, PRIMARY)], seen.stand_ins[record_key(case.id, STANDBY)]
    found = [f"{one.id} is {one.state}: {one.error}" for one in effects if not one.state.final]
    found += [f"{one.id} ended {one.state}" for one in effects if one.state is EffectState.REJECTED]
    if len(here) != 1 or len(there) > 1:
        return [*found, f"{len(here)} records in the tracker, {len(there)} in the stand-by"]
    if case.record is None or (case.record.system, case.record.id) != (PRIMARY, here[0].id):
        found.append(f"{case.record} is named as live, not {here[0].id}")
    text = list(here[0].notes.values())
    for post in talk.posts:
        stands = sum(name == post for note in text for name in _named(note))
        if (stands, seen.notes[post]) != (1, 1):
            found.append(f"{post} stands {stands} times in {here[0].id}, {seen.notes[post]} times in the tracker")
    line = next((one for one in effects if one.id == record_id(STANDBY) and one.state is EffectState.DONE), None)
    if (line.reference if line else None) != (str(there[0]["id"]) if there else None):
        return [*found, f"the ledger says of the stand-by: {line}"]
    return found + (_stand_by_faults(case, here[0], there[0], line.url or "") if line else [])


def _stand_by_faults(case: Case, here: Ticket, there: dict[str, Any], url: str) -> list[str]:
    """What is wrong with how the stand-by's record, at this address, was closed."""
    found = []
    if there["status"] not in {"solved", "closed"}:
        found.append(f"the stand-by's ticket {there['id']} is {there['status']}")
    words = [comment["body"] for comment in there["comments"]]
    if not case.record or sum(mentions(body, case.record.url) for body in words) != 1:
        found.append(f"the stand-by's ticket {there['id']} does not name the live record once")
    if sum(mentions(note, url) for note in here.notes.values()) != 1:
        found.append(f"{here.id} does not name the stand-by's ticket {there['id']} once")
    twice = {name: count for name, count in Counter(n for body in words for n in _named(body)).items() if count > 1}
    return found + ([f"twice in the stand-by's ticket: {twice}"] if twice else [])
