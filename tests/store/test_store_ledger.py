"""Dispatching and the ledger in the table: planned once, held by one, settled by whoever holds it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from connectors.core.case import CaseEvent, Effect, EffectKind, EffectState, Happening, Record, record_id
from connectors.core.errors import ConflictError, UnavailableError
from connectors.core.ledger import Next, Pace, claimed, done, failed, look_again, next_step
from connectors.core.sync import BATCH, RecordSync
from tests.doubles import Clock, Tracker
from tests.faults import Fault, FaultyClient
from tests.posts import gone, said
from tests.store.conftest import Backend
from tests.store.shop import CASE, SYSTEM, TOPIC, Plans, Rung, Shop

HOUR = 3_600_000


def record_of(shop: Shop) -> Effect:
    effect = shop.ledger.effect(CASE, record_id(SYSTEM))
    assert effect is not None
    return effect


def kinds(shop: Shop) -> list[str]:
    return sorted(effect.kind.value for effect in shop.cases.effects(CASE))


def syncing(shop: Shop, tracker: Tracker) -> RecordSync:
    return RecordSync(shop.ledger, shop.cases, tracker, Pace(), now=tracker.clock.now, remaining=lambda: 50.0, need=5.0)


def test_an_event_plans_record_note_and_notification_once(shop: Shop) -> None:
    shop.take_in(said())
    bells = Rung()
    events = shop.timeline()
    assert shop.dispatcher(bells).dispatch(events, shop.now()) == 3
    assert shop.dispatcher(bells).dispatch(events, shop.now()) == 0
    assert kinds(shop) == ["note", "notify", "record"]
    assert len(bells.effects) == 3
    case = shop.case()
    assert case is not None
    assert (case.route, case.systems, case.topics) == ("all", (SYSTEM,), (TOPIC,))
    assert all(event.due_at is None for event in shop.timeline())


def test_a_record_that_the_stream_repeats_in_one_batch_is_one_event(shop: Shop) -> None:
    shop.take_in(said())
    assert shop.dispatcher().dispatch(shop.timeline() * 3, shop.now()) == 3


def test_a_follow_up_plans_a_note_only(shop: Shop) -> None:
    shop.take_in(said(1))
    shop.dispatch()
    shop.take_in(said(2))
    assert shop.dispatch() == 1
    shop.take_in(gone(1, order=9))
    assert shop.dispatch() == 1
    assert kinds(shop) == ["note", "note", "note", "notify", "record"]


def test_forty_events_at_once_fit_into_a_transaction(shop: Shop) -> None:
    for post in range(1, 41):
        shop.take_in(said(post))
    assert shop.dispatch() == 42


def test_without_a_plan_an_event_waits_and_is_routed_once_there_is_one(shop: Shop) -> None:
    shop.take_in(said())
    plans = Plans(active=False)
    now = shop.now()
    assert shop.dispatcher(plans=plans).dispatch(shop.timeline(), now) == 0
    (event,) = shop.timeline()
    assert event.due_at == now + 60_000, "behind everything that is due before"
    assert shop.dispatch() == 3


def test_two_dispatchers_plan_once(open_shop: Callable[..., Shop], backend: Backend) -> None:
    if not backend.simultaneous:
        pytest.skip("moto says nothing about writers at the same time")
    shop = open_shop()
    for post in range(1, 7):
        shop.take_in(said(post))
    events = shop.timeline()
    with ThreadPoolExecutor(8) as pool:
        planned = list(pool.map(lambda part: shop.dispatcher().dispatch(part, shop.now()), [events, events[2:]] * 6))
    assert sum(planned) == 8, "six notes, a record and a notification"
    assert len(kinds(shop)) == 8
    assert all(event.due_at is None for event in shop.timeline())


def test_a_dispatcher_that_loses_to_another_plan_follows_it(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop()
    shop.take_in(said(1))
    shop.take_in(said(2))
    first, second = shop.timeline()

    def other() -> None:
        shop.dispatcher().dispatch([first], shop.now())

    slow = open_shop(lambda client: FaultyClient(client, [Fault("transact_write_items", 1, before=other)]))
    assert slow.dispatcher().dispatch([first, second], slow.now()) == 1
    assert kinds(shop) == ["note", "note", "notify", "record"]


def test_the_sweep_finds_what_is_due_longest_overdue_first(shop: Shop) -> None:
    for topic in range(1, 9):
        shop.take_in(said(topic, topic=topic))
    now = shop.now()
    assert shop.waiting(now) == [], "the stream has a minute"
    found = shop.waiting(now + 61_000)
    assert len(found) == 8
    assert {item["type"] for item in found} == {"event"}
    shop.due.later(found[0], now + HOUR)
    assert len(shop.waiting(now + 61_000)) == 7


def test_what_somebody_is_at_work_on_is_not_put_off(shop: Shop) -> None:
    shop.take_in(said())
    (item,) = shop.waiting(shop.now() + HOUR)
    shop.dispatch()
    shop.due.later(item, shop.now() + HOUR)
    assert all(event.due_at is None for event in shop.timeline())


def test_of_two_workers_one_holds_an_effect(shop: Shop) -> None:
    shop.take_in(said())
    shop.dispatch()
    before = record_of(shop)
    held = claimed(before, shop.now(), 65)
    shop.ledger.claim(before, held)
    with pytest.raises(ConflictError):
        shop.ledger.claim(before, claimed(before, shop.now(), 65))
    assert record_of(shop).attempt == 1


def test_a_worker_that_was_thought_dead_cannot_overwrite_its_successor(shop: Shop) -> None:
    shop.take_in(said())
    shop.dispatch()
    before = record_of(shop)
    zombie = claimed(before, 0, 65)
    shop.ledger.claim(before, zombie)
    successor = claimed(zombie, 100_000, 65)
    shop.ledger.claim(zombie, successor)
    late = done(zombie, 100_001, "issue1")
    event = CaseEvent(case=CASE, id="e", kind=Happening.RECORDED, at=100_001)
    with pytest.raises(ConflictError):
        shop.ledger.settle([(zombie, late)], event, Record(system=SYSTEM, id="issue1", url="u"))
    assert record_of(shop).attempt == 2
    case = shop.case()
    assert case is not None
    assert case.record is None
    assert "recorded" not in shop.happened()


def test_settling_names_the_record_and_leaves_the_due_index(shop: Shop) -> None:
    shop.take_in(said())
    shop.dispatch()
    before = record_of(shop)
    held = claimed(before, shop.now(), 65)
    shop.ledger.claim(before, held)
    event = CaseEvent(case=CASE, id="e", kind=Happening.RECORDED, at=shop.now())
    shop.ledger.settle([(held, done(held, shop.now(), "issue1", "u"))], event, Record(system=SYSTEM, id="i", url="u"))
    case = shop.case()
    assert case is not None
    assert case.record == Record(system=SYSTEM, id="i", url="u")
    assert SYSTEM not in {item.get("target") for item in shop.waiting(shop.now() + HOUR) if item["id"] == before.id}
    assert shop.happened() == ["opened", "routed", "recorded"]


def test_the_sweep_wakes_a_parked_effect_and_its_worker_then_acts(shop: Shop) -> None:
    shop.take_in(said())
    shop.dispatch()
    before = record_of(shop)
    held = claimed(before, shop.now(), 65)
    shop.ledger.claim(before, held)
    parked = failed(held, UnavailableError("down", retry_after=100), shop.now(), Pace())
    shop.ledger.settle([(held, parked)])
    at = parked.retry_at or 0
    assert next_step(record_of(shop), at - 1, 0) is Next.WAIT
    (item,) = [item for item in shop.waiting(at) if item["id"] == before.id]
    shop.due.later(item, look_again(parked, at, Pace()))
    assert next_step(record_of(shop), at + 1, 0) is Next.SEND


def test_fifty_posts_come_into_the_record_in_order_in_few_notes(shop: Shop) -> None:
    for post in range(1, 51):
        shop.take_in(said(post))
        if post % 40 == 0 or post == 50:
            shop.dispatch()
    clock = Clock(seconds=shop.now() / 1000 + 10)
    tracker = Tracker(clock)
    case = shop.case()
    assert case is not None
    outcome = syncing(shop, tracker).run(case, SYSTEM)
    assert (outcome.done, outcome.later) == (3, 0)
    assert len(tracker.records) == 1
    assert len(tracker.notes) == 2 == -(-50 // BATCH)
    told = [line.rpartition(":")[2] for _, text in tracker.notes for line in text.splitlines() if "Post: " in line]
    assert told == [str(post) for post in range(1, 51)]
    assert {e.state for e in shop.cases.effects(CASE) if e.kind is not EffectKind.NOTIFY} == {EffectState.DONE}


def test_two_workers_at_once_tell_every_post_once(open_shop: Callable[..., Shop], backend: Backend) -> None:
    if not backend.simultaneous:
        pytest.skip("moto says nothing about writers at the same time")
    shop = open_shop()
    for post in range(1, 31):
        shop.take_in(said(post))
    shop.dispatch()
    tracker = Tracker(Clock(seconds=shop.now() / 1000 + 10))
    case = shop.case()
    assert case is not None

    def work(_: object) -> Any:
        return syncing(shop, tracker).run(case, SYSTEM)

    for _ in range(4):
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(6)))
    assert len(tracker.records) == 1
    told = [line for _, text in tracker.notes for line in text.splitlines() if "Post: " in line]
    assert len(told) == len(set(told)) == 30
