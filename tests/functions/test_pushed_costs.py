"""What a vendor charges for mentions that it pushes: counted when they come in, and never refused."""

from __future__ import annotations

import json
import time
from pathlib import Path

import ingest_event
import pytest
from botocore.exceptions import ClientError

from connectors.aws.config import ConfigStore
from connectors.aws.inbox import of_events
from connectors.aws.spending import TableSpending
from connectors.core.budget import month_of
from connectors.core.plan import SourceConfig
from connectors.core.reception import message
from tests.functions.test_workers import Context, Machine, machine, sqs_event
from tests.posts import said

__all__ = ["machine"]
SAMPLES = Path(__file__).resolve().parents[2] / "events" / "x"
DONE: dict[str, list[object]] = {"batchItemFailures": []}
ACME = "stack/AcmeOnX"


@pytest.fixture
def acme(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    settings = {"Account": ["1530000000000000042"], "Budget": "0.01"}
    found = SourceConfig.of(ACME, "x", "hailback/x", settings)
    monkeypatch.setattr(ConfigStore, "source", lambda self, name, with_deleted=False: found if name == ACME else None)
    return machine


def pushed(name: str, at: int) -> str:
    body = (SAMPLES / name).read_bytes()
    return json.dumps(message(ACME, "x", {}, body, at))


def spent(machine: Machine) -> dict[str, int]:
    return TableSpending(machine.shop.table).spent(ACME, month_of(int(time.time() * 1000)))


def test_a_pushed_mention_costs_what_the_price_list_says_and_is_taken_in_past_the_budget(acme: Machine) -> None:
    first, second = (pushed(f"post.{name}.json", 1) for name in ("mention.create__kettle", "quote.create__office"))
    assert ingest_event.handler(sqs_event(first), Context()) == DONE
    assert spent(acme) == {"activity_mention": 1}
    assert "a budget runs low" not in acme.lines.getvalue()
    assert ingest_event.handler(sqs_event(second), Context()) == DONE
    assert spent(acme) == {"activity_mention": 2}
    assert "a budget runs low" in acme.lines.getvalue()
    assert ingest_event.handler(sqs_event(pushed("post.reply.create__kettle_more.json", 2)), Context()) == DONE
    assert spent(acme) == {"activity_mention": 3}
    assert acme.shop.words("x:2109558568121270274")


def test_our_own_posts_likes_and_what_a_poll_brings_are_not_counted_so(acme: Machine) -> None:
    polled = of_events(ACME, "x", f"[{said().model_copy(update={'connector': 'x'}).model_dump_json()}]", 1)
    for body in (pushed("post.create__own_reply.json", 1), pushed("like.create__kettle.json", 1), json.dumps(polled)):
        assert ingest_event.handler(sqs_event(body), Context()) == DONE
    assert spent(acme) == {}


def test_a_post_is_not_lost_where_its_cost_cannot_be_counted(acme: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem")

    monkeypatch.setattr(TableSpending, "add_once", refused)
    assert ingest_event.handler(sqs_event(pushed("post.mention.create__kettle.json", 1)), Context()) == DONE
    assert acme.shop.words("x:2109547386106806273")
    assert "its cost was not counted" in acme.lines.getvalue()


def test_a_delivery_that_is_worked_on_twice_is_counted_once(acme: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    body = pushed("post.mention.create__kettle.json", 1)
    with monkeypatch.context() as broken:

        def breaks(*_: object, **__: object) -> None:
            raise ClientError({"Error": {"Code": "InternalServerError"}}, "TransactWriteItems")

        broken.setattr(ingest_event, "ingest", breaks)
        assert ingest_event.handler(sqs_event(body), Context()) != DONE
    for _ in range(2):  # SQS brings it again, and once more though it was taken in
        assert ingest_event.handler(sqs_event(body), Context()) == DONE
    assert spent(acme) == {"activity_mention": 1}
    assert acme.shop.words("x:2109547386106806273")
