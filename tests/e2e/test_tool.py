"""The commands as a person runs them: the whole demo, and a start that is broken off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from connectors.tool import state
from tests.e2e.wait import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc"),
]


@pytest.fixture
def hailback(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes of the tool, ended with the test."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("hailback")), *arguments, "--state", str(tmp_path / "state")],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def alive(tmp_path: Path) -> set[int]:
    """Processes that live in this folder, whoever their parent is now: servers and workers keep their files below it.

    Not simply our descendants: the other tests' machine starts workers all the time."""
    mark, found = os.fsencode(tmp_path), set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
    return found


def test_the_demo_really_happens_and_leaves_nothing(tmp_path: Path, hailback: list[subprocess.Popen[str]]) -> None:
    file = tmp_path / "run.json"
    hailback.append(start(tmp_path, "run", "--once", "--json", str(file)))
    said, _ = hailback[0].communicate(timeout=280)
    assert hailback[0].returncode == 0, said
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["ok"], found["checks"]
    assert all(check["ok"] for check in found["checks"])
    assert len({post["ticket_url"] for post in found["posts"]}) == len({post["case"] for post in found["posts"]}) > 1
    assert all(post["seconds_to_ticket"] > 0 for post in found["posts"])
    assert len(found["story"]) > 5
    assert all(step["ok"] and step["detail"] for step in found["story"])
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (tmp_path / "state" / "stack.json").exists()
    assert alive(tmp_path) == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_start_that_is_broken_off_leaves_nothing(
    tmp_path: Path, hailback: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    hailback.append(start(tmp_path, "up"))
    until(lambda: len(alive(tmp_path)) > 3, 60, "its first servers", every=0.05)
    hailback[0].send_signal(number)
    said, _ = hailback[0].communicate(timeout=60)
    assert hailback[0].returncode == 130, said
    assert "Stopped all that was started." in said
    assert alive(tmp_path) == set()
    assert list((tmp_path / "tmp").iterdir()) == []
    assert state.read(tmp_path / "state") is None
