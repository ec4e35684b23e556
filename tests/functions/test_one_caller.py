"""One number is one case, whether it comes by Amazon Connect or by Twilio, as a call or as a text."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from urllib.parse import urlencode

import ingest_event
import pytest

from connectors.core.case import Case
from connectors.core.plan import SourceConfig
from connectors.core.reception import message
from tests.amazon_connect.instance import Instance
from tests.amazon_connect.test_amazon_connect_machine import arrive, event, followed, instance
from tests.functions.test_polled_sources import DONE, Deployed, deployed, parts
from tests.functions.test_workers import Context, machine, sqs_event

__all__ = ["deployed", "instance", "machine", "parts"]
TEXTS, NUMBER = "stack/Texts", "+491701234567"
ACCOUNT = f"AC{'0' * 32}"


def told(**fields: str) -> None:
    """A webhook of Twilio's, as the front door puts it into the inbox."""
    given = urlencode({"AccountSid": ACCOUNT, "To": "+4930901820", **fields}).encode()
    delivery = message(TEXTS, "twilio", {}, given, 1_795_000_000_000)
    assert ingest_event.handler(sqs_event(json.dumps(delivery)), Context()) == DONE


def text(deployed: Deployed, instance: Instance, number: str = NUMBER) -> None:
    told(MessageSid=f"SM{'1' * 32}", SmsStatus="received", From=number, Body="It is cold.")


def call(deployed: Deployed, instance: Instance, number: str = NUMBER) -> None:
    told(CallSid=f"CA{'2' * 32}", CallStatus="ringing", Direction="inbound", From=number)


def contact(deployed: Deployed, instance: Instance) -> None:
    instance.call(1, instance.clock - 60)
    arrive(event(1, "INITIATED"))
    followed(deployed)


def cases(deployed: Deployed) -> list[Case]:
    return deployed.machine.shop.cases.newest(9)


@pytest.fixture(autouse=True)
def texts(deployed: Deployed, instance: Instance) -> None:
    deployed.sources[TEXTS] = SourceConfig.of(TEXTS, "twilio", "hailback/texts", {"AccountSid": ACCOUNT})


@pytest.mark.parametrize("order", list(itertools.permutations([text, call, contact])))
def test_who_writes_and_calls_by_one_number_has_one_case(
    deployed: Deployed, instance: Instance, order: tuple[Callable[[Deployed, Instance], None], ...]
) -> None:
    for _ in range(2):  # everything comes twice
        for happens in order:
            happens(deployed, instance)
    (case,) = cases(deployed)
    told = [one.kind.value for one in deployed.machine.shop.cases.timeline(case.id)]
    assert told == ["opened", "said", "said"]
    sources = {
        deployed.machine.shop.cases.place(case, f"{one.mention}")
        for one in deployed.machine.shop.cases.timeline(case.id)
    }
    assert sources == {TEXTS, "stack/Calls"}, "each is answered where it came from"


def test_another_number_and_one_that_is_withheld_are_others(deployed: Deployed, instance: Instance) -> None:
    contact(deployed, instance)
    text(deployed, instance, "+491701234568")
    call(deployed, instance, "anonymous")
    assert len(cases(deployed)) == 3
