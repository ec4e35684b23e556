"""What a machine was granted, from its parameters, beside the registered connectors. Imports no boto3."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.catalogues import refused_host, sources, systems
from connectors.core.plan_grammar import Grants

__all__ = ["DEFAULTS", "grants", "sources", "systems"]

DEFAULTS = {
    "SecretsPrefix": "hailback/",
    "TopicsPrefix": "hailback-",
    "TopicRegions": "",
    "AllowPrivateSystems": "false",
    "DefinitionsBucket": "",
}
"""Parameters of Hailback's own stack that say what it was granted, with their defaults (a test compares them)."""


def grants(parameters: Mapping[str, str]) -> Grants:
    """What a machine may do that was deployed with these parameters."""
    given = {**DEFAULTS, **parameters}
    allowed = given["AllowPrivateSystems"].lower() == "true"
    return Grants(given["SecretsPrefix"], given["TopicsPrefix"], lambda host: refused_host(host, allowed))
