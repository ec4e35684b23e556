"""CloudFormation's requests as they may come on AWS and never do here: twice, at once, late, or with an answer lost.

The local CloudFormation delivers each request once and in order. So what AWS documents is sent to the deployed function
itself: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html for the requests,
Lambda's asynchronous invocation for the repetitions. The answers are taken by a server in place of the signed address.
"""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from connectors.aws.plan_log import PlanLog
from connectors.tool.deployment import DeploymentError
from connectors.tool.local import ROUTES, RunningStack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
NUMBERS = itertools.count(1)
FORUM = {"Connector": "discourse", "Secret": "hailback/forum", "BaseUrl": "https://forum.acme.com"}
NOON, LATER = "20261121T120000Z", "20261121T120200Z"


class Address(ThreadingHTTPServer):
    """Takes answers. Refuses as many as it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[tuple[str | None, bytes]] = []
        self.refuses = 0

    def url(self, signed: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/answer?X-Amz-Date={signed}&X-Amz-Expires=7200&X-Amz-Signature=x"

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.taken]


class _Handler(BaseHTTPRequestHandler):
    server: Address

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        refused = self.server.refuses > 0
        self.server.refuses -= refused
        if not refused:
            self.server.taken.append((self.headers["content-type"], body))
        self.send_response(403 if refused else 200)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Nothing: the address is a secret."""


@pytest.fixture
def address() -> Iterator[Address]:
    with Address() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class Requests:
    """Requests of one stack that CloudFormation itself does not know."""

    def __init__(self, machine: RunningStack, address: Address) -> None:
        self.machine, self.address = machine, address
        self.stack = f"hailback-by-hand-{next(NUMBERS)}"
        self.stack_id = f"arn:aws:cloudformation:{machine.region}:000000000000:stack/{self.stack}/{uuid.uuid4()}"

    def event(self, action: str, kind: str, name: str, properties: dict[str, Any], signed: str = NOON) -> Any:
        known = {} if action == "Create" else {"PhysicalResourceId": f"{self.stack}/{name}"}
        return {
            "RequestType": action,
            "RequestId": str(uuid.uuid4()),
            "ResponseURL": self.address.url(signed),
            "ResourceType": f"Custom::{kind}",
            "LogicalResourceId": name,
            "StackId": self.stack_id,
            "ServiceToken": self.machine.outputs["ConfigureArn"],
            "ResourceProperties": {"ServiceToken": self.machine.outputs["ConfigureArn"], **properties},
            **known,
        }

    def deliver(self, event: Any) -> dict[str, Any]:
        """Once; the answer."""
        self.machine.invoke("ConfigureStack", event)
        return self.address.answers[-1]


@pytest.fixture
def requests(machine: RunningStack, address: Address) -> Iterator[Requests]:
    made = Requests(machine, address)
    yield made
    for kind, name in (("Plan", "Plan"), ("Source", "Forum")):
        made.deliver(made.event("Delete", kind, name, {}, "20261121T130000Z"))


def plan(machine: RunningStack) -> dict[str, Any]:
    topic = f"arn:aws:sns:{machine.region}:000000000000:hailback-care"
    route = {"Name": "ideas", "When": {"intent": ["idea"]}, "Case": [f"{ROUTES}/Tracker"], "Notify": [topic]}
    return {"Priority": "7", "Routes": [route]}


def test_what_is_delivered_twice_at_once_happens_once(machine: RunningStack, requests: Requests) -> None:
    before = len(list(PlanLog(machine.watched).activations()))
    for kind, name, properties in (("Source", "Forum", FORUM), ("Plan", "Plan", plan(machine))):
        event = requests.event("Create", kind, name, properties)
        with ThreadPoolExecutor(2) as both:
            list(both.map(requests.deliver, (event, event)))
        requests.deliver(event)
        first, second, third = requests.address.answers[-3:]
        assert first["Status"] == "SUCCESS", first
        assert first == second == third
        pointer = machine.config.pointer(f"{requests.stack}/{name}")
        assert pointer is not None
        assert (pointer.revision, pointer.version != "") == (1, True)
    assert len(list(PlanLog(machine.watched).activations())) == before + 1
    assert {kind for kind, _ in requests.address.taken} == {""}, "a content type would break the signature"


def test_an_answer_that_was_not_taken_is_given_again(machine: RunningStack, requests: Requests) -> None:
    """The function fails, so that Lambda delivers the request again; the outcome is the one that was kept."""
    event = requests.event("Create", "Source", "Forum", FORUM)
    requests.address.refuses = 1
    with pytest.raises(DeploymentError, match="CloudFormation did not take the answer"):
        requests.deliver(event)
    assert machine.config.pointer(f"{requests.stack}/Forum") is not None
    assert requests.deliver(event)["Status"] == "SUCCESS"
    pointer = machine.config.pointer(f"{requests.stack}/Forum")
    assert pointer is not None
    assert pointer.revision == 1


def test_a_creation_that_comes_after_its_deletion_leaves_nothing(machine: RunningStack, requests: Requests) -> None:
    """CloudFormation had no answer within ServiceTimeout and deletes what it believes to have created, under a name of
    its own making; then Lambda gets round to the creation."""
    late = requests.event("Create", "Source", "Forum", FORUM, NOON)
    gone = {**requests.event("Delete", "Source", "Forum", FORUM, LATER), "PhysicalResourceId": "made-up-Forum-1ABC"}
    answer = requests.deliver(gone)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "made-up-Forum-1ABC")
    answer = requests.deliver(late)
    assert (answer["Status"], answer["Reason"]) == (
        "FAILED",
        "Forum: a newer request overtook this one. Nothing to do.",
    )
    pointer = machine.config.pointer(f"{requests.stack}/Forum")
    assert pointer is None or not pointer.live


def test_the_deletion_after_a_failed_creation_succeeds_and_a_huge_refusal_fits(
    machine: RunningStack, requests: Requests
) -> None:
    routes = [{"Name": f"r{n}", "Wenn": {"text": ["x" * 90]}, "Case": ["none/" + "y" * 200]} for n in range(300)]
    answer = requests.deliver(requests.event("Create", "Plan", "Plan", {"Routes": routes}))
    assert answer["Status"] == "FAILED"
    assert "Did you mean When?" in answer["Reason"] or "Wenn" in answer["Reason"]
    assert f"`hailback plans findings {requests.stack}/Plan`" in answer["Reason"]
    assert len(requests.address.taken[-1][1]) <= 4096
    assert requests.deliver(requests.event("Delete", "Plan", "Plan", {}))["Status"] == "SUCCESS"
    assert any(one.resource == f"{requests.stack}/Plan" for one in PlanLog(machine.watched).refusals(5))
    assert machine.config.plan_pointer() is not None
