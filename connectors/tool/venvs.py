"""Virtual environments for the servers that the tool runs beside itself, each built from its own lock.

They stand in `.hailback/venv/<name>`, apart from Hailback's own packages. The host's package index is read from pip's
configuration and handed to uv through the environment of the one call; it is never written to a file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
_STAMP = ".hailback-lock"
_LONGEST = 600
_TAIL = 15


class VenvError(RuntimeError):
    """A virtual environment could not be built; the message carries the installer's last lines."""


def ensure_venv(name: str, lock: Path, base: Path | None = None) -> Path:
    """The Python of `.hailback/venv/<name>`, holding exactly what `lock` names (pinned, with hashes).

    Built when it is missing, when `lock` changed, or when it was made by another Python; otherwise nothing runs.
    Processes that ask at the same time wait for each other. `base` is the folder that holds `.hailback`, the checkout
    by default. Raises `VenvError`.
    """
    home = (base or CHECKOUT) / ".hailback" / "venv"
    home.mkdir(parents=True, exist_ok=True)
    venv = home / name
    python = venv / "bin" / "python"
    wanted = _fingerprint(lock)
    with _alone(home / f".{name}.lock"):
        stamp = venv / _STAMP
        if python.exists() and stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
            return python
        _build(venv, lock)
        stamp.write_text(wanted, encoding="ascii")
    return python


def index_settings(environ: Mapping[str, str], pip_config: str) -> dict[str, str]:
    """What uv must be told of pip's index and certificate, as environment variables.

    `pip_config` is the output of `pip config list`. What the environment already says to uv is left alone.
    """
    found: dict[str, str] = {}
    for line in pip_config.splitlines():  # pip lists what wins last: files first, then `:env:`
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if section in {"global", "install", ":env:"}:
            found[option.replace("_", "-")] = value.strip().strip("'\"")
    settings = {}
    if found.get("index-url") and not environ.get("UV_DEFAULT_INDEX") and not environ.get("UV_INDEX_URL"):
        settings["UV_DEFAULT_INDEX"] = found["index-url"]
    if found.get("cert") and not environ.get("SSL_CERT_FILE"):
        settings["SSL_CERT_FILE"] = found["cert"]
    return settings


def uv_settings() -> dict[str, str]:
    """What uv must be told on this machine, as environment variables for the one call."""
    return index_settings(os.environ, _pip_config())


def _fingerprint(lock: Path) -> str:
    made_by = f"{sys.implementation.cache_tag} {sys.base_prefix} {sys.platform}"
    return hashlib.sha256(lock.read_bytes() + made_by.encode()).hexdigest()


def _build(venv: Path, lock: Path) -> None:
    """uv twice (a network may hiccup), then pip, which reads all of its own configuration itself."""
    ways = [_with_pip, _with_pip] if _uv() is None else [_with_uv, _with_uv, _with_pip]
    said = ""
    for attempt, way in enumerate(ways):
        if attempt:
            time.sleep(1)
        shutil.rmtree(venv, ignore_errors=True)
        try:
            way(venv, lock)
        except subprocess.CalledProcessError as error:
            said = "\n".join((error.stdout or "").splitlines()[-_TAIL:])
        except subprocess.TimeoutExpired:
            said = f"the installer did not finish within {_LONGEST} seconds"
        else:
            return
    raise VenvError(f"could not install {lock.name} into {venv}; is the package index reachable?\n{said}")


def _with_uv(venv: Path, lock: Path) -> None:
    uv = _uv() or []
    environ = dict(os.environ) | uv_settings() | {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    _run([*uv, "venv", "--quiet", "--python", sys.executable, str(venv)], environ)
    python = str(venv / "bin" / "python")
    _run([*uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(lock)], environ)


def _with_pip(venv: Path, lock: Path) -> None:
    _run([sys.executable, "-m", "venv", str(venv)], os.environ)
    python = str(venv / "bin" / "python")
    _run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)], os.environ)


def _run(command: list[str], environ: Mapping[str, str]) -> None:
    subprocess.run(
        command,
        env=dict(environ),
        check=True,
        text=True,
        timeout=_LONGEST,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _uv() -> list[str] | None:
    if find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    return [found] if found else None


def _pip_config() -> str:
    """`pip config list`, from this Python's pip or the one on the path; empty where there is no pip."""
    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else [shutil.which("pip3") or shutil.which("pip") or ""]
    if not pip[0]:
        return ""
    done = subprocess.run([*pip, "config", "list"], check=False, capture_output=True, text=True, timeout=60)
    return done.stdout


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
