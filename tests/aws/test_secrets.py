"""Secrets: what a value may look like, and what it means when one cannot be read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from connectors.aws.secrets import Credentials, VerificationSecrets, verification_values
from connectors.core.errors import MisconfiguredError, UnavailableError
from connectors.core.reception import BusyError
from tests.faults import failure


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("plain", ["plain"]),
        ("12345", ["12345"]),
        ('"quoted"', ['"quoted"']),
        ("null", ["null"]),
        ('{"secret": "one"}', ["one"]),
        ('{"secrets": ["new", "old", "", 5, null]}', ["new", "old"]),
        ('{"password": "x"}', []),
        ("[]", []),
        ("", []),
        ("  ", []),
    ],
)
def test_the_values_in_force(text: str, values: list[str]) -> None:
    assert verification_values(text) == values


class Manager:
    """Secrets Manager with one answer, counting."""

    def __init__(self, answer: str | Exception) -> None:
        self.answer, self.asked = answer, []

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803
        self.asked.append(SecretId)
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"SecretString": self.answer}


def test_verification_is_read_once_and_again_after_five_minutes() -> None:
    manager: Any = Manager("s")
    now = [0.0]
    secrets = VerificationSecrets(manager, clock=lambda: now[0])
    for seconds in (0, 299, 301):
        now[0] = seconds
        assert secrets.verification("hailback/forum") == ["s"]
    assert manager.asked == ["hailback/forum/verification"] * 2
    assert secrets.verification_again("hailback/forum") is None


def test_a_manager_that_fails_is_not_an_absent_secret() -> None:
    for error in (failure("g", "InternalServiceError"), failure("g", "AccessDeniedException")):
        manager: Any = Manager(error)
        with pytest.raises(BusyError):
            VerificationSecrets(manager).verification("hailback/forum")
    gone: Any = Manager(failure("g", "ResourceNotFoundException"))
    assert VerificationSecrets(gone).verification("hailback/forum") == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failure("g", "ResourceNotFoundException"), MisconfiguredError),
        (failure("g", "AccessDeniedException"), MisconfiguredError),
        (failure("g", "ThrottlingException"), UnavailableError),
        (EndpointConnectionError(endpoint_url="https://s"), UnavailableError),
        ("top-secret, not JSON", MisconfiguredError),
        ('["top-secret"]', MisconfiguredError),
    ],
)
def test_credentials_that_cannot_be_used_say_why_and_not_what(answer: Any, error: type[Exception]) -> None:
    manager: Any = Manager(answer)
    with pytest.raises(error, match="hailback/tracker/credentials") as raised:
        Credentials(manager).credentials("hailback/tracker")
    assert "top-secret" not in str(raised.value)


def test_credentials_are_kept_until_forgotten() -> None:
    manager: Any = Manager(json.dumps({"username": "bot"}))
    credentials = Credentials(manager, clock=lambda: 0.0)
    for _ in range(3):
        assert credentials.credentials("hailback/tracker") == {"username": "bot"}
    assert len(manager.asked) == 1
    credentials.forget("hailback/tracker")
    credentials.credentials("hailback/tracker")
    assert len(manager.asked) == 2
