"""Routes with conditions over a table: what a mention is asked, what a case becomes, who wins a race."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from connectors.aws.intake import Intake
from connectors.core.case import COUNTED, Case, EffectKind
from connectors.core.dispatch import Dispatcher
from connectors.core.errors import ConflictError
from connectors.core.facts import MOST_COUNTED
from connectors.core.ledger import Pace
from connectors.core.models import Author
from connectors.core.plan import Plan, Route, SystemConfig
from connectors.core.understanding import Verdict
from tests.doubles import Shelf
from tests.posts import gone, said
from tests.store.conftest import Backend
from tests.store.shop import CASE, SYSTEM, TOPIC, Rung, Shop

CRM = "stack/Crm"
HEADS = "arn:aws:sns:eu-central-1:000000000000:hailback-heads"


def plan(*routes: Route) -> Plan:
    rest = Route(name="rest", systems=(SYSTEM,), topics=(TOPIC,), coalesce=60.0)
    return Plan.of(
        (*routes, rest), {name: SystemConfig.of(name, "roundup", "hailback/x", {}) for name in (SYSTEM, CRM)}
    )


CHURN = Route(
    name="churn",
    when={"intent": ["churn_risk"]},
    systems=(CRM,),
    topics=(HEADS,),
    labels=("vip",),
    priority="urgent",
)
PRAISE = Route(name="praise", when={"intent": ["praise"]}, opens=False)


class Judge:
    """Understands a post by its first word."""

    def understand(self, text: str, language: str | None) -> Verdict:
        intent: Any = text.partition(" ")[0]
        return Verdict(intent if intent in {"churn_risk", "praise", "question"} else None, 0.91, "test-1")


@pytest.fixture
def judged(shop: Shop) -> Shop:
    shop.intake = Intake(shop.table, shop.blobs, now=shop.now, sleep=lambda seconds: None, understanding=Judge())
    return shop


def dispatch(shop: Shop, shelf: Shelf) -> int:
    waiting = [event for event in shop.timeline() if event.due_at]
    return Dispatcher(shop.cases, shelf, Rung(), Pace()).dispatch(waiting, shop.now())


def case_of(shop: Shop) -> Case:
    case = shop.case()
    assert case is not None
    return case


def test_a_mention_is_asked_what_the_table_knows_of_it(judged: Shop) -> None:
    author = Author(native_id="55", handle="ada", followers=1_200)
    judged.take_in(said(text="churn_risk I leave", author=author, language="en", metrics={"likes": 3}))
    facts = judged.cases.facts(case_of(judged), said().id, True)
    assert facts is not None
    assert (facts["source"], facts["intent"], facts["confidence"]) == ("stack/Forum", "churn_risk", 0.91)
    assert (facts["author"]["followers"], facts["language"], facts["metrics"]["likes"]) == (1_200, "en", 3)
    assert facts["person"] == {"known": False, "mentions": 0, "cases": None}


def test_what_the_same_author_said_before_is_counted_to_a_bound(judged: Shop) -> None:
    for number in range(2, 5):
        judged.take_in(said(number, topic=number))
    judged.take_in(said(9, topic=9, author=Author(native_id="77")))
    judged.take_in(said())
    facts = judged.cases.facts(case_of(judged), said().id, True)
    assert facts is not None
    assert facts["person"] == {"known": True, "mentions": 3, "cases": None}
    assert judged.cases.facts(case_of(judged), said().id, False)["person"]["mentions"] is None  # type: ignore[index]


def test_a_removed_mention_and_our_own_are_asked_nothing(judged: Shop) -> None:
    judged.take_in(said())
    judged.take_in(said(2, own=True))
    assert judged.cases.facts(case_of(judged), said(2).id, False) is None
    judged.take_in(gone())
    assert judged.cases.facts(case_of(judged), said().id, False) is None


def test_a_case_keeps_what_its_route_says(judged: Shop) -> None:
    shelf = Shelf(plan(CHURN))
    judged.take_in(said(text="churn_risk I leave"))
    assert dispatch(judged, shelf) == 3
    case = case_of(judged)
    assert (case.route, case.systems, case.engaged, case.topics) == ("churn", (CRM,), (CRM,), (HEADS,))
    assert (case.labels, case.priority, case.coalesce) == (("vip",), "urgent", 0.0)
    assert judged.happened() == ["opened", "routed"]
    assert dispatch(judged, shelf) == 0


def test_a_later_post_raises_the_case_once(judged: Shop) -> None:
    shelf = Shelf(plan(CHURN))
    judged.take_in(said(text="question when"))
    dispatch(judged, shelf)
    judged.take_in(said(2, text="churn_risk I leave"))
    dispatch(judged, shelf)
    dispatch(judged, shelf)
    case = case_of(judged)
    assert (case.route, case.engaged, case.joined, case.labels) == ("churn", (SYSTEM, CRM), (CRM,), ("vip",))
    assert sorted(judged.happened()) == ["opened", "raised", "routed", "said"]
    effects = judged.cases.effects(CASE)
    assert {one.target for one in effects if one.kind is EffectKind.RECORD} == {SYSTEM, CRM}
    assert [one.audience for one in effects if one.target == HEADS] == [(HEADS,)]
    assert len([one for one in effects if one.target == CRM and one.mention]) == 2, "all that was said"
    before = judged.rows()
    assert dispatch(judged, shelf) == 0
    assert judged.rows() == before


def test_a_counted_conversation_is_listed_and_becomes_a_case(judged: Shop) -> None:
    shelf = Shelf(plan(CHURN, PRAISE))
    judged.take_in(said(text="praise so good"))
    assert dispatch(judged, shelf) == 0
    judged.take_in(said(2, text="praise again"))
    assert dispatch(judged, shelf) == 0
    assert case_of(judged).state == COUNTED, "a further post does not reopen what never was open"
    assert [case.id for case in judged.cases.newest(10, COUNTED)] == [CASE]
    assert judged.cases.newest(10) == []
    judged.take_in(said(3, text="question but why"))
    dispatch(judged, shelf)
    dispatch(judged, shelf)
    assert case_of(judged).state == "open"
    assert [case.id for case in judged.cases.newest(10)] == [CASE]
    assert judged.cases.newest(10, COUNTED) == []
    notes = [one for one in judged.cases.effects(CASE) if one.kind is EffectKind.NOTE]
    assert {note.mention for note in notes} == {said(number).id for number in (1, 2, 3)}
    assert judged.waiting(judged.now() + 30_000) == []


def test_posts_that_are_gathered_are_due_when_the_window_is_over(judged: Shop) -> None:
    shelf = Shelf(plan())
    judged.take_in(said())
    dispatch(judged, shelf)
    judged.take_in(said(2))
    dispatch(judged, shelf)
    until = case_of(judged).gather_until
    judged.take_in(said(3))
    dispatch(judged, shelf)
    assert case_of(judged).gather_until == until
    notes = [one for one in judged.cases.effects(CASE) if one.kind is EffectKind.NOTE]
    assert [(note.retry_at, note.due_at) for note in notes[1:]] == [(until, until)] * 2
    gathered = {note.id for note in notes[1:]}
    assert gathered.isdisjoint({item.get("id") for item in judged.waiting(until - 1)})
    assert gathered <= {item.get("id") for item in judged.waiting(until)}


def test_a_case_that_was_routed_otherwise_meanwhile_is_left_alone(judged: Shop) -> None:
    shelf = Shelf(plan(CHURN))
    judged.take_in(said(text="question when"))
    unrouted = case_of(judged)
    dispatch(judged, shelf)
    routed = case_of(judged)
    for before in (
        unrouted,
        routed.model_copy(update={"route": "other"}),
        routed.model_copy(update={"engaged": (CRM,)}),
        routed.model_copy(update={"retired": (CRM,)}),
        routed.model_copy(update={"gather_until": 7}),
    ):
        with pytest.raises(ConflictError):
            judged.cases.plan(routed.model_copy(update={"labels": ("lost",)}), [], [], (), before)
    assert case_of(judged) == routed


def test_many_who_dispatch_at_once_raise_a_case_once(judged: Shop, backend: Backend) -> None:
    if not backend.simultaneous:
        pytest.skip("moto says nothing about writers at the same time")
    shelf = Shelf(plan(CHURN))
    judged.take_in(said(text="question when"))
    for number in range(2, 8):
        judged.take_in(said(number, text=f"{'churn_risk' if number % 2 else 'question'} {number}"))
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: dispatch(judged, shelf), range(12)))
    for _ in range(3):
        dispatch(judged, shelf)
    assert sorted(set(judged.happened())) == ["opened", "raised", "routed", "said"]
    assert [judged.happened().count(kind) for kind in ("routed", "raised")] == [1, 1]
    assert case_of(judged).engaged == (SYSTEM, CRM)
    effects = judged.cases.effects(CASE)
    for system in (SYSTEM, CRM):
        told = [one.mention for one in effects if one.target == system and one.mention]
        assert sorted(told) == sorted(said(number).id for number in range(1, 8))


def test_the_bound_of_what_is_counted_holds(judged: Shop) -> None:
    for number in range(MOST_COUNTED + 20):
        judged.take_in(said(number + 2, topic=number + 100, text="x"))
    judged.take_in(said())
    facts = judged.cases.facts(case_of(judged), said().id, True)
    assert facts is not None
    assert facts["person"]["mentions"] == MOST_COUNTED
