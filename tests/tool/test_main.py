"""The command line itself: help everywhere, and quick."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from connectors.tool.main import app
from connectors.tool.offspring import end_since, offspring

COMMANDS = ("up", "run", "send", "parse", "cases", "case", "connectors", "doctor", "redrive", "reconcile")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert "Usage:" in done.stdout


def test_help_loads_no_aws_and_no_models() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from connectors.tool.main import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        "print([name for name in ('boto3', 'botocore', 'pydantic', 'urllib3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_only_what_was_started_since_is_ended(bystander: subprocess.Popen[bytes]) -> None:
    before = offspring()
    assert bystander.pid in before
    child = subprocess.Popen(["sh", "-c", "sleep 600 & wait"], start_new_session=True)
    while len(offspring() - before) < 2:
        time.sleep(0.01)
    end_since(before, until=lambda: child.poll() is not None and not offspring() - before)
    assert child.poll() is not None
    assert bystander.poll() is None
