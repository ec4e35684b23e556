"""Several plans in one: whose routes come first, what they are called, and which mentions they may take."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core import plan_merge
from connectors.core.facts import facts
from connectors.core.models import Mention
from connectors.core.pattern_index import Index
from connectors.core.pattern_parse import parse
from connectors.core.plan import Plan, Route, SystemConfig
from connectors.core.plan_merge import PlanPart, check_part, merge, part_of

SYSTEMS = {name: SystemConfig.of(name, "tracker", "hailback/t", {}) for name in ("a/Desk", "b/Desk", "care/Desk")}
WHENS: list[dict[str, Any] | None] = [
    None,
    {"intent": ["complaint"]},
    {"author": {"followers": [{"numeric": [">", 1000]}]}},
    {"$or": [{"intent": ["praise"]}, {"author": {"followers": [{"numeric": [">", 1000]}]}}]},
]
STACKS = ("a", "b", "care")

routes = st.lists(
    st.builds(
        lambda name, when, system: Route(name=name, when=when, systems=(system,)),
        st.sampled_from(["vip", "bugs", "ideas"]),
        st.sampled_from(WHENS),
        st.sampled_from(sorted(SYSTEMS)),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda route: route.name,
)
others = st.lists(
    st.builds(
        lambda stack, name, routes, priority: PlanPart.of(f"{stack}/{name}", tuple(routes), priority=priority),
        st.sampled_from(STACKS),
        st.sampled_from(["Plan", "Second"]),
        routes,
        st.integers(0, 3),
    ),
    max_size=4,
    unique_by=lambda part: part.id,
)
base = routes.map(
    lambda given: PlanPart.of("care/Base", (*(r for r in given if r.when), Route(name="rest", systems=("care/Desk",))))
)
events = st.builds(
    lambda stack, intent, followers: (stack, intent, followers),
    st.sampled_from([*STACKS, "elsewhere"]),
    st.sampled_from(["complaint", "praise", None]),
    st.sampled_from([10, 5000]),
)


def asked(stack: str, intent: str | None, followers: int) -> dict[str, Any]:
    mention = Mention(connector="discourse", authority="forum", native_id="1", conversation_id="1", text="hello")
    found = dict(facts(mention, f"{stack}/Forum", intent=intent, confidence=0.9))
    return {**found, "author": {"id": "1", "handle": "ada", "name": "Ada", "followers": followers}}


def taken(plan: Plan, event: tuple[str, str | None, int]) -> Route:
    patterns = [None if route.when is None else parse(route.when, "When") for route in plan.routes]
    number = Index(patterns).first(asked(*event))
    assert number is not None
    return plan.routes[number]


def whole(base: PlanPart, beside: list[PlanPart]) -> Plan:
    plan = merge([*beside, base], SYSTEMS)
    assert plan is not None
    return plan


@given(base, others)
def test_every_route_is_there_once_under_a_name_of_its_own(base: PlanPart, beside: list[PlanPart]) -> None:
    plan = whole(base, beside)
    names = [route.name for route in plan.routes]
    assert len(set(names)) == len(names) == sum(len(part.routes) for part in (base, *beside))
    assert plan.routes[-len(base.routes) :] == base.routes, "those of the base are as they were, and last"
    for part in beside:
        mine = [route.name for route in plan.routes if route.plan == part.id]
        assert mine == [f"{part.id}/{route.name}" for route in part.routes]
        assert {part_of(name) for name in mine} == {part.id}


@given(base, others, st.randoms())
def test_the_order_of_deployment_decides_nothing(base: PlanPart, beside: list[PlanPart], dice: Any) -> None:
    parts = [base, *beside]
    dice.shuffle(parts)
    assert merge(parts, SYSTEMS) == whole(base, beside)


@given(base, others)
def test_the_lowest_priority_comes_first_and_ties_by_id(base: PlanPart, beside: list[PlanPart]) -> None:
    order = [name for name, _ in itertools.groupby(route.plan for route in whole(base, beside).routes) if name]
    assert order == [part.id for part in sorted(beside, key=lambda part: (part.priority or 0, part.id))]


@settings(max_examples=60)
@given(base, others, events)
def test_a_plan_takes_nothing_of_other_stacks_sources(
    base: PlanPart, beside: list[PlanPart], event: tuple[str, str | None, int]
) -> None:
    """What the plans of other stacks decide is as if this one were not there; its own sources it may take."""
    by = taken(whole(base, beside), event)
    if by.plan is not None:
        assert by.plan.startswith(f"{event[0]}/")
    foreign = [part for part in beside if not part.id.startswith(f"{event[0]}/")]
    without = [part for part in beside if part not in foreign]
    assert taken(whole(base, without), event) == by


@given(base, others)
def test_taking_a_plan_away_leaves_the_others_as_they_were(base: PlanPart, beside: list[PlanPart]) -> None:
    for gone in beside:
        rest = whole(base, [part for part in beside if part is not gone])
        kept = [route for route in whole(base, beside).routes if route.plan != gone.id]
        assert list(rest.routes) == kept


def test_without_a_base_there_is_no_plan() -> None:
    part = PlanPart.of("a/Plan", (Route(name="all", systems=("a/Desk",)),), priority=1)
    assert merge([part], SYSTEMS) is None
    assert merge([], SYSTEMS) is None


def test_a_plan_for_all_sources_takes_those_of_other_stacks() -> None:
    route = Route(name="all", when={"intent": ["complaint"]}, systems=("a/Desk",))
    part = PlanPart.of("a/Plan", (route,), priority=1, everywhere=True)
    plan = whole(PlanPart.of("care/Base", (Route(name="rest", systems=("care/Desk",)),)), [part])
    assert taken(plan, ("b", "complaint", 1)).name == "a/Plan/all"
    assert taken(plan, ("b", "praise", 1)).name == "rest"


def test_effects_are_the_bases_for_all_and_anothers_for_itself() -> None:
    rest = (Route(name="rest", systems=("care/Desk",)),)
    quiet = PlanPart.of("a/Plan", (Route(name="all", systems=("a/Desk",)),), priority=1, effects=False)
    on, off = PlanPart.of("care/Base", rest), PlanPart.of("care/Base", rest, effects=False)
    assert whole(on, [quiet]).effects
    assert not whole(off, []).effects
    assert whole(off, []).version != whole(on, []).version


@pytest.mark.parametrize(
    ("when", "everywhere", "said"),
    [
        (None, True, "Routes[0].When: is missing: only the base plan has a catch-all."),
        ({"source": ["b/Forum"]}, False, "Routes[0].When.source[0]: 'b/Forum' is not a source of this stack."),
        ({"source": [{"prefix": "b/"}]}, False, "Routes[0].When.source[0]: is not a source's id."),
        (
            {"$or": [{"intent": ["praise"]}, {"source": ["a/Forum"]}]},
            False,
            "Routes[0].When.$or: asks for a source, which this stack's are already.",
        ),
    ],
)
def test_what_a_plan_beside_the_base_must_not_say(when: Any, everywhere: bool, said: str) -> None:
    part = PlanPart.of(
        "a/Plan", (Route(name="all", when=when, systems=("a/Desk",)),), priority=1, everywhere=everywhere
    )
    (finding,) = check_part(part)
    assert str(finding).startswith(said)
    assert finding.remedy
    assert not check_part(PlanPart.of("a/Plan", part.routes)), "the base may"


def test_a_route_may_name_a_source_of_its_own_stack() -> None:
    route = Route(name="all", when={"source": ["a/Forum"]}, systems=("a/Desk",))
    part = PlanPart.of("a/Plan", (route,), priority=1)
    assert check_part(part) == []
    assert plan_merge.merged(part, route).when == {"source": ["a/Forum"]}
