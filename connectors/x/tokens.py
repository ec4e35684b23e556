"""Renews an OAuth 2.0 user token. X's access tokens live two hours, and each refresh token works once.
https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from connectors.core.errors import MisconfiguredError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.http import HttpClient, Response
from connectors.x.problems import HANDLED, translate
from connectors.x.settings import XCredentials

EARLY = 900_000
"""Milliseconds before a token's end at which it is renewed."""
_LIFE = 7200


def due(credentials: XCredentials, now: int) -> bool:
    """Whether to renew (`now` in milliseconds); a token of unknown age is renewed at once."""
    return credentials.renewable and (credentials.expires_at is None or now >= credentials.expires_at - EARLY)


def renew(api: str, credentials: XCredentials, http: HttpClient, now: int) -> dict[str, object]:
    """The new document of credentials, whole. Raises MisconfiguredError (with `token`) and UnavailableError."""
    if not credentials.renewable or credentials.client_id is None or credentials.refresh_token is None:
        raise MisconfiguredError("there is no refresh_token and client_id to renew X's token with", TokenState.EXPIRED)
    form = {
        "grant_type": "refresh_token",
        "refresh_token": credentials.refresh_token.get_secret_value(),
        "client_id": credentials.client_id,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if credentials.client_secret is not None:  # a confidential client
        pair = f"{quote(credentials.client_id)}:{quote(credentials.client_secret.get_secret_value())}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    try:
        answer = http.request(
            "POST", f"{api}/2/oauth2/token", headers=headers, body=urlencode(form).encode(), handled=HANDLED
        )
        granted = _granted(answer, now)
    except UnknownOutcomeError:
        raise UnavailableError(
            "X gave no usable answer to the renewal of its token; if it was renewed, access has to be granted anew"
        ) from None
    return _document(credentials) | granted


def _granted(answer: Response, now: int) -> dict[str, object]:
    if answer.status in {400, 401, 403}:
        raise MisconfiguredError(
            f"X answered {answer.status} to the renewal of its token: grant the app access anew", TokenState.REVOKED
        )
    if answer.status in HANDLED:
        raise translate(answer, write=True, renewable=False, now=now / 1000)
    body: Any = answer.json()
    if not isinstance(body, dict) or not isinstance(body.get("access_token"), str):
        raise UnknownOutcomeError("X renewed its token without saying what it is now")
    life = body.get("expires_in")
    seconds = life if isinstance(life, int) and not isinstance(life, bool) and 0 < life < 10**8 else _LIFE
    granted: dict[str, object] = {"access_token": body["access_token"], "expires_at": now + seconds * 1000}
    if isinstance(body.get("refresh_token"), str):
        granted["refresh_token"] = body["refresh_token"]
    return granted


def _document(credentials: XCredentials) -> dict[str, object]:
    plain: Mapping[str, Any] = {name: getattr(credentials, name) for name in XCredentials.model_fields}
    return {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else value
        for name, value in plain.items()
        if value is not None
    }
