"""The state folder: one stack at a time, found by the other commands, forgotten when it died."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.tool import state

STACK = state.Particulars(
    endpoint="http://127.0.0.1:4566",
    region="eu-central-1",
    stack="hailback",
    routes=["hailback-routes"],
    listener="http://127.0.0.1:4566/000000000000/listener",
    tracker="http://127.0.0.1:8080/tracker/",
    credentials="hailback/tracker/credentials",
    webhooks={"Forum": "http://127.0.0.1:4566/discourse/x"},
    pid=1,
    children={},
    kept=False,
)
HOLDER = """
import sys, time
from pathlib import Path
from connectors.tool import state
from tests.tool.test_state import STACK
with state.claim(Path(sys.argv[1])):
    state.write(Path(sys.argv[1]), STACK)
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that runs a stack in `tmp_path`."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "up\n"
    yield holder
    holder.kill()
    holder.communicate()


def test_a_running_stack_is_found_by_others_and_only_one_runs(tmp_path: Path, elsewhere: subprocess.Popen[str]) -> None:
    assert state.read(tmp_path) == STACK
    with pytest.raises(state.StateError, match=r"already running in .*--state"), state.claim(tmp_path):
        pytest.fail("a second stack was let in")
    assert state.read(tmp_path) == STACK, "the refused one must not remove what the first wrote"


def test_a_stack_that_was_killed_leaves_nothing_that_misleads(tmp_path: Path, elsewhere: subprocess.Popen[str]) -> None:
    elsewhere.send_signal(signal.SIGKILL)
    elsewhere.wait()
    assert (tmp_path / "stack.json").exists()
    assert state.read(tmp_path) is None
    assert not (tmp_path / "stack.json").exists()
    with state.claim(tmp_path):
        state.write(tmp_path, STACK)


def test_the_file_is_for_its_owner_and_holds_no_secret(tmp_path: Path) -> None:
    with state.claim(tmp_path):
        state.write(tmp_path, STACK)
        file = tmp_path / "stack.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert set(json.loads(file.read_text())) == set(STACK.__dataclass_fields__)
    assert not file.exists()


def test_folders_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with state.claim(one), state.claim(two):
        state.write(one, STACK)
        assert state.read(two) is None
    monkeypatch.setenv("HAILBACK_STATE", str(one))
    assert state.folder(None) == one
    assert state.folder(two) == two
    monkeypatch.delenv("HAILBACK_STATE")
    assert state.folder(None).name == ".hailback"
    assert os.sep in str(state.folder(Path("relative")))


def test_a_file_of_another_version_is_named(tmp_path: Path) -> None:
    with state.claim(tmp_path):
        (tmp_path / "stack.json").write_text('{"endpoint": "x"}')
        with pytest.raises(state.StateError, match="another version"):
            state.read(tmp_path)
