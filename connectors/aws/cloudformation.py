"""The custom-resource protocol: reading CloudFormation's request, and putting the answer where it waits for it.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html. An answer is at most 4,096 bytes and goes
to a pre-signed address, which is a secret of its own: it is never logged.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import urllib3

from connectors.core.plan_ports import Outcome, ResourceRequest

LARGEST_ANSWER = 4096
SHOWN = 5
"""Findings that an answer spells out; all of them are kept (`plan_log`), and in the log."""
_TRIES = 5
_SIGNED = re.compile(r"[?&]X-Amz-Date=(\d{8}T\d{6}Z)(?:&|$)")


class AnswerError(Exception):
    """CloudFormation could not be told. Raised so that the request is delivered again; its outcome is kept."""


def read_request(event: Mapping[str, Any]) -> ResourceRequest:
    """The request in an event. Missing parts are empty, so that whatever can be answered is answered."""
    return ResourceRequest(
        action=str(event.get("RequestType", "")),
        kind=str(event.get("ResourceType", "")),
        request_id=str(event.get("RequestId", "")),
        stack_id=str(event.get("StackId", "")),
        logical_id=str(event.get("LogicalResourceId", "")),
        physical_id=str(event.get("PhysicalResourceId", "")),
        properties=_mapping(event.get("ResourceProperties")),
        old_properties=_mapping(event.get("OldResourceProperties")),
        asked=_asked(event.get("ResponseURL")),
    )


def _asked(url: object) -> int:
    """When the address for the answer was signed, in seconds; 0 where it does not say so. An event has no other time.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html: `X-Amz-Date=20260102T030405Z`.
    """
    found = _SIGNED.search(url) if isinstance(url, str) else None
    try:
        return int(datetime.strptime(found[1], "%Y%m%dT%H%M%S%z").timestamp()) if found else 0
    except ValueError:
        return 0


def answer(request: ResourceRequest, outcome: Outcome, rest: str) -> bytes:
    """The answer document, within its limit. `rest` says where all findings are."""
    success = outcome.ok
    body: dict[str, Any] = {
        "Status": "SUCCESS" if success else "FAILED",
        "PhysicalResourceId": outcome.physical_id or request.resource,
        "StackId": request.stack_id,
        "RequestId": request.request_id,
        "LogicalResourceId": request.logical_id,
        "NoEcho": False,
        "Data": dict(outcome.data) if success else {},
    }
    if not success:
        body["Reason"] = ""
        body["Reason"] = _reason(outcome.findings, rest, LARGEST_ANSWER - len(_dump(body)))
    elif len(_dump(body)) > LARGEST_ANSWER and "Warnings" in body["Data"]:
        body["Data"]["Warnings"] = ""
        body["Data"]["Warnings"] = _reason(outcome.warnings, rest, LARGEST_ANSWER - len(_dump(body)))
    return _dump(body)


def send(
    http: urllib3.PoolManager,
    url: str,
    document: bytes,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Put the answer to its pre-signed address: no content type, or the signature does not fit. Raises AnswerError."""
    last = ""
    for attempt in range(_TRIES):
        if attempt:
            sleep(0.5 * 2 ** (attempt - 1))
        try:
            said = http.request(
                "PUT",
                url,
                body=document,
                headers={"content-type": "", "content-length": str(len(document))},
                timeout=urllib3.Timeout(connect=2, read=5),
                retries=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            last = type(error).__name__
            continue
        if said.status < 300:
            return
        last = f"status {said.status}"
        if said.status in {400, 403, 404}:
            break  # expired or withdrawn: repeating does not help
    raise AnswerError(f"CloudFormation did not take the answer ({last}); it waits until ServiceTimeout")


def _reason(sentences: tuple[str, ...], rest: str, room: int) -> str:
    """The first sentences and a count of the others, in at most `room` bytes of JSON."""
    for shown in range(min(SHOWN, len(sentences)), 0, -1):
        more = len(sentences) - shown
        tail = f" And {more} more: {rest}" if more else ""
        text = " ".join(sentences[:shown]) + tail
        if _size(text) <= room:
            return text
    tail = f"… The rest: {rest}"
    text = sentences[0] if sentences else ""
    while text and _size(text + tail) > room:
        text = text[: -max(1, (_size(text + tail) - room) // 6)]
    return text + tail if _size(text + tail) <= room else ""


def _size(text: str) -> int:
    return len(_dump(text)) - 2


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
