"""`hailback plans`, `hailback plans findings`, `hailback plan diff`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from connectors.aws.plan_log import PlanLog, activation_action
from connectors.core.plan import Plan, Route, SystemConfig, canonical
from connectors.core.plan_merge import PlanPart, merge
from connectors.core.plan_ports import Activation, Outcome
from connectors.tool import plans as command
from connectors.tool.main import app
from connectors.tool.plan_difference import difference, lines, same
from tests.tool.conftest import Small
from tests.tool.small_plan import PLAN

A, B = "r/A", "r/B"
SYSTEMS = {name: SystemConfig.of(name, "roundup", "hailback/t", {"BaseUrl": name}) for name in (A, B)}
ALL = Route(name="all", systems=(A,), topics=("arn:t",))
LOUD = Route(name="loud", when={"author": {"followers": [{"numeric": [">", 10]}]}}, systems=(A,), topics=("arn:t",))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def plan(*routes: Route, systems: dict[str, SystemConfig] = SYSTEMS) -> Plan:
    return Plan.of(routes, systems)


def test_routes_that_came_went_and_changed_are_told_field_by_field() -> None:
    louder = LOUD.model_copy(
        update={
            "when": {"author": {"followers": [{"numeric": [">", 99]}]}, "kind": ["post"]},
            "systems": (B, A),
            "labels": ("vip",),
        }
    )
    quiet = Route(name="thanks", when={"intent": ["praise"]}, opens=False)
    found = difference(plan(LOUD, ALL), plan(quiet, louder, ALL))
    assert [one["name"] for one in found["added"]] == ["thanks"]
    assert (found["removed"], found["moved"]) == ([], [])
    [changed] = found["changed"]
    assert {one["field"]: (one["before"], one["after"]) for one in changed["fields"]} == {
        "When.author.followers": ([{"numeric": [">", 10]}], [{"numeric": [">", 99]}]),
        "When.kind": (None, ["post"]),
        "Case": ([A], [B, A]),
        "Labels": ([], ["vip"]),
    }
    assert found["systems"] == [{"system": B, "fields": [], "state": "added"}]
    said = list(lines(found))
    assert '~ route loud: When.kind: nothing → ["post"]' in said
    assert '+ route thanks (place 1): when {"intent": ["praise"]}; counted, no case' in said
    assert [one["name"] for one in difference(plan(LOUD, ALL), plan(ALL))["removed"]] == ["loud"]


def test_the_fewest_moves_that_explain_a_new_order() -> None:
    routes = [LOUD.model_copy(update={"name": name}) for name in "abcdef"]
    moved = [routes[0], routes[5], *routes[1:5]]
    found = difference(plan(*routes, ALL), plan(*moved, ALL))
    assert found["moved"] == [{"route": "f", "before": 6, "after": 2}]
    assert not found["changed"]


def test_a_systems_new_settings_are_a_difference_and_the_same_plan_is_none() -> None:
    other = {**SYSTEMS, A: SystemConfig.of(A, "roundup", "hailback/t", {"BaseUrl": "new"}, 60)}
    found = difference(plan(ALL), plan(ALL, systems=other))
    [system] = found["systems"]
    assert {one["field"] for one in system["fields"]} == {"BaseUrl", "poll"}
    assert same(difference(plan(ALL), plan(ALL)))
    shadow = Plan.of((ALL,), SYSTEMS, effects=False)
    assert list(lines(difference(plan(ALL), shadow))) == ["~ Effects: off: nothing goes out"]


def test_what_a_plan_beside_the_base_says_of_itself_is_a_difference() -> None:
    base = PlanPart.of("r/Plan", (ALL,))

    def beside(**said: Any) -> Plan:
        part = PlanPart.of("ideas/Plan", (LOUD,), **{"priority": 1, "everywhere": True, **said})
        found = merge([base, part], SYSTEMS)
        assert found is not None
        return found

    assert list(lines(difference(beside(), beside(effects=False)))) == [
        '~ plan ideas/Plan: Effects: "on" → "off"',
        "    a shadow: its routes take nothing",
    ]
    assert list(lines(difference(beside(effects=False), beside()))) == ['~ plan ideas/Plan: Effects: "off" → "on"']
    assert list(lines(difference(beside(), beside(priority=7)))) == ["~ plan ideas/Plan: Priority: 1 → 7"]
    moved = list(lines(difference(beside(), beside(everywhere=False))))
    assert '~ plan ideas/Plan: Sources: "all" → "own"' in moved
    added = difference(plan(ALL), beside(effects=False))
    assert "+ plan ideas/Plan: Priority 1, Sources all, Effects off" in lines(added)
    assert [one["name"] for one in added["added"]] == ["ideas/Plan/loud"]
    assert same(difference(beside(effects=False), beside(effects=False)))


def test_two_templates_are_compared_without_a_deployment(tmp_path: Path) -> None:
    old, new = tmp_path / "a.yaml", tmp_path / "b.yaml"
    old.write_text(PLAN, encoding="utf-8")
    new.write_text(PLAN.replace("1000", "5000"), encoding="utf-8")
    done = run("plan", "diff", old, new)
    assert done.exit_code == 0, done.output
    assert done.output == (
        '~ route loud: When.author.followers: [{"numeric": [">", 1000]}] → [{"numeric": [">", 5000]}]\n'
    )
    assert run("plan", "diff", old, old).output == "No difference.\n"
    assert json.loads(run("plan", "diff", old, new, "--json").stdout)["changed"][0]["route"] == "loud"


@pytest.fixture
def deployed(small: Small, monkeypatch: pytest.MonkeyPatch) -> Small:
    monkeypatch.setattr(command, "target", lambda *_: small.deployment)
    return small


def bring(small: Small, found: Plan, at: str, *, force: bool = False) -> None:
    table = small.deployment.table
    body: dict[str, Any] = {"body": canonical(found.model_dump(mode="json")), "chunks": 1}
    table.put({"pk": f"PLAN#{found.version}", "sk": "CHUNK#0000", **body})
    line = Activation(found.version, at, "Update", "routes/Plan", "arn:aws:cloudformation:e:1:stack/routes/u", at)
    table.transact([activation_action(table, line)])
    if force:
        pointer = {"kind": "plan", "id": "routes/Plan", "version": found.version, "stack_id": "s", "ticket": 1}
        table.put({"pk": "PLAN#ACTIVE", "sk": "POINTER", **pointer, "revision": 1})


def test_every_version_is_listed_with_its_time_and_stack(deployed: Small) -> None:
    assert run("plans").output == "No plan was deployed yet.\n"
    first, second = plan(ALL), plan(LOUD, ALL)
    bring(deployed, first, "2026-11-20T10:00:00+00:00")
    bring(deployed, second, "2026-11-21T10:00:00+00:00", force=True)
    rows = json.loads(run("plans", "--json").stdout)
    assert [(one["version"], one["in_force"], one["stack"]) for one in rows] == [
        (second.version, True, "routes"),
        (first.version, False, "routes"),
    ]
    assert f"{second.version}  update of routes/Plan  in force" in run("plans").output
    done = run("plan", "diff", first.version[:8], "active")
    assert done.output.startswith("+ route loud (place 1)")
    missing = run("plan", "diff", "nothing", "active")
    assert (missing.exit_code, "hailback plans" in missing.stderr) == (1, True)


def test_a_plan_of_before_there_was_a_history_is_listed_too(deployed: Small) -> None:
    deployed.plan()
    [row] = json.loads(run("plans", "--json").stdout)
    assert row["in_force"]
    assert row["resource"] == "routes/Plan"


def test_what_was_refused_is_listed_in_full(deployed: Small) -> None:
    assert "Nothing was refused" in run("plans", "findings").output
    log = PlanLog(deployed.deployment.table)
    log.keep("r1", Outcome("routes/Plan", tuple(f"Routes[{n}].Case: is missing." for n in range(9))))
    done = run("plans", "findings")
    assert done.output.count("is missing.") == 9
    assert run("plans", "findings", "routes/Plan").output == done.output, "as the answer to CloudFormation says"
    assert (
        run("plans", "findings", "other/Plan").output.strip() == "Nothing of other/Plan was refused in the last week."
    )
    [refusal] = json.loads(run("plans", "findings", "--json").stdout)
    assert refusal["resource"] == "routes/Plan"
