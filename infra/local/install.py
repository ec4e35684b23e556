"""Installs the locked packages and Hailback itself into the virtual environment that runs this file.

Standard library only: it runs before anything is installed. uv does the work in a few seconds; where it cannot, such
as with an index that only pip is configured for, pip does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
PIP = [sys.executable, "-m", "pip"]
UV = [str(Path(sys.executable).with_name("uv")), "pip"]


def main() -> int:
    sys.path.insert(0, str(ROOT))
    from connectors.tool.venvs import index_settings

    configured = subprocess.run([*PIP, "config", "list"], check=False, capture_output=True, text=True).stdout
    with_uv = os.environ | index_settings(os.environ, configured) | {"UV_PYTHON": sys.executable, "UV_NO_PROGRESS": "1"}
    print("installing the locked packages into .venv", flush=True)
    if _install_uv() and _install(UV, with_uv):
        return 0
    print("uv could not; once more with pip", flush=True)
    if _install(PIP, dict(os.environ)):
        return 0
    print("The packages could not be installed. Is the index that `pip config list` shows reachable?")
    return 1


def _install_uv() -> bool:
    """uv itself, at the version and hashes that the lock names."""
    block = re.search(r"^uv==.*\n(?:[ ].*\n)*", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    if block is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        only = Path(folder) / "uv.lock"
        only.write_text(block[0], encoding="utf-8")
        return _run([*PIP, "install", "--quiet", "--disable-pip-version-check", "-r", str(only)], dict(os.environ))


def _install(tool: list[str], environ: dict[str, str]) -> bool:
    return _run([*tool, "install", "--quiet", "--require-hashes", "-r", str(LOCK)], environ) and _run(
        [*tool, "install", "--quiet", "--no-build-isolation", "--no-deps", "--editable", str(ROOT)], environ
    )


def _run(command: list[str], environ: dict[str, str]) -> bool:
    return subprocess.run(command, check=False, env=environ, stdin=subprocess.DEVNULL).returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
