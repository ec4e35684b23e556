"""The local stand-in forum as a child process: started, spoken to, stopped.

The forum itself is `infra/local/forum/serve.py`. It ends when whoever started it is gone, however that one ended.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import select
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.tool.venvs import CHECKOUT

SERVE = CHECKOUT / "infra" / "local" / "forum" / "serve.py"
USERNAME = "hailback"
_LONGEST = 20.0


class ForumError(RuntimeError):
    """The forum did not come up."""


@dataclass(frozen=True, slots=True)
class RunningForum:
    """A forum that answers. `credentials` is what the secret `<Secret>/credentials` of its source holds."""

    base_url: str
    credentials: dict[str, str]
    process: subprocess.Popen[bytes]

    def say(self, username: str, raw: str, **more: Any) -> dict[str, Any]:
        """Somebody posts; the post. `topic_id`, `title` and `reply_to_post_number` as in `serve.py`."""
        return self._post("say", {"username": username, "raw": raw, **more})

    def deliver_to(self, url: str, secret: str) -> None:
        """From now on every post goes to this address, signed with this secret."""
        self._post("webhook", {"url": url, "secret": secret})

    def deliver_nothing(self) -> None:
        """From now on no post is delivered, nor will be; whoever wants to know has to ask."""
        self.deliver_to("", "")

    def fail(self, faults: Sequence[str]) -> None:
        """What goes wrong with the next answers, in this order; see `serve.py`."""
        self._post("faults", {"queue": list(faults)})

    def fail_reads(self, faults: Sequence[str]) -> None:
        """What goes wrong when the latest posts are asked for, in this order; see `serve.py`."""
        self._post("faults", {"reads": list(faults)})

    def posts(self, topic: int | None = None) -> list[dict[str, Any]]:
        """Everything that was said, oldest first."""
        found = self._open("posts")["posts"]
        return [post for post in found if topic in {None, post["topic_id"]}]

    def page(self, topic: int) -> str:
        """The address of a thread, for people."""
        return f"{self.base_url}/t/-/{topic}"

    def stop(self) -> None:
        """End it; what was said is on disk. May be called twice."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _post(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._open(what, json.dumps(body).encode())

    def _open(self, what: str, data: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.base_url}/-/{what}", data=data)  # noqa: S310 - an address of our own
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_LONGEST) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


def start(home: Path, port: int = 0, api_key: str = "") -> RunningForum:
    """Serve the forum at `home` on 127.0.0.1. Port 0 takes a free one. Raises ForumError."""
    credentials = {"api_key": api_key or secrets.token_urlsafe(24), "api_username": USERNAME}
    process = subprocess.Popen(
        [sys.executable, "-u", str(SERVE), "--home", str(home), "--port", str(port), "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(credentials).encode() + b"\n")
    base_url = _ready(process)
    running = RunningForum(base_url or "", credentials, process)
    if base_url is None:
        running.stop()
        raise ForumError(f"the local forum did not start at {home}")
    return running


def _ready(process: subprocess.Popen[bytes]) -> str | None:
    until, line = time.monotonic() + _LONGEST, b""
    while process.stdout is not None and not line.endswith(b"\n"):
        waiting, _, _ = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))
        got = process.stdout.read(4096) if waiting else b""
        if not got:
            return None
        line += got
    return str(json.loads(line)["base_url"])
