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
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any

from connectors.core import door, reception, token
from connectors.core.delivery import Delivery, Request
from connectors.core.errors import PayloadError
from connectors.core.ports import Receiver
from connectors.tool.samples import load_sample
from tests.bench.tampering import Attempt, Tally, damaged, report, storable
from tests.contract.registered import DOORS, RECEIVED, reader, sample_paths
from tests.contract.shapes import HOSTILE, leaves

SALT, SECRETS = "salt", ("the new secret ☂", "the old secret of twelve")
ADDRESS = token.Address("stack/acme", "hailback/acme")
VERIFY_TOKEN = "our word"
NOW = RECEIVED // 1000
Headers = dict[str, str]


@dataclass(frozen=True)
class Original:
    """A sample: its body, the headers that are not signed, and what it becomes."""

    name: str
    body: bytes
    document: Any
    headers: Mapping[str, str]
    becomes: list[dict[str, object]]


class Memory:
    """Secrets and inbox of one source."""

    def __init__(self) -> None:
        self.message: dict[str, Any] | None = None

    def verification(self, secret: str) -> list[str]:
        return list(SECRETS) if secret == ADDRESS.secret else []

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
        self._memory = Memory()
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
        if signed and not taken and (answer.status != 400 or attempt.kind != "bytes, signed"):
            self.tally.fault("lost", attempt, f"answered {answer.status}")
        echo = self._rules["challenge"].get("echo") if answer.body else None
        if echo and attempt.request.query[echo["token"]] != VERIFY_TOKEN:
            self.tally.fault("forged", attempt, "a handshake without the word")
        if attempt.sound and (taken is None or events != original.becomes):
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
        rule = self._rules["signature"]
        stamp = ""
        if clock := rule.get("timestamp"):
            stamp = request.headers.get(clock["header"], "")
            if stamp not in {_stamp(clock, NOW + late) for late in (0, *_LATE) if abs(late) <= clock["tolerance"]}:
                return False
        digests = {_digest(rule, secret, stamp, request.body) for secret in SECRETS}
        given = (_decoded(rule, request.headers.get(header, "")) for header in rule["headers"])
        return any(digest in digests for digest in given)

    def _original(self, path: Any) -> Original:
        sample = load_sample(path)
        kept = door.kept_headers(self._rules, sample.headers)
        becomes = [storable(event) for event in self._parser.parse(Delivery(kept, sample.body, RECEIVED))]
        return Original(path.name, sample.body, json.loads(sample.body), sample.headers, becomes)

    def _attempt(
        self, kind: str, headers: Mapping[str, str], body: bytes, *, sound: bool = False, address: str | None = None
    ) -> Attempt:
        return Attempt(Request("POST", headers, body), address or self._address, kind, sound)

    def _sign(self, original: Original, body: bytes, secret: str | None = None, late: int = 0) -> Headers:
        rule = self._rules["signature"]
        headers = dict(original.headers)
        stamp = ""
        if clock := rule.get("timestamp"):
            stamp = headers[clock["header"]] = _stamp(clock, NOW + late)
        digest = _digest(rule, secret or self._random.choice(SECRETS), stamp, body)
        coded = digest.hex() if rule["encoding"] == "hex" else base64.b64encode(digest).decode()
        headers[self._random.choice(rule["headers"])] = rule.get("prefix", "") + coded
        return headers

    def _untouched(self, original: Original) -> Attempt:
        return self._attempt("untouched", self._sign(original, original.body), original.body, sound=True)

    def _bytes_changed(self, original: Original) -> Attempt:
        return self._attempt("bytes", self._sign(original, original.body), damaged(original.body, self._random))

    def _values_changed(self, original: Original) -> Attempt:
        body = self._mutated(original)
        return self._attempt("values", self._sign(original, original.body), body)

    def _values_changed_and_signed(self, original: Original) -> Attempt:
        body = self._mutated(original)
        return self._attempt("values, signed", self._sign(original, body), body)

    def _bytes_changed_and_signed(self, original: Original) -> Attempt:
        body = damaged(original.body, self._random)
        return self._attempt("bytes, signed", self._sign(original, body), body)

    def _signature_changed(self, original: Original) -> Attempt:
        headers = self._sign(original, original.body)
        header = self._random.choice([one for one in self._rules["signature"]["headers"] if one in headers])
        if self._random.random() < 0.1:
            del headers[header]
        else:
            value = damaged(headers[header].encode(), self._random)
            headers[header] = value.decode("latin-1")
        return self._attempt("signature", headers, original.body)

    def _stranger(self, original: Original) -> Attempt:
        guessed = self._random.choice(["a guess", SECRETS[0][:-1], SECRETS[1] + " ", SECRETS[1].upper(), "\x00"])
        return self._attempt("stranger", self._sign(original, original.body, guessed), original.body)

    def _unsigned_headers_changed(self, original: Original) -> Attempt:
        headers = self._sign(original, original.body)
        for kept in self._rules["keep"]:
            if self._random.random() < 0.5:
                headers[kept] = str(self._random.choice(HOSTILE))
        return self._attempt("headers", headers, original.body)

    def _another_time(self, original: Original) -> Attempt:
        headers = self._sign(original, original.body, late=self._random.choice(_LATE))
        if (clock := self._rules["signature"].get("timestamp")) and self._random.random() < 0.5:
            headers[clock["header"]] = _stamp(clock, NOW + self._random.choice(_LATE))
        return self._attempt("time", headers, original.body)

    def _another_address(self, original: Original) -> Attempt:
        address = damaged(self._address.encode(), self._random).decode("latin-1")
        return self._attempt("address", self._sign(original, original.body), original.body, address=address)

    def _handshake(self, original: Original) -> Attempt:
        rule = self._rules.get("challenge") or {"query": "hub.challenge"}
        words = ["x", "", "<b>", "1158201444", "ü", "a" * 600, VERIFY_TOKEN, "subscribe"]
        query = {rule["query"]: self._random.choice(words)}
        echo = rule.get("echo") or {"where": {"hub.mode": ""}, "token": "hub.verify_token"}
        query |= {name: self._random.choice(words) for name in (*echo["where"], echo["token"])}
        return Attempt(Request("GET", {}, original.body, query), self._address, "handshake")

    def _mutated(self, original: Original) -> bytes:
        """A sample in which one to three values, however deep, are something else, or gone."""
        document = json.loads(original.body)
        for _ in range(self._random.randint(1, 3)):
            self._change(document)
        body = json.dumps(document).encode()
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


def _stamp(clock: Mapping[str, Any], seconds: int) -> str:
    if clock.get("format") == "iso8601":
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    return str(seconds)


def _digest(rule: Mapping[str, Any], secret: str, stamp: str, body: bytes) -> bytes:
    before, after = rule["signed"].replace("{timestamp}", stamp).split("{body}")
    return hmac.digest(secret.encode(), before.encode() + body + after.encode(), getattr(hashlib, rule["algorithm"]))


def _decoded(rule: Mapping[str, Any], value: str) -> bytes | None:
    prefix = rule.get("prefix", "")
    try:
        coded = value.removeprefix(prefix).strip() if value.startswith(prefix) else "-"
        return (
            bytes.fromhex(coded)
            if rule["encoding"] == "hex"
            else base64.b64decode(coded.encode("ascii"), validate=True)
        )
    except ValueError:
        return None


def run(count: int, seed: str, names: Sequence[str] = tuple(DOORS)) -> Iterator[dict[str, Tally]]:
    """The tallies so far, now and then, and at the end. The same count and seed bring the same deliveries."""
    steps = [Doorstep(name, Random(f"{seed}:{name}")) for name in names]
    for number in range(count):
        steps[number % len(steps)].deliver()
        if number % 20_000 == 19_999:
            yield {step.name: step.tally for step in steps}
    yield {step.name: step.tally for step in steps}


def _work(count: int, seed: str) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    started = time.monotonic()
    for tallies in run(count, seed):
        done = sum(tally.counts["deliveries"] for tally in tallies.values())
        print(f"{seed}: {done:,} of {count:,} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return tallies


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--count", type=int, default=1_000_000)
    asked.add_argument("--seed", default="hailback")
    asked.add_argument("--workers", type=int, default=1, help="processes; each has a seed of its own")
    given = asked.parse_args()
    share = [given.count // given.workers + (number < given.count % given.workers) for number in range(given.workers)]
    tallies: dict[str, Tally] = {}
    started = time.monotonic()
    with ProcessPoolExecutor(given.workers) as pool:
        for part in pool.map(_work, share, [f"{given.seed}-{number}" for number in range(given.workers)]):
            for name, tally in part.items():
                tallies.setdefault(name, Tally()).add(tally)
    print(report(tallies))
    print(f"{given.count:,} deliveries, seed {given.seed!r}, {time.monotonic() - started:.0f} s")
    return 0 if all(tally.clean for tally in tallies.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
