"""For `tests.bench.mutations`: how bytes are damaged, what may be stored, and what is counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from connectors.core.delivery import Request
from connectors.core.models import AnyEvent, describe

_SHOWN = 5


@dataclass
class Attempt:
    """One delivery on its way. `sound`: nothing about it was changed."""

    request: Request
    address: str
    kind: str
    sound: bool = False


@dataclass
class Tally:
    """What became of a connector's deliveries. `faults`: the first few that went wrong, to be looked into."""

    counts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, what: str, attempt: Attempt, detail: str) -> None:
        self.counts[what] += 1
        if len(self.faults) < _SHOWN:
            self.faults.append(f"{what} ({attempt.kind}): {detail}; body {attempt.request.body[:300]!r}")

    def add(self, other: Tally) -> None:
        self.counts += other.counts
        self.statuses += other.statuses
        self.faults = (self.faults + other.faults)[:_SHOWN]

    @property
    def clean(self) -> bool:
        return not (self.counts["forged"] or self.counts["lost"] or self.counts["crashed"])


def damaged(raw: bytes, random: Random) -> bytes:
    """Other bytes than these: flipped, cut, put in, doubled, moved."""
    body = bytearray(raw)
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(body) + 1)
        match random.randrange(6):
            case 0 if place < len(body):
                body[place] ^= 1 << random.randrange(8)
            case 1:
                del body[place : place + random.randint(1, 20)]
            case 2:
                body[place:place] = random.choice(
                    [b" ", b"\x00", b"\xff", b"\xed\xa0\x80", b"\\ud800", b'"', b"[" * 70]
                )
            case 3:
                del body[place:]
            case 4:
                body[place:place] = body[place : place + random.randint(1, 40)]
            case _ if place < len(body):
                body[place] = random.randrange(256)
    return bytes(body) if bytes(body) != raw else raw + b"\n"


def storable(event: AnyEvent) -> dict[str, object]:
    """An event as plain values. Raises where the table, or a ticket, would refuse it."""
    plain = describe(event)
    text = json.dumps(plain, allow_nan=False, ensure_ascii=False)
    text.encode()
    if "\\u0000" in text.replace("\\\\", ""):
        raise ValueError("NUL in an event")
    return plain


def report(tallies: Mapping[str, Tally]) -> str:
    """A table, and what went wrong."""
    columns = ("deliveries", "signed", "taken", "refused", "events", "sentences", "forged", "lost", "crashed")
    lines = [f"{'':<12}" + "".join(f"{column:>12}" for column in columns) + "  by status"]
    total = Tally()
    for name, tally in [*tallies.items(), ("all", total)]:
        said = "  ".join(f"{status}: {count:,}" for status, count in sorted(tally.statuses.items()))
        lines.append(f"{name:<12}" + "".join(f"{tally.counts[column]:>12,}" for column in columns) + f"  {said}")
        if tally is not total:
            total.add(tally)
    return "\n".join([*lines, *(f"{name}: {fault}" for name, tally in tallies.items() for fault in tally.faults)])
