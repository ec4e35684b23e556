"""Calls to AWS's own services over the one HTTP client, each signed: with the role's keys, or with those of a secret.

Beside the AWS adapters only this module imports the SDK, for a connector to a service of AWS: docs/adr/0085. What is
signed, and how: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys
from botocore.exceptions import BotoCoreError
from botocore.session import Session
from pydantic import Field, SecretStr

from connectors.core.errors import MisconfiguredError, UnavailableError
from connectors.core.reading import Credentials
from connectors.http import HttpClient, Response


class AwsCredentials(Credentials):
    """The secret `<Secret>/credentials`, for an account that is not ours: `{"access_key_id": …, "secret_access_key":
    …}`. Without it, the function's own role calls."""

    access_key_id: str | None = Field(default=None, min_length=1)
    secret_access_key: SecretStr | None = Field(default=None, min_length=1)


@dataclass(frozen=True)
class SignedClient(HttpClient):
    """An `HttpClient` whose requests carry a signature for one service in one region."""

    service: str = ""
    region: str = ""
    keys: AwsCredentials = field(default_factory=AwsCredentials, repr=False)

    def request(self, method: str, url: str, **more: Any) -> Response:
        """As `HttpClient.request`, which says what is raised; also MisconfiguredError where nobody's keys are found."""
        document, body, headers = more.pop("json", None), more.pop("body", None), dict(more.pop("headers", None) or {})
        if document is not None:
            body = jsonlib.dumps(document, separators=(",", ":")).encode("ascii")
            headers["Content-Type"] = "application/json"
        asked = AWSRequest(method, url, data=body or b"", headers=headers)
        SigV4Auth(self._keys(), self.service, self.region).add_auth(asked)
        return super().request(method, url, headers=dict(asked.headers.items()), body=body, **more)

    def _keys(self) -> Any:
        if self.keys.access_key_id and self.keys.secret_access_key:
            return Keys(self.keys.access_key_id, self.keys.secret_access_key.get_secret_value())
        try:
            found = _session().get_credentials()
            frozen = found.get_frozen_credentials() if found else None
        except BotoCoreError:
            raise UnavailableError("the role's keys were not given out; nothing was sent") from None
        if frozen is None:
            raise MisconfiguredError("there are no keys to sign with: neither a role nor credentials in the secret")
        return frozen


def signed(http: HttpClient, service: str, region: str, keys: AwsCredentials) -> SignedClient:
    """The same client, with its limits, for one service."""
    limits = {one.name: getattr(http, one.name) for one in fields(HttpClient)}
    return SignedClient(**limits, service=service, region=region, keys=keys)


@cache
def _session() -> Session:
    return Session()
