"""The Discourse source: reads a delivery's headers and body and hands them to the mapping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel

from connectors.core.delivery import Delivery
from connectors.core.door import read_json
from connectors.core.errors import PayloadError
from connectors.core.models import Unsupported
from connectors.discourse.payloads import (
    CONNECTOR,
    Envelope,
    Event,
    clean,
    infer_event,
    is_private,
    posts_in,
    read,
    read_posts,
)
from connectors.discourse.settings import AnyForum, DiscourseSource
from connectors.discourse.site import Site, read_site

if TYPE_CHECKING:
    from connectors.core.ports import Receiver


class Discourse:
    """One forum; satisfies `Receiver`."""

    settings_model: ClassVar[type[BaseModel]] = DiscourseSource

    def __init__(self, settings: AnyForum) -> None:
        self._site = read_site(settings.base_url, "BaseUrl") if settings.base_url else None
        self._accounts = frozenset(settings.account)

    @classmethod
    def for_parse(cls, accounts: Sequence[str] = (), authority: str | None = None) -> Self:
        """A forum that may be any: without `authority` the deliveries themselves say where they come from."""
        base = read_site(authority, "--authority").base if authority else None
        return cls(AnyForum(base_url=base, account=tuple(accounts)))

    def parse(self, delivery: Delivery) -> Sequence[Event]:
        """The one event in a delivery, or those in an answer of the API. Raises `PayloadError`."""
        try:
            body: Any = read_json(delivery.body)
        except ValueError as error:
            raise PayloadError(f"{error}") from error
        asked = "x-discourse-event" not in delivery.headers
        if asked and (isinstance(body, list) or (isinstance(body, dict) and posts_in(body) is not None)):
            return self._answered(body, delivery)
        if not isinstance(body, dict):
            raise PayloadError("the body is not a JSON object")
        event = clean(delivery.headers.get("x-discourse-event", "").strip())[:100] or infer_event(body)
        # A private message is dropped whatever else is wrong: what is refused is kept for a person to look at.
        site = None if is_private(body) else self._whose(delivery)
        return [read(Envelope(event, body, _order(delivery), site, self._accounts))]

    def _answered(self, body: Any, delivery: Delivery) -> Sequence[Event]:
        """The events in an answer of the API."""
        posts, private = posts_in(body), isinstance(body, dict) and is_private(body)
        if posts is not None and not private:
            return read_posts(posts, self._whose(delivery), self._accounts)
        reason = "a private message is not ours to read" if private else "this answer holds no posts"
        return [Unsupported(connector=CONNECTOR, event="answer", reason=reason, keep_raw=False)]

    def _whose(self, delivery: Delivery) -> Site | None:
        """The forum. The header is not covered by the signature, so it cannot move a post to another forum."""
        header = delivery.headers.get("x-discourse-instance", "").strip()
        if not header:
            return self._site
        try:
            named = read_site(header, "the header X-Discourse-Instance")
        except ValueError as error:
            raise PayloadError(f"{error}") from error
        if self._site is None:
            return named
        if named.authority != self._site.authority:
            raise PayloadError(
                f"the header X-Discourse-Instance names {clean(named.authority)}, but this source is "
                f"{self._site.authority}; give each forum its own source, or correct BaseUrl"
            )
        return self._site


def _order(delivery: Delivery) -> int:
    """Discourse numbers its deliveries, all webhooks of a forum together."""
    number = delivery.headers.get("x-discourse-event-id", "").strip()
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else delivery.received_at


if TYPE_CHECKING:
    _SATISFIES: type[Receiver] = Discourse
