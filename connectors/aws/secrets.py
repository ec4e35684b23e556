"""Secrets Manager: what verifies deliveries, and what lets us call vendors. Values are never logged.

A verification secret is one value, or JSON: `{"secrets": ["new", "old"]}` while a value is being replaced, with a
`"verify_token"` beside it where a vendor's handshake says one. Credentials
are JSON, in the shape that the connector's README gives. Imports no pydantic: `receive_webhook` uses this module.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from connectors.core.errors import MisconfiguredError, UnavailableError
from connectors.core.reception import BusyError
from connectors.core.token import credentials_secret, verification_secret

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_FRESH = 300.0
_AGAIN = 60.0
STAGED = "HAILBACK_STAGED"
"""The label of a version that was only written to see whether it can be."""
_ABSENT = frozenset({"ResourceNotFoundException", "InvalidRequestException"})


class VerificationSecrets:
    """See `connectors.core.reception.Secrets`. Keeps values for five minutes, in this process only."""

    def __init__(self, client: SecretsManagerClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._known: dict[str, tuple[float, list[str], str | None]] = {}

    def verify_token(self, secret: str) -> str | None:
        """The word of a handshake, as last read; None where there is none. Raises BusyError."""
        self.verification(secret)
        return self._known[secret][2]

    def verification(self, secret: str) -> list[str]:
        """The values in force; empty where the secret does not exist or holds none. Raises BusyError."""
        known = self._known.get(secret)
        if known is None or self._clock() - known[0] > _FRESH:
            known = self._read(secret)
        return known[1]

    def verification_again(self, secret: str) -> list[str] | None:
        """The values re-read, at most once a minute. Raises BusyError."""
        known = self._known.get(secret)
        if known is not None and self._clock() - known[0] < _AGAIN:
            return None
        return self._read(secret)[1]

    def _read(self, secret: str) -> tuple[float, list[str], str | None]:
        word = None
        try:
            answer = self._client.get_secret_value(SecretId=verification_secret(secret))
            text = answer.get("SecretString", "")
            values, word = verification_values(text), verify_token(text)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ABSENT:
                raise BusyError("the secret cannot be read") from error
            values = []
        except BotoCoreError as error:
            raise BusyError("the secret cannot be read") from error
        self._known[secret] = known = (self._clock(), values, word)
        return known


def verification_values(text: str) -> list[str]:
    """The values in a verification secret, empty ones left out."""
    try:
        document = json.loads(text)
    except ValueError:
        document = text
    values: list[Any]
    match document:
        case {"secrets": list(values)}:
            pass
        case {"secret": value}:
            values = [value]
        case dict() | list():
            values = []
        case _:
            values = [text]
    return [value for value in values if isinstance(value, str) and value.strip()]


def verify_token(text: str) -> str | None:
    """The word of a handshake in a verification secret."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    word = document.get("verify_token") if isinstance(document, dict) else None
    return word if isinstance(word, str) and word.strip() else None


class Credentials:
    """What lets us call a vendor. Kept for five minutes, in this process only."""

    def __init__(self, client: SecretsManagerClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._known: dict[str, tuple[float, dict[str, Any]]] = {}

    def credentials(self, secret: str) -> dict[str, Any]:
        """The document under `<secret>/credentials`. Raises MisconfiguredError and UnavailableError."""
        known = self._known.get(secret)
        if known is not None and self._clock() - known[0] <= _FRESH:
            return known[1]
        name = credentials_secret(secret)
        try:
            answer = self._client.get_secret_value(SecretId=name)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _ABSENT or "AccessDenied" in code:
                raise MisconfiguredError(f"the secret {name} cannot be read: {code}") from error
            raise UnavailableError(f"the secret {name} cannot be read now: {code}") from error
        except BotoCoreError as error:
            raise UnavailableError(f"the secret {name} cannot be read now") from error
        try:
            document = json.loads(answer.get("SecretString", ""))
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise MisconfiguredError(f"the secret {name} is not a JSON object")
        self._known[secret] = (self._clock(), document)
        return document

    def stage(self, secret: str, document: Mapping[str, object], request: str) -> None:
        """Write a document beside the one in force, under a label of its own: whoever can do this can also replace it.
        Raises MisconfiguredError and UnavailableError."""
        self._write(secret, document, request, VersionStages=[STAGED])

    def replace(self, secret: str, document: Mapping[str, object], request: str) -> None:
        """Put a document in force. `request` (32 to 64 characters) names this write: repeating it is harmless. Raises
        MisconfiguredError and UnavailableError."""
        self._write(secret, document, request)
        self._known[secret] = (self._clock(), dict(document))

    def _write(self, secret: str, document: Mapping[str, object], request: str, **more: Any) -> None:
        name = credentials_secret(secret)
        try:
            self._client.put_secret_value(
                SecretId=name, SecretString=json.dumps(document), ClientRequestToken=request, **more
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _ABSENT or "AccessDenied" in code:
                raise MisconfiguredError(f"the secret {name} cannot be written: {code}") from error
            raise UnavailableError(f"the secret {name} cannot be written now: {code}") from error
        except BotoCoreError as error:
            raise UnavailableError(f"the secret {name} cannot be written now") from error

    def forget(self, secret: str) -> None:
        """Read it anew next time: the vendor refused what we had."""
        self._known.pop(secret, None)
