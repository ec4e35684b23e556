"""The whole of Hailback on this machine: local AWS, tracker, machine, routes and a listener, started and stopped.

    with running_stack() as stack:
        stack.webhook_url("Forum"), stack.secret("Forum"), stack.tickets.all(), stack.notifications()
        stack.cut_off(stack.region), stack.restore(stack.region)  # SNS in a region, as the functions see it

`hailback up`, `hailback run` and the end-to-end tests all use this. Stops what it started and nothing else, also when
it is interrupted half-way.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from connectors.core import door, token
from connectors.tool import aws, deploy, neighbours, roundup, state
from connectors.tool.aws import LocalAws
from connectors.tool.cut import Cut, Manner
from connectors.tool.deployment import Deployment, apply
from connectors.tool.neighbours import Neighbours
from connectors.tool.offspring import end_since, offspring
from connectors.tool.steps import Steps
from connectors.tool.templates import declared_parameters, wanted_secrets
from connectors.tool.tickets import Tickets
from connectors.tool.venvs import CHECKOUT, ensure_venv

STACK, ROUTES, EXTRAS, STANDBY = "hailback", "hailback-routes", "hailback-local", "hailback-standby"
STANDBY_REGION = "eu-west-1"
_ROUTES = CHECKOUT / "infra" / "routes.yaml"
_STANDBY = CHECKOUT / "infra" / "standby.yaml"
_EXTRAS = CHECKOUT / "infra" / "local" / "extras.yaml"
_SAM = CHECKOUT / "infra" / "local" / "sam.lock"
POLL = "5s"
"""How often the local tracker is asked what people did there."""
FORUM = {"ForumUrl": "https://forum.acme.com", "ForumAccount": "7"}
"""The forum of the samples in `events/`, and our own account there."""
FAIL_OVER_AFTER = "8s"


@dataclass(frozen=True, slots=True)
class Notification:
    """What the listener heard: the topic's ARN, and the message that was meant for queues."""

    topic: str
    subject: str
    message: dict[str, Any]
    attributes: dict[str, str]


class Tracker:
    """The local tracker; may be killed and started again at the same address."""

    def __init__(self, home: Path, password: str) -> None:
        self._python, self._home, self._password = roundup.python(), home, password
        port = home.parent / f"{home.name}.port"
        given = int(port.read_text()) if port.is_file() else 0
        self._running = roundup.start(self._python, home, given, password)
        self.base_url = self._running.base_url
        port.write_text(str(self.port))

    @property
    def port(self) -> int:
        """Its port on 127.0.0.1."""
        return int(self.base_url.split(":")[2].split("/")[0])

    @property
    def pid(self) -> int:
        """The process that serves it now."""
        return self._running.process.pid

    @property
    def admin_password(self) -> str:
        """The password of `admin`, to change tickets in a browser."""
        return (self._home / "admin-password").read_text(encoding="utf-8").strip()

    def alive(self) -> bool:
        """Whether its process runs."""
        return self._running.process.poll() is None

    def kill(self) -> None:
        """End it as a crash would."""
        self._running.kill()

    def stop(self) -> None:
        """End it. May be called twice."""
        self._running.stop()

    def restart(self) -> None:
        """Serve the same tickets at the same address."""
        self._running.stop()
        self._running = roundup.start(self._python, self._home, self.port, self._password)


class RunningStack(Deployment):
    """A deployment on this machine, with everything around it."""

    def __init__(self, local: LocalAws, tracker: Tracker, beside: Neighbours, cut: Cut, stack: str = STACK) -> None:
        super().__init__(stack, (ROUTES, EXTRAS), local.client)
        self.aws, self.tracker, self._cut = local, tracker, cut
        self.zendesk, self.forum, self.beside = beside.zendesk, beside.forum, beside

    @property
    def endpoint(self) -> str:
        """The address of the local AWS."""
        return self.aws.endpoint

    @property
    def region(self) -> str:
        """The region of the stacks."""
        return self.aws.region

    @cached_property
    def listener(self) -> str:
        """The address of the queue that hears what people are told."""
        return deploy.describe(self.client("cloudformation"), EXTRAS).outputs["ListenerUrl"]

    @cached_property
    def standby_topic(self) -> str:
        """The topic in the other region, which is told when the first one cannot be."""
        described = deploy.describe(self.aws.client("cloudformation", STANDBY_REGION), STANDBY)
        return described.outputs["StandbyTopic"]

    def cut_off(self, region: str, manner: Manner = Manner.SILENT) -> None:
        """Have SNS in a region fail, as the functions see it."""
        self._cut.off(region, manner)

    def restore(self, region: str) -> None:
        """Have it work again."""
        self._cut.restore(region)

    @cached_property
    def credentials(self) -> str:
        """The name of the secret with the tracker's login."""
        return wanted_secrets(_ROUTES, "roundup").systems[0]

    @cached_property
    def tickets(self) -> Tickets:
        """Reads the tracker's tickets."""
        return Tickets(self.tracker.base_url, **json.loads(self.secret_text(self.credentials)))

    def notifications(self, wait: int = 0) -> list[Notification]:
        """Takes what the listener heard since the last time; waits up to `wait` seconds for the first."""
        return drain(self.client("sqs"), self.listener, wait)

    def ended(self) -> str | None:
        """What is wrong, should a part of it have ended by itself."""
        if self.aws._process.poll() is not None:  # noqa: SLF001
            said = self.aws.log.read_text(encoding="utf-8", errors="replace").splitlines()[-10:]
            return "\n".join(["the local AWS ended by itself; the end of its log:", *said])
        if gone := self.beside.alive():
            return f"the local {gone} ended by itself; start again"
        return None if self.tracker.alive() else "the tracker ended by itself; start again"

    def particulars(self, kept: bool) -> state.Particulars:
        """What the other commands need to know."""
        return state.Particulars(
            endpoint=self.endpoint,
            region=self.region,
            stack=self.name,
            routes=list(self.routes),
            listener=self.listener,
            tracker=self.tracker.base_url,
            credentials=self.credentials,
            webhooks={name: source.url for name, source in self.sources().items()},
            pid=os.getpid(),
            children={
                "aws": self.aws._process.pid,  # noqa: SLF001 - only shown
                "tracker": self.tracker.pid,
                "zendesk": self.zendesk.process.pid,
                "forum": self.forum.process.pid,
            },
            kept=kept,
        )


def drain(sqs: Any, queue: str, wait: int = 0) -> list[Notification]:
    """Takes all notifications from a queue that is subscribed to topics."""
    found: list[Notification] = []
    while True:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0 if found else wait)
        messages = answer.get("Messages", [])
        if not messages:
            return found
        for message in messages:
            found.append(_notification(json.loads(message["Body"])))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def _notification(envelope: Mapping[str, Any]) -> Notification:
    attributes = envelope.get("MessageAttributes") or {}
    return Notification(
        topic=envelope["TopicArn"],
        subject=envelope.get("Subject") or "",
        message=json.loads(envelope["Message"]),
        attributes={name: value["Value"] for name, value in attributes.items()},
    )


@contextmanager
def running_stack(
    *,
    keep_in: Path | None = None,
    steps: Steps | None = None,
    environ: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
) -> Iterator[RunningStack]:
    """Start everything, yield it, stop everything.

    `keep_in` is a folder to continue from and to keep state in; without it all state is new and gone afterwards.
    `environ` is added to the environment of the local AWS and its functions, such as HTTP_PROXY; `parameters` to those
    of the machine's template. Raises LocalAwsError, RoundupError, VenvError, DeployError and DeploymentError.
    """
    steps = steps or Steps()
    with ExitStack() as exits:
        if keep_in is None:
            home = Path(tempfile.mkdtemp(prefix="hailback-")).resolve()
            exits.callback(shutil.rmtree, home, ignore_errors=True)
        else:
            home = keep_in
            home.mkdir(parents=True, exist_ok=True)
        yield _Start(home, keep_in is not None, steps, exits).run(environ or {}, parameters or {})


class _Start:
    """Starts what does not depend on each other at the same time. Whatever is started is stopped by `exits`."""

    def __init__(self, home: Path, keep: bool, steps: Steps, exits: ExitStack) -> None:
        self._home, self._keep, self._steps, self._exits = home, keep, steps, exits
        self._cut = Cut()
        exits.callback(self._cut.stop)

    def run(self, environ: Mapping[str, str], parameters: Mapping[str, str]) -> RunningStack:
        before = offspring()
        pool = ThreadPoolExecutor(5)
        futures: list[Future[Any]] = []

        def begin(work: Callable[[], Any]) -> Future[Any]:
            futures.append(pool.submit(work))
            return futures[-1]

        try:
            local = begin(partial(self._aws, environ))
            sam = begin(self._sam)
            tracker = begin(partial(self._tracker, local))
            beside = begin(partial(self._beside, local))
            built = begin(partial(self._build, local, sam))
            first_failure(futures)
            stack = RunningStack(local.result(), tracker.result(), beside.result(), self._cut)
            return self._deploy(stack, built.result(), parameters)
        except BaseException:
            for future in futures:
                future.cancel()
            end_since(before, until=lambda: all(future.done() for future in futures))
            raise
        finally:
            pool.shutdown(wait=True)

    def _aws(self, environ: Mapping[str, str]) -> LocalAws:
        with self._steps.step("local AWS (MiniStack, IAM enforced)"):
            given = {"AWS_ENDPOINT_URL_SNS": self._cut.url, **environ}
            local = aws.start(self._home / "aws", keep=self._keep, environ=given)
            self._exits.callback(local.stop)
            self._cut.towards(int(local.endpoint.rpartition(":")[2]))
            return local

    def _sam(self) -> None:
        with self._steps.step("the sam command line"):
            ensure_venv("sam", _SAM)

    def _tracker(self, local: Future[LocalAws]) -> Tracker:
        with self._steps.step("tracker (Roundup)"):
            roundup.python()
            password = self._secrets(local.result())
            tracker = Tracker(self._home / "tracker", password)
            self._exits.callback(tracker.stop)
            return tracker

    def _beside(self, local: Future[LocalAws]) -> Neighbours:
        with self._steps.step("stand-ins: a Zendesk, and a forum that takes answers"):
            client = local.result().client("secretsmanager")
            return neighbours.start(self._home, partial(_ensure_secret, client), self._exits.callback)

    def _build(self, local: Future[LocalAws], sam: Future[None]) -> Path:
        sam.result()
        with self._steps.step("sam build"):
            return deploy.build(local.result().python, into=self._home / "built")

    def _secrets(self, local: LocalAws) -> str:
        """Random values under the names that the routes want, unless they are there; the tracker's password."""
        client, password = local.client("secretsmanager"), ""
        for template in (_ROUTES, _EXTRAS):
            wanted = wanted_secrets(template, "roundup")
            for name in wanted.sources:
                rules = door.load(wanted.connectors[name])
                if rules and rules.get("unsigned") is not True:
                    _ensure_secret(client, name, door.fresh_secret(rules))
            for name in wanted.systems:
                login = {"username": roundup.USERNAME, "password": password or secrets.token_urlsafe(24)}
                password = json.loads(_ensure_secret(client, name, json.dumps(login)))["password"]
        return password

    def _deploy(self, stack: RunningStack, built: Path, parameters: Mapping[str, str]) -> RunningStack:
        local, tracker = stack.aws, stack.tracker
        regions = {"TopicRegions": f"{local.region},{STANDBY_REGION}"}
        with self._steps.step(f"sam deploy: the machine, stack {STACK}"):
            deploy.deploy_locally(local, built, STACK, regions | dict(parameters))
        given = {"Configure": stack.outputs["ConfigureArn"], "TrackerUrl": tracker.base_url, **FORUM}
        given |= {**stack.beside.parameters, "FailOverAfter": FAIL_OVER_AFTER, "TrackerPoll": POLL}
        with self._steps.step(f"a topic in another region, stack {STANDBY} in {STANDBY_REGION}"):
            self._apply(local, STANDBY, _STANDBY, {}, STANDBY_REGION)
            given["StandbyTopic"] = stack.standby_topic
        with self._steps.step(f"the administrators' routes, stack {ROUTES}"):
            self._apply(local, ROUTES, _ROUTES, given)
        with self._steps.step(f"a listener, two more forums, five other places, stack {EXTRAS}"):
            self._apply(local, EXTRAS, _EXTRAS, given)
            self._listen(stack)
        square, desk = stack.source("Square"), stack.system_webhook("Zendesk")
        stack.forum.deliver_to(square.url, stack.secret("Square"))
        stack.zendesk.webhook(desk, stack.secret_text(token.verification_secret(neighbours.ZENDESK)))
        return stack

    def _apply(
        self, local: LocalAws, name: str, template: Path, given: Mapping[str, str], region: str | None = None
    ) -> None:
        text = template.read_text(encoding="utf-8")
        known = declared_parameters(template)
        apply(local.client("cloudformation", region), name, text, {key: given[key] for key in given if key in known})

    def _listen(self, stack: RunningStack) -> None:
        arn = deploy.describe(stack.client("cloudformation"), EXTRAS).outputs["ListenerArn"]
        for topic in (*stack.topics(), stack.standby_topic):
            stack.client("sns", topic.split(":")[3]).subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)


def first_failure(futures: list[Future[Any]]) -> None:
    """Wait for all, but no longer than until one fails; then raise what it raised."""
    from concurrent.futures import FIRST_EXCEPTION, wait

    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    for future in done:
        future.result()


def _ensure_secret(client: Any, name: str, value: str) -> str:
    try:
        return str(client.get_secret_value(SecretId=name)["SecretString"])
    except client.exceptions.ResourceNotFoundException:
        client.create_secret(Name=name, SecretString=value)
        return value
