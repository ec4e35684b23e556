"""The exactly-once promise under kills: many posts, each delivered twice at once, while workers die at random.

`HAILBACK_STORM=1000` sets the number of posts; the default is what fits into `make test`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from connectors.tool.delivering import Deliverer
from connectors.tool.local import RunningStack
from connectors.tool.samples import Sample
from tests.e2e.wait import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

POSTS = int(os.environ.get("HAILBACK_STORM", "120"))
TOPICS = max(3, POSTS // 10)
KILLED = ("IngestEvent", "DispatchCase", "SyncRecord")
FIRST = 700_000
KILLS = max(15, POSTS // 10)
PATIENCE = 300 + POSTS


def post(number: int) -> Sample:
    """The webhook of one post. Posts of a topic are delivered in any order, as a busy forum's are."""
    topic = FIRST + number % TOPICS
    place = number // TOPICS + 1
    body = {
        "post": {
            "id": FIRST + number,
            "user_id": 5_000 + number % 37,
            "username": f"user{number % 37}",
            "created_at": "2026-11-20T08:00:00.000Z",
            "raw": f"Storm {number}: my order has not arrived.",
            "cooked": f"<p>Storm {number}: my order has not arrived.</p>",
            "post_number": place,
            "post_type": 1,
            "reply_to_post_number": None,
            "topic_id": topic,
            "topic_slug": f"storm-{topic}",
            "topic_title": f"Storm topic {topic}",
            "topic_archetype": "regular",
            "version": 1,
        },
    }
    headers = {
        "content-type": "application/json",
        "x-discourse-instance": "https://forum.acme.com",
        "x-discourse-event-type": "post",
        "x-discourse-event": "post_created",
        "x-discourse-event-id": str(FIRST + number),
    }
    return Sample(body=json.dumps(body).encode(), headers=headers)


class Killer(threading.Thread):
    """Kills a random worker of the three functions every fraction of a second, until told to stop, and not without end:
    where every new worker dies before it has begun, nothing ever gets done."""

    def __init__(self, machine: RunningStack, seed: int) -> None:
        super().__init__(daemon=True)
        self._machine, self._random = machine, random.Random(seed)
        self._ended = threading.Event()
        self.killed: Counter[str] = Counter()

    def run(self) -> None:
        while sum(self.killed.values()) < KILLS and not self._ended.wait(self._random.uniform(0.3, 1.2)):
            name = self._random.choice(KILLED)
            workers = self._machine.aws.workers(self._machine.functions[name])
            if workers:
                with suppress(ProcessLookupError):
                    os.kill(self._random.choice(workers), signal.SIGKILL)
                    self.killed[name] += 1

    def stop(self) -> None:
        self._ended.set()
        self.join()


def test_every_post_once_though_workers_die(machine: RunningStack) -> None:
    deliverer = Deliverer("discourse", machine.webhook_url("Forum"), machine.secret("Forum"))
    deliveries = [post(number) for number in range(POSTS)] * 2
    random.Random(2).shuffle(deliveries)
    started = time.monotonic()
    killer = Killer(machine, seed=3)
    killer.start()
    try:
        with ThreadPoolExecutor(12) as pool:
            answers = Counter(answer.status for answer in pool.map(deliverer.deliver, deliveries))
        assert answers == {200: 2 * POSTS}
        delivered = time.monotonic() - started
        # The killing goes on while the queues are worked off, but not until the last effect, or nothing would end.
        until(lambda: len(_notes(machine)) >= POSTS // 2, PATIENCE, "half of the posts in the tracker")
    finally:
        killer.stop()

    until(lambda: len(_notes(machine)) >= POSTS, PATIENCE, "every post in the tracker")
    until(lambda: not _working(machine), PATIENCE, "no effect left to do")
    took = time.monotonic() - started
    print(f"{POSTS} posts in {TOPICS} topics, delivered twice in {delivered:.0f} s, all told after {took:.0f} s;")
    print(f"killed: {dict(killer.killed)}; notes: {len(_storm(machine))} tickets")

    ids = {_id(number) for number in range(POSTS)}
    assert all(machine.cases.mention(name)[1] is not None for name in ids)
    tickets = _storm(machine)
    assert Counter(ticket.title for ticket in tickets) == {f"Storm topic {FIRST + n}": 1 for n in range(TOPICS)}
    told = Counter(_notes(machine))
    assert {name: told[name] for name in ids} == dict.fromkeys(ids, 1)
    places = {(ticket.title, name) for ticket in tickets for text in ticket.notes.values() for name in _named(text)}
    assert places == {(f"Storm topic {FIRST + n % TOPICS}", _id(n)) for n in range(POSTS)}, "a note is elsewhere"
    assert sum(killer.killed.values()) >= 3, "the test killed too little to show anything"
    assert machine.dead_letters() == {}


def _storm(machine: RunningStack) -> list:
    return [ticket for ticket in machine.tickets.all() if ticket.title.startswith("Storm topic")]


def _notes(machine: RunningStack) -> list[str]:
    """The post ids in all notes, once for each time they stand there; every note of the tracker, attached or not."""
    return [name for text in machine.tickets.note_texts() for name in _named(text)]


def _named(text: str) -> list[str]:
    """The storm's posts in one note."""
    found = (line.removeprefix("Post: ").strip() for line in text.splitlines() if line.startswith("Post: "))
    return [name for name in found if name.startswith(_id(0)[:-5])]


def _id(number: int) -> str:
    return f"discourse:forum.acme.com:{FIRST + number}"


def _working(machine: RunningStack) -> bool:
    return any(not effect.state.final for case in _cases(machine) for effect in machine.cases.effects(case))


def _cases(machine: RunningStack) -> list[str]:
    return [case.id for case in machine.cases.newest(10_000)]
