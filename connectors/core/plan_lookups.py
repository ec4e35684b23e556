"""Looks at the secrets and topics that a document names, and says what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from connectors.core import token
from connectors.core.plan import Route, SourceConfig, SystemConfig
from connectors.core.plan_grammar import Catalogue, topic_region
from connectors.core.plan_machine import Machine
from connectors.core.plan_ports import Lookups, Sight
from connectors.core.plan_settings import Finding


@dataclass(slots=True)
class Checks:
    """What the look-ups found; `lenient` turns findings into warnings."""

    findings: list[Finding]
    warnings: list[Finding]

    def lenient(self) -> Checks:
        """For a rollback, which must not get stuck."""
        return Checks([], [*self.findings, *self.warnings])


class LookedAt:
    """Looks once at each thing, however often a lost race makes us begin again: an unreachable region is slow."""

    def __init__(self, lookups: Lookups) -> None:
        self.secret = cache(lookups.secret)
        self.topic = cache(lookups.topic)
        self.definition = cache(lookups.definition)


def secrets_of(source: SourceConfig, catalogue: Catalogue) -> list[str]:
    """What verifies its deliveries, where any secret does; what lets us ask, where it is asked or only hints."""
    name = source.connector
    pushes, verified = catalogue.pushes(name), catalogue.verifies(name)
    found = [token.verification_secret(source.secret)] if pushes and verified else []
    asks = source.poll is not None or (pushes and not verified)
    return found + ([token.credentials_secret(source.secret)] if asks and catalogue.asks_as_somebody(name) else [])


def look_at_secrets(config: SourceConfig | SystemConfig, machine: Machine) -> Checks:
    """Those that the document cannot do without."""
    if isinstance(config, SystemConfig):
        return _look_at_secret(token.credentials_secret(config.secret), machine.lookups)
    checks = Checks([], [])
    for name in secrets_of(config, machine.sources):
        found = _look_at_secret(name, machine.lookups)
        checks.findings += found.findings
        checks.warnings += found.warnings
    checks.warnings += _look_at_answers(config, machine)
    return checks


def _look_at_answers(config: SourceConfig, machine: Machine) -> list[Finding]:
    """A place that takes answers may be deployed before there are credentials: until then the answers wait."""
    name = token.credentials_secret(config.secret)
    if name in secrets_of(config, machine.sources) or not machine.sources.answers_as_somebody(
        config.connector, config.settings
    ):
        return []
    if machine.lookups.secret(name) not in {Sight.MISSING, Sight.DELETED, Sight.DENIED}:
        return []
    sentence = f"no credentials: answers wait, for secret '{name}' is not there or may not be looked at."
    return [
        Finding("Secret", sentence, "Create it, as the connector's README says, if people are to be answered there.")
    ]


def _look_at_secret(name: str, lookups: Lookups) -> Checks:
    checks = Checks([], [])
    match lookups.secret(name):
        case Sight.MISSING:
            checks.findings.append(
                Finding("Secret", f"secret '{name}' does not exist.", "Create it, then deploy again.")
            )
        case Sight.DELETED:
            remedy = "Restore it, then deploy again."
            checks.findings.append(Finding("Secret", f"secret '{name}' is scheduled for deletion.", remedy))
        case Sight.DENIED:
            # AWS may answer so for a secret that does not exist: there is no ARN for the permission to fit.
            remedy = "Check that it exists, that SecretsPrefix covers it and that no policy on the secret forbids it."
            checks.findings.append(Finding("Secret", f"looking at secret '{name}' was denied.", remedy))
        case Sight.UNREACHABLE:
            sentence = f"secret '{name}' was not checked: Secrets Manager could not be reached."
            checks.warnings.append(Finding("Secret", sentence, "Change Revision to check again."))
        case Sight.FOUND:
            pass
    return checks


def look_at_verification(secret: str, lookups: Lookups) -> list[Finding]:
    """A system's webhook is made with the address that this very deployment gives out, and only then has a secret."""
    name = token.verification_secret(secret)
    if lookups.secret(name) is Sight.FOUND:
        return []
    sentence = f"secret '{name}' is not there, so the system's webhooks are refused."
    return [Finding("Secret", sentence, "Make the webhook with the attribute WebhookUrl, then keep its secret there.")]


def outside_regions(topics: Mapping[str, str], granted: Sequence[str]) -> list[Finding]:
    """Topics, by where they stand, of regions that the machine was not granted; none where `granted` is not known."""
    found = []
    for path, arn in topics.items():
        region = topic_region(arn)
        if region and granted and region not in granted:
            known = f"{', '.join(granted)}"
            sentence = f"topic is in region {region}, outside of what Hailback was granted, which is {known}."
            remedy = f"Deploy Hailback with TopicRegions={','.join((*granted, region))}, or name a topic of {known}."
            found.append(Finding(path, sentence, remedy))
    return found


def topics_in(routes: object) -> dict[str, str]:
    """The topics of routes as they are written, whatever else is wrong with them, by where they stand."""
    found = {}
    for number, route in enumerate(routes if isinstance(routes, list) else []):
        topics = route.get("Notify") if isinstance(route, Mapping) else None
        for index, arn in enumerate(topics if isinstance(topics, list) else []):
            if isinstance(arn, str):
                found[f"Routes[{number}].Notify[{index}]"] = arn
    return found


def look_at_topics(routes: tuple[Route, ...], lookups: Lookups, regions: Sequence[str] = ()) -> Checks:
    """Whether the topics are there, and heard. `regions` are those that the machine was granted: in others it may not
    even look."""
    checks = Checks([], [])
    for number, route in enumerate(routes):
        for index, arn in enumerate(route.topics):
            path = f"Routes[{number}].Notify[{index}]"
            if outside := outside_regions({path: arn}, regions):
                checks.findings += outside
                continue
            sight, confirmed = lookups.topic(arn)
            region = topic_region(arn)
            match sight:
                case Sight.MISSING | Sight.DELETED:
                    sentence = f"topic {arn} does not exist in {region}."
                    checks.findings.append(Finding(path, sentence, "Create it, then deploy again."))
                case Sight.DENIED:
                    remedy = "Check that TopicsPrefix, TopicRegions and the topic's policy allow it, and its account."
                    checks.findings.append(Finding(path, f"looking at topic {arn} was denied.", remedy))
                case Sight.UNREACHABLE:
                    sentence = f"topic {arn} was not checked: SNS in {region} could not be reached."
                    checks.warnings.append(Finding(path, sentence, "Change Revision to check again."))
                case Sight.FOUND if confirmed == 0:
                    sentence = f"topic {arn} has no confirmed subscription, so nobody is told."
                    checks.warnings.append(Finding(path, sentence, "Subscribe somebody and have them confirm."))
    return checks
