"""The plans of docs/cookbook, deployed as they stand: what is said goes where docs/plan-cookbook.md says.

On the deployed machine, as updates of the stack that its routes are in. The systems of record and the topics are asked
themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from connectors.core.case import Case
from connectors.tool.cut import Manner
from connectors.tool.local import ROUTES, RunningStack
from connectors.tool.story import sweeping
from connectors.tool.venvs import CHECKOUT
from tests.e2e.administrator import Administrator, other_routes
from tests.e2e.wait import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

COOKBOOK = CHECKOUT / "docs" / "cookbook"
LEAVING = "I am cancelling my contract and moving to your competitor."
PRAISE = "Thank you so much, this is wonderful!"
IDEA = "It would be nice if the app could show a weekly chart. Feature idea: add widgets."
QUESTION = "How do I reset my password?"
COMPLAINT = "Your service is terrible, nobody answers and my heating is broken again."
PRICES = "May I have a quote for 40 seats?"


@pytest.fixture(scope="module")
def administrator(machine: RunningStack) -> Iterator[Administrator]:
    with sweeping(machine), other_routes(machine) as administrator:
        administrator.secret("hailback/ideas/credentials", "hailback/tracker/credentials")
        administrator.secret("hailback/sales/credentials", "hailback/zendesk/credentials")
        yield administrator


@dataclass(frozen=True)
class Expected:
    """Which route takes it, in which system its record is, which topic tells people; none of both if it is counted."""

    route: str
    system: str = ""
    topic: str = ""
    labels: tuple[str, ...] = ()
    priority: str | None = None


def check(administrator: Administrator, mention: str, expected: Expected) -> Case:
    case = administrator.case(mention)
    assert case.route == expected.route
    assert (case.labels, case.priority) == (expected.labels, expected.priority)
    if expected.system:
        assert administrator.record(case.id, expected.system)
        assert administrator.told(case.id) == administrator.topic(expected.topic)
    return case


def counted(administrator: Administrator, mention: str, route: str) -> None:
    case = administrator.case(mention)
    assert (case.route, case.state) == (route, "counted")
    assert administrator.machine.cases.effects(case.id) == [], "nothing is planned, so nothing will go out"


def test_a_small_company(administrator: Administrator) -> None:
    administrator.deploy(COOKBOOK / "small-company.yaml")
    leaving, praise, question = (administrator.say(words) for words in (LEAVING, PRAISE, QUESTION))
    urgent = Expected("about-to-leave", "Tracker", "hailback-care", ("retention",), "urgent")
    check(administrator, leaving, urgent)
    check(administrator, question, Expected("everything-else", "Tracker", "hailback-care"))
    counted(administrator, praise, "thanks")


def test_sales_and_care(administrator: Administrator) -> None:
    administrator.deploy(COOKBOOK / "sales-and-care.yaml")
    administrator.listen(administrator.topic("hailback-sales"))
    prices, complaint = (administrator.say(words) for words in (PRICES, COMPLAINT))
    thanks = administrator.tweet(PRAISE, "AcmeOnX")
    check(administrator, prices, Expected("buying", "SalesDesk", "hailback-sales", ("lead", "social")))
    care = Expected("leaving-or-complaining", "Tracker", "hailback-care", ("social",), "high")
    check(administrator, complaint, care)
    counted(administrator, thanks, "thanks-on-x")


def test_product_ideas(administrator: Administrator) -> None:
    administrator.deploy(COOKBOOK / "product-ideas.yaml")
    administrator.listen(administrator.topic("hailback-product"))
    first = administrator.say(QUESTION, user=4_711)
    thread = int(first.rpartition(":")[2])
    chat = [administrator.say(f"{PRAISE} {number}", user=4_711, topic=thread) for number in range(4)]
    idea, praise = administrator.say(IDEA), administrator.say(PRAISE)
    check(administrator, first, Expected("everything-else", "Tracker", "hailback-care"))
    for mention in chat:
        administrator.case(mention)
    regular = administrator.say(IDEA, user=4_711)
    check(administrator, idea, Expected("idea", "Ideas", "hailback-product", ("idea",), "low"))
    counted(administrator, praise, "chatter")
    check(administrator, regular, Expected("idea-of-a-regular", "Ideas", "hailback-product", ("idea", "regular")))


def test_two_regions(administrator: Administrator) -> None:
    """While Zendesk and SNS in the first region are away, the tracker and the second region take a complaint; after
    that a question goes where all should go."""
    machine = administrator.machine
    administrator.deploy(COOKBOOK / "two-regions.yaml", FailOverAfter="15s")
    machine.zendesk.faults(down=True)
    machine.cut_off(machine.region, Manner.THROTTLED)
    try:
        case = administrator.case(administrator.say(COMPLAINT))
        assert (case.route, case.priority) == ("urgent", "high")
        assert case.fail_over_after == 15
        assert administrator.told(case.id) == machine.standby_topic
        until(lambda: _named(administrator, case.id, "Tracker"), 60, "the tracker to take over")
    finally:
        machine.restore(machine.region)
        machine.zendesk.faults()
    question = administrator.case(administrator.say(QUESTION))
    assert question.route == "everything-else"
    assert administrator.record(question.id, "Zendesk")
    assert administrator.told(question.id) == administrator.topic("hailback-care")


def _named(administrator: Administrator, case: str, system: str) -> bool:
    """Whether a system that answers has the case's record; the other one is down."""
    found = administrator.machine.cases.case(case)
    return bool(found and found.record and found.record.system == f"{ROUTES}/{system}")
