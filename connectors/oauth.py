"""OAuth 2.0 tokens that run out: asking for the next one. RFC 6749, sections 4.4 and 6.

A `Refresher` renews with `grant`; the worker keeps what comes back before anything else is done with it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from connectors.api import encoded
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.reading import Credentials, dig, text, whole
from connectors.http import HttpClient

EARLY = 300_000
"""Milliseconds before a token's end at which it is renewed."""
_LIFE = 3600


class Renewable(Credentials):
    """Credentials whose access token is made by us. `expires_at` is in milliseconds; with `access_token` we write it
    ourselves, an administrator need not."""

    access_token: SecretStr | None = None
    expires_at: int | None = None

    def due(self, now: int) -> bool:
        """Whether to renew (`now` in milliseconds): there is no token, or its end is near."""
        return self.access_token is None or (self.expires_at is not None and now >= self.expires_at - EARLY)

    def bearer(self) -> dict[str, str]:
        """The header that lets us in. Raises MisconfiguredError where there is no token yet."""
        if self.access_token is None:
            raise MisconfiguredError("there is no access token yet; it is about to be made", TokenState.EXPIRED)
        return {"Authorization": f"Bearer {self.access_token.get_secret_value()}"}

    def document(self, granted: Mapping[str, object]) -> dict[str, object]:
        """The secret's whole document with what was granted."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        kept = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in plain.items()
            if value is not None
        }
        return kept | {name: value for name, value in granted.items() if name in type(self).model_fields}


def grant(
    http: HttpClient,
    url: str,
    form: Mapping[str, str],
    now: int,
    *,
    basic: tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """A new token: `access_token`, `expires_at` (milliseconds) and, where one came, `refresh_token`. `basic`: the
    client's id and secret, where they go into the header. Raises MisconfiguredError (with `token`) and
    UnavailableError; a vendor that takes a refresh token once may then have used it up."""
    sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    if basic:
        pair = ":".join(quote(part, safe="") for part in basic)
        sent["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    try:
        answer = http.request(
            "POST", url, headers=sent, body=encoded(form).encode("ascii"), handled={400, 401, 403, 404, 422}
        )
        if answer.status >= 400:
            raise MisconfiguredError(
                f"{answer.host} answered {answer.status} to the renewal of the token: grant access anew",
                TokenState.REVOKED,
            )
        said = answer.json()
    except (UnknownOutcomeError, RejectedError):
        raise UnavailableError("the token was not renewed: no usable answer; it is tried again") from None
    token, life, following = text(dig(said, "access_token")), whole(dig(said, "expires_in")), dig(said, "refresh_token")
    if token is None:  # some refuse in an answer of 200
        raise MisconfiguredError(f"{answer.host} grants no token: check the credentials", TokenState.REVOKED)
    seconds = life if life and 0 < life < 10**8 else _LIFE
    granted: dict[str, object] = {"access_token": token, "expires_at": now + seconds * 1000}
    return granted | ({"refresh_token": text(following)} if text(following) else {})


def signed_claims(claims: Mapping[str, Any], key: SecretStr, algorithm: str, key_id: str | None = None) -> str:
    """A JSON Web Token (RFC 7519), signed with a private key in PEM. Raises MisconfiguredError for what is no key."""
    import jwt  # here, because it takes long to import, and few need it

    try:
        headers = {"kid": key_id} if key_id else None
        token: str = jwt.encode(dict(claims), key.get_secret_value().replace("\\n", "\n"), algorithm, headers)
    except (jwt.PyJWTError, ValueError, TypeError):
        told = "private_key is not a private key in PEM; copy the whole file"
        raise MisconfiguredError(told, TokenState.REVOKED) from None
    return token
