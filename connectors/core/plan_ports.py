"""What bringing a plan into force needs from outside: a store, look-ups, and the words for what passes between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from connectors.core.plan import Plan, SourceConfig, SystemConfig
from connectors.core.plan_merge import PlanPart
from connectors.core.plan_options import Address

Kind = Literal["source", "system", "part", "plan"]
"""`part` is one `Custom::Plan`; `plan` is the one compiled plan of all parts."""
Interval = tuple[int, int | None]
"""From when until when, in milliseconds; None while it lasts."""


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """One request of CloudFormation about one custom resource.

    `kind` is the resource's type as written (`Custom::Plan`). `properties` and `old_properties` are untrusted.
    `asked` is when CloudFormation asked, in seconds since 1970; 0 where that is not known.
    """

    action: str
    kind: str
    request_id: str
    stack_id: str
    logical_id: str
    physical_id: str
    properties: Mapping[str, object]
    old_properties: Mapping[str, object]
    asked: int = 0

    @property
    def resource(self) -> str:
        """`stack/logicalId`: the same for the resource's whole life."""
        stack = self.stack_id.split("/")
        return f"{stack[1] if len(stack) > 1 else self.stack_id}/{self.logical_id}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request came to. `findings` is empty on success; `data` is what `!GetAtt` can read."""

    physical_id: str
    findings: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.findings


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which version of a resource is in force.

    `ticket` orders the requests for one resource; `revision` grows with every write and is what races are decided by;
    a pointer that was never written has revision 0. `checked` stands for the property `Revision` under which the
    resource was last accepted. `deleted_at` is in ISO 8601, or None.

    Of the compiled plan, `id` is that of its base; `parts` are the ids of all that are deployed, with or without a
    base; `shadows` says when effects were off, by the part's key ('' for everything), the last few times.
    """

    kind: Kind
    id: str
    version: str = ""
    stack_id: str = ""
    ticket: int = 0
    revision: int = 0
    checked: str = ""
    deleted_at: str | None = None
    parts: tuple[str, ...] = ()
    shadows: Mapping[str, tuple[Interval, ...]] = field(default_factory=dict)

    @property
    def live(self) -> bool:
        return self.revision > 0 and self.deleted_at is None


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that was seen: its place in the order of its resource's requests, and its outcome if it has one.

    `late`: a newer request for the same resource came in before, so this one must change nothing."""

    ticket: int
    outcome: Outcome | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Activation:
    """One line of the plan's history: which version came into force, when (ISO 8601), and by whose request.

    `number` counts the changes of what is in force: it orders those of the same second.
    `version` is '' where none has been in force since. `parts` are the versions of the parts, by id; `off` the ids of
    those whose effects were off."""

    version: str
    at: str
    action: str
    resource: str
    stack_id: str
    request_id: str
    parts: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A deployment that was refused, with all that was wrong, or the first of very many. `at` is in ISO 8601."""

    resource: str
    request_id: str
    at: str
    findings: tuple[str, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """What one request writes, all or nothing. `moves` are the new pointers, `holds` those that may not have moved;
    `poll` is how often the configured place is asked from now on, in seconds. `said` stands for the text of a part that
    names a definition: part → what `Store.part_said` is asked by. `order` is the resource and its request's ticket:
    none of it is written if a newer request for that resource has come in meanwhile."""

    request_id: str
    outcome: Outcome
    moves: tuple[Pointer, ...]
    holds: tuple[Pointer, ...] = ()
    config: SourceConfig | SystemConfig | None = None
    plan: Plan | None = None
    poll: int | None = None
    parts: tuple[PlanPart, ...] = ()
    activation: Activation | None = None
    said: str | None = None
    order: tuple[str, int] | None = None


class Store(Protocol):
    """The table, as `configure_stack` needs it. Reads are consistent and never cached."""

    def begin(self, request_id: str, resource: str, asked: int = 0) -> Begun:
        """Note a request the first time that it is seen; say what became of it if it was seen before. `asked`: when
        CloudFormation asked, in seconds; 0 where that is not known."""
        ...

    def settle(self, request_id: str, outcome: Outcome) -> Outcome:
        """Keep the outcome of a request that changed nothing, and what was found; the kept one where there already is
        one."""
        ...

    def pointer(self, name: str) -> Pointer | None:
        """A source's, system's or part's pointer, by id; None for what never existed."""
        ...

    def plan_pointer(self) -> Pointer | None:
        """The compiled plan's pointer; None where there never was a plan."""
        ...

    def stored_system(self, name: str, version: str) -> SystemConfig | None:
        """An immutable version of a system."""
        ...

    def part(self, name: str, version: str) -> PlanPart | None:
        """An immutable version of a part."""
        ...

    def part_said(self, name: str, said: str) -> str | None:
        """The version that this text came to when it was accepted."""
        ...

    def knows(self, document: SourceConfig | SystemConfig | PlanPart) -> bool:
        """Whether this very version was written before."""
        ...

    def plan(self, version: str) -> Plan | None:
        """An immutable compiled plan."""
        ...

    def commit(self, change: Change) -> None:
        """Write the documents, then the pointers and the outcome in one transaction. Raises `ConflictError`."""
        ...


class Sight(StrEnum):
    """What a look at a resource showed."""

    FOUND = "found"
    MISSING = "missing"
    DELETED = "deleted"
    DENIED = "denied"
    UNREACHABLE = "unreachable"


class Lookups(Protocol):
    """Looks at what a document names. Describes secrets; never reads one. Never raises."""

    def secret(self, name: str) -> Sight:
        """Whether the secret exists; `DELETED` where it is scheduled for deletion."""
        ...

    def topic(self, arn: str) -> tuple[Sight, int | None]:
        """Whether the topic exists, and its confirmed subscriptions where that is known."""
        ...

    def definition(self, address: Address) -> tuple[Sight, bytes]:
        """The text of a definition, at most one byte more than `LARGEST_DEFINITION`; empty where it is not found."""
        ...
