"""The registered connectors and the machine's grants, as the checks of a plan want them. Imports no boto3."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import connectors
from connectors.addresses import RefusedError, check
from connectors.core import door
from connectors.core.plan_grammar import Catalogue, Grants

DEFAULTS = {
    "SecretsPrefix": "hailback/",
    "TopicsPrefix": "hailback-",
    "TopicRegions": "",
    "AllowPrivateSystems": "false",
    "DefinitionsBucket": "",
}
"""Parameters of Hailback's own stack that say what it was granted, with their defaults (a test compares them)."""


@cache
def sources() -> Catalogue:
    """As `configure_stack` knows them."""
    return Catalogue(
        tuple(connectors.SOURCES),
        lambda name: connectors.source(name).settings_model,
        polls=lambda name: name in connectors.POLLERS,
        pushes=lambda name: door.load(name) is not None,
        asks_as_somebody=lambda name: _needs_credentials(connectors.poller(name)),
    )


@cache
def systems() -> Catalogue:
    """As `configure_stack` knows them."""
    return Catalogue(
        tuple(connectors.SYSTEMS),
        lambda name: connectors.system(name).settings_model,
        polls=lambda name: hasattr(connectors.system(name), "poll"),
        pushes=lambda name: door.load(name) is not None,
    )


def grants(parameters: Mapping[str, str]) -> Grants:
    """What a machine may do that was deployed with these parameters."""
    given = {**DEFAULTS, **parameters}
    allowed = given["AllowPrivateSystems"].lower() == "true"

    def refused(host: str) -> str | None:
        """Only what is plain from the text: names are resolved when they are called."""
        try:
            check(host, "127.0.0.1" if host == "localhost" else host, allowed)
        except RefusedError as error:
            return str(error)
        except ValueError:
            return None
        return None

    return Grants(given["SecretsPrefix"], given["TopicsPrefix"], refused)


def _needs_credentials(kind: Any) -> bool:
    """As `connectors.aws.pollers.needs_credentials`, which comes with boto3."""
    return any(one.is_required() for one in kind.credentials_model.model_fields.values())
