"""What an administrator does to the deployed machine: other routes for a while, posts by hand, a look at what came."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from connectors.aws.cases import effect_key
from connectors.core.case import Case, EffectState, Happening
from connectors.core.errors import ConflictError
from connectors.core.reconcile import record_key
from connectors.tool.delivering import Deliverer
from connectors.tool.deploy import describe
from connectors.tool.deployment import apply
from connectors.tool.local import EXTRAS, FORUM, ROUTES, Notification, RunningStack
from connectors.tool.samples import Sample
from connectors.tool.venvs import CHECKOUT
from tests.e2e.wait import until

PATIENCE = 60
DECIDES = "DispatchCase"
ACTS = ("SyncRecord", "NotifyPeople")
"""Functions that keep for some seconds which plan, or which hold, is in force."""
AUTHORITY = "forum.acme.com"
SIGNED_WITH = "hailback/forum/verification"
TWEET = CHECKOUT / "events" / "x" / "tweet_create_events__toaster.json"
_NUMBERS = itertools.count(830_000)


class Administrator:
    """`routes` is the template that the machine was started with."""

    def __init__(self, machine: RunningStack) -> None:
        self.machine = machine
        self.cloudformation = machine.client("cloudformation")
        self.routes = (CHECKOUT / "infra" / "routes.yaml").read_text(encoding="utf-8")
        found = self.cloudformation.describe_stacks(StackName=ROUTES)["Stacks"][0]["Parameters"]
        self.given = {one["ParameterKey"]: one["ParameterValue"] for one in found}
        self.listener = describe(self.cloudformation, EXTRAS).outputs["ListenerArn"]
        self._heard: list[Notification] = []
        self._deployed: tuple[str, dict[str, str]] | None = None

    def everything(self) -> dict[str, str]:
        """Values for all that the templates of the cookbook ask for."""
        desk = {"Url": self.machine.zendesk.base_url, "Account": self.given["ZendeskAccount"]}
        return {
            **self.given,
            "ForumUrl": FORUM["ForumUrl"],
            "IdeasUrl": self.given["TrackerUrl"],
            "SalesUrl": desk["Url"],
            "SalesAccount": desk["Account"],
            "XAccount": json.loads(TWEET.read_text(encoding="utf-8"))["for_user_id"],
        }

    def deploy(self, template: str | Path, stack: str = ROUTES, **parameters: str) -> None:
        """A template, as that stack; mentions are routed by it when this returns. Raises DeploymentError."""
        text = template if isinstance(template, str) else template.read_text(encoding="utf-8")
        known = {**self.everything(), **parameters}
        summary = self.cloudformation.get_template_summary(TemplateBody=text)
        declared = {one["ParameterKey"] for one in summary["Parameters"]}
        apply(self.cloudformation, stack, text, {key: known[key] for key in known if key in declared})
        self.forget()
        if stack == ROUTES:
            self._deployed = text, known

    def restore(self) -> None:
        """The routes as they were. A deployment that failed has left them."""
        if self._deployed is not None:
            self.deploy(self.routes, **self.given)
            self._deployed = None

    def delete(self, stack: str) -> str:
        """Delete a stack; how that ended."""
        if not (arn := self.arn(stack)):
            return "DELETE_COMPLETE"
        self.cloudformation.delete_stack(StackName=stack)
        self._deployed = ("", {}) if stack == ROUTES else self._deployed
        until(lambda: not self.status(arn).endswith("IN_PROGRESS"), PATIENCE, f"the deletion of {stack}")
        self.forget()
        return self.status(arn)

    def status(self, stack: str) -> str:
        return str(self.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])

    def arn(self, stack: str) -> str:
        """'' where there is none."""
        from botocore.exceptions import ClientError

        try:
            found = self.cloudformation.describe_stacks(StackName=stack)["Stacks"]
        except ClientError:
            return ""
        return str(found[0]["StackId"])

    def forget(self, *functions: str) -> None:
        """New workers, so that nobody has to wait until what they know is too old."""
        for name in functions or (DECIDES,):
            for pid in self.machine.aws.workers(self.machine.functions[name]):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def secret(self, name: str, like: str) -> None:
        """The same secret under another name."""
        client = self.machine.client("secretsmanager")
        with suppress(client.exceptions.ResourceExistsException):
            client.create_secret(Name=name, SecretString=self.machine.secret_text(like))

    def listen(self, *topics: str) -> None:
        """Hear what is told there."""
        for topic in topics:
            self.machine.client("sns", topic.split(":")[3]).subscribe(
                TopicArn=topic, Protocol="sqs", Endpoint=self.listener
            )

    def topic(self, name: str) -> str:
        return f"arn:aws:sns:{self.machine.region}:000000000000:{name}"

    # ---- What people say, and where it went ------------------------------------------------------------------------

    def say(self, words: str, *, url: str = "", user: int = 0, topic: int = 0) -> str:
        """Somebody posts in the forum, by its webhook, or by that at `url`; the mention's name."""
        number = next(_NUMBERS)
        assert self.deliver(number, words, url or self.machine.source("Forum").url, user, topic) == 200
        return f"discourse:{AUTHORITY}:{number}"

    def deliver(self, number: int, words: str, url: str, user: int = 0, topic: int = 0) -> int:
        """A post of the forum, to this address; the status of the answer."""
        sample = _post(number, words, user or number, topic or number)
        return Deliverer("discourse", url, self.machine.secret_text(SIGNED_WITH)).deliver(sample).status

    def outputs(self, stack: str) -> Mapping[str, str]:
        return describe(self.cloudformation, stack).outputs

    def tweet(self, words: str, source: str) -> str:
        """Somebody writes to us on X; the mention's name."""
        there, number = self.machine.source(source), 2_109_600_000_000_000_000 + next(_NUMBERS)
        said = json.loads(TWEET.read_text(encoding="utf-8"))
        (post,) = said["tweet_create_events"]
        del post["extended_tweet"]
        post |= {"id": number, "id_str": str(number), "text": f"@acme_support {words}", "truncated": False}
        sample = Sample(json.dumps(said).encode(), {"content-type": "application/json"})
        assert Deliverer("x", there.url, self.machine.secret(source)).deliver(sample).status == 200
        return f"x:{number}"

    def case(self, mention: str) -> Case:
        """The mention's case, once a plan has decided."""
        found: list[Case] = []

        def routed() -> bool:
            known = self.machine.cases.mention(mention)[0]
            case = self.machine.cases.case(str(known["case"])) if known and known.get("case") else None
            found.extend([case] if case and case.routed else [])
            return bool(found)

        until(routed, PATIENCE, f"the case of {mention}")
        return found[-1]

    def told(self, case: str) -> str:
        """The topic of which the listener heard about the case."""

        def heard() -> list[str]:
            self._heard += self.machine.notifications()
            return [one.topic for one in self._heard if one.attributes["case"] == case]

        lines = [f"{one.id} {one.state} {one.error or ''}" for one in self.machine.cases.effects(case)]
        until(heard, PATIENCE, f"somebody to hear of {case}; at first its effects were {lines}")
        assert len(set(heard())) == 1, "one topic only"
        return heard()[0]

    def silent(self, case: str) -> bool:
        """Whether nobody was told of the case so far."""
        self._heard += self.machine.notifications()
        return all(one.attributes["case"] != case for one in self._heard)

    def record(self, case: str, system: str) -> str:
        """Waits for the case's record in a system, `Tracker` or `stack/Tracker`, as that system itself shows it."""
        full = system if "/" in system else f"{ROUTES}/{system}"
        until(lambda: self.records(case, full), PATIENCE, f"the record of {case} in {full}")
        (found,) = self.records(case, full)
        return found

    def records(self, case: str, system: str) -> list[str]:
        """The ids of the records of a case, asked from both systems of record."""
        key = record_key(case, system)
        there = [one.id for one in self.machine.tickets.all() if one.key == key]
        desk = self.machine.zendesk.state()["tickets"]
        return there + [str(one["id"]) for one in desk if one["external_id"] == key]

    def hasten(self, case: str) -> None:
        """Have what waits looked at now, and not within the minute."""
        now = int(time.time() * 1000)
        for line in self.machine.cases.effects(case):
            if line.state is EffectState.PARKED and line.due_at:
                with suppress(ConflictError):  # it is looked at already
                    self.machine.table.update(
                        *effect_key(case, line.id),
                        "SET due_at = :now, retry_at = :now",
                        {":now": now, ":then": line.due_at, ":parked": line.state.value},
                        "due_at = :then AND #state = :parked",
                        {"#state": "state"},
                    )

    def happened(self, case: str, kind: Happening) -> list[Mapping[str, Any]]:
        return [event.detail for event in self.machine.cases.timeline(case) if event.kind is kind]


@contextmanager
def other_routes(machine: RunningStack) -> Iterator[Administrator]:
    """For tests that deploy routes of their own; those that were there are back afterwards."""
    administrator = Administrator(machine)
    try:
        yield administrator
    finally:
        administrator.restore()


def _post(number: int, words: str, user: int, topic: int) -> Sample:
    body = {
        "post": {
            "id": number,
            "user_id": user,
            "username": f"user{user}",
            "created_at": "2026-11-20T08:00:00.000Z",
            "raw": words,
            "cooked": f"<p>{words}</p>",
            "post_number": 1 if topic == number else 2,
            "post_type": 1,
            "reply_to_post_number": None,
            "topic_id": topic,
            "topic_slug": f"thread-{topic}",
            "topic_title": f"Thread {topic}",
            "topic_archetype": "regular",
            "version": 1,
        },
    }
    headers = {
        "content-type": "application/json",
        "x-discourse-instance": f"https://{AUTHORITY}",
        "x-discourse-event-type": "post",
        "x-discourse-event": "post_created",
        "x-discourse-event-id": str(number),
    }
    return Sample(body=json.dumps(body).encode(), headers=headers)
