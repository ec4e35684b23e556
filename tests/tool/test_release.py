"""What was planned while effects were off goes out when somebody says so: named cases, or all, never by accident."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import typer

from connectors.core.case import EffectKind, EffectState, notify_id
from connectors.core.pause import SHADOW
from connectors.tool import release as command
from connectors.tool.release import release
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
