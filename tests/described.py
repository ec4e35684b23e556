"""Holds calls of a stand-in against a vendor's description, both ways: what we ask, and what the stand-in answers.

Where a vendor publishes no description that a project may carry, its test module writes down what its documentation
says of the few calls that are used, and names the page:

    CALLS = [Described("GET", "/v1/things/{id}", query={"include"}, answer={"type": "object", "required": ["id"]})]
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.standin import Call


@dataclass(frozen=True, slots=True)
class Described:
    """One call: `body` and `answer` are JSON Schemas of what is sent as JSON (or as a form) and of a success; None
    where there is none."""

    method: str
    path: str
    query: set[str] = field(default_factory=set)
    body: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | None = None


def hold(calls: Sequence[tuple[Call, int, object]], described: Sequence[Described], login: str = "") -> set[str]:
    """Fails on a call, or an answer of the stand-in, that is not as described. The names of those that were used;
    `login` begins the paths that need no token."""
    jsonschema: Any = pytest.importorskip("jsonschema", reason="it is not installed: make lock, then make test")

    used = set()
    for call, status, said in calls:
        found = [one for one in described if one.method == call.method and _fits(one.path, call.path)]
        assert found, f"{call.method} {call.path} is not described"
        used.add(f"{found[0].method} {found[0].path}")
        assert set(call.query) <= found[0].query, found[0]
        if not login or not call.path.startswith(login):
            assert call.headers["authorization"].startswith("Bearer ")
        if found[0].body is None:
            assert call.body == b""
        else:
            form = call.headers["content-type"] == "application/x-www-form-urlencoded"
            jsonschema.validate(call.form() if form else call.json(), found[0].body)
        if status < 300 and said is not None and found[0].answer is not None:
            jsonschema.validate(said, found[0].answer)
    return used


def _fits(template: str, path: str) -> bool:
    pattern = "".join(
        "[^/]+?" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", template)
    )
    return re.fullmatch(pattern, path) is not None


def shape(required: str = "", **properties: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object; what is not named may be there as well. `required` is a list with spaces."""
    return {"type": "object", "required": required.split(), "properties": properties}


def exact(required: str = "", **properties: Mapping[str, Any]) -> dict[str, Any]:
    """The same with nothing else in it: for what we send."""
    return {**shape(required, **properties), "additionalProperties": False}


def many(items: Mapping[str, Any]) -> dict[str, Any]:
    """A list."""
    return {"type": "array", "items": items}


def const(value: str) -> dict[str, Any]:
    """This text."""
    return {"const": value}


TEXT: Mapping[str, Any] = {"type": "string"}
NUMBER: Mapping[str, Any] = {"type": "integer"}
