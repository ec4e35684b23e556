"""A plan beside the base, in a file of its own: how it names what is in the base's stack, and what the check says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from connectors.tool.main import app

BESIDE = """\
Resources:
  Care: {Type: 'AWS::SNS::Topic', Properties: {TopicName: hailback-care}}
  Plan:
    Type: Custom::Plan
    Properties:
      ServiceToken: !ImportValue hailback-Configure
      ServiceTimeout: 120
      Priority: 100
      Sources: all
      Routes:
        - {Name: bugs, When: {intent: [complaint]}, Case: [CASE], Notify: [!Ref Care]}
"""


def check(tmp_path: Path, case: str, *more: str) -> dict[str, Any]:
    file = tmp_path / "beside.yaml"
    file.write_text(BESIDE.replace("CASE", case), encoding="utf-8")
    found: dict[str, Any] = json.loads(CliRunner().invoke(app, ["check", str(file), "--json", *more]).stdout)
    return found


def test_the_bases_system_by_its_id_needs_the_name_of_this_stack(tmp_path: Path) -> None:
    (found,) = check(tmp_path, "hailback-routes/Tracker")["findings"]
    assert found["sentence"] == "system 'hailback-routes/Tracker' is not in this file."
    assert "Then give --stack-name." in found["remedy"]
    taken = check(tmp_path, "hailback-routes/Tracker", "--stack-name", "hailback-care")
    assert taken["findings"] == []
    assert any("waits for hailback-routes/Tracker" in one["sentence"] for one in taken["unknown"])


def test_a_ref_to_the_bases_system_says_how_to_name_it(tmp_path: Path) -> None:
    (found,) = check(tmp_path, "!Ref Tracker")["findings"]
    assert "one of another stack by its id, such as hailback-routes/Tracker" in found["remedy"]


def test_an_import_is_not_given_the_name_of_this_stack(tmp_path: Path) -> None:
    file, mention = tmp_path / "beside.yaml", tmp_path / "mention.json"
    file.write_text(BESIDE.replace("CASE", "!ImportValue base-Tracker"), encoding="utf-8")
    said = {"type": "mention", "connector": "x", "native_id": "1", "conversation_id": "1", "intent": "complaint"}
    mention.write_text(json.dumps(said), encoding="utf-8")
    shown = CliRunner().invoke(app, ["explain", str(file), str(mention), "--stack-name", "hailback-us"]).output
    assert "a case in elsewhere/baseTracker" in shown
    assert "hailback-us/Import" not in shown
