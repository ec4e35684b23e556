"""What was planned while effects were off goes out when somebody says so: named cases, or all, never by accident."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import typer

from connectors.core.case import EffectKind, EffectState, notify_id, record_id
from connectors.core.pause import SHADOW
from connectors.tool import release as command
from connectors.tool.casework import dossier
from connectors.tool.pauses import silenced
from connectors.tool.release import release
from connectors.tool.show import show_case
from tests.tool.conftest import TRACKER, Small

NOW = int(time.time() * 1000)
TOLD = "arn:t"


@pytest.fixture
def off(small: Small, monkeypatch: pytest.MonkeyPatch) -> Small:
    """Three cases: two of which nothing went out, the newer one first, and one that has all."""
    monkeypatch.setattr(command, "target", lambda *_: small.deployment)
    small.plan()
    for number, state in enumerate((EffectState.SUPERSEDED, EffectState.SUPERSEDED, EffectState.DONE)):
        name = f"case-{number}bcdefgh"
        small.case(name)
        error = SHADOW if state is EffectState.SUPERSEDED else None
        small.effect(state, case=name, error=error, done_at=5)
        told = {"id": notify_id(TOLD, "opened"), "target": TOLD}  # type: ignore[arg-type]
        small.effect(state, EffectKind.NOTIFY, case=name, error=error, done_at=5, **told)
    runs(small, [NOW - 90_000_000, NOW - 60_000])
    return small


def runs(small: Small, *past: Any) -> None:
    row = small.deployment.table.get("PLAN#ACTIVE", "POINTER") or {}
    small.deployment.table.put({**row, "shadows": json.dumps({"": past})})
    small.deployment.config._pointers.clear()


def run(**given: Any) -> None:
    defaults = {"case": None, "every": False, "answers": False, "limit": 1000, "dry_run": False, "yes": True}
    release(**{**defaults, "as_json": False, **given})


def states(small: Small) -> list[set[str]]:
    names = (f"case-{number}bcdefgh" for number in range(3))
    return [{one.state.value for one in small.deployment.cases.effects(name)} for name in names]


def test_all_of_what_was_not_sent_is_due_at_once(off: Small, capsys: pytest.CaptureFixture[str]) -> None:
    run(every=True, dry_run=True)
    assert states(off) == [{"superseded"}, {"superseded"}, {"done"}], "only said"
    assert capsys.readouterr().out.splitlines() == [
        f"case-{number}bcdefgh: record for {TRACKER}, notify for {TOLD}: would go out" for number in range(2)
    ]
    run(every=True)
    assert states(off) == [{"planned"}, {"planned"}, {"done"}]
    due = [one.due_at for one in off.deployment.cases.effects("case-0bcdefgh")]
    assert all(at is not None and at <= time.time() * 1000 for at in due), "wake_due finds them"
    capsys.readouterr()
    run(every=True)
    assert capsys.readouterr().out == "Nothing was planned and not sent.\n"


def test_one_case_is_released_by_how_its_id_begins(off: Small) -> None:
    run(case=["1bcd"])
    assert states(off) == [{"superseded"}, {"planned"}, {"done"}]


@pytest.mark.parametrize("past", [[NOW - 90_000, None], [NOW - 90_000, NOW - 2_000]])
def test_nothing_is_released_while_a_worker_may_still_hold_it_back(
    off: Small, past: list[int | None], capsys: pytest.CaptureFixture[str]
) -> None:
    runs(off, past)
    if past[1] is not None:
        runs(off, [past[0], int(time.time() * 1000)])
    with pytest.raises(typer.Exit) as ended:
        run(every=True)
    assert ended.value.exit_code == 2
    assert "effects are o" in capsys.readouterr().err
    assert states(off)[0] == {"superseded"}


@pytest.mark.parametrize("given", [{}, {"case": ["0bcd"], "every": True}])
def test_cases_are_named_or_all_are_meant(off: Small, given: dict[str, Any]) -> None:
    with pytest.raises(typer.Exit) as ended:
        run(**given)
    assert ended.value.exit_code == 2
    assert states(off)[0] == {"superseded"}


def test_a_notification_that_another_topic_took_is_not_sent_again(off: Small) -> None:
    """A worker that did not know yet of the run tells the second topic, while another ends the first one's line."""
    second = "arn:u"
    told = {"id": notify_id(second, "opened"), "target": second}  # type: ignore[arg-type]
    off.effect(EffectState.DONE, EffectKind.NOTIFY, case="case-0bcdefgh", done_at=5, **told)
    run(case=["0bcd"])
    kinds = {(one.kind.value, one.target): one.state.value for one in off.deployment.cases.effects("case-0bcdefgh")}
    assert kinds == {("record", TRACKER): "planned", ("notify", TOLD): "superseded", ("notify", second): "done"}


def test_what_is_never_released_is_not_said_to_wait_for_it(off: Small, capsys: pytest.CaptureFixture[str]) -> None:
    run(every=True)
    case = off.case("case-3bcdefgh")
    never: dict[str, Any] = {"case": case.id, "error": SHADOW, "done_at": 5}
    off.effect(EffectState.SUPERSEDED, EffectKind.STATUS, **never, id=f"status#{TRACKER}#1")
    off.effect(EffectState.SUPERSEDED, **never, id=record_id("r/Gone"), target="r/Gone")
    assert dossier(off.deployment.cases, case)["unsent"] == []
    assert silenced(off.deployment.cases, [case], {"": ((5, None),)}, NOW) == 0
    off.effect(EffectState.SUPERSEDED, EffectKind.REPLY, **never, id="reply#r/Forum#1", target="r/Forum")
    assert dossier(off.deployment.cases, case)["unsent"] == ["the answer for r/Forum"]
    capsys.readouterr()
    run(every=True)
    assert capsys.readouterr().out == "Nothing was planned and not sent; answers are released with --answers only.\n"
    run(every=True, answers=True)
    assert capsys.readouterr().out == f"{case.id}: reply for r/Forum: goes out\n"


def test_a_case_says_what_sends_the_rest_of_it(off: Small, capsys: pytest.CaptureFixture[str]) -> None:
    def said(name: str) -> str:
        (case,) = [one for one in off.deployment.cases.newest(9, "open") if one.id == name]
        show_case(dossier(off.deployment.cases, case))
        (line,) = [one for one in capsys.readouterr().out.splitlines() if "once they are on" in one]
        return line.strip()

    whole = said("case-0bcdefgh")
    assert whole == "once they are on: hailback release case-0bcdefgh; or the customer's next post opens it"
    never: dict[str, Any] = {"case": "case-2bcdefgh", "error": SHADOW, "done_at": 5}
    off.effect(EffectState.SUPERSEDED, EffectKind.REPLY, **never, id="reply#r/Forum#1", target="r/Forum")
    rest = said("case-2bcdefgh")
    assert rest == "once they are on: hailback release case-2bcdefgh (--answers for answers)", "its record is there"
