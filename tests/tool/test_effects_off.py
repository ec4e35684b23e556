"""Nobody may overlook that effects are off: check, case, cases, plans and explain say it, and what a shadow is for."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from connectors.aws.cases import event_item
from connectors.aws.plan_log import activation_action
from connectors.core.case import CaseEvent, EffectKind, EffectState, Happening
from connectors.core.facts import facts
from connectors.core.models import Mention
from connectors.core.pause import SHADOW
from connectors.core.plan import Route, SystemConfig
from connectors.core.plan_merge import PlanPart, merge
from connectors.core.plan_ports import Activation
from connectors.tool import plans as plans_command
from connectors.tool.casework import dossier, summaries
from connectors.tool.main import app
from connectors.tool.routing import Router, verdict
from connectors.tool.show import show_case, show_cases
from tests.tool.conftest import TRACKER, Small
from tests.tool.small_plan import PLAN
from tests.tool.test_casework import NOW, FakeCases, a_case, an_effect

OFF = "      Effects: off\n      Routes:"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("", "Effects: are off in the base plan: NOTHING goes out"),
        ("      Priority: 1\n      Sources: all\n", "Effects: are off: a shadow. Its routes take nothing"),
    ],
)
def test_check_warns_and_finds_nothing_wrong(tmp_path: Path, more: str, sentence: str) -> None:
    text = PLAN.replace("      Routes:", f"{more}{OFF}")
    text = text[: text.index("        - Name: everything-else")] if more else text
    file = tmp_path / "routes.yaml"
    file.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["check", str(file)])
    assert done.exit_code == 0, done.output
    (said,) = [line for line in done.output.splitlines() if ": warning: Plan.Effects" in line]
    assert sentence in said
    assert f":{text[: text.index('Effects')].count(chr(10)) + 1}:" in said, "the line of the field"


def test_check_warns_of_a_plan_whose_routes_lie_elsewhere(tmp_path: Path) -> None:
    text = PLAN[: PLAN.index("      Routes:")]
    file = tmp_path / "routes.yaml"
    file.write_text(
        f"{text}      Effects: off\n      Definition: 's3://plans/hailback/p.json?versionId=v1'\n", encoding="utf-8"
    )
    done = CliRunner().invoke(app, ["check", str(file), "--granted", "DefinitionsBucket=plans/hailback/"])
    assert done.exit_code == 0, done.output
    assert "warning: Plan.Effects: are off in the base plan: NOTHING goes out" in done.output


def test_a_case_says_what_was_planned_and_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    never = {"error": SHADOW, "done_at": NOW}
    lines = (
        an_effect(EffectKind.RECORD, EffectState.SUPERSEDED, **never),
        an_effect(EffectKind.NOTIFY, EffectState.SUPERSEDED, **never),
    )
    case = a_case(systems=("routes/Tracker",))
    cases: Any = FakeCases(case, effects=lines)
    show_case(dossier(cases, case))
    shown = capsys.readouterr().out
    assert "planned, not sent: the record for routes/Tracker, a notification for routes/Tracker" in shown
    assert "hailback release case-abcdefgh" in shown
    assert "all that was planned is done" not in shown
    show_cases(summaries(cases, 5, "open"), "open")
    assert "planned, not sent: Effects: off" in capsys.readouterr().out


def line(case: str, at: int) -> CaseEvent:
    detail = {
        "shadow": "ideas/Plan",
        "route": "ideas/Plan/bugs",
        "instead_of": "everything-else",
        "systems": "ideas/Desk",
        "priority": "high",
    }
    return CaseEvent(case=case, id="s", kind=Happening.SHADOWED, at=at, mention="d:f:1", detail=detail)


def test_a_case_says_what_a_shadow_would_have_done(capsys: pytest.CaptureFixture[str]) -> None:
    case = a_case(shadowed=("ideas/Plan/bugs",))
    found = dossier(cast("Any", FakeCases(case, events=(line(case.id, NOW),))), case)
    assert [(one["plan"], one["would"]) for one in found["shadows"]] == [
        ("ideas/Plan", {"systems": "ideas/Desk", "priority": "high"})
    ]
    show_case(found)
    assert (
        "ideas/Plan (Effects: off) would have taken it: route ideas/Plan/bugs instead of everything-else; "
        "systems ideas/Desk; priority high" in capsys.readouterr().out
    )


def test_plans_marks_the_versions_and_sums_up_the_shadows(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans_command, "target", lambda *_: small.deployment)
    part = PlanPart.of("ideas/Plan", (Route(name="bugs", systems=(TRACKER,)),), priority=1, effects=False)
    rest = PlanPart.of("r/Plan", (Route(name="everything-else", systems=(TRACKER,)),), effects=False)
    plan = merge([part, rest], {TRACKER: SystemConfig.of(TRACKER, "roundup", "hailback/t", {})})
    assert plan is not None
    small.plan(plan)
    table = small.deployment.table
    for number, off in ((1, ()), (2, ("r/Plan", "ideas/Plan"))):
        said = Activation(plan.version, f"2026-11-2{number}", "Update", "r/Plan", "s", f"r{number}", {}, number, off)
        table.transact([activation_action(table, said)])
    listed = CliRunner().invoke(app, ["plans"]).output.splitlines()
    assert listed[0].endswith("in force; EFFECTS OFF in r/Plan, ideas/Plan")
    assert "EFFECTS OFF" not in listed[1]
    small.case("case-1bcdefgh", shadowed=("ideas/Plan/bugs",))
    table.put(event_item(line("case-1bcdefgh", int(time.time() * 1000) - 5_000)))
    done = CliRunner().invoke(app, ["plans", "shadows", "--since", "2h"])
    assert done.output.splitlines() == [
        "the shadow plan ideas/Plan would have taken 1 case in 2h: 1 from everything-else",
        "  1 by bugs; such as case-1bcdefgh",
    ]
    (found,) = json.loads(CliRunner().invoke(app, ["plans", "shadows", "--json"]).stdout)
    assert (found["cases"], found["posts"], found["from"], found["to"]) == (1, 1, {"everything-else": 1}, {"bugs": 1})


def test_a_file_of_a_shadow_alone_is_compared_and_explained_as_one(tmp_path: Path) -> None:
    text = PLAN[: PLAN.index("        - Name: everything-else")].replace("thanks", "any")
    text = text.replace("source: [!Ref Forum]", "kind: [post, reply, quote]").replace("text: [{prefix: Thanks}], ", "")
    files = []
    for name, said in (("on", "      Priority: 1\n"), ("off", "      Priority: 1\n      Effects: off\n")):
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(text.replace("      Routes:", f"{said}      Routes:"), encoding="utf-8")
    done = CliRunner().invoke(app, ["plan", "diff", *map(str, files)])
    assert done.output.splitlines()[0] == '~ plan hailback-routes/Plan: Effects: "on" → "off"', done.output
    post = "events/discourse/post_created__heating.json"
    on, off = (CliRunner().invoke(app, ["explain", str(file), post]).output for file in files)
    assert "route hailback-routes/Plan/any" in off
    assert "its plan is a shadow" in off
    assert "its plan is a shadow" not in on


def test_explain_names_the_shadow_that_would_take_a_mention() -> None:
    part = PlanPart.of("a/Plan", (Route(name="bugs", systems=(TRACKER,)),), priority=1, effects=False)
    rest = PlanPart.of("r/Plan", (Route(name="rest", systems=(TRACKER,)),))
    plan = merge([part, rest], {TRACKER: SystemConfig.of(TRACKER, "roundup", "hailback/t", {})})
    assert plan is not None
    mention = Mention(connector="discourse", native_id="1", conversation_id="1", text="broken")
    found = verdict(Router(plan), facts(mention, "a/Forum"))
    assert (found["route"], [one["route"] for one in found["shadows"]]) == ("rest", ["a/Plan/bugs"])
    assert verdict(Router(plan), facts(mention, "b/Forum"))["shadows"] == []
