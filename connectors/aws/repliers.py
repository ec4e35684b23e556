"""Sources that take answers, ready to be called. As in `systems`: one that cannot be built answers with the reason."""

from __future__ import annotations

import time
from typing import Any, ClassVar, NoReturn

from pydantic import BaseModel, ValidationError

import connectors
from connectors.aws.cases import Cases
from connectors.aws.config import ConfigStore
from connectors.aws.pollers import absent
from connectors.aws.secrets import Credentials
from connectors.aws.tokens import Care
from connectors.aws.updates import Updates
from connectors.core.compose import UpdateWords
from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError
from connectors.core.models import Mention
from connectors.core.plan import SourceConfig
from connectors.core.ports import Replier, Tier
from connectors.http import HttpClient

_MARGIN = 2.0


class Repliers:
    """Builds connectors. `call_seconds` bounds one HTTP request; none outlives the worker. `care`: see `Pollers`."""

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

    def replier(self, source: str, ends: float) -> Replier:
        """What answers at a source, as configured now. `ends`: when this worker's time is up, monotonic."""
        try:
            found = self._config.source(source, with_deleted=True)
            if found is None:
                raise MisconfiguredError(f"the source {source} is not deployed")
            if self._care is None:
                return self._build(found, ends)
            replier: Replier = self._care.of(found, lambda: self._build(found, ends))
        except RemoteError as error:
            return UnbuiltReplier(error)
        return replier

    def _build(self, config: SourceConfig, ends: float) -> Replier:
        try:
            kind: Any = connectors.replier(config.connector)
        except KeyError:
            raise RejectedError(f"{config.connector} takes no answers") from None
        document = self._document(kind, config.secret)
        try:
            settings = kind.settings_model.model_validate(config.settings)
            credentials = kind.replier_credentials_model.model_validate(document)
        except ValidationError as error:
            fields = ", ".join(sorted({".".join(map(str, fault["loc"])) for fault in error.errors()}))
            where = (
                f"{config.secret}/credentials" if error.title == kind.replier_credentials_model.__name__ else config.id
            )
            self._credentials.forget(config.secret)
            raise MisconfiguredError(f"{where}: {fields} missing or wrong; see the connector's README") from None
        left = max(1.0, ends - time.monotonic() - _MARGIN)
        client = HttpClient(
            allow_private=self._allow_private, total=min(self._call_seconds, left), until=ends - _MARGIN
        )
        replier: Replier = kind(settings, credentials, client)
        return replier

    def _document(self, kind: Any, secret: str) -> dict[str, Any]:
        """The credentials. Where a place may be answered without any (by the function's role), a secret that is not
        there is none."""
        try:
            return self._credentials.credentials(secret)
        except MisconfiguredError as error:
            needed = any(field.is_required() for field in kind.replier_credentials_model.model_fields.values())
            if not needed and absent(error):
                return {}
            raise


class UnbuiltReplier:
    """Answers every call with the reason why there is nobody to ask."""

    tier: ClassVar[Tier] = Tier.NONE
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 0.0
    replier_credentials_model: ClassVar[type[BaseModel]] = BaseModel

    def __init__(self, reason: RemoteError) -> None:
        self._reason = reason

    def _refuse(self, *_: object) -> NoReturn:
        raise self._reason

    reply = find_reply = _refuse


class StoredWords:
    """See `connectors.core.reply.Words`."""

    def __init__(self, cases: Cases, updates: Updates) -> None:
        self._cases, self._updates = cases, updates

    def words(self, update_id: str) -> UpdateWords | None:
        return self._updates.words(update_id)

    def said(self, mention: str) -> Mention | None:
        meta, words = self._cases.mention(mention)
        if words is None:
            return self._cases.identity(mention)
        capability = (meta or {}).get("reply_capability", words.reply_capability)
        return words.model_copy(update={"reply_capability": capability})

    def removed(self, mention: str) -> bool:
        return self._cases.removed(mention)
