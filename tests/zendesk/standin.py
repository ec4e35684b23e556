"""Helpers of the Zendesk tests: the stand-in inside this process, behind the same client, and on a port."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from connectors import http
from connectors.core.errors import UnavailableError
from connectors.core.ports import CaseDraft
from connectors.http import HttpClient, Response
from connectors.tool.zendesk import ACCOUNT, EMAIL
from connectors.zendesk.connector import Zendesk
from connectors.zendesk.settings import ZendeskCredentials, ZendeskSystem

FOLDER = Path(__file__).resolve().parents[2] / "infra" / "local" / "zendesk"
sys.path.insert(0, str(FOLDER))

from desk import Desk  # noqa: E402
from faults import Answer, Faults  # noqa: E402

sys.path.remove(str(FOLDER))

__all__ = ["Answer", "Desk", "Faults"]
TOKEN = "only-for-this-test"
BASE_URL = "https://acme.zendesk.example"
CASE = CaseDraft(
    case="case-1",
    title="Parcel lost",
    opened_at="2026-01-02T03:04:05Z",
    conversation="discourse:forum.acme.example:7",
    url="https://forum.acme.example/t/7",
    author="Ann",
)


class Inside:
    """Stands for the HTTP client: requests go straight to the desk, answers through the client's own translation."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.watch: Callable[[str, str, Mapping[str, str], bytes], None] = lambda *_: None

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        handled: Collection[int] = (),
        misconfigured: Collection[int] = (),
        safe_statuses: Collection[int] = (),
    ) -> Response:
        self.watch(method, url, headers or {}, body or b"")
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        safe = method == "GET"
        if self.desk.faults.down:
            raise UnavailableError("refused")
        given = {name.lower(): value for name, value in (headers or {}).items()}
        answer = self.desk.handle(method, target, given, body or b"")
        if answer.fate:
            raise http._no_answer("acme", "gave no answer", safe)
        sent = {name.lower(): value for name, value in answer.headers.items()}
        packed = http.jsonlib.dumps(answer.body).encode()
        response = Response(answer.status, sent, packed, "acme.zendesk.example", safe)
        if 200 <= answer.status < 300 or answer.status in handled:
            return response
        raise http.failure(response, safe_statuses, misconfigured)


def connect(client: Any, base_url: str = BASE_URL, token: str = TOKEN, email: str = EMAIL, **more: str) -> Zendesk:
    settings = ZendeskSystem(BaseUrl=base_url, Account=ACCOUNT, **more)
    return Zendesk(settings, ZendeskCredentials(email=email, token=SecretStr(token)), client)


def connect_to(base_url: str, token: str = TOKEN, **client: Any) -> Zendesk:
    return connect(HttpClient(allow_private=True, **client), base_url, token)
