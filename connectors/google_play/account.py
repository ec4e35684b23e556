"""Our app in Google Play: asked for the reviews of the last week, and answered from. A review has one reply at most.

https://developers.google.com/android-publisher/reply-to-reviews
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field, SecretStr

from connectors import oauth
from connectors.api import Api, MissingError
from connectors.core import reading
from connectors.core.errors import RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.feeds import walk
from connectors.core.health import TokenHealth
from connectors.core.models import AnyEvent, Deletion, Mention
from connectors.core.ports import Page, Rechecked, Reference, Tier
from connectors.core.reading import dig
from connectors.google_play.connector import CONNECTOR, GooglePlay, GooglePlaySource
from connectors.http import HttpClient

_AGAIN = 600.0
_SCOPE = "https://www.googleapis.com/auth/androidpublisher"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class GooglePlayCredentials(oauth.Renewable):
    """The secret `<Secret>/credentials`: of a service account's key file, its `client_email` and `private_key`."""

    client_email: str = Field(min_length=3)
    private_key: SecretStr = Field(min_length=1)


class GooglePlayAccount:
    """Satisfies `SourcePoller`, `SourceReplier`, `Rechecker`, `Checker` and `Refresher`."""

    settings_model: ClassVar[type[BaseModel]] = GooglePlaySource
    credentials_model: ClassVar[type[BaseModel]] = GooglePlayCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = GooglePlayCredentials
    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 60.0
    recheck_within: ClassVar[int] = 86_400
    recheck_batch: ClassVar[int] = 10

    def __init__(self, settings: GooglePlaySource, credentials: GooglePlayCredentials, http: HttpClient) -> None:
        self._http, self._settings, self._credentials, self._reads = http, settings, credentials, GooglePlay()
        self._path = f"androidpublisher/v3/applications/{settings.app}/reviews"

    @property
    def _api(self) -> Api:
        return Api(self._http, self._settings.api_url, self._credentials.bearer(), renewable=True)

    def poll(self, cursor: str | None) -> Page:
        """The reviews that were written or changed lately. Google tells those of the last week only."""
        now = int(time.time() * 1000)
        return walk(cursor, {"reviews": self._reviews}, now, again=_AGAIN, at=_written)

    def _reviews(self, after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
        said = self._api.get(self._path, {"maxResults": 100, "token": after})
        if not isinstance(said, dict) or not isinstance(said.get("reviews", []), list):
            raise UnavailableError("Google Play did not answer with a list; it is asked again")
        return self._reads.read(said), reading.text(dig(said, "tokenPagination", "nextPageToken"))

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        """Reply to a review. A second reply would take the place of the first, whoever wrote it: so none is sent where
        there is one."""
        words = reading.clean(text)
        if mention.reply_capability != "allowed":
            raise RejectedError("this is not a review that takes a reply")
        if len(words) > 350:
            raise RejectedError("Google Play takes at most 350 characters; shorten the answer")
        if self.find_reply(mention, key) is not None:
            raise RejectedError("the review has a reply already; change that one in the Play Console")
        said = self._api.post(f"{self._path}/{mention.native_id}:reply", {"replyText": words})
        if not isinstance(dig(said, "result"), dict):
            raise UnknownOutcomeError("Google Play took a reply without saying what became of it")
        return self._reference(mention)

    def find_reply(self, mention: Mention, key: str) -> Reference | None:  # noqa: ARG002
        """The reply that the review has."""
        try:
            said = self._api.get(f"{self._path}/{mention.native_id}")
        except MissingError:
            return None
        if dig(said, "reviewId") != mention.native_id:
            raise UnavailableError("Google Play did not show the review; it is asked again")
        return self._reference(mention) if any(_own(one) for one in self._reads.read(said)) else None

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        """Which reviews are gone; the others come as they stand."""
        gone, there, now = list[Deletion](), list[Mention](), int(time.time() * 1000)
        for name in native_ids:
            try:
                said = self._api.get(f"{self._path}/{name.removesuffix(':reply')}")
            except MissingError:
                gone.append(Deletion(connector=CONNECTOR, native_id=name, order=now))
            else:
                there += [one for one in self._reads.read(said) if isinstance(one, Mention)]
        return Rechecked(gone, edited=there)

    def check(self) -> TokenHealth:
        """Whether the service account may read this app's reviews."""
        return self._api.health(self._path, {"maxResults": 1})

    def refresh_due(self, now: int) -> bool:
        """See `Refresher`."""
        return self._credentials.due(now)

    def refresh(self, now: int) -> Mapping[str, object]:
        """An hour's token. https://developers.google.com/identity/protocols/oauth2/service-account#httprest"""
        own, seconds = self._credentials, now // 1000
        claims: dict[str, Any] = {"iss": own.client_email, "scope": _SCOPE, "aud": self._settings.login_url}
        assertion = oauth.signed_claims({**claims, "iat": seconds, "exp": seconds + 3600}, own.private_key, "RS256")
        form = {"grant_type": _GRANT, "assertion": assertion}
        return own.document(oauth.grant(self._http, self._settings.login_url, form, now))

    def _reference(self, mention: Mention) -> Reference:
        url = f"https://play.google.com/store/apps/details?id={self._settings.app}&reviewId={mention.native_id}"
        return Reference(f"{mention.native_id}:reply", url)


def _own(event: AnyEvent) -> bool:
    return isinstance(event, Mention) and event.own


def _written(event: AnyEvent) -> int:
    """Reviews are listed by their last change; a reply comes with its review, and ends no walk."""
    return 0 if _own(event) else reading.millis(getattr(event, "created_at", None))
