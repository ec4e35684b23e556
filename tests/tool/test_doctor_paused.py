"""What is held, or off for a shadow run, is told beside the answer: it is nobody's fault and must not be forgotten."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.aws.cases import event_item
from connectors.aws.health import SOURCES
from connectors.core.case import CaseEvent, EffectKind, EffectState, Happening, Record
from connectors.core.compose import moment
from connectors.core.plan import Route, SourceConfig, SystemConfig, canonical
from connectors.core.plan_merge import PlanPart, merge
from connectors.tool.checkup import Checkup
from connectors.tool.doctor import show
from connectors.tool.shadows import lines, would_take
from tests.tool.conftest import FORUM, TRACKER, ZENDESK, Small

NOW = 1_795_000_600_000
EARLIER = NOW - 3_600_000
OFF = "Held: effects are off (Effects: off in the plan)"


def held(name: str) -> str:
    return f"Held: administrators hold {name} (Hold: true)"


def deploy(small: Small, config: SourceConfig | SystemConfig) -> None:
    """As `configure_stack` leaves a source or system in the table."""
    kind = "source" if isinstance(config, SourceConfig) else "system"
    body = canonical(config.model_dump(mode="json"))
    pk = f"CONFIG#{config.id}"
    table = small.deployment.table
    table.put({"pk": pk, "sk": f"VERSION#{config.hash}", "kind": kind, "body": body})
    pointer = {"kind": kind, "id": config.id, "version": config.hash, "stack_id": "s", "ticket": 1, "revision": 1}
    table.put({"pk": pk, "sk": "ACTIVE", **pointer})
    if kind == "source":
        table.put({"pk": SOURCES, "sk": config.id})


def system(name: str, *, hold: bool) -> SystemConfig:
    return SystemConfig.of(name, "roundup", "hailback/tracker", {}, hold=hold)


def shadows(small: Small, **runs: Any) -> None:
    given = {"" if name == "all_of_it" else name: past for name, past in runs.items()}
    row = small.deployment.table.get("PLAN#ACTIVE", "POINTER") or {}
    small.deployment.table.put({**row, "shadows": json.dumps(given)})


def look(small: Small) -> dict[str, Any]:
    found = Checkup(small.deployment, 50, NOW).document()
    json.dumps(found, default=str)
    return found


@pytest.fixture
def planned(small: Small) -> Small:
    small.plan()
    small.case()
    return small


def test_a_held_system_is_named_with_what_waits_and_all_is_well(
    planned: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(planned, system(TRACKER, hold=True))
    deploy(planned, system(ZENDESK, hold=False))
    waits: dict[str, Any] = {"error": held(TRACKER), "retry_at": NOW + 9, "due_at": NOW + 9, "planned_at": EARLIER}
    planned.effect(EffectState.PARKED, **waits)
    planned.effect(EffectState.PARKED, EffectKind.NOTE, id="note#1", **{**waits, "planned_at": EARLIER + 1000})
    planned.effect(EffectState.PARKED, EffectKind.NOTE, id="note#2", **{**waits, "planned_at": EARLIER + 2000})
    cursor = {"sk": "META", "id": TRACKER, "every": 300, "due_at": NOW + 9000, "failures": 0}
    planned.deployment.table.put({"pk": f"CURSOR#{TRACKER}", **cursor, "error": "Held: administrators hold it"})
    found = look(planned)
    assert (found["well"], found["wrong"]) == (True, [])
    assert found["held"][0]["id"] == TRACKER
    waiting = f"2 notes, 1 record wait, the oldest since {moment(EARLIER)}"
    assert found["on_purpose"] == [
        f"on purpose: the system {TRACKER} is held (Hold: true), nothing goes out to it; {waiting}"
    ]
    show(found)
    shown = capsys.readouterr().out
    assert shown.splitlines()[:2] == ["all well", found["on_purpose"][0]]
    assert held(TRACKER) in shown, "what waits says why"


def test_a_held_source_of_any_stack_is_found_before_anything_waits(planned: Small) -> None:
    other = "ideas/Square"
    deploy(planned, SourceConfig.of(other, "discourse", "hailback/square", {}, None, hold=True))
    deploy(planned, SourceConfig.of(FORUM, "discourse", "hailback/forum", {}, None))
    found = look(planned)
    assert [(one["id"], one["kind"], one["waits"]) for one in found["held"]] == [(other, "source", [])]
    assert found["on_purpose"] == [
        f"on purpose: the source {other} is held (Hold: true), nothing goes out for it; nothing waits for it yet"
    ]


def test_what_waits_for_two_holds_is_not_lumped_together(planned: Small) -> None:
    deploy(planned, system(TRACKER, hold=True))
    deploy(planned, SourceConfig.of(FORUM, "discourse", "hailback/forum", {}, None, hold=True))
    due = {"retry_at": NOW + 9, "due_at": NOW + 9}
    planned.effect(EffectState.PARKED, EffectKind.NOTE, id="note#1", error=held(TRACKER), **due)
    planned.effect(EffectState.PARKED, EffectKind.NOTE, id="note#2", error=held(FORUM), **due)
    waits = {one["id"]: [row["count"] for row in one["waits"]] for one in look(planned)["held"]}
    assert waits == {TRACKER: [1], FORUM: [1]}


def test_a_hold_hides_nothing_that_is_wrong(planned: Small) -> None:
    deploy(planned, system(TRACKER, hold=True))
    planned.effect(EffectState.PARKED, error="Misconfigured: no password", retry_at=NOW + 9, due_at=NOW + 9)
    found = look(planned)
    assert (found["well"], found["wrong"]) == (False, [f"1 record for {TRACKER} is parked: Misconfigured: no password"])


def test_a_shadow_run_is_told_while_it_lasts_and_shown_for_a_week(
    planned: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    day = 86_400_000
    part = "ideas/Plan"
    shadows(
        planned, all_of_it=[[EARLIER, None]], **{part: [[NOW - 30 * day, NOW - 20 * day], [NOW - 2 * day, NOW - day]]}
    )
    planned.effect(EffectState.PARKED, error=OFF, retry_at=NOW + 9, due_at=NOW + 9, planned_at=EARLIER - 9000)
    found = look(planned)
    waiting = f"1 record waits, the oldest since {moment(EARLIER - 9000)}"
    assert found["well"]
    (said,) = found["on_purpose"]
    assert said.startswith(f"on purpose: the base plan's effects are off since {moment(EARLIER)}, so NOTHING goes out")
    assert said.endswith(f"; of 0 cases something was planned and not sent; {waiting}")
    assert [(one["plan"], one["until"]) for one in found["shadows"]] == [(None, None), (part, moment(NOW - day))]
    show(found)
    shown = capsys.readouterr().out
    assert f"  effects of {part} were off (a shadow) from {moment(NOW - 2 * day)} to {moment(NOW - day)}\n" in shown


def test_cases_of_which_nothing_went_out_are_counted_while_it_lasts_and_after_it(planned: Small) -> None:
    for number in range(2):
        planned.case(name := f"case-{number}bcdefgh")
        planned.effect(EffectState.SUPERSEDED, case=name, error="shadow run", planned_at=EARLIER)
    shadows(planned, all_of_it=[[EARLIER - 9, None]])
    assert "so NOTHING goes out; of 2 cases something was planned and not sent;" in look(planned)["on_purpose"][0]
    shadows(planned, all_of_it=[[EARLIER - 9, NOW - 9]])
    (said,) = look(planned)["on_purpose"]
    assert said.endswith("of 2 cases something was not sent: hailback release --dry-run --all")


def test_a_shadow_beside_the_base_says_what_it_would_have_taken(planned: Small) -> None:
    base = planned.deployment.config.active_plan()
    assert base is not None
    part = PlanPart.of("ideas/Plan", (Route(name="bugs", systems=(TRACKER,)),), priority=1, effects=False)
    plan = merge([part, PlanPart.of("r/Plan", base.routes)], base.systems)
    assert plan is not None
    planned.plan(plan)
    shadows(planned, **{"ideas/Plan": [[EARLIER, None]]})
    sentence = "on purpose: effects of ideas/Plan are off since " + moment(EARLIER)
    sentence += "; the shadow plan ideas/Plan would have taken "
    assert look(planned)["on_purpose"] == [sentence + "0 cases in 24h"]
    for number, at in enumerate((NOW - 5_000, NOW - 6_000, NOW - 2 * 86_400_000)):
        name = f"case-{number}bcdefgh"
        planned.case(name, shadowed=("ideas/Plan/bugs",))
        detail = {"shadow": "ideas/Plan", "route": "ideas/Plan/bugs", "instead_of": "all"}
        line = CaseEvent(case=name, id="s", kind=Happening.SHADOWED, at=at, mention="m", detail=detail)
        planned.deployment.table.put(event_item(line))
    assert look(planned)["on_purpose"] == [sentence + "2 cases in 24h: 2 from all"]
    since = would_take(planned.deployment.cases, plan, 0, 50)
    assert lines(since, "7d") == [
        "the shadow plan ideas/Plan would have taken 3 cases in 7d: 3 from all",
        f"  3 by bugs; such as {', '.join(since[0]['examples'])}",
    ]


def test_what_failed_over_is_grouped_by_where_it_is_and_why(planned: Small) -> None:
    for number in range(3):
        name = f"case-{number}bcdefgh"
        planned.case(name, engaged=(TRACKER, ZENDESK), record=Record(system=ZENDESK, id=str(number), url="https://z/7"))
        why = "Unavailable: refused" if number else "Misconfigured: no password"
        planned.effect(EffectState.PARKED, case=name, error=why, retry_at=NOW + 5000, due_at=NOW + 5000)
    wrong = [one for one in look(planned)["wrong"] if "stand-by" in one]
    assert wrong == [
        f"1 case of {TRACKER} with the stand-by {ZENDESK}: Misconfigured: no password",
        f"2 cases of {TRACKER} with the stand-by {ZENDESK}: Unavailable: refused",
    ]
