"""Systems of record, ready to be called: their configuration, their credentials, and the connector over both.

One that cannot be built stands in for itself and answers every call with what is wrong, so that a missing secret or a
mistyped address takes the same way through the ledger as a refused call.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar, NoReturn

from pydantic import BaseModel, ValidationError

import connectors
from connectors.aws.config import ConfigStore
from connectors.aws.secrets import Credentials
from connectors.core.errors import MisconfiguredError, RemoteError
from connectors.core.plan import SystemConfig
from connectors.core.ports import RecordSystem, Tier
from connectors.http import HttpClient

_MARGIN = 2.0


class Systems:
    """Builds connectors. `call_seconds` bounds one HTTP request; none outlives the worker."""

    def __init__(
        self, config: ConfigStore, credentials: Credentials, *, allow_private: bool, call_seconds: float
    ) -> None:
        self._config, self._credentials = config, credentials
        self._allow_private, self._call_seconds = allow_private, call_seconds

    def system(self, name: str, ends: float) -> RecordSystem:
        """A system by id, as configured now: a corrected address holds for open cases too.

        `ends` is when this worker's time is up, on the monotonic clock."""
        try:
            found = self._config.system(name, with_deleted=True)
            if found is None:
                raise MisconfiguredError(f"the system {name} is not deployed")
            return self._build(found, ends)
        except RemoteError as error:
            return Unbuilt(error)

    def _build(self, config: SystemConfig, ends: float) -> RecordSystem:
        try:
            kind: Any = connectors.system(config.connector)
        except KeyError:
            raise MisconfiguredError(f"{config.id}: there is no connector {config.connector}") from None
        document = self._credentials.credentials(config.secret)
        try:
            settings = kind.settings_model.model_validate(config.settings)
            credentials = kind.credentials_model.model_validate(document)
        except ValidationError as error:
            fields = ", ".join(sorted({".".join(map(str, fault["loc"])) for fault in error.errors()}))
            where = f"{config.secret}/credentials" if error.title == kind.credentials_model.__name__ else config.id
            self._credentials.forget(config.secret)
            raise MisconfiguredError(f"{where}: {fields} missing or wrong; see the connector's README") from None
        left = max(1.0, ends - time.monotonic() - _MARGIN)
        client = HttpClient(
            allow_private=self._allow_private,
            total=min(self._call_seconds, left),
            until=ends - _MARGIN,
        )
        system: RecordSystem = kind(settings, credentials, client)
        return system


class Unbuilt:
    """Answers every call with the reason why there is no system to call."""

    settings_model: ClassVar[type[BaseModel]] = BaseModel
    credentials_model: ClassVar[type[BaseModel]] = BaseModel
    tier: ClassVar[Tier] = Tier.NONE
    settle: ClassVar[float] = 0.0

    def __init__(self, reason: RemoteError) -> None:
        self._reason = reason

    def _refuse(self, *_: object) -> NoReturn:
        raise self._reason

    reserve = upsert = find = add_note = find_note = set_status = poll = resolve = _refuse
