"""Plans of several stacks in a real table (moto): deployed, renamed, rolled back, deleted, twice and at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.aws.config import ConfigStore
from connectors.core.plan import Plan
from connectors.core.plan_options import LARGEST_DEFINITION
from connectors.core.plan_ports import Outcome, Sight
from tests.core.plan_table import deploy, do, open_store, rows, table
from tests.core.plan_world import FORUM, PLAN, ROUTE, TOPIC, TRACKER, Seen, ask, clock
from tests.faults import Fault, FaultyClient

IDEAS: dict[str, Any] = {
    "Priority": "100",
    "Routes": [{"Name": "bugs", "Case": ["routes/Tracker"], "Notify": [TOPIC], "When": {"kind": ["post"]}}],
}
TRACKER_2 = {**TRACKER, "BaseUrl": "https://second.example"}
RENAMED = {"Routes": [{**ROUTE, "Name": "renamed"}]}


@pytest.fixture
def client() -> Iterator[Any]:
    with table() as client:
        yield client


@pytest.fixture
def store(client: Any) -> ConfigStore:
    return open_store(FaultyClient(client), ttl=0)


def add(store: ConfigStore, stack: str = "ideas", properties: dict[str, Any] = IDEAS, **more: Any) -> Outcome:
    return do(store, ask("Create", "Plan", "Plan", properties, stack=stack, **more))


def names(store: ConfigStore) -> list[str]:
    plan = store.active_plan()
    return [route.name for route in plan.routes] if plan else []


def active(store: ConfigStore) -> Plan:
    plan = store.active_plan()
    assert plan is not None
    return plan


def test_another_stack_adds_routes_for_its_own_sources(store: ConfigStore) -> None:
    deploy(store)
    outcome = add(store)
    assert outcome.ok, outcome.findings
    assert outcome.data["Version"] == active(store).version
    assert names(store) == ["ideas/Plan/bugs", "everything-else"]
    first = active(store).routes[0]
    assert first.when == {"source": [{"prefix": "ideas/"}], "kind": ["post"]}
    assert first.plan == "ideas/Plan"


def test_two_stacks_with_the_same_names_do_not_collide_and_the_lower_priority_is_first(store: ConfigStore) -> None:
    deploy(store)
    add(store)
    add(store, "shop", {**IDEAS, "Priority": "7"})
    add(store, "blog")
    assert names(store) == ["shop/Plan/bugs", "blog/Plan/bugs", "ideas/Plan/bugs", "everything-else"]


def test_a_plan_before_its_base_waits_and_says_so(store: ConfigStore) -> None:
    do(store, ask("Create", "System", "Tracker", TRACKER))
    early = add(store)
    assert early.ok
    assert early.data["Version"] == "none"
    assert "no base plan is in force, so all mentions are taken in and wait." in early.data["Warnings"]
    assert store.active_plan() is None
    assert do(store, ask("Create", "Plan", "Plan", PLAN)).ok
    assert names(store) == ["ideas/Plan/bugs", "everything-else"]


def test_without_the_base_mentions_wait_and_with_it_all_is_as_before(store: ConfigStore) -> None:
    deploy(store)
    version = add(store).data["Version"]
    assert do(store, ask("Delete", "Plan", "Plan", PLAN)).ok
    assert store.active_plan() is None
    assert do(store, ask("Create", "Plan", "Plan", PLAN)).ok
    assert active(store).version == version


def test_a_deleted_plan_goes_and_cases_find_the_version_that_they_were_opened_under(store: ConfigStore) -> None:
    before = deploy(store).data["Version"]
    pinned = add(store).data["Version"]
    assert do(store, ask("Delete", "Plan", "Plan", IDEAS, stack="ideas")).ok
    assert active(store).version == before, "the rest is exactly as it was"
    kept = store.plan(pinned)
    assert kept is not None
    assert kept.routes[0].systems == ("routes/Tracker",)
    assert kept.systems["routes/Tracker"].settings["base_url"] == "https://tracker.example"


def test_deleting_again_or_from_a_stack_of_the_same_name_changes_nothing(store: ConfigStore) -> None:
    deploy(store)
    add(store, run="2")
    assert do(store, ask("Delete", "Plan", "Plan", IDEAS, stack="ideas", run="1")).ok
    assert len(names(store)) == 2
    for _ in range(2):
        assert do(store, ask("Delete", "Plan", "Plan", IDEAS, stack="ideas", run="2")).ok
    assert names(store) == ["everything-else"]


def test_a_changed_system_takes_all_plans_along(store: ConfigStore) -> None:
    deploy(store)
    add(store)
    assert do(store, ask("Update", "System", "Tracker", TRACKER_2, old=TRACKER)).ok
    assert names(store) == ["ideas/Plan/bugs", "everything-else"]
    assert active(store).systems["routes/Tracker"].settings["base_url"] == "https://second.example"


def test_a_changed_source_changes_no_plan(store: ConfigStore) -> None:
    version = deploy(store).data["Version"]
    assert do(store, ask("Update", "Source", "Forum", {**FORUM, "BaseUrl": "https://x.example"}, old=FORUM)).ok
    assert active(store).version == version


def test_two_stacks_at_the_same_moment_both_come_into_force(client: Any, store: ConfigStore) -> None:
    deploy(store)
    meanwhile = ask("Create", "Plan", "Plan", IDEAS, stack="shop")
    racing = FaultyClient(client, [Fault("transact_write_items", 2, before=lambda: do(store, meanwhile))])
    assert do(open_store(racing), ask("Create", "Plan", "Plan", IDEAS, stack="ideas")).ok
    assert names(store) == ["ideas/Plan/bugs", "shop/Plan/bugs", "everything-else"]


def test_an_update_that_broke_off_is_carried_out_once_when_it_comes_again(client: Any, store: ConfigStore) -> None:
    deploy(store)
    request = ask("Create", "Plan", "Plan", IDEAS, stack="ideas")
    dying = FaultyClient(client, [Fault("transact_write_items", 2, "InternalFailure")])
    with pytest.raises(Exception, match="InternalFailure"):
        do(open_store(dying), request)
    assert names(store) == ["everything-else"]
    first = do(store, request)
    before = rows(client)
    assert do(store, request) == first
    assert rows(client) == before
    assert names(store) == ["ideas/Plan/bugs", "everything-else"]


def test_a_renamed_plan_takes_over_and_its_rollback_gives_back(store: ConfigStore) -> None:
    """CloudFormation creates the new name first and deletes the old one last, or the new one if anything failed."""
    version = deploy(store).data["Version"]
    assert do(store, ask("Create", "Plan", "Renamed", PLAN)).ok
    assert do(store, ask("Delete", "Plan", "Renamed", PLAN)).ok, "rolled back"
    assert active(store).version == version
    assert do(store, ask("Create", "Plan", "Renamed", PLAN)).ok
    assert do(store, ask("Delete", "Plan", "Plan", PLAN)).ok, "went through"
    assert active(store).version == version
    assert do(store, ask("Update", "Plan", "Renamed", RENAMED, old=PLAN)).ok
    assert names(store) == ["renamed"]


@pytest.mark.parametrize(("stack", "properties"), [("other", PLAN), ("routes", RENAMED)])
def test_a_second_catch_all_is_refused(store: ConfigStore, stack: str, properties: dict[str, Any]) -> None:
    deploy(store)
    (finding,) = do(store, ask("Create", "Plan", "Second", properties, stack=stack)).findings
    assert finding.startswith("Custom::Plan: another plan, routes/Plan, is in force and owns the catch-all. Give this")


def test_a_renamed_system_and_source_go_over_in_one_update(store: ConfigStore) -> None:
    deploy(store)
    assert do(store, ask("Create", "System", "Desk", TRACKER)).ok
    moved = {"Routes": [{**ROUTE, "Case": ["routes/Desk"]}]}
    assert do(store, ask("Update", "Plan", "Plan", moved, old=PLAN)).ok
    assert do(store, ask("Delete", "System", "Tracker", TRACKER)).ok
    assert set(active(store).systems) == {"routes/Desk"}


def test_a_rollback_brings_back_exactly_what_ran(store: ConfigStore) -> None:
    deploy(store)
    version = add(store).data["Version"]
    more = {**IDEAS, "Priority": "1", "Effects": "off"}
    assert do(store, ask("Update", "Plan", "Plan", more, old=IDEAS, stack="ideas")).ok
    assert active(store).version != version
    gone = Seen(topic=Sight.MISSING)
    assert do(store, ask("Update", "Plan", "Plan", IDEAS, old=more, stack="ideas"), gone).ok
    assert active(store).version == version


@pytest.mark.parametrize("change", [{"Effects": "off"}, {"Priority": "7"}, {"Sources": "all"}])
def test_what_a_plan_says_beside_its_routes_is_part_of_its_version(store: ConfigStore, change: dict[str, str]) -> None:
    deploy(store)
    add(store)
    before = active(store).version
    outcome = do(store, ask("Update", "Plan", "Plan", {**IDEAS, **change}, old=IDEAS, stack="ideas"))
    assert outcome.ok
    assert outcome.data["Version"] == active(store).version != before
    assert do(store, ask("Update", "Plan", "Plan", IDEAS, old={**IDEAS, **change}, stack="ideas")).ok
    assert active(store).version == before


def test_the_history_says_whose_effects_were_off(store: ConfigStore) -> None:
    deploy(store)
    add(store, "ideas", {**IDEAS, "Effects": "off"})
    assert do(store, ask("Update", "Plan", "Plan", {**PLAN, "Effects": "off"}, old=PLAN)).ok
    assert [one.off for one in store.log.activations()] == [("routes/Plan", "ideas/Plan"), ("ideas/Plan",), ()]


def test_more_shadows_than_a_case_can_tell_of_are_refused(store: ConfigStore) -> None:
    deploy(store)
    for number in range(5):
        add(store, f"ideas{number}", {**IDEAS, "Effects": "off"})
    (finding,) = do(store, ask("Create", "Plan", "Plan", {**IDEAS, "Effects": "off"}, stack="ideas5")).findings
    assert finding.startswith("Effects: are off in more than 5 plans beside the base.")
    assert do(store, ask("Create", "Plan", "Plan", IDEAS, stack="ideas5")).ok


def test_a_plan_kept_by_an_earlier_hailback_is_the_base(store: ConfigStore, client: Any) -> None:
    """Before there were several plans the compiled plan's pointer was the plan's own."""
    version = deploy(store).data["Version"]
    for key in ({"pk": "CONFIG#routes/Plan", "sk": "ACTIVE"}, *(
        {"pk": row["pk"]["S"], "sk": row["sk"]["S"]} for row in rows(client) if row["pk"]["S"].startswith("PART#")
    )):  # fmt: skip
        client.delete_item(TableName="hailback", Key={name: {"S": value} for name, value in key.items()})
    client.update_item(
        TableName="hailback",
        Key={"pk": {"S": "PLAN#ACTIVE"}, "sk": {"S": "POINTER"}},
        UpdateExpression="REMOVE parts, shadows",
    )
    store = open_store(client, ttl=0)
    assert active(store).version == version
    assert add(store).ok
    assert names(store) == ["ideas/Plan/bugs", "everything-else"]
    assert do(store, ask("Update", "Plan", "Plan", RENAMED, old=PLAN)).ok
    assert names(store) == ["ideas/Plan/bugs", "renamed"]
    assert do(store, ask("Delete", "Plan", "Plan", RENAMED)).ok
    assert store.active_plan() is None


def test_every_activation_is_in_the_history_with_who_asked_for_it(store: ConfigStore) -> None:
    first = deploy(store).data["Version"]
    clock[0] += 1000
    second = add(store).data["Version"]
    clock[0] += 1000
    do(store, ask("Update", "System", "Tracker", TRACKER_2, old=TRACKER))
    third = active(store).version
    clock[0] += 1000
    do(store, ask("Delete", "Plan", "Plan", PLAN, request_id="the-last"))
    found = list(store.log.activations())
    assert [line.version for line in found] == ["", third, second, first]
    assert [line.action for line in found] == [
        "Delete Custom::Plan",
        "Update Custom::System",
        "Create Custom::Plan",
        "Create Custom::Plan",
    ]
    assert (found[0].request_id, found[2].resource) == ("the-last", "ideas/Plan")
    assert found[2].stack_id.endswith("stack/ideas/1")
    assert set(found[1].parts) == {"routes/Plan", "ideas/Plan"}
    assert all(store.plan(line.version) for line in found[1:])
    part = store.part("ideas/Plan", found[1].parts["ideas/Plan"])
    assert part is not None
    assert part.priority == 100


def test_all_findings_are_kept_for_whoever_asks(store: ConfigStore) -> None:
    wrong = {"Routes": [{**ROUTE, "Name": f"n{number}", "Case": ["nobody"]} for number in range(700)]}
    outcome = do(store, ask("Create", "Plan", "Plan", wrong, request_id="wrong"))
    (kept,) = store.log.refusals()
    assert (kept.resource, kept.request_id) == ("routes/Plan", "wrong")
    assert len(kept.findings) + kept.left_out == len(outcome.findings)
    assert len(kept.findings) >= 700
    assert kept.findings == outcome.findings[: len(kept.findings)]


def test_a_source_that_nobody_deployed_is_refused(store: ConfigStore) -> None:
    deploy(store)
    when = {"source": ["routes/Forum", "routes/Form"]}
    wrong = {"Routes": [{**ROUTE, "Name": "forum", "When": when}, ROUTE]}
    (finding,) = do(store, ask("Update", "Plan", "Plan", wrong, old=PLAN)).findings
    assert finding.startswith("Routes[0].When.source[1]: 'routes/Form' is no source that is deployed.")


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({**IDEAS, "Priority": "high"}, "Priority: is not a whole number from 0 to 1000000."),
        ({**IDEAS, "Priority": "-1"}, "Priority: is not a whole number"),
        ({**IDEAS, "Sources": "mine"}, "Sources: is neither own nor all. Write own or all."),
        ({**PLAN, "Sources": "all"}, "Sources: is for plans with a Priority"),
        ({**PLAN, "Effects": "maybe"}, "Effects: is neither on nor off. Write on or off."),
        ({"Definition": "plan.json"}, "Definition: is not the address of an object in S3."),
        ({"Definition": "s3://plans/hailback/p.json"}, "Definition: names no version of the object"),
        ({"Definition": "s3://plans/hailback/p.json?versionId=null"}, "Definition: names no version of the object"),
        (
            {"Definition": "s3://plans/other/p.json?versionId=1"},
            (
                "Definition: lies outside of what Hailback was granted, which is s3://plans/hailback/. "
                "Deploy Hailback with DefinitionsBucket set"
            ),
        ),
        ({"Definition": "s3://plans/hailback/p.json?versionId=1"}, "Definition: s3://plans/hailback/p.json does not"),
        ({**PLAN, "Definition": "s3://plans/hailback/p.json?versionId=1"}, "Definition: stands beside Routes."),
    ],
)
def test_a_wrong_option_is_refused_with_its_field_and_a_remedy(
    store: ConfigStore, properties: dict[str, Any], said: str
) -> None:
    do(store, ask("Create", "System", "Tracker", TRACKER))
    findings = do(store, ask("Create", "Plan", "Plan", properties)).findings
    assert any(finding.startswith(said) for finding in findings), findings
    assert store.active_plan() is None


def large(count: int) -> bytes:
    route = {"Case": ["routes/Tracker"], "Notify": [TOPIC]}
    many = [
        {"Name": f"r{number}", **route, "When": {"author": {"handle": [f"somebody-{number}"]}}}
        for number in range(count)
    ]
    return json.dumps({"Routes": [*many, {"Name": "rest", **route}]}).encode()


def test_a_plan_of_a_megabyte_comes_from_s3(store: ConfigStore, client: Any) -> None:
    do(store, ask("Create", "System", "Tracker", TRACKER))
    seen = Seen()
    seen.definitions["s3://plans/hailback/p.json?versionId=v1"] = body = large(6_500)
    assert len(body) > 1_000_000
    text = {"Definition": "s3://plans/hailback/p.json?versionId=v1"}
    outcome = do(store, ask("Create", "Plan", "Plan", text), seen)
    assert outcome.ok, outcome.findings[:3]
    assert len(active(open_store(client)).routes) == 6_501
    assert outcome.data["Version"] == active(store).version
    later = {"Definition": "s3://plans/hailback/p.json?versionId=v2"}
    seen.definitions["s3://plans/hailback/p.json?versionId=v2"] = large(2)
    assert do(store, ask("Update", "Plan", "Plan", later, old=text), seen).ok
    assert names(store) == ["r0", "r1", "rest"]
    back = do(store, ask("Update", "Plan", "Plan", text, old=later), Seen())
    assert back.ok, "a rollback does not need the object, which may be gone"
    assert "does not exist in that version" in back.data["Warnings"]
    assert active(store).version == outcome.data["Version"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "Definition: is no JSON: Expecting property name enclosed in double quotes in line 1, column 2."),
        (b"\xff", "Definition: is no JSON in UTF-8."),
        (b"[]", "Definition: has no Routes."),
        (b"[" * 100_000, "Definition: is no JSON"),
        (b'{"Routes": [], "Routes": []}', "Definition: 'Routes' is written twice in one object."),
        (b'{"Routes": [], "Priority": 1}', "Definition.Priority: is not a field of a definition."),
        (b'{"Routes": []}', "Routes: is not a list of routes."),
        (b" " * (LARGEST_DEFINITION + 1), "Definition: is larger than the limit of 5000000 bytes."),
    ],
)
def test_a_wrong_definition_is_refused(store: ConfigStore, body: bytes, said: str) -> None:
    seen = Seen()
    seen.definitions["s3://plans/hailback/p.json?versionId=v1"] = body
    text = {"Definition": "s3://plans/hailback/p.json?versionId=v1"}
    (finding,) = do(store, ask("Create", "Plan", "Plan", text), seen).findings
    assert finding.startswith(said)


def test_a_shadow_run_is_remembered_with_its_beginning_and_its_end(store: ConfigStore) -> None:
    deploy(store)
    assert store.shadows() == {}
    began = clock[0]
    off = {**PLAN, "Effects": "false"}  # as CloudFormation hands over what YAML reads `off` as
    outcome = do(store, ask("Update", "Plan", "Plan", off, old=PLAN))
    assert "Effects: are off in the base plan: NOTHING goes out" in outcome.data["Warnings"]
    assert not active(store).effects
    assert store.shadows() == {"": ((began, None),)}
    clock[0] += 60_000
    add(store, "ideas", {**IDEAS, "Effects": "off"})
    assert store.shadows() == {"": ((began, None),), "ideas/Plan": ((began + 60_000, None),)}
    assert do(store, ask("Update", "Plan", "Plan", PLAN, old=off)).ok
    assert store.shadows()[""] == ((began, began + 60_000),)
    clock[0] += 1
    do(store, ask("Delete", "Plan", "Plan", IDEAS, stack="ideas"))
    assert store.shadows()["ideas/Plan"] == ((began + 60_000, began + 60_001),)
