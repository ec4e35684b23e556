"""The story can fail: a step that does not come true ends it, and the rest counts as not reached."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.tool import story
from connectors.tool.story import Step, StuckError, Tale, sweeping
from connectors.tool.verdict import Check, as_document


class Nobody:
    """A stack whose sweep always fails."""

    def __init__(self) -> None:
        self.swept = 0

    def invoke(self, *_: object) -> None:
        from connectors.tool.deployment import DeploymentError

        self.swept += 1
        raise DeploymentError("no")


def tale(monkeypatch: pytest.MonkeyPatch, *acts: Any) -> tuple[list[Step], list[str]]:
    said: list[str] = []
    told = Tale(Nobody(), said.append)  # type: ignore[arg-type]
    chapters = [(f"step {number}", act) for number, act in enumerate(acts)]
    monkeypatch.setattr(Tale, "_chapters", property(lambda _: chapters))
    return told.play(), said


def stuck() -> str:
    raise StuckError("the thread has no answer after 45 s")


def broken() -> str:
    raise KeyError("status")


@pytest.mark.parametrize("act", [stuck, broken])
def test_a_step_that_fails_ends_the_story(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    steps, said = tale(monkeypatch, lambda: "seen", act, lambda: "never")
    assert [(one.ok, one.detail) for one in steps][::2] == [(True, "seen"), (False, "not reached")]
    assert not steps[1].ok
    assert any("✗" in line for line in said)


def test_one_failed_step_fails_the_run() -> None:
    right, wrong = Step("a", True, 0, 0, ""), Step("b", False, 0, 0, "")
    check = Check("c", True, "")
    assert as_document([], [check], [right], 1.0)["ok"]
    found = as_document([], [check], [right, wrong], 1.0)
    assert not found["ok"]
    assert [one["name"] for one in json.loads(json.dumps(found))["story"]] == ["a", "b"]


def test_a_wait_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "_PATIENCE", 0.3)
    told = Tale(Nobody(), print)  # type: ignore[arg-type]
    with pytest.raises(StuckError, match="nobody was told after 0 s: because"):
        told._until(lambda: None, "nobody was told", also=lambda: "because")
    assert told._until(lambda: 7, "never said") == 7


def test_the_sweep_outlives_a_failure_and_ends_with_its_block() -> None:
    nobody = Nobody()
    with sweeping(nobody, 0.01):  # type: ignore[arg-type]
        while nobody.swept < 3:
            pass
    swept = nobody.swept
    assert swept >= 3
