"""Our app in the App Store: asked for its reviews, and answered from. A review has one response at most.

https://developer.apple.com/documentation/appstoreconnectapi/generating-tokens-for-api-requests
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field, SecretStr

from connectors import oauth
from connectors.api import Api, MissingError, posted
from connectors.app_store.connector import CONNECTOR, RESPONSE, REVIEW, AppStore, AppStoreSource
from connectors.core import reading
from connectors.core.errors import RejectedError, UnavailableError
from connectors.core.feeds import walk
from connectors.core.health import TokenHealth
from connectors.core.models import AnyEvent, Deletion, Mention
from connectors.core.ports import Page, Rechecked, Reference, Tier
from connectors.core.reading import dig
from connectors.http import HttpClient

_AGAIN = 900.0
_LIFE = 900
"""Seconds that a token is good for; Apple takes at most 1,200."""


class AppStoreCredentials(reading.Credentials):
    """The secret `<Secret>/credentials`: a key of App Store Connect with the role *Customer Support*. `issuer_id` is
    left out for an individual key."""

    key_id: str = Field(min_length=1)
    issuer_id: str | None = None
    private_key: SecretStr = Field(min_length=1)


class AppStoreAccount:
    """Satisfies `SourcePoller`, `SourceReplier`, `Rechecker` and `Checker`."""

    settings_model: ClassVar[type[BaseModel]] = AppStoreSource
    credentials_model: ClassVar[type[BaseModel]] = AppStoreCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = AppStoreCredentials
    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 60.0
    recheck_within: ClassVar[int] = 86_400
    recheck_batch: ClassVar[int] = 20

    def __init__(self, settings: AppStoreSource, credentials: AppStoreCredentials, http: HttpClient) -> None:
        self._http, self._settings, self._credentials, self._reads = http, settings, credentials, AppStore()

    @property
    def _api(self) -> Api:
        own, now = self._credentials, int(time.time())
        claims: dict[str, Any] = {"iat": now, "exp": now + _LIFE, "aud": "appstoreconnect-v1"}
        claims |= {"iss": own.issuer_id} if own.issuer_id else {"sub": "user"}
        token = oauth.signed_claims(claims, own.private_key, "ES256", own.key_id)
        return Api(self._http, self._settings.api_url, {"Authorization": f"Bearer {token}"})

    def poll(self, cursor: str | None) -> Page:
        """The newest reviews, with the responses that they have."""
        return walk(cursor, {"reviews": self._reviews}, int(time.time() * 1000), again=_AGAIN, at=_written)

    def _reviews(self, after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
        path = f"v1/apps/{self._settings.app}/customerReviews"
        newest = {"sort": "-createdDate", "limit": "200", "include": "response"}
        said = self._api.get(after or path, {} if after else newest)
        if not isinstance(dig(said, "data"), list):
            raise UnavailableError("the App Store did not answer with a list; it is asked again")
        return self._reads.read(said), reading.web(dig(said, "links", "next"))

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        """Respond to a review. A second response would take the place of the first, whoever wrote it: so none is sent
        where there is one."""
        words = reading.clean(text)
        if mention.reply_capability != "allowed":
            raise RejectedError("this is not a review that takes a response")
        if len(words) > 5_970:
            raise RejectedError("the App Store takes at most 5,970 characters; shorten the answer")
        if self.find_reply(mention, key) is not None:
            raise RejectedError("the review has a response already; change that one in App Store Connect")
        data = {
            "type": RESPONSE,
            "attributes": {"responseBody": words},
            "relationships": {"review": {"data": {"type": REVIEW, "id": mention.native_id}}},
        }
        return self._reference(posted(self._api.post("v1/customerReviewResponses", {"data": data}), "data", "id"))

    def find_reply(self, mention: Mention, key: str) -> Reference | None:  # noqa: ARG002
        """The response that the review has."""
        try:
            said = self._api.get(f"v1/customerReviews/{mention.native_id}/response")
        except MissingError:
            return None
        if not isinstance(said, dict) or "data" not in said:
            raise UnavailableError("the App Store did not say whether there is a response; it is asked again")
        found = reading.ident(dig(said, "data", "id"))
        return self._reference(found) if found else None

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        """Which reviews and responses are gone; the others come as they stand."""
        gone, there, now = list[Deletion](), list[Mention](), int(time.time() * 1000)
        for name in native_ids:
            said = self._thing(REVIEW, name) or self._thing(RESPONSE, name)  # our responses are kept as well
            if said is None:
                gone.append(Deletion(connector=CONNECTOR, native_id=name, order=now))
            else:
                there += [one for one in self._reads.read(said) if isinstance(one, Mention)]
        return Rechecked(gone, edited=there)

    def _thing(self, kind: str, name: str) -> object | None:
        try:
            return dict(self._api.get(f"v1/{kind}/{name}"))
        except MissingError:
            return None
        except (TypeError, ValueError):
            raise UnavailableError("the App Store did not show what was asked for; it is asked again") from None

    def check(self) -> TokenHealth:
        """Whether the key may read this app's reviews."""
        return self._api.health(f"v1/apps/{self._settings.app}/customerReviews", {"limit": 1})

    def _reference(self, native_id: str) -> Reference:
        url = f"https://appstoreconnect.apple.com/apps/{self._settings.app}/distribution/ratingsAndReviews"
        return Reference(native_id, url)


def _written(event: AnyEvent) -> int:
    """Reviews are listed by when they were written; a response comes with its review, and ends no walk."""
    return 0 if isinstance(event, Mention) and event.own else reading.millis(getattr(event, "created_at", None))
