"""What a deployment holds, all of it, to show what is there and what is not. For small stacks: it reads everything."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from connectors.aws.table import unpack
from connectors.tool.deployment import Deployment

Items = dict[tuple[str, str], dict[str, Any]]


def items(deployment: Deployment) -> Items:
    """Every item of the table by its key, but for when it expires (a repeated write moves that on)."""
    pages = deployment.client("dynamodb").get_paginator("scan")
    found: Items = {}
    for page in pages.paginate(TableName=deployment.outputs["TableName"], ConsistentRead=True):
        for packed in page["Items"]:
            item = unpack(packed)
            item.pop("expires_at", None)
            found[item["pk"], item["sk"]] = item
    return found


def changed(before: Items, after: Items) -> list[str]:
    """What differs between two readings of the table, in short."""
    differ = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    return [" / ".join(key) for key in sorted(differ)]


def table_text(found: Items) -> str:
    """Everything in the table as text, packed words unpacked."""
    return "\n".join(_text(item) for item in found.values())


def bucket_text(deployment: Deployment) -> str:
    """Everything in the bucket as text."""
    s3, bucket = deployment.client("s3"), deployment.outputs["BucketName"]
    keys = [one["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket) for one in _of(page)]
    return "\n".join(_text(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys)


def log_text(deployment: Deployment) -> str:
    """Everything that the functions logged."""
    logs = deployment.client("logs")
    lines: list[str] = []
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/aws/lambda/"):
        for group in page["logGroups"]:
            if deployment.name not in group["logGroupName"]:
                continue
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                lines += [event["message"] for event in events["events"]]
    return "\n".join(lines)


def waiting(deployment: Deployment, url: str) -> int:
    """Messages in a queue, also those that somebody is working on."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = deployment.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)


def idle(deployment: Deployment, *outputs: str) -> bool:
    """Whether these queues, by the names of their outputs, are empty and nobody works on them."""
    return all(waiting(deployment, deployment.outputs[name]) == 0 for name in outputs)


def mentions(text: str, post: str) -> bool:
    """Whether a text names this post's id, and not just one that begins or ends like it."""
    return re.search(rf"(?<![\w:.-]){re.escape(post)}(?![\w-])", text) is not None


def found_in(pieces: Iterable[str], places: Mapping[str, str]) -> list[str]:
    """The places in whose text one of the pieces stands."""
    wanted = list(pieces)
    return [place for place, text in places.items() if any(piece in text for piece in wanted)]


def _of(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(page.get("Contents", []))


def _text(value: Any) -> str:
    match value:
        case bytes():
            try:
                return gzip.decompress(value).decode("utf-8", "replace")
            except OSError:
                return value.decode("utf-8", "replace")
        case dict():
            return "\n".join(f"{name}: {_text(inner)}" for name, inner in value.items())
        case list() | tuple() | set() | frozenset():
            return "\n".join(_text(inner) for inner in value)
        case str():
            return value
        case _:
            return json.dumps(value, default=str)
