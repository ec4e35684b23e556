"""What reached whom, and after how long, when a topic is deleted, denied, throttled, unheard or its region is gone.

On the deployed machine with IAM enforced: the first topic in its region, the stand-by's in another.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from connectors.core.case import CaseEvent, EffectState, Happening
from connectors.tool.cut import Manner
from connectors.tool.dead_letters import DeadLetters
from connectors.tool.delivering import Deliverer
from connectors.tool.deploy import describe
from connectors.tool.deployment import apply
from connectors.tool.local import EXTRAS, ROUTES, STANDBY_REGION, Notification, RunningStack
from connectors.tool.samples import Sample
from connectors.tool.venvs import CHECKOUT
from tests.e2e.wait import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NUMBERS = itertools.count(810_000)
PATIENCE = 40
OVER = {Happening.NOTIFIED, Happening.UNDELIVERED}


class People:
    """Has cases opened and sees who hears of them."""

    def __init__(self, machine: RunningStack) -> None:
        self.machine = machine
        self.care = describe(machine.client("cloudformation"), ROUTES).outputs["CareTopic"]
        self.standby = machine.standby_topic
        self.role = machine.stack.resources["NotifyRole"]
        self._deliverer = Deliverer("discourse", machine.webhook_url("Forum"), machine.secret("Forum"))
        self._heard: list[Notification] = []

    def complain(self) -> str:
        """A post in a topic of its own; its case."""
        number = next(NUMBERS)
        assert self._deliverer.deliver(_post(number)).status == 200
        name = f"discourse:forum.acme.com:{number}"
        until(lambda: self.machine.cases.mention(name)[0], PATIENCE, f"the case of {name}")
        return str((self.machine.cases.mention(name)[0] or {})["case"])

    def story(self, case: str) -> list[CaseEvent]:
        """What the timeline says of who was told."""
        kinds = {*OVER, Happening.FAILED_OVER, Happening.REFUSED}
        found = [event for event in self.machine.cases.timeline(case) if event.kind in kinds]
        return found + [
            event
            for event in self.machine.cases.timeline(case)
            if event.kind is Happening.DELAYED and "topic" in event.detail
        ]

    def happened(self, case: str, kind: Happening) -> list[CaseEvent]:
        return [event for event in self.story(case) if event.kind is kind]

    def told(self, case: str) -> CaseEvent:
        """Waits until somebody was told; the timeline's line. Due lines are woken, as each minute does."""

        def done() -> bool:
            self.machine.invoke("wake_due", {})
            return bool(self.happened(case, Happening.NOTIFIED))

        until(done, PATIENCE, f"somebody to be told of {case}", every=1.0)
        return self.happened(case, Happening.NOTIFIED)[0]

    def heard(self, case: str) -> list[Notification]:
        """What the listener heard of a case."""

        def arrived() -> list[Notification]:
            self._heard += self.machine.notifications(wait=1)
            return [one for one in self._heard if one.attributes["case"] == case]

        until(arrived, PATIENCE, f"the listener to hear of {case}")
        return arrived()

    def failed_over(self, case: str, why: str) -> float:
        """Checks that the stand-by took over, for this reason; after how many seconds people were told."""
        last = self.told(case)
        (over,) = self.happened(case, Happening.FAILED_OVER)
        assert (over.detail["from"], over.detail["to"]) == (self.care, self.standby)
        assert why in over.detail["why"]
        assert last.detail["topic"] == self.standby
        assert self.standby in {one.topic for one in self.heard(case)}
        assert len({one.attributes["notification_id"] for one in self.heard(case)}) == 1
        lines = [line for line in self.machine.cases.effects(case) if line.kind == "notify"]
        assert {line.target: line.state for line in lines} == {
            self.care: EffectState.SUPERSEDED,
            self.standby: EffectState.DONE,
        }
        seconds = float(last.detail["seconds"])
        print(f"{why}: {self.standby} told after {seconds} s")
        return seconds

    def forget(self, function: str = "NotifyPeople") -> None:
        """New workers, which know nothing of who hears what, or of which region was gone."""
        for pid in self.machine.aws.workers(self.machine.functions[function]):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def listen(self, topic: str) -> None:
        """Subscribe the listener."""
        arn = describe(self.machine.client("cloudformation"), EXTRAS).outputs["ListenerArn"]
        self.sns(topic).subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def sns(self, topic: str) -> Any:
        """SNS in a topic's region, as an administrator."""
        return self.machine.client("sns", topic.split(":")[3])


def _post(number: int) -> Sample:
    body = {
        "post": {
            "id": number,
            "user_id": 4_000,
            "username": "ada",
            "created_at": "2026-11-20T08:00:00.000Z",
            "raw": "Nobody answers the telephone.",
            "cooked": "<p>Nobody answers the telephone.</p>",
            "post_number": 1,
            "post_type": 1,
            "reply_to_post_number": None,
            "topic_id": number,
            "topic_slug": f"telephone-{number}",
            "topic_title": f"Telephone {number}",
            "topic_archetype": "regular",
            "version": 1,
        },
    }
    headers = {
        "content-type": "application/json",
        "x-discourse-instance": "https://forum.acme.com",
        "x-discourse-event-type": "post",
        "x-discourse-event": "post_created",
        "x-discourse-event-id": str(number),
    }
    return Sample(body=json.dumps(body).encode(), headers=headers)


@pytest.fixture(scope="module")
def people(machine: RunningStack) -> People:
    return People(machine)


@pytest.fixture(autouse=True)
def mended(machine: RunningStack) -> Iterator[None]:
    """Whatever a test cuts off works again afterwards."""
    yield
    machine.restore(machine.region)
    machine.restore(STANDBY_REGION)


@contextmanager
def deleted(people: People) -> Iterator[None]:
    policy = people.sns(people.care).get_topic_attributes(TopicArn=people.care)["Attributes"]["Policy"]
    people.sns(people.care).delete_topic(TopicArn=people.care)
    try:
        yield
    finally:
        people.sns(people.care).create_topic(Name=people.care.rpartition(":")[2], Attributes={"Policy": policy})
        people.listen(people.care)


@contextmanager
def denied(people: People) -> Iterator[None]:
    iam, refusal = people.machine.client("iam"), {"Effect": "Deny", "Action": "sns:Publish", "Resource": people.care}
    document = json.dumps({"Version": "2012-10-17", "Statement": [refusal]})
    iam.put_role_policy(RoleName=people.role, PolicyName="refusal", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=people.role, PolicyName="refusal")


@contextmanager
def unheard(people: People) -> Iterator[None]:
    sns = people.sns(people.care)
    for one in sns.list_subscriptions_by_topic(TopicArn=people.care)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
    people.forget()
    try:
        yield
    finally:
        people.listen(people.care)
        people.forget()


@contextmanager
def failing(people: People, manner: Manner) -> Iterator[None]:
    people.machine.cut_off(people.machine.region, manner)
    try:
        yield
    finally:
        people.machine.restore(people.machine.region)


def test_the_first_topic_is_told_and_no_other(people: People) -> None:
    case = people.complain()
    assert people.told(case).detail["topic"] == people.care
    assert [one.topic for one in people.heard(case)] == [people.care]
    assert people.happened(case, Happening.FAILED_OVER) == []


@pytest.mark.parametrize(
    ("trouble", "why", "within"),
    [
        (deleted, "NotFound", 6.0),
        (denied, "AuthorizationError", 6.0),
        (unheard, "no confirmed subscription", 10.0),
        (lambda people: failing(people, Manner.THROTTLED), "throttled", 6.0),
        (lambda people: failing(people, Manner.CLOSED), "no answer in time", 6.0),
        (lambda people: failing(people, Manner.SILENT), "no answer in time", 10.0),
    ],
    ids=["deleted", "denied", "without subscribers", "throttled", "broken off", "its region silent"],
)
def test_the_other_region_takes_over(people: People, trouble: Callable[[People], Any], why: str, within: float) -> None:
    with trouble(people):
        case = people.complain()
        assert people.failed_over(case, why) < within
    after = people.complain()
    assert people.told(after).detail["topic"] == people.care, "once mended the first is told again"


def test_with_both_regions_gone_people_are_told_when_one_is_back(people: People) -> None:
    people.machine.cut_off(people.machine.region)
    people.machine.cut_off(STANDBY_REGION)
    case = people.complain()
    until(lambda: people.happened(case, Happening.DELAYED), PATIENCE, "a round in vain")
    people.machine.restore(STANDBY_REGION)
    assert people.told(case).detail["topic"] == people.standby
    assert {one.topic for one in people.heard(case)} == {people.standby}
    assert people.machine.dead_letters() == {}


def test_when_nobody_takes_it_it_lies_in_the_dead_letter_queue_and_can_be_redriven(people: People) -> None:
    queue = people.machine.stack.resources["Undelivered"]
    with _rounds(people, "1"):
        people.machine.cut_off(people.machine.region, Manner.THROTTLED)
        people.machine.cut_off(STANDBY_REGION, Manner.THROTTLED)
        case = people.complain()
        until(lambda: people.happened(case, Happening.UNDELIVERED), PATIENCE, "the last resort")
        assert people.machine.dead_letters() == {queue.rsplit("/", 1)[-1]: 1}
        lines = [line for line in people.machine.cases.effects(case) if line.kind == "notify"]
        assert {line.state for line in lines} == {EffectState.PARKED}, "still to be seen"
        assert all("throttled" in (line.error or "") for line in lines)
    people.machine.restore(people.machine.region)
    letters = DeadLetters(people.machine)
    dead = letters.queue("Undelivered")
    (letter,) = letters.take(dead, 10)
    letters.put_back(dead, letter)
    assert people.machine.dead_letters() == {}
    assert people.told(case).detail["topic"] == people.care
    assert [one.topic for one in people.heard(case)] == [people.care]


@contextmanager
def _rounds(people: People, count: str) -> Iterator[None]:
    """As the template's parameter NotifyRounds would say."""
    function, name = people.machine.client("lambda"), people.machine.functions["NotifyPeople"]
    before = function.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    with ExitStack() as undo:
        undo.callback(people.forget)
        undo.callback(function.update_function_configuration, FunctionName=name, Environment={"Variables": before})
        function.update_function_configuration(
            FunctionName=name, Environment={"Variables": before | {"NOTIFY_ROUNDS": count}}
        )
        people.forget()
        yield


def test_a_region_that_is_gone_does_not_keep_administrators_from_deploying(people: People) -> None:
    cloudformation = people.machine.client("cloudformation")
    stack = cloudformation.describe_stacks(StackName=ROUTES)["Stacks"][0]
    before = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    template = (CHECKOUT / "infra" / "routes.yaml").read_text(encoding="utf-8")
    people.machine.cut_off(STANDBY_REGION, Manner.CLOSED)
    apply(cloudformation, ROUTES, template, {**before, "Revision": "region-gone"})
    warnings = describe(cloudformation, ROUTES).outputs["Warnings"]
    assert people.standby in warnings
    assert "could not be reached" in warnings
    people.machine.restore(STANDBY_REGION)
    people.forget("ConfigureStack")
    apply(cloudformation, ROUTES, template, {**before, "Revision": "region-back"})
    assert "could not be reached" not in describe(cloudformation, ROUTES).outputs["Warnings"]
