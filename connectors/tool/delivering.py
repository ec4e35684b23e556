"""Delivers samples as their vendors would: the raw body, its headers, a signature made at that moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import urllib3

from connectors.core import door
from connectors.tool.deployment import DeploymentError
from connectors.tool.samples import Sample

_LONGEST = 35.0


class Signature(Enum):
    """How a delivery is signed."""

    RIGHT = "right"
    WRONG = "wrong"
    """With a secret of somebody else's."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Answered:
    """An HTTP answer: its status, and what it says."""

    status: int
    said: str

    @property
    def ok(self) -> bool:
        """Whether the delivery was taken."""
        return 200 <= self.status < 300


class Deliverer:
    """Delivers to one address. `secret` is what its vendor signs with."""

    def __init__(self, connector: str, url: str, secret: str) -> None:
        rules = door.load(connector)
        if rules is None:
            raise DeploymentError(f"the connector {connector} takes no deliveries")
        self._door, self._url, self._secret = rules, url, secret
        self._pool = urllib3.PoolManager(retries=False, timeout=_LONGEST)

    def deliver(self, sample: Sample, signature: Signature = Signature.RIGHT) -> Answered:
        """One delivery. Raises DeploymentError where nobody answers, or the secret cannot be this vendor's."""
        url = door.called_at(self._door, self._url, sample.body, sample.headers)
        headers = {**sample.headers, **self._signed(sample, url, signature)}
        try:
            answer = self._pool.request("POST", url, body=sample.body, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            host = urllib3.util.parse_url(self._url).host
            raise DeploymentError(f"{host} does not answer: {type(error).__name__}") from error
        return Answered(answer.status, _words(answer.data))

    def _signed(self, sample: Sample, url: str, signature: Signature) -> Mapping[str, str]:
        if signature is Signature.NONE:
            return {}
        secret = self._secret if signature is Signature.RIGHT else door.fresh_secret(self._door)
        try:
            return door.sign(self._door, sample.body, secret, url=url, headers=sample.headers)
        except ValueError as error:
            raise DeploymentError(str(error)) from error


def _words(data: bytes) -> str:
    """What an answer says in its JSON, else its beginning."""
    try:
        said = json.loads(data)
    except ValueError:
        said = None
    if isinstance(said, dict) and len(said) == 1:
        return str(next(iter(said.values())))
    return data[:200].decode("utf-8", "replace")
