"""Renewing access tokens: one worker at a time, nothing used before it is kept, and an honest word when it is lost."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from connectors.aws.health import TableHealth
from connectors.aws.secrets import Credentials
from connectors.aws.table import Table
from connectors.aws.tokens import LEASE, Tokens
from connectors.core.errors import MisconfiguredError, RemoteError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenHealth, TokenState, Use
from connectors.core.plan import SourceConfig
from tests.store.conftest import Backend
from tests.store.shop import Shop

SOURCE = SourceConfig.of("routes/Acme", "x", "hailback/acme", {})


class Clock:
    """Milliseconds; moved by hand."""

    def __init__(self) -> None:
        self.at = 1_795_000_000_000

    def __call__(self) -> int:
        return self.at


class Vault:
    """Secrets Manager with one secret. `broken` writes fail."""

    def __init__(self, document: Mapping[str, object]) -> None:
        self.document = dict(document)
        self.broken: list[str] = []
        self.written: list[dict[str, object]] = []

    def get_secret_value(self, **_: Any) -> dict[str, str]:
        return {"SecretString": json.dumps(self.document)}

    def put_secret_value(self, *, SecretString: str, VersionStages: Any = None, **_: Any) -> None:  # noqa: N803
        if self.broken:
            code = self.broken.pop(0)
            if code:
                raise ClientError({"Error": {"Code": code, "Message": ""}}, "PutSecretValue")
        if VersionStages is None:
            self.document = json.loads(SecretString)
            self.written.append(self.document)


@dataclass
class Vendor:
    """Takes each refresh token once, and remembers how many asked at the same time."""

    valid: str = "r0"
    answers: list[RemoteError | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    crowd: int = 0
    most: int = 0
    slow: threading.Event | None = None

    def renew(self, refresh: str) -> dict[str, object]:
        self.crowd += 1
        self.most = max(self.most, self.crowd)
        try:
            self.asked.append(refresh)
            if self.slow is not None:
                self.slow.wait(0.3)
            fault = self.answers.pop(0) if self.answers else None
            if isinstance(fault, UnavailableError):
                raise fault
            if refresh != self.valid:
                raise MisconfiguredError("the refresh token is not known", TokenState.REVOKED)
            self.valid = f"r{int(refresh[1:]) + 1}"
            if fault is not None:
                raise fault  # carried out, but nobody hears of it
            return {"access": f"a{self.valid[1:]}", "refresh": self.valid}
        finally:
            self.crowd -= 1


@dataclass
class Acme:
    """An account whose token is due for renewal until it is no longer the first."""

    document: Mapping[str, Any]
    vendor: Vendor
    due: Callable[[str], bool]

    def refresh_due(self, now: int) -> bool:
        return now > 2_000_000_000_000 or self.due(self.document["access"])

    def refresh(self, now: int) -> dict[str, object]:
        return self.vendor.renew(self.document["refresh"])


@dataclass
class World:
    shop: Shop
    vault: Vault
    vendor: Vendor
    clock: Clock
    due: Callable[[str], bool] = lambda access: access == "a0"

    def worker(self, **given: Any) -> Callable[[], Acme]:
        """One more process: its own cache of secrets, its own Tokens."""
        credentials = Credentials(self.vault)  # type: ignore[arg-type]
        table = Table(self.shop.client, self.shop.name)
        tokens = Tokens(table, credentials, TableHealth(table, self.clock), now=self.clock, **given)

        def build() -> Acme:
            return Acme(credentials.credentials(SOURCE.secret), self.vendor, self.due)

        return lambda: tokens.fresh(SOURCE, build(), build)

    def state(self) -> TokenHealth | None:
        seen = TableHealth(self.shop.table, self.clock).known(SOURCE.id).uses.get(Use.RENEWAL)
        return seen.health if seen else None


@pytest.fixture
def world(shop: Shop) -> World:
    return World(shop, Vault({"access": "a0", "refresh": "r0"}), Vendor(), Clock())


def quiet(_: float) -> None:
    return None


def test_a_token_is_renewed_once_and_kept_before_it_is_used(world: World) -> None:
    worker = world.worker()
    account = worker()
    assert (account.document["access"], world.vault.document["access"]) == ("a1", "a1")
    assert worker().document == account.document
    assert world.vendor.asked == ["r0"]
    assert world.state() == TokenHealth(TokenState.OK)


def test_many_workers_ask_the_vendor_once(world: World, backend: Backend) -> None:
    """Each is a process of its own that read the old secret before."""
    if not backend.simultaneous:
        pytest.skip("says nothing about writers at the same time")
    world.vendor.slow = threading.Event()
    workers = [world.worker(patience=20.0) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        accounts = list(pool.map(lambda worker: worker(), workers))
    assert (world.vendor.asked, world.vendor.most) == (["r0"], 1)
    assert {account.document["access"] for account in accounts} == {"a1"}


def test_who_does_not_get_the_turn_goes_on_with_what_it_has(world: World) -> None:
    table = world.shop.table
    row = {"pk": f"TOKEN#{SOURCE.secret}", "sk": "META", "attempt": 1, "lease_until": world.clock.at + 60_000}
    table.put(row)
    assert world.worker(sleep=quiet)().document["access"] == "a0"
    assert world.vendor.asked == []


def test_a_secret_that_cannot_be_written_shows_before_anything_is_lost(world: World) -> None:
    world.vault.broken = ["AccessDeniedException"]
    assert world.worker(sleep=quiet)().document["access"] == "a0"
    assert world.vendor.asked == []
    seen = world.state()
    assert seen is not None
    assert seen.state is TokenState.EXPIRING
    assert "cannot be written" in seen.detail


def test_a_write_that_fails_a_few_times_loses_nothing(world: World) -> None:
    world.vault.broken = ["", "InternalServiceError", "ThrottlingException"]
    assert world.worker(sleep=quiet)().document["access"] == "a1"
    assert world.vault.document["refresh"] == "r1"


def test_what_could_not_be_kept_is_kept_later_by_the_same_process(world: World) -> None:
    world.vault.broken = ["", *["InternalServiceError"] * 5]
    worker = world.worker(sleep=quiet)
    assert worker().document["access"] == "a0", "what is not kept is not used"
    seen = world.state()
    assert seen is not None
    assert seen.state is TokenState.REVOKED
    world.clock.at += 61_000
    assert worker().document["access"] == "a1"
    assert world.vendor.asked == ["r0"]
    assert world.state() == TokenHealth(TokenState.OK)


def test_a_lost_answer_is_asked_for_once_more_and_then_said_to_be_lost(world: World) -> None:
    """The vendor carried it out and forgot the old refresh token; a person has to grant access anew."""
    world.vendor.answers = [UnknownOutcomeError("no answer")]
    assert world.worker(sleep=quiet)().document["access"] == "a0"
    seen = world.state()
    assert seen is not None
    assert seen.state is TokenState.TRANSIENT
    assert world.worker(sleep=quiet)().document["access"] == "a0"
    assert world.vendor.asked == ["r0"], "not at once"
    world.clock.at += 61_000
    for _ in range(3):
        world.clock.at += 61_000
        assert world.worker(sleep=quiet)().document["access"] == "a0"
    assert world.vendor.asked == ["r0", "r0"], "a refusal is not asked for again with the same credentials"
    seen = world.state()
    assert seen is not None
    assert seen.state is TokenState.REVOKED
    assert "grant access anew" in seen.detail
    world.vault.document = {"access": "a0", "refresh": "r1"}  # an administrator did
    assert world.worker(sleep=quiet)().document["access"] == "a2"
    assert world.state() == TokenHealth(TokenState.OK)


def test_new_credentials_end_what_was_said_of_refused_ones(world: World) -> None:
    world.vendor.valid = "r7"
    worker = world.worker(sleep=quiet)
    worker()
    tokens = Tokens(
        world.shop.table,
        Credentials(world.vault),  # type: ignore[arg-type]
        TableHealth(world.shop.table, world.clock),
        now=world.clock,
    )
    tokens.reconsider(SOURCE)
    seen = world.state()
    assert seen is not None
    assert seen.state is TokenState.REVOKED, "the secret is as it was"
    world.vault.document = {"access": "theirs", "refresh": "r7"}
    tokens.reconsider(SOURCE)
    assert world.state() is None


def test_an_answer_that_was_lost_before_the_vendor_heard_the_question_is_no_loss(world: World) -> None:
    world.vendor.answers = [UnavailableError("refused", 90)]
    world.worker(sleep=quiet)()
    world.clock.at += 61_000
    world.worker(sleep=quiet)()
    assert world.vendor.asked == ["r0"], "as long as the vendor asked for"
    world.clock.at += 30_000
    assert world.worker(sleep=quiet)().document["access"] == "a1"


def test_a_worker_that_dies_while_the_vendor_answers_leaves_its_turn_to_the_next(world: World) -> None:
    class KilledError(BaseException):
        """What no handler catches."""

    def die(refresh: str) -> dict[str, object]:
        raise KilledError

    renew, world.vendor.renew = world.vendor.renew, die  # type: ignore[method-assign]
    settle = Tokens._settle
    calls = itertools.count()

    def once(self: Tokens, *given: Any) -> None:
        if next(calls) == 0:  # `asked`; the process is gone before it gives the turn back
            settle(self, *given)

    worker = world.worker(sleep=quiet)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tokens, "_settle", once)
        with pytest.raises(KilledError):
            worker()
    world.vendor.renew = renew  # type: ignore[method-assign]
    assert world.worker(sleep=quiet)().document["access"] == "a0", "the turn is still the dead one's"
    world.clock.at += int(LEASE * 1000) + 1
    assert world.worker(sleep=quiet)().document["access"] == "a1"


def test_a_token_that_the_vendor_calls_expired_is_renewed_before_its_time(world: World) -> None:
    world.due = lambda access: False
    health = TableHealth(world.shop.table, world.clock)
    health.note(SOURCE.id, Use.POLL, TokenHealth(TokenState.EXPIRED, "401"))
    world.clock.at += 1000
    assert world.worker()().document["access"] == "a1"
    world.clock.at += 1000
    world.worker()()
    assert world.vendor.asked == ["r0"], "what was said of the old token says nothing about the new one"


def test_an_administrators_hand_wins(world: World) -> None:
    renew = world.vendor.renew

    def meanwhile(refresh: str) -> dict[str, object]:
        world.vault.document = {"access": "theirs", "refresh": "rt"}
        return renew(refresh)

    world.vendor.renew = meanwhile  # type: ignore[method-assign]
    assert world.worker(sleep=quiet)().document["access"] == "theirs"
    assert world.vault.written == []


def test_a_place_without_such_tokens_is_left_alone(world: World) -> None:
    credentials = Credentials(world.vault)  # type: ignore[arg-type]
    tokens = Tokens(world.shop.table, credentials, TableHealth(world.shop.table, world.clock), now=world.clock)
    plain = object()
    assert tokens.fresh(SOURCE, plain, object) is plain
    assert world.shop.rows() == []


def test_secrets_manager_takes_both_writes(ministack: Any) -> None:
    """The staged version is beside the one in force, and repeating a write is harmless."""
    client = ministack.client("secretsmanager")
    client.create_secret(Name="hailback/renewed/credentials", SecretString='{"access": "a0"}')
    credentials = Credentials(client)
    credentials.stage("hailback/renewed", {"access": "staged"}, "s" * 32)
    assert Credentials(client).credentials("hailback/renewed") == {"access": "a0"}
    for _ in range(2):
        credentials.replace("hailback/renewed", {"access": "a1"}, "r" * 32)
    assert credentials.credentials("hailback/renewed") == {"access": "a1"}
    assert Credentials(client).credentials("hailback/renewed") == {"access": "a1"}
