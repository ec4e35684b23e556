"""Our business unit at Trustpilot: asked for its reviews, and answered from. A review has one reply at most.

https://documentation-apidocumentation.trustpilot.com/authentication
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import BaseModel, Field, SecretStr

from connectors import oauth
from connectors.api import Api, MissingError
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError
from connectors.core.health import TokenHealth, TokenState
from connectors.core.models import AnyEvent, Deletion, Hint, Mention, Unsupported
from connectors.core.reading import dig
from connectors.http import HttpClient
from connectors.reviews import Reviews
from connectors.trustpilot.connector import CONNECTOR, REPLY, Trustpilot, TrustpilotSource

_PAGE = 100
_LOGIN = "v1/oauth/oauth-business-users-for-applications/accesstoken"


class TrustpilotCredentials(oauth.Renewable):
    """The secret `<Secret>/credentials`: an application's key and secret. `business_user` is the id of the user in
    whose name replies are written; without it nothing is answered."""

    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    business_user: str | None = None


class TrustpilotAccount(Reviews):
    """Satisfies `SourcePoller`, `Resolver`, `SourceReplier`, `Rechecker`, `Checker` and `Refresher`."""

    settings_model: ClassVar[type[BaseModel]] = TrustpilotSource
    credentials_model: ClassVar[type[BaseModel]] = TrustpilotCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = TrustpilotCredentials
    connector = CONNECTOR

    def __init__(self, settings: TrustpilotSource, credentials: TrustpilotCredentials, http: HttpClient) -> None:
        self._http, self._settings, self._credentials = http, settings, credentials
        self._api = Api(http, settings.api_url, credentials.bearer, renewable=True)
        self._reads = Trustpilot(trusted=True)
        self._path = f"v1/private/business-units/{settings.business_unit}/reviews"

    def listed(self, after: str | None) -> tuple[Sequence[AnyEvent], str | None]:
        """See `Reviews`. Pages have numbers."""
        number = int(after or 1)
        said = self._api.get(self._path, {"orderBy": "createdat.desc", "perPage": _PAGE, "page": number})
        if not isinstance(reviews := dig(said, "reviews"), list):
            raise UnavailableError("Trustpilot did not answer with a list; it is asked again")
        return self._reads.read(said), str(number + 1) if len(reviews) >= _PAGE else None

    def seen(self, native_id: str) -> Sequence[Mention]:
        """See `Reviews`."""
        review = native_id.removesuffix(REPLY)
        said = self._api.get(f"v1/private/reviews/{review}")
        found = [one for one in self._reads.read(said) if isinstance(one, Mention)]
        if all(one.native_id != review for one in found):
            raise UnavailableError("Trustpilot did not show the review; it is asked again")
        if dig(said, "businessUnit", "id") != self._settings.business_unit:
            raise RejectedError("this is a review of another business")
        return found

    def resolve(self, hint: Hint) -> Sequence[AnyEvent]:
        """The review that a webhook named, if it is one of ours; gone, where it is not there."""
        try:
            return self.seen(hint.native_id)
        except MissingError:
            return [Deletion(connector=CONNECTOR, native_id=hint.native_id, order=int(time.time() * 1000))]
        except RejectedError:
            pass
        except MisconfiguredError:
            if self.check().state is not TokenState.OK:
                raise  # otherwise anybody may have named a review that we may not see
        return [Unsupported(connector=CONNECTOR, event=hint.event, reason="a review of another business")]

    def send(self, mention: Mention, text: str) -> str:
        """See `Reviews`."""
        if self._credentials.business_user is None:
            raise RejectedError("business_user is missing in the secret; answer it at Trustpilot")
        said = {"authorBusinessUserId": self._credentials.business_user, "message": text}
        self._api.call("POST", f"v1/private/reviews/{mention.native_id}/reply", json=said)
        return f"{mention.native_id}{REPLY}"

    def address(self, mention: Mention) -> str:
        """See `Reviews`."""
        return f"https://www.trustpilot.com/reviews/{mention.native_id}"

    def check(self) -> TokenHealth:
        """Whether the application may read our reviews."""
        return self._api.health(self._path, {"perPage": 1})

    def refresh_due(self, now: int) -> bool:
        """See `Refresher`."""
        return self._credentials.due(now)

    def refresh(self, now: int) -> Mapping[str, object]:
        """A hundred hours' token for the application."""
        own, url = self._credentials, f"{self._settings.api_url}/{_LOGIN}"
        basic = (own.client_id, own.client_secret.get_secret_value())
        return own.document(oauth.grant(self._http, url, {"grant_type": "client_credentials"}, now, basic=basic))
