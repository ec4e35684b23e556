"""Sources that are asked, through the handlers over moto and a real forum: once, in time, within a budget, compared."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import ingest_event
import poll_source
import pytest
import wake_due

from connectors.aws.config import ConfigStore
from connectors.aws.cursors import TableCursors, begin_action, cursor_key
from connectors.aws.health import TableHealth
from connectors.aws.pollers import Pollers
from connectors.aws.spending import TableSpending
from connectors.core import budget
from connectors.core.budget import Prices, month_of, next_month
from connectors.core.errors import MisconfiguredError, UnavailableError
from connectors.core.health import TokenHealth, TokenState, Use
from connectors.core.plan import SourceConfig
from connectors.core.polling import Cursor
from connectors.core.ports import Page
from connectors.tool import forum
from tests.functions.test_answers import parts
from tests.functions.test_workers import Context, Machine, machine, sqs_event

__all__ = ["machine", "parts"]
FORUM, SLOW = "stack/Forum", "stack/Slow"
DONE: dict[str, list[Any]] = {"batchItemFailures": []}
PRICES = Prices("2026-10-01", "USD", "https://vendor.example", {"read": Decimal("0.005")})


def wake(source: str = FORUM) -> Any:
    return poll_source.handler(sqs_event(json.dumps({"poll": source})), Context())


class Deployed:
    """Sources as deployed; each is polled from now on."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.table = machine, machine.shop.table
        self.sources: dict[str, SourceConfig] = {}
        self.cursors = TableCursors(self.table, 60.0)

    def source(self, settings: Mapping[str, Any], name: str = FORUM, poll: int | None = 60) -> None:
        self.sources[name] = SourceConfig.of(name, "discourse", "hailback/forum", dict(settings), poll)
        if poll is not None:
            self.table.transact([begin_action(self.table, name, poll, 1_000)])

    def cursor(self, name: str = FORUM) -> Cursor:
        found = self.cursors.cursor(name)
        assert found is not None
        return found

    def due(self, name: str = FORUM) -> None:
        """The wait is over."""
        self.table.update(*cursor_key(name), "SET next_at = :now, due_at = :now", {":now": 1_000})

    def row(self, name: str = FORUM) -> dict[str, Any]:
        return self.table.get(*cursor_key(name)) or {}

    def inbox(self) -> list[dict[str, Any]]:
        return self.machine.messages("inbox")


@pytest.fixture
def deployed(parts: Machine, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    found = Deployed(parts)
    monkeypatch.setattr(ConfigStore, "source", lambda self, name, with_deleted=False: found.sources.get(name))
    monkeypatch.setattr(ConfigStore, "system", lambda self, name, with_deleted=False: None)
    return found


@pytest.fixture
def square(tmp_path: Path) -> Iterator[forum.RunningForum]:
    running = forum.start(tmp_path / "forum")
    yield running
    running.stop()


def test_a_source_is_polled_from_now_on_and_its_posts_become_cases(
    deployed: Deployed, square: forum.RunningForum
) -> None:
    """Without a key: the forum is public, and there is no secret."""
    square.say("ada", "Before our time.")
    deployed.source({"BaseUrl": square.base_url})
    assert wake_due.handler({}, Context())["polls"] == 1
    (wake_up,) = deployed.machine.messages("poll")
    assert wake_up == {"poll": FORUM}
    assert wake() == DONE
    assert "polling begins here; what happened before is not fetched" in deployed.machine.lines.getvalue()
    assert deployed.inbox() == []
    said = square.say("ada", "It drips.", title="A leak")
    assert wake() == DONE
    assert deployed.inbox() == [], "it is not time yet"
    deployed.due()
    assert wake() == DONE
    (delivery,) = deployed.inbox()
    for _ in range(2):
        assert ingest_event.handler(sqs_event(json.dumps(delivery)), Context()) == DONE
    authority = square.base_url.removeprefix("http://")
    meta, mention = deployed.machine.shop.cases.mention(f"discourse:{authority}:{said['id']}")
    assert mention is not None
    assert mention.text == "It drips."
    assert meta is not None
    assert meta["sources"] == {FORUM}
    assert "It drips." not in deployed.machine.lines.getvalue()


def test_a_forum_that_says_when_to_come_back_is_obeyed(deployed: Deployed, square: forum.RunningForum) -> None:
    deployed.source({"BaseUrl": square.base_url})
    square.fail_reads(["429:500"])
    before = time.time()
    assert wake() == DONE
    wait = deployed.cursor().next_at / 1000 - before
    assert 499 < wait < 530
    assert wake() == DONE
    assert deployed.cursor().failures == 1, "nobody asked in between"


def test_a_wrong_key_is_shown_where_the_doctor_looks(deployed: Deployed, square: forum.RunningForum) -> None:
    deployed.source({"BaseUrl": square.base_url})
    secret = json.dumps({**square.credentials, "api_key": "wrong"})
    boto3.client("secretsmanager").create_secret(Name="hailback/forum/credentials", SecretString=secret)
    assert wake() == DONE
    assert (deployed.cursor().error or "").startswith("Misconfigured: ")
    assert "wrong" not in deployed.machine.lines.getvalue().replace("missing or wrong", "")


def test_half_a_key_is_shown_where_the_doctor_looks(deployed: Deployed, square: forum.RunningForum) -> None:
    deployed.source({"BaseUrl": square.base_url})
    boto3.client("secretsmanager").create_secret(Name="hailback/forum/credentials", SecretString='{"api_key": "k"}')
    assert wake() == DONE
    assert "hailback/forum/credentials" in (deployed.cursor().error or "")


def test_a_source_that_is_polled_no_more_is_left_alone(deployed: Deployed, square: forum.RunningForum) -> None:
    deployed.source({"BaseUrl": square.base_url})
    deployed.source({"BaseUrl": square.base_url}, poll=None)
    assert wake() == DONE
    assert deployed.cursors.cursor(FORUM) is None
    assert "error" not in deployed.row()
    assert wake("stack/Gone") == DONE


def test_a_slow_source_keeps_no_other_waiting(deployed: Deployed, square: forum.RunningForum, tmp_path: Path) -> None:
    """Each has a message, a lease and a worker of its own."""
    slow = forum.start(tmp_path / "slow")
    try:
        deployed.source({"BaseUrl": slow.base_url}, SLOW)
        deployed.source({"BaseUrl": square.base_url})
        assert wake_due.handler({}, Context())["polls"] == 2
        assert sorted(each["poll"] for each in deployed.machine.messages("poll")) == [FORUM, SLOW]
        slow.fail_reads(["slow:4"])
        other = threading.Thread(target=wake, args=(SLOW,))
        begun = time.monotonic()
        other.start()
        until(lambda: deployed.row(SLOW).get("lease_until", 0) > 0)
        assert wake() == DONE
        assert deployed.cursor().cursor is not None
        assert time.monotonic() - begun < 4
        assert deployed.cursor(SLOW).cursor is None, "it is still being asked"
        other.join()
        assert deployed.cursor(SLOW).cursor is not None
    finally:
        slow.stop()


def until(reached: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)


class Dear:
    """A source that costs money."""

    def __init__(self) -> None:
        self.asked = 0

    def poll(self, cursor: str | None) -> Page:
        self.asked += 1
        return Page([], str(self.asked), 60.0, {"read": 1000})


def test_what_is_refused_in_part_is_shown_where_the_doctor_looks_and_the_rest_goes_on(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Partly:
        def poll(self, cursor: str | None) -> Page:
            fault = None if cursor == "2" else "search: refused"
            health = TokenHealth(TokenState.SCOPE_MISSING if fault else TokenState.OK, fault or "")
            return Page([], str(int(cursor or 0) + 1), 60.0, fault=fault, health=health)

    monkeypatch.setattr(Pollers, "build", lambda self, source, ends: Partly())
    deployed.source({"BaseUrl": "https://x.example"})
    for number, error in enumerate(["search: refused", "search: refused", None], 1):
        assert wake() == DONE
        assert (deployed.cursor().cursor, deployed.cursor().error) == (str(number), error)
        seen = TableHealth(deployed.table, poll_source._now).known(FORUM).uses[Use.POLL].health
        assert seen.state is (TokenState.SCOPE_MISSING if error else TokenState.OK)
        deployed.due()


@pytest.fixture
def dear(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Dear:
    place = Dear()
    monkeypatch.setattr(Pollers, "build", lambda self, source, ends: place)
    monkeypatch.setattr(poll_source, "prices", lambda connector: PRICES)
    deployed.source({"BaseUrl": "https://x.example", "Budget": "6"})
    return place


def test_polling_stops_where_the_budget_ends_and_says_so(deployed: Deployed, dear: Dear) -> None:
    for _ in range(4):
        assert wake() == DONE
        deployed.due()
    assert dear.asked == 2, "5 USD each, of 6"
    assert wake() == DONE
    now = int(time.time() * 1000)
    assert TableSpending(deployed.table).spent(FORUM, month_of(now)) == {"read": 2000}
    cursor = deployed.cursor()
    assert cursor.next_at == next_month(now)
    assert "10.00 of 6.00 USD" in (cursor.error or "")
    lines = deployed.machine.lines.getvalue()
    assert "a budget runs low" in lines
    assert "a budget is used up" in lines


def test_a_budget_that_is_raised_counts_at_once(deployed: Deployed, dear: Dear) -> None:
    for _ in range(3):
        wake()
        deployed.due()
    wake()
    assert dear.asked == 2
    deployed.source({"BaseUrl": "https://x.example", "Budget": "60"})
    assert wake() == DONE
    assert dear.asked == 3
    assert deployed.cursor().error is None


def test_a_stop_decided_by_the_old_deployment_does_not_outlast_it(
    deployed: Deployed, dear: Dear, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        wake()
        deployed.due()
    spent = TableSpending.spent

    def meanwhile(self: TableSpending, source: str, month: str) -> dict[str, int]:
        found = spent(self, source, month)
        deployed.source({"BaseUrl": "https://x.example", "Budget": "60"})
        return found

    monkeypatch.setattr(TableSpending, "spent", meanwhile)
    old = deployed.sources[FORUM]
    monkeypatch.setattr(poll_source._Purse, "_standing", lambda self, now: _old(self, old, now))
    assert wake() == DONE
    assert deployed.cursor().next_at < time.time() * 1000, "it is due, not shut until the month ends"


def _old(purse: Any, source: SourceConfig, now: int) -> budget.Standing:
    month = month_of(now)
    return budget.standing(PRICES, budget.budget_of(source.settings), purse._spending.spent(source.id, month), month)


@pytest.mark.parametrize("times", [1, 3])
def test_spending_adds_up(deployed: Deployed, times: int) -> None:
    spending = TableSpending(deployed.table)
    for _ in range(times):
        spending.add(FORUM, "2026-11", {"read": 2, "create": 1})
    spending.add(FORUM, "2026-11", {"create": -1})
    spending.add(FORUM, "2026-11", {})
    assert spending.spent(FORUM, "2026-11") == {"read": 2 * times, "create": times - 1}
    assert spending.spent(FORUM, "2026-12") == {}


def test_a_denied_secret_is_not_a_public_place(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    from connectors.aws.secrets import Credentials

    def denied(self: Credentials, secret: str) -> dict[str, Any]:
        raise MisconfiguredError(f"the secret {secret}/credentials cannot be read: AccessDenied")

    monkeypatch.setattr(Credentials, "credentials", denied)
    deployed.source({"BaseUrl": "https://forum.acme.com"})
    assert wake() == DONE
    assert "AccessDenied" in (deployed.cursor().error or "")


def test_a_secret_that_cannot_be_read_now_is_tried_again(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    from connectors.aws.secrets import Credentials

    def away(self: Credentials, secret: str) -> dict[str, Any]:
        raise UnavailableError("Secrets Manager is away")

    monkeypatch.setattr(Credentials, "credentials", away)
    deployed.source({"BaseUrl": "https://forum.acme.com"})
    assert wake() == DONE
    assert deployed.cursor().failures == 1
