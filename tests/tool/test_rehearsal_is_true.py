"""A rehearsal comes to what dispatching decides: the same cases, routes and systems, on random plans and posts."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from connectors.core import failover, routing
from connectors.core.case import COUNTED, Case
from connectors.core.models import Author, Mention
from connectors.core.plan import Plan, Route, SystemConfig
from connectors.tool.heard import Heard
from connectors.tool.rehearsal import Rehearsal

NAMES = tuple(f"r/S{number}" for number in range(4))
SYSTEMS = {name: SystemConfig.of(name, "roundup", "hailback/t", {"BaseUrl": name}) for name in NAMES}
INTENTS = ("churn_risk", "complaint", "idea", "praise", "other")


def a_plan(dice: random.Random) -> Plan:
    routes = []
    for number in range(dice.randint(0, 6)):
        opens = dice.random() < 0.7
        when = {"intent": dice.sample(INTENTS, dice.randint(1, 2))}
        if dice.random() < 0.4:
            when = {**when, "text": [f"word{dice.randint(0, 2)}"]}
        given = {"systems": tuple(dice.sample(NAMES, 2)), "topics": (f"arn:{dice.randint(0, 3)}",)} if opens else {}
        routes.append(Route.model_validate({"name": f"r{number}", "when": when, "opens": opens, **given}))
    return Plan.of((*routes, Route(name="all", systems=NAMES[:1], topics=("arn:9",))), SYSTEMS)


def posts(dice: random.Random) -> list[Heard]:
    return [
        Heard(
            Mention(
                connector="discourse",
                native_id=str(number),
                conversation_id=str(dice.randint(0, 40)),
                author=Author(native_id="7"),
                text=f"word{dice.randint(0, 2)}",
            ),
            "r/Forum",
            float(number),
            dice.choice(INTENTS),
            0.9,
        )
        for number in range(300)
    ]


def decided(plan: Plan, said: list[Heard]) -> tuple[int, Counter[str], Counter[str]]:
    """What `core.routing` makes of them: cases that are open, by the route that opened them, records by system."""
    compiled, cases, routes = routing.Routing(plan), dict[str, Case](), Counter[str]()
    for one in said:
        talk = one.mention.conversation
        case = cases.get(talk) or Case(
            id=f"case-{talk}",
            conversation=talk,
            connector="discourse",
            source="r/Forum",
            first_mention=one.mention.id,
            opened_at=0,
            updated_at="",
        )
        before = case
        if not case.routed or case.state == COUNTED:
            case = routing.opened(case, compiled, one.facts(), 0).case
            opened = case.state != COUNTED and (not before.routed or before.state == COUNTED)
            routes[case.route or ""] += opened
        elif (step := routing.raised(case, compiled, one.facts(), 0, 0)) is not None:
            case = step.case
        cases[talk] = case
    records = Counter(name for case in cases.values() for name in failover.engaged(case))
    return sum(case.state != COUNTED for case in cases.values()), routes, records


@pytest.mark.parametrize("seed", range(60))
def test_the_same_cases_by_the_same_routes_in_the_same_systems(seed: int) -> None:
    dice = random.Random(seed)
    plan, said = a_plan(dice), posts(dice)
    rehearsal = Rehearsal(None, plan)
    for _ in rehearsal.run(said):
        pass
    after = rehearsal.told()["after"]
    cases, routes, records = decided(plan, said)
    assert after["cases"] == cases
    assert {name: one["cases"] for name, one in after["routes"].items() if one["cases"]} == dict(+routes)
    assert {name: one["records"] for name, one in after["systems"].items()} == dict(records)
