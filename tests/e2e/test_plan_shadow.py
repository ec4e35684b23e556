"""Plans whose effects are off, on the deployed machine: a shadow leaves all served; the base off sends nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from connectors.core.case import EffectState, Happening
from connectors.tool import release as release_command
from connectors.tool.local import ROUTES, RunningStack
from connectors.tool.plan_difference import difference, lines
from connectors.tool.release import SEEN, release
from connectors.tool.shadows import would_take
from connectors.tool.story import sweeping
from tests.e2e.administrator import ACTS, Administrator, other_routes
from tests.e2e.wait import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
SHADOW = "hailback-shadow"
PLAN = """
Parameters:
  Configure: {Type: String}
  Topic: {Type: String}
Resources:
  Plan:
    Type: Custom::Plan
    Properties:
      ServiceToken: !Ref Configure
      ServiceTimeout: 120
      Priority: 100
      Sources: all
      Effects: off
      Routes:
        - Name: leaks
          When: {text: [{wildcard: '*leak*'}]}
          Case: [hailback-routes/Zendesk]
          Notify: [!Ref Topic]
          Labels: [leak]
          Priority: urgent
"""


@pytest.fixture(scope="module")
def administrator(machine: RunningStack) -> Iterator[Administrator]:
    with sweeping(machine), other_routes(machine) as administrator:
        yield administrator


def version(machine: RunningStack) -> str:
    pointer = machine.config.plan_pointer()
    return pointer.version if pointer is not None else ""


def test_a_shadow_is_watched_switched_on_and_taken_back(administrator: Administrator) -> None:
    machine, topic = administrator.machine, administrator.topic("hailback-care")
    before = version(machine)
    began = int(time.time() * 1000)
    administrator.deploy(PLAN, SHADOW, Topic=topic)
    off = version(machine)
    try:
        case = administrator.case(administrator.say("There is a leak in the kitchen."))
        assert (case.route, case.labels) == ("everything-else", ())
        assert administrator.record(case.id, "Tracker")
        assert administrator.told(case.id) == topic
        assert administrator.records(case.id, f"{ROUTES}/Zendesk") == []
        (line,) = administrator.happened(case.id, Happening.SHADOWED)
        assert line == {
            "shadow": f"{SHADOW}/Plan",
            "route": f"{SHADOW}/Plan/leaks",
            "instead_of": "everything-else",
            "systems": f"{ROUTES}/Zendesk",
            "topics": topic,
            "labels": "leak",
            "priority": "urgent",
        }
        other = administrator.case(administrator.say("The tap is dry."))
        assert administrator.happened(other.id, Happening.SHADOWED) == []
        (sum_,) = would_take(machine.cases, machine.config.plan(off), began, 200)
        assert (sum_["plan"], sum_["cases"], sum_["from"]) == (f"{SHADOW}/Plan", 1, {"everything-else": 1})
        administrator.deploy(PLAN.replace("Effects: off", "Effects: on"), SHADOW, Topic=topic)
        on = version(machine)
        was, now = machine.config.plan(off), machine.config.plan(on)
        assert was is not None
        assert now is not None
        assert f'~ plan {SHADOW}/Plan: Effects: "off" → "on"' in lines(difference(was, now))
        taken = administrator.case(administrator.say("Another leak."))
        assert (taken.route, taken.labels) == (f"{SHADOW}/Plan/leaks", ("leak",))
        assert administrator.record(taken.id, "Zendesk")
        administrator.deploy(PLAN, SHADOW, Topic=topic)
        assert version(machine) == off, "a rollback brings back what ran"
        assert administrator.case(administrator.say("A third leak.")).route == "everything-else"
    finally:
        assert administrator.delete(SHADOW) == "DELETE_COMPLETE"
    assert version(machine) == before
    assert machine.dead_letters() == {}


def test_what_the_base_did_not_send_is_released(administrator: Administrator, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = administrator.machine
    administrator.deploy(administrator.routes.replace("      Routes:\n", "      Effects: off\n      Routes:\n"))
    administrator.forget(*ACTS)
    case = administrator.case(administrator.say("Is anybody there?"))

    def set_aside() -> bool:
        return {one.state for one in machine.cases.effects(case.id)} == {EffectState.SUPERSEDED}

    until(set_aside, 60, "everything to be planned and set aside")
    administrator.restore()
    administrator.forget(*ACTS)
    ((_, ended),) = machine.config.shadows()[""][-1:]
    assert ended is not None
    until(lambda: time.time() * 1000 > ended + SEEN, 60, "all workers to know")
    monkeypatch.setattr(release_command, "target", lambda *_: machine)
    release([case.id], every=False, answers=False, limit=1, dry_run=False, yes=True, as_json=False)
    assert administrator.record(case.id, "Tracker")
    assert administrator.told(case.id) == administrator.topic("hailback-care")
    assert machine.dead_letters() == {}
