"""Answers through a sender's own address: one signed POST, with a key that the receiver remembers."""

from __future__ import annotations

import json
from typing import ClassVar

from pydantic import BaseModel, SecretStr

from connectors.api import posted
from connectors.core import door, reading
from connectors.core.errors import MisconfiguredError, RejectedError
from connectors.core.models import Mention
from connectors.core.ports import Reference, Tier
from connectors.core.reading import dig
from connectors.http import HttpClient
from connectors.webhook.connector import CONNECTOR, WebhookSource


class WebhookCredentials(reading.Credentials):
    """The secret `<Secret>/credentials`: `{"reply_secret": "whsec_…"}`, with which answers are signed."""

    reply_secret: SecretStr


class WebhookAccount:
    """Satisfies `SourceReplier`. The receiver promises to remember each `Idempotency-Key` for good."""

    settings_model: ClassVar[type[BaseModel]] = WebhookSource
    replier_credentials_model: ClassVar[type[BaseModel]] = WebhookCredentials
    tier: ClassVar[Tier] = Tier.KEY
    findable: ClassVar[bool] = True
    settle: ClassVar[float] = 5.0

    def __init__(self, settings: WebhookSource, credentials: WebhookCredentials, http: HttpClient) -> None:
        self._settings, self._credentials, self._http = settings, credentials, http

    @staticmethod
    def takes_answers(settings: WebhookSource) -> bool:
        """Whether a source so set takes answers at all: where it does not, nobody misses its credentials."""
        return settings.reply_url is not None

    def reply(self, mention: Mention, text: str, key: str) -> Reference:
        """Hand the answer over; the receiver says which `id` it has there, and perhaps its `url`."""
        if mention.reply_capability != "allowed" or self._settings.reply_url is None:
            raise RejectedError("this source takes no answers; name ReplyUrl for one that does")
        about = {"id": mention.native_id, "conversation": mention.conversation_id, "url": mention.url}
        author = None if mention.author is None else mention.author.native_id
        said = {"key": key, "text": reading.clean(text), "mention": {**about, "author": author}}
        body = json.dumps(said, separators=(",", ":")).encode("ascii")
        rule, secret = door.load(CONNECTOR), self._credentials.reply_secret.get_secret_value()
        try:
            signed = door.sign(rule or {}, body, secret, headers={"webhook-id": key})
        except ValueError:
            raise MisconfiguredError("reply_secret is not whsec_ and base64, as Standard Webhooks wants it") from None
        headers = {**signed, "Content-Type": "application/json", "Idempotency-Key": key}
        answer = self._http.request("POST", self._settings.reply_url, headers=headers, body=body).json()
        native = posted(answer, "id")
        return Reference(native, reading.web(dig(answer, "url")) or mention.url or self._settings.reply_url)

    def find_reply(self, mention: Mention, key: str) -> Reference | None:  # noqa: ARG002
        """None: sent again with its key, it becomes no second answer."""
        return None
