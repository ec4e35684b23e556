"""Whatever a vendor answers, or does not: the error says what to do next, and nothing else is raised."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, get_args
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import connectors
from connectors.core.errors import (
    MisconfiguredError,
    RejectedError,
    RemoteError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.health import TokenHealth, TokenState
from connectors.core.models import Mention, ReplyCapability
from connectors.core.plan_settings import read_settings
from connectors.core.ports import CaseDraft, NoteDraft, Page, Tier
from connectors.http import HttpClient
from tests.contract import registered
from tests.contract.registered import POLLED, told_by
from tests.contract.shapes import HOSTILE, anything, packed
from tests.contract.stub import Stub, stub

KEY = "hailback-q2v7mnb4xk5ztc3apwd6rjhy"
CASE = CaseDraft("case-abc", "It broke", "2026-11-19T08:00:00Z", "forum:acme:1", "https://forum.acme.com/t/1", "Ines")
NOTE = NoteDraft("Ines wrote:\n\nIt broke.")
PATIENT = HttpClient(allow_private=True)
HASTY = HttpClient(allow_private=True, read=0.2, total=0.2)
LATER = 90.0

each_polled = pytest.mark.parametrize("name", POLLED)
each_replier = pytest.mark.parametrize("name", connectors.REPLIERS)
each_system = pytest.mark.parametrize("name", connectors.SYSTEMS)

FAULTS: dict[str, tuple[dict[str, Any], tuple[type[RemoteError], ...]]] = {
    "401": ({"status": 401}, (MisconfiguredError,)),
    "403": ({"status": 403}, (MisconfiguredError,)),
    "429": ({"status": 429, "Retry_After": "90"}, (UnavailableError,)),
    "500": ({"status": 500}, (UnavailableError, UnknownOutcomeError)),
    "503": (
        {"status": 503, "body": b"<html>busy</html>", "Content_Type": "text/html"},
        (UnavailableError, UnknownOutcomeError),
    ),
    "302": ({"status": 302, "Location": "http://169.254.169.254/"}, (MisconfiguredError,)),
    "silence": ({"status": 200, "silent": True}, (UnavailableError, UnknownOutcomeError)),
}
"""What a vendor does, and which errors tell the caller to act on it rightly."""
PASSING = {"429", "500", "503", "silence"}
"""Faults that say nothing about the credentials."""
JUNK = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"17",
    b"<html></html>",
    b"\xff",
    b"[" * 5000,
    b'{"data": null}',
    b"[{}]",
]
each_fault = pytest.mark.parametrize("fault", FAULTS)


@pytest.fixture(scope="module")
def vendor() -> Iterator[Stub]:
    with stub() as running:
        yield running


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries are as long as nothing."""
    monkeypatch.setattr(time, "sleep", lambda _: None)


def built(kind: Any, name: str, vendor: Stub, http: HttpClient = PATIENT) -> Any:
    """A connector's class for the settings and credentials of its contract, its vendor being here."""
    told = registered.given(name)
    plain, findings = read_settings(kind.settings_model, {**told.settings, told.address: f"{vendor.url}{_path(told)}"})
    assert findings == []
    model = getattr(kind, "credentials_model", None) or kind.replier_credentials_model
    return kind(kind.settings_model.model_validate(plain), model.model_validate(dict(told.credentials)), http)


def _path(told: registered.Given) -> str:
    """What the connector's own address has after its host."""
    address = str(told.settings.get(told.address, ""))
    _, _, rest = address.partition("://")
    return "".join(rest.partition("/")[1:]) if rest else ""


def poller_of(name: str, vendor: Stub, http: HttpClient = PATIENT) -> Any:
    kind = connectors.poller(name) if name in connectors.POLLERS else connectors.system(name)
    return built(kind, name, vendor, http)


def quiet(name: str, vendor: Stub) -> None:
    vendor.says(200, json.dumps(registered.given(name).quiet).encode())


def started(name: str, vendor: Stub) -> Page:
    """The first poll, an hour ago."""
    quiet(name, vendor)
    then = time.time() - 3600
    with patch("time.time", lambda: then):
        page: Page = poller_of(name, vendor).poll(None)
    return page


@each_polled
def test_the_first_poll_starts_from_now(name: str, vendor: Stub) -> None:
    first = started(name, vendor)
    assert list(first.events) == []
    assert first.cursor
    assert 0 < first.again <= 3600
    after: Page = poller_of(name, vendor).poll(first.cursor)
    assert vendor.seen, "a poll asks"
    assert list(after.events) == []
    assert after.cursor
    assert 0 < after.again <= 3600


@each_polled
@each_fault
def test_a_poll_that_fails_says_how(name: str, fault: str, vendor: Stub) -> None:
    cursor = started(name, vendor).cursor
    said, expected = FAULTS[fault]
    vendor.says(**said)
    poller = poller_of(name, vendor, HASTY if fault == "silence" else PATIENT)
    with pytest.raises(RemoteError) as caught:
        poller.poll(cursor)
    assert vendor.seen
    assert isinstance(caught.value, expected), caught.value
    assert not isinstance(caught.value, UnknownOutcomeError), "asking changes nothing"
    if fault == "429":
        assert getattr(caught.value, "retry_after", None) == LATER
    _tells_no_secret(name, caught.value)


@each_polled
def test_a_poll_survives_whatever_is_answered(name: str, vendor: Stub) -> None:
    cursor = started(name, vendor).cursor
    for junk in JUNK:
        vendor.says(200, junk)
        _settled(lambda: poller_of(name, vendor).poll(cursor))


@each_polled
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_poll_survives_any_json(name: str, vendor: Stub, data: st.DataObject) -> None:
    """Members of the vendor's own answers with values of any kind."""
    cursor = started(name, vendor).cursor
    calm = registered.given(name).quiet
    words = sorted(calm) if isinstance(calm, dict) else []
    inner = anything(name) if name in registered.RECEIVERS else st.sampled_from(HOSTILE)
    value = data.draw(
        inner | st.lists(inner, max_size=3) | st.fixed_dictionaries({}, optional=dict.fromkeys(words, inner))
    )
    wrapped = {word: data.draw(st.sampled_from([value, [value], [[value]]])) for word in words}
    vendor.says(200, packed(data.draw(st.sampled_from([value, wrapped]))))
    _settled(lambda: poller_of(name, vendor).poll(cursor))


def answerable(name: str) -> Mention:
    for _, events in told_by(name):
        for event in events:
            if isinstance(event, Mention) and event.reply_capability == "allowed" and not event.own:
                return event
    pytest.fail("no sample of this connector may be answered")


@pytest.mark.parametrize("name", connectors.REPLIERS)
@pytest.mark.parametrize("capability", [one for one in get_args(ReplyCapability) if one != "allowed"])
def test_what_may_not_be_answered_is_rejected_before_anything_is_sent(
    name: str, capability: ReplyCapability, vendor: Stub
) -> None:
    vendor.says(200)
    mention = answerable(name).model_copy(update={"reply_capability": capability})
    with pytest.raises(RejectedError) as caught:
        built(connectors.replier(name), name, vendor).reply(mention, "We are sorry.", KEY)
    assert vendor.seen == []
    assert len(str(caught.value).split()) > 3


@each_replier
@each_fault
def test_an_answer_that_fails_says_how(name: str, fault: str, vendor: Stub) -> None:
    said, expected = FAULTS[fault]
    vendor.says(**said)
    replier = built(connectors.replier(name), name, vendor, HASTY if fault == "silence" else PATIENT)
    with pytest.raises(RemoteError) as caught:
        replier.reply(answerable(name), "We are sorry.", KEY)
    forbidden = (RejectedError,) if fault == "403" else ()  # some vendors say so of a single answer
    assert isinstance(caught.value, expected + forbidden), caught.value
    if fault in {"500", "silence"} and any(method == "POST" for method, _ in vendor.seen):
        assert isinstance(caught.value, UnknownOutcomeError), "it may have been posted"
    _tells_no_secret(name, caught.value)


@each_replier
def test_an_answer_survives_whatever_is_answered(name: str, vendor: Stub) -> None:
    for junk in JUNK:
        vendor.says(200, junk)
        replier = built(connectors.replier(name), name, vendor)
        with pytest.raises(RemoteError) as caught:
            replier.reply(answerable(name), "We are sorry.", KEY)
        sent = any(method != "GET" for method, _ in vendor.seen)  # the post may be looked up first, to no avail
        assert not sent or not isinstance(caught.value, UnavailableError), "it is not known not to have been sent"
        if replier.findable:
            _settled(lambda replier=replier: replier.find_reply(answerable(name), KEY))  # type: ignore[misc]


@each_replier
def test_a_replier_says_what_it_can_tell(name: str) -> None:
    kind: Any = connectors.replier(name)
    assert isinstance(kind.tier, Tier)
    assert isinstance(kind.findable, bool)
    assert kind.settle >= 0
    assert issubclass(kind.settings_model, BaseModel), "it is built from its source's settings"
    assert issubclass(kind.replier_credentials_model, BaseModel)


def places_that(can: str) -> list[Any]:
    """The classes that call their vendor and have this member, each with its connector's name."""
    found: dict[Any, str] = {connectors.poller(name): name for name in connectors.POLLERS}
    found |= {connectors.replier(name): name for name in connectors.REPLIERS}
    return [pytest.param(kind, name, id=kind.__name__) for kind, name in found.items() if hasattr(kind, can)]


@pytest.mark.parametrize(("kind", "name"), places_that("check"))
@each_fault
def test_credentials_that_cannot_be_tried_out_are_not_called_well(
    kind: Any, name: str, fault: str, vendor: Stub
) -> None:
    """And nothing is raised: the doctor asks."""
    vendor.says(**FAULTS[fault][0])
    health = built(kind, name, vendor, HASTY if fault == "silence" else PATIENT).check()
    assert isinstance(health, TokenHealth)
    assert health.state is not TokenState.OK
    if fault != "302":  # which says nothing of them, and is for an administrator nevertheless
        assert (health.state in {TokenState.LIMITED, TokenState.TRANSIENT}) == (fault in PASSING), health
    assert "invented" not in health.detail


@pytest.mark.parametrize(("kind", "name"), places_that("recheck"))
def test_a_post_that_cannot_be_judged_is_not_gone(kind: Any, name: str, vendor: Stub) -> None:
    asked = [answerable(name).native_id]
    for junk in JUNK:
        vendor.says(200, junk)
        assert _gone(built(kind, name, vendor), asked) == [], f"recheck takes 200 with {junk[:40]!r} for gone"
    for said, _ in FAULTS.values():
        vendor.says(**said)
        with pytest.raises(RemoteError):
            built(kind, name, vendor, HASTY if said.get("silent") else PATIENT).recheck(asked)
    assert 0 < kind.recheck_within <= 86_400
    assert kind.recheck_batch >= 1


@pytest.mark.parametrize(("kind", "name"), places_that("units"))
def test_what_an_answer_costs_is_in_the_price_list(kind: Any, name: str, vendor: Stub) -> None:
    listed = json.loads((registered.CHECKOUT / "connectors" / name / "prices.json").read_text(encoding="utf-8"))
    for text in ("We are sorry.", "See https://acme.example/help"):
        units = built(kind, name, vendor).units(answerable(name), text)
        assert units
        assert set(units) <= set(listed["units"])


def _gone(place: Any, asked: list[str]) -> list[Any]:
    try:
        return list(place.recheck(asked).gone)
    except RemoteError:
        return []


def calls(system: Any, name: str) -> dict[str, Callable[[], object]]:
    reference = registered.given(name).reference
    assert reference is not None, "GIVEN.reference is missing: a record of this system's"
    return {
        "reserve": lambda: system.reserve("record"),
        "upsert": lambda: system.upsert(CASE, KEY, None),
        "find": lambda: system.find(KEY),
        "add_note": lambda: system.add_note(reference, NOTE, KEY, None),
        "find_note": lambda: system.find_note(reference, KEY),
        "set_status": lambda: system.set_status(reference, "solved"),
    }


METHODS = ("reserve", "upsert", "find", "add_note", "find_note", "set_status")


@each_system
@pytest.mark.parametrize("method", METHODS)
@each_fault
def test_a_write_that_fails_says_how(name: str, method: str, fault: str, vendor: Stub) -> None:
    said, expected = FAULTS[fault]
    vendor.says(**said)
    system = built(connectors.system(name), name, vendor, HASTY if fault == "silence" else PATIENT)
    error = _error_of(calls(system, name)[method])
    if error is None:
        assert vendor.seen == [], "what failed was taken for done"
        return
    assert isinstance(error, expected), error
    if method in {"find", "find_note"}:
        assert not isinstance(error, UnknownOutcomeError), "asking changes nothing"
    if fault == "429":
        assert getattr(error, "retry_after", None) == LATER
    _tells_no_secret(name, error)


@each_system
@pytest.mark.parametrize("method", METHODS)
def test_a_system_survives_whatever_is_answered(name: str, method: str, vendor: Stub) -> None:
    for junk in JUNK:
        vendor.says(200, junk)
        _settled(calls(built(connectors.system(name), name, vendor), name)[method])


def _error_of(call: Callable[[], object]) -> RemoteError | None:
    """None where it was done; any other exception fails the test."""
    try:
        call()
    except RemoteError as error:
        return error
    return None


def _settled(call: Callable[[], object]) -> None:
    """Done, or a RemoteError in one line."""
    error = _error_of(call)
    assert error is None or ("\n" not in str(error) and len(str(error).split()) > 2), error


def _tells_no_secret(name: str, error: RemoteError) -> None:
    text = str(error)
    assert "\n" not in text
    assert "We are sorry" not in text
    assert not any(
        f"{value}" in text for value in registered.given(name).credentials.values() if "invented" in str(value)
    )
