"""What an on-call engineer is told: the answer first, the most urgent first, and nobody's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from connectors.core.case import EffectKind, EffectState, Happening, Record
from connectors.core.compose import moment
from connectors.tool import doctor as command
from connectors.tool.checkup import Checkup
from connectors.tool.doctor import doctor, show
from connectors.tool.main import app
from connectors.tool.plain import counted
from tests.tool.conftest import FORUM, TRACKER, ZENDESK, Small

NOW = 1_795_000_600_000
WORDS = "the flat is getting cold"


def look(small: Small, most: int = 50) -> dict[str, Any]:
    found = Checkup(small.deployment, most, NOW).document()
    json.dumps(found, default=str)
    return found


def test_an_idle_machine_with_a_plan_is_well(small: Small) -> None:
    small.plan()
    small.case()
    small.effect(EffectState.DONE, reference="issue1")
    found = look(small)
    assert (found["well"], found["wrong"]) == (True, [])
    assert [one["name"] for one in found["plan"]["routes"]] == ["all"]
    assert [(one["queue"], one["waiting"]) for one in found["queues"]] == [("Inbox", 0), ("Sync", 0), ("Notify", 0)]


def test_without_a_plan_that_comes_first(small: Small) -> None:
    small.send("InboxDead", {"source": FORUM, "connector": "discourse", "body": "x"})
    assert look(small)["wrong"][0].startswith("no plan is in force")


def test_what_is_wrong_is_said_in_order_of_urgency(small: Small) -> None:
    small.plan()
    small.case()
    later = NOW + 60_000
    given: dict[str, Any] = {"due_at": later, "attempt": 1}
    small.effect(EffectState.PARKED, error="Unavailable: tracker.acme.com answers 503", retry_at=later, **given)
    small.effect(
        EffectState.PARKED,
        id=f"record#{ZENDESK}",
        target=ZENDESK,
        error="Misconfigured: acme.zendesk.com refuses the password",
        retry_at=later,
        **given,
    )
    small.effect(EffectState.UNKNOWN, EffectKind.BATCH, id="batch#1", error="UnknownOutcome: no answer", **given)
    small.effect(EffectState.CLAIMED, EffectKind.REPLY, id="reply#1", target=FORUM, lease_until=NOW - 1, **given)
    small.effect(EffectState.CLAIMED, EffectKind.NOTIFY, id="n#1", target="arn", lease_until=later, **given)
    small.event(Happening.SAID, NOW - 500_000, NOW - 400_000)
    small.send("SyncDead.fifo", {"case": "case-abcdefgh", "system": TRACKER})
    breaker = {"state": "open", "failures": 5, "until": later, "since": NOW - 9000, "rev": 2}
    small.deployment.table.put({"pk": f"BREAKER#{TRACKER}", "sk": "META", "type": "breaker", **breaker})
    found = look(small)
    heads = [line.split(":")[0] for line in found["wrong"]]
    assert heads == [
        "1 dead letter in SyncDead.fifo",
        f"the breaker of {TRACKER} is open",
        f"1 record for {ZENDESK} is parked",
        f"1 answer for {FORUM} is claimed past its lease",
        f"1 note for {TRACKER} is unknown",
        f"1 record for {TRACKER} is parked",
        "1 event not dispatched for more than 3 minutes",
    ]
    assert found["breakers"][0]["until"] == moment(later)
    (waits,) = [one for one in found["effects"] if one["target"] == ZENDESK]
    assert (waits["count"], waits["oldest_case"]) == (1, "case-abcdefgh")
    assert waits["next_at"] == found["breakers"][0]["until"]


def test_what_failed_over_says_where_it_is_and_when_it_is_tried_again(small: Small) -> None:
    small.plan()
    there = Record(system=ZENDESK, id="7", url="https://acme.zendesk.com/agent/tickets/7")
    small.case(engaged=(TRACKER, ZENDESK), record=there)
    small.effect(EffectState.PARKED, error="Unavailable: refused", retry_at=NOW + 5000, due_at=NOW + 5000)
    (one,) = look(small)["failed_over"]
    assert (one["first"], one["record"]["id"], one["why"]) == (TRACKER, "7", "Unavailable: refused")
    assert one["next_at"] is not None
    assert f"1 case of {TRACKER} with the stand-by {ZENDESK}: Unavailable: refused" in look(small)["wrong"]


def test_no_words_of_a_customer_are_shown(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.send("InboxDead", {"source": FORUM, "connector": "discourse", "body": WORDS, "headers": {"x": WORDS}})
    small.send("NotifyDead", WORDS)
    small.send("WakeDead", {"words": WORDS, "requestPayload": WORDS})
    found = look(small)
    show(found)
    shown = capsys.readouterr().out + json.dumps(found)
    assert WORDS not in shown
    assert f"a delivery of discourse from {FORUM}" in shown


def test_a_look_takes_nothing_away(small: Small) -> None:
    for number in range(12):
        small.send("InboxDead", {"source": FORUM, "connector": "discourse", "body": str(number)})
    first = look(small)["dead_letters"]
    assert look(small)["dead_letters"] == first
    assert (first[0]["count"], first[0]["looked_at"]) == (12, 10)


def test_it_says_when_it_did_not_look_at_everything(small: Small) -> None:
    small.plan()
    for number in range(40):
        small.effect(EffectState.PARKED, id=f"record#{number}", target=TRACKER, due_at=NOW + number, error="x: y")
    found = look(small, most=5)
    assert found["cut"] == ["only the first 5 items of each shard of the due index were read"]
    assert sum(one["count"] for one in found["effects"]) == 5


def test_a_source_is_shown_with_its_own_past(small: Small) -> None:
    for number, at in enumerate(("2026-11-18T10:00:00Z", "2026-11-18T10:10:00Z", "2026-11-17T10:00:00Z")):
        key = {"pk": f"MENTION#m{number}", "sk": "META", "seen_at": at, "day_shard": f"{at[:10]}#{number}"}
        small.deployment.table.put({**key, "sources": {FORUM}})
    (one,) = look(small)["sources"]
    assert (one["id"], one["posts_seen"], one["last_post_at"]) == (FORUM, 3, "2026-11-18T10:10:00Z")


@pytest.mark.parametrize("planned", [True, False])
def test_the_exit_code_says_whether_all_is_well(
    small: Small, planned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if planned:
        small.plan()
    monkeypatch.setattr(command, "target", lambda *_: small.deployment)
    if planned:
        doctor(as_json=False, most=10)
        assert capsys.readouterr().out.splitlines()[0] == "all well"
        return
    with pytest.raises(typer.Exit) as ended:
        doctor(as_json=True, most=10)
    assert ended.value.exit_code == 1
    assert json.loads(capsys.readouterr().out)["well"] is False


def test_breakers_and_polls_are_sentences_and_no_rows_of_the_table(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.plan()
    row = {"sk": "META", "schema": 1, "type": "breaker", "rev": 2, "opened": 1}
    down = {"state": "open", "failures": 5, "until": NOW + 6000, "since": NOW - 9000, "error": "it did not answer"}
    small.deployment.table.put({"pk": f"BREAKER#{TRACKER}", **row, **down})
    small.deployment.table.put({"pk": f"BREAKER#{ZENDESK}", **row, "state": "closed", "failures": 1})
    asked = {"sk": "META", "id": TRACKER, "every": 300, "due_at": NOW + 9000, "next_at": NOW + 9000, "attempt": 9}
    failing = {"failures": 3, "error": "Unavailable: it did not answer", "polled_at": NOW - 60_000, "lease_until": 0}
    small.deployment.table.put({"pk": f"CURSOR#{TRACKER}", **asked, **failing})
    small.deployment.table.put({"pk": f"CURSOR#{ZENDESK}", **asked, "due_at": None})
    show(look(small))
    shown = capsys.readouterr().out
    assert (
        f"  {TRACKER}: open since {moment(NOW - 9000)}, after 5 failed calls; one worker tries it at "
        f"{moment(NOW + 6000)}: it did not answer\n"
    ) in shown
    assert f"  {ZENDESK}: closed, 1 failed call in a row\n" in shown
    assert (
        f"  {TRACKER}: asked every 5 min, last answered {moment(NOW - 60_000)}, next {moment(NOW + 9000)}; "
        "3 failures in a row: Unavailable: it did not answer\n"
    ) in shown
    assert f"  {ZENDESK}: not asked any more, no answer yet\n" in shown
    assert not any(word in shown for word in ("CURSOR#", "BREAKER#", "due_at", "lease_until"))


@pytest.mark.parametrize("kind", EffectKind)
def test_several_of_a_kind_have_a_plural(kind: EffectKind) -> None:
    assert counted(1, kind.value).startswith("1 ")
    one, more = counted(1, kind.value)[2:], counted(2, kind.value)[2:]
    assert kind.value not in {"batch", "notify"} or kind.value not in one
    assert more != one
    assert "ss" not in more


def test_where_no_stack_runs_it_could_not_look(tmp_path: Path) -> None:
    """An exit code of its own: 1 is for a machine that is looked at and not well."""
    done = CliRunner().invoke(app, ["doctor", "--state", str(tmp_path)])
    assert done.exit_code == 2
    assert "no stack is running" in done.stderr
