"""The local stand-in for Zendesk as a child process: started, waited for, told what to do, stopped.

The server itself is `infra/local/zendesk/serve.py`; it needs nothing but a Python. It ends when whoever started it is
gone, however that one ended.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import subprocess
import sys
import time
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CHECKOUT = Path(__file__).resolve().parents[2]
SERVE = CHECKOUT / "infra" / "local" / "zendesk" / "serve.py"
EMAIL = "hailback@acme.example"
"""The user that Hailback is there."""
ACCOUNT = "900001"
"""That user's id, for `Account` in the plan."""
AGENT = "mia@acme.example"
"""A person who works there. Zendesk's API tokens let in every user of the account by name."""
_LONGEST = 20.0
_TAIL = 20


class ZendeskError(RuntimeError):
    """The stand-in did not come up, or did not answer as it should."""


@dataclass(frozen=True, slots=True)
class RunningZendesk:
    """A stand-in that answers. `base_url` has no slash at its end; `log` is the file that it writes to."""

    base_url: str
    token: str = field(repr=False)
    process: subprocess.Popen[bytes]
    log: Path

    def call(self, method: str, path: str, body: object = None, email: str = EMAIL) -> Any:
        """One request as a user, `/api/v2/…` or `/control/…`; the answer's JSON. Raises ZendeskError."""
        where = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=_LONGEST)
        pair = b64encode(f"{email}/token:{self.token}".encode()).decode()
        try:
            connection.request(method, path, json.dumps(body), {"Authorization": f"Basic {pair}"})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ZendeskError(f"the local Zendesk does not answer ({type(error).__name__})") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise ZendeskError(f"the local Zendesk answered {answer.status} to {method} {path.partition('?')[0]}")
        return json.loads(content) if content else None

    def webhook(self, url: str, secret: str) -> None:
        """Where its webhooks go from now on, and what they are signed with."""
        self.call("PUT", "/control/webhook", {"url": url, "secret": secret})

    def faults(self, **faults: object) -> None:
        """What goes wrong from now on (see infra/local/zendesk/faults.py); nothing without arguments."""
        self.call("PUT", "/control/faults", faults)

    def state(self) -> dict[str, Any]:
        """Its tickets, each with its comments, and how many webhooks wait."""
        shown: dict[str, Any] = self.call("GET", "/control/state")
        return shown

    def answer(self, ticket: str, text: str, *, public: bool = True, status: str | None = None) -> None:
        """What an agent does: writes on a ticket, and changes its status if one is given."""
        fields: dict[str, object] = {"comment": {"body": text, "public": public}}
        if status is not None:
            fields |= {"status": status, "assignee_id": int(ACCOUNT) + 1}
        self.call("PUT", f"/api/v2/tickets/{ticket}", {"ticket": fields}, AGENT)

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


def start(home: Path, port: int, token: str, python: Path | None = None) -> RunningZendesk:
    """Serve the stand-in that keeps its state at `home`, on 127.0.0.1. Port 0 takes a free one.

    `token` is handed over through a pipe. Returns when it answers. Raises ZendeskError.
    """
    home.mkdir(parents=True, exist_ok=True)
    log = home.parent / f"{home.name}.log"
    command = [str(python or sys.executable), "-u", str(SERVE), "--home", str(home), "--port", str(port)]
    with log.open("ab") as output:
        written = log.stat().st_size
        process = subprocess.Popen(
            [*command, "--token-file", "-", "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            bufsize=0,
        )
    running = RunningZendesk("", token, process, log)
    try:
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(token.encode() + b"\n")
        base_url = _ready(process)
    except BaseException:
        running.kill()
        raise
    if base_url is None:
        running.kill()
        said = log.read_bytes()[written:].decode("utf-8", "replace").splitlines()[-_TAIL:]
        raise ZendeskError("the local Zendesk did not start; it says:\n" + "\n".join(said))
    return RunningZendesk(base_url, token, process, log)


def _ready(process: subprocess.Popen[bytes]) -> str | None:
    """The address from the line that the server prints when it serves; None if it ends or takes too long."""
    until, line = time.monotonic() + _LONGEST, b""
    while process.stdout is not None and not line.endswith(b"\n"):
        waiting, _, _ = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))
        got = process.stdout.read(4096) if waiting else b""
        if not got:
            return None
        line += got
    return str(json.loads(line)["base_url"])
