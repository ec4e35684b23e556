"""tweepy's client, whose requests go through our own HTTP client: its deadlines, its checks, its errors.

The only module that imports tweepy, and only whoever asks X or answers there imports this one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import tweepy  # type: ignore[import-untyped]

from connectors.http import HttpClient, Response
from connectors.x.problems import HANDLED, translate
from connectors.x.settings import XCredentials


class Client(tweepy.Client):  # type: ignore[misc]
    """Every call returns X's JSON as a dict, or raises a RemoteError. `user_auth` means OAuth 1.0a, as in tweepy."""

    def __init__(self, api: str, credentials: XCredentials, http: HttpClient, *, bearer: str | None) -> None:
        super().__init__(bearer_token=bearer, return_type=dict)
        self._api, self._credentials, self._http = api, credentials, http
        self._renewable = credentials.renewable and bearer == _reveal(credentials.access_token)

    def request(
        self,
        method: str,
        route: str,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        user_auth: bool = False,
    ) -> Response:
        """See `tweepy.Client.request`. A 2xx, or a RemoteError."""
        url = self._api + route + (f"?{urlencode(params, quote_via=quote)}" if params else "")
        header = self._signature(method, url) if user_auth else f"Bearer {self.bearer_token}"
        answer = self._http.request(method, url, headers={"Authorization": header}, json=json, handled=HANDLED)
        if answer.status in HANDLED:
            write = method not in {"GET", "HEAD"}
            raise translate(answer, write=write, renewable=self._renewable and not user_auth, now=time.time())
        return answer

    def _signature(self, method: str, url: str) -> str:
        """OAuth 1.0a. A JSON body is not part of what is signed. https://docs.x.com/fundamentals/authentication"""
        given = self._credentials
        handler = tweepy.OAuth1UserHandler(
            _reveal(given.api_key),
            _reveal(given.api_secret),
            _reveal(given.access_token),
            _reveal(given.access_token_secret),
        )
        signer = handler.apply_auth().client  # oauthlib's
        _, headers, _ = signer.sign(url, http_method=method)
        return str(headers["Authorization"])


def reader(api: str, credentials: XCredentials, http: HttpClient) -> tuple[Client, bool]:
    """What reads, and tweepy's `user_auth` for it: by the app's bearer token, else as the user."""
    bearer = _reveal(credentials.bearer_token) or (_reveal(credentials.access_token) if credentials.oauth2 else None)
    return Client(api, credentials, http, bearer=bearer), bearer is None


def writer(api: str, credentials: XCredentials, http: HttpClient) -> tuple[Client, bool]:
    """What answers, as the user."""
    bearer = _reveal(credentials.access_token) if credentials.oauth2 else None
    return Client(api, credentials, http, bearer=bearer), credentials.oauth1


def _reveal(secret: Any) -> str | None:
    return secret.get_secret_value() if secret is not None else None
