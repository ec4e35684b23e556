"""Deliveries that somebody tampered with: `python -m tests.bench.mutations --count 1000000`.

Each begins as a sample of a connector, signed as its vendor does, and is changed in one way, chosen by a seed. It then
goes through the front door as it runs in `receive_webhook`, with secrets and inbox in memory; what is taken is unpacked
and parsed. Whether a delivery was signed is worked out here, apart from the door. Counted for each connector:

- `taken`, `refused`, by the answer's status;
- `forged`: taken though nobody signed it. Must be 0;
- `lost`: signed, whole and refused, or an original that did not become what it should. Must be 0;
- `crashed`: an exception that is not `PayloadError`, or an event that no table would take. Must be 0.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from connectors.core import door, reception, token
from connectors.core.delivery import Delivery, Request
from connectors.core.errors import PayloadError
from connectors.core.ports import Receiver
from connectors.tool.samples import Sample, load_sample
from tests.bench.tampering import Attempt, Tally, damaged, report, storable
from tests.contract.registered import DOORS, RECEIVED, reader, sample_paths
from tests.contract.shapes import HOSTILE, document, leaves, packed_as
from tests.contract.signing import asked, delivered, is_signed, secret_for, stamp

SALT, WORDS = "salt", ("the new secret ☂", "the old secret of twelve")
ADDRESS = token.Address("stack/acme", "hailback/acme")
VERIFY_TOKEN = "our word"
NOW = RECEIVED // 1000


@dataclass(frozen=True)
class Original:
    """A sample: its body, the headers that are not signed, and what it becomes."""

    path: Path
    body: bytes
    headers: Mapping[str, str]
    becomes: list[dict[str, object]]


class Memory:
    """Secrets and inbox of one source."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = secrets
        self.message: dict[str, Any] | None = None

    def verification(self, secret: str) -> list[str]:
        return list(self._secrets) if secret == ADDRESS.secret else []

    def verification_again(self, secret: str) -> list[str] | None:
        return None

    def verify_token(self, secret: str) -> str | None:
        return VERIFY_TOKEN

    def put(self, message: dict[str, Any]) -> None:
        self.message = message


class Doorstep:
    """One connector, in front of its door."""

    def __init__(self, name: str, random: Random) -> None:
        self.name, self.tally, self._random = name, Tally(), random
        self._rules: Mapping[str, Any] = door.load(name) or {}
        self._parser: Receiver = reader(name)
        self._address = token.make(SALT, name, ADDRESS)
        self._secrets = [secret_for(self._rules, words) for words in WORDS]
        self._memory = Memory(self._secrets)
        self._originals = [self._original(path) for path in sample_paths(name)]
        self._kinds: list[Callable[[Original], Attempt]] = [
            self._untouched,
            self._bytes_changed,
            self._bytes_changed,
            self._values_changed,
            self._values_changed_and_signed,
            self._values_changed_and_signed,
            self._bytes_changed_and_signed,
            self._signature_changed,
            self._stranger,
            self._unsigned_headers_changed,
            self._another_time,
            self._another_address,
            self._handshake,
        ]

    def deliver(self) -> None:
        """One delivery, and what is to be said of it."""
        original = self._random.choice(self._originals)
        attempt = self._random.choice(self._kinds)(original)
        self._memory.message = None
        self.tally.counts["deliveries"] += 1
        try:
            answer = reception.receive(
                self.name, attempt.address, attempt.request, self._memory, self._memory, SALT, RECEIVED
            )
            self.tally.statuses[str(answer.status)] += 1
            taken = self._memory.message
            events = None if taken is None else self._parsed(taken)
        except Exception as error:
            self.tally.fault("crashed", attempt, f"{type(error).__name__}: {error}"[:200])
            return
        self._judge(attempt, original, answer, taken, events)

    def _judge(
        self,
        attempt: Attempt,
        original: Original,
        answer: reception.Answer,
        taken: dict[str, Any] | None,
        events: list[dict[str, object]] | None,
    ) -> None:
        counts = self.tally.counts
        signed = attempt.request.method == "POST" and attempt.address == self._address and self._signed(attempt.request)
        counts["signed"] += signed
        counts["taken" if taken else "refused"] += 1
        if taken and not signed:
            self.tally.fault("forged", attempt, f"answered {answer.status}")
        handshake = signed and asked(self._rules, attempt.request.body)
        if signed and not taken and not handshake and (answer.status != 400 or not attempt.kind.startswith("bytes")):
            self.tally.fault("lost", attempt, f"answered {answer.status}")
        if handshake and (taken or answer.status not in {200, 403}):
            self.tally.fault("lost", attempt, f"a handshake, answered {answer.status}")
        echo = self._rules.get("challenge", {}).get("echo") if answer.body else None
        if echo and attempt.request.query[echo["token"]] != VERIFY_TOKEN:
            self.tally.fault("forged", attempt, "a handshake without the word")
        if attempt.sound and not handshake and (taken is None or events != original.becomes):
            self.tally.fault("lost", attempt, "an original did not become what it should")
        if taken and events is not None:
            counts["events"] += len(events)

    def _parsed(self, message: Mapping[str, Any]) -> list[dict[str, object]]:
        """What `ingest_event` makes of a message. Raises where an event could not be stored."""
        body = gzip.decompress(base64.b64decode(message["body"]))
        try:
            events = self._parser.parse(Delivery(message["headers"], body, message["received_at"]))
        except PayloadError as error:
            self.tally.counts["sentences"] += 1
            if "\n" in str(error) or not str(error):
                raise ValueError("its sentence is none") from error
            return []
        return [storable(event) for event in events]

    def _signed(self, request: Request) -> bool:
        """Whether one of our secrets signed these bytes at this time."""
        clock = self._rules.get("signature", {}).get("timestamp", {"tolerance": 0})
        stamps = {stamp(clock, NOW + late) for late in (0, *_LATE) if abs(late) <= clock["tolerance"]}
        return is_signed(self._rules, request, self._secrets, stamps)

    def _original(self, path: Path) -> Original:
        sample = load_sample(path)
        kept = door.kept_headers(self._rules, sample.headers)
        becomes = [storable(event) for event in self._parser.parse(Delivery(kept, sample.body, RECEIVED))]
        return Original(path, sample.body, sample.headers, becomes)

    def _attempt(
        self, kind: str, request: Request, *, sound: bool = False, address: str | None = None, **changed: Any
    ) -> Attempt:
        return Attempt(replace(request, **changed), address or self._address, kind, sound)

    def _sign(self, original: Original, body: bytes, secret: str | None = None, late: int = 0) -> Request:
        sample, by = Sample(body, original.headers), secret or self._random.choice(self._secrets)
        request = delivered(self._rules, sample, by, NOW + late)
        first, *others = self._rules.get("signature", {}).get("headers", [""])
        if first and others:
            headers = dict(request.headers)
            headers[self._random.choice([first, *others])] = headers.pop(first)
            return replace(request, headers=headers)
        return request

    def _untouched(self, original: Original) -> Attempt:
        return self._attempt("untouched", self._sign(original, original.body), sound=True)

    def _bytes_changed(self, original: Original) -> Attempt:
        request = self._sign(original, original.body)
        return self._attempt("bytes", request, body=damaged(original.body, self._random))

    def _values_changed(self, original: Original) -> Attempt:
        return self._attempt("values", self._sign(original, original.body), body=self._mutated(original))

    def _values_changed_and_signed(self, original: Original) -> Attempt:
        return self._attempt("values, signed", self._sign(original, self._mutated(original)))

    def _bytes_changed_and_signed(self, original: Original) -> Attempt:
        return self._attempt("bytes, signed", self._sign(original, damaged(original.body, self._random)))

    def _signature_changed(self, original: Original) -> Attempt:
        request = self._sign(original, original.body)
        headers = dict(request.headers)
        rule = self._rules.get("signature") or {"headers": [self._rules.get("token", {}).get("header")]}
        for header in (one for one in rule["headers"] if one in headers):
            if self._random.random() < 0.1:
                del headers[header]
            else:
                headers[header] = damaged(headers[header].encode(), self._random).decode("latin-1")
        return self._attempt("signature", request, headers=headers)

    def _stranger(self, original: Original) -> Attempt:
        guessed = self._random.choice(["a guess", WORDS[0][:-1], WORDS[1] + " ", WORDS[1].upper(), "\x00"])
        return self._attempt("stranger", self._sign(original, original.body, secret_for(self._rules, guessed)))

    def _unsigned_headers_changed(self, original: Original) -> Attempt:
        request = self._sign(original, original.body)
        headers = dict(request.headers)
        for kept in self._rules["keep"]:
            if self._random.random() < 0.5:
                headers[kept] = str(self._random.choice(HOSTILE))
        return self._attempt("headers", request, headers=headers)

    def _another_time(self, original: Original) -> Attempt:
        request = self._sign(original, original.body, late=self._random.choice(_LATE))
        headers = dict(request.headers)
        clock = self._rules.get("signature", {}).get("timestamp")
        if clock and self._random.random() < 0.5:
            headers[clock["header"]] = stamp(clock, NOW + self._random.choice(_LATE))
        return self._attempt("time", request, headers=headers)

    def _another_address(self, original: Original) -> Attempt:
        request = self._sign(original, original.body)
        if self._random.random() < 0.5:
            url = damaged(request.url.encode(), self._random).decode("latin-1")
            return self._attempt("address", request, url=url)
        address = damaged(self._address.encode(), self._random).decode("latin-1")
        return self._attempt("address", request, address=address)

    def _handshake(self, original: Original) -> Attempt:
        rule = {"query": "hub.challenge", **self._rules.get("challenge", {})}
        words = ["x", "", "<b>", "1158201444", "ü", "a" * 600, VERIFY_TOKEN, "subscribe"]
        query = {rule["query"]: self._random.choice(words)}
        echo = rule.get("echo") or {"where": {"hub.mode": ""}, "token": "hub.verify_token"}
        query |= {name: self._random.choice(words) for name in (*echo["where"], echo["token"])}
        return Attempt(Request("GET", {}, original.body, query), self._address, "handshake")

    def _mutated(self, original: Original) -> bytes:
        """A sample in which one to three values, however deep, are something else, or gone."""
        said = document(original.path)
        for _ in range(self._random.randint(1, 3)):
            self._change(said)
        body = packed_as(original.path, said)
        return body if body != original.body else body + b" "

    def _change(self, here: Any) -> None:
        random = self._random
        while isinstance(here, dict | list) and here:
            key = random.choice(list(here)) if isinstance(here, dict) else random.randrange(len(here))
            if isinstance(here[key], dict | list) and here[key] and random.random() < 0.75:
                here = here[key]
                continue
            if random.random() < 0.2:
                del here[key]
            else:
                some = HOSTILE if random.random() < 0.5 else leaves(self.name)
                here[key] = json.loads(json.dumps(random.choice(some)))
            return


_LATE = (-86_400, -301, -300, -299, -1, 1, 299, 300, 301, 86_400)


def run(count: int, seed: str, names: Sequence[str] = tuple(DOORS)) -> Iterator[dict[str, Tally]]:
    """The tallies so far, now and then, and at the end. The same count and seed bring the same deliveries."""
    steps = [Doorstep(name, Random(f"{seed}:{name}")) for name in names]
    for number in range(count):
        steps[number % len(steps)].deliver()
        if number % 20_000 == 19_999:
            yield {step.name: step.tally for step in steps}
    yield {step.name: step.tally for step in steps}


def _work(count: int, seed: str, names: Sequence[str]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    started = time.monotonic()
    for tallies in run(count, seed, names):
        done = sum(tally.counts["deliveries"] for tally in tallies.values())
        print(f"{seed}: {done:,} of {count:,} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return tallies


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=1_000_000)
    options.add_argument("--seed", default="hailback")
    options.add_argument("--workers", type=int, default=1, help="processes; each has a seed of its own")
    options.add_argument("connectors", nargs="*", metavar="CONNECTOR", help="these only; all with a door otherwise")
    given = options.parse_args()
    names = given.connectors or DOORS
    if unknown := [name for name in names if name not in DOORS]:
        options.error(f"{', '.join(unknown)}: nothing is delivered to it; those with a door are {', '.join(DOORS)}")
    share = [given.count // given.workers + (number < given.count % given.workers) for number in range(given.workers)]
    tallies: dict[str, Tally] = {}
    started = time.monotonic()
    with ProcessPoolExecutor(given.workers) as pool:
        for part in pool.map(
            _work, share, [f"{given.seed}-{number}" for number in range(given.workers)], [names] * given.workers
        ):
            for name, tally in part.items():
                tallies.setdefault(name, Tally()).add(tally)
    print(report(tallies))
    print(f"{given.count:,} deliveries, seed {given.seed!r}, {time.monotonic() - started:.0f} s")
    return 0 if all(tally.clean for tally in tallies.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
