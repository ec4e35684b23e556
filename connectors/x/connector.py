"""The X source: reads a delivery's body and hands it to the mapping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import BaseModel

from connectors.core.delivery import Delivery
from connectors.core.door import read_json
from connectors.core.errors import PayloadError
from connectors.x.payloads import Event, read
from connectors.x.posts import Ours
from connectors.x.settings import XSource

if TYPE_CHECKING:
    from connectors.core.ports import Receiver


class X:
    """One X account, with its siblings; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = XSource

    def __init__(self, settings: XSource) -> None:
        self._ours = settings.ours

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:  # noqa: ARG003
        """Any account. `accounts`: digits are an id, anything else (`@acme_support`) a user name. X's ids need no
        authority."""
        ids = [one.strip() for one in accounts if one.strip().isascii() and one.strip().isdecimal()]
        names = [one.strip().removeprefix("@") for one in accounts if one.strip() not in ids]
        given = XSource.model_validate({"Account": ids or ["1"], "Handle": names})  # checks their shapes
        connector = cls(given)
        connector._ours = Ours(frozenset(ids), given.ours.handles)
        return connector

    def parse(self, delivery: Delivery) -> Sequence[Event]:
        """The events in a delivery, or in an answer of the API. Raises `PayloadError`."""
        try:
            body = read_json(delivery.body)
        except ValueError as error:
            raise PayloadError(f"{error}") from error
        return read(body, self._ours, delivery.received_at)


if TYPE_CHECKING:
    _SATISFIES: type[Receiver] = X
