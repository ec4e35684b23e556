"""The tracker that the tool runs: it starts, says why when it cannot, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from connectors.tool import roundup
from tests.roundup.tracker import PASSWORD, connect_to


def test_a_port_that_is_taken_is_named(python: Path, running, tmp_path):
    port = int(running.base_url.split(":")[2].split("/")[0])
    with pytest.raises(roundup.RoundupError, match=f"port {port} .* cannot be taken"):
        roundup.start(python, tmp_path / "home", port, PASSWORD)


def test_a_folder_that_holds_something_else_is_left_alone(python: Path, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(roundup.RoundupError, match="neither empty nor a tracker home"):
        roundup.start(python, tmp_path / "home", 0, PASSWORD)
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years of work"


def test_a_new_password_replaces_the_old_one_and_is_written_nowhere(python: Path, tmp_path):
    home = tmp_path / "home"
    roundup.start(python, home, 0, "the-old-word").stop()
    tracker = roundup.start(python, home, 0, "the-new-word")
    try:
        assert connect_to(tracker.base_url, "the-new-word").find("x") is None
    finally:
        tracker.stop()
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and b"the-new-word" in path.read_bytes()]
    assert kept == []
    assert (home / "admin-password").stat().st_mode & 0o077 == 0


def test_the_tracker_ends_with_a_parent_that_was_killed(python: Path, tmp_path):
    parent = (
        "import os, sys; from pathlib import Path; from connectors.tool import roundup\n"
        f"t = roundup.start(Path({str(python)!r}), Path({str(tmp_path / 'home')!r}), 0, 'word')\n"
        "print(t.base_url, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, timeout=60, check=False)
    base_url = done.stdout.strip()
    assert base_url.startswith("http://127.0.0.1:")
    assert roundup.gone(base_url, within=10)


def test_a_home_made_by_an_earlier_version_is_brought_up_to_date(python: Path, tmp_path):
    home = tmp_path / "home"
    roundup.start(python, home, 0, PASSWORD).stop()
    schema = home / "schema.py"
    now = schema.read_text()
    then = "\n".join(line for line in now.splitlines() if "status_changed" not in line and "issue.audit" not in line)
    schema.write_text(then.replace('    if "status" in newvalues', '    if False and "status" in newvalues'))
    assert schema.read_text() != now
    tracker = roundup.start(python, home, 0, PASSWORD)
    try:
        assert schema.read_text() == now
        assert connect_to(tracker.base_url).poll("2026-01-02.03:04:05").events == []
    finally:
        tracker.stop()
