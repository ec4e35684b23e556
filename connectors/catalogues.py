"""The registered connectors, as the checks of a plan want them: in the deployed function and in the tool. No boto3."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import connectors
from connectors.addresses import RefusedError, check
from connectors.core import door
from connectors.core.plan_grammar import Catalogue


@cache
def sources() -> Catalogue:
    """The places that people talk in."""
    return Catalogue(
        tuple(connectors.SOURCES),
        lambda name: connectors.source(name).settings_model,
        polls=lambda name: name in connectors.POLLERS,
        pushes=lambda name: door.load(name) is not None,
        verifies=lambda name: (door.load(name) or {}).get("unsigned") is not True,
        asks_as_somebody=lambda name: needs_credentials(connectors.poller(name)),
        answers_as_somebody=_answers_as_somebody,
        kind="source",
        others=[name for name in connectors.SYSTEMS if name not in connectors.SOURCES],
    )


@cache
def systems() -> Catalogue:
    """The systems of record."""
    return Catalogue(
        tuple(connectors.SYSTEMS),
        lambda name: connectors.system(name).settings_model,
        polls=lambda name: hasattr(connectors.system(name), "poll"),
        pushes=lambda name: door.load(name) is not None,
        kind="system",
        others=[name for name in connectors.SOURCES if name not in connectors.SYSTEMS],
    )


def needs_credentials(kind: Any) -> bool:
    """Whether a poller cannot do without credentials: its `credentials_model` has a field that must be there."""
    return any(field.is_required() for field in kind.credentials_model.model_fields.values())


def _answers_as_somebody(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether a source takes answers, as far as its settings decide that, and its replier's credentials have a field
    that must be there."""
    if name not in connectors.REPLIERS:
        return False
    kind: Any = connectors.replier(name)
    if hasattr(kind, "takes_answers") and not kind.takes_answers(kind.settings_model.model_validate(settings)):
        return False
    return any(field.is_required() for field in kind.replier_credentials_model.model_fields.values())


def refused_host(host: str, allow_private: bool) -> str | None:
    """Why a system may not be at that host, None where it may. Only what is plain from the text: names are resolved
    when they are called."""
    try:
        check(host, "127.0.0.1" if host == "localhost" else host, allow_private)
    except RefusedError as refused:
        return str(refused)
    except ValueError:
        return None
    return None
