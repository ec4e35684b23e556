"""Plans beside the base whose effects are off, through the handlers over moto: the base serves, the timeline tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.core.case import EffectKind, EffectState, Happening
from tests.core.plan_world import TRACKER
from tests.functions.pauses_bench import (
    OFF,
    OTHER,
    SYSTEM,
    TOPIC,
    World,
    deploy,
    worlds,
)
from tests.posts import said
from tests.store.shop import CASE


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, aws_environment: None) -> Iterator[World]:
    yield from worlds(monkeypatch)


IDEAS = {"Priority": "1", "Effects": "off", "Sources": "all"}


def beside(system: str, topic: str) -> dict[str, Any]:
    """A shadow plan of the same stack that takes whatever is said of a leak."""
    route = {"Name": "leaks", "Case": [system], "Notify": [topic], "When": {"text": [{"wildcard": "*leak*"}]}}
    return {**IDEAS, "Routes": [route]}


def shadow_lines(world: World, case: str = CASE) -> list[tuple[str | None, dict[str, str]]]:
    return [(one.mention, one.detail) for one in world.shop.timeline(case) if one.kind is Happening.SHADOWED]


def test_a_shadow_plan_beside_the_base_takes_nothing_and_says_what_it_would_have(world: World) -> None:
    deploy(world)
    world.deploy("System", "Second", TRACKER)
    outcome = world.deploy("Plan", "Ideas", beside("stack/Second", TOPIC + "-ideas"))
    assert "Its routes take nothing" in outcome.data["Warnings"]
    world.shop.take_in(said(1, text="a leak"))
    world.route()
    case = world.shop.case()
    assert case is not None
    assert (case.route, case.engaged, case.shadowed) == ("everything-else", (SYSTEM,), ("stack/Ideas/leaks",))
    assert (len(world.tracker.records), world.told) == (1, [TOPIC]), "the base serves it, with all effects"
    assert {effect.state for effect in world.effects()} == {EffectState.DONE}
    ((mention, detail),) = shadow_lines(world)
    assert mention == case.first_mention
    assert detail == {
        "shadow": "stack/Ideas",
        "route": "stack/Ideas/leaks",
        "instead_of": "everything-else",
        "systems": "stack/Second",
        "topics": TOPIC + "-ideas",
    }
    world.shop.take_in(said(9, topic=8, text="cold"))
    world.route(OTHER)
    assert shadow_lines(world, OTHER) == []
    assert world.told == [TOPIC, TOPIC]


def test_a_mention_that_comes_twice_is_shadowed_once(world: World) -> None:
    deploy(world)
    world.deploy("Plan", "Ideas", beside(SYSTEM, TOPIC + "-ideas"))
    for _ in range(2):
        world.shop.take_in(said(1, text="a leak"))
        world.route()
    opened = [event for event in world.shop.timeline() if event.kind is Happening.OPENED]
    world.shop.dispatcher(plans=world.config).dispatch(opened, world.now())  # the stream repeats itself
    assert len(shadow_lines(world)) == 1
    world.shop.take_in(said(2, text="still a leak", order=2))
    world.route()
    assert len(shadow_lines(world)) == 1, "it would have the case already"


def test_a_later_post_says_that_a_shadow_plan_would_have_raised_the_case(world: World) -> None:
    deploy(world)
    world.deploy("System", "Second", TRACKER)
    world.deploy("Plan", "Ideas", beside("stack/Second", TOPIC + "-ideas"))
    world.hear(1)
    assert shadow_lines(world) == []
    world.shop.take_in(said(2, text="a leak", order=2))
    world.route()
    case = world.shop.case()
    assert case is not None
    assert (case.route, case.shadowed) == ("everything-else", ("stack/Ideas/leaks",))
    ((mention, _),) = shadow_lines(world)
    assert mention == said(2).id
    assert (len(world.tracker.records), world.told) == (1, [TOPIC])
    assert {effect.target for effect in world.effects() if effect.kind is EffectKind.RECORD} == {SYSTEM}


def test_a_plan_that_becomes_a_shadow_keeps_the_cases_that_it_took(world: World) -> None:
    """And takes no others; when it is on again it does, and says nothing more of what it would."""
    deploy(world)
    off = beside(SYSTEM, TOPIC + "-ideas")
    live = {**off, "Effects": "on"}
    world.deploy("Plan", "Ideas", live)
    world.shop.take_in(said(1, text="a leak"))
    world.route()
    world.deploy("Plan", "Ideas", off, old=live)
    world.shop.take_in(said(2, text="is anybody there?", order=2))
    world.route()
    case = world.shop.case()
    assert case is not None
    assert case.route == "stack/Ideas/leaks"
    assert len(world.tracker.notes) == 2
    world.shop.take_in(said(9, topic=8, text="cold"))
    world.route(OTHER)
    world.deploy("Plan", "Ideas", live, old=off)
    world.shop.take_in(said(10, topic=8, text="now a leak", order=2))
    world.route(OTHER)
    assert shadow_lines(world, OTHER) == []


def test_with_effects_off_in_the_base_a_shadow_beside_it_is_still_told_of(world: World) -> None:
    deploy(world, OFF)
    world.deploy("Plan", "Ideas", beside(SYSTEM, TOPIC + "-ideas"))
    world.shop.take_in(said(1, text="a leak"))
    world.route()
    assert (world.tracker.calls, world.told) == ([], [])
    assert len(shadow_lines(world)) == 1
