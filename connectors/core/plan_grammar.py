"""How administrators write a source, a system and a plan, and every sentence that tells them what is wrong with it.

A check returns *all* its findings and never raises, whatever the document looks like. CloudFormation hands over every
scalar as a string, so values are read by the type of the field. A field whose machinery is not built yet stands in a
`NOT_BUILT` table with its remedy; building it means moving it out of there. No value of an unknown field is ever
repeated: it may be a password in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from connectors.core.durations import seconds
from connectors.core.plan import SourceConfig, SystemConfig
from connectors.core.plan_reading import (
    MOST_STANDBYS,
    Catalogue,
    Grants,
    closest,
    short,
    stem_of,
    text_of,
    told_once,
    unfamiliar,
)
from connectors.core.plan_routes import LARGEST_PLAN, PLAN_NOT_BUILT, ROUTE_NOT_BUILT, check_plan, topic_region
from connectors.core.plan_settings import Finding, read_settings, setting_names

__all__ = [
    "LARGEST_PLAN",
    "MOST_STANDBYS",
    "PLAN_NOT_BUILT",
    "ROUTE_NOT_BUILT",
    "SYSTEM_NOT_BUILT",
    "Catalogue",
    "Grants",
    "check_plan",
    "check_source",
    "check_system",
    "closest",
    "topic_region",
]

POLL, POLL_SHORTEST, POLL_LONGEST = 60, 5, 86_400
"""Seconds between two polls: the default for a system, the least and the most."""
POLL_SOURCE = 300
"""Seconds between two polls of a source that does not tell by itself. One that does is asked only where that is
written: it costs calls, and at some vendors money."""

_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,480}")
SYSTEM_NOT_BUILT = {"Concurrency": "Remove it; until then one worker at a time serves a case."}


def check_source(
    name: str, properties: Mapping[str, object], catalogue: Catalogue, grants: Grants
) -> tuple[SourceConfig | None, list[Finding]]:
    """A `Custom::Source`. The document only where there are no findings."""
    found = _check_connector(properties, catalogue, grants, {}, ("Poll", "Hold"))
    connector = properties.get("Connector")
    known = isinstance(connector, str) and connector in catalogue.names
    tells = isinstance(connector, str) and known and catalogue.pushes(connector)
    poll, findings = _check_poll(properties, catalogue, None if tells else POLL_SOURCE)
    hold, more = _check_hold(properties)
    findings += more
    if isinstance(found, list):
        return None, [*found, *findings]
    return (None, findings) if findings else (SourceConfig.of(name, *found, poll, hold), [])


def check_system(
    name: str, properties: Mapping[str, object], catalogue: Catalogue, grants: Grants
) -> tuple[SystemConfig | None, list[Finding]]:
    """A `Custom::System`. The document only where there are no findings."""
    found = _check_connector(properties, catalogue, grants, SYSTEM_NOT_BUILT, ("Poll", "Hold"))
    poll, findings = _check_poll(properties, catalogue, POLL)
    hold, more = _check_hold(properties)
    findings += more
    if isinstance(found, list):
        return None, [*found, *findings]
    findings += [
        Finding(setting, f"{refused}.", "")
        for setting, value in found[2].items()
        if (host := _host(value)) and (refused := grants.refused_host(host))
    ]
    return (None, findings) if findings else (SystemConfig.of(name, *found, poll, hold), [])


def _check_connector(
    properties: Mapping[str, object],
    catalogue: Catalogue,
    grants: Grants,
    not_built: Mapping[str, str],
    beside: Collection[str] = (),
) -> tuple[str, str, dict[str, object]] | list[Finding]:
    findings: list[Finding] = []
    connector = text_of(properties, "Connector", "", findings, f"Name one of: {', '.join(sorted(catalogue.names))}.")
    secret = text_of(
        properties, "Secret", "", findings, f"Write the name of a secret under {stem_of(grants.secrets_prefix)}."
    )
    if secret is not None:
        findings += _check_secret(secret, grants)
    other = connector is not None and connector.lower() in catalogue.others
    near = None if connector is None or other else closest(connector, catalogue.names)
    settings: dict[str, object] = {}
    if connector is not None and other:
        right, wrong = ("system", "source") if catalogue.kind == "source" else ("source", "system")
        remedy = f"Write Type: Custom::{right.title()}, or name one of: {', '.join(sorted(catalogue.names))}."
        findings.append(Finding("Connector", f"'{short(connector)}' is a {right}, not a {wrong}.", remedy))
    elif connector is not None and connector not in catalogue.names:
        meant = f"Did you mean {near}?" if near else f"Name one of: {', '.join(sorted(catalogue.names))}."
        findings.append(Finding("Connector", f"'{short(connector)}' is not a connector of this kind.", meant))
    common = ("Connector", "Secret", *beside)
    if near is None:  # which other fields there are, only a connector says
        odd = {key: properties[key] for key in properties if key in not_built or closest(key, common)}
        findings += unfamiliar(odd, common, not_built, "")
    else:
        model = catalogue.settings_model(near)
        names = setting_names(model)
        findings += unfamiliar(properties, (*common, *names), not_built, "")
        settings, more = read_settings(model, {key: properties[key] for key in names if key in properties})
        findings += more
        findings += _in_clear(settings, grants)
    findings = told_once(findings)
    return findings if findings or connector is None or secret is None else (connector, secret, settings)


def _in_clear(settings: Mapping[str, object], grants: Grants) -> list[Finding]:
    """Addresses whose calls anybody on the way could read. Private ones may be so, where those are allowed."""
    if grants.refused_host("127.0.0.1") is None:
        return []
    return [
        Finding(
            setting,
            "begins with http: credentials and customers' words would cross the internet unencrypted.",
            "Write https. http is for private addresses, which need AllowPrivateSystems.",
        )
        for setting, value in settings.items()
        if isinstance(value, str) and value.lower().startswith("http://") and not grants.refused_host(_host(value))
    ]


def _check_poll(
    properties: Mapping[str, object], catalogue: Catalogue, default: int | None
) -> tuple[int | None, list[Finding]]:
    """How often a place is asked, in seconds; `default` where nothing is said and it can be asked."""
    connector = properties.get("Connector")
    known = isinstance(connector, str) and connector in catalogue.names
    able = isinstance(connector, str) and known and catalogue.polls(connector)
    given = properties.get("Poll")
    if given is None:
        return (default if able else None), []
    wait = seconds(given) if isinstance(given, str) else None
    if wait is None or not POLL_SHORTEST <= wait <= POLL_LONGEST:
        return None, [Finding("Poll", "is not a wait between 5s and 1d.", "Write a number and a unit, such as 5m.")]
    if known and not able:
        return None, [Finding("Poll", "cannot be had: this connector is not asked, it tells by itself.", "Remove it.")]
    return wait, []


def _check_hold(properties: Mapping[str, object]) -> tuple[bool, list[Finding]]:
    given = properties.get("Hold", False)
    said = str(given).lower() if isinstance(given, str | bool) else ""
    if said not in {"true", "false"}:
        return False, [Finding("Hold", "is neither true nor false.", "Write true to hold it, or remove the field.")]
    return said == "true", []


def _check_secret(secret: str, grants: Grants) -> list[Finding]:
    stem = stem_of(grants.secrets_prefix)
    if secret.startswith("arn:"):
        return [Finding("Secret", "is an ARN.", f"Write the secret's name, such as {stem}forum.")]
    for suffix in ("/verification", "/credentials"):
        if secret.endswith(suffix):
            return [Finding("Secret", f"ends in {suffix}.", f"Leave that off; {suffix} is added where it is needed.")]
    if not _SECRET_NAME.fullmatch(secret) or secret.endswith("/"):
        return [Finding("Secret", "is not a secret's name.", f"Use letters, digits and /_+=.@-, such as {stem}forum.")]
    if not secret.startswith(stem) or secret == stem:
        return [
            Finding(
                "Secret",
                f"is outside the names that Hailback was granted, {stem}*.",
                "Rename the secret, or deploy Hailback with another SecretsPrefix.",
            )
        ]
    return []


def _host(value: object) -> str:
    if not isinstance(value, str) or "://" not in value:
        return ""
    try:
        return urlsplit(value).hostname or ""
    except ValueError:
        return ""
