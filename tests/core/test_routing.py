"""Which route takes a mention, and what later mentions make of its case: opened, counted, raised, never lowered."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core.case import COUNTED, EffectKind, Happening, Record
from connectors.core.failover import peers, planned_record, successor, taken
from connectors.core.ledger import Pace
from connectors.core.pattern_parse import parse
from connectors.core.plan import PRIORITIES, Plan, Route, higher
from connectors.core.routing import MOST_ENGAGED, Routing
from tests.core.routing_bench import NOW, SYSTEMS, TOPICS, Board, compiled, config, post, route

A, B, C, D = SYSTEMS
CARE, RETENTION, HEADS = TOPICS
CHURN = route(
    "churn", {"intent": ["churn_risk"]}, systems=(B, A), topics=(RETENTION, CARE), labels=("vip",), priority="urgent"
)
PRAISE = route("praise", {"intent": ["praise"]}, opens=False, labels=("fan",))
REST = route("rest", labels=("care",), priority="normal")
PLAN = compiled(CHURN, PRAISE, REST)


def test_a_mention_opens_a_case_under_the_first_route_that_takes_it() -> None:
    board = Board(PLAN)
    board.say(intent="churn_risk")
    board.dispatch()
    assert (board.meta.route, board.meta.plan_version) == ("churn", PLAN.version)
    assert (board.records, board.told) == ({B}, [("opened", RETENTION)])
    assert (board.meta.labels, board.meta.priority) == (("vip",), "urgent")


def test_the_timeline_says_which_route_took_it_and_why_earlier_ones_did_not() -> None:
    board = Board(PLAN)
    board.say(post("I am Maren Zollweg and I am cold"), intent="complaint")
    board.dispatch()
    (line,) = board.lines(Happening.ROUTED)
    assert line.detail["route"] == "rest"
    assert line.detail["skipped"].splitlines() == ["churn: intent, 'churn_risk'", "praise: intent, 'praise'"]
    assert "complaint" not in str(line.detail), "what it was is no business of the timeline"


def test_the_timeline_says_no_more_than_it_can_hold() -> None:
    many = [route(f"r{n}", {"text": [f"{'x' * 300} {n}"]}) for n in range(500)]
    board = Board(compiled(*many, REST))
    board.say(post("Zollweg"))
    board.dispatch()
    skipped = board.lines(Happening.ROUTED)[0].detail["skipped"]
    assert skipped.splitlines()[0].startswith("r0: text, ")
    assert skipped.splitlines()[-1] == "and 490 more"
    assert len(skipped) < 2_000
    assert "Zollweg" not in skipped


def test_a_plan_that_asks_nothing_reads_nothing() -> None:
    board = Board(compiled(REST))
    board.say()
    board.say()
    board.dispatch()
    assert board.asked == []


def test_who_said_it_is_counted_only_where_a_route_asks() -> None:
    for when, person in (({"text": ["x"]}, False), ({"person": {"mentions": [{"numeric": [">", 2]}]}}, True)):
        board = Board(compiled(route("one", when), REST))
        board.say()
        board.dispatch()
        assert board.asked == [("post:1", person)]


def test_a_mention_that_was_removed_before_it_was_routed_falls_to_the_catch_all() -> None:
    board = Board(PLAN)
    event = board.say(intent="churn_risk")
    board.mentions["post:1"] = None
    board.dispatch(event)
    assert board.meta.route == "rest"


# ---- raising


def test_a_later_post_that_an_earlier_route_takes_raises_the_case() -> None:
    board = Board(PLAN)
    board.say(intent="question")
    board.dispatch()
    board.say(intent="churn_risk")
    board.dispatch()
    case = board.meta
    assert (case.route, case.labels, case.priority) == ("churn", ("care", "vip"), "urgent")
    assert (set(case.systems), set(case.engaged)) == ({A, B}, {A, B})
    assert board.records == {A, B}
    assert board.told == [("opened", CARE), ("raised:churn", RETENTION)]
    (line,) = board.lines(Happening.RAISED)
    assert {name: line.detail[name] for name in ("route", "from", "mention", "system", "labels", "priority")} == {
        "route": "churn",
        "from": "rest",
        "mention": "post:2",
        "system": B,
        "labels": "vip",
        "priority": "urgent",
    }
    (said,) = [note.words for note in board.of(EffectKind.NOTE) if note.happening is Happening.RAISED]
    assert said == ("This case was raised: route churn takes it now (before: rest).\nPriority: urgent\nLabels: vip"), (
        "who works on the first record hears of it"
    )


def test_a_system_that_joins_is_told_what_was_said_before() -> None:
    board = Board(PLAN)
    for _ in range(50):
        board.say(intent="question")
    board.dispatch()
    board.say(intent="churn_risk")
    board.dispatch()
    board.dispatch(*board.events)
    assert board.notes(B) == board.notes(A) == {f"post:{n}" for n in range(1, 52)}
    assert [event for event in board.events if event.due_at is not None] == []


def test_a_raised_notification_has_its_own_turns_of_topics() -> None:
    board = Board(PLAN)
    board.say(intent="question")
    board.say(intent="churn_risk")
    board.dispatch()
    (raised,) = [one for one in board.of(EffectKind.NOTIFY) if "raised" in one.id]
    assert raised.audience == (RETENTION, CARE)


def test_a_topic_that_was_told_of_the_case_is_not_told_again() -> None:
    urgent = route("urgent", {"intent": ["churn_risk"]}, priority="urgent")
    board = Board(compiled(urgent, REST))
    board.say(intent="question")
    board.say(intent="churn_risk")
    board.dispatch()
    assert board.meta.priority == "urgent"
    assert board.told == [("opened", CARE)]


def test_nothing_is_taken_away_by_a_later_route_or_by_one_that_only_counts() -> None:
    board = Board(PLAN)
    for intent in ("churn_risk", "question", "praise"):
        board.say(intent=intent)
        board.dispatch()
    assert (board.meta.route, board.meta.state, board.meta.priority) == ("churn", "open", "urgent")
    assert board.lines(Happening.RAISED) == []


def test_a_case_is_raised_by_the_plan_that_it_was_opened_under() -> None:
    old = compiled(REST)
    board = Board(old)
    board.say(intent="question")
    board.dispatch()
    board.shelf.plans.append(PLAN)
    board.say(intent="churn_risk")
    board.dispatch()
    assert (board.meta.route, board.meta.plan_version) == ("rest", old.version)


def test_edits_and_other_events_raise_nothing() -> None:
    board = Board(PLAN)
    board.say(intent="question")
    board.dispatch()
    event = board.say(intent="churn_risk")
    board.events[-1] = edited = event.model_copy(update={"kind": Happening.EDITED})
    board.dispatch(edited)
    assert board.meta.route == "rest"


def test_a_raised_case_is_kept_by_both_systems_and_each_has_its_own_stand_by() -> None:
    """The first system's late answer must not close the record that the raise asked for."""
    high = route("high", {"intent": ["churn_risk"]}, systems=(C, D), topics=(HEADS,))
    board = Board(compiled(high, route("rest", systems=(A, B))))
    board.say(intent="question")
    board.say(intent="churn_risk")
    board.dispatch()
    case = board.meta
    assert (peers(case, A), peers(case, C)) == ((A, B), (C, D))
    assert (successor(case, A), successor(case, C)) == (B, D)
    held = case.model_copy(update={"engaged": (A, C, D)})
    shift = taken(held, Record(system=A, id="1", url=""), NOW, Pace())
    assert (shift.after.engaged, shift.after.retired) == ((A, C, D), ())
    shift = taken(shift.after, Record(system=C, id="2", url=""), NOW, Pace())
    assert (shift.after.engaged, shift.after.retired) == ((A, C), (D,))
    assert shift.after.record == Record(system=A, id="1", url=""), "the first route's record stays the live one"


def test_a_case_is_held_by_a_bounded_number_of_systems() -> None:
    names = [f"stack/S{n}" for n in range(30)]
    routes = [route(f"r{n}", {"text": [str(n)]}, systems=(names[n],)) for n in range(30)]
    plan = Plan.of((*routes, REST), {name: config(name) for name in (*names, A)})
    board = Board(plan)
    board.say()
    for number in reversed(range(30)):
        board.say(post(str(number)))
    board.dispatch()
    assert board.meta.route == "r0"
    assert len(board.meta.engaged) == MOST_ENGAGED


# ---- counting


def test_what_is_only_counted_has_no_effect() -> None:
    board = Board(PLAN)
    board.say(intent="praise")
    board.say(intent="praise")
    board.dispatch()
    assert (board.meta.state, board.meta.route, board.effects, board.rung) == (COUNTED, "praise", {}, [])
    assert board.undispatched(board.events) == []
    assert [line.detail["counted"] for line in board.lines(Happening.ROUTED)] == ["true"], "once"


@pytest.mark.parametrize(("intent", "system"), [("churn_risk", B), ("question", A)])
def test_a_counted_conversation_becomes_a_case_when_any_opening_route_takes_a_post(intent: str, system: str) -> None:
    board = Board(PLAN)
    board.say(intent="praise")
    board.say(intent="praise")
    board.dispatch()
    board.say(intent=intent)
    board.dispatch()
    assert (board.meta.state, board.records) == ("open", {system})
    assert "fan" in board.meta.labels
    board.dispatch(*board.events)
    assert board.notes(system) == {"post:1", "post:2", "post:3"}, "it is told all of the conversation"
    assert len(board.told) == 1


def test_a_counted_conversation_follows_the_plan_in_force() -> None:
    board = Board(PLAN)
    board.say(intent="praise")
    board.dispatch()
    now = compiled(REST)
    board.shelf.plans.append(now)
    board.say(intent="praise")
    board.dispatch()
    assert (board.meta.state, board.meta.route, board.meta.plan_version) == ("open", "rest", now.version)


# ---- gathering


def gathering(seconds: float = 300.0) -> Board:
    board = Board(compiled(CHURN, route("rest", coalesce=seconds)))
    board.say()
    board.dispatch()
    return board


def test_further_posts_wait_until_the_window_from_the_first_of_them_is_over() -> None:
    board = gathering()
    (opening,) = board.of(EffectKind.NOTE)
    assert opening.retry_at is None, "opening is at once"
    board.clock = NOW + 10_000
    board.rung.clear()
    board.say()
    board.dispatch()
    board.clock = NOW + 200_000
    board.say()
    board.dispatch()
    waiting = [note for note in board.of(EffectKind.NOTE) if note.mention != "post:1"]
    assert {(note.retry_at, note.due_at) for note in waiting} == {(NOW + 310_000, NOW + 310_000)}
    assert board.rung == []
    board.clock = NOW + 310_001
    board.say()
    board.dispatch()
    assert board.effects[board.of(EffectKind.NOTE)[-1].id].retry_at == NOW + 610_001, "the next window"


def test_a_post_that_raises_the_case_is_told_at_once() -> None:
    board = gathering()
    board.say(intent="churn_risk")
    board.dispatch()
    assert {note.retry_at for note in board.of(EffectKind.NOTE)} == {None}


def test_who_loses_a_race_for_a_window_joins_it() -> None:
    board = gathering()
    board.conflicts = 1
    board.say()
    board.dispatch()
    assert board.meta.gather_until == NOW + 300_000
    assert board.of(EffectKind.NOTE)[-1].retry_at == NOW + 300_000


# ---- a system that is gone


def test_a_case_whose_system_is_gone_goes_on_under_the_plan_in_force() -> None:
    board = Board(PLAN)
    board.say(intent="churn_risk")
    board.dispatch()
    now = compiled(route("churn", {"intent": ["churn_risk"]}, systems=(C,), topics=(HEADS,)), REST)
    board.shelf.plans.append(now)
    board.shelf.gone.add(B)
    board.say(intent="question")
    board.dispatch()
    case = board.meta
    assert (case.plan_version, case.route, case.engaged, case.retired) == (now.version, "churn", (C,), (B,))
    (line,) = board.lines(Happening.REROUTED)
    assert (line.detail["gone"], line.detail["route"], line.detail["system"]) == (B, "churn", C)
    board.dispatch(*board.events)
    assert board.notes(C) == {"post:1", "post:2"}
    assert board.told == [("opened", RETENTION)], "whoever was told is not told that it is new"


def test_without_a_route_of_that_name_it_falls_to_the_catch_all() -> None:
    board = Board(PLAN)
    board.say(intent="churn_risk")
    board.dispatch()
    board.shelf.plans.append(compiled(route("only", systems=(D,))))
    board.shelf.gone.add(B)
    board.say()
    board.dispatch()
    assert (board.meta.route, board.meta.engaged) == ("only", (D,))


def test_a_system_that_no_route_names_any_more_but_that_is_there_keeps_its_cases() -> None:
    board = Board(PLAN)
    board.say(intent="churn_risk")
    board.dispatch()
    board.shelf.plans.append(compiled(route("only", systems=(D,))))
    board.say()
    board.dispatch()
    assert (board.meta.route, board.meta.engaged) == ("churn", (B,))


def test_a_system_that_was_renamed_is_not_gone() -> None:
    """Else every open case would get a second record in the very same tracker."""
    board = Board(PLAN)
    board.say(intent="churn_risk")
    board.dispatch()
    renamed = config(B).model_copy(update={"id": "stack/NewName"})
    board.shelf.plans.append(Plan.of((route("churn", systems=("stack/NewName",)),), {"stack/NewName": renamed}))
    board.shelf.gone.add(B)
    board.say()
    board.dispatch()
    assert board.meta.engaged == (B,)
    assert board.lines(Happening.REROUTED) == []


def test_without_a_plan_in_force_a_case_stays_where_it_is() -> None:
    board = Board(PLAN)
    board.say(intent="churn_risk")
    board.dispatch()
    board.shelf.plans.clear()
    board.shelf.gone.add(B)
    board.say(intent="question")
    board.dispatch()
    assert board.meta.engaged == (B,)


# ---- properties

INTENTS = ("churn_risk", "complaint", "question", "praise", None)
_texts = st.sampled_from(["it broke", "we love it", "please call", "acme", ""])
_whens = st.one_of(
    st.fixed_dictionaries({"intent": st.lists(st.sampled_from(INTENTS), min_size=1, max_size=3)}),
    st.fixed_dictionaries({"text": st.lists(st.builds(lambda text: {"prefix": text[:4]}, _texts), min_size=1)}),
    st.fixed_dictionaries(
        {
            "author": st.fixed_dictionaries({"followers": st.just([{"numeric": [">", 50]}])}),
            "text": st.lists(_texts, min_size=1),
        }
    ),
    st.fixed_dictionaries({"$or": st.just([{"intent": ["complaint"]}, {"text": [{"wildcard": "*love*"}]}])}),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    routes: list[Route] = []
    for number in range(draw(st.integers(0, 6))):
        opens = draw(st.integers(0, 3)) > 0
        more: dict[str, Any] = {"labels": tuple(draw(st.lists(st.sampled_from("abc"), unique=True)))}
        if opens:
            systems = draw(st.lists(st.sampled_from(SYSTEMS), min_size=1, max_size=3, unique=True))
            topics = draw(st.lists(st.sampled_from(TOPICS), min_size=1, max_size=2, unique=True))
            more |= {"systems": tuple(systems), "topics": tuple(topics)}
            more |= {"priority": draw(st.sampled_from([None, *PRIORITIES])), "coalesce": draw(st.sampled_from([0, 60]))}
        routes.append(route(f"r{number}", draw(_whens), opens=opens, **more))
    return compiled(*routes, route("rest", systems=tuple(draw(st.permutations(SYSTEMS)))[:2]))


_posts = st.lists(st.tuples(_texts, st.sampled_from(INTENTS), st.integers(0, 100)), min_size=1, max_size=12)


def say(board: Board, said: tuple[str, str | None, int]) -> None:
    text, intent, followers = said
    author = post().author
    assert author is not None
    board.say(post(text, author=author.model_copy(update={"followers": followers})), intent=intent)


def naive(plan: Plan, facts: Any) -> str:
    """First match wins, one after the other."""
    return next(one.name for one in plan.routes if one.when is None or parse(one.when).matches(facts))


@settings(max_examples=300, deadline=None)
@given(plan=plans(), said=_posts)
def test_the_first_route_that_fits_takes_it(plan: Plan, said: list[tuple[str, str | None, int]]) -> None:
    routing = Routing(plan)
    board = Board(plan)
    for one in said:
        say(board, one)
    for facts in board.mentions.values():
        assert facts is not None
        assert plan.routes[routing.first(facts)].name == naive(plan, facts)
    board.dispatch(board.events[0])
    assert board.meta.route == naive(plan, board.mentions["post:1"])


@settings(max_examples=300, deadline=None)
@given(plan=plans(), said=_posts, seed=st.integers(0, 999))
def test_raising_only_ever_adds(plan: Plan, said: list[tuple[str, str | None, int]], seed: int) -> None:
    """In any order, in any batches, with lost races: the route moves to the front only, and nothing is taken away."""
    board, dice = Board(plan), random.Random(seed)
    places = {one.name: place for place, one in enumerate(plan.routes)}
    for one in said:
        say(board, one)
    order = board.events[1:]
    dice.shuffle(order)
    order = [board.events[0], *order]
    while order:
        before, board.conflicts = board.meta, dice.choice([0, 0, 1])
        count = dice.randrange(1, 4)
        board.dispatch(*order[:count])
        order = order[count:]
        after = board.meta
        counted = before.state == COUNTED
        if before.routed and not counted:
            assert places[after.route or ""] <= places[before.route or ""]
            assert after.state == before.state
        for name in ("systems", "engaged", "topics", "labels"):
            if not counted or name == "labels":
                assert set(getattr(before, name)) <= set(getattr(after, name))
        assert higher(before.priority, after.priority) == after.priority
    opened = board.meta.state != COUNTED
    assert opened == (plan.named(board.meta.route) or plan.routes[-1]).opens
    assert board.records >= set(board.meta.engaged)
    board.dispatch(*board.events)
    for system in board.meta.engaged:
        assert board.notes(system) == set(board.mentions), "each system that has the case is told all of it"


@settings(max_examples=150, deadline=None)
@given(plan=plans(), said=_posts, seed=st.integers(0, 999))
def test_redelivery_changes_nothing(plan: Plan, said: list[tuple[str, str | None, int]], seed: int) -> None:
    board, dice = Board(plan), random.Random(seed)
    for one in said:
        say(board, one)
    events = list(board.events)
    board.dispatch()
    board.dispatch(*board.events)
    before = board.picture()
    for _ in range(3):
        again = [*events, *board.events] * 2
        dice.shuffle(again)
        board.clock += 5_000
        board.dispatch(*again)
        assert board.picture() == before


def test_a_record_is_planned_under_one_name_however_it_joins() -> None:
    board = Board(PLAN)
    board.say(intent="question")
    board.say(intent="churn_risk")
    board.dispatch()
    assert {one.id for one in board.of(EffectKind.RECORD)} == {
        planned_record(board.meta, system, NOW, NOW).id for system in (A, B)
    }
