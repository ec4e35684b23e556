"""The credentials for X: how they are, how they are renewed, and that nobody gets to see them."""

from __future__ import annotations

import json
import logging

import pytest

from connectors.core.errors import MisconfiguredError, UnavailableError
from connectors.core.health import TokenState
from connectors.x.settings import XCredentials
from tests.x.xapi import BASE, HELLO, MINUTE, OAUTH1, OAUTH2, Clock, Fault, XApi, account


def test_checking_the_credentials_reads_nothing(api: XApi, url: str) -> None:
    assert account(url).check().state is TokenState.OK
    assert {call.query["ids"] for call in api.calls} == {"1"}
    assert len(api.calls) == 2  # the app's token and the user's


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault("GET", 401, {}), TokenState.REVOKED),
        (Fault("GET", 429, {}, {"x-rate-limit-reset": "9999999999"}), TokenState.LIMITED),
        (Fault("GET", 500), TokenState.TRANSIENT),
        (Fault("GET", 402, {}), TokenState.LIMITED),
        (Fault("GET", drop=True), TokenState.TRANSIENT),
        (Fault("GET", 302), TokenState.TRANSIENT),
    ],
)
def test_the_state_of_the_credentials_is_typed(api: XApi, url: str, fault: Fault, state: TokenState) -> None:
    api.faults.append(fault)
    health = account(url).check()
    assert health.state is state
    assert health.detail
    assert (health.until is not None) is (fault.status == 429)


def test_a_token_without_a_refresh_token_runs_out(url: str, clock: Clock) -> None:
    left = {"access_token": "user-token", "expires_at": BASE + MINUTE}
    health = account(url, left).check()
    assert (health.state, health.until) == (TokenState.EXPIRING, BASE + MINUTE)
    clock.now += MINUTE
    assert account(url, left).check().state is TokenState.EXPIRED


def test_a_renewed_token_comes_as_a_whole_document_with_the_next_refresh_token(api: XApi, url: str) -> None:
    x = account(url, {"bearer_token": "app-bearer", **OAUTH2})
    renewed = x.refresh(BASE)
    assert renewed == {
        **OAUTH2,
        "bearer_token": "app-bearer",
        "access_token": "user-token-new",
        "refresh_token": "refresh-1",
        "expires_at": BASE + 7_200_000,
    }
    XCredentials.model_validate(renewed)
    json.dumps(renewed)
    with pytest.raises(MisconfiguredError) as spent:
        x.refresh(BASE)
    assert spent.value.token is TokenState.REVOKED


def test_when_a_token_is_renewed(url: str) -> None:
    x = account(url, {**OAUTH2, "expires_at": BASE})
    assert not x.refresh_due(BASE - 15 * MINUTE - 1)
    assert x.refresh_due(BASE - 15 * MINUTE)
    assert account(url, {**OAUTH2, "expires_at": None}).refresh_due(BASE)
    assert not account(url).refresh_due(BASE)


def test_an_expired_token_can_be_renewed_and_a_revoked_one_cannot(api: XApi, url: str) -> None:
    api.faults += [Fault("GET", 401, {}), Fault("GET", 401, {})]
    assert account(url, OAUTH2).check().state is TokenState.EXPIRED
    assert account(url, OAUTH1).check().state is TokenState.REVOKED


def test_no_secret_is_logged_or_shown(api: XApi, url: str, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    x = account(url)
    x.reply(HELLO, "words of ours", "key")
    api.faults.append(Fault("mentions", 401, {"detail": "key secret"}))
    cursor = x.poll(None).cursor
    clock.now += MINUTE
    with pytest.raises(MisconfiguredError) as refused:
        x.poll(cursor)
    shown = f"{caplog.text} {refused.value}"
    assert [word for word in ("app-bearer", "token secret", "key secret", "words of ours") if word in shown] == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"api_key": "a", "api_secret": "b"},
        {"access_token": "a", "access_token_secret": "b"},
        {"bearer_token": "a", "refresh_token": "b"},
        {"bearer_token": "a", "token": "b"},
    ],
)
def test_credentials_that_are_half_there_are_refused_without_being_shown(document: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="X") as refused:
        XCredentials.model_validate({**document, **{name: f"hush-{value}" for name, value in document.items()}})
    assert "hush" not in str(refused.value)


def test_a_token_that_may_only_read_is_noticed_before_an_answer_is_lost(api: XApi, url: str) -> None:
    api.access_level = "read"
    assert account(url).check().state is TokenState.SCOPE_MISSING
    api.access_level = "read-write"
    assert account(url).check().state is TokenState.OK


@pytest.mark.parametrize(
    "fault", [Fault("token", drop=True), Fault("token", 500), Fault("token", 429), Fault("token", 200, {})]
)
def test_a_renewal_without_an_answer_is_tried_again(api: XApi, url: str, fault: Fault) -> None:
    api.faults.append(fault)
    with pytest.raises(UnavailableError):
        account(url, OAUTH2).refresh(BASE)
