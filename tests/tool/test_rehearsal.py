"""A rehearsal: what posts would come to under two plans, counted and never carried out."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.core.models import Author, Mention
from connectors.core.plan import Plan, Route, SystemConfig
from connectors.tool.heard import Heard
from connectors.tool.rehearsal import Rehearsal
from connectors.tool.show_rehearsal import show

TRACKER, SALES = "routes/Tracker", "routes/Sales"
CARE, BOSS = "arn:aws:sns:eu-central-1:1:hailback-care", "arn:aws:sns:eu-central-1:1:hailback-boss"
SYSTEMS = {name: SystemConfig.of(name, "roundup", "hailback/t", {}) for name in (TRACKER, SALES)}
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALL = Route(name="all", systems=(TRACKER,), topics=(CARE,))
LATE = Route(name="none", opens=False)


def plan(*routes: Route) -> Plan:
    return Plan.of(routes, SYSTEMS)


def said(number: int, words: str = "It broke", topic: int | None = None, minute: float = 0, **more: Any) -> Heard:
    mention = Mention(
        connector=more.pop("connector", "discourse"),
        authority="forum.acme.com",
        native_id=str(number),
        conversation_id=str(number if topic is None else topic),
        author=Author(native_id=more.pop("author", "7")),
        text=words,
        **more,
    )
    return Heard(mention, "routes/Forum", (NOON + timedelta(minutes=minute)).timestamp(), "complaint", 0.9)


def rehearsed(before: Plan | None, after: Plan, *posts: Heard) -> dict[str, Any]:
    rehearsal = Rehearsal(before, after)
    for _ in rehearsal.run(posts):
        pass
    told = rehearsal.told()
    json.dumps(told)
    return told


def test_a_change_that_opens_more_cases_says_how_many() -> None:
    before = plan(Route(name="loud", when={"text": [{"wildcard": "*fire*"}]}, systems=(TRACKER,), topics=(BOSS,)), LATE)
    posts = [said(n, "fire!" if n % 10 == 0 else "It broke", minute=n) for n in range(100)]
    told = rehearsed(before, plan(ALL), *posts)
    first, *more = told["summary"].split(". ")
    assert first == "This change would open 90 cases"
    assert more == ["100 mentions would take another route", "10 cases would tell other people first."]
    assert (told["before"]["cases"], told["after"]["cases"], told["would_open"]) == (10, 100, 90)
    assert told["before"]["routes"]["none"] == {"cases": 0, "mentions": 90, "opens": False}
    assert told["changes"][0] | {"examples": []} == {"from": "none", "to": "all", "mentions": 90, "examples": []}
    assert told["changes"][0]["examples"][0] == "discourse:forum.acme.com:1"
    load = {"notifications": 100, "per_hour": 60.6, "peak_hour": 60, "peak_at": "2026-11-21T12:00Z"}
    hours = {"2026-11-21T12:00Z": 60, "2026-11-21T13:00Z": 40}
    assert told["after"]["topics"] == {CARE: {**load, "hours": hours}}


def test_a_change_that_leaves_cases_unopened_says_so_too() -> None:
    quiet = Route(name="thanks", when={"text": [{"prefix": "Thanks"}]}, opens=False)
    told = rehearsed(plan(ALL), plan(quiet, ALL), said(1, "Thanks!"), said(2))
    assert told["summary"] == "This change would leave 1 case unopened. 1 mention would take another route."
    assert (told["would_open"], told["would_not_open"]) == (0, 1)


def test_other_routes_for_the_same_cases_are_told() -> None:
    loud = Route(name="loud", when={"text": [{"wildcard": "*fire*"}]}, systems=(TRACKER,), topics=(BOSS,))
    told = rehearsed(plan(ALL), plan(loud, ALL), said(1, "fire"), said(2))
    first, *more = told["summary"].split(". ")
    assert first == "This change would open the same cases"
    assert more == ["1 mention would take another route", "1 case would tell other people first."]


@pytest.mark.parametrize(
    ("change", "said_of_it", "which"),
    [
        ({"systems": (SALES,)}, "2 cases would be in other systems.", "systems"),
        ({"topics": (BOSS,)}, "2 cases would tell other people first.", "topics"),
        ({"labels": ("vip",)}, "2 cases would have other stand-bys, labels, priority or waits.", "handling"),
        ({"systems": (TRACKER, SALES)}, "2 cases would have other stand-bys, labels, priority or waits.", "handling"),
        ({"coalesce": 60.0}, "2 cases would have other stand-bys, labels, priority or waits.", "handling"),
    ],
)
def test_a_route_of_the_same_name_that_does_something_else_is_a_difference(
    change: dict[str, Any], said_of_it: str, which: str
) -> None:
    told = rehearsed(plan(ALL), plan(ALL.model_copy(update=change)), said(1), said(2))
    assert told["summary"] == f"This change would open the same cases. {said_of_it}"
    assert told["otherwise"] == {"systems": 0, "topics": 0, "handling": 0, which: 2}
    assert told["changes"] == []


def test_posts_that_are_out_of_order_and_systems_that_are_held_are_told() -> None:
    held = {**SYSTEMS, TRACKER: SystemConfig.of(TRACKER, "roundup", "hailback/t", {}, hold=True)}
    told = rehearsed(plan(ALL), Plan.of((ALL,), held), said(1, minute=5), said(2), said(3, minute=1))
    assert "1 mentions are older than the one before them: put the file in order of time." in told["notes"]
    assert f"{TRACKER} is held (Hold: true): what is counted for it would wait." in told["notes"]


def test_the_cost_that_a_change_saves_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    posts = [said(n, connector="x", reply_capability="allowed") for n in range(100)]
    show(rehearsed(plan(ALL), plan(LATE), *posts))
    assert "x: 0.00 USD (now 1.00) for one answer to each case" in capsys.readouterr().out
    show(rehearsed(plan(ALL), plan(LATE), said(1)))
    assert "nothing: no source of these cases has a price for answers" in capsys.readouterr().out


def test_of_very_many_routes_those_that_change_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    some = [Route(name=f"r{n}", when={"text": [f"word{n}"]}, opens=False) for n in range(200)]
    show(rehearsed(plan(*some, ALL), plan(*some, LATE), said(1)))
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("all", "none", "r0 "))
    assert "r199" not in shown
    assert "162 more, 0 of them changed; --json has all" in shown


def test_the_same_plan_makes_no_difference() -> None:
    told = rehearsed(plan(ALL), plan(ALL), said(1), said(2, topic=1))
    assert told["summary"] == "This change would make no difference."
    assert told["changes"] == []


def test_a_conversation_is_one_case_and_its_further_posts_are_notes() -> None:
    told = rehearsed(None, plan(ALL), said(1), said(2, topic=1), said(3, topic=1), said(3, "edited", topic=1))
    after = told["after"]
    assert (told["summary"], after["cases"], after["notes"]) == ("This plan would open 1 case.", 1, 2)
    assert after["systems"][TRACKER]["records"] == 1


def test_posts_within_the_coalescing_window_are_one_note() -> None:
    gathering = ALL.model_copy(update={"coalesce": 600.0})
    posts = [said(1), *(said(n, topic=1, minute=n) for n in range(2, 22))]
    assert rehearsed(None, plan(gathering), *posts)["after"]["notes"] == 2
    assert rehearsed(None, plan(ALL), *posts)["after"]["notes"] == 20


def test_an_earlier_route_raises_the_case_and_adds_what_it_names() -> None:
    loud = Route(name="loud", when={"text": [{"wildcard": "*fire*"}]}, systems=(SALES,), topics=(BOSS,))
    told = rehearsed(None, plan(loud, ALL), said(1), said(2, "fire", topic=1), said(3, "fire", topic=1))["after"]
    assert told["cases"] == 1
    assert (told["systems"][SALES]["records"], told["systems"][TRACKER]["records"]) == (1, 1)
    assert (told["topics"][BOSS]["notifications"], told["topics"][CARE]["notifications"]) == (1, 1)


def test_our_own_posts_open_nothing() -> None:
    told = rehearsed(None, plan(ALL), said(1, own=True), said(2), said(3, topic=2, own=True))["after"]
    assert (told["cases"], told["notes"]) == (1, 1)


def test_what_an_answer_costs_is_told_where_prices_are_known() -> None:
    posts = [said(n, connector="x", reply_capability="allowed") for n in range(100)]
    [cost] = rehearsed(None, plan(ALL), *posts)["after"]["cost"]
    assert (cost["connector"], cost["answers"], cost["amount"], cost["currency"]) == ("x", 100, "1.00", "USD")
    assert rehearsed(None, plan(ALL), said(1))["after"]["cost"] == []


def test_who_spoke_before_is_counted_within_the_rehearsal() -> None:
    regular = Route(name="regular", when={"person": {"mentions": [{"numeric": [">=", 2]}]}}, opens=False)
    told = rehearsed(None, plan(regular, ALL), *(said(n) for n in range(5)), said(9, author="8"))
    assert told["after"]["cases"] == 3
    assert any("person" in note for note in told["notes"])


def test_what_is_kept_of_a_post_is_a_number() -> None:
    routes = [
        Route(name=f"r{n}", when={"text": [{"wildcard": f"*word{n} *"}]}, systems=(TRACKER,), topics=(CARE,))
        for n in range(50)
    ]
    rehearsal = Rehearsal(plan(ALL), plan(*routes, ALL))

    def posts(count: int) -> Iterator[Heard]:
        return (said(n, f"some word{n % 60} here", topic=n // 4, minute=n / 10) for n in range(count))

    tracemalloc.start()
    for _ in rehearsal.run(posts(4_000)):
        pass
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert rehearsal.mentions == 4_000
    assert grown < 4_000 * 1500  # of a post a number stays, not its words
