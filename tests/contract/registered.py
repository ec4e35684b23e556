"""What the contract is held against: every connector that is registered, its samples, and what it was given to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import connectors
from connectors.core import door
from connectors.core.delivery import Delivery
from connectors.core.models import AnyEvent, Mention, RecordUpdate
from connectors.core.ports import Receiver, Reference
from connectors.tool.samples import load_sample, sample_files

CHECKOUT = Path(__file__).resolve().parents[2]
RECEIVED = 1_795_000_000_000


@dataclass(frozen=True, slots=True)
class Given:
    """What cannot be the same for every connector: `GIVEN` in `tests/<vendor>/contract.py`. Invented values only."""

    settings: Mapping[str, Any]
    """The connector's properties as an administrator writes them in a template, the required ones at least."""
    credentials: Mapping[str, Any] = field(default_factory=dict)
    """The document in `<Secret>/credentials`, where the connector calls its vendor."""
    address: str = "ApiUrl"
    """The property that says where the vendor is; the contract puts the address of a server of its own there."""
    accounts: Sequence[str] = ()
    """Our own accounts in the samples, as for `hailback parse --account`."""
    placed: bool = False
    """The vendor says itself what is ours, as by a place of its own for a company's reply: it has no author then."""
    authority: str | None = None
    """The host that the samples' ids belong to, where the samples do not say, as for `--authority`."""
    many: Callable[[int], bytes] | None = None
    """One delivery that holds this many mentions or updates, where the vendor may put many into one."""
    quiet: object = field(default_factory=dict)
    """What the vendor answers, as JSON, to whoever asks while nothing is new."""
    sought: object = field(default_factory=dict)
    """What the vendor answers, as JSON, to whoever looks up the post that a sample says may be answered."""
    key: Callable[[str], str] = str
    """What an answer's key looks like where it is sent, for a vendor that wants keys of its own making."""
    reference: Reference | None = None
    """A record of this system's, where it is a system of record."""


def _registered() -> list[str]:
    places = (connectors.SOURCES, connectors.SYSTEMS, connectors.REPLIERS, connectors.POLLERS)
    return sorted(set().union(*places))


def _receives(name: str) -> bool:
    try:
        connectors.receiver(name)
    except KeyError:
        return False
    return True


NAMES = _registered()
RECEIVERS = [name for name in NAMES if _receives(name)]
DOORS = [name for name in NAMES if door.load(name) is not None]
CHALLENGED = [name for name in DOORS if "query" in (door.load(name) or {}).get("challenge", {})]
POLLED = [*connectors.POLLERS, *(name for name in connectors.SYSTEMS if hasattr(connectors.system(name), "poll"))]


@cache
def given(name: str) -> Given:
    """Fails the test, with what to do, where the connector has none."""
    try:
        found = import_module(f"tests.{name}.contract").GIVEN
    except ModuleNotFoundError:
        pytest.fail(f"tests/{name}/contract.py is missing: CONTRIBUTING.md, 'Adding a connector', says what goes there")
    assert isinstance(found, Given)
    return found


def sample_paths(name: str) -> list[Path]:
    return sample_files(CHECKOUT / "events" / name)


def event_of(path: Path) -> str:
    """The event that a sample's name begins with."""
    event, separator, case = path.stem.partition("__")
    assert separator, f"{path.name} is not named <event>__<case>.json, or .form"
    assert case, f"{path.name} is not named <event>__<case>.json, or .form"
    return event


def as_delivered(name: str, path: Path, received_at: int = RECEIVED) -> Delivery:
    """A sample as the front door hands it on: with the headers that the door keeps, and none that may be changed."""
    sample = load_sample(path)
    rules = door.load(name)
    headers = sample.headers if rules is None else door.kept_headers(rules, sample.headers)
    return Delivery(MappingProxyType(dict(headers)), sample.body, received_at)


def reader(name: str, accounts: Sequence[str] | None = None) -> Receiver:
    """The connector as `hailback parse` builds it, for the accounts in its samples unless others are named."""
    told = given(name)
    return connectors.receiver(name).for_parse(told.accounts if accounts is None else accounts, told.authority)


def told_by(name: str) -> list[tuple[Path, list[AnyEvent]]]:
    """Each sample, and what becomes of it."""
    connector = reader(name)
    return [(path, list(connector.parse(as_delivered(name, path)))) for path in sample_paths(name)]


def spoken(events: Sequence[AnyEvent]) -> list[Mention | RecordUpdate]:
    """Those that somebody said or did."""
    return [event for event in events if isinstance(event, Mention | RecordUpdate)]
