"""One vendor's API: how requests look, and what each refusal means."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.api import Api, LimitedError, MissingError, Reset, encoded, posted
from connectors.core.errors import (
    MisconfiguredError,
    RejectedError,
    RemoteError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.health import TokenState
from connectors.http import HttpClient, Response
from tests.contract.stub import Stub, stub


@pytest.fixture(scope="module")
def vendor() -> Iterator[Stub]:
    with stub() as running:
        yield running


def api(vendor: Stub, **more: object) -> Api:
    vendor.says(200, b'{"id": "1"}')
    return Api(HttpClient(allow_private=True), f"{vendor.url}/v1", {"Authorization": "Bearer t"}, **more)  # type: ignore[arg-type]


def test_what_lets_us_in_may_be_made_for_each_request_and_be_missing(vendor: Stub) -> None:
    made = iter(["first", "second"])

    def headers() -> dict[str, str]:
        token = next(made, None)
        if token is None:
            raise MisconfiguredError("there is no token", TokenState.EXPIRED)
        return {"Authorization": token}

    vendor.says(200, b"{}")
    calls = Api(HttpClient(allow_private=True), vendor.url, headers)
    calls.get("a")
    calls.get("b")
    assert [one.headers["authorization"] for one in vendor.asked] == ["first", "second"]
    assert calls.health("c").state is TokenState.EXPIRED
    assert len(vendor.asked) == 2


def test_a_request_carries_what_lets_us_in(vendor: Stub) -> None:
    assert api(vendor).get("/things", {"q": "a b&c", "n": 2, "all": True, "ids": ["1", "2"], "no": None}) == {"id": "1"}
    asked = vendor.asked[0]
    assert asked.path == "/v1/things?q=a+b%26c&n=2&all=true&ids=1&ids=2"
    assert asked.headers["authorization"] == "Bearer t"


def test_a_query_that_says_nothing_leaves_no_trace(vendor: Stub) -> None:
    place = api(vendor)
    place.get("things", {"cursor": None})
    place.get("things?type=mention", {"limit": 3})
    assert [path for _, path in vendor.seen] == ["/v1/things", "/v1/things?type=mention&limit=3"]


def test_json_and_forms(vendor: Stub) -> None:
    place = api(vendor)
    place.post("things", {"text": "é"}, headers={"Idempotency-Key": "k"})
    place.post("things", form={"text": "é b", "off": False})
    first, second = vendor.asked
    assert (first.body, first.headers["content-type"]) == (b'{"text":"\\u00e9"}', "application/json")
    assert first.headers["idempotency-key"] == "k"
    assert (second.body, second.headers["content-type"]) == (
        b"text=%C3%A9+b&off=false",
        "application/x-www-form-urlencoded",
    )


def test_next_pages_are_followed_at_home_only(vendor: Stub) -> None:
    place = api(vendor)
    place.get(f"{vendor.url}/v1/things?page=2")
    for elsewhere in ("https://evil.example/v1/things", f"{vendor.url}/v2/things", f"{vendor.url}.evil.example/v1/x"):
        with pytest.raises(RejectedError):
            place.get(elsewhere)
    assert len(vendor.seen) == 1


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (302, "GET", MisconfiguredError),
        (400, "POST", RejectedError),
        (401, "GET", MisconfiguredError),
        (403, "POST", MisconfiguredError),
        (404, "GET", MissingError),
        (410, "GET", MissingError),
        (422, "POST", RejectedError),
        (429, "POST", LimitedError),
        (500, "GET", UnavailableError),
        (500, "POST", UnknownOutcomeError),
        (503, "POST", UnknownOutcomeError),
    ],
)
def test_what_a_refusal_means(vendor: Stub, status: int, method: str, expected: type[RemoteError]) -> None:
    place = api(vendor)
    vendor.says(status, b"words of a customer")
    with pytest.raises(RemoteError) as caught:
        place.call(method, "things")
    assert type(caught.value) is expected
    assert f"{status}" in str(caught.value)
    assert "customer" not in str(caught.value)


def test_a_post_that_changes_nothing_can_be_repeated(vendor: Stub) -> None:
    place = api(vendor)
    vendor.says(500)
    with pytest.raises(UnavailableError):
        place.post("search", {}, safe=True)


def test_a_dialect_comes_first_and_sees_answers_that_look_well(vendor: Stub) -> None:
    def dialect(answer: Response) -> RemoteError | None:
        return RejectedError("it says no") if b"ok" in answer.body else None

    place = api(vendor, dialect=dialect)
    vendor.says(200, b'{"ok": false}')
    with pytest.raises(RejectedError, match="it says no"):
        place.get("things")
    vendor.says(404)
    with pytest.raises(MissingError):
        place.get("things")


SOON: dict[str, Callable[[], str]] = {
    "unix": lambda: f"{int(time.time()) + 60}",
    "iso": lambda: (datetime.now(UTC) + timedelta(seconds=60)).isoformat().replace("+00:00", "Z"),
    "seconds": lambda: "60",
}


@pytest.mark.parametrize("unit", SOON)
def test_a_limit_ends_when_the_vendor_says(vendor: Stub, unit: str) -> None:
    place = api(vendor, reset=Reset("x-reset", unit, "x-left"))  # type: ignore[arg-type]
    vendor.says(200, X_Reset=SOON[unit](), X_Left="3")
    place.get("things")
    assert place.rest == 0
    vendor.says(200, X_Reset=SOON[unit](), X_Left="0")
    place.get("things")
    assert 55 < place.rest <= 62
    vendor.says(429, X_Reset=SOON[unit]())
    with pytest.raises(LimitedError) as caught:
        place.get("things")
    assert caught.value.retry_after is not None
    assert 55 < caught.value.retry_after <= 62


@pytest.mark.parametrize("said", ["", "soon", "-1", "9" * 40, "NaN"])
def test_a_limit_that_cannot_be_read_is_none(vendor: Stub, said: str) -> None:
    place = api(vendor, reset=Reset("x-reset", "iso", "x-left"))
    vendor.says(200, X_Reset=said, X_Left="0")
    place.get("things")
    assert place.rest == 0
    vendor.says(429, X_Reset=said, Retry_After="90")
    with pytest.raises(LimitedError) as caught:
        place.get("things")
    assert (caught.value.retry_after, place.rest) == (90, 90)


@pytest.mark.parametrize(
    ("status", "renewable", "state"),
    [
        (200, False, TokenState.OK),
        (401, False, TokenState.REVOKED),
        (401, True, TokenState.EXPIRED),
        (403, False, TokenState.SCOPE_MISSING),
        (404, False, TokenState.SCOPE_MISSING),
        (429, False, TokenState.LIMITED),
        (500, False, TokenState.TRANSIENT),
    ],
)
def test_how_the_credentials_are(vendor: Stub, status: int, renewable: bool, state: TokenState) -> None:
    place = api(vendor, renewable=renewable)
    vendor.says(status, Retry_After="90")
    health = place.health("me")
    assert health.state is state
    if state is TokenState.LIMITED:
        assert health.until is not None
        assert abs(health.until / 1000 - time.time() - 90) < 5


def test_the_id_of_what_was_written() -> None:
    assert posted({"post": [{"id": 7}]}, "post", 0, "id") == "7"
    answers: list[object] = [{}, {"id": None}, [], {"id": "two words"}]
    for answer in answers:
        with pytest.raises(UnknownOutcomeError):
            posted(answer, "id")


def test_secrets_are_not_shown(vendor: Stub) -> None:
    assert "Bearer" not in repr(api(vendor))
    assert encoded({}) == ""
