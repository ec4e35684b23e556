"""What the doctor says of a source's credentials, of its silence, and of posts that wait to be looked at again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.aws.cases import mention_key
from connectors.aws.config import ConfigStore
from connectors.aws.health import TableHealth, register_action
from connectors.aws.heard import TableHeard
from connectors.aws.intake import Intake
from connectors.core.compose import moment
from connectors.core.health import TokenHealth, TokenState, Use
from connectors.core.ingest import UNREAD, Origin
from connectors.core.models import Unsupported
from connectors.core.plan import SourceConfig
from connectors.tool.checkup import Checkup
from connectors.tool.doctor import show
from tests.tool.conftest import Small

NOW = 1_795_000_600_000
HOUR = 3_600_000
ACME, PAGE = "routes/Acme", "routes/Page"


@pytest.fixture
def sources(small: Small, monkeypatch: pytest.MonkeyPatch) -> dict[str, SourceConfig]:
    """One on X, one on Facebook; deployed."""
    found = {
        ACME: SourceConfig.of(ACME, "x", "hailback/x", {}),
        PAGE: SourceConfig.of(PAGE, "facebook", "hailback/page", {}),
    }
    small.deployment.table.transact([register_action(small.deployment.table, name) for name in found])
    monkeypatch.setattr(ConfigStore, "source", lambda self, name, with_deleted=False: found.get(name))
    small.plan()
    return found


def look(small: Small) -> dict[str, Any]:
    found = Checkup(small.deployment, 50, NOW).document()
    json.dumps(found)
    return found


def note(small: Small, source: str, use: Use, state: TokenState, detail: str = "", until: int | None = None) -> None:
    TableHealth(small.deployment.table, lambda: NOW).note(source, use, TokenHealth(state, detail, until))


def test_what_works_is_shown_and_nothing_is_wrong(
    small: Small, sources: dict[str, SourceConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    note(small, ACME, Use.POLL, TokenState.OK)
    note(small, ACME, Use.REPLY, TokenState.LIMITED, "429", NOW + HOUR)
    found = look(small)
    assert found["wrong"] == []
    assert [(one["id"], one["state"]) for one in found["vitals"]] == [(ACME, "limited"), (PAGE, None)]
    assert found["vitals"][0]["rechecks"]["posts"] == 0
    assert found["vitals"][1]["rechecks"] is None, "Facebook tells of removals"
    show(found)
    shown = capsys.readouterr().out
    assert f"reply: limited until {moment(NOW + HOUR)}" in shown
    assert f"{PAGE}: nothing known yet; too new, or too seldom heard, to be judged" in shown


def test_what_a_person_has_to_mend_says_how(small: Small, sources: dict[str, SourceConfig]) -> None:
    note(small, ACME, Use.POLL, TokenState.EXPIRED)
    note(small, PAGE, Use.REPLY, TokenState.SCOPE_MISSING, "pages_manage_engagement")
    note(small, PAGE, Use.CHECK, TokenState.OK)
    TableHealth(small.deployment.table, lambda: NOW).unusable(ACME, "hailback/x/credentials: bearer_token missing")
    found = look(small)
    remedy = "grant the missing permission; the connector's README lists them"
    assert found["wrong"] == [
        f"the credentials of {ACME} cannot be used: hailback/x/credentials: bearer_token missing",
        f"the credentials of {PAGE}: scope missing (reply); {remedy}",
    ]
    assert not found["well"]


def test_silence_against_its_own_past_is_said(small: Small, sources: dict[str, SourceConfig]) -> None:
    for hours in range(15, 21 * 24):
        TableHeard(small.deployment.table).add(PAGE, 1, NOW - hours * HOUR)
    assert look(small)["wrong"] == [f"{PAGE} has been silent for 14 hours, which is not its way"]


def test_posts_that_wait_too_long_are_counted(small: Small, sources: dict[str, SourceConfig]) -> None:
    for number, hours in ((1, 22), (2, 30), (3, 31)):
        at = moment(NOW - hours * HOUR)
        pk, sk = mention_key(f"x:{number}")
        row = {"pk": pk, "sk": sk, "connector": "x", "native_id": str(number), "seen_at": at, "sources": {ACME}}
        small.deployment.table.put({**row, "day_shard": f"{at[:10]}#{number}"})
    found = look(small)
    assert found["vitals"][0]["rechecks"] == {
        "within_seconds": 72_000,
        "posts": 3,
        "late": 2,
        "more": False,
        "oldest_day": moment(NOW - 31 * HOUR)[:10],
    }
    assert found["wrong"][0].startswith(f"2 posts of {ACME} were not looked at for more than 24 hours")
    del sources[ACME]
    assert [one["id"] for one in look(small)["vitals"]] == [PAGE]


def test_deliveries_that_nobody_can_read_are_said(small: Small, sources: dict[str, SourceConfig]) -> None:
    blobs: Any = None
    intake = Intake(small.deployment.table, blobs, now=lambda: NOW - HOUR)
    for number in range(3):
        odd = Unsupported(connector="facebook", event=UNREAD, reason="the body is not a JSON object")
        intake.take_in(odd, Origin(PAGE, "facebook"), f"[{number}]".encode())
    (wrong,) = look(small)["wrong"]
    assert wrong.startswith(f"3 deliveries of {PAGE} could not be read since ")
    assert "the body is not a JSON object" in wrong
