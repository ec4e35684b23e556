"""Plans beside the base whose effects are off: what they would take, and that nothing else is different."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from connectors.core.case import Case
from connectors.core.plan import Plan, Route
from connectors.core.plan_merge import PlanPart
from connectors.core.router import share
from connectors.core.routing import Routing
from tests.core.test_plan_merge import asked, base, events, others, taken, whole

CASE = Case(
    id="c", conversation="d:f:1", connector="d", source="care/Forum", first_mention="m", opened_at=1, updated_at=""
)


def switched(part: PlanPart, *, on: bool) -> PlanPart:
    return PlanPart.of(part.id, part.routes, priority=part.priority, everywhere=part.everywhere, effects=on)


def would(plan: Plan, event: tuple[str, str | None, int]) -> set[str]:
    """The routes of shadows that would have taken an event."""
    routing, facts = Routing(plan), asked(*event)
    every = {one.id for one in plan.shadows}
    return {route.name for _, route in routing.shadows.of(facts, routing.first(facts), every)}


@settings(max_examples=100)
@given(base, others, events)
def test_a_shadow_changes_nothing_and_would_take_what_it_takes_when_it_is_on(
    base: PlanPart, beside: list[PlanPart], event: tuple[str, str | None, int]
) -> None:
    for mine in beside:
        rest = [part for part in beside if part is not mine]
        with_it, without, on = (
            whole(base, [*rest, switched(mine, on=False)]),
            whole(base, rest),
            whole(base, beside),
        )
        assert (with_it.routes, with_it.systems) == (without.routes, without.systems)
        assert taken(with_it, event) == taken(without, event)
        by = taken(on, event)
        assert would(with_it, event) == ({by.name} if by.plan == mine.id else set())
        assert with_it.as_if_on == on.routes
        assert len({with_it.version, without.version, on.version}) == 3


@given(base, others)
def test_the_order_as_if_all_were_on_is_that_when_all_are_on(base: PlanPart, beside: list[PlanPart]) -> None:
    shadows = [switched(part, on=at % 2 == 0) for at, part in enumerate(beside)]
    assert whole(base, shadows).as_if_on == whole(base, beside).routes


def told(plan: Plan, case: Case, again: bool, *, intent: str) -> tuple[Case, list[dict[str, str]]]:
    routing, facts = Routing(plan), asked("care", intent, 10)
    after, lines = routing.shadows.told(case, facts, routing.first(facts), "m", 5, {"care/New"}, again=again)
    return after, [line.detail for line in lines]


def plan_of(*routes: Route) -> Plan:
    rest = PlanPart.of("care/Base", (Route(name="rest", systems=("care/Desk",)),))
    return whole(rest, [PlanPart.of("care/New", routes, priority=1, effects=False)])


def test_a_later_post_is_told_of_only_where_it_would_have_changed_the_case() -> None:
    both: dict[str, Any] = {"systems": ("a/Desk",)}
    first = Route(name="first", when={"intent": ["complaint"]}, priority="urgent", labels=("x", "y"), **both)
    thanks = Route(name="thanks", when={"intent": ["praise"]}, opens=False)
    other = Route(name="other", when={"intent": ["idea"]}, **both)
    plan = plan_of(first, thanks, other)
    case, lines = told(plan, CASE, False, intent="praise")
    assert lines == [{"shadow": "care/New", "route": "care/New/thanks", "counted": "true"}]
    assert told(plan, case, True, intent="praise") == (case, []), "counted again"
    case, lines = told(plan, case, True, intent="idea")
    assert [line["route"] for line in lines] == ["care/New/other"], "a counted one is opened"
    assert told(plan, case, True, intent="idea") == (case, [])
    case, lines = told(plan, case, True, intent="complaint")
    assert lines[0] == {
        "shadow": "care/New",
        "route": "care/New/first",
        "systems": "a/Desk",
        "labels": "x, y",
        "priority": "urgent",
    }, "an earlier route raises it"
    assert told(plan, case, True, intent="idea") == (case, [])


def test_what_a_shadow_no_longer_is_says_nothing() -> None:
    routing = Routing(plan_of(Route(name="all", systems=("a/Desk",))))
    facts = asked("care", None, 10)
    assert [route.name for _, route in routing.shadows.of(facts, 0, {"care/New"})] == ["care/New/all"]
    assert list(routing.shadows.of(facts, 0, {"care/Other"})) == []


def test_what_shadows_add_fits_into_the_transaction() -> None:
    for systems in range(1, 11):
        count, lines = share(systems, 10), 10
        assert count >= 1
        if count > 1:
            assert (count + 1) * (2 + systems) + min(4, count) * systems + 9 + lines <= 100
