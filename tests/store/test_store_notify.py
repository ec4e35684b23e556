"""The turn of topics in the table: handed on in one transaction, found by the due index, won by one worker."""

from __future__ import annotations

import pytest

from connectors.core.case import Effect, EffectKind, EffectState, Happening, notify_id
from connectors.core.errors import ConflictError, UnavailableError
from connectors.core.ledger import Pace
from connectors.core.notify import Notifier
from tests.core.notify_bench import CARE, FAR, Audience, Letters
from tests.posts import said
from tests.store.shop import CASE, TOPIC, Plans, Shop

assert TOPIC == CARE


def open_case(shop: Shop) -> Effect:
    """A case with two topics; the first one's line, planned."""
    plans = Plans()
    assert plans.active is not None
    route = plans.active.routes[0].model_copy(update={"topics": (CARE, FAR)})
    plans.active = plans.active.of((route,), plans.active.systems)
    shop.take_in(said())
    shop.dispatcher(plans=plans).dispatch(shop.timeline(), shop.now())
    (line,) = lines(shop)
    return line


def lines(shop: Shop) -> list[Effect]:
    return [effect for effect in shop.cases.effects(CASE) if effect.kind is EffectKind.NOTIFY]


def run(shop: Shop, audience: Audience, effect: str, **given: bool) -> list[Effect]:
    case = shop.case()
    assert case is not None
    notifier = Notifier(shop.ledger, shop.cases, audience, Letters(), Pace(), shop.now, rounds=1)
    return notifier.run(case, effect, **given)


def test_the_turn_goes_round_and_the_case_tells_the_story(shop: Shop) -> None:
    first = open_case(shop)
    broken = Audience(fault=lambda topic: UnavailableError("its region does not answer"))
    assert [line.target for line in run(shop, broken, first.id)] == [CARE, FAR]
    assert {line.state for line in lines(shop)} == {EffectState.PARKED}
    far_future = shop.now() + 10**9
    assert [item for item in shop.waiting(far_future) if item.get("kind") == "notify"] == []
    assert run(shop, Audience(), first.id) == [], "given up: only a redrive wakes it"
    well = Audience()
    run(shop, well, first.id, again=True)
    assert [topic for topic, _ in well.sent] == [CARE]
    assert shop.happened()[2:] == [Happening.FAILED_OVER, Happening.UNDELIVERED, Happening.NOTIFIED]
    assert all(line.state.final for line in lines(shop))


def test_the_next_topic_is_due_at_once_should_the_worker_end_here(shop: Shop) -> None:
    first = open_case(shop)

    class Died(BaseException):
        pass

    def fault(topic: str) -> Exception:
        if topic == FAR:
            raise Died
        return UnavailableError("throttled")

    with pytest.raises(Died):
        run(shop, Audience(fault=fault), first.id)
    held = {line.target: line for line in lines(shop)}
    assert held[CARE].due_at is None
    assert held[FAR].state is EffectState.CLAIMED
    due = [item["id"] for item in shop.waiting(shop.now() + 70_000) if item.get("kind") == "notify"]
    assert due == [notify_id(FAR, Happening.OPENED)]


def test_what_another_worker_did_first_is_not_done_again(shop: Shop) -> None:
    first = open_case(shop)
    claimed = first.model_copy(update={"state": EffectState.CLAIMED, "attempt": 1})
    planned = first.model_copy(update={"id": notify_id(FAR, Happening.OPENED), "target": FAR})
    shop.ledger.hand_on([(first, claimed)], [planned])
    with pytest.raises(ConflictError):
        shop.ledger.hand_on([(first, claimed)], [])
    with pytest.raises(ConflictError):
        shop.ledger.hand_on([], [planned])
    assert len(lines(shop)) == 2
