"""Values out of a vendor's JSON: what fits is read, what does not is None, and nothing raises but where it says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.core import reading
from connectors.core.delivery import Delivery
from connectors.core.errors import PayloadError
from connectors.core.models import Author
from connectors.core.plan_settings import read_settings
from connectors.core.reading import Accounts, Address, Credentials, Settings
from tests.contract.shapes import HOSTILE

ANY = st.sampled_from(HOSTILE) | st.integers() | st.floats() | st.text(st.characters()) | st.binary()


def test_a_body_is_an_object_or_a_sentence() -> None:
    assert reading.body_of(Delivery({}, b'{"a": 1}')) == {"a": 1}
    for raw, sentence in ((b"[]", "not a JSON object"), (b"{", "not JSON"), (b"\xff", "UTF-8"), (b"[" * 99, "JSON")):
        with pytest.raises(PayloadError, match=sentence):
            reading.body_of(Delivery({}, raw))


def test_json_may_be_a_list_where_an_api_answers_so() -> None:
    assert reading.json_of(Delivery({}, b'[{"id": 1}]', 0)) == [{"id": 1}]
    with pytest.raises(PayloadError):
        reading.json_of(Delivery({}, b"[", 0))


@pytest.mark.parametrize(
    "value",
    [
        "https://mastodon.social/users/ines/statuses/1",
        "https://blog.example/?p=12#note",
        "tag:old.example,2017-04-27:objectId=12:objectType=Status",
        "at://did:web:pds.example%3A8443/app.bsky.feed.post/3lk",
    ],
)
def test_a_uri_may_be_an_id(value: str) -> None:
    assert reading.uri(value) == value


@pytest.mark.parametrize(
    "value", [None, 7, "", "12", "no scheme", "https://a b", "https://a/\n", "x:" + "a" * 400, "ä:b"]
)
def test_what_is_no_uri_is_no_id(value: object) -> None:
    assert reading.uri(value) is None


def test_a_list_may_be_missing() -> None:
    body = {"a": {"b": [1, None]}, "c": "no list"}
    assert reading.listed(body, "a", "b") == [1, None]
    assert (reading.listed(body, "c"), reading.listed(body, "a"), reading.listed(None, "a")) == ([], [], [])


def test_a_way_into_a_document_may_end_anywhere() -> None:
    body = {"a": [{"b": 1}, None]}
    assert reading.dig(body, "a", 0, "b") == 1
    for way in (("a", "0"), ("a", 2), ("a", -3), ("a", 1, "b"), ("b",), ("a", 0, "b", "c"), (0,)):
        assert reading.dig(body, *way) is None


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (7, "7"),
        ("t1_abc", "t1_abc"),
        ("at://did:plc:x/app.bsky", "at://did:plc:x/app.bsky"),
        (0, None),
        (-1, None),
        (True, None),
        (1.0, None),
        ("", None),
        (" 7", None),
        ("٣", None),
        ("x" * 201, None),
        (10**400, None),
        (None, None),
    ],
)
def test_ids(value: object, found: str | None) -> None:
    assert reading.ident(value) == found
    if found is None:
        with pytest.raises(PayloadError, match=r"`message\.id` is missing"):
            reading.need(value, "message.id")


@pytest.mark.parametrize(
    ("value", "unit", "found"),
    [
        ("2026-11-19T08:00:00Z", "s", datetime(2026, 11, 19, 8, tzinfo=UTC)),
        ("2026-11-19T09:00:00+01:00", "s", datetime(2026, 11, 19, 8, tzinfo=UTC)),
        ("2026-11-19T08:00:00", "s", datetime(2026, 11, 19, 8, tzinfo=UTC)),
        (1_795_075_200, "s", datetime(2026, 11, 19, 8, tzinfo=UTC)),
        ("1795075200000", "ms", datetime(2026, 11, 19, 8, tzinfo=UTC)),
        (1_795_075_200.5, "s", datetime(2026, 11, 19, 8, 0, 0, 500_000, tzinfo=UTC)),
        (1_795_075_200_000_000, "us", datetime(2026, 11, 19, 8, tzinfo=UTC)),
        (1_795_075_200_000, "s", None),
        ("0001-01-01T00:00:00+23:59", "s", None),
        (0, "s", None),
        (float("inf"), "s", None),
        ("soon", "s", None),
    ],
)
def test_times(value: object, unit: str, found: datetime | None) -> None:
    assert reading.moment(value, unit) == found


def test_a_time_as_a_version() -> None:
    assert reading.millis(datetime(2026, 11, 19, 8, tzinfo=UTC)) == 1_795_075_200_000
    assert reading.millis(None) == 0


def test_texts_numbers_addresses() -> None:
    assert reading.text("a\x00b\ud800", 3) == "a\ufffdb"
    empty: list[object] = ["", None, 7, []]
    assert [reading.text(value) for value in empty] == [None] * 4
    assert reading.numbers(
        {"up": 3, "down": "4", "score": 0.5, "on": True, "nan": float("nan")}, "up", "score", "on", "nan"
    ) == {
        "up": 3,
        "score": 0.5,
    }
    assert [reading.whole(value) for value in (3, "3", -1, "x", 2**63, True, 1.0)] == [3, 3, -1, None, None, None, None]
    assert reading.web("https://parley.example/m/1") == "https://parley.example/m/1"
    wrong: tuple[object, ...] = (
        "javascript:alert(1)",
        "https://a:b@host/",
        "https://[",
        "https://host/a b",
        "/m/1",
        None,
        7,
    )
    assert [reading.web(value) for value in wrong] == [None] * len(wrong)


@pytest.mark.parametrize(
    ("accounts", "native_id", "handle", "own"),
    [
        (("7",), "7", None, True),
        (("7",), "8", "7", False),
        (("@7",), "8", "7", True),
        (("Acme",), "8", "@acme", True),
        (("acme",), None, None, False),
        (("@",), "8", "", False),
    ],
)
def test_our_own_accounts(accounts: tuple[str, ...], native_id: str | None, handle: str | None, own: bool) -> None:
    assert reading.is_own(accounts, Author(native_id=native_id, handle=handle) if native_id else None) is own


@pytest.mark.parametrize(
    ("number", "identity"),
    [
        ("+491701234567", "tel:+491701234567"),
        ("+14155238886", "tel:+14155238886"),
        ("491701234567", None),
        ("+0491701234567", None),
        ("+49 170 1234567", None),
        ("+266696687", None),
        ("+7378742833", None),
        ("anonymous", None),
        ("40404", None),
        ("+٣٣٣٣٣٣٣٣", None),
        (None, None),
    ],
)
def test_a_number_is_somebodys_where_it_is_whole_and_not_withheld(number: Any, identity: str | None) -> None:
    assert reading.telephone(number) == identity
    assert reading.withheld(number or "") == (number in {"+266696687", "+7378742833", "anonymous"})


def test_a_person_is_read_by_the_names_that_the_vendor_uses() -> None:
    shown = {"uid": 7, "nick": "ines", "full": "Ines", "fans": "12"}
    assert reading.person(shown, "uid", "nick", "full", "fans") == Author(
        native_id="7", handle="ines", name="Ines", followers=12
    )
    assert reading.person({"id": "7", "name": 3}) == Author(native_id="7")
    nobody: list[object] = [None, [], {"name": "Ines"}, {"id": ""}]
    assert [reading.person(one) for one in nobody] == [None] * 4


@given(ANY)
def test_no_value_raises(value: Any) -> None:
    for read in (reading.text, reading.ident, reading.whole, reading.moment, reading.web, reading.dig):
        read(value)
    reading.numbers(value, "a")
    for unit in ("ms", "us"):
        reading.moment(value, unit)


class Acme(Settings):
    account: Accounts = ()
    api_url: Address = "https://api.acme.example"


class AcmeCredentials(Credentials):
    token: SecretStr


def test_settings_speak_the_templates_language() -> None:
    plain, found = read_settings(Acme, {"Account": 7, "ApiUrl": "http://127.0.0.1:9/v1/"})
    assert found == []
    assert plain == {"Account": ["7"], "ApiUrl": "http://127.0.0.1:9/v1"}
    assert Acme.model_validate(plain).api_url == "http://127.0.0.1:9/v1"
    for given_, sentence in (
        ({"Account": " "}, "Account[0]: an account is its id"),
        ({"ApiUrl": "ftp://x"}, "ApiUrl: is not the address of an API"),
        ({"ApiUrl": "https://h?q"}, "ApiUrl: is not the address of an API"),
    ):
        _, faults = read_settings(Acme, given_)
        assert sentence in str(faults[0])
    assert AcmeCredentials(token=SecretStr("x")).token.get_secret_value() == "x"


def test_search_terms_are_one_or_many() -> None:
    class Looking(Settings):
        terms: reading.Words = ()

    assert Looking.model_validate({"Terms": " acme kettle "}).terms == ("acme kettle",)
    assert Looking.model_validate({"Terms": ["a", 7]}).terms == ("a", "7")
    for wrong in ("", "a" * 300, "a\x00"):
        with pytest.raises(ValueError, match="leave the field out"):
            Looking.model_validate({"Terms": wrong})
