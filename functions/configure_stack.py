"""The administrators' door: CloudFormation asks that a source, a system or a plan be created, changed or deleted.

Whatever happens, CloudFormation is told; a stack that hears nothing waits until its ServiceTimeout. The event carries
a pre-signed address and is never logged.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import boto3
import urllib3
from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import ClientError

from connectors import catalogues
from connectors.aws.cloudformation import answer, read_request, send
from connectors.aws.config import ConfigStore
from connectors.aws.config_checks import AwsLookups
from connectors.core.plan_configure import Machine, configure
from connectors.core.plan_grammar import Grants
from connectors.core.plan_ports import Outcome, ResourceRequest

logger = Logger(service="configure_stack")
LOGGED = 100
"""Findings in one line of the log."""


def handler(event: dict[str, Any], context: Any) -> None:
    """Carry out one request and answer it. Raises AnswerError, so that Lambda delivers it again."""
    url = event.get("ResponseURL")
    if not isinstance(url, str):
        logger.error("not a request of CloudFormation: it has no ResponseURL")
        return
    request = read_request(event)
    where = f"log stream {context.log_stream_name} of {context.log_group_name}"
    outcome = _carry_out(request, where)
    _log(request, outcome)
    rest = f"see `hailback plans findings {request.resource}`, or {where}."
    send(urllib3.PoolManager(), url, answer(request, outcome, rest))


def _log(request: ResourceRequest, outcome: Outcome) -> None:
    """All findings, in lines that CloudWatch takes: at most 256 KB each."""
    about = {"resource": request.resource, "action": request.action, "request": request.request_id}
    first = {"findings": outcome.findings[:LOGGED], "warnings": outcome.warnings[:LOGGED]}
    logger.info("answered", extra={**about, "ok": outcome.ok, **first})
    longest = max(len(outcome.findings), len(outcome.warnings))
    for start in range(LOGGED, longest, LOGGED):
        part = slice(start, start + LOGGED)
        more = {"findings": outcome.findings[part], "warnings": outcome.warnings[part]}
        logger.info("more findings", extra={**about, "from": start, **more})


def _carry_out(request: ResourceRequest, where: str) -> Outcome:
    try:
        machine = _machine()
        try:
            return configure(request, machine)
        except Exception as error:  # every request is answered
            logger.exception("failed", extra={"resource": request.resource})
            return machine.store.settle(request.request_id, _broken(request, error, where))
    except Exception as error:  # even where the table cannot be reached
        logger.exception("failed", extra={"resource": request.resource})
        return _broken(request, error, where)


def _broken(request: ResourceRequest, error: Exception, where: str) -> Outcome:
    """What went wrong here. A deletion that was not carried out has failed as well, or what it should have taken away
    would stay in force and nobody would know; with the table gone there is nothing left of it."""
    what = type(error).__name__
    deleting = request.action == "Delete"
    if isinstance(error, ClientError):
        code = error.response["Error"].get("Code", "an error")
        if deleting and code == "ResourceNotFoundException":
            return Outcome(request.physical_id or request.resource)
        what = f"{error.operation_name} answered {code}"
    remedy = "Delete the stack again" if deleting else "Deploy again"
    sentence = f"{request.logical_id}: Hailback itself failed ({what}). {remedy}; details are in {where}."
    return Outcome(request.physical_id or request.resource, (sentence,))


def _refused_host(host: str) -> str | None:
    return catalogues.refused_host(host, os.environ.get("ALLOW_PRIVATE_SYSTEMS", "false").lower() == "true")


def _topic_regions() -> tuple[str, ...]:
    return tuple(region for region in os.environ.get("TOPIC_REGIONS", "").split(",") if region)


@cache
def _machine() -> Machine:
    quick = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})

    @cache
    def sns(region: str) -> Any:
        return boto3.client("sns", region_name=region, config=quick)

    return Machine(
        store=ConfigStore(boto3.client("dynamodb", config=quick), os.environ["TABLE_NAME"]),
        lookups=AwsLookups(
            boto3.client("secretsmanager", config=quick), sns, s3=cache(lambda: boto3.client("s3", config=quick))
        ),
        sources=catalogues.sources(),
        systems=catalogues.systems(),
        grants=Grants(os.environ["SECRETS_PREFIX"], os.environ["TOPICS_PREFIX"], _refused_host, _topic_regions()),
        public_url=os.environ["PUBLIC_URL"].rstrip("/"),
        salt=os.environ["WEBHOOK_SALT"],
        definitions=os.environ.get("DEFINITIONS_BUCKET", ""),
    )
