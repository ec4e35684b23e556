"""The front door: `POST /{connector}/{token}` from a vendor, verified on its raw bytes, into the inbox.

Its cold start is bounded: no DynamoDB client, no pydantic, no vendor's module. Interprets nothing.
"""

from __future__ import annotations

import base64
import json
import os
import time
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from connectors.aws.inbox import SqsInbox
from connectors.aws.secrets import VerificationSecrets
from connectors.core.delivery import Request
from connectors.core.reception import Answer, receive

logger = Logger()
_LIMITS = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 2, "mode": "standard"})


@cache
def _adapters() -> tuple[VerificationSecrets, SqsInbox]:
    inbox = SqsInbox(
        boto3.client("sqs", config=_LIMITS),
        os.environ["INBOX_QUEUE_URL"],
        lambda: boto3.client("s3", config=_LIMITS),
        os.environ["BUCKET_NAME"],
    )
    return VerificationSecrets(boto3.client("secretsmanager", config=_LIMITS)), inbox


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """An HTTP API event, payload version 2.0, to its answer."""
    try:
        path = event.get("pathParameters") or {}
        connector, token = str(path.get("connector", "")), str(path.get("token", ""))
        request = _request(event, f"/{connector}/{token}")
    except (ValueError, TypeError, AttributeError):
        answer = Answer(400, "the request is not what its encoding says")
    else:
        answer = receive(
            connector,
            token,
            request,
            *_adapters(),
            os.environ["WEBHOOK_SALT"],
            int(time.time() * 1000),
        )
    logger.info("delivery", extra={"status": answer.status, "reason": answer.reason, "source": answer.source})
    return _response(answer)


def _request(event: dict[str, Any], path: str) -> Request:
    body = event.get("body") or ""
    context = event.get("requestContext") or {}
    http = context.get("http") or {}
    return Request(
        method=str(http.get("method", "")).upper(),
        headers={name.lower(): str(value) for name, value in (event.get("headers") or {}).items()},
        body=base64.b64decode(body, validate=True)
        if event.get("isBase64Encoded")
        else body.encode("utf-8", "surrogatepass"),
        query=event.get("queryStringParameters") or {},
        url=_url(event, context, path),
    )


def _url(event: dict[str, Any], context: dict[str, Any], path: str) -> str:
    """The address as the vendor called it: as `configure_stack` gave it out where there is a domain of one's own, whose
    prefix may or may not be part of `rawPath`; else as it came. `rawQueryString` is still percent-encoded."""
    query = f"?{event['rawQueryString']}" if event.get("rawQueryString") else ""
    if public := os.environ.get("PUBLIC_URL"):
        return f"{public.rstrip('/')}{path}{query}"
    host = context.get("domainName")
    return f"https://{host}{event.get('rawPath') or path}{query}" if host else ""


def _response(answer: Answer) -> dict[str, Any]:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    if answer.retry_after is not None:
        headers["retry-after"] = str(answer.retry_after)
    if answer.body is not None:
        headers["content-type"], body = answer.body
        return {"statusCode": answer.status, "headers": headers, "body": body}
    name = "ok" if answer.status < 300 else "error"
    return {"statusCode": answer.status, "headers": headers, "body": json.dumps({name: answer.reason})}
