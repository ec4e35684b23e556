"""Environments of their own: built once, built again when the lock changes, and honest about a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.tool import venvs
from connectors.tool.venvs import VenvError, ensure_venv, index_settings


@pytest.fixture
def empty_lock(tmp_path: Path) -> Path:
    lock = tmp_path / "tool.lock"
    lock.write_text("# nothing\n")
    return lock


def test_an_environment_is_built_once_and_again_for_another_lock(tmp_path, empty_lock, monkeypatch):
    built: list[str] = []
    build = venvs._build
    monkeypatch.setattr(venvs, "_build", lambda venv, lock: (built.append(venv.name), build(venv, lock)))
    python = ensure_venv("tool", empty_lock, tmp_path)
    assert python.is_file()
    assert python.is_relative_to(tmp_path / ".hailback" / "venv" / "tool")
    assert ensure_venv("tool", empty_lock, tmp_path) == python
    assert built == ["tool"]
    (python.parents[1] / "left-over").touch()
    empty_lock.write_text("# still nothing, but changed\n")
    assert ensure_venv("tool", empty_lock, tmp_path) == python
    assert built == ["tool", "tool"]
    assert not (python.parents[1] / "left-over").exists()


def test_a_broken_build_is_repeated_then_told_and_not_taken_for_done(tmp_path, monkeypatch):
    lock = tmp_path / "tool.lock"
    lock.write_text("hailback-wants-no-such-thing==0 --hash=sha256:" + "0" * 64 + "\n")
    tried: list[str] = []

    def fail(command: list[str], *_: object) -> None:
        tried.append(command[0])
        raise venvs.subprocess.CalledProcessError(1, command, output="line one\nindex unreachable\n")

    monkeypatch.setattr(venvs, "_run", fail)
    monkeypatch.setattr(venvs.time, "sleep", lambda _: None)
    with pytest.raises(VenvError, match=r"tool\.lock[\s\S]*index unreachable"):
        ensure_venv("tool", lock, tmp_path)
    first = len(tried)
    assert first >= 2
    with pytest.raises(VenvError):
        ensure_venv("tool", lock, tmp_path)
    assert len(tried) == 2 * first


def test_pips_index_and_certificate_are_handed_to_uv():
    listed = (
        "global.index-url='https://global.example/simple'\nglobal.cert='/ca.pem'\nglobal.timeout='3'\n"
        "install.index-url='https://install.example/simple'\n:env:.disable-pip-version-check='1'\n"
    )
    assert index_settings({}, listed) == {
        "UV_DEFAULT_INDEX": "https://install.example/simple",
        "SSL_CERT_FILE": "/ca.pem",
    }
    environment = listed + ":env:.index-url='https://env.example/simple'\n"
    assert index_settings({}, environment)["UV_DEFAULT_INDEX"] == "https://env.example/simple"
    assert index_settings({"UV_DEFAULT_INDEX": "https://mine.example", "SSL_CERT_FILE": "/my.pem"}, listed) == {}
    assert index_settings({}, "") == {}
