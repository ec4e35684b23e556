"""What every request of CloudFormation is worked on with, and the ways in which one ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.core.plan import version_of
from connectors.core.plan_grammar import Catalogue, Grants
from connectors.core.plan_ports import Lookups, Outcome, Pointer, ResourceRequest, Store
from connectors.core.plan_settings import Finding


@dataclass(frozen=True, slots=True)
class Machine:
    """What `configure` works with. `public_url` has no trailing slash; `salt` keys the webhook addresses.

    `definitions` is where plans in S3 may lie, `bucket/` or `bucket/prefix`, '' for nowhere. `now`: milliseconds."""

    store: Store
    lookups: Lookups
    sources: Catalogue
    systems: Catalogue
    grants: Grants
    public_url: str
    salt: str
    sleep: Callable[[float], None] = time.sleep
    definitions: str = ""
    now: Callable[[], int] = lambda: int(time.time() * 1000)


def goes_back(request: ResourceRequest, before: Pointer) -> bool:
    """Whether nothing new is asked, if the version is known already: a rollback, most likely (docs/adr/0011).

    A changed `Revision` over the same content asks for a fresh check, unless it is the one that was accepted last.
    """
    if request.action != "Update":
        return False
    return content(request.properties) != content(request.old_properties) or revision(request) == before.checked


def revision(request: ResourceRequest) -> str:
    """What stands for the property `Revision`."""
    return version_of("revision", request.properties.get("Revision"))


def content(properties: Mapping[str, object]) -> dict[str, object]:
    """The properties that mean something by themselves."""
    return {key: properties[key] for key in properties if key not in {"ServiceToken", "ServiceTimeout", "Revision"}}


def overtaken(request: ResourceRequest, machine: Machine) -> Outcome:
    """A newer request for the same resource was carried out before."""
    return refuse(request, machine, Finding(request.logical_id, "a newer request overtook this one.", "Nothing to do."))


def refuse(request: ResourceRequest, machine: Machine, *findings: Finding) -> Outcome:
    """Keep, and give, the outcome of a request that changes nothing."""
    return machine.store.settle(request.request_id, refused(request, list(findings)))


def refused(request: ResourceRequest, findings: list[Finding]) -> Outcome:
    """The outcome that says what is wrong."""
    return Outcome(request.physical_id or request.resource, tuple(str(finding) for finding in findings))


def accepted(request: ResourceRequest, warnings: list[Finding], data: dict[str, str]) -> Outcome:
    """The outcome that says what came into force."""
    said = tuple(str(warning) for warning in warnings)
    return Outcome(request.physical_id or request.resource, (), said, {**data, "Warnings": " ".join(said) or "none"})
