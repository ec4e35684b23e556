"""The registry: connector name → where its classes live. Nothing is imported until it is asked for.

To add a connector, add its folder and one line here; CONTRIBUTING.md walks through it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from connectors.core.ports import Receiver, RecordSystem

SOURCES: dict[str, str] = {
    "discourse": "connectors.discourse.connector:Discourse",
}
"""Places where people talk."""

SYSTEMS: dict[str, str] = {
    "roundup": "connectors.roundup.connector:Roundup",
}
"""CRMs and ticketing systems that receive cases."""


def source(name: str) -> type[Receiver]:
    """The connector class of a source. Raises KeyError for a name that is not registered."""
    return cast("type[Receiver]", _load(SOURCES[name]))


def system(name: str) -> type[RecordSystem]:
    """The connector class of a system of record. Raises KeyError for a name that is not registered."""
    return cast("type[RecordSystem]", _load(SYSTEMS[name]))


def _load(target: str) -> object:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
