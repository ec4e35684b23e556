"""The particulars of a stack that runs on this machine, in `stack.json` of its state folder.

The commands read there which stack they speak to. Whoever runs a stack holds a lock on the folder as long as it runs,
so a file left behind by one that died is known to be stale. Holds addresses and names, never a secret.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from connectors.tool.venvs import CHECKOUT

_FILE, _LOCK = "stack.json", "stack.lock"
_PATIENCE = 1.0


class StateError(RuntimeError):
    """A stack is running where none should be, or none where one should; one sentence."""


@dataclass(frozen=True, slots=True)
class Particulars:
    """Where a running stack is reached. `webhooks` maps a source's name to its address."""

    endpoint: str
    region: str
    stack: str
    routes: list[str]
    listener: str
    tracker: str
    credentials: str
    """The name of the secret that holds the login of the tracker's account."""
    webhooks: dict[str, str]
    pid: int
    children: dict[str, int]
    kept: bool


def folder(given: Path | None) -> Path:
    """The state folder: the one given, else $HAILBACK_STATE, else `.hailback` in the checkout."""
    named = given or os.environ.get("HAILBACK_STATE") or CHECKOUT / ".hailback"
    return Path(named).expanduser().resolve()


@contextmanager
def claim(state: Path) -> Iterator[None]:
    """Hold the folder for a stack of one's own, and leave no `stack.json` behind. Raises StateError if one runs."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / _LOCK).open("w") as handle:
        if not _lock(handle, fcntl.LOCK_EX, _PATIENCE):
            raise StateError(f"a stack is already running in {state}; stop it (Ctrl-C), or name another with --state")
        file = state / _FILE
        file.unlink(missing_ok=True)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def write(state: Path, particulars: Particulars) -> None:
    """Publish a stack to the other commands. For the owner's eyes only."""
    draft = state / f"{_FILE}.new"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        json.dump(asdict(particulars), handle, indent=2)
    draft.replace(state / _FILE)


def read(state: Path) -> Particulars | None:
    """The stack that runs in this folder; None where none does. Removes the file of one that died."""
    file = state / _FILE
    try:
        text = file.read_text(encoding="utf-8")
        handle = (state / _LOCK).open("a")
    except FileNotFoundError:
        return None
    with handle:
        if _lock(handle, fcntl.LOCK_SH, 0):  # nobody holds it: whoever wrote the file is gone
            with suppress(FileNotFoundError):
                file.unlink()
            return None
    try:
        return Particulars(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise StateError(f"{file} was written by another version; stop that stack and start it again") from error


def _lock(handle: IO[str], kind: int, patience: float) -> bool:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        else:
            return True
