"""Plans that change: only a source, a name, half of it in vain, a megabyte of it, a shadow, a hold, and all of it gone.

On the deployed machine with IAM enforced, by real updates of the stack that its routes are in. What CloudFormation
sends here is what it sends on AWS: a failed update is followed by an Update with the old properties for what failed and
for what had succeeded, then by a Delete for what was created. What this one never does, deliver twice and late, is in
test_plan_requests.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from connectors.aws.plan_log import PlanLog
from connectors.core.case import EffectKind, EffectState, Happening
from connectors.tool.checkup import Checkup
from connectors.tool.deployment import DeploymentError
from connectors.tool.local import EXTRAS, ROUTES, RunningStack
from connectors.tool.story import sweeping
from tests.e2e.administrator import ACTS, DECIDES, Administrator, other_routes
from tests.e2e.conftest import DEFINITIONS
from tests.e2e.wait import until
from tests.roundup.tracker import connect_to

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
IDEAS = "hailback-ideas"


@pytest.fixture(scope="module")
def administrator(machine: RunningStack) -> Iterator[Administrator]:
    with sweeping(machine), other_routes(machine) as administrator:
        yield administrator


@pytest.fixture(autouse=True)
def _as_before(administrator: Administrator) -> Iterator[None]:
    """Each test begins with the routes of the machine, also after one that failed."""
    yield
    administrator.restore()


def running(machine: RunningStack) -> dict[str, Any]:
    """What is in force, byte for byte: the plan's text, and the version of every resource."""
    pointer = machine.config.plan_pointer()
    version = pointer.version if pointer and pointer.live else ""
    names = [f"{ROUTES}/{name}" for name in ("Forum", "Tracker", "Zendesk", "Plan")]
    pointers = {name: machine.config.pointer(name) for name in names}
    return {
        "version": version,
        "text": [item["packed"] for item in machine.table.query(f"PLAN#{version}", "CHUNK#")],
        **{name: (one.version, one.deleted_at) for name, one in pointers.items() if one},
    }


def history(machine: RunningStack) -> list[str]:
    return [one.version for one in PlanLog(machine.watched).activations()]


def agent_notes(machine: RunningStack, record: str, words: str) -> None:
    person = connect_to(machine.tracker.base_url, machine.tracker.admin_password, "admin")
    fields = {"content": words, "author": "admin", "date": "."}
    message = str(person._data(person._call("POST", "rest/data/msg", json=fields))["id"])
    person._attach(_issue(record), message)


def _issue(record: str) -> Any:
    from connectors.core.ports import Reference

    return Reference(record, "")


def peak(machine: RunningStack, function: str) -> float:
    """The most memory that a worker of a function held, in MB."""
    most = 0.0
    for pid in machine.aws.workers(machine.functions[function]):
        with suppress(OSError):
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
            most = max(most, int(found[1]) / 1024 if found else 0.0)
    return most


def test_an_update_of_a_source_alone_leaves_the_plan(administrator: Administrator) -> None:
    machine = administrator.machine
    before, past, url = running(machine), history(machine), machine.source("Forum").url
    administrator.deploy(administrator.routes, ForumAccount="7,acme_support")
    after = running(machine)
    assert after.pop(f"{ROUTES}/Forum") != before.pop(f"{ROUTES}/Forum")
    assert after == before
    assert history(machine) == past
    assert machine.source("Forum").url == url, "the forum's webhook goes on"
    assert ["7", "acme_support"] in [list(one) for one in machine.source("Forum").settings.values() if one != str(one)]


def test_an_update_that_fails_half_way_leaves_what_ran(administrator: Administrator) -> None:
    """The source and the tracker are changed, and the plan with the tracker; then the plan itself is refused."""
    machine = administrator.machine
    before, past = running(machine), history(machine)
    wrong = administrator.routes.replace("Name: everything-else", "Name: everything-else\n          Lables: [a]")
    with pytest.raises(DeploymentError) as failed:
        administrator.deploy(wrong, ForumAccount="7,other", TrackerPoll="7s")
    assert "UPDATE_ROLLBACK_COMPLETE" in str(failed.value)
    assert "Routes[0].Lables: is not a field. Did you mean Labels?" in str(failed.value)
    assert running(machine) == before
    assert len(history(machine)) > len(past), "the tracker was changed, and changed back"
    assert history(machine)[0] == past[0]
    case = administrator.case(administrator.say("Does anybody hear me?"))
    assert (case.plan_version, case.route) == (before["version"], "everything-else")


def test_a_system_and_a_plan_that_are_renamed_keep_their_cases(administrator: Administrator) -> None:
    machine = administrator.machine
    mention = administrator.say("My heating drips.")
    case = administrator.case(mention)
    record = administrator.record(case.id, "Tracker")
    renamed = re.sub(r"\bTracker\b", "Desk", administrator.routes)
    administrator.deploy(renamed)
    version = running(machine)["version"]
    administrator.deploy(renamed.replace("\n  Plan:\n", "\n  Routing:\n").replace("!GetAtt Plan.", "!GetAtt Routing."))
    pointer = machine.config.plan_pointer()
    assert pointer is not None
    assert (pointer.id, pointer.version, pointer.live) == (f"{ROUTES}/Routing", version, True)
    administrator.say("It drips still.", topic=int(mention.rpartition(":")[2]))
    until(lambda: _noted(machine, record, "It drips still."), 60, "the note in the same record")
    assert _count(machine, case.conversation) == 1, "and no other record"
    administrator.deploy(renamed)  # a plan is renamed alone, also on the way back


def _noted(machine: RunningStack, record: str, words: str) -> bool:
    return any(words in text for one in machine.tickets.all() if one.id == record for text in one.notes.values())


def _count(machine: RunningStack, conversation: str) -> int:
    number = conversation.rpartition(":")[2]
    return sum(f"/{number}" in (one.conversation_url or "") for one in machine.tickets.all())


def test_a_plan_of_a_megabyte_comes_from_the_granted_bucket_and_no_other(administrator: Administrator) -> None:
    machine, s3 = administrator.machine, administrator.machine.client("s3")
    bucket, _, prefix = DEFINITIONS.partition("/")
    versions = {}
    for name in (bucket, "others-plans"):
        with suppress(ClientError):
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": machine.region})
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        body = megabyte(administrator.topic("hailback-care"))
        versions[name] = s3.put_object(Bucket=name, Key=f"{prefix}plan.json", Body=body)["VersionId"]
    administrator.forget("ConfigureStack")
    begun = time.monotonic()
    administrator.deploy(by_definition(administrator, f"s3://{bucket}/{prefix}plan.json?versionId={versions[bucket]}"))
    took = time.monotonic() - begun
    case = administrator.case(administrator.say("Where is order 5999 of the catalogue?"))
    assert case.route == "order-5999"
    limits = machine.client("lambda").get_function_configuration(FunctionName=machine.functions["ConfigureStack"])
    held = {name: peak(machine, name) for name in ("ConfigureStack", DECIDES)}
    print(f"a plan of {len(body):,} bytes: {took:.1f} s; " + ", ".join(f"{k} {v:.0f} MB" for k, v in held.items()))
    assert took < limits["Timeout"] / 2
    assert 0 < max(held.values()) < limits["MemorySize"] / 2
    before = running(machine)
    elsewhere = f"s3://others-plans/{prefix}plan.json?versionId={versions['others-plans']}"
    with pytest.raises(DeploymentError) as refused:
        administrator.deploy(by_definition(administrator, elsewhere))
    assert (
        f"Definition: lies outside of what Hailback was granted, which is s3://{DEFINITIONS}. "
        "Deploy Hailback with DefinitionsBucket set to its bucket, or put the definition there."
    ) in str(refused.value)
    assert running(machine) == before


def megabyte(topic: str) -> bytes:
    """Six thousand routes, the last but one of which is for one order."""
    there = {"Case": [f"{ROUTES}/Tracker"], "Notify": [topic]}
    routes: list[dict[str, Any]] = [
        {
            "Name": f"order-{number}",
            "When": {"text": [{"wildcard": f"*order {number:04} of the catalogue*"}], "connector": ["discourse"]},
            **there,
        }
        for number in range(6_000)
    ]
    body = json.dumps({"Routes": [*routes, {"Name": "everything-else", **there}]}).encode()
    assert len(body) > 1_000_000
    return body


def by_definition(administrator: Administrator, address: str) -> str:
    text, end = administrator.routes, administrator.routes.index("\nOutputs:")
    start = text.index("      Routes:\n        - Name: everything-else")
    return f"{text[:start]}      Definition: {address}\n{text[end:]}"


def test_a_shadow_run_plans_all_and_does_nothing(administrator: Administrator) -> None:
    machine = administrator.machine
    administrator.deploy(administrator.routes.replace("      Routes:\n", "      Effects: off\n      Routes:\n"))
    administrator.forget(*ACTS)
    case = administrator.case(administrator.say("Is this a shadow?"))

    def set_aside() -> bool:
        lines = machine.cases.effects(case.id)
        kinds = {EffectKind.RECORD, EffectKind.NOTIFY}
        return kinds <= {one.kind for one in lines} and all(one.state.final for one in lines)

    until(set_aside, 60, "everything to be planned and set aside")
    assert {one.state for one in machine.cases.effects(case.id)} == {EffectState.SUPERSEDED}
    assert {one.error for one in machine.cases.effects(case.id)} == {"shadow run"}
    assert administrator.records(case.id, f"{ROUTES}/Tracker") == []
    assert administrator.silent(case.id)
    administrator.restore()
    administrator.forget(*ACTS)
    after = administrator.case(administrator.say("And is this one?"))
    assert administrator.record(after.id, "Tracker")
    assert administrator.told(after.id) == administrator.topic("hailback-care")
    assert administrator.records(case.id, f"{ROUTES}/Tracker") == [], "what was not done is not done later"


def test_what_is_held_waits_and_goes_out_when_the_hold_ends(administrator: Administrator) -> None:
    """First the tracker is held, so people are told and there is no record; the forum as well for another post."""
    machine = administrator.machine
    tracker = "      Connector: roundup\n"
    of_tracker = administrator.routes.replace(tracker, tracker + "      Hold: true\n")
    administrator.deploy(of_tracker)
    administrator.forget(*ACTS)
    first = administrator.case(administrator.say("The tracker is being mended."))
    assert administrator.told(first.id) == administrator.topic("hailback-care")
    forum = "      Connector: discourse\n      BaseUrl: !Ref ForumUrl\n"
    administrator.deploy(of_tracker.replace(forum, forum + "      Hold: true\n"))
    administrator.forget(*ACTS)
    second = administrator.case(administrator.say("The forum is being flooded."))
    for case in (first, second):
        until(lambda case=case: _held(machine, case.id), 60, "the record to be held")  # type: ignore[misc]
        assert administrator.records(case.id, f"{ROUTES}/Tracker") == []
    assert administrator.silent(second.id)
    administrator.restore()
    administrator.forget(*ACTS)
    for case in (first, second):
        administrator.hasten(case.id)
    for case in (first, second):
        assert administrator.record(case.id, "Tracker")
    assert administrator.told(second.id) == administrator.topic("hailback-care")


def _held(machine: RunningStack, case: str) -> bool:
    lines = [one for one in machine.cases.effects(case) if one.kind is EffectKind.RECORD]
    return bool(lines) and all((one.error or "").startswith("Held: administrators hold") for one in lines)


def test_a_second_stack_comes_and_goes_while_its_cases_are_open(administrator: Administrator) -> None:
    machine = administrator.machine
    before = running(machine)
    administrator.secret("hailback/ideas-forum/verification", "hailback/forum/verification")
    administrator.deploy(SECOND, IDEAS, Topic=administrator.topic("hailback-care"))
    try:
        url = administrator.outputs(IDEAS)["Url"]
        case = administrator.case(administrator.say("A bigger button, please.", url=url))
        assert (case.route, case.labels) == (f"{IDEAS}/Plan/ideas", ("idea",))
        base = administrator.case(administrator.say("A smaller button, please."))
        assert base.route == "everything-else", "the other stack's sources are not its business"
        record = administrator.record(case.id, "Tracker")
    finally:
        assert administrator.delete(IDEAS) == "DELETE_COMPLETE"
    assert running(machine) == before, "exactly what ran before the second stack came"
    agent_notes(machine, record, "Ordered bigger buttons.")
    until(lambda: administrator.happened(case.id, Happening.REMARKED), 60, "the agent's note on the case")
    assert machine.dead_letters() == {}


SECOND = """
Parameters:
  Configure: {Type: String}
  Topic: {Type: String}
Resources:
  Forum:
    Type: Custom::Source
    Properties:
      ServiceToken: !Ref Configure
      ServiceTimeout: 120
      Connector: discourse
      BaseUrl: https://forum.acme.com
      Secret: hailback/ideas-forum
  Plan:
    Type: Custom::Plan
    Properties:
      ServiceToken: !Ref Configure
      ServiceTimeout: 120
      Priority: 100
      Routes:
        - Name: ideas
          When: {source: [!Ref Forum]}
          Case: [hailback-routes/Tracker]
          Notify: [!Ref Topic]
          Labels: [idea]
Outputs:
  Url: {Value: !GetAtt Forum.WebhookUrl}
"""


def test_a_stack_that_is_deleted_with_open_cases_and_deployed_again(administrator: Administrator) -> None:
    """The cases stay, the doctor names them, and they go on with what is deployed next."""
    machine = administrator.machine
    mention = administrator.say("Will you be gone?")
    case = administrator.case(mention)
    record = administrator.record(case.id, "Tracker")
    url, version = machine.source("Forum").url, running(machine)["version"]
    assert administrator.delete(ROUTES) == "DELETE_COMPLETE"
    assert running(machine)["version"] == ""
    kept = machine.cases.case(case.id)
    assert kept is not None
    assert kept.state == "open"

    def gone() -> list[str]:
        return [one for one in wrong() if f"{ROUTES}/Tracker, which is no longer deployed" in one]

    def wrong() -> list[str]:
        found: list[str] = Checkup(machine).document()["wrong"]
        return found

    assert "no plan is in force: posts are kept and wait; deploy a Custom::Plan" in wrong()
    assert len(gone()) == 1
    thread = int(mention.rpartition(":")[2])
    administrator.say("Is anybody there?", url=url)  # taken, so that the forum does not give up its webhook
    administrator.restore()
    administrator.listen(administrator.topic("hailback-care"), administrator.machine.standby_topic)
    assert (running(machine)["version"], machine.source("Forum").url) == (version, url)
    administrator.say("You are back.", topic=thread)
    until(lambda: _noted(machine, record, "You are back."), 60, "the note in the record from before")
    agent_notes(machine, record, "Yes, we are.")
    until(lambda: administrator.happened(case.id, Happening.REMARKED), 60, "the agent's note on the case")
    assert gone() == []
    assert machine.dead_letters() == {}
    assert EXTRAS in machine.routes
