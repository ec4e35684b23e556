"""`hailback case` says which route took a case and which earlier ones did not, without anybody's words."""

from __future__ import annotations

import pytest

from connectors.core.case import CaseEvent, Happening
from connectors.tool.casework import dossier
from connectors.tool.show import show_case
from tests.tool.test_casework import NOW, POST, FakeCases, a_case


def event(kind: Happening, **detail: str) -> CaseEvent:
    return CaseEvent(case="case-abcdefgh", id=kind, kind=kind, at=NOW, detail=detail)


def test_the_routes_that_took_it_and_those_that_did_not(capsys: pytest.CaptureFixture[str]) -> None:
    case = a_case(route="loud", labels=("vip",), priority="high")
    routed = event(
        Happening.ROUTED, route="everything-else", plan="p1", skipped="loud: text, 'fire'\nbig: author.followers, > 9"
    )
    raised = event(Happening.RAISED, route="loud", **{"from": "everything-else"}, mention=POST, labels="vip")
    found = dossier(FakeCases(case, events=(routed, raised)), case)  # type: ignore[arg-type]
    first, second = found["routing"]
    assert (first["route"], first["skipped"]) == (
        "everything-else",
        ["loud: text, 'fire'", "big: author.followers, > 9"],
    )
    assert (second["route"], second["from"], second["mention"], second["added"]) == (
        "loud",
        "everything-else",
        POST,
        {"labels": "vip"},
    )
    assert (found["labels"], found["priority"]) == (["vip"], "high")
    show_case(found)
    shown = capsys.readouterr().out
    assert "routed by everything-else of plan p1" in shown
    assert "    not big: author.followers, > 9" in shown
    assert "raised by loud from everything-else, labels vip" in shown
    assert shown.count("skipped=") == 0


def test_a_case_that_was_only_counted_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    case = a_case(state="counted", route="thanks")
    counted = event(Happening.ROUTED, route="thanks", plan="p1", counted="true")
    show_case(dossier(FakeCases(case, events=(counted,)), case))  # type: ignore[arg-type]
    assert "routed by thanks of plan p1, counted: no case" in capsys.readouterr().out
