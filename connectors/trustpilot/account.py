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
from connectors.core import reading
from connectors.core.errors import RejectedError, UnavailableError
from connectors.core.feeds import walk
from connectors.core.health import TokenHealth
from connectors.core.models import Deletion, Hint, Mention, Unsupported
from connectors.core.ports import Page, Rechecked, Reference, Tier
from connectors.core.reading import dig
from connectors.http import HttpClient
from connectors.trustpilot.connector import CONNECTOR, Trustpilot, TrustpilotSource

_AGAIN = 900.0
_LOGIN = "v1/oauth/oauth-business-users-for-applications/accesstoken"


class TrustpilotCredentials(oauth.Renewable):
    """The secret `<Secret>/credentials`: an application's key and secret. `business_user` is the id of the user in
    whose name replies are written; without it nothing is answered."""

    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    business_user: str | None = None


class TrustpilotAccount:
    """Satisfies `SourcePoller`, `Resolver`, `SourceReplier`, `Rechecker`, `Checker` and `Refresher`."""

    settings_model: ClassVar[type[BaseModel]] = TrustpilotSource
    credentials_model: ClassVar[type[BaseModel]] = TrustpilotCredentials
    replier_credentials_model: ClassVar[type[BaseModel]] = TrustpilotCredentials
    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 60.0
    recheck_within: ClassVar[int] = 86_400
    recheck_batch: ClassVar[int] = 10

    def __init__(self, settings: TrustpilotSource, credentials: TrustpilotCredentials, http: HttpClient) -> None:
        self._http, self._settings, self._credentials = http, settings, credentials
        self._reads = Trustpilot(settings, trusted=True)

    @property
    def _api(self) -> Api:
        return Api(self._http, self._settings.api_url, self._credentials.bearer(), renewable=True)

    def poll(self, cursor: str | None) -> Page:
        """The newest reviews, with the replies that they have."""
        return walk(cursor, {"reviews": self._reviews}, int(time.time() * 1000), again=_AGAIN, at=_written)

    def _reviews(self, after: str | None) -> tuple[Sequence[Mention], str | None]:
        number = int(after or 1)
        path = f"v1/private/business-units/{self._settings.business_unit}/reviews"
        said = self._api.get(path, {"orderBy": "createdat.desc", "perPage": 100, "page": number})
        if not isinstance(reviews := dig(said, "reviews"), list):
            raise UnavailableError("Trustpilot did not answer with a list; it is asked again")
        found = [one for one in self._reads.read(said) if isinstance(one, Mention)]
        return found, str(number + 1) if len(reviews) == 100 else None

    def resolve(self, hint: Hint) -> Sequence[Mention | Deletion | Unsupported]:
        """The review that a webhook named, if it is one of ours; gone, where it is not there."""
        said = self._review(hint.native_id)
        if said is None:
            return [Deletion(connector=CONNECTOR, native_id=hint.native_id, order=int(time.time() * 1000))]
        if dig(said, "businessUnit", "id") != self._settings.business_unit:
            return [Unsupported(connector=CONNECTOR, event=hint.event, reason="a review of another business")]
        return [one for one in self._reads.read(said) if isinstance(one, Mention)]

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        """Reply to a review. A second reply would take the place of the first, whoever wrote it: so none is sent where
        there is one."""
        if mention.reply_capability != "allowed" or self._credentials.business_user is None:
            raise RejectedError(
                "this takes no reply, or business_user is missing in the secret; answer it at Trustpilot"
            )
        if self.find_reply(mention, key) is not None:
            raise RejectedError("the review has a reply already; change that one at Trustpilot")
        said = {"authorBusinessUserId": self._credentials.business_user, "message": reading.clean(text)}
        self._api.call("POST", f"v1/private/reviews/{mention.native_id}/reply", json=said)
        return self._reference(mention)

    def find_reply(self, mention: Mention, key: str) -> Reference | None:  # noqa: ARG002
        """The reply that the review has."""
        said = self._review(mention.native_id)
        return self._reference(mention) if said and dig(said, "companyReply") else None

    def _review(self, native_id: str) -> object | None:
        try:
            said = self._api.get(f"v1/private/reviews/{native_id}")
        except MissingError:
            return None
        if dig(said, "id") != native_id or dig(said, "stars") is None:
            raise UnavailableError("Trustpilot did not show the review; it is asked again")
        return dict(said)

    def recheck(self, native_ids: Sequence[str]) -> Rechecked:
        """Which reviews are gone; the others come as they stand."""
        found, now = {name: self._review(name.removesuffix(":reply")) for name in native_ids}, int(time.time() * 1000)
        gone = [
            Deletion(connector=CONNECTOR, native_id=name, order=now) for name, said in found.items() if said is None
        ]
        there = [one for said in found.values() if said for one in self._reads.read(said)]
        return Rechecked(gone, edited=[one for one in there if isinstance(one, Mention)])

    def check(self) -> TokenHealth:
        """Whether the application may read our reviews."""
        path = f"v1/private/business-units/{self._settings.business_unit}/reviews"
        return self._api.health(path, {"perPage": 1})

    def refresh_due(self, now: int) -> bool:
        """See `Refresher`."""
        return self._credentials.due(now)

    def refresh(self, now: int) -> Mapping[str, object]:
        """A hundred hours' token for the application."""
        own = self._credentials
        basic = (own.client_id, own.client_secret.get_secret_value())
        url = f"{self._settings.api_url}/{_LOGIN}"
        return own.document(oauth.grant(self._http, url, {"grant_type": "client_credentials"}, now, basic=basic))

    def _reference(self, mention: Mention) -> Reference:
        return Reference(f"{mention.native_id}:reply", f"https://www.trustpilot.com/reviews/{mention.native_id}")


def _written(event: object) -> int:
    """Reviews are listed by when they were written; a reply comes with its review, and ends no walk."""
    return reading.millis(event.created_at) if isinstance(event, Mention) and not event.own else 0
