"""Sources that are asked, ready to be called. As in `repliers`: one that cannot be built answers with the reason."""

from __future__ import annotations

import time
from typing import Any, ClassVar, NoReturn

from botocore.exceptions import ClientError
from pydantic import BaseModel, ValidationError

import connectors
from connectors.aws.config import ConfigStore
from connectors.aws.secrets import Credentials
from connectors.aws.tokens import Care
from connectors.catalogues import needs_credentials
from connectors.core.errors import MisconfiguredError, RemoteError
from connectors.core.plan import SourceConfig
from connectors.core.ports import SourcePoller
from connectors.http import HttpClient

_MARGIN = 2.0


class Pollers:
    """Builds connectors. `call_seconds` bounds one HTTP request; none outlives the worker. With `care`, access tokens
    are renewed in time, and calls leave word of how the credentials are."""

    def __init__(
        self,
        config: ConfigStore,
        credentials: Credentials,
        *,
        allow_private: bool,
        call_seconds: float,
        care: Care | None = None,
    ) -> None:
        self._config, self._credentials, self._care = config, credentials, care
        self._allow_private, self._call_seconds = allow_private, call_seconds

    def poller(self, source: str, ends: float) -> SourcePoller:
        """What asks a source, as configured now. `ends`: when this worker's time is up, monotonic."""
        found = self._config.source(source)
        try:
            if found is None or self._care is None:
                return self.build(source, ends)
            poller: SourcePoller = self._care.of(found, lambda: self.build(source, ends))
        except RemoteError as error:
            return UnbuiltPoller(error)
        return poller

    def build(self, source: str, ends: float) -> SourcePoller:
        """As `poller`. Raises MisconfiguredError and UnavailableError where it cannot be built."""
        found = self._config.source(source)
        if found is None:
            raise MisconfiguredError(f"the source {source} is not deployed")
        kind = _kind(found)
        document, missing = self._document(kind, found)
        try:
            settings = kind.settings_model.model_validate(found.settings)
            credentials = kind.credentials_model.model_validate(document)
        except ValidationError as error:
            faults = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors(include_input=False)]
            fields = ", ".join(sorted({where or said.removeprefix("Value error, ") for where, said in faults}))
            secret = error.title == kind.credentials_model.__name__
            where = f"{found.secret}/credentials" if secret else found.id
            self._credentials.forget(found.secret)
            if secret and missing is not None:  # it needs some after all
                raise missing from missing.__cause__
            raise MisconfiguredError(f"{where}: {fields} missing or wrong; see the connector's README") from None
        left = max(1.0, ends - time.monotonic() - _MARGIN)
        client = HttpClient(
            allow_private=self._allow_private, total=min(self._call_seconds, left), until=ends - _MARGIN
        )
        poller: SourcePoller = kind(settings, credentials, client)
        return poller

    def _document(self, kind: Any, source: SourceConfig) -> tuple[dict[str, Any], MisconfiguredError | None]:
        """The credentials. Where a place may be asked without any, a secret that is not there is none, and why."""
        try:
            return self._credentials.credentials(source.secret), None
        except MisconfiguredError as error:
            if not needs_credentials(kind) and absent(error):
                return {}, error
            raise


def resolves(connector: str) -> bool:
    """Whether a connector fetches what its deliveries only hint at."""
    return connector in connectors.POLLERS and hasattr(connectors.poller(connector), "resolve")


def _kind(source: SourceConfig) -> Any:
    try:
        return connectors.poller(source.connector)
    except KeyError:
        raise MisconfiguredError(f"{source.id}: {source.connector} is a source that cannot be asked") from None


def absent(error: MisconfiguredError) -> bool:
    """Whether the secret does not exist; one that may not be read is another matter."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and cause.response["Error"]["Code"] == "ResourceNotFoundException"


class UnbuiltPoller:
    """Answers every call with the reason why there is nobody to ask."""

    settings_model: ClassVar[type[BaseModel]] = BaseModel
    credentials_model: ClassVar[type[BaseModel]] = BaseModel

    def __init__(self, reason: RemoteError) -> None:
        self.reason = reason

    def _refuse(self, *_: object) -> NoReturn:
        raise self.reason

    poll = recheck = refresh = resolve = _refuse
