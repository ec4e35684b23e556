"""What Meta's refusals and headers mean to us."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.api import LimitedError, MissingError
from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.graph import ParameterError, millis_of, nodes, refused, told, usage
from connectors.http import Response


def answer(code: int, subcode: int = 0, status: int = 400, *, safe: bool = True, **more: str) -> Response:
    fault = {"message": "SECRET WORDS", "code": code, "error_subcode": subcode, "is_transient": code == 77}
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    return Response(status, headers, json.dumps({"error": fault}).encode(), "graph.example", safe)


@pytest.mark.parametrize(
    ("code", "subcode", "read", "written"),
    [
        (4, 0, LimitedError, LimitedError),
        (17, 0, LimitedError, LimitedError),
        (32, 0, LimitedError, LimitedError),
        (613, 0, LimitedError, LimitedError),
        (80_002, 0, LimitedError, LimitedError),
        (368, 0, LimitedError, LimitedError),
        (190, 463, MisconfiguredError, MisconfiguredError),
        (10, 0, MisconfiguredError, MisconfiguredError),
        (200, 0, MisconfiguredError, MisconfiguredError),
        (803, 0, MissingError, MissingError),
        (100, 33, MissingError, MissingError),
        (1, 0, UnavailableError, UnknownOutcomeError),
        (2, 0, UnavailableError, UnknownOutcomeError),
        (77, 0, UnavailableError, UnknownOutcomeError),
        (100, 0, ParameterError, RejectedError),
        (9_999, 0, ParameterError, RejectedError),
    ],
)
def test_a_code_says_what_to_do_next(
    code: int, subcode: int, read: type[RemoteError], written: type[RemoteError]
) -> None:
    for safe, kind in ((True, read), (False, written)):
        error = refused(answer(code, subcode, safe=safe))
        assert type(error) is kind
        assert "SECRET" not in f"{error}"


@pytest.mark.parametrize(
    ("code", "subcode", "state"),
    [
        (190, 463, TokenState.EXPIRED),
        (190, 460, TokenState.REVOKED),
        (190, 0, TokenState.REVOKED),
        (102, 463, TokenState.EXPIRED),
        (3, 0, TokenState.SCOPE_MISSING),
        (299, 0, TokenState.SCOPE_MISSING),
    ],
)
def test_the_state_of_the_token_follows_from_the_subcode(code: int, subcode: int, state: TokenState) -> None:
    error = refused(answer(code, subcode))
    assert isinstance(error, MisconfiguredError)
    assert error.token is state


def test_an_answer_without_an_error_is_none() -> None:
    for body in (b"", b"[]", b'{"error": "no"}', b"\xff", b'{"data": []}'):
        assert refused(Response(400, {}, body, "graph.example")) is None


def test_a_limit_lasts_as_long_as_the_headers_say() -> None:
    business = json.dumps({"1": [{"call_count": 100, "estimated_time_to_regain_access": 7}]})
    waits = [
        refused(answer(4, x_business_use_case_usage=business)),
        refused(answer(4, retry_after="90")),
        refused(answer(4)),
        refused(answer(368)),
    ]
    assert [error.retry_after for error in waits if isinstance(error, LimitedError)] == [420, 90, 900, 3600]


def test_what_the_headers_say_of_the_limits() -> None:
    assert usage({}) == (0, 0)
    assert usage({"x-app-usage": '{"call_count": 79, "total_time": 10}'}) == (0, 0)
    assert usage({"x-page-usage": '{"call_count": 1, "total_cputime": 80}'}) == (600, 0)
    entries = [{"call_count": 1, "estimated_time_to_regain_access": 20}, {"call_count": 100}]
    assert usage({"x-business-use-case-usage": json.dumps({"42": entries})}) == (1200, 1200)
    for junk in ("", "[]", "17", '{"call_count": "many"}', '{"1": 2}', "\ud800"):
        assert usage({"x-app-usage": junk, "x-business-use-case-usage": junk}) == (0, 0)


def test_times_come_in_seconds_and_in_milliseconds() -> None:
    assert [millis_of(value) for value in (1_519_399_307, "1519399307", 1_668_022_334_834, None, -5, "x", 10**30)] == [
        1_519_399_307_000,
        1_519_399_307_000,
        1_668_022_334_834,
        0,
        0,
        0,
        0,
    ]


def test_what_is_no_delivery_tells_nothing_and_what_is_no_answer_has_no_objects() -> None:
    said: Any
    for said in ({}, [], None, 1, {"data": []}, {"id": "1"}, {"field": 3}):
        assert list(told(said)) == []
    for said in ({}, [], None, 1, {"data": [1, None]}, {"data": "x"}):
        assert list(nodes(said, "data")) == []
