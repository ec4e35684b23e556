"""Every request of the connector fits Zendesk's own API description, and so does every answer of the stand-in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from connectors.core.ports import NoteDraft
from connectors.tool.zendesk import AGENT
from tests.zendesk.standin import BASE_URL, CASE, TOKEN, Desk, Inside, connect

CHECKOUT = Path(__file__).resolve().parents[2]
KEY, OTHER = "hailback-" + "a" * 24, "hailback-" + "b" * 24


@pytest.fixture(scope="module")
def description() -> Any:
    path = Path(os.environ.get("HAILBACK_SHARED") or CHECKOUT.parent / "shared") / "specs" / "zendesk-support.json"
    if not path.is_file():
        pytest.skip("Zendesk's API description: set HAILBACK_SHARED to the folder that holds specs/")
    openapi = pytest.importorskip("openapi_core", reason="openapi-core is not installed: make lock, then make test")
    raw = json.loads(path.read_text(encoding="utf-8"))
    config = openapi.Config(spec_validator_cls=None)  # the description itself has slips that are not ours
    return openapi.OpenAPI.from_dict({**raw, "servers": [{"url": BASE_URL}]}, config=config)


class Asked:
    """A request as openapi-core wants to see it."""

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        from openapi_core.datatypes import RequestParameters
        from werkzeug.datastructures import Headers, ImmutableMultiDict

        parts = urlsplit(url)
        self.host_url, self.path, self.method = BASE_URL, parts.path, method.lower()
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(parts.query)), header=Headers(dict(headers)), cookie=ImmutableMultiDict()
        )
        self.content_type, self.body = headers.get("Content-Type", ""), body or None


class Told:
    """An answer likewise. Nulls are left out: Zendesk sends them where its description knows none (`assignee_id`)."""

    def __init__(self, status: int, body: Any) -> None:
        self.status_code, self.content_type = status, "application/json"
        self.headers: dict[str, str] = {}
        self.data = json.dumps(_without_nulls(body)).encode()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_requests_and_answers_are_as_described(description: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_795_000_000.0]
    monkeypatch.setattr("connectors.zendesk.connector.time.time", lambda: now[0])
    desk = Desk(TOKEN, BASE_URL, now=lambda: now[0])
    client = Inside(desk)
    system, agent = connect(client, Priority="high"), connect(Inside(desk), email=AGENT)
    asked: list[Asked] = []
    client.watch = lambda *request: asked.append(Asked(*request))
    handle = desk.handle
    told: list[Told] = []

    def remember(*request: Any) -> Any:
        answer = handle(*request)
        told.append(Told(answer.status, answer.body))
        return answer

    cursor = system.poll(None).cursor
    monkeypatch.setattr(desk, "handle", remember)
    reference = system.upsert(CASE, KEY, system.reserve("record"))
    system.find(KEY)
    system.add_note(reference, NoteDraft("Hello"), OTHER, None)
    for status in ("pending", "solved", "open"):
        system.set_status(reference, status)  # type: ignore[arg-type]
    asked_by_us = len(asked)
    agent._call(
        "PUT", f"/api/v2/tickets/{reference.id}", body=b'{"ticket":{"comment":{"body":"Hello Ann","public":true}}}'
    )
    told.pop()
    now[0] += 300
    assert len(system.poll(cursor).events) == 6
    assert {(request.method, request.path.removeprefix("/api/v2/").partition("/")[0]) for request in asked} == {
        ("post", "tickets"),
        ("get", "tickets"),
        ("put", "tickets"),
        ("get", "incremental"),
        ("get", "users"),
    }
    assert asked_by_us >= 10
    for request, answer in zip(asked, told, strict=True):
        description.validate_request(request)
        if not request.path.startswith("/api/v2/incremental"):  # its answer is described as another export's
            description.validate_response(request, answer)


def test_what_is_not_described_is_noticed(description: Any) -> None:
    """The check above can fail."""
    from openapi_core.exceptions import OpenAPIError

    wrong = b'{"ticket":{"subject":"no comment","priority":"huge"}}'
    for method, path, body in (("POST", "/api/v2/tickets", wrong), ("POST", "/api/v2/nowhere", b"{}")):
        with pytest.raises(OpenAPIError):
            description.validate_request(Asked(method, BASE_URL + path, {"Content-Type": "application/json"}, body))
