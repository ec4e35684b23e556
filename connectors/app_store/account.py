"""Our app in the App Store: asked for its reviews, and answered from. A review has one response at most.

https://developer.apple.com/documentation/appstoreconnectapi/generating-tokens-for-api-requests
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field, SecretStr

from connectors import oauth
from connectors.api import Api, MissingError, Query, posted
from connectors.app_store.connector import CONNECTOR, RESPONSE, REVIEW, AppStore, AppStoreSource
from connectors.core import reading
from connectors.core.errors import UnavailableError
from connectors.core.health import TokenHealth
from connectors.core.models import AnyEvent, Mention
from connectors.core.reading import dig
from connectors.http import HttpClient
from connectors.reviews import Reviews

_LIFE = 900
"""Seconds that a token is good for; Apple takes at most 1,200."""


class AppStoreCredentials(reading.Credentials):
    """The secret `<Secret>/credentials`: a key of App Store Connect with the role *Customer Support*. `issuer_id` is
    left out for an individual key."""

    key_id: str = Field(min_length=1)
    issuer_id: str | None = None
    private_key: SecretStr = Field(min_length=1)


class AppStoreAccount(Reviews):
    """Satisfies `SourcePoller`, `SourceReplier`, `Rechecker` and `Checker`."""

    settings_model: ClassVar[type[BaseModel]] = AppStoreSource
    credentials_model: ClassVar[type[BaseModel]] = AppStoreCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = AppStoreCredentials
    connector = CONNECTOR
    longest = 5_970

    def __init__(self, settings: AppStoreSource, credentials: AppStoreCredentials, http: HttpClient) -> None:
        self._settings, self._credentials, self._reads = settings, credentials, AppStore()
        self._api = Api(http, settings.api_url, self._headers)
        self._path = f"v1/apps/{settings.app}/customerReviews"

    def _headers(self) -> Mapping[str, str]:
        own, now = self._credentials, int(time.time())
        claims: dict[str, Any] = {"iat": now, "exp": now + _LIFE, "aud": "appstoreconnect-v1"}
        claims |= {"iss": own.issuer_id} if own.issuer_id else {"sub": "user"}
        token = oauth.signed_claims(claims, own.private_key, "ES256", own.key_id)
        return {"Authorization": f"Bearer {token}"}

    def listed(self, after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
        """See `Reviews`."""
        newest: Query = {"sort": "-createdDate", "limit": 200, "include": "response"}
        said = self._api.get(after or self._path, None if after else newest)
        if not isinstance(dig(said, "data"), list):
            raise UnavailableError("the App Store did not answer with a list; it is asked again")
        return self._reads.read(said), reading.web(dig(said, "links", "next"))

    def seen(self, native_id: str) -> Sequence[Mention]:
        """See `Reviews`. A response has an id of its own."""
        try:
            said = self._api.get(f"v1/{REVIEW}/{native_id}", {"include": "response"})
        except MissingError:
            said = self._api.get(f"v1/{RESPONSE}/{native_id}", {"include": "review"})
        found = [one for one in self._reads.read(said) if isinstance(one, Mention)]
        ours = reading.ident(dig(said, "data", "relationships", "response", "data", "id"))
        if not {native_id, ours or native_id} <= {one.native_id for one in found}:
            raise UnavailableError("the App Store did not show the review whole; it is asked again")
        return found

    def send(self, mention: Mention, text: str) -> str:
        """See `Reviews`."""
        data = {
            "type": RESPONSE,
            "attributes": {"responseBody": text},
            "relationships": {"review": {"data": {"type": REVIEW, "id": mention.native_id}}},
        }
        return posted(self._api.post(f"v1/{RESPONSE}", {"data": data}), "data", "id")

    def address(self, mention: Mention) -> str:  # noqa: ARG002
        """See `Reviews`."""
        return f"https://appstoreconnect.apple.com/apps/{self._settings.app}/distribution/ratingsAndReviews"

    def check(self) -> TokenHealth:
        """Whether the key may read this app's reviews."""
        return self._api.health(self._path, {"limit": 1})
