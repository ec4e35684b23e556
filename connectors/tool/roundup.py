"""The local Roundup tracker as a child process: started, waited for, stopped.

The tracker itself is `infra/local/roundup/serve.py`, run by an environment of its own (see `venvs.py`). It ends when
whoever started it is gone, however that one ended.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from connectors.tool.venvs import CHECKOUT, ensure_venv

LOCK = CHECKOUT / "infra" / "local" / "roundup.lock"
SERVE = CHECKOUT / "infra" / "local" / "roundup" / "serve.py"
USERNAME = "hailback"
_LONGEST = 60.0
_TAIL = 20


class RoundupError(RuntimeError):
    """The tracker did not come up; the message carries the last lines of its log."""


@dataclass(frozen=True, slots=True)
class RunningRoundup:
    """A tracker that answers. `base_url` ends in a slash; `log` is the file that it writes to."""

    base_url: str
    username: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """End it; what it has answered is on disk. May be called twice."""
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._reap()

    def kill(self) -> None:
        """End it without a word, as a crash would."""
        self.process.kill()
        self._reap()

    def _reap(self) -> None:
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def python() -> Path:
    """The Python that can run the tracker; its environment is built if there is none yet."""
    return ensure_venv("roundup", LOCK)


def start(python: Path, home: Path, port: int, password: str, username: str = USERNAME) -> RunningRoundup:
    """Serve the tracker at `home`, made when there is none, on 127.0.0.1.

    Port 0 takes a free one. `password` is given to the account `username`, which writes over REST; it is handed over
    through a pipe. Returns when the tracker answers. Raises RoundupError.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    log = home.parent / f"{home.name}.log"
    command = [str(python), "-u", str(SERVE), "--home", str(home), "--port", str(port), "--user", username]
    with log.open("ab") as output:
        written = log.stat().st_size
        process = subprocess.Popen(
            [*command, "--password-file", "-", "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            bufsize=0,
        )
    try:
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(password.encode() + b"\n")
        base_url = _ready(process)
    except BaseException:
        RunningRoundup("", username, process, log).kill()
        raise
    running = RunningRoundup(base_url or "", username, process, log)
    if base_url is None or not _answers(base_url):
        running.kill()
        said = log.read_bytes()[written:].decode("utf-8", "replace").splitlines()[-_TAIL:]
        raise RoundupError("the local Roundup did not start; it says:\n" + "\n".join(said))
    return running


def gone(base_url: str, within: float) -> bool:
    """Whether nothing listens at this address any more, waiting up to `within` seconds for that."""
    where = urlsplit(base_url)
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            socket.create_connection((where.hostname or "", where.port or 80), timeout=1).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.05)
    return False


def _ready(process: subprocess.Popen[bytes]) -> str | None:
    """The address from the line that the tracker prints when it serves; None if it ends or takes too long."""
    until, line = time.monotonic() + _LONGEST, b""
    while process.stdout is not None and not line.endswith(b"\n"):
        waiting, _, _ = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))
        got = process.stdout.read(4096) if waiting else b""
        if not got:
            return None
        line += got
    ready = json.loads(line)
    return str(ready["base_url"])


def _answers(base_url: str) -> bool:
    where = urlsplit(base_url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=_LONGEST)
    try:
        connection.request("GET", where.path + "rest")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
