"""A call through the machine: EventBridge's event, who called, the case; the callback task, which the role signs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import ingest_event
import poll_source
import pytest

from connectors import catalogues, sigv4
from connectors.aws.config import ConfigStore
from connectors.aws.health import register_action
from connectors.aws.repliers import Repliers, UnbuiltReplier
from connectors.aws.secrets import Credentials
from connectors.core.errors import MisconfiguredError
from connectors.core.models import Mention
from connectors.core.plan import SourceConfig
from connectors.core.plan_grammar import Grants, check_source
from tests.amazon_connect.contract import INSTANCE
from tests.amazon_connect.instance import FLOW, Instance, cid
from tests.functions.test_polled_sources import DONE, Deployed, deployed, parts
from tests.functions.test_workers import Context, machine, sqs_event

__all__ = ["deployed", "machine", "parts"]
CALLS = "stack/Calls"
KEY = "hailback-q2v7mnb4xk5ztc3apwd6rjhy"


def event(number: int, kind: str, **more: Any) -> str:
    detail = {"eventType": kind, "contactId": cid(number), "channel": "VOICE", "initiationMethod": "INBOUND", **more}
    told = {"version": "0", "source": "aws.connect", "detail-type": "Amazon Connect Contact Event", "account": "1"}
    return json.dumps({**told, "resources": [INSTANCE], "detail": {**detail, "instanceArn": INSTANCE}})


def arrive(*events: str) -> None:
    given = sqs_event(*events)
    for record in given["Records"]:
        record["attributes"]["SentTimestamp"] = str(int(time.time() * 1000))
    assert ingest_event.handler(given, Context()) == DONE


@pytest.fixture
def instance(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    """Whose functions' role signs: there is no secret."""
    made = Instance(clock=time.time())
    for name, value in {"AWS_ACCESS_KEY_ID": "AKIAINVENTED", "AWS_SECRET_ACCESS_KEY": made.secret}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    for cache in (sigv4._session, ingest_event._adapters, poll_source._adapters):
        cache.cache_clear()
    with made.serve():
        plain = {"Instance": INSTANCE, "TaskFlow": FLOW, "ApiUrl": made.address}
        deployed.sources[CALLS] = SourceConfig.of(CALLS, "amazon_connect", "hailback/calls", plain)
        deployed.table.transact([register_action(deployed.table, CALLS, "amazon_connect")])
        yield made
    for cache in (sigv4._session, ingest_event._adapters, poll_source._adapters):
        cache.cache_clear()


def followed(deployed: Deployed) -> None:
    """What is hinted at is fetched, and what comes of it taken in."""
    for errand in deployed.machine.messages("poll"):
        assert poll_source.handler(sqs_event(json.dumps(errand)), Context()) == DONE
    for delivery in deployed.inbox():
        assert ingest_event.handler(sqs_event(json.dumps(delivery)), Context()) == DONE


def test_a_call_becomes_one_case_with_its_caller_however_its_events_come(
    deployed: Deployed, instance: Instance
) -> None:
    begun = instance.clock - 60
    instance.call(1, begun, 45)
    arrive(event(1, "DISCONNECTED"), event(1, "INITIATED"), event(1, "QUEUED"), event(1, "INITIATED"))
    assert deployed.machine.shop.cases.newest(5) == [], "nobody knows yet who called"
    followed(deployed)
    arrive(event(1, "COMPLETED"))
    (case,) = deployed.machine.shop.cases.newest(5)
    _, said = deployed.machine.shop.cases.mention(f"amazon_connect:{INSTANCE}:{cid(1)}:INITIATED")
    assert said is not None
    assert said.author is not None
    assert said.author.identity == "tel:+491701234567"
    told = [one.kind.value for one in deployed.machine.shop.cases.timeline(case.id)]
    assert sorted(told) == ["opened", "said", "said"], "it came in, it waited, it ended"


def test_an_answer_goes_out_by_the_functions_role(deployed: Deployed, instance: Instance) -> None:
    instance.call(1, instance.clock - 60)
    credentials = Credentials(boto3.client("secretsmanager"))
    config = ConfigStore(boto3.client("dynamodb"), "table")
    place = Repliers(config, credentials, allow_private=True, call_seconds=5).replier(CALLS, time.monotonic() + 50)
    assert not isinstance(place, UnbuiltReplier)
    call = Mention(
        connector="amazon_connect", native_id=f"{cid(1)}:INITIATED", conversation_id=cid(1), reply_capability="allowed"
    )
    sent = place.reply(call, "Tell her that we come today.", KEY)
    assert instance.tasks[KEY]["Id"] == sent.id


def test_who_needs_credentials_to_answer_is_not_built_without(deployed: Deployed) -> None:
    deployed.source({"BaseUrl": "https://forum.example"}, poll=None)
    credentials = Credentials(boto3.client("secretsmanager"))
    config = ConfigStore(boto3.client("dynamodb"), "table")
    place = Repliers(config, credentials, allow_private=True, call_seconds=5).replier(
        "stack/Forum", time.monotonic() + 50
    )
    with pytest.raises(MisconfiguredError, match="hailback/forum"):
        place.reply(Mention(connector="discourse", native_id="1", conversation_id="1"), "We come.", KEY)


def test_a_source_is_deployed_without_a_secret_and_polled_unasked() -> None:
    properties = {"Connector": "amazon_connect", "Instance": INSTANCE, "Secret": "hailback/calls", "AskCaller": "true"}
    found, findings = check_source(CALLS, properties, catalogues.sources(), Grants("hailback/", "hailback-"))
    assert findings == []
    assert found is not None
    assert found.poll
    assert not catalogues.sources().asks_as_somebody("amazon_connect")
