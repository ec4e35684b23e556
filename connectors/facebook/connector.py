"""The Facebook source: reads a delivery, or an answer of the Graph API, and hands it to the mapping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import BaseModel

from connectors.core.delivery import Delivery
from connectors.core.door import read_json
from connectors.core.errors import PayloadError
from connectors.facebook import answers, payloads
from connectors.facebook.payloads import Event, Whose
from connectors.facebook.settings import AnyPage, FacebookSource

if TYPE_CHECKING:
    from connectors.core.ports import Receiver


class Facebook:
    """One Page, and what else the same app is told; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = FacebookSource

    def __init__(self, settings: AnyPage) -> None:
        self._whose = Whose(frozenset(settings.account), configured=isinstance(settings, FacebookSource))

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:  # noqa: ARG003
        """Pages that may be any. Facebook's ids need no authority."""
        return cls(AnyPage(account=tuple(accounts)))

    def parse(self, delivery: Delivery) -> Sequence[Event]:
        """The events in a delivery, or in an answer of the Graph API. Raises `PayloadError`."""
        try:
            body = read_json(delivery.body)
        except ValueError as error:
            raise PayloadError(f"{error}") from error
        if not isinstance(body, dict):
            raise PayloadError("the body is not a JSON object")
        if "entry" in body or isinstance(body.get("object"), str):
            return payloads.read(body, self._whose, delivery.received_at)
        if "field" in body and "value" in body:
            return payloads.read_change(body, self._whose, delivery.received_at)
        return answers.read(body, self._whose, delivery.received_at)


if TYPE_CHECKING:
    _SATISFIES: type[Receiver] = Facebook
