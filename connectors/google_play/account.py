"""Our app in Google Play: asked for the reviews of the last week, and answered from. A review has one reply at most.

https://developers.google.com/android-publisher/reply-to-reviews
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import BaseModel, Field, SecretStr

from connectors import google, oauth
from connectors.api import Api, LimitedError
from connectors.core import reading
from connectors.core.errors import UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenHealth
from connectors.core.models import AnyEvent, Mention
from connectors.core.reading import dig
from connectors.google_play.connector import CONNECTOR, REPLY, GooglePlay, GooglePlaySource
from connectors.http import HttpClient, Response
from connectors.reviews import Reviews

_SCOPE = "https://www.googleapis.com/auth/androidpublisher"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class GooglePlayCredentials(oauth.Renewable):
    """The secret `<Secret>/credentials`: of a service account's key file, its `client_email` and `private_key`."""

    client_email: str = Field(min_length=3)
    private_key: SecretStr = Field(min_length=1)


class GooglePlayAccount(Reviews):
    """Satisfies `SourcePoller`, `SourceReplier`, `Rechecker`, `Checker` and `Refresher`."""

    settings_model: ClassVar[type[BaseModel]] = GooglePlaySource
    credentials_model: ClassVar[type[BaseModel]] = GooglePlayCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = GooglePlayCredentials
    connector = CONNECTOR
    longest = 350
    again = 600.0
    overlap = 86_400.0
    tells_removals = False  # Google promises the reviews of the last week only

    def __init__(self, settings: GooglePlaySource, credentials: GooglePlayCredentials, http: HttpClient) -> None:
        self._http, self._settings, self._credentials, self._reads = http, settings, credentials, GooglePlay()
        self._api = Api(http, settings.api_url, credentials.bearer, _meant, renewable=True)
        self._path = f"androidpublisher/v3/applications/{settings.app}/reviews"

    def listed(self, after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
        """See `Reviews`. Google lists them by their last change."""
        said = self._api.get(self._path, {"maxResults": 100, "token": after})
        if not isinstance(said, dict) or not isinstance(said.get("reviews", []), list):
            raise UnavailableError("Google Play did not answer with a list; it is asked again")
        return self._reads.read(said), reading.text(dig(said, "tokenPagination", "nextPageToken"))

    def seen(self, native_id: str) -> Sequence[Mention]:
        """See `Reviews`."""
        review = native_id.removesuffix(REPLY)
        found = [one for one in self._reads.read(self._api.get(f"{self._path}/{review}")) if isinstance(one, Mention)]
        if all(one.native_id != review for one in found):
            raise UnavailableError("Google Play did not show the review; it is asked again")
        return found

    def send(self, mention: Mention, text: str) -> str:
        """See `Reviews`."""
        said = self._api.post(f"{self._path}/{mention.native_id}:reply", {"replyText": text})
        if not isinstance(dig(said, "result"), dict):
            raise UnknownOutcomeError("Google Play took a reply without saying what became of it")
        return f"{mention.native_id}{REPLY}"

    def address(self, mention: Mention) -> str:
        """See `Reviews`."""
        return f"https://play.google.com/store/apps/details?id={self._settings.app}&reviewId={mention.native_id}"

    def check(self) -> TokenHealth:
        """Whether the service account may read this app's reviews."""
        return self._api.health(self._path, {"maxResults": 1})

    def refresh_due(self, now: int) -> bool:
        """See `Refresher`."""
        return self._credentials.due(now)

    def refresh(self, now: int) -> Mapping[str, object]:
        """An hour's token. https://developers.google.com/identity/protocols/oauth2/service-account#httprest"""
        own, seconds, login = self._credentials, now // 1000, self._settings.login_url
        claims = {"iss": own.client_email, "scope": _SCOPE, "aud": login, "iat": seconds, "exp": seconds + 3600}
        form = {"grant_type": _GRANT, "assertion": oauth.signed_claims(claims, own.private_key, "RS256")}
        return own.document(oauth.grant(self._http, login, form, now))


def _meant(answer: Response) -> LimitedError | None:
    """200 questions an hour and 2,000 replies a day. A limit that is reached may come as 403."""
    full = google.reason(answer) in google.DAILY | google.SLOWER
    return LimitedError("Google Play's quota is used up", 600.0) if full and answer.status == 403 else None
