"""How administrators write a source, a system and a plan, and every sentence that tells them what is wrong with it.

A check returns *all* its findings and never raises, whatever the document looks like. CloudFormation hands over every
scalar as a string, so values are read by the type of the field. A field whose machinery is not built yet stands in a
`NOT_BUILT` table with its remedy; building it means moving it out of there. No value of an unknown field is ever
repeated: it may be a password in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import urlsplit

from pydantic import BaseModel

from connectors.core.durations import seconds
from connectors.core.plan import Route, SourceConfig, SystemConfig, canonical
from connectors.core.plan_settings import Finding, read_settings, setting_names

MOST_STANDBYS = 5
"""Systems, or topics, of one route: what happens at once to all of them has to fit into one transaction."""
LARGEST_PLAN = 200_000
"""Bytes of a plan written in the template. An update's request carries it twice, old and new."""
POLL, POLL_SHORTEST, POLL_LONGEST = 60, 5, 86_400
"""Seconds between two polls: the default for a system, the least and the most."""
POLL_SOURCE = 300
"""Seconds between two polls of a source that does not tell by itself. One that does is asked only where that is
written: it costs calls, and at some vendors money."""

_ENVELOPE = ("ServiceToken", "ServiceTimeout", "Revision")
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,480}")
_SYSTEM_ID = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}/[A-Za-z0-9]{1,255}")
_ROUTE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TOPIC_ARN = re.compile(
    r"arn:aws[a-z0-9-]*:sns:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):(?P<name>[A-Za-z0-9_.-]{1,256})"
)
LONGEST_FAIL_OVER = 86_400
"""Seconds: whoever wants to wait longer than a day wants no stand-by."""
_LOOKS_SECRET = re.compile(r"passw|token|credential|api_?key|secret|auth", re.IGNORECASE)

SYSTEM_NOT_BUILT = {"Concurrency": "Remove it; until then one worker at a time serves a case."}
PLAN_NOT_BUILT = {
    "Calendars": "Remove it.",
    "Chains": "Remove it; until then nothing is escalated.",
    "Policies": "Remove it; until then an agent's public reply in a record goes out to the customer as it is.",
    "Priority": "Remove it; until then one plan is in force at a time.",
    "Definition": "Write Routes in the template instead.",
}
ROUTE_NOT_BUILT = {
    "When": "Remove it; until then the one route takes every mention.",
    "Escalate": "Remove it; until then nothing is escalated.",
    "Reply": "Remove it; until then an agent's public reply in a record goes out to the customer as it is.",
    "Lead": "Remove it.",
    "Task": "Remove it.",
    "Labels": "Remove it.",
}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The registered connectors of one kind: their names, and the settings that each takes."""

    names: Collection[str]
    settings_model: Callable[[str], type[BaseModel]]
    polls: Callable[[str], bool] = lambda _: False
    """Whether a connector can be asked what happened."""
    pushes: Callable[[str], bool] = lambda _: False
    """Whether a connector tells by webhook what happened."""
    asks_as_somebody: Callable[[str], bool] = lambda _: True
    """Whether a connector that is asked cannot do without credentials."""


@dataclass(frozen=True, slots=True)
class Grants:
    """What the machine was granted when it was deployed; resources outside are findings that name the parameter.

    `refused_host` says why a system may not be at this host, or None where it may, as far as can be told unasked.
    """

    secrets_prefix: str
    topics_prefix: str
    refused_host: Callable[[str], str | None] = lambda _: None


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


def check_plan(properties: Mapping[str, object], grants: Grants) -> tuple[tuple[Route, ...] | None, list[Finding]]:
    """A `Custom::Plan`, as far as its own text goes: that its systems and topics exist is looked up later."""
    findings: list[Finding] = []
    if (size := len(canonical(properties))) > LARGEST_PLAN:
        findings.append(
            Finding(
                "Routes", f"the plan is {size} bytes, over the limit of {LARGEST_PLAN}.", "Shorten or remove routes."
            )
        )
    findings += _unfamiliar(properties, ("Routes",), PLAN_NOT_BUILT, "")
    routes: list[Route] = []
    given = properties.get("Routes")
    if given is None:
        findings.append(Finding("Routes", "is missing.", "Write one route with Name, Case and Notify."))
    elif not isinstance(given, list) or not given:
        findings.append(Finding("Routes", "is not a list of routes.", "Write one route with Name, Case and Notify."))
    else:
        for index, one in enumerate(given):
            route, more = _check_route(one, f"Routes[{index}]", grants)
            findings += more
            routes += [route] if route else []
        if len(given) > 1:
            findings.append(
                Finding(
                    "Routes[1]",
                    f"a second route is not built yet ({len(given)} are written).",
                    "Keep one route, the catch-all that takes every mention.",
                )
            )
    return (None, findings) if findings else (tuple(routes), [])


def topic_region(arn: str) -> str:
    """The region in a topic's ARN; '' for what is not one."""
    match = _TOPIC_ARN.fullmatch(arn)
    return match["region"] if match else ""


def closest(word: str, words: Collection[str]) -> str | None:
    """The known word that was probably meant, whatever its capitals; None where nothing is close."""
    folded = {known.lower(): known for known in words}
    close = get_close_matches(word.lower(), list(folded), n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def _check_connector(
    properties: Mapping[str, object],
    catalogue: Catalogue,
    grants: Grants,
    not_built: Mapping[str, str],
    beside: Collection[str] = (),
) -> tuple[str, str, dict[str, object]] | list[Finding]:
    findings: list[Finding] = []
    connector = _text(properties, "Connector", "", findings, f"Name one of: {', '.join(sorted(catalogue.names))}.")
    secret = _text(
        properties, "Secret", "", findings, f"Write the name of a secret under {_stem(grants.secrets_prefix)}."
    )
    if secret is not None:
        findings += _check_secret(secret, grants)
    settings: dict[str, object] = {}
    if connector is None:
        findings += [
            Finding(field, "is not built yet.", remedy) for field, remedy in not_built.items() if field in properties
        ]
    elif connector not in catalogue.names:
        near = closest(connector, catalogue.names)
        meant = f"Did you mean {near}?" if near else f"Name one of: {', '.join(sorted(catalogue.names))}."
        findings.append(Finding("Connector", f"'{_short(connector)}' is not a connector of this kind.", meant))
    else:
        model = catalogue.settings_model(connector)
        names = setting_names(model)
        findings += _unfamiliar(properties, ("Connector", "Secret", *beside, *names), not_built, "")
        settings, more = read_settings(model, {key: properties[key] for key in names if key in properties})
        findings += more
    return findings if findings or connector is None or secret is None else (connector, secret, settings)


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
    stem = _stem(grants.secrets_prefix)
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


def _check_route(given: object, path: str, grants: Grants) -> tuple[Route | None, list[Finding]]:
    if not isinstance(given, dict):
        return None, [Finding(path, "is not a route.", "Write Name, Case and Notify under it.")]
    fields = ("Name", "Case", "Notify", "FailOverAfter")
    findings = _unfamiliar(given, fields, ROUTE_NOT_BUILT, f"{path}.", envelope=())
    name = _text(given, "Name", f"{path}.", findings, "Give the route a name, such as everything-else.")
    if name in {"true", "false"}:
        findings.append(
            Finding(f"{path}.Name", f"arrived as '{name}'.", "YAML reads yes, no, on and off as that: quote it.")
        )
    elif name is not None and not _ROUTE_NAME.fullmatch(name):
        findings.append(
            Finding(f"{path}.Name", "is not a route's name.", "Use up to 64 letters, digits, hyphens and underscores.")
        )
    systems = _list(given, "Case", path, findings, "Case: [!Ref YourSystem]")
    topics = _list(given, "Notify", path, findings, "Notify: [!Ref YourTopic]")
    fail_over_after = _fail_over_after(given, path, findings)
    for index, system in enumerate(systems):
        if not _SYSTEM_ID.fullmatch(system):
            findings.append(
                Finding(
                    f"{path}.Case[{index}]",
                    f"'{_short(system)}' is not the id of a Custom::System.",
                    "Write !Ref and the resource's name.",
                )
            )
    for index, topic in enumerate(topics):
        findings += _check_topic(topic, f"{path}.Notify[{index}]", grants)
    if findings or name is None:
        return None, findings
    return Route(name=name, systems=tuple(systems), topics=tuple(topics), fail_over_after=fail_over_after), []


def _fail_over_after(given: Mapping[str, object], path: str, findings: list[Finding]) -> float:
    text = _text({"FailOverAfter": "2m", **given}, "FailOverAfter", f"{path}.", findings, "Write a time such as 90s.")
    wait = seconds(text) if text is not None else 0
    if wait is None:
        findings.append(
            Finding(
                f"{path}.FailOverAfter",
                f"'{_short(text or '')}' is not a length of time.",
                "Write a whole number with s, m, h or d, such as 90s or 2m.",
            )
        )
        return 0.0
    if wait > LONGEST_FAIL_OVER:
        findings.append(
            Finding(f"{path}.FailOverAfter", f"'{_short(text or '')}' is longer than a day.", "Write 1d or less.")
        )
    return float(wait)


def _check_topic(arn: str, path: str, grants: Grants) -> list[Finding]:
    match = _TOPIC_ARN.fullmatch(arn)
    if match is None:
        return [Finding(path, f"'{_short(arn)}' is not the ARN of an SNS topic.", "Write !Ref and the topic's name.")]
    if match["name"].endswith(".fifo"):
        return [Finding(path, "a FIFO topic is not built yet.", "Use a standard topic.")]
    stem = _stem(grants.topics_prefix)
    if not match["name"].startswith(stem):
        return [
            Finding(
                path,
                f"topic '{_short(match['name'])}' is outside the names that Hailback was granted, {stem}*.",
                "Rename the topic, or deploy Hailback with another TopicsPrefix.",
            )
        ]
    return []


def _unfamiliar(
    given: Mapping[str, object],
    fields: Collection[str],
    not_built: Mapping[str, str],
    path: str,
    envelope: Collection[str] = _ENVELOPE,
) -> list[Finding]:
    findings = []
    for key in given:
        if key in fields or key in envelope:
            continue
        if key in not_built:
            findings.append(Finding(f"{path}{key}", "is not built yet.", not_built[key]))
            continue
        where = f"{path}{_short(key)}"
        near = closest(key, [*fields, *not_built, *(name for name in envelope if name == "Revision")])
        if near and near in not_built:
            findings.append(Finding(where, f"is not a field; {near} would be, but is not built yet.", not_built[near]))
        elif near:
            findings.append(Finding(where, "is not a field.", f"Did you mean {near}?"))
        elif _LOOKS_SECRET.search(key):
            remedy = "Never write secrets into a template; keep them in Secrets Manager and name them in Secret."
            findings.append(Finding(where, "is not a field.", remedy))
        else:
            findings.append(Finding(where, "is not a field.", f"Remove it, or use one of: {', '.join(fields)}."))
    return findings


def _text(given: Mapping[str, object], key: str, path: str, findings: list[Finding], remedy: str) -> str | None:
    value = given.get(key)
    if value is None or value == "":
        findings.append(Finding(f"{path}{key}", "is missing.", remedy))
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    findings.append(Finding(f"{path}{key}", "is not a text.", remedy))
    return None


def _list(given: Mapping[str, object], key: str, path: str, findings: list[Finding], example: str) -> list[str]:
    where, value = f"{path}.{key}", given.get(key)
    if value is None or value in ([], ""):
        findings.append(Finding(where, "is missing.", f"Write {example}."))
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        findings.append(Finding(where, "is not a list of texts.", f"Write {example}."))
        return []
    for index, item in enumerate(value):
        if item in value[:index]:
            findings.append(Finding(f"{where}[{index}]", f"'{_short(item)}' is named twice.", "Remove one of them."))
    if len(value) > MOST_STANDBYS:
        findings.append(
            Finding(where, f"{len(value)} are written, over the limit of {MOST_STANDBYS}.", "Keep the first few.")
        )
    return value


def _host(value: object) -> str:
    if not isinstance(value, str) or "://" not in value:
        return ""
    try:
        return urlsplit(value).hostname or ""
    except ValueError:
        return ""


def _stem(prefix: str) -> str:
    return prefix.removesuffix("*")


def _short(text: str, longest: int = 80) -> str:
    clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= longest else f"{clean[:longest]}…"
