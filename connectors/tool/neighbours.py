"""The servers on this machine that Hailback's neighbours stand in for: a Zendesk, and a forum that takes answers.

They listen on loopback ports and keep what they are told in the folder that they are given; secrets that they share
with Hailback are made up here and kept in the local Secrets Manager.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.core import token
from connectors.tool import forum, zendesk

ZENDESK, SQUARE = "hailback/zendesk", "hailback/square"
"""Names of their secrets, without what is added."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Both, running."""

    zendesk: zendesk.RunningZendesk
    forum: forum.RunningForum

    @property
    def parameters(self) -> dict[str, str]:
        """What the templates of the routes ask for."""
        return {
            "ZendeskUrl": self.zendesk.base_url,
            "ZendeskAccount": zendesk.ACCOUNT,
            "SquareUrl": self.forum.base_url,
            "SquareAccount": forum.USERNAME,
        }

    def alive(self) -> str | None:
        """The name of one that ended by itself."""
        for name, process in (("Zendesk", self.zendesk.process), ("forum", self.forum.process)):
            if process.poll() is not None:
                return name
        return None


def start(home: Path, ensure: Callable[[str, str], str], stop: Callable[[Callable[[], Any]], Any]) -> Neighbours:
    """Start both. `ensure` keeps a secret unless there is one of its name, and gives the one in force; `stop` takes
    what ends them. Raises ZendeskError and ForumError."""
    login = {"email": zendesk.EMAIL, "token": secrets.token_urlsafe(24)}
    login = json.loads(ensure(token.credentials_secret(ZENDESK), json.dumps(login)))
    desk = zendesk.start(home / "zendesk", _port(home / "zendesk.port"), login["token"])
    stop(desk.stop)
    _keep(home / "zendesk.port", desk.base_url)
    api = {"api_key": secrets.token_urlsafe(24), "api_username": forum.USERNAME}
    api = json.loads(ensure(token.credentials_secret(SQUARE), json.dumps(api)))
    square = forum.start(home / "forum", _port(home / "forum.port"), api["api_key"])
    stop(square.stop)
    _keep(home / "forum.port", square.base_url)
    for name in (ZENDESK, SQUARE):
        ensure(token.verification_secret(name), secrets.token_urlsafe(32))
    return Neighbours(desk, square)


def _port(note: Path) -> int:
    """The port of last time, so that addresses stay; 0 the first time."""
    return int(note.read_text()) if note.is_file() else 0


def _keep(note: Path, base_url: str) -> None:
    note.write_text(base_url.rsplit(":", 1)[1])
