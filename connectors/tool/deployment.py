"""A deployed Hailback, on this machine or on AWS: its parts, sources and secrets, as whoever holds credentials sees it.

Where a source's address and secret are is read from the deployment itself, never guessed: the routes stack says which
sources there are, the table what they were configured as.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from connectors import catalogues
from connectors.aws.blobs import Blobs
from connectors.aws.cases import Cases
from connectors.aws.config import ConfigStore
from connectors.aws.secrets import verification_values
from connectors.aws.table import Table
from connectors.core import token
from connectors.tool import deploy
from connectors.tool.reading import read_only

Clients = Callable[..., Any]


class DeploymentError(RuntimeError):
    """Something is not deployed, or not the way it should be; one sentence."""


@dataclass(frozen=True, slots=True)
class Source:
    """One of the administrators' sources. `id` is `stack/name`; `url` is where its vendor delivers."""

    name: str
    id: str
    connector: str
    secret: str
    settings: Mapping[str, Any]
    url: str


class Deployment:
    """`clients` makes a boto3 client from a service's name; `routes` are the administrators' stacks."""

    def __init__(self, stack: str, routes: Sequence[str], clients: Clients) -> None:
        self.name, self.routes, self.client = stack, tuple(routes), clients

    @cached_property
    def stack(self) -> deploy.Stack:
        """The machine's own stack. Raises DeploymentError."""
        return _described(self.client("cloudformation"), self.name, "deploy Hailback first, or name it with --stack")

    @property
    def outputs(self) -> Mapping[str, str]:
        """The machine's outputs, such as `TableName`."""
        return self.stack.outputs

    @property
    def functions(self) -> Mapping[str, str]:
        """Physical names of the functions by logical id, such as `SyncRecord`."""
        return {name: self.stack.resources[name] for name in FUNCTIONS if name in self.stack.resources}

    @cached_property
    def table(self) -> Table:
        """The table."""
        return Table(self.client("dynamodb"), self.outputs["TableName"])

    @cached_property
    def cases(self) -> Cases:
        """Cases, timelines, mentions."""
        return Cases(self.table, self.blobs)

    @cached_property
    def blobs(self) -> Blobs:
        """What is too large for the table."""
        return Blobs(lambda: self.client("s3"), self.outputs["BucketName"])

    @cached_property
    def watched(self) -> Table:
        """The table through a client that cannot write."""
        return Table(read_only(self.client("dynamodb")), self.outputs["TableName"])

    @cached_property
    def config(self) -> ConfigStore:
        """Sources, systems and plans, through a client that cannot write."""
        return ConfigStore(read_only(self.client("dynamodb")), self.outputs["TableName"])

    def sources(self) -> dict[str, Source]:
        """The sources of the routes stacks by their names there; `stack/name` where two stacks use the same one."""
        config = ConfigStore(self.client("dynamodb"), self.outputs["TableName"])
        salt, base = self.stack.id.split("/")[2], self.outputs["WebhookUrl"].rstrip("/")
        found: dict[str, Source] = {}
        for stack, name, _ in self._routed("Custom::Source"):
            known = config.source(f"{stack}/{name}")
            if known is None:
                continue
            code = token.make(salt, known.connector, token.Address(known.id, known.secret))
            url = f"{base}/{known.connector}/{code}"
            shown = known.id if name in found else name
            found[shown] = Source(shown, known.id, known.connector, known.secret, known.settings, url)
        return found

    def system_webhook(self, name: str) -> str:
        """Where a system of record of the routes stacks delivers what people do in it. Raises DeploymentError."""
        config = ConfigStore(self.client("dynamodb"), self.outputs["TableName"])
        salt, base = self.stack.id.split("/")[2], self.outputs["WebhookUrl"].rstrip("/")
        for stack, logical, _ in self._routed("Custom::System"):
            known = config.system(f"{stack}/{logical}") if logical == name else None
            if known is not None:
                code = token.make(salt, known.connector, token.Address(known.id, known.secret))
                return f"{base}/{known.connector}/{code}"
        raise DeploymentError(f"there is no system {name} in {' and '.join(self.routes)}")

    def topics(self) -> list[str]:
        """ARNs of the routes stacks' topics."""
        return [physical for _, _, physical in self._routed("AWS::SNS::Topic")]

    def _routed(self, kind: str) -> Iterator[tuple[str, str, str]]:
        for stack in self.routes:
            for row in _resources(self.client("cloudformation"), stack):
                if row["ResourceType"] == kind:
                    yield stack, row["LogicalResourceId"], row.get("PhysicalResourceId", "")

    def source(self, name: str) -> Source:
        """A source by its name. Raises DeploymentError, naming those that exist."""
        sources = self.sources()
        if name not in sources:
            names = ", ".join(sorted(sources)) or "none yet"
            raise DeploymentError(f"there is no source {name!r} in {' and '.join(self.routes)}; there are: {names}")
        return sources[name]

    def webhook_url(self, source: str) -> str:
        """Where a source's vendor delivers."""
        return self.source(source).url

    def secret(self, source: str) -> str:
        """The value that its vendor signs with now, '' for one that signs nothing. Raises DeploymentError."""
        found = self.source(source)
        if not catalogues.sources().verifies(found.connector):
            return ""
        name = token.verification_secret(found.secret)
        values = verification_values(self.secret_text(name))
        if not values:
            raise DeploymentError(f"the secret {name} is empty; give it the value that the vendor signs with")
        return values[0]

    def secret_text(self, name: str) -> str:
        """What a secret holds. Raises DeploymentError."""
        from botocore.exceptions import ClientError

        try:
            return str(self.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])
        except ClientError as error:
            code = error.response["Error"]["Code"]
            raise DeploymentError(f"the secret {name} cannot be read: {code}") from error

    def dead_letters(self) -> dict[str, int]:
        """How many messages wait in each dead-letter queue that is not empty."""
        counts = {}
        for url in self.outputs["DeadLetterQueueUrls"].split(","):
            name = "ApproximateNumberOfMessages"
            answer = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])
            counts[url.rsplit("/", 1)[1]] = int(answer["Attributes"][name])
        return {name: count for name, count in counts.items() if count}

    def invoke(self, name: str, payload: Mapping[str, Any]) -> Any:
        """Call a function, `WakeDue` or `wake_due`, and wait for its answer. Raises DeploymentError where it raises."""
        logical = "".join(part.capitalize() for part in name.split("_")) if "_" in name else name
        answer = self.client("lambda").invoke(
            FunctionName=self.stack.resources[logical],
            Payload=json.dumps(payload).encode(),
        )
        said = json.loads(answer["Payload"].read() or b"null")
        if answer.get("FunctionError"):
            raise DeploymentError(f"{name} raised: {said}")
        return said


FUNCTIONS = (
    "ReceiveWebhook",
    "PollSource",
    "IngestEvent",
    "DispatchCase",
    "SyncRecord",
    "NotifyPeople",
    "SendReply",
    "WakeDue",
    "CheckSources",
    "SweepPrivacy",
    "ConfigureStack",
)
"""Logical ids, in pipeline order."""


def on_aws(stack: str, routes: Sequence[str] = ()) -> Deployment:
    """A deployment in the account and region of the environment's AWS credentials."""
    import boto3

    return Deployment(stack, routes or (f"{stack}-routes",), boto3.Session().client)


def apply(cloudformation: Any, name: str, template: str, parameters: Mapping[str, str], wait: float = 120.0) -> None:
    """Create or update a plain CloudFormation stack and wait for its end. Raises DeploymentError with the reasons."""
    import time

    from botocore.exceptions import ClientError

    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    request = {"StackName": name, "TemplateBody": template, "Parameters": given}
    try:
        cloudformation.create_stack(**request, Capabilities=["CAPABILITY_IAM"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "AlreadyExistsException":
            raise
        try:
            cloudformation.update_stack(**request, Capabilities=["CAPABILITY_IAM"])
        except ClientError as same:
            if "No updates" not in str(same):
                raise
            return
    until = time.monotonic() + wait
    while (status := _status(cloudformation, name)).endswith("_IN_PROGRESS"):
        if time.monotonic() > until:
            raise DeploymentError(f"the stack {name} is still {status} after {wait:.0f} seconds")
        time.sleep(0.2)
    if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise DeploymentError(f"the stack {name} was not deployed ({status}): {_reasons(cloudformation, name)}")


def _described(cloudformation: Any, name: str, remedy: str) -> deploy.Stack:
    from botocore.exceptions import ClientError

    try:
        return deploy.describe(cloudformation, name)
    except ClientError as error:
        if "does not exist" in str(error):
            raise DeploymentError(f"there is no stack {name} here; {remedy}") from error
        raise


def _resources(cloudformation: Any, name: str) -> list[dict[str, Any]]:
    from botocore.exceptions import ClientError

    try:
        rows: list[dict[str, Any]] = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    except ClientError as error:
        if "does not exist" in str(error):
            raise DeploymentError(f"there is no stack {name} here; deploy infra/routes.yaml as that") from error
        raise
    return rows


def _status(cloudformation: Any, name: str) -> str:
    return str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])


def _reasons(cloudformation: Any, name: str) -> str:
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    found = [
        f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason")
    ]
    return re.sub(r"\s+", " ", "; ".join(dict.fromkeys(reversed(found)))) or "CloudFormation gives no reason"
